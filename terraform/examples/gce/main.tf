# Three nodes over two zones, and two controllers that write the network's routes. It costs money while it stands.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

module "cluster" {
  source = "../../modules/gce"

  name           = "pods"
  project_id     = var.project_id
  region         = var.region
  zones          = ["${var.region}-b", "${var.region}-c"]
  ssh_cidrs      = var.ssh_cidrs
  ssh_public_key = var.ssh_public_key
  release_url    = var.release_url
  release_sha256 = var.release_sha256
}
