"""The template's alarms, each with its case: the metrics that it watches, and the kind of change that it reports.

Times are in hours from a Sunday, 00:00 UTC.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from aws_lambda_powertools.metrics import base

from rds_snap_backup.observability import NAMESPACE, MetricName, count
from tests.unit.alarms import HOUR, Alarm, Metric, Sample, samples
from tests.unit.template import Resolved

SUNDAY = dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp()
TOPIC = ("AlarmTopic",)
SPARES = [0, 1, 2]
ALARMS = Resolved({"EventsOutBusName": "central"}).of_type("AWS::CloudWatch::Alarm")
STACK = "backups"
FUNCTIONS = ("BackupFunction", "AuditFunction")

type Kind = Literal["event", "letters", "more letters", "waiting", "silence"]


@dataclass(frozen=True, slots=True)
class Case:
    """The metrics that an alarm watches, and the kind of change that it reports."""

    kind: Kind
    metrics: tuple[Metric, ...]

    def sample(self, at: float, value: float = 1, metric: int = 0) -> Sample:
        """Return the sample that AWS reports of one of the metrics at an hour."""
        return Sample(self.metrics[metric], SUNDAY + at * HOUR, value)

    def foreign(self, at: float) -> list[Sample]:
        """Return the same of another stack's resources."""
        theirs = [(space, name, frozenset((key, "another") for key, _ in keys)) for space, name, keys in self.metrics]
        return [Sample(metric, SUNDAY + at * HOUR, at) for metric in theirs]


def metric(namespace: str, name: str, **dimensions: str) -> Metric:
    return (namespace, name, frozenset(dimensions.items()))


def counted(*names: str) -> Case:
    return Case("event", tuple(metric(NAMESPACE, name, service=STACK) for name in names))


def of_functions(name: str) -> Case:
    return Case("event", tuple(metric("AWS/Lambda", name, FunctionName=function) for function in FUNCTIONS))


def visible(kind: Kind, *queues: str) -> Case:
    name = "ApproximateNumberOfMessagesVisible"
    return Case(kind, tuple(metric("AWS/SQS", name, QueueName=f"{queue}.QueueName") for queue in queues))


CASES = {
    "BackupProblemAlarm": counted("BackupRejected", "SubmissionAbandoned", "BackupFailed", "JobLost"),
    "EventRefusedAlarm": counted("EventRefused"),
    "TokenAlarm": counted("TokenRefused", "TokenNotStored"),
    "AuditFindingAlarm": counted("AuditFinding"),
    "FunctionErrorsAlarm": of_functions("Errors"),
    "ThrottlesAlarm": of_functions("Throttles"),
    "EventsDroppedAlarm": of_functions("AsyncEventsDropped"),
    "RecursionAlarm": of_functions("RecursiveInvocationsDropped"),
    "DeliveryAlarm": Case(
        "event",
        (
            metric("AWS/Lambda", "DestinationDeliveryFailures", FunctionName="BackupFunction"),
            metric("AWS/Events", "InvocationsFailedToBeSentToDlq", RuleName="rds-events"),
            metric("AWS/Scheduler", "InvocationsFailedToBeSentToDeadLetterCount", ScheduleGroup="Schedules"),
            metric("AWS/SNS", "NumberOfNotificationsFailedToRedriveToDlq", TopicName="Notifications.TopicName"),
        ),
    ),
    "DeadLetterAlarm": visible("letters", "DeadLetterQueue"),
    "NewDeadLetterAlarm": visible("more letters", "DeadLetterQueue"),
    "SubmissionsWaitingAlarm": visible("waiting", "SubmissionsQueue"),
    "EventsOutAlarm": visible("waiting", "EventsOutQueue", "EventsOutDeadLetterQueue"),
    "MissedAuditAlarm": Case("silence", (metric(NAMESPACE, "AuditCompleted", service=STACK),)),
}
EVENTS, WAITING = (
    [(name, number) for name, case in CASES.items() if case.kind == kind for number, _ in enumerate(case.metrics)]
    for kind in ("event", "waiting")
)


class Emitted:
    """Emits metrics as the code does, at any time, and collects the samples that CloudWatch reads from the lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.samples: list[Sample] = []

    def emit(self, *hours: float, name: str = "AuditCompleted", stack: str = STACK) -> None:
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


def story(tested: Alarm, data: Iterable[Sample], begin: float, end: float) -> list[tuple[float, str]]:
    """Return the changes of state with their hours."""
    changes = tested.changes(data, SUNDAY + begin * HOUR, SUNDAY + end * HOUR)
    return [((change.at - SUNDAY) / HOUR, change.state) for change in changes]


def fired(tested: Alarm, data: Iterable[Sample], begin: float, end: float) -> list[float]:
    """Return the hours at which it fires."""
    return [at for at, state in story(tested, data, begin, end) if state == "ALARM"]


def depth(case: Case, begin: float, *levels: tuple[float, int], until: float, metric: int = 0) -> list[Sample]:
    """Return a queue's reported depth for each minute from `begin` on, given the hours at which it changes."""
    minutes = range(round(begin * 60), round(until * 60))
    return [
        case.sample(minute / 60, next((messages for at, messages in reversed(levels) if at * 60 <= minute), 0), metric)
        for minute in minutes
    ]
