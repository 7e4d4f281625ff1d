# A vSwitch in each zone. Their table is one of the module's own, so that the VPC's system table stays as it was; routes in it are the
# program's and never Terraform's.

locals {
  subnet_cidrs = [for place in range(length(var.zones)) : cidrsubnet(var.vpc_cidr, 4, place)]
  table_count  = var.route_tables == "one" ? 1 : length(var.zones)
  table_ids    = alicloud_route_table.nodes[*].id
}

resource "alicloud_vpc" "cluster" {
  vpc_name   = var.name
  cidr_block = var.vpc_cidr
  tags       = var.tags
}

resource "alicloud_vswitch" "nodes" {
  count = length(var.zones)

  vswitch_name = "${var.name}-${var.zones[count.index]}"
  vpc_id       = alicloud_vpc.cluster.id
  zone_id      = var.zones[count.index]
  cidr_block   = local.subnet_cidrs[count.index]
  tags         = var.tags
}

resource "alicloud_route_table" "nodes" {
  count = local.table_count

  route_table_name = local.table_count == 1 ? "${var.name}-pods" : "${var.name}-pods-${var.zones[count.index]}"
  vpc_id           = alicloud_vpc.cluster.id
  associate_type   = "VSwitch"
  tags             = var.tags
}

resource "alicloud_route_table_attachment" "nodes" {
  count = length(var.zones)

  vswitch_id     = alicloud_vswitch.nodes[count.index].id
  route_table_id = alicloud_route_table.nodes[local.table_count == 1 ? 0 : count.index].id
}
