# Three nodes over two zones, and two controllers that write the route table. It costs money while it stands.

terraform {
  required_version = ">= 1.9"

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.252, < 2.0"
    }
  }
}

provider "alicloud" {
  region = var.region
}

module "cluster" {
  source = "../../modules/alicloud"

  name           = "pods"
  region         = var.region
  zones          = ["${var.region}-h", "${var.region}-i"]
  ssh_cidrs      = var.ssh_cidrs
  ssh_public_key = var.ssh_public_key
  release_url    = var.release_url
  release_sha256 = var.release_sha256
}
