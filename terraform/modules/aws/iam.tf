# The role of whoever writes routes, and of nobody else. With writer = "controller" nodes get no role at all: who gets into one can redirect
# nothing. The policies are those of providers/aws-vpc/README.md, word for word; policies/ holds them with their ids to be filled in.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  arn_prefix = join(":", [
    "arn", data.aws_partition.this.partition, "ec2", data.aws_region.this.name, data.aws_caller_identity.this.account_id,
  ])
  policies = {
    for reader in ["node", "controller", "read"] : reader => templatefile("${path.module}/policies/${reader}.json.tftpl", {
      arn_prefix = local.arn_prefix
      table_arns = [for id in local.table_ids : "${local.arn_prefix}:route-table/${id}"]
      vpc_arn    = "${local.arn_prefix}:vpc/${aws_vpc.this.id}"
    })
  }
}

resource "aws_iam_role" "writer" {
  name        = "${var.name}-${var.writer}"
  description = "flannel-vpc: writes routes of pods (${var.writer})"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.${data.aws_partition.this.dns_suffix}" }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "writer" {
  name   = "flannel-vpc-routes"
  role   = aws_iam_role.writer.id
  policy = local.policies[var.writer]
}

resource "aws_iam_instance_profile" "writer" {
  name = aws_iam_role.writer.name
  role = aws_iam_role.writer.name
  tags = var.tags
}
