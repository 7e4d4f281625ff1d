# A subnet for each zone's machines. Azure follows the table of the sender's subnet; routes in the tables are the program's and never
# Terraform's.

locals {
  subnet_cidrs = [for place in range(length(var.zones)) : cidrsubnet(var.vpc_cidr, 4, place)]
  table_count  = var.route_tables == "one" ? 1 : length(var.zones)
  table_ids    = azurerm_route_table.nodes[*].id
}

resource "azurerm_resource_group" "cluster" {
  name     = var.name
  location = var.location
  tags     = var.tags
}

resource "azurerm_virtual_network" "cluster" {
  name                = var.name
  resource_group_name = azurerm_resource_group.cluster.name
  location            = azurerm_resource_group.cluster.location
  address_space       = [var.vpc_cidr]
  tags                = var.tags
}

resource "azurerm_subnet" "nodes" {
  count = length(var.zones)

  name                 = "nodes-${var.zones[count.index]}"
  resource_group_name  = azurerm_resource_group.cluster.name
  virtual_network_name = azurerm_virtual_network.cluster.name
  address_prefixes     = [local.subnet_cidrs[count.index]]
}

resource "azurerm_route_table" "nodes" {
  count = local.table_count

  name                = local.table_count == 1 ? "pods" : "pods-${var.zones[count.index]}"
  resource_group_name = azurerm_resource_group.cluster.name
  location            = azurerm_resource_group.cluster.location
  tags                = var.tags

  lifecycle {
    # They come and go with nodes.
    ignore_changes = [route]
  }
}

resource "azurerm_subnet_route_table_association" "nodes" {
  count = length(var.zones)

  subnet_id      = azurerm_subnet.nodes[count.index].id
  route_table_id = azurerm_route_table.nodes[local.table_count == 1 ? 0 : count.index].id
}
