variable "name" {
  description = "Names everything that is made, the RAM role and policy too, which are the account's in all regions."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}[a-z0-9]$", var.name))
    error_message = "name is 2 to 31 lower-case letters, digits and hyphens, starts with a letter and does not end with a hyphen."
  }
}

variable "region" {
  description = "Region, such as cn-hangzhou. It is part of the policy."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z0-9-]+$", var.region))
    error_message = "region is one such as cn-hangzhou."
  }
}

variable "zones" {
  description = "Zones of the region, such as [\"cn-hangzhou-h\", \"cn-hangzhou-i\"]. Machines are spread over them in turn."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 15 && length(var.zones) == length(distinct(var.zones))
    error_message = "zones are 2 to 15, none of them twice."
  }
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC. Each zone's vSwitch gets a sixteenth of it."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false) && can(cidrnetmask(var.vpc_cidr))
    error_message = "vpc_cidr is an IPv4 range without host bits, such as 10.0.0.0/16."
  }
  validation {
    condition     = try(tonumber(split("/", var.vpc_cidr)[1]) >= 12 && tonumber(split("/", var.vpc_cidr)[1]) <= 22, false)
    error_message = "vpc_cidr is from /12 to /22, whose subnets are /26."
  }
}

variable "pod_network" {
  description = "Network of the pods (net-conf's Network). Best outside of the VPC's range; 100.64.0.0/10 is the cloud's own."
  type        = string
  default     = "10.244.0.0/16"

  validation {
    condition     = try(cidrhost(var.pod_network, 0) == split("/", var.pod_network)[0], false) && can(cidrnetmask(var.pod_network))
    error_message = "pod_network is an IPv4 range without host bits, such as 10.244.0.0/16."
  }
  validation {
    # Two ranges overlap when they are the same as far as the shorter prefix goes.
    condition = alltrue([
      for other in [var.vpc_cidr, "100.64.0.0/10"] : try(length(distinct([
        for cidr in [other, var.pod_network] :
        cidrhost("${split("/", cidr)[0]}/${min(split("/", other)[1], split("/", var.pod_network)[1])}", 0)
      ])) == 2, true)
    ])
    error_message = "pod_network must overlap neither vpc_cidr nor 100.64.0.0/10, which the cloud keeps for its services."
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

variable "route_tables" {
  description = "`per-subnet`: a route table for each zone's subnet. `one`: one table for all of them."
  type        = string
  default     = "one"

  validation {
    condition     = contains(["one", "per-subnet"], var.route_tables)
    error_message = "route_tables is one or per-subnet."
  }
}

variable "public_addresses" {
  description = "Whether machines have public addresses: their way to packages, to the release and to Alibaba Cloud's API, and the operator's to port 22. Without, give the subnets a way out of your own."
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
  description = "Public key of the operator's SSH key, as in its .pub file. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.ssh_public_key == null || can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+) [A-Za-z0-9+/=]+( \\S+)?$", var.ssh_public_key))
    error_message = "ssh_public_key is one line of an OpenSSH public key file."
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
    # Alibaba Cloud keeps a vSwitch's first address and its last three, and nodes begin at the 17th.
    condition     = try(ceil(var.agent_count / length(var.zones)) <= pow(2, 28 - split("/", var.vpc_cidr)[1]) - 19, true)
    error_message = "agent_count is more than there are addresses for in the zones' vSwitches: a wider vpc_cidr, or more zones."
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

variable "instance_type" {
  description = "Type of all machines; its processor is one that the release has a program for (amd64 or arm64)."
  type        = string
  default     = "ecs.e-c1m2.large"
}

variable "bandwidth_mbps" {
  description = "Most that a machine sends to the internet, in Mbit/s, with public_addresses. It costs by the volume."
  type        = number
  default     = 10

  validation {
    condition     = var.bandwidth_mbps >= 1 && var.bandwidth_mbps <= 100 && floor(var.bandwidth_mbps) == var.bandwidth_mbps
    error_message = "bandwidth_mbps is a whole number from 1 to 100."
  }
}

variable "image" {
  description = "Image id of all machines, with cloud-init in it: Debian 12 or later, or Ubuntu 24.04 or later. Null: Ubuntu 24.04's newest for amd64."
  type        = string
  default     = null
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

variable "tags" {
  description = "Tags of everything that has tags."
  type        = map(string)
  default     = {}
}
