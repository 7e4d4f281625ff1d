# What is taken and what is refused. No provider is needed: `terraform test` here.

variables {
  runs           = ["agent"]
  store          = { type = "etcd", endpoints = ["http://10.0.1.10:2379"] }
  release_url    = "https://releases.example/0.1.0/flannel-vpc-linux-ARCH"
  release_sha256 = { amd64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  network        = "10.244.0.0/16"
  backend_type   = "aws-vpc"
}

run "an_agent" {
  command = plan

  assert {
    condition     = jsondecode(output.net_conf) == { Network = "10.244.0.0/16", Backend = { Type = "aws-vpc", Writer = "controller" } }
    error_message = "Net-conf has the network and the backend, and nothing else."
  }
  assert {
    condition     = [for file in yamldecode(output.user_data).write_files : file.path if strcontains(file.path, "controller")] == []
    error_message = "A machine of an agent has nothing of a controller."
  }
  assert {
    condition     = [for rule in output.firewall : rule.port if rule.name == "probe"] == [8473]
    error_message = "The probe's port is open."
  }
}

run "all_members_of_net_conf" {
  command = plan
  variables {
    ipv6_network = "fd00:10:244::/48"
    subnet_len   = 25
    writer       = "node"
    backend      = { RouteTableID = ["rtb-a", "rtb-b"] }
  }

  assert {
    condition = jsondecode(output.net_conf) == {
      Network = "10.244.0.0/16", EnableIPv6 = true, IPv6Network = "fd00:10:244::/48", SubnetLen = 25,
      Backend = { Type = "aws-vpc", Writer = "node", RouteTableID = ["rtb-a", "rtb-b"] }
    }
    error_message = "Every variable of net-conf is in it."
  }
}

run "ipv6_alone" {
  command = plan
  variables {
    network      = null
    ipv6_network = "fd00:10:244::/48"
  }

  assert {
    condition     = jsondecode(output.net_conf).EnableIPv4 == false
    error_message = "Without network IPv4 is off."
  }
}

run "more_for_cloud_init" {
  command = plan
  variables {
    extra_cloud_init = "hostname: node-7\npackages: [tcpdump]\nruncmd:\n  - [touch, /run/done]\n"
  }

  assert {
    condition     = yamldecode(output.user_data).hostname == "node-7" && contains(yamldecode(output.user_data).packages, "tcpdump")
    error_message = "Keys are taken, and lists joined."
  }
  assert {
    condition     = yamldecode(output.user_data).runcmd == [["/usr/local/sbin/flannel-vpc-start", "agent"], ["touch", "/run/done"]]
    error_message = "One's own commands come after this module's."
  }
}

run "nothing_to_run" {
  command = plan
  variables {
    runs = []
  }
  expect_failures = [var.runs]
}

run "an_unknown_program" {
  command = plan
  variables {
    runs = ["agent", "kubelet"]
  }
  expect_failures = [var.runs]
}

run "a_controller_where_nodes_write" {
  command = plan
  variables {
    runs   = ["controller"]
    writer = "node"
  }
  expect_failures = [var.runs]
}

run "an_etcd_with_tls" {
  command = plan
  variables {
    runs  = ["etcd"]
    store = { type = "etcd", endpoints = ["https://10.0.1.10:2379"] }
  }
  expect_failures = [var.runs]
}

run "an_unknown_store" {
  command = plan
  variables {
    store = { type = "consul", endpoints = ["http://10.0.1.10:2379"] }
  }
  expect_failures = [var.store]
}

run "etcd_without_endpoints" {
  command = plan
  variables {
    store = { type = "etcd" }
  }
  expect_failures = [var.store]
}

run "an_endpoint_with_a_path" {
  command = plan
  variables {
    store = { type = "etcd", endpoints = ["https://10.0.1.10:2379/v3"] }
  }
  expect_failures = [var.store]
}

run "a_certificate_without_its_key" {
  command = plan
  variables {
    store = { type = "etcd", endpoints = ["https://10.0.1.10:2379"], cert_file = "/etc/etcd/client.pem" }
  }
  expect_failures = [var.store]
}

run "a_key_that_the_unit_hides" {
  command = plan
  variables {
    store = { type = "etcd", endpoints = ["https://10.0.1.10:2379"], cert_file = "/etc/etcd/client.pem", key_file = "/home/me/client.key" }
  }
  expect_failures = [var.store]
}

run "kubernetes_without_a_kubeconfig" {
  command = plan
  variables {
    store = { type = "kubernetes" }
  }
  expect_failures = [var.store]
}

run "a_release_with_a_quote" {
  command = plan
  variables {
    release_url = "https://releases.example/'; reboot; '"
  }
  expect_failures = [var.release_url]
}

run "a_hash_that_is_none" {
  command = plan
  variables {
    release_sha256 = { amd64 = "latest" }
  }
  expect_failures = [var.release_sha256]
}

run "an_architecture_without_a_release" {
  command = plan
  variables {
    release_sha256 = { s390x = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
  expect_failures = [var.release_sha256]
}

run "a_network_with_host_bits" {
  command = plan
  variables {
    network = "10.244.1.0/16"
  }
  expect_failures = [var.network]
}

run "a_network_without_room" {
  command = plan
  variables {
    network = "10.244.0.0/30"
  }
  expect_failures = [var.network]
}

run "no_network" {
  command = plan
  variables {
    network = null
  }
  expect_failures = [var.network]
}

run "an_ipv6_network_of_ipv4" {
  command = plan
  variables {
    ipv6_network = "10.244.0.0/16"
  }
  expect_failures = [var.ipv6_network]
}

run "an_ipv6_network_with_host_bits" {
  command = plan
  variables {
    ipv6_network = "fd00:10:244::1/48"
  }
  expect_failures = [var.ipv6_network]
}

run "subnets_larger_than_the_network" {
  command = plan
  variables {
    subnet_len = 16
  }
  expect_failures = [var.subnet_len]
}

run "an_unknown_backend" {
  command = plan
  variables {
    backend_type = "vxlan"
  }
  expect_failures = [var.backend_type]
}

run "an_unknown_writer" {
  command = plan
  variables {
    writer = "operator"
  }
  expect_failures = [var.writer]
}

run "a_type_given_twice" {
  command = plan
  variables {
    backend = { type = "gce" }
  }
  expect_failures = [var.backend]
}

run "a_probe_port_of_root" {
  command = plan
  variables {
    probe_port = 53
  }
  expect_failures = [var.probe_port]
}

run "an_agents_argument_that_is_no_flag" {
  command = plan
  variables {
    agent_args = ["iface=eth0"]
  }
  expect_failures = [var.agent_args]
}

run "a_controllers_argument_with_a_specifier" {
  command = plan
  variables {
    controller_args = ["--resync=%h"]
  }
  expect_failures = [var.controller_args]
}

run "a_variable_with_a_second_line" {
  command = plan
  variables {
    agent_env = { AWS_REGION = "eu-west-1\nLD_PRELOAD=/tmp/x" }
  }
  expect_failures = [var.agent_env]
}

run "a_controllers_variable_in_small_letters" {
  command = plan
  variables {
    controller_env = { aws_region = "eu-west-1" }
  }
  expect_failures = [var.controller_env]
}

run "a_list_for_cloud_init" {
  command = plan
  variables {
    extra_cloud_init = "- packages"
  }
  expect_failures = [var.extra_cloud_init]
}
