"""What CloudWatch shows: alarms and their actions, the dead man's switch, recursion, and what the log must not have."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from rds_snap_backup_cli.functions import AUDIT, BACKUP, invoke
from tests.aws.acting import MADE_UP
from tests.aws.standing import EVENT
from tests.aws.subject import Finding, Subject, failed, later, parsed, passed, until

ALARM = "BackupProblemAlarm"
ACTION_SECONDS = 120
OURS = "RdsSnapBackup"
METRIC_SECONDS = 300
# A backup's end, which no target or rule lets start anything.
IGNORED = "RDS-EVENT-0002"
# Lambda drops what has passed through a function about 16 times.
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
LOOPS = 17
HOUR = 3600
# Whole hours count, and CloudWatch waits for late data (docs/operations.md).
LATE = timedelta(hours=2)


def alarm_action(subject: Subject) -> Finding:
    """CloudWatch may publish to the topic, also with a customer key: a person receives the alarm."""
    client, name, begin = subject.client("cloudwatch"), subject.resource(ALARM), datetime.now(UTC)
    for state in ("OK", "ALARM"):  # it acts when the state changes
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="make verify: this is a test")

    def actions() -> list[str]:
        history = client.describe_alarm_history(AlarmName=name, HistoryItemType="Action", StartDate=begin)
        return [item["HistorySummary"] for item in history["AlarmHistoryItems"]]

    match until(actions, ACTION_SECONDS):
        case []:
            return failed(f"{name} was set to ALARM, and took no action")
        case summaries if bad := [summary for summary in summaries if "uccessfully" not in summary]:
            return failed(f"{name}: {bad[0]}")
        case summaries:
            return passed(f"{summaries[0]}. Look for the e-mail")


def metrics(subject: Subject) -> Finding:
    """CloudWatch makes metrics of the log's EMF lines, under the one dimension that the alarms watch."""
    begin = datetime.now(UTC) - timedelta(minutes=1)
    arn = f"arn:aws:rds:{subject.stack.region}:{subject.stack.account}:db:verify"
    detail = {"EventID": IGNORED, "SourceType": "DB_INSTANCE", "SourceArn": arn, "SourceIdentifier": "verify"}
    place = {"account": subject.stack.account, "region": subject.stack.region, "resources": [arn]}
    invoke(subject.stack, BACKUP, {**EVENT, **place, "detail": detail})
    if not until(lambda: _total(subject, OURS, "EventIgnored", begin, 60), METRIC_SECONDS):
        return failed(
            f"an ignored event was counted in the log, and {OURS} has no EventIgnored of {subject.stack.name}"
        )
    return passed("an ignored event was counted as EventIgnored")


def _total(subject: Subject, namespace: str, name: str, since: datetime, period: int) -> float:
    """Return the sum of a metric of the stack, in periods of this many seconds."""
    dimension = ("service", subject.stack.name) if namespace == OURS else ("FunctionName", subject.stack.output(BACKUP))
    points = subject.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
        StartTime=since,
        EndTime=datetime.now(UTC),
        Period=period,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def dead_mans_switch(subject: Subject) -> Finding:
    """The dead man's switch is in alarm where no audit was completed, and is not where one was."""
    if not subject.optional("AuditScheduleExpression"):
        return later("the stack has no daily audit, and so no switch")
    name = subject.resource("MissedAuditAlarm")
    (alarm,) = subject.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    watched, now = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"]), datetime.now(UTC)
    age = now - subject.description["CreationTime"]
    is_alarm, seen = alarm["StateValue"] == "ALARM", f"{name} is {alarm['StateValue']}"
    completed = _total(subject, OURS, "AuditCompleted", now - watched + LATE, HOUR)
    if completed:
        seen += f", and {completed:.0f} audits were completed in the last {watched / timedelta(hours=1):.0f} hours"
        if is_alarm and not _total(subject, OURS, "AuditCompleted", now - LATE, HOUR):
            return failed(seen)
        return later(f"{seen}. To see it in alarm, deploy with a yearly AuditScheduleExpression")
    seen += f" {age / timedelta(hours=1):.1f} h after the stack was created, without an audit"
    if is_alarm:
        return passed(seen)
    # One that was completed earlier counts until its hour has left the alarm's, and its metric is late.
    is_recent = _total(subject, OURS, "AuditCompleted", now - watched - LATE, HOUR)
    return later(seen) if is_recent or age < watched + LATE else failed(seen)


def recursion(subject: Subject) -> Finding:
    """Lambda takes no retry for a recursive loop, also after more tries than it allows a loop."""
    day = time.time() - 24 * HOUR
    dropped = _total(subject, "AWS/Lambda", "RecursiveInvocationsDropped", datetime.fromtimestamp(day, UTC), HOUR)
    if dropped:
        return failed(f"{dropped:.0f} invocations were dropped as recursive")
    lines = map(parsed, subject.log('{ $.message = "Commvault answered" }', subject.log_group(), since=day))
    times = Counter(str(line.get("trigger")) for line in lines)
    most = max(times.values(), default=0)
    if most < LOOPS:
        return later(f"none dropped after at most {most} tries of one submission; {LOOPS} are needed")
    return passed(f"none dropped after {most} tries of one submission")


def redaction(subject: Subject) -> Finding:
    """The token is in no line of the logs."""
    secret = subject.client("secretsmanager").get_secret_value(SecretId=subject.stack.output("TokenSecretArn"))
    token, since = secret.get("SecretString", ""), secret["CreatedDate"].timestamp()
    if not token.startswith(MADE_UP):
        return later("the secret does not hold a made-up token: run the step compare-and-set first")
    groups = [subject.log_group(name) for name in (BACKUP, AUDIT)]
    if bad := [group for group in groups if any(True for _ in subject.log(f'"{token}"', group, since))]:
        return failed(f"the made-up token is in {', '.join(bad)}")
    if not any(True for _ in subject.log('{ $.trigger = "*" }', groups[0], since)):
        return later("no submission was made since the token was stored: run the step placeholders first")
    return passed(f"the made-up token is in none of {len(groups)} log groups, at {subject.parameter('LogLevel')}")
