# What is made, what is taken and what is refused, planned with a mocked provider: `terraform test` here.

mock_provider "google" {}

variables {
  name           = "pods"
  release_url    = "https://releases.example/0.1.0/flannel-vpc-linux-ARCH"
  release_sha256 = { amd64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  project_id     = "my-project"
  region         = "europe-west1"
  zones          = ["europe-west1-b", "europe-west1-c"]
}

run "a_cluster_with_controllers" {
  command = apply

  assert {
    condition     = toset(keys(google_compute_instance.machine)) == toset(["agent-1", "agent-2", "agent-3", "controller-1", "controller-2"])
    error_message = "Three nodes and two controllers are made."
  }
  assert {
    condition     = google_compute_instance.machine["controller-1"].network_interface[0].network_ip == "10.0.0.4" && one(output.etcd_endpoints) == "http://10.0.0.4:2379"
    error_message = "etcd is on the first controller's machine, and that has the address which all are told."
  }
  assert {
    condition     = [for name in ["agent-1", "agent-2", "agent-3"] : google_compute_instance.machine[name].zone] == ["europe-west1-b", "europe-west1-c", "europe-west1-b"]
    error_message = "Nodes are spread over the zones."
  }
  assert {
    condition     = { for name, machine in google_compute_instance.machine : name => machine.can_ip_forward } == { agent-1 = true, agent-2 = true, agent-3 = true, controller-1 = false, controller-2 = false }
    error_message = "Nodes forward packets of pods, and nobody else."
  }
}

run "nodes_that_write_for_themselves" {
  command = apply
  variables {
    writer      = "node"
    agent_count = 2
  }

  assert {
    condition     = toset(keys(google_compute_instance.machine)) == toset(["agent-1", "agent-2", "controller-1"])
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
    condition     = toset(keys(google_compute_instance.machine)) == toset(["agent-1", "agent-2", "agent-3"])
    error_message = "No machine is made for an etcd that is there."
  }
  assert {
    condition     = one(output.etcd_endpoints) == "https://etcd.internal:2379"
    error_message = "That etcd is the one to ask."
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
    zones = ["europe-west1-b"]
  }
  expect_failures = [var.zones]
}

run "a_zone_twice" {
  command = plan
  variables {
    zones = ["europe-west1-b", "europe-west1-b"]
  }
  expect_failures = [var.zones]
}

run "a_zone_of_another_region" {
  command = plan
  variables {
    zones = ["europe-west1-b", "europe-west2-b"]
  }
  expect_failures = [var.zones]
}

run "a_projects_number" {
  command = plan
  variables {
    project_id = "123456789012"
  }
  expect_failures = [var.project_id]
}

run "a_zone_for_a_region" {
  command = plan
  variables {
    region = "europe-west1-b"
  }
  expect_failures = [var.region]
}

run "a_subnet_with_host_bits" {
  command = plan
  variables {
    subnet_cidr = "10.0.0.1/20"
  }
  expect_failures = [var.subnet_cidr]
}

run "a_subnet_without_room" {
  command = plan
  variables {
    subnet_cidr = "10.0.0.0/28"
  }
  expect_failures = [var.subnet_cidr]
}

run "pods_inside_of_the_subnet" {
  command = plan
  variables {
    pod_network = "10.0.8.0/22"
  }
  expect_failures = [var.pod_network]
}

run "pods_around_the_subnet" {
  command = plan
  variables {
    pod_network = "10.0.0.0/8"
  }
  expect_failures = [var.pod_network]
}

run "a_key_without_its_user" {
  command = plan
  variables {
    ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example"
  }
  expect_failures = [var.ssh_public_key]
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
