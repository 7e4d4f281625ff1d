variable "runs" {
  description = "What this machine runs: agent (every node), controller (two or three machines of a cluster with that writer), etcd (one machine, for test clusters only: a single member, without TLS and without users)."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.runs) > 0 && length(setsubtract(var.runs, ["agent", "controller", "etcd"])) == 0
    error_message = "runs takes one or more of agent, controller and etcd."
  }
  validation {
    condition     = !contains(var.runs, "etcd") || (var.store.type == "etcd" && alltrue([for url in var.store.endpoints : startswith(url, "http://")]))
    error_message = "The etcd of a test cluster speaks plain http: with etcd in runs, store is of type etcd and its endpoints begin with http://."
  }
  validation {
    condition     = !contains(var.runs, "controller") || var.writer == "controller"
    error_message = "A controller has nothing to do where nodes write their own routes: set writer to controller, or take it out of runs."
  }
}

variable "store" {
  description = "Where the leases are. etcd: endpoints, and for TLS the paths of files on the machine. kubernetes: the path of a kubeconfig file on the machine; pods need none, and no module either (deploy/kustomize)."
  type = object({
    type       = string
    endpoints  = optional(list(string), [])
    prefix     = optional(string, "/coreos.com/network")
    ca_file    = optional(string)
    cert_file  = optional(string)
    key_file   = optional(string)
    kubeconfig = optional(string)
  })

  validation {
    condition     = contains(["etcd", "kubernetes"], var.store.type)
    error_message = "store.type is etcd or kubernetes."
  }
  validation {
    condition = var.store.type != "etcd" || (
      length(var.store.endpoints) > 0 && alltrue([for url in var.store.endpoints : can(regex("^https?://[A-Za-z0-9.:\\[\\]-]+$", url))])
    )
    error_message = "store.endpoints are URLs such as https://10.0.1.10:2379, one or more, without a path."
  }
  validation {
    condition     = can(regex("^(/[A-Za-z0-9._-]+)+$", var.store.prefix))
    error_message = "store.prefix is a key of etcd such as /coreos.com/network, without a slash at its end."
  }
  validation {
    condition     = (var.store.cert_file == null) == (var.store.key_file == null)
    error_message = "store.cert_file and store.key_file are given together."
  }
  validation {
    condition = alltrue([
      for path in compact([var.store.ca_file, var.store.cert_file, var.store.key_file, var.store.kubeconfig]) :
      can(regex("^/[A-Za-z0-9._/-]+$", path)) && !can(regex("^/(home|root|run/user|tmp)/", path))
    ])
    error_message = "Files of store are absolute paths of letters, digits and ._-/, outside of /home, /root and /tmp, which the units hide."
  }
  validation {
    condition     = var.store.type != "kubernetes" || var.store.kubeconfig != null
    error_message = "A store of type kubernetes needs store.kubeconfig: these programs run outside of pods."
  }
}

variable "release_url" {
  description = "Where the program, one file, is fetched from when the machine starts. The word ARCH in it becomes amd64 or arm64, as in https://releases.example/0.1.0/flannel-vpc-linux-ARCH."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._~%/+-]+$", var.release_url))
    error_message = "release_url is an http or https URL of a file, without query, spaces and quotes."
  }
}

variable "release_sha256" {
  description = "SHA-256 of that file by architecture (amd64, arm64), as in the release's SHA256SUMS. Another file is not installed."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.release_sha256) > 0 && length(setsubtract(keys(var.release_sha256), ["amd64", "arm64"])) == 0
    error_message = "release_sha256 has amd64, arm64 or both."
  }
  validation {
    condition     = alltrue([for hash in values(var.release_sha256) : can(regex("^[0-9a-f]{64}$", hash))])
    error_message = "Each hash of release_sha256 has 64 digits 0-9a-f."
  }
}

variable "network" {
  description = "The pod network, an IPv4 range such as 10.244.0.0/16; null for a cluster of IPv6 alone."
  type        = string
  default     = null

  validation {
    condition = var.network == null || (
      can(regex("^[0-9.]+/([89]|1[0-9]|2[0-8])$", var.network)) && try(cidrsubnet(var.network, 0, 0) == var.network, false)
    )
    error_message = "network is an IPv4 range without host bits, from /8 to /28."
  }
  validation {
    condition     = var.network != null || var.ipv6_network != null
    error_message = "One of network and ipv6_network is needed."
  }
}

