output "resource_group" {
  description = "Resource group of all of it."
  value       = azurerm_resource_group.cluster.name
}

output "vnet_id" {
  description = "The VNet."
  value       = azurerm_virtual_network.cluster.id
}

output "subnets" {
  description = "Subnets of machines, by zone: id, range, and the route table that decides for what is sent from there."
  value = {
    for place, zone in var.zones : zone => {
      id       = azurerm_subnet.nodes[place].id
      cidr     = local.subnet_cidrs[place]
      table_id = local.table_ids[local.table_count == 1 ? 0 : place]
    }
  }
}

output "table_ids" {
  description = "Route tables that hold the routes of pods."
  value       = local.table_ids
}

output "security_group_id" {
  description = "Network security group of all subnets."
  value       = azurerm_network_security_group.machines.id
}

output "agents" {
  description = "Nodes by name: machine, its network interface, private and public address, zone."
  value       = { for name in keys(local.agents) : name => local.shown[name] }
}

output "controllers" {
  description = "Controllers by name, the same; with writer = node the machine of etcd alone."
  value       = { for name in keys(local.controllers) : name => local.shown[name] }
}

locals {
  shown = {
    for name, machine in azurerm_linux_virtual_machine.machine : name => {
      id        = machine.id
      nic_id    = azurerm_network_interface.machine[name].id
      address   = azurerm_network_interface.machine[name].private_ip_address
      public_ip = var.public_addresses ? azurerm_public_ip.machine[name].ip_address : null
      zone      = machine.zone
    }
  }
}

output "identity_id" {
  description = "Managed identity of whoever writes routes: of the controllers, or of the nodes."
  value       = azurerm_user_assigned_identity.writer.id
}

output "role_name" {
  description = "Its role in the resource group."
  value       = azurerm_role_definition.writer.name
}

output "actions" {
  description = "What the role allows, as in providers/azure-vnet/README.md."
  value       = local.actions
}

output "net_conf" {
  description = "Net-conf, which the machine of etcd stores at its first start; with an etcd of yours store it by `flannel-vpc netconf set`."
  value       = local.a_setup.net_conf
}

output "etcd_endpoints" {
  description = "Where the leases are: for --etcd-endpoints and FLANNELD_ETCD_ENDPOINTS."
  value       = local.etcd_endpoints
}

output "next_commands" {
  description = "What to look at: how the cluster is, on a machine that writes routes, since no other may read them; how a node is, on that node."
  value = [
    "export FLANNELD_ETCD_ENDPOINTS=${join(",", local.etcd_endpoints)}",
    "cloud-init status --wait",
    "flannel-vpc status # on a ${var.writer}",
    "flannel-vpc routes # on a ${var.writer}",
    "sudo -E flannel-vpc doctor # on a node",
  ]
}

output "purge_commands" {
  description = "Before `terraform destroy`: stop the programs on all machines, then take the routes of pods out, on a machine that writes them."
  value = [
    "sudo systemctl stop flannel-vpc-agent flannel-vpc-controller",
    "flannel-vpc routes purge --yes --etcd-endpoints=${join(",", local.etcd_endpoints)} --network=${var.pod_network}",
  ]
}
