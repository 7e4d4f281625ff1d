# Controllers, and the nodes that pods run on. Addresses are given, not found: etcd's stands in what every machine is told at its first start.

locals {
  # With writer = "node" no controller runs, and one machine is left for the test cluster's etcd.
  controllers_run  = var.writer == "controller"
  own_etcd         = var.etcd_endpoints == null
  controller_count = local.controllers_run ? var.controller_count : local.own_etcd ? 1 : 0

  # EC2 keeps a subnet's first four addresses and its last one for itself.
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

  etcd_endpoints = local.own_etcd ? ["http://${cidrhost(local.subnet_cidrs[0], 4)}:2379"] : var.etcd_endpoints
}

module "setup" {
  source   = "../node-setup"
  for_each = local.machines

  runs            = each.value.runs
  store           = merge({ type = "etcd", endpoints = local.etcd_endpoints }, var.etcd_tls)
  release_url     = var.release_url
  release_sha256  = var.release_sha256
  network         = var.pod_network
  ipv6_network    = var.ipv6_pod_network
  backend_type    = "aws-vpc"
  writer          = var.writer
  backend         = merge(var.backend, { RouteTableID = local.table_ids })
  probe_port      = local.probe_port
  agent_args      = var.agent_args
  controller_args = var.controller_args

  extra_cloud_init = var.extra_cloud_init
}

data "aws_ami" "debian" {
  count = var.ami_id == null ? 1 : 0

  # Debian's own account, https://wiki.debian.org/Cloud/AmazonEC2Image
  owners      = ["136693071363"]
  most_recent = true

  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

resource "aws_instance" "machine" {
  for_each = local.machines

  ami                    = var.ami_id == null ? data.aws_ami.debian[0].id : var.ami_id
  instance_type          = var.instance_type
  subnet_id              = aws_subnet.nodes[each.value.zone].id
  private_ip             = cidrhost(local.subnet_cidrs[each.value.zone], each.value.host)
  ipv6_address_count     = local.ipv6 ? 1 : null
  vpc_security_group_ids = [aws_security_group.nodes.id]
  # No profile, no credentials: nothing on the machine can change a route.
  iam_instance_profile = each.value.writes_routes ? aws_iam_instance_profile.writer.name : null
  key_name             = var.key_name
  user_data            = module.setup[each.key].user_data
  # It is read at the first start only.
  user_data_replace_on_change = true
  tags                        = merge(var.tags, { Name = "${var.name}-${each.key}" })

  # IMDSv2 alone, and for the machine itself: pods are a hop further, and have no business with its role.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = var.disk_gib
  }

  lifecycle {
    # Whoever writes routes switches a node's source/dest check off, and Terraform must not switch it on again. A newer image is no reason to
    # throw a machine away.
    ignore_changes = [ami, source_dest_check]
  }

  # What a machine does first is fetch things.
  depends_on = [aws_route.internet, aws_route_table_association.nodes, aws_vpc_security_group_egress_rule.all]
}
