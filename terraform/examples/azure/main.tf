# Three nodes over two zones, and two controllers that write the route table. It costs money while it stands.

terraform {
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.0, < 5.0"
    }
  }
}

provider "azurerm" {
  subscription_id = var.subscription_id
  features {}
}

module "cluster" {
  source = "../../modules/azure"

  name           = "pods"
  location       = var.location
  ssh_cidrs      = var.ssh_cidrs
  ssh_public_key = var.ssh_public_key
  release_url    = var.release_url
  release_sha256 = var.release_sha256
}
