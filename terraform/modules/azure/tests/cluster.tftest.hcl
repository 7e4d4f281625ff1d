# What is made, what is taken and what is refused, planned with a mocked provider: `terraform test` here.

mock_provider "azurerm" {}

variables {
  name           = "pods"
  release_url    = "https://releases.example/0.1.0/flannel-vpc-linux-ARCH"
  release_sha256 = { amd64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  location       = "westeurope"
  ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example"
}

run "a_cluster_with_controllers" {
  command = apply

  assert {
    condition     = toset(keys(azurerm_network_interface.machine)) == toset(["agent-1", "agent-2", "agent-3", "controller-1", "controller-2"])
    error_message = "Three nodes and two controllers are made."
  }
  assert {
    condition     = azurerm_network_interface.machine["controller-1"].ip_configuration[0].private_ip_address == "10.0.0.4" && one(output.etcd_endpoints) == "http://10.0.0.4:2379"
    error_message = "etcd is on the first controller's machine, and that has the address which all are told."
  }
  assert {
    condition     = [for name in ["agent-1", "agent-2", "agent-3"] : azurerm_network_interface.machine[name].ip_configuration[0].private_ip_address] == ["10.0.0.16", "10.0.16.16", "10.0.0.17"]
    error_message = "Nodes are spread over the zones' subnets."
  }
  assert {
    condition     = length(output.table_ids) == 1
    error_message = "One table serves all subnets."
  }
}

run "nodes_that_write_for_themselves" {
  command = apply
  variables {
    writer      = "node"
    agent_count = 2
  }

  assert {
    condition     = toset(keys(azurerm_network_interface.machine)) == toset(["agent-1", "agent-2", "controller-1"])
    error_message = "Beside the nodes there is the machine of etcd alone."
  }
  assert {
    condition     = jsondecode(output.net_conf).Backend.Writer == "node"
    error_message = "Net-conf says who writes."
  }
}

run "an_etcd_of_ones_own" {
  command = apply
  variables {
    writer         = "node"
    etcd_endpoints = ["https://etcd.internal:2379"]
    etcd_tls       = { ca_file = "/etc/etcd/ca.pem" }
  }

  assert {
    condition     = toset(keys(azurerm_network_interface.machine)) == toset(["agent-1", "agent-2", "agent-3"])
    error_message = "No machine is made for an etcd that is there."
  }
  assert {
    condition     = one(output.etcd_endpoints) == "https://etcd.internal:2379"
    error_message = "That etcd is the one to ask."
  }
}

run "a_table_for_each_subnet" {
  command = apply
  variables {
    route_tables = "per-subnet"
  }

  assert {
    condition     = length(distinct([for subnet in output.subnets : subnet.table_id])) == 2
    error_message = "Each subnet has a table of its own."
  }
  assert {
    condition     = toset(jsondecode(output.net_conf).Backend.RouteTable) == toset(output.table_ids)
    error_message = "Net-conf names every table: pods are reached by that of the sender's subnet."
  }
}

run "a_name_in_capitals" {
  command = plan
  variables {
    name = "Pods"
  }
  expect_failures = [var.name]
}

run "a_name_that_is_too_long" {
  command = plan
  variables {
    name = "a-name-that-is-longer-than-clouds-take"
  }
  expect_failures = [var.name]
}

run "one_zone" {
  command = plan
  variables {
    zones = ["1"]
  }
  expect_failures = [var.zones]
}

run "a_zone_twice" {
  command = plan
  variables {
    zones = ["1", "1"]
  }
  expect_failures = [var.zones]
}

run "a_vpc_with_host_bits" {
  command = plan
  variables {
    vpc_cidr = "10.0.0.1/16"
  }
  expect_failures = [var.vpc_cidr]
}

run "a_vpc_without_room" {
  command = plan
  variables {
    vpc_cidr = "10.0.0.0/24"
  }
  expect_failures = [var.vpc_cidr]
}

run "pods_inside_of_the_vpc" {
  command = plan
  variables {
    pod_network = "10.0.128.0/20"
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

run "a_table_for_each_node" {
  command = plan
  variables {
    route_tables = "per-node"
  }
  expect_failures = [var.route_tables]
}

run "a_key_of_another_kind" {
  command = plan
  variables {
    ssh_public_key = "-----BEGIN OPENSSH PRIVATE KEY-----"
  }
  expect_failures = [var.ssh_public_key]
}

run "a_region_by_its_long_name" {
  command = plan
  variables {
    location = "West Europe"
  }
  expect_failures = [var.location]
}

run "a_zone_that_is_none" {
  command = plan
  variables {
    zones = ["1", "4"]
  }
  expect_failures = [var.zones]
}

run "a_user_that_azure_refuses" {
  command = plan
  variables {
    admin_username = "root"
  }
  expect_failures = [var.admin_username]
}

run "pods_with_host_bits" {
  command = plan
  variables {
    pod_network = "10.244.0.1/16"
  }
  expect_failures = [var.pod_network]
}

run "an_unknown_writer" {
  command = plan
  variables {
    writer = "operator"
  }
  expect_failures = [var.writer]
}

run "ssh_for_everybody" {
  command = plan
  variables {
    ssh_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.ssh_cidrs]
}

run "no_machine_at_all" {
  command = plan
  variables {
    agent_count    = 0
    writer         = "node"
    etcd_endpoints = ["https://etcd.internal:2379"]
  }
  expect_failures = [var.agent_count]
}

run "half_a_node" {
  command = plan
  variables {
    agent_count = 1.5
  }
  expect_failures = [var.agent_count]
}

run "more_nodes_than_addresses" {
  command = plan
  variables {
    agent_count = 10000
  }
  expect_failures = [var.agent_count]
}

run "four_controllers" {
  command = plan
  variables {
    controller_count = 4
  }
  expect_failures = [var.controller_count]
}
