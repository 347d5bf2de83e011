"""The template's alarms, each with its case: the metric that it is on, and by which kind of change of that it fires.

Also what the tests of all alarms share: metrics as the code emits them and as AWS reports them, and what an alarm makes of
them. Times are in hours from a Sunday, 00:00 UTC.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from aws_lambda_powertools.metrics import base

from rds_snap_backup.observability import NAMESPACE, MetricName, count
from tests.unit.alarms import HOUR, Alarm, Sample, samples
from tests.unit.template import Resolved

SUNDAY = dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp()
NIGHTLY = 2 + 4 / HOUR  # what a schedule of 02:00 comes to
TOPIC = ("Notifications",)
SPARES = [0, 1, 2]
ALARMS = Resolved().of_type("AWS::CloudWatch::Alarm")
STACK = "backups"

type Kind = Literal["happened", "holds letters", "more letters", "waits", "silence"]


@dataclass(frozen=True, slots=True)
class Case:
    """Which metric an alarm is on, and by which kind of change of it the alarm fires."""

    kind: Kind
    namespace: str
    metric: str
    dimension: tuple[str, str]

    def sample(self, at: float, value: float = 1, of: str | None = None) -> Sample:
        """Return what AWS reports at an hour, of the stack's resource or another one."""
        name, ours = self.dimension
        return Sample((self.namespace, self.metric, frozenset({(name, of or ours)})), SUNDAY + at * HOUR, value)


def counted(metric: str) -> Case:
    return Case("happened", NAMESPACE, metric, ("service", STACK))


def of_function(metric: str, function: str) -> Case:
    return Case("happened", "AWS/Lambda", metric, ("FunctionName", function))


def visible(kind: Kind, queue: str) -> Case:
    return Case(kind, "AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", f"{queue}.QueueName"))


CASES = {
    "SubmitErrorsAlarm": of_function("Errors", "SubmitFunction"),
    "FollowErrorsAlarm": of_function("Errors", "FollowFunction"),
    "AuditErrorsAlarm": of_function("Errors", "AuditFunction"),
    "SubmitThrottlesAlarm": of_function("Throttles", "SubmitFunction"),
    "FollowThrottlesAlarm": of_function("Throttles", "FollowFunction"),
    "AuditThrottlesAlarm": of_function("Throttles", "AuditFunction"),
    "SubmitRecursionAlarm": of_function("RecursiveInvocationsDropped", "SubmitFunction"),
    "FollowRecursionAlarm": of_function("RecursiveInvocationsDropped", "FollowFunction"),
    "SubmitEventsDroppedAlarm": of_function("AsyncEventsDropped", "SubmitFunction"),
    "AuditEventsDroppedAlarm": of_function("AsyncEventsDropped", "AuditFunction"),
    "DestinationDeliveryAlarm": of_function("DestinationDeliveryFailures", "SubmitFunction"),
    "RuleDeliveryAlarm": Case("happened", "AWS/Events", "InvocationsFailedToBeSentToDlq", ("RuleName", "rds-events")),
    "ScheduleDeliveryAlarm": Case(
        "happened", "AWS/Scheduler", "InvocationsFailedToBeSentToDeadLetterCount", ("ScheduleGroup", "Schedules")
    ),
    "TopicDeliveryAlarm": Case(
        "happened", "AWS/SNS", "NumberOfNotificationsFailedToRedriveToDlq", ("TopicName", "Notifications.TopicName")
    ),
    "EventRefusedAlarm": counted("EventRefused"),
    "TokenRefusedAlarm": counted("TokenRefused"),
    "TokenNotStoredAlarm": counted("TokenNotStored"),
    "BackupRejectedAlarm": counted("BackupRejected"),
    "SubmissionAbandonedAlarm": counted("SubmissionAbandoned"),
    "BackupFailedAlarm": counted("BackupFailed"),
    "JobLostAlarm": counted("JobLost"),
    "AuditFindingAlarm": counted("AuditFinding"),
    "DeadLetterAlarm": visible("holds letters", "DeadLetterQueue"),
    "JobsDeadLetterAlarm": visible("holds letters", "JobsDeadLetterQueue"),
    "NewDeadLetterAlarm": visible("more letters", "DeadLetterQueue"),
    "NewJobsDeadLetterAlarm": visible("more letters", "JobsDeadLetterQueue"),
    "SubmissionsWaitingAlarm": visible("waits", "SubmissionsQueue"),
    "JobsWaitingAlarm": visible("waits", "JobsQueue"),
    "MissedBackupAlarm": Case("silence", NAMESPACE, "BackupSubmitted", ("service", STACK)),
    "MissedAuditAlarm": Case("silence", NAMESPACE, "AuditCompleted", ("service", STACK)),
}


def of_kind(*kinds: Kind) -> list[str]:
    return [name for name, case in CASES.items() if case.kind in kinds]


class Emitted:
    """Emits metrics as the code does, at any time, and collects what CloudWatch would make of the lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.samples: list[Sample] = []

    def emit(self, *hours: float, name: str = "BackupSubmitted", stack: str = STACK) -> None:
        """Emit one at each of these times."""
        for hour in hours:

            class Clock(dt.datetime):
                @classmethod
                def now(cls, tz: dt.tzinfo | None = None, hour: float = hour) -> "Clock":
                    return cls.fromtimestamp(SUNDAY + hour * HOUR, tz)

            with self._monkeypatch.context() as patch:
                patch.setattr(base, "dt", SimpleNamespace(datetime=Clock))
                count(cast("MetricName", name), stack)
        self.samples += samples(self._capsys.readouterr().out.splitlines())


def alarm(name: str, spare: int = 2, minute: int = 0, **given: Any) -> Alarm:
    return Alarm(Resolved({**given}).of_type("AWS::CloudWatch::Alarm")[name] if given else ALARMS[name], spare, minute)


def story(one: Alarm, data: Iterable[Sample], begin: float, end: float) -> list[tuple[float, str]]:
    """Return the changes of state with the hours at which they come."""
    changes = one.changes(data, SUNDAY + begin * HOUR, SUNDAY + end * HOUR)
    return [((change.at - SUNDAY) / HOUR, change.state) for change in changes]


def alarms(one: Alarm, data: Iterable[Sample], begin: float, end: float) -> list[float]:
    """Return the hours at which it fires."""
    return [at for at, state in story(one, data, begin, end) if state == "ALARM"]


def depth(case: Case, begin: float, *levels: tuple[float, int], until: float) -> list[Sample]:
    """Return what SQS reports of a queue each minute from `begin` on, where its messages become so many at these hours."""
    minutes = range(round(begin * 60), round(until * 60))
    steps = [(at, messages) for at, messages in levels]
    return [
        case.sample(minute / 60, next((messages for at, messages in reversed(steps) if at * 60 <= minute), 0))
        for minute in minutes
    ]
