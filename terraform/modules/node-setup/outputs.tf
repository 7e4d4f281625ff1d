output "user_data" {
  description = "cloud-init's text for this machine (#cloud-config)."
  value       = "#cloud-config\n${yamlencode(local.cloud_config)}"
}

output "net_conf" {
  description = "Net-conf as it must be stored: by this module where the machine runs etcd, else by `flannel-vpc netconf set`."
  value       = local.net_conf
}

output "firewall" {
  description = "What a machine must let in. from: pods (the pod network) or nodes (the machines' own subnets); protocol: all, icmp, tcp or udp; port: null for all; to: all machines, or etcd's."
  value = [
    { name = "pods", from = "pods", to = "all", protocol = "all", port = null, why = "Pods of other nodes keep their own addresses, which no rule by group, tag or account matches." },
    { name = "probe", from = "nodes", to = "all", protocol = "udp", port = var.probe_port, why = "Agents ask one another whether pods are reached." },
    { name = "probe-refusal", from = "nodes", to = "all", protocol = "tcp", port = var.probe_port, why = "A refusal there tells a live machine from a dead one." },
    { name = "ping", from = "nodes", to = "all", protocol = "icmp", port = null, why = "Nodes that answer no probe are pinged." },
    { name = "etcd", from = "nodes", to = "etcd", protocol = "tcp", port = 2379, why = "Leases, where the cluster runs its own etcd." },
  ]
}
