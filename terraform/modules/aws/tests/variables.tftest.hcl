# What is taken and what is refused, by a provider that makes nothing: `terraform init && terraform test` here.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_data "aws_ami" {
    defaults = { id = "ami-0123456789abcdef0" }
  }
  mock_resource "aws_vpc" {
    defaults = {
      id = "vpc-0123456789abcdef0", main_route_table_id = "rtb-0123456789abcdef0", ipv6_cidr_block = "2a05:d018:1234:5600::/56"
    }
  }
}

variables {
  name           = "blue"
  zones          = ["eu-west-1a", "eu-west-1b"]
  release_url    = "https://releases.example/0.1.0/flannel-vpc-linux-ARCH"
  release_sha256 = { amd64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
}

run "the_least" {
  assert {
    condition = [for name, machine in aws_instance.machine : "${name} ${machine.private_ip}"] == [
      "agent-1 10.0.0.16", "agent-2 10.0.16.16", "agent-3 10.0.0.17", "controller-1 10.0.0.4", "controller-2 10.0.16.4",
    ]
    error_message = "Machines are spread over the zones, with addresses that are known before."
  }
  assert {
    condition     = alltrue([for machine in aws_instance.machine : machine.metadata_options[0].http_tokens == "required" && machine.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "Machines answer IMDSv2 alone, and not pods."
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.pods) == ["ipv4-all"] && length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "Pods are let in whole, and SSH is not."
  }
  assert {
    condition     = [for name, machine in aws_instance.machine : name if machine.iam_instance_profile == aws_iam_instance_profile.writer.name] == ["controller-1", "controller-2"]
    error_message = "Of all machines the controllers alone have a role."
  }
  assert {
    condition     = length(aws_route_table.nodes) == 2 && length(aws_nat_gateway.this) == 0 && length(aws_route.internet) == 2
    error_message = "Each zone has a table, and each table a way to the internet gateway."
  }
  assert {
    condition     = [for name, machine in aws_instance.machine : name if length(machine.user_data) > 16384] == []
    error_message = "EC2 takes 16 KiB of user data."
  }
}

run "nodes_that_write_for_themselves" {
  variables {
    writer           = "node"
    route_tables     = "main"
    internet         = "nat"
    controller_count = 3
  }

  assert {
    condition     = [for name, machine in aws_instance.machine : name if machine.iam_instance_profile == aws_iam_instance_profile.writer.name] == ["agent-1", "agent-2", "agent-3"]
    error_message = "Of all machines the nodes alone have a role."
  }
  assert {
    condition     = keys(output.controllers) == ["controller-1"]
    error_message = "One machine is left, for etcd."
  }
  assert {
    condition     = output.table_ids == tolist(["rtb-0123456789abcdef0"]) && jsondecode(output.net_conf).Backend.RouteTableID == ["rtb-0123456789abcdef0"]
    error_message = "The main table serves all of them, and net-conf names it."
  }
  assert {
    condition     = jsondecode(output.policies.node).Statement[1].Resource == ["arn:aws:ec2:eu-west-1:123456789012:route-table/rtb-0123456789abcdef0"]
    error_message = "The main table alone may be written."
  }
  assert {
    condition     = length(aws_route_table.nodes) == 0 && length(aws_nat_gateway.this) == 1 && !aws_subnet.nodes[0].map_public_ip_on_launch
    error_message = "Nodes have no public addresses behind NAT."
  }
}

run "both_families" {
  variables {
    ipv6_pod_network = "fd42:244::/48"
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.pods) == ["ipv4-all", "ipv6-all"]
    error_message = "Pods of both families are let in."
  }
  assert {
    condition     = [for subnet in aws_subnet.nodes : subnet.ipv6_cidr_block] == ["2a05:d018:1234:5600::/64", "2a05:d018:1234:5601::/64"]
    error_message = "Each subnet has a /64 of the VPC's range."
  }
  assert {
    condition     = jsondecode(output.net_conf).IPv6Network == "fd42:244::/48" && aws_instance.machine["agent-1"].ipv6_address_count == 1
    error_message = "Nodes have an IPv6 address, and net-conf the network."
  }
}

run "an_etcd_of_ones_own_and_few_ports" {
  variables {
    etcd_endpoints   = ["https://etcd.internal:2379"]
    etcd_tls         = { ca_file = "/etc/etcd/ca.pem" }
    extra_cloud_init = "bootcmd: [[touch, /run/first]]"
    controller_count = 1
    pod_ports        = [{ protocol = "tcp", from = 8080, to = 8090 }]
    member_ports     = [{ protocol = "tcp", from = 10250, to = 10250 }]
    ssh_cidrs        = ["198.51.100.7/32"]
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.pods) == ["ipv4-icmp", "ipv4-probe", "ipv4-tcp-8080-8090"]
    error_message = "Pods are let in at these ports, for ICMP and for the probe."
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.members) == ["icmp", "presence", "tcp-10250-10250"]
    error_message = "Members take no etcd from each other where it is elsewhere."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.ssh : rule.cidr_ipv4] == ["198.51.100.7/32"]
    error_message = "Operators come in by SSH."
  }
  assert {
    condition     = output.etcd_endpoints == tolist(["https://etcd.internal:2379"])
    error_message = "The etcd is the one that was named."
  }
  assert {
    condition     = strcontains(aws_instance.machine["agent-1"].user_data, "FLANNELD_ETCD_CAFILE=/etc/etcd/ca.pem") && strcontains(aws_instance.machine["agent-1"].user_data, "/run/first")
    error_message = "Machines are told of its certificate, and get what else they are to do."
  }
}

