# Whoever writes routes has a RAM role with the policy of providers/ali-vpc/README.md, and nobody else has any.

data "alicloud_account" "current" {}

locals {
  policy = templatefile("${path.module}/policies/${var.writer}.json.tftpl", {
    region  = var.region
    account = data.alicloud_account.current.id
    tables  = jsonencode([for id in local.table_ids : "acs:vpc:${var.region}:${data.alicloud_account.current.id}:routetable/${id}"])
  })
}

resource "alicloud_ram_role" "writer" {
  role_name   = "${var.name}-flannel-vpc-${var.writer}"
  description = "Writes the routes of ${var.name}'s pods."
  assume_role_policy_document = jsonencode({
    Version   = "1"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = ["ecs.aliyuncs.com"] } }]
  })
}

resource "alicloud_ram_policy" "writer" {
  policy_name     = "${var.name}-flannel-vpc-${var.writer}"
  description     = "Routes of ${var.name}'s pods."
  policy_document = local.policy
}

resource "alicloud_ram_role_policy_attachment" "writer" {
  role_name   = alicloud_ram_role.writer.role_name
  policy_name = alicloud_ram_policy.writer.policy_name
  policy_type = "Custom"
}

# No role, no credentials: nothing on the other machines can change a route.
resource "alicloud_ecs_ram_role_attachment" "writer" {
  for_each = { for name, machine in local.machines : name => machine if machine.writes_routes }

  ram_role_name = alicloud_ram_role.writer.role_name
  instance_id   = alicloud_instance.machine[each.key].id
}
