output "network" {
  description = "The VPC network, as net-conf's VPCNetwork has it; routes of pods stand in it."
  value       = "${var.project_id}/${google_compute_network.cluster.name}"
}

output "subnet_id" {
  description = "Subnet of the machines."
  value       = google_compute_subnetwork.nodes.id
}

output "agents" {
  description = "Nodes by name: instance, private and public address, zone."
  value       = { for name in keys(local.agents) : name => local.shown[name] }
}

output "controllers" {
  description = "Controllers by name, the same; with writer = node the machine of etcd alone."
  value       = { for name in keys(local.controllers) : name => local.shown[name] }
}

locals {
  shown = {
    for name, machine in google_compute_instance.machine : name => {
      instance  = machine.name
      address   = machine.network_interface[0].network_ip
      public_ip = try(machine.network_interface[0].access_config[0].nat_ip, null)
      zone      = machine.zone
    }
  }
}

output "service_account" {
  description = "Account of whoever writes routes: of the controllers, or of the nodes."
  value       = google_service_account.writer.email
}

output "role_id" {
  description = "Its role."
  value       = google_project_iam_custom_role.writer.id
}

output "permissions" {
  description = "Its rights, those of providers/gce/README.md."
  value       = local.permissions
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
