variable "name" {
  description = "Names everything that is made, the service account and the role too."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name is 2 to 20 lower-case letters, digits and hyphens, starts with a letter and does not end with a hyphen."
  }
}

variable "project_id" {
  description = "Project that it is all made in."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is a project's id, such as my-project, and not its number or name."
  }
}

variable "region" {
  description = "Region, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is one such as europe-west1."
  }
}

variable "zones" {
  description = "Zones of the region, such as [\"europe-west1-b\", \"europe-west1-c\"]. Machines are spread over them in turn."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) == length(distinct(var.zones))
    error_message = "zones are two or more, none of them twice."
  }
  validation {
    condition     = alltrue([for zone in var.zones : can(regex("^${var.region}-[a-z]$", zone))])
    error_message = "zones are those of the region, such as REGION-b."
  }
}

variable "subnet_cidr" {
  description = "IPv4 range of the machines' subnet, which spans the region's zones."
  type        = string
  default     = "10.0.0.0/20"

  validation {
    condition     = try(cidrhost(var.subnet_cidr, 0) == split("/", var.subnet_cidr)[0], false) && can(cidrnetmask(var.subnet_cidr))
    error_message = "subnet_cidr is an IPv4 range without host bits, such as 10.0.0.0/20."
  }
  validation {
    condition     = try(tonumber(split("/", var.subnet_cidr)[1]) >= 8 && tonumber(split("/", var.subnet_cidr)[1]) <= 26, false)
    error_message = "subnet_cidr is from /8 to /26."
  }
}

variable "pod_network" {
  description = "Network of the pods (net-conf's Network). Outside of the subnet, and of the subnets of peered networks."
  type        = string
  default     = "10.244.0.0/16"

  validation {
    condition     = try(cidrhost(var.pod_network, 0) == split("/", var.pod_network)[0], false) && can(cidrnetmask(var.pod_network))
    error_message = "pod_network is an IPv4 range without host bits, such as 10.244.0.0/16."
  }
  validation {
    # Two ranges overlap when they are the same as far as the shorter prefix goes.
    condition = alltrue([
      for other in [var.subnet_cidr] : try(length(distinct([
        for cidr in [other, var.pod_network] :
        cidrhost("${split("/", cidr)[0]}/${min(split("/", other)[1], split("/", var.pod_network)[1])}", 0)
      ])) == 2, true)
    ])
    error_message = "pod_network must not overlap subnet_cidr: Google refuses routes inside of a subnet's range."
  }
}

variable "writer" {
  description = "Who writes routes: `controller`, one elected for all, so that nodes hold no rights; or `node`, each its own."
  type        = string
  default     = "controller"

  validation {
    condition     = contains(["node", "controller"], var.writer)
    error_message = "writer is node or controller."
  }
}

variable "public_addresses" {
  description = "Whether machines have public addresses: their way to packages, to the release and to Google Cloud's API, and the operator's to port 22. Without, give the subnets a way out of your own."
  type        = bool
  default     = true
}

variable "ssh_cidrs" {
  description = "IPv4 ranges of operators who may reach port 22. None by default."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "ssh_cidrs are IPv4 ranges, none of them wider than /8: SSH is for operators, not for everybody."
  }
}

variable "ssh_public_key" {
  description = "The operator's, as USER:KEY, such as \"ubuntu:ssh-ed25519 AAAA… me\". Null: none but the project's."
  type        = string
  default     = null

  validation {
    condition     = var.ssh_public_key == null || can(regex("^[a-z_][a-z0-9_-]*:(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+) [A-Za-z0-9+/=]+( \\S+)?$", var.ssh_public_key))
    error_message = "ssh_public_key is USER:KEY, KEY being one line of an OpenSSH public key file."
  }
}

variable "agent_count" {
  description = "Nodes, spread over the zones."
  type        = number
  default     = 3

  validation {
    condition     = var.agent_count >= 0 && floor(var.agent_count) == var.agent_count
    error_message = "agent_count is a whole number, 0 or more."
  }
  validation {
    condition     = var.agent_count != 0 || var.writer == "controller" || var.etcd_endpoints == null
    error_message = "agent_count is 0, nodes are to write and etcd is there already: nothing would be made."
  }
  validation {
    # Google keeps a subnet's first two addresses and its last two, and nodes begin at the 17th.
    condition     = try(var.agent_count <= pow(2, 32 - split("/", var.subnet_cidr)[1]) - 18, true)
    error_message = "agent_count is more than there are addresses for: a wider subnet_cidr."
  }
}

variable "controller_count" {
  description = "Controllers, spread over the zones; of several, one is elected. The first one's machine runs the test cluster's etcd too."
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2, 3], var.controller_count)
    error_message = "controller_count is 1, 2 or 3."
  }
}

variable "machine_type" {
  description = "Type of all machines; its processor is one that the release has a program for (amd64 or arm64)."
  type        = string
  default     = "e2-small"
}

variable "image" {
  description = "Image of all machines, with cloud-init in it: Ubuntu 24.04 or later. Google's images of Debian have none."
  type        = string
  default     = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"
}

variable "etcd_endpoints" {
  description = "An etcd of yours, such as [\"https://etcd.internal:2379\"]. Null: a single one on the first controller's machine, for tests."
  type        = list(string)
  default     = null
}

variable "etcd_tls" {
  description = "For an etcd of yours: paths of certificate files on the machines. extra_cloud_init may write them; keys are better brought there otherwise."
  type        = object({ ca_file = optional(string), cert_file = optional(string), key_file = optional(string) })
  default     = {}
  nullable    = false
}

variable "release_url" {
  description = "Where machines fetch flannel-vpc from, one file; the word ARCH in it becomes amd64 or arm64."
  type        = string
}

variable "release_sha256" {
  description = "SHA-256 of that file by architecture, as in the release's SHA256SUMS. Another file is not installed."
  type        = map(string)
}

variable "backend" {
  description = "More members of net-conf's Backend, such as { NonMasqueradeCIDRs = [\"10.0.0.0/16\"] } (docs/net-conf.md)."
  type        = any
  default     = {}
}

variable "agent_args" {
  description = "More flags of the agents, such as [\"--iface=eth1\"] (docs/flags.md)."
  type        = list(string)
  default     = []
}

variable "controller_args" {
  description = "More flags of the controllers, such as [\"--resync=2m\"] (docs/commands.md)."
  type        = list(string)
  default     = []
}

variable "extra_cloud_init" {
  description = "More for every machine's cloud-init, as YAML of a mapping (modules/node-setup)."
  type        = string
  default     = ""
}

variable "labels" {
  description = "Labels of all machines."
  type        = map(string)
  default     = {}
}
