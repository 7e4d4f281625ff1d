output "machines" {
  description = "Where they are reached."
  value       = merge(module.cluster.controllers, module.cluster.agents)
}

output "next_commands" {
  description = "What to look at, and on which of the machines."
  value       = module.cluster.next_commands
}

output "purge_commands" {
  description = "What to do before `terraform destroy`."
  value       = module.cluster.purge_commands
}
