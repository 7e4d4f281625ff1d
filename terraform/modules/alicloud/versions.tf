terraform {
  required_version = ">= 1.9"

  required_providers {
    alicloud = {
      source = "aliyun/alicloud"
      # Names of RAM's resources are since then what they are here.
      version = ">= 1.252, < 2.0"
    }
  }
}
