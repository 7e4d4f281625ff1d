# A VPC with a subnet for nodes in each zone. No route table here has an inline `route` block: Terraform would then take itself for the owner
# of all routes in it, and remove those of pods at the next apply. What it adds itself are `aws_route` resources, one route each.

locals {
  subnet_cidrs = [for place in range(length(var.zones)) : cidrsubnet(var.vpc_cidr, 4, place)]
  ipv6         = var.ipv6_pod_network != null

  tables_of_their_own = var.route_tables == "per-subnet"
  # Those that serve nodes, each once; with the main table there is one.
  table_ids = local.tables_of_their_own ? aws_route_table.nodes[*].id : [aws_vpc.this.main_route_table_id]
}

resource "aws_vpc" "this" {
  cidr_block                       = var.vpc_cidr
  assign_generated_ipv6_cidr_block = local.ipv6
  enable_dns_support               = true
  enable_dns_hostnames             = true
  tags                             = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "nodes" {
  count = length(var.zones)

  vpc_id                  = aws_vpc.this.id
  availability_zone       = var.zones[count.index]
  cidr_block              = local.subnet_cidrs[count.index]
  ipv6_cidr_block         = local.ipv6 ? cidrsubnet(aws_vpc.this.ipv6_cidr_block, 8, count.index) : null
  map_public_ip_on_launch = var.internet == "gateway"
  tags                    = merge(var.tags, { Name = "${var.name}-${var.zones[count.index]}" })
}

resource "aws_route_table" "nodes" {
  count = local.tables_of_their_own ? length(var.zones) : 0

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-${var.zones[count.index]}" })
}

resource "aws_route_table_association" "nodes" {
  count = local.tables_of_their_own ? length(var.zones) : 0

  subnet_id      = aws_subnet.nodes[count.index].id
  route_table_id = aws_route_table.nodes[count.index].id
}

# The way to the internet: release and packages are fetched by it, and whoever writes routes reaches the EC2 API.

resource "aws_internet_gateway" "this" {
  count = var.internet == "none" ? 0 : 1

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_route" "internet" {
  count = var.internet == "none" ? 0 : length(local.table_places)

  route_table_id         = local.table_ids[count.index]
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = var.internet == "gateway" ? aws_internet_gateway.this[0].id : null
  nat_gateway_id         = var.internet == "nat" ? aws_nat_gateway.this[0].id : null
}

locals {
  # How many tables serve nodes, known before there is any.
  table_places = local.tables_of_their_own ? var.zones : slice(var.zones, 0, 1)
}

# With NAT, a subnet of its own for the NAT gateway, whose table leads to the internet gateway and gets no route of pods.

resource "aws_subnet" "nat" {
  count = var.internet == "nat" ? 1 : 0

  vpc_id            = aws_vpc.this.id
  availability_zone = var.zones[0]
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, 15)
  tags              = merge(var.tags, { Name = "${var.name}-nat" })
}

resource "aws_route_table" "nat" {
  count = var.internet == "nat" ? 1 : 0

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-nat" })
}

resource "aws_route_table_association" "nat" {
  count = var.internet == "nat" ? 1 : 0

  subnet_id      = aws_subnet.nat[0].id
  route_table_id = aws_route_table.nat[0].id
}

resource "aws_route" "nat" {
  count = var.internet == "nat" ? 1 : 0

  route_table_id         = aws_route_table.nat[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_eip" "nat" {
  count = var.internet == "nat" ? 1 : 0

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name}-nat" })
}

resource "aws_nat_gateway" "this" {
  count = var.internet == "nat" ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.nat[0].id
  tags          = merge(var.tags, { Name = var.name })

  depends_on = [aws_route.nat]
}
