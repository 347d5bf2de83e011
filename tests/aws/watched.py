"""What CloudWatch shows: alarms and their actions, the dead man's switch, recursion, and what the log must not have."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from rds_snap_backup_cli.functions import AUDIT, BACKUP
from tests.aws.acting import MADE_UP
from tests.aws.subject import Finding, Subject, failed, later, parsed, passed, until

ALARM = "BackupProblemAlarm"
ACTION_SECONDS = 120
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


def dead_mans_switch(subject: Subject) -> Finding:
    """The dead man's switch is in alarm, since no audit was completed."""
    name = subject.resource("MissedAuditAlarm")
    (alarm,) = subject.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    within = LATE + timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])
    age = datetime.now(UTC) - subject.description["CreationTime"]
    seen = f"{name} is {alarm['StateValue']} {age / timedelta(hours=1):.1f} h after the stack was created"
    if alarm["StateValue"] == "ALARM":
        return passed(seen)
    return later(seen) if age < within else failed(seen)


def recursion(subject: Subject) -> Finding:
    """Lambda takes no retry for a recursive loop, also after more tries than it allows a loop."""
    day = time.time() - 24 * HOUR
    dropped = sum(
        point["Sum"]
        for point in subject.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="RecursiveInvocationsDropped",
            Dimensions=[{"Name": "FunctionName", "Value": subject.stack.output(BACKUP)}],
            StartTime=datetime.fromtimestamp(day, UTC),
            EndTime=datetime.now(UTC),
            Period=HOUR,
            Statistics=["Sum"],
        )["Datapoints"]
    )
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
