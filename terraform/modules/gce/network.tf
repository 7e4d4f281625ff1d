# One regional subnet serves all zones. Routes belong to the network: there are no tables.

resource "google_compute_network" "cluster" {
  name                    = var.name
  project                 = var.project_id
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "nodes" {
  name          = "${var.name}-nodes"
  project       = var.project_id
  region        = var.region
  network       = google_compute_network.cluster.id
  ip_cidr_range = var.subnet_cidr
  # Whoever writes routes reaches the API without a public address as well.
  private_ip_google_access = true
}
