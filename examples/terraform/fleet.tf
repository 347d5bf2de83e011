# The fleet: a parameter for each target, and a schedule for each target that has one, as the template of `rds-snap-backup build` has them.

locals {
  fleet = yamldecode(file("${var.fleet}/fleet.yaml"))
  targets = {
    for path in fileset(var.fleet, "targets/*.{yaml,json}") :
    replace(basename(path), "/\\.(yaml|json)$/", "") =>
    merge(try(local.fleet.defaults, {}), yamldecode(file("${var.fleet}/${path}")))
  }
  documents = {
    for name, target in local.targets :
    name => { for field, value in target : field => value if field != "schedule" }
  }
  schedules = {
    for name, target in local.targets :
    name => { expression = target.schedule.expression, timezone = try(target.schedule.timezone, "UTC") }
    if can(target.schedule.expression)
  }

  # Without quotes, Terraform reads `no` as false, and 012345670123 as a number without its zero.
  are_texts = {
    for name, target in local.targets :
    name => alltrue([
      for value in flatten([
        [for association in target.associations : values(association)],
        [for field in ["databases", "accounts", "rdsEventIds"] : try(target[field], [])],
      ]) : startswith(jsonencode(value), "\"")
    ])
  }
}

resource "aws_ssm_parameter" "target" {
  for_each = local.documents

  # Not from the stack's outputs: an upgrade, when they are unknown, would delete and make every target again.
  name           = "/rds-snap-backup/${var.stack_name}/targets/${each.key}"
  type           = "String"
  tier           = "Intelligent-Tiering"
  insecure_value = jsonencode(each.value)

  lifecycle {
    precondition {
      condition     = local.are_texts[each.key]
      error_message = "Target ${each.key}: quote every name, pattern and account ID. Terraform reads one of them as a number, true or false."
    }
  }
}

resource "aws_scheduler_schedule" "target" {
  for_each = local.schedules

  name                         = each.key
  group_name                   = local.outputs["ScheduleGroupName"]
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 5
  }

  target {
    arn      = local.outputs["BackupFunctionArn"]
    role_arn = local.outputs["SchedulerRoleArn"]
    # Not jsonencode, which escapes `<` and `>`: Scheduler would not find its placeholders.
    input = "{\"target\": \"${each.key}\", \"schedule\": \"<aws.scheduler.schedule-arn>\", \"time\": \"<aws.scheduler.scheduled-time>\"}"

    dead_letter_config {
      arn = local.outputs["DeadLetterQueueArn"]
    }

    retry_policy {
      maximum_event_age_in_seconds = 86400
      maximum_retry_attempts       = 185
    }
  }

  lifecycle {
    # Unknown during an upgrade, which would make every schedule again.
    ignore_changes = [group_name]
  }

  depends_on = [aws_ssm_parameter.target]
}
