# Three nodes in two zones, two controllers that write the routes, and a test cluster's etcd. ../../modules/aws/README.md says how to go on.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 6.0.0"
    }
  }
}

provider "aws" {
  region = var.region
}

module "cluster" {
  source = "../../modules/aws"

  name           = var.name
  zones          = [for letter in ["a", "b"] : "${var.region}${letter}"]
  writer         = var.writer
  ssh_cidrs      = var.ssh_cidrs
  key_name       = var.key_name
  ami_id         = var.ami_id
  release_url    = var.release_url
  release_sha256 = var.release_sha256
  tags           = { project = var.name }
}