variable "ipv6_network" {
  description = "The pod network for IPv6, such as fd00:10:244::/48; null for a cluster of IPv4 alone."
  type        = string
  default     = null

  validation {
    condition = var.ipv6_network == null || (
      can(regex("^[0-9a-f:]+/[0-9]+$", var.ipv6_network)) &&
      try(tonumber(split("/", var.ipv6_network)[1]) <= 124, false) &&
      try(cidrsubnet(var.ipv6_network, 0, 0) == var.ipv6_network, false)
    )
    error_message = "ipv6_network is an IPv6 range without host bits, up to /124, in its shortest form."
  }
}

variable "subnet_len" {
  description = "Prefix length of a node's subnet (net-conf's SubnetLen); null for the program's default, 24 where the network has room for it."
  type        = number
  default     = null

  validation {
    condition     = var.subnet_len == null || try(var.subnet_len >= tonumber(split("/", var.network)[1]) + 2 && var.subnet_len <= 30, false)
    error_message = "subnet_len is at least two more than network's prefix length, and at most 30."
  }
}

variable "backend_type" {
  description = "net-conf's Backend.Type: aws-vpc, gce, ali-vpc or azure-vnet."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["aws-vpc", "gce", "ali-vpc", "azure-vnet"], var.backend_type)
    error_message = "backend_type is aws-vpc, gce, ali-vpc or azure-vnet."
  }
}

variable "writer" {
  description = "Who writes routes (Backend.Writer): controller, so that nodes hold no rights, or node, each its own, as flannel did."
  type        = string
  default     = "controller"
  nullable    = false

  validation {
    condition     = contains(["node", "controller"], var.writer)
    error_message = "writer is node or controller."
  }
}

variable "backend" {
  description = "Further members of net-conf's Backend, such as { RouteTableID = [\"rtb-…\"] }. docs/net-conf.md lists them."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.backend)) && length(setintersection(try([for name in keys(var.backend) : lower(name)], []), ["type", "writer"])) == 0
    error_message = "backend is an object, without Type and Writer: those have variables of their own."
  }
}

variable "probe_port" {
  description = "UDP port by which agents prove to each other that pods are reached, the same on all machines."
  type        = number
  default     = 8473
  nullable    = false

  validation {
    condition     = var.probe_port >= 1024 && var.probe_port <= 65535 && floor(var.probe_port) == var.probe_port
    error_message = "probe_port is a port from 1024 to 65535."
  }
}

variable "agent_args" {
  description = "Flags of the agent beyond those of its unit (--ip-masq --bridge=cni0, and /readyz on 127.0.0.1:8081), such as [\"--iface=eth0\"]. docs/flags.md lists them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for word in var.agent_args : can(regex("^--?[a-z][a-z0-9-]*(=[^\\s\"'\\\\%$]*)?$", word))])
    error_message = "Each of agent_args is a flag, --NAME or --NAME=VALUE, without spaces, quotes, backslashes, % and $."
  }
}

variable "controller_args" {
  description = "Flags of the controller, such as [\"--resync=2m\"]. docs/commands.md lists them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for word in var.controller_args : can(regex("^--?[a-z][a-z0-9-]*(=[^\\s\"'\\\\%$]*)?$", word))])
    error_message = "Each of controller_args is a flag, --NAME or --NAME=VALUE, without spaces, quotes, backslashes, % and $."
  }
}

variable "agent_env" {
  description = "Further lines of agent.env, such as the cloud's variables. Whoever may read the machine's user data reads them: no secrets."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name, value in var.agent_env : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[^\\s\"'\\\\]*$", value))
    ])
    error_message = "agent_env has NAMES in capitals, and values without spaces, quotes and backslashes."
  }
}

variable "controller_env" {
  description = "Further lines of controller.env, such as the cloud's variables. Whoever may read the machine's user data reads them: no secrets."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name, value in var.controller_env : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[^\\s\"'\\\\]*$", value))
    ])
    error_message = "controller_env has NAMES in capitals, and values without spaces, quotes and backslashes."
  }
}

variable "extra_cloud_init" {
  description = "More for cloud-init, as YAML of a mapping. Its lists packages, write_files, bootcmd and runcmd go after (bootcmd: beside) this module's; its other keys are taken as they are."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.extra_cloud_init == "" || can(keys(yamldecode(var.extra_cloud_init)))
    error_message = "extra_cloud_init is YAML with a mapping at its top."
  }
}
