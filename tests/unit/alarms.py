"""CloudWatch's part, as its user guide describes it: metrics out of EMF lines, and the states of the template's alarms.

Only what the template uses is known here. How many periods more than an alarm's own are evaluated, where data is
missing, AWS leaves open; its examples show two (`spare`). It also leaves open at which minute of an hour it evaluates
an alarm that spans more than a day.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
"""

import json
import math
import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

type State = Literal["INSUFFICIENT_DATA", "OK", "ALARM"]

MINUTE, HOUR, DAY = 60, 3600, 86400
# The periods that a window by the clock can have.
BY_THE_CLOCK = {MINUTE, 5 * MINUTE, HOUR, DAY, 7 * DAY}
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {"Sum": sum, "Maximum": max, "Minimum": min}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "LessThanThreshold": operator.lt,
    "GreaterThanOrEqualToThreshold": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric. A metric is its namespace, its name and all of its dimensions."""

    metric: tuple[str, str, frozenset[tuple[str, str]]]
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alarm's state, and what is notified."""

    at: float
    state: State
    notified: tuple[str, ...]


def samples(lines: Iterable[str]) -> Iterator[Sample]:
    """Read log lines: those in the embedded metric format hold samples, all others nothing."""
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        meta = document.get("_aws", {}) if isinstance(document, dict) else {}
        for directive in meta.get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                dimensions = frozenset((name, document[name]) for name in names)
                for metric in directive["Metrics"]:
                    values = document[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        key = (directive["Namespace"], metric["Name"], dimensions)
                        yield Sample(key, meta["Timestamp"] / 1000, value)


class Alarm:
    """An alarm of the template, its parameters resolved.

    `spare` is how many periods more are looked at, and `minute` the one at which CloudWatch evaluates a long alarm.
    """

    def __init__(self, properties: Mapping[str, Any], spare: int = 2, minute: int = 0) -> None:
        queries = properties.get("Metrics", [_query(properties)])
        (base,) = [one["MetricStat"] for one in queries if "MetricStat" in one]
        dimensions = frozenset((one["Name"], one["Value"]) for one in base["Metric"]["Dimensions"])
        self.metric = (base["Metric"]["Namespace"], base["Metric"]["MetricName"], dimensions)
        self.period = int(base["Period"])
        self.periods = int(properties["EvaluationPeriods"])
        self.threshold = float(properties["Threshold"])
        self._statistic = STATISTICS[base["Stat"]]
        self._expression = _expression(queries)
        self._by_the_clock = _is_by_the_clock(properties, self.period)
        self._to_alarm = int(properties.get("DatapointsToAlarm", self.periods))
        self._compare = COMPARISONS[properties["ComparisonOperator"]]
        self._missing_breaches = {"breaching": True, "notBreaching": False}[properties["TreatMissingData"]]
        self._actions = {
            "ALARM": tuple(properties.get("AlarmActions", ())),
            "OK": tuple(properties.get("OKActions", ())),
        }
        self._spare, self._minute = spare, minute

    @property
    def is_long(self) -> bool:
        """Whether it spans more than a day: then it is evaluated once an hour, with what there is of the hours before."""
        return self.periods * self.period > DAY

    def state(self, points: Sequence[float | None]) -> State:
        """Return the state for the points of the evaluated periods, oldest first; None: missing.

        Points that are there come first, also those from further back. What then still lacks is filled in.
        """
        there = [point for point in points if point is not None][-self.periods :]
        breaching = sum(self._compare(point, self.threshold) for point in there)
        if self._missing_breaches:
            breaching += self.periods - len(there)
        return "ALARM" if breaching >= self._to_alarm else "OK"

    def changes(self, data: Iterable[Sample], begin: float, end: float) -> list[Change]:
        """Return what becomes of the alarm, made at `begin`, until `end`."""
        values = sorted((sample.at, sample.value) for sample in data if sample.metric == self.metric)
        found: list[Change] = []
        state: State = "INSUFFICIENT_DATA"
        step, first = (HOUR, self._minute * MINUTE) if self.is_long else (MINUTE, 0)
        for at in range(math.ceil((begin - first) / step) * step + first, int(end) + 1, step):
            if (now := self.state(self._points(values, self._end_of_window(at)))) != state:
                state = now
                found.append(Change(at, state, self._actions[state]))
        return found

    def _end_of_window(self, at: int) -> int:
        if self._by_the_clock:
            return at // self.period * self.period
        return at // HOUR * HOUR if self.is_long else at

    def _points(self, values: Sequence[tuple[float, float]], end: int) -> list[float | None]:
        count = self.periods + self._spare
        bounds = [bisect_left(values, (end + (index - count) * self.period,)) for index in range(count + 1)]
        periods = [[value for _, value in values[begin:end]] for begin, end in pairwise(bounds)]
        return self._expression([self._statistic(period) if period else None for period in periods])


def _query(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an alarm on one metric as the query that an alarm on an expression has for it."""
    if "MetricName" not in properties:
        return {}
    metric = {name: properties[name] for name in ("Namespace", "MetricName", "Dimensions")}
    stat = {"Metric": metric, "Stat": properties["Statistic"], "Period": properties["Period"]}
    return {"Id": "metric", "MetricStat": stat}


def _expression(queries: Sequence[Mapping[str, Any]]) -> Callable[[list[float | None]], list[float | None]]:
    match queries:
        case [{"MetricStat": _}]:
            return list
        case [{"Id": name, "ReturnData": False}, {"Expression": expression, "ReturnData": True}] if (
            expression == f"DIFF({name})"
        ):
            return differences
    raise NotImplementedError(queries)


def differences(points: Sequence[float | None]) -> list[float | None]:
    """Return DIFF of points: the difference to the value before it, of each but the first that is there."""
    found: list[float | None] = []
    before: float | None = None
    for point in points:
        found.append(None if point is None or before is None else point - before)
        before = before if point is None else point
    return found


def _is_by_the_clock(properties: Mapping[str, Any], period: int) -> bool:
    match properties.get("EvaluationWindow"):
        case None:
            return False
        case {"WallClockWindow": {"Timezone": "UTC"}} if period in BY_THE_CLOCK:
            return True
    raise NotImplementedError(properties["EvaluationWindow"])
