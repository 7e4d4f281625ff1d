output "cluster" {
  description = "All that the module tells: machines, tables, the role, its policy."
  value       = module.cluster
}

output "next_commands" {
  description = "What to look at, and on which of the machines."
  value       = module.cluster.next_commands
}

output "purge_commands" {
  description = "What comes before `terraform destroy`."
  value       = module.cluster.purge_commands
}
