"""What CloudWatch shows: alarms and their actions, the dead man's switch, recursion, and what the log must not have."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from rds_snap_backup_cli.functions import AUDIT, BACKUP, invoke
from tests.aws.acting import MADE_UP
from tests.aws.standing import rds_event
from tests.aws.subject import Later, Subject, parsed, require, until

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


def alarm_action(subject: Subject) -> str:
    """CloudWatch may publish to the topic, also with a customer key: a person receives the alarm."""
    client, name, begin = subject.client("cloudwatch"), subject.resource(ALARM), datetime.now(UTC)
    for state in ("OK", "ALARM"):  # it acts when the state changes
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="make verify: this is a test")

    def actions() -> list[str]:
        history = client.describe_alarm_history(AlarmName=name, HistoryItemType="Action", StartDate=begin)
        return [item["HistorySummary"] for item in history["AlarmHistoryItems"]]

    summaries = until(actions, ACTION_SECONDS)
    require(summaries, f"{name} was set to ALARM, and took no action")
    require(all("uccessfully" in summary for summary in summaries), f"{name}: {'; '.join(summaries)}")
    return f"{summaries[0]}. Look for the e-mail"


def metrics(subject: Subject) -> str:
    """CloudWatch makes metrics of the log's EMF lines, under the one dimension that the alarms watch."""
    begin = datetime.now(UTC) - timedelta(minutes=1)
    invoke(subject.stack, BACKUP, rds_event(subject, IGNORED))
    missing = f"an ignored event was counted in the log, and {OURS} has no EventIgnored of {subject.stack.name}"
    require(until(lambda: _total(subject, "EventIgnored", begin, 60), METRIC_SECONDS), missing)
    return "an ignored event was counted as EventIgnored"


def _total(subject: Subject, name: str, since: datetime, period: int = HOUR, namespace: str = OURS) -> float:
    """Return the sum of a metric of the stack, in periods of this many seconds."""
    dimension = ("service", subject.stack.name) if namespace == OURS else ("FunctionName", subject.stack.output(BACKUP))
    points = subject.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[dict(zip(("Name", "Value"), dimension, strict=True))],
        StartTime=since,
        EndTime=datetime.now(UTC),
        Period=period,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def dead_mans_switch(subject: Subject) -> str:
    """The dead man's switch is in alarm where no audit was completed, and is not where one was."""
    subject.given("AuditScheduleExpression")
    name = subject.resource("MissedAuditAlarm")
    (alarm,) = subject.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    watched, now = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"]), datetime.now(UTC)
    age = now - subject.stack.description["CreationTime"]
    is_alarm, seen = alarm["StateValue"] == "ALARM", f"{name} is {alarm['StateValue']}"
    completed = _total(subject, "AuditCompleted", now - watched + LATE)
    if completed:
        seen += f", and {completed:.0f} audits were completed in the last {watched / timedelta(hours=1):.0f} hours"
        require(not is_alarm or _total(subject, "AuditCompleted", now - LATE), seen)
        raise Later(f"{seen}. To see it in alarm, deploy with a yearly AuditScheduleExpression")
    seen += f" {age / timedelta(hours=1):.1f} h after the stack was created, without an audit"
    if is_alarm:
        return seen
    # One that was completed earlier counts until its hour has left the alarm's, and its metric is late.
    require(_total(subject, "AuditCompleted", now - watched - LATE) or age < watched + LATE, seen)
    raise Later(seen)


def recursion(subject: Subject) -> str:
    """Lambda takes no retry for a recursive loop, also after more tries than it allows a loop."""
    day = datetime.now(UTC) - timedelta(days=1)
    dropped = _total(subject, "RecursiveInvocationsDropped", day, namespace="AWS/Lambda")
    require(not dropped, f"{dropped:.0f} invocations were dropped as recursive")
    lines = map(parsed, subject.log('{ $.message = "Commvault answered" }', subject.log_group(), day.timestamp()))
    most = max(Counter(str(line.get("trigger")) for line in lines).values(), default=0)
    if most < LOOPS:
        raise Later(f"none dropped after at most {most} tries of one submission; {LOOPS} are needed")
    return f"none dropped after {most} tries of one submission"


def redaction(subject: Subject) -> str:
    """The token is in no line of the logs."""
    secret = subject.client("secretsmanager").get_secret_value(SecretId=subject.stack.output("TokenSecretArn"))
    token, since = secret.get("SecretString", ""), secret["CreatedDate"].timestamp()
    if not token.startswith(MADE_UP):
        raise Later("the secret does not hold a made-up token: run the step compare-and-set first")
    groups = [subject.log_group(name) for name in (BACKUP, AUDIT)]
    bad = [group for group in groups if subject.log(f'"{token}"', group, since)]
    require(not bad, f"the made-up token is in {', '.join(bad)}")
    if not subject.log('{ $.trigger = "*" }', groups[0], since):
        raise Later("no submission was made since the token was stored: run the step placeholders first")
    return f"the made-up token is in none of {len(groups)} log groups, at {subject.parameter('LogLevel')}"
