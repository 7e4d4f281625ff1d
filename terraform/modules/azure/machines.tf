# Controllers, and the nodes that pods run on. Addresses are given, not found: etcd's stands in what every machine is told at its first start.

locals {
  # With writer = "node" no controller runs, and one machine is left for the test cluster's etcd.
  controllers_run  = var.writer == "controller"
  own_etcd         = var.etcd_endpoints == null
  controller_count = local.controllers_run ? var.controller_count : local.own_etcd ? 1 : 0

  # Azure keeps a subnet's first four addresses and its last one for itself.
  controllers = {
    for place in range(local.controller_count) : "controller-${place + 1}" => {
      zone          = place % length(var.zones)
      host          = 4 + floor(place / length(var.zones))
      runs          = concat(local.controllers_run ? ["controller"] : [], place == 0 && local.own_etcd ? ["etcd"] : [])
      writes_routes = local.controllers_run
    }
  }
  agents = {
    for place in range(var.agent_count) : "agent-${place + 1}" => {
      zone          = place % length(var.zones)
      host          = 16 + floor(place / length(var.zones))
      runs          = ["agent"]
      writes_routes = !local.controllers_run
    }
  }
  machines = merge(local.controllers, local.agents)

  etcd_address   = cidrhost(local.subnet_cidrs[0], 4)
  etcd_endpoints = local.own_etcd ? ["http://${local.etcd_address}:2379"] : var.etcd_endpoints

  # Of several identities of a machine this is the one to use.
  writer_env = { AZURE_CLIENT_ID = azurerm_user_assigned_identity.writer.client_id }

  # What all of them have in common.
  a_setup = values(module.setup)[0]
}

module "setup" {
  source   = "../node-setup"
  for_each = local.machines

  runs             = each.value.runs
  store            = merge({ type = "etcd", endpoints = local.etcd_endpoints }, var.etcd_tls)
  release_url      = var.release_url
  release_sha256   = var.release_sha256
  network          = var.pod_network
  backend_type     = "azure-vnet"
  writer           = var.writer
  backend          = merge(var.backend, { RouteTable = local.table_ids })
  agent_args       = var.agent_args
  agent_env        = local.controllers_run ? {} : local.writer_env
  controller_args  = var.controller_args
  controller_env   = local.writer_env
  extra_cloud_init = var.extra_cloud_init
}

resource "azurerm_public_ip" "machine" {
  for_each = var.public_addresses ? local.machines : {}

  name                = each.key
  resource_group_name = azurerm_resource_group.cluster.name
  location            = azurerm_resource_group.cluster.location
  sku                 = "Standard"
  allocation_method   = "Static"
  zones               = [var.zones[each.value.zone]]
  tags                = var.tags
}

resource "azurerm_network_interface" "machine" {
  for_each = local.machines

  name                = each.key
  resource_group_name = azurerm_resource_group.cluster.name
  location            = azurerm_resource_group.cluster.location
  tags                = var.tags

  ip_configuration {
    name                          = "machine"
    primary                       = true
    subnet_id                     = azurerm_subnet.nodes[each.value.zone].id
    private_ip_address_allocation = "Static"
    private_ip_address            = cidrhost(local.subnet_cidrs[each.value.zone], each.value.host)
    public_ip_address_id          = var.public_addresses ? azurerm_public_ip.machine[each.key].id : null
  }

  lifecycle {
    # Whoever writes routes switches a node's IP forwarding on, and Terraform must not switch it off again.
    ignore_changes = [ip_forwarding_enabled]
  }
}

resource "azurerm_linux_virtual_machine" "machine" {
  for_each = local.machines

  name                  = "${var.name}-${each.key}"
  resource_group_name   = azurerm_resource_group.cluster.name
  location              = azurerm_resource_group.cluster.location
  zone                  = var.zones[each.value.zone]
  size                  = var.vm_size
  admin_username        = var.admin_username
  network_interface_ids = [azurerm_network_interface.machine[each.key].id]
  custom_data           = base64encode(module.setup[each.key].user_data)
  tags                  = var.tags

  admin_ssh_key {
    username   = var.admin_username
    public_key = var.ssh_public_key
  }

  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "StandardSSD_LRS"
  }

  source_image_reference {
    publisher = var.image.publisher
    offer     = var.image.offer
    sku       = var.image.sku
    version   = var.image.version
  }

  # No identity, no credentials: nothing on the machine can change a route.
  dynamic "identity" {
    for_each = each.value.writes_routes ? [azurerm_user_assigned_identity.writer.id] : []
    content {
      type         = "UserAssigned"
      identity_ids = [identity.value]
    }
  }

  # The first packets already pass the rules and follow the table that stay.
  depends_on = [
    azurerm_subnet_route_table_association.nodes,
    azurerm_subnet_network_security_group_association.nodes,
  ]
}
