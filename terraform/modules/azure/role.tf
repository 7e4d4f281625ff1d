# Whoever writes routes has an identity with the role of providers/azure-vnet/README.md in this resource group, and nobody else has any.

locals {
  actions = jsondecode(file("${path.module}/policies/${var.writer}.json"))
}

resource "azurerm_user_assigned_identity" "writer" {
  name                = "flannel-vpc-${var.writer}"
  resource_group_name = azurerm_resource_group.cluster.name
  location            = azurerm_resource_group.cluster.location
  tags                = var.tags
}

# A role's name is the tenant's: that of the cluster is in it.
resource "azurerm_role_definition" "writer" {
  name              = "flannel-vpc ${var.writer} of ${var.name}"
  description       = "Writes the routes of ${var.name}'s pods."
  scope             = azurerm_resource_group.cluster.id
  assignable_scopes = [azurerm_resource_group.cluster.id]

  permissions {
    actions = local.actions
  }
}

resource "azurerm_role_assignment" "writer" {
  scope              = azurerm_resource_group.cluster.id
  role_definition_id = azurerm_role_definition.writer.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.writer.principal_id
  # The identity is new, and not yet known everywhere.
  principal_type = "ServicePrincipal"
}
