# What machines let in, as modules/node-setup says. In a basic group nodes reach each other without a rule; these stand for themselves all the
# same, so that another policy of the group breaks nothing.

locals {
  firewall = {
    for rule in local.a_setup.firewall : rule.name => rule
    if rule.to == "all" || local.own_etcd
  }
}

resource "alicloud_security_group" "machines" {
  security_group_name = var.name
  vpc_id              = alicloud_vpc.cluster.id
  inner_access_policy = "Accept"
  tags                = var.tags
}

resource "alicloud_security_group_rule" "machines" {
  for_each = local.firewall

  security_group_id = alicloud_security_group.machines.id
  description       = each.value.why
  type              = "ingress"
  # Of a VPC's machines it is always this one.
  nic_type    = "intranet"
  policy      = "accept"
  priority    = 1
  ip_protocol = each.value.protocol
  port_range  = each.value.port == null ? "-1/-1" : "${each.value.port}/${each.value.port}"
  cidr_ip     = each.value.from == "pods" ? var.pod_network : var.vpc_cidr
}

resource "alicloud_security_group_rule" "ssh" {
  for_each = toset(var.ssh_cidrs)

  security_group_id = alicloud_security_group.machines.id
  description       = "The operator."
  type              = "ingress"
  nic_type          = "intranet"
  policy            = "accept"
  priority          = 1
  ip_protocol       = "tcp"
  port_range        = "22/22"
  cidr_ip           = each.value
}
