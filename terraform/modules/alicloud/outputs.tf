output "vpc_id" {
  description = "The VPC."
  value       = alicloud_vpc.cluster.id
}

output "subnets" {
  description = "vSwitches of machines, by zone: id, range, and the route table that decides for what is sent from there."
  value = {
    for place, zone in var.zones : zone => {
      id       = alicloud_vswitch.nodes[place].id
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
  description = "Security group of all machines."
  value       = alicloud_security_group.machines.id
}

output "agents" {
  description = "Nodes by name: instance, its network interface, private and public address, zone."
  value       = { for name in keys(local.agents) : name => local.shown[name] }
}

output "controllers" {
  description = "Controllers by name, the same; with writer = node the machine of etcd alone."
  value       = { for name in keys(local.controllers) : name => local.shown[name] }
}

locals {
  shown = {
    for name, machine in alicloud_instance.machine : name => {
      instance_id = machine.id
      nic_id      = machine.network_interface_id
      address     = machine.private_ip
      public_ip   = machine.public_ip
      zone        = var.zones[local.machines[name].zone]
    }
  }
}

output "role_name" {
  description = "RAM role of whoever writes routes: of the controllers, or of the nodes."
  value       = alicloud_ram_role.writer.role_name
}

output "policy" {
  description = "Its policy as JSON, that of providers/ali-vpc/README.md with the ids of this cluster."
  value       = local.policy
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
