variable "region" {
  description = "AWS Region, with zones a and b."
  type        = string
  default     = "eu-west-1"
}

variable "name" {
  description = "Names everything that is made."
  type        = string
  default     = "flannel-vpc"
}

variable "writer" {
  description = "Who writes routes: controller or node."
  type        = string
  default     = "controller"
}

variable "ssh_cidrs" {
  description = "Your own address, such as [\"198.51.100.7/32\"], to get to the machines by SSH."
  type        = list(string)
  default     = []
}

variable "key_name" {
  description = "Your EC2 key pair."
  type        = string
  default     = null
}

variable "ami_id" {
  description = "Another image than Debian 12's newest."
  type        = string
  default     = null
}

variable "release_url" {
  description = "Where machines fetch flannel-vpc from; the word ARCH in it becomes amd64 or arm64."
  type        = string
}

variable "release_sha256" {
  description = "SHA-256 of that file by architecture, such as { amd64 = \"…\" }."
  type        = map(string)
}
