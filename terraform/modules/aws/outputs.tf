output "region" {
  description = "AWS Region of it all."
  value       = data.aws_region.this.name
}

output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Its IPv4 range."
  value       = aws_vpc.this.cidr_block
}

output "subnets" {
  description = "Subnets of machines, by zone: id, range, and the route table that decides for what is sent from there."
  value = {
    for place, zone in var.zones : zone => {
      id       = aws_subnet.nodes[place].id
      cidr     = aws_subnet.nodes[place].cidr_block
      table_id = local.table_ids[local.tables_of_their_own ? place : 0]
    }
  }
}

output "table_ids" {
  description = "Route tables that hold the routes of pods."
  value       = local.table_ids
}

output "security_group_id" {
  description = "Security group of all machines."
  value       = aws_security_group.nodes.id
}

output "agents" {
  description = "Nodes by name: instance, its network interface (a route's target), private address, zone."
  value       = { for name in keys(local.agents) : name => local.shown[name] }
}

output "controllers" {
  description = "Controllers by name, the same; with writer = node the machine of etcd alone."
  value       = { for name in keys(local.controllers) : name => local.shown[name] }
}

locals {
  shown = {
    for name, machine in aws_instance.machine : name => {
      instance_id = machine.id
      nic_id      = machine.primary_network_interface_id
      address     = machine.private_ip
      public_ip   = machine.public_ip
      zone        = machine.availability_zone
    }
  }
}

output "role_name" {
  description = "Role of whoever writes routes: of the controllers, or of the nodes."
  value       = aws_iam_role.writer.name
}

output "policies" {
  description = "Policies as JSON with the ids of this cluster: node, controller, and read for whoever only looks."
  value       = local.policies
}

output "net_conf" {
  description = "Net-conf, which the machine of etcd stores at its first start; with an etcd of yours store it by `flannel-vpc netconf set`."
  value       = one(distinct([for setup in module.setup : setup.net_conf]))
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
  description = "Before `terraform destroy`: the first on all machines, then the second on one that has the role."
  value = [
    "sudo systemctl stop flannel-vpc-agent flannel-vpc-controller",
    "flannel-vpc routes purge --yes --etcd-endpoints=${join(",", local.etcd_endpoints)} --network=${join(",", values(local.pod_networks))}",
  ]
}
