# Controllers, and the nodes that pods run on. Addresses are given, not found: etcd's stands in what every machine is told at its first start.

locals {
  # With writer = "node" no controller runs, and one machine is left for the test cluster's etcd.
  controllers_run  = var.writer == "controller"
  own_etcd         = var.etcd_endpoints == null
  controller_count = local.controllers_run ? var.controller_count : local.own_etcd ? 1 : 0

  # Alibaba Cloud keeps a vSwitch's first address and its last three for itself.
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

  # What all of them have in common.
  a_setup = values(module.setup)[0]
}

module "setup" {
  source   = "../node-setup"
  for_each = local.machines

  runs             = each.value.runs
  store            = merge({ type = "etcd", endpoints = local.etcd_endpoints }, var.etcd_tls)
  release_url      = var.release_url
  release_sha256   = var.release_sha256
  network          = var.pod_network
  backend_type     = "ali-vpc"
  writer           = var.writer
  backend          = merge(var.backend, { RegionID = var.region, RouteTableID = local.table_ids })
  agent_args       = var.agent_args
  controller_args  = var.controller_args
  extra_cloud_init = var.extra_cloud_init
}

data "alicloud_images" "ubuntu" {
  count = var.image == null ? 1 : 0

  owners      = "system"
  name_regex  = "^ubuntu_24_04_x64"
  most_recent = true
}

resource "alicloud_ecs_key_pair" "operator" {
  count = var.ssh_public_key == null ? 0 : 1

  key_pair_name = var.name
  public_key    = var.ssh_public_key
  tags          = var.tags
}

resource "alicloud_instance" "machine" {
  for_each = local.machines

  instance_name        = "${var.name}-${each.key}"
  host_name            = "${var.name}-${each.key}"
  image_id             = var.image == null ? data.alicloud_images.ubuntu[0].ids[0] : var.image
  instance_type        = var.instance_type
  security_groups      = [alicloud_security_group.machines.id]
  vswitch_id           = alicloud_vswitch.nodes[each.value.zone].id
  private_ip           = cidrhost(local.subnet_cidrs[each.value.zone], each.value.host)
  key_name             = one(alicloud_ecs_key_pair.operator[*].key_pair_name)
  system_disk_category = "cloud_essd"
  # Above 0 the machine gets a public address.
  internet_max_bandwidth_out = var.public_addresses ? var.bandwidth_mbps : 0
  # The metadata server's hardened mode, the only one that the program uses.
  http_endpoint = "enabled"
  http_tokens   = "required"
  user_data     = base64encode(module.setup[each.key].user_data)
  tags          = var.tags

  lifecycle {
    # Whoever writes routes switches a node's source/dest check off, and Terraform must not switch it on again. A newer image is no reason to
    # throw a machine away.
    ignore_changes = [image_id, source_dest_check]
  }

  # The first packets already follow the table that stays.
  depends_on = [alicloud_route_table_attachment.nodes]
}
