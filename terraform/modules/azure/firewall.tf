# What machines let in, as modules/node-setup says. Azure's own rule AllowVnetInBound lets in what comes from the VNet and from prefixes of its
# routes, the pods' too; these stand for themselves, so that a rule of yours that denies it breaks nothing.

locals {
  firewall = [
    for rule in local.a_setup.firewall : rule
    if rule.to == "all" || local.own_etcd
  ]
  protocols = { all = "*", icmp = "Icmp", tcp = "Tcp", udp = "Udp" }
}

resource "azurerm_network_security_group" "machines" {
  name                = "machines"
  resource_group_name = azurerm_resource_group.cluster.name
  location            = azurerm_resource_group.cluster.location
  tags                = var.tags
}

resource "azurerm_network_security_rule" "machines" {
  for_each = { for place, rule in local.firewall : rule.name => merge(rule, { priority = 1000 + 10 * place }) }

  name                        = each.key
  description                 = each.value.why
  resource_group_name         = azurerm_resource_group.cluster.name
  network_security_group_name = azurerm_network_security_group.machines.name
  priority                    = each.value.priority
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = local.protocols[each.value.protocol]
  source_address_prefix       = each.value.from == "pods" ? var.pod_network : var.vpc_cidr
  source_port_range           = "*"
  destination_address_prefix  = each.value.to == "etcd" ? "${local.etcd_address}/32" : "*"
  destination_port_range      = each.value.port == null ? "*" : tostring(each.value.port)
}

resource "azurerm_network_security_rule" "ssh" {
  count = length(var.ssh_cidrs) > 0 ? 1 : 0

  name                        = "ssh"
  description                 = "The operator."
  resource_group_name         = azurerm_resource_group.cluster.name
  network_security_group_name = azurerm_network_security_group.machines.name
  priority                    = 900
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_address_prefixes     = var.ssh_cidrs
  source_port_range           = "*"
  destination_address_prefix  = "*"
  destination_port_range      = "22"
}

resource "azurerm_subnet_network_security_group_association" "nodes" {
  count = length(var.zones)

  subnet_id                 = azurerm_subnet.nodes[count.index].id
  network_security_group_id = azurerm_network_security_group.machines.id
}