# Each run costs a start of the provider: one has several mistakes, and each of them must be found.

run "unknown_words" {
  command = plan
  variables {
    name           = "Blue cluster"
    writer         = "operator"
    route_tables   = "shared"
    internet       = "proxy"
    etcd_endpoints = ["https://etcd.internal"]
  }
  expect_failures = [var.name, var.writer, var.route_tables, var.internet, var.etcd_endpoints]
}

run "ranges_with_mistakes" {
  command = plan
  variables {
    zones            = ["eu-west-1a"]
    vpc_cidr         = "10.0.1.0/16"
    ipv6_pod_network = "10.244.0.0/16"
    ssh_cidrs        = ["0.0.0.0/0"]
  }
  expect_failures = [var.zones, var.vpc_cidr, var.ipv6_pod_network, var.ssh_cidrs]
}

run "too_little_room" {
  command = plan
  variables {
    zones        = ["eu-west-1a", "eu-west-1a"]
    vpc_cidr     = "10.0.0.0/24"
    pod_ports    = [{ protocol = "tcp", from = 90, to = 80 }]
    member_ports = [{ protocol = "any", from = 1, to = 2 }]
    disk_gib     = 4
  }
  expect_failures = [var.zones, var.vpc_cidr, var.pod_ports, var.member_ports, var.disk_gib]
}

run "too_many_machines" {
  command = plan
  variables {
    vpc_cidr         = "10.0.0.0/22"
    agent_count      = 95
    controller_count = 4
  }
  expect_failures = [var.agent_count, var.controller_count]
}

run "as_many_as_there_is_room_for" {
  command = plan
  variables {
    vpc_cidr    = "10.0.0.0/22"
    agent_count = 94
  }

  assert {
    condition     = aws_instance.machine["agent-94"].private_ip == "10.0.0.126"
    error_message = "The last one has the last address but the subnet's own."
  }
}

run "pods_inside_of_the_vpc" {
  command = plan
  variables {
    pod_network = "10.0.128.0/17"
  }
  expect_failures = [var.pod_network]
}

run "pods_around_the_vpc" {
  command = plan
  variables {
    pod_network = "10.0.0.0/8"
  }
  expect_failures = [var.pod_network]
}

run "pods_beside_the_vpc" {
  command = plan
  variables {
    vpc_cidr    = "10.244.0.0/17"
    pod_network = "10.244.128.0/17"
  }
}
