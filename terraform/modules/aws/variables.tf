variable "name" {
  description = "Names everything that is made, the role too, which is the account's in all Regions."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "name is 1 to 31 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "tags" {
  description = "Tags of everything that is made, besides its Name."
  type        = map(string)
  default     = {}
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC. Each zone's subnet gets a sixteenth of it."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false)
    error_message = "vpc_cidr is an IPv4 CIDR without host bits, such as 10.0.0.0/16."
  }
  validation {
    condition     = try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 22, false)
    error_message = "vpc_cidr is from /16, the largest of EC2, to /22, whose subnets are /26."
  }
}

variable "zones" {
  description = "Availability zones, such as [\"eu-west-1a\", \"eu-west-1b\"]. Machines are spread over them in turn."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 15 && length(var.zones) == length(distinct(var.zones))
    error_message = "zones are 2 to 15, none of them twice."
  }
}

variable "pod_network" {
  description = "Network of the pods (net-conf's Network). Outside of the VPC's range, and of what is peered with it."
  type        = string
  default     = "10.244.0.0/16"

  validation {
    condition     = try(cidrhost(var.pod_network, 0) == split("/", var.pod_network)[0], false) && can(cidrnetmask(var.pod_network))
    error_message = "pod_network is an IPv4 CIDR without host bits, such as 10.244.0.0/16."
  }
  validation {
    # Two ranges overlap when they are the same as far as the shorter prefix goes.
    condition = try(length(distinct([
      for cidr in [var.vpc_cidr, var.pod_network] :
      cidrhost("${split("/", cidr)[0]}/${min(split("/", var.vpc_cidr)[1], split("/", var.pod_network)[1])}", 0)
    ])) == 2, true)
    error_message = "pod_network must not overlap vpc_cidr: EC2 refuses routes inside of the VPC's own range."
  }
}

variable "ipv6_pod_network" {
  description = "IPv6 network of the pods, such as fd42:244::/48. Null: pods have IPv4 alone, and the VPC too."
  type        = string
  default     = null

  validation {
    condition = var.ipv6_pod_network == null || (
      can(cidrhost(var.ipv6_pod_network, 0)) && strcontains(coalesce(var.ipv6_pod_network, "-"), ":")
    )
    error_message = "ipv6_pod_network is an IPv6 CIDR, such as fd42:244::/48."
  }
}

variable "writer" {
  description = "Who writes routes: `controller`, one elected for all, so that nodes hold no credentials; or `node`, each its own."
  type        = string
  default     = "controller"

  validation {
    condition     = contains(["node", "controller"], var.writer)
    error_message = "writer is node or controller."
  }
}

variable "route_tables" {
  description = "`per-subnet`: a route table for each zone's subnet. `main`: the VPC's main table for all."
  type        = string
  default     = "per-subnet"

  validation {
    condition     = contains(["per-subnet", "main"], var.route_tables)
    error_message = "route_tables is per-subnet or main."
  }
}

variable "internet" {
  description = "Way to the internet: `gateway`, with public addresses; `nat`, which costs by the hour; `none`: yours, or endpoints."
  type        = string
  default     = "gateway"

  validation {
    condition     = contains(["gateway", "nat", "none"], var.internet)
    error_message = "internet is gateway, nat or none."
  }
}

variable "ssh_cidrs" {
  description = "IPv4 ranges of operators who may reach port 22. None by default."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "ssh_cidrs are IPv4 CIDRs, none of them wider than /8: SSH is for operators, not for everybody."
  }
}

variable "pod_ports" {
  description = "What pods are reached at by other pods. Null: everything. Else these, the agents' probe (UDP 8473) and ICMP."
  type        = list(object({ protocol = string, from = number, to = number }))
  default     = null

  validation {
    condition = alltrue([
      for port in coalesce(var.pod_ports, []) :
      contains(["tcp", "udp"], port.protocol) && port.from >= 0 && port.to <= 65535 && port.from <= port.to
    ])
    error_message = "pod_ports have protocol tcp or udp, and from and to of 0 to 65535, in order."
  }
}

variable "member_ports" {
  description = "What machines take from each other besides ICMP, etcd and the probe, such as a kubelet's TCP 10250."
  type        = list(object({ protocol = string, from = number, to = number }))
  default     = []

  validation {
    condition = alltrue([
      for port in var.member_ports :
      contains(["tcp", "udp"], port.protocol) && port.from >= 0 && port.to <= 65535 && port.from <= port.to
    ])
    error_message = "member_ports have protocol tcp or udp, and from and to of 0 to 65535, in order."
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
    # A subnet's last address is reserved, and nodes begin at its 17th.
    condition     = try(ceil(var.agent_count / length(var.zones)) <= pow(2, 28 - split("/", var.vpc_cidr)[1]) - 17, true)
    error_message = "agent_count is more than the zones' subnets have addresses for: a wider vpc_cidr, or more zones."
  }
}

variable "controller_count" {
  description = "Controllers, spread over the zones; of several, one is elected. The first machine runs the test cluster's etcd too."
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
  default     = "t3.small"
}

variable "disk_gib" {
  description = "Size of each machine's disk in GiB, no smaller than the image."
  type        = number
  default     = 8

  validation {
    condition     = var.disk_gib >= 8 && floor(var.disk_gib) == var.disk_gib
    error_message = "disk_gib is a whole number, 8 or more."
  }
}

variable "ami_id" {
  description = "Image of all machines: Debian 12 or later, or Ubuntu 24.04 or later. Null: Debian 12's newest for amd64."
  type        = string
  default     = null
}

variable "key_name" {
  description = "EC2 key pair for SSH. Null: none."
  type        = string
  default     = null
}

variable "etcd_endpoints" {
  description = "An etcd of yours, such as [\"https://etcd.internal:2379\"]. Null: a single one on the first controller's machine, for tests."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for url in coalesce(var.etcd_endpoints, []) : can(regex("^https?://[^/]+:[0-9]+$", url))])
    error_message = "etcd_endpoints are URLs with a port, such as https://etcd.internal:2379."
  }
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
