# Whoever writes routes has an account with the rights of providers/gce/README.md, and nobody else has any.

locals {
  permissions = jsondecode(file("${path.module}/policies/${var.writer}.json"))
}

resource "google_service_account" "writer" {
  account_id   = "${var.name}-flannel"
  project      = var.project_id
  display_name = "flannel-vpc ${var.writer} of ${var.name}"
}

# A deleted role keeps its id for 37 days: in the first seven another cluster of the name undeletes it, after that choose another name.
resource "google_project_iam_custom_role" "writer" {
  role_id     = "${replace(var.name, "-", "_")}_flannel_vpc_${var.writer}"
  project     = var.project_id
  title       = "flannel-vpc ${var.writer} of ${var.name}"
  permissions = local.permissions
}

resource "google_project_iam_member" "writer" {
  project = var.project_id
  role    = google_project_iam_custom_role.writer.id
  member  = "serviceAccount:${google_service_account.writer.email}"
}
