# What machines let in, as modules/node-setup says. Nothing else: Google's own rules for new networks let nothing in.

locals {
  machine_tag = "${var.name}-machine"
  etcd_tag    = "${var.name}-etcd"

  firewall = {
    for rule in local.a_setup.firewall : rule.name => rule
    if rule.to == "all" || local.own_etcd
  }
}

resource "google_compute_firewall" "machines" {
  for_each = local.firewall

  name          = "${var.name}-${each.key}"
  project       = var.project_id
  network       = google_compute_network.cluster.id
  description   = each.value.why
  direction     = "INGRESS"
  source_ranges = [each.value.from == "pods" ? var.pod_network : var.subnet_cidr]
  target_tags   = [each.value.to == "etcd" ? local.etcd_tag : local.machine_tag]

  allow {
    protocol = each.value.protocol
    ports    = each.value.port == null ? null : [tostring(each.value.port)]
  }
}

resource "google_compute_firewall" "ssh" {
  count = length(var.ssh_cidrs) > 0 ? 1 : 0

  name          = "${var.name}-ssh"
  project       = var.project_id
  network       = google_compute_network.cluster.id
  description   = "The operator."
  direction     = "INGRESS"
  source_ranges = var.ssh_cidrs
  target_tags   = [local.machine_tag]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}
