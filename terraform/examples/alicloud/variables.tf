variable "region" {
  description = "Region whose zones h and i are used."
  type        = string
  default     = "cn-hangzhou"
}

variable "ssh_cidrs" {
  description = "Where you reach port 22 from, such as [\"198.51.100.7/32\"]."
  type        = list(string)
}

variable "ssh_public_key" {
  description = "Your SSH key, as in its .pub file."
  type        = string
}

variable "release_url" {
  description = "The release, such as https://releases.example/0.1.0/flannel-vpc-linux-ARCH."
  type        = string
}

variable "release_sha256" {
  description = "Its hashes by architecture, from SHA256SUMS."
  type        = map(string)
}
