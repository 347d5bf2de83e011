# The fleet: a parameter for each target, and a schedule for each target that has one, as `rds-snap-backup apply` writes them.

locals {
  fleet = yamldecode(file("${var.fleet}/fleet.yaml"))
  targets = {
    for path in fileset(var.fleet, "targets/*.{yaml,json}") :
    replace(basename(path), "/\\.(yaml|json)$/", "") =>
    merge(try(local.fleet.defaults, {}), yamldecode(file("${var.fleet}/${path}")))
  }
  documents = {
    for name, target in local.targets :
    name => merge({ for field, value in target : field => value if field != "schedule" }, { fleet = local.fleet.name })
  }
  schedules = {
    for name, target in local.targets :
    name => { expression = target.schedule.expression, timezone = try(target.schedule.timezone, "UTC") }
    if can(target.schedule.expression)
  }

  # 64 characters at most: the end of a longer name is replaced by a hash.
  long_names = { for name in keys(local.schedules) : name => "${var.stack_name}-${name}" }
  schedule_names = {
    for name, long in local.long_names :
    name => length(long) <= 64 ? long : "${substr(long, 0, 55)}-${substr(sha256(long), 0, 8)}"
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
  # The mark by which `rds-snap-backup plan` knows what was written: a digest of the document, in which `<`, `>` and `&` are
  # not escaped.
  description = join("", [
    "fleet=${local.fleet.name} sha256=",
    substr(sha256(replace(replace(replace(jsonencode(each.value), "\\u003c", "<"), "\\u003e", ">"), "\\u0026", "&")), 0, 16),
  ])

  lifecycle {
    precondition {
      condition     = local.are_texts[each.key]
      error_message = "Target ${each.key}: quote every name, pattern and account ID. Terraform reads one of them as a number, true or false."
    }
  }
}

resource "aws_scheduler_schedule" "target" {
  for_each = local.schedules

  name                         = local.schedule_names[each.key]
  group_name                   = local.outputs["ScheduleGroupName"]
  description                  = "fleet=${local.fleet.name} sha256=${substr(sha256(jsonencode(each.value)), 0, 16)}"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone

  flexible_time_window {
    mode = "OFF"
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
