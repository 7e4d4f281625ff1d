# One group for all machines. A rule each, as resources of their own: with inline rules Terraform would remove those that others add.
#
# No "same security group" rule matches the address of a pod, so the pod network is let in as a range.

resource "aws_security_group" "nodes" {
  name        = "${var.name}-nodes"
  description = "flannel-vpc nodes and what controls them"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${var.name}-nodes" })
}

locals {
  # The agents' --probe-port.
  probe_port = 8473

  pod_networks = { for family, cidr in { ipv4 = var.pod_network, ipv6 = var.ipv6_pod_network } : family => cidr if cidr != null }

  # What pods are reached at: everything, or the ports that are named and what the program itself needs.
  pod_traffic = var.pod_ports == null ? {
    all = { protocol = "-1", from = null, to = null, text = "pods, everything" }
    } : merge(
    {
      # Agents prove to each other by it that they are reached.
      probe = { protocol = "udp", from = local.probe_port, to = local.probe_port, text = "pods, the probe of the agents" }
      icmp  = { protocol = "icmp", from = -1, to = -1, text = "pods, ICMP" }
    },
    { for port in var.pod_ports : "${port.protocol}-${port.from}-${port.to}" => {
      protocol = port.protocol, from = port.from, to = port.to, text = "pods, ${port.protocol} ${port.from} to ${port.to}"
    } },
  )
  pod_rules = merge([
    for family, cidr in local.pod_networks : {
      for key, rule in local.pod_traffic : "${family}-${key}" => merge(rule, { family = family, cidr = cidr })
    }
  ]...)
}

resource "aws_vpc_security_group_ingress_rule" "pods" {
  for_each = local.pod_rules

  security_group_id = aws_security_group.nodes.id
  description       = each.value.text
  cidr_ipv4         = each.value.family == "ipv4" ? each.value.cidr : null
  cidr_ipv6         = each.value.family == "ipv6" ? each.value.cidr : null
  ip_protocol       = each.value.protocol == "icmp" && each.value.family == "ipv6" ? "icmpv6" : each.value.protocol
  from_port         = each.value.from
  to_port           = each.value.to
  tags              = var.tags
}

# What members take from each other, by the addresses of the machines themselves.

locals {
  member_rules = merge(
    {
      icmp = { protocol = "icmp", from = -1, to = -1, text = "members, ICMP: ping, and packets too large for a link" }
      # An agent whose probe is not answered asks by it whether the machine is there at all.
      presence = { protocol = "tcp", from = local.probe_port, to = local.probe_port, text = "members, whether a machine is there" }
    },
    local.own_etcd ? { etcd = { protocol = "tcp", from = 2379, to = 2379, text = "members, etcd" } } : {},
    { for port in var.member_ports : "${port.protocol}-${port.from}-${port.to}" => {
      protocol = port.protocol, from = port.from, to = port.to, text = "members, ${port.protocol} ${port.from} to ${port.to}"
    } },
  )
}

resource "aws_vpc_security_group_ingress_rule" "members" {
  for_each = local.member_rules

  security_group_id            = aws_security_group.nodes.id
  description                  = each.value.text
  referenced_security_group_id = aws_security_group.nodes.id
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from
  to_port                      = each.value.to
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = toset(var.ssh_cidrs)

  security_group_id = aws_security_group.nodes.id
  description       = "operators, SSH"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "all" {
  for_each = local.ipv6 ? { ipv4 = "0.0.0.0/0", ipv6 = "::/0" } : { ipv4 = "0.0.0.0/0" }

  security_group_id = aws_security_group.nodes.id
  description       = "everything"
  cidr_ipv4         = each.key == "ipv4" ? each.value : null
  cidr_ipv6         = each.key == "ipv6" ? each.value : null
  ip_protocol       = "-1"
  tags              = var.tags
}
