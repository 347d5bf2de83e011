output "set_token_command" {
  description = "Command that stores Commvault's token; run it once"
  value       = local.outputs["SetTokenCommand"]
}

output "stack_name" {
  description = "Name for the command line: rds-snap-backup check NAME"
  value       = aws_cloudformation_stack.product.name
}
