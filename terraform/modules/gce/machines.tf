# Controllers, and the nodes that pods run on. Addresses are given, not found: etcd's stands in what every machine is told at its first start.

locals {
  # With writer = "node" no controller runs, and one machine is left for the test cluster's etcd.
  controllers_run  = var.writer == "controller"
  own_etcd         = var.etcd_endpoints == null
  controller_count = local.controllers_run ? var.controller_count : local.own_etcd ? 1 : 0

  # Google keeps a subnet's first two addresses and its last two for itself.
  controllers = {
    for place in range(local.controller_count) : "controller-${place + 1}" => {
      zone          = var.zones[place % length(var.zones)]
      host          = 4 + place
      runs          = concat(local.controllers_run ? ["controller"] : [], place == 0 && local.own_etcd ? ["etcd"] : [])
      writes_routes = local.controllers_run
    }
  }
  agents = {
    for place in range(var.agent_count) : "agent-${place + 1}" => {
      zone          = var.zones[place % length(var.zones)]
      host          = 16 + place
      runs          = ["agent"]
      writes_routes = !local.controllers_run
    }
  }
  machines = merge(local.controllers, local.agents)

  etcd_endpoints = local.own_etcd ? ["http://${cidrhost(var.subnet_cidr, 4)}:2379"] : var.etcd_endpoints

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
  backend_type     = "gce"
  writer           = var.writer
  backend          = merge(var.backend, { VPCNetwork = "${var.project_id}/${google_compute_network.cluster.name}" })
  agent_args       = var.agent_args
  controller_args  = var.controller_args
  extra_cloud_init = var.extra_cloud_init
}

resource "google_compute_instance" "machine" {
  for_each = local.machines

  name         = "${var.name}-${each.key}"
  project      = var.project_id
  zone         = each.value.zone
  machine_type = var.machine_type
  labels       = var.labels
  tags         = concat([local.machine_tag], contains(each.value.runs, "etcd") ? [local.etcd_tag] : [])
  # Set at creation and by nothing later: without it Google drops every packet that pods send. What carries no pods needs it not.
  can_ip_forward = contains(each.value.runs, "agent")
  # Another writer is another account, and Google changes that on a stopped machine only.
  allow_stopping_for_update = true

  boot_disk {
    initialize_params {
      image = var.image
    }
  }

  network_interface {
    subnetwork = google_compute_subnetwork.nodes.id
    network_ip = cidrhost(var.subnet_cidr, each.value.host)

    dynamic "access_config" {
      for_each = var.public_addresses ? [true] : []
      content {}
    }
  }

  metadata = merge(
    { user-data = module.setup[each.key].user_data },
    var.ssh_public_key == null ? {} : { ssh-keys = var.ssh_public_key },
  )

  # No account, no credentials: nothing on the machine can change a route.
  dynamic "service_account" {
    for_each = each.value.writes_routes ? [google_service_account.writer.email] : []
    content {
      email  = service_account.value
      scopes = ["https://www.googleapis.com/auth/compute"]
    }
  }

  lifecycle {
    # A newer image is no reason to throw a machine away.
    ignore_changes = [boot_disk[0].initialize_params[0].image]
  }
}
