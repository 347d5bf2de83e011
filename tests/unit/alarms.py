"""CloudWatch's part, as its user guide describes it: metrics out of EMF lines, and the states of the template's alarms.

Only what the template uses is implemented. AWS leaves open how many periods beyond an alarm's own are evaluated where data is
missing (its examples show two: `spare`), and at which minute of an hour an alarm that spans more than a day is evaluated.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
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
type Points = Sequence[float | None]
type Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""A namespace, a name and all dimensions."""

MINUTE, HOUR, DAY = 60, 3600, 86400
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {"Sum": sum, "Maximum": max, "Minimum": min}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "LessThanThreshold": operator.lt,
    "GreaterThanOrEqualToThreshold": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric."""

    metric: Metric
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alarm's state, and the topics that are notified."""

    at: float
    state: State
    notified: tuple[str, ...]


def samples(lines: Iterable[str]) -> Iterator[Sample]:
    """Yield the samples in log lines of the embedded metric format; other lines are skipped."""
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

    `spare` is the number of further periods that are looked at, `minute` the one at which CloudWatch evaluates a long alarm.
    """

    def __init__(self, properties: Mapping[str, Any], spare: int = 2, minute: int = 0) -> None:
        queries = properties.get("Metrics", [_query(properties)])
        stats = [query["MetricStat"] for query in queries if "MetricStat" in query]
        self.metrics = [_metric(part["Metric"]) for part in stats]
        ((self.period, stat),) = {(int(part["Period"]), part["Stat"]) for part in stats}
        self.periods = int(properties["EvaluationPeriods"])
        self._statistic = STATISTICS[stat]
        self._expression = _expression(queries)
        self._threshold = float(properties["Threshold"])
        self._by_the_clock = properties.get("EvaluationWindow") == {"WallClockWindow": {"Timezone": "UTC"}}
        self._to_alarm = int(properties.get("DatapointsToAlarm", self.periods))
        self._compare = COMPARISONS[properties["ComparisonOperator"]]
        self._missing_breaches = {"breaching": True, "notBreaching": False}[properties["TreatMissingData"]]
        actions = {"ALARM": properties.get("AlarmActions", ()), "OK": properties.get("OKActions", ())}
        self._actions = {state: tuple(topics) for state, topics in actions.items()}
        self._spare, self._minute = spare, minute

    @property
    def is_long(self) -> bool:
        """Whether it spans more than a day: then it is evaluated once an hour, on the hours before."""
        return self.periods * self.period > DAY

    def state(self, points: Points) -> State:
        """Return the state for the points of the evaluated periods, oldest first; None: missing.

        Points with data come first, also those from further back; missing ones fill the rest.
        """
        present = [point for point in points if point is not None][-self.periods :]
        breaching = sum(self._compare(point, self._threshold) for point in present)
        if self._missing_breaches:
            breaching += self.periods - len(present)
        return "ALARM" if breaching >= self._to_alarm else "OK"

    def changes(self, data: Iterable[Sample], begin: float, end: float) -> list[Change]:
        """Return the changes of state of the alarm, created at `begin`, until `end`."""
        ordered = sorted(data, key=lambda sample: sample.at)
        values = [
            [(sample.at, sample.value) for sample in ordered if sample.metric == metric] for metric in self.metrics
        ]
        found: list[Change] = []
        state: State = "INSUFFICIENT_DATA"
        step, first = (HOUR, self._minute * MINUTE) if self.is_long else (MINUTE, 0)
        for at in range(math.ceil((begin - first) / step) * step + first, int(end) + 1, step):
            points = self._expression([self._points(series, self._end_of_window(at)) for series in values])
            if (now := self.state(points)) != state:
                state = now
                found.append(Change(at, state, self._actions[state]))
        return found

    def _end_of_window(self, at: int) -> int:
        if self._by_the_clock:
            return at // self.period * self.period
        return at // HOUR * HOUR if self.is_long else at

    def _points(self, values: Sequence[tuple[float, float]], end: int) -> Points:
        count = self.periods + self._spare
        bounds = [bisect_left(values, (end + (index - count) * self.period,)) for index in range(count + 1)]
        periods = [[value for _, value in values[begin:end]] for begin, end in pairwise(bounds)]
        return [self._statistic(period) if period else None for period in periods]


def _metric(part: Mapping[str, Any]) -> Metric:
    return (
        part["Namespace"],
        part["MetricName"],
        frozenset((dimension["Name"], dimension["Value"]) for dimension in part["Dimensions"]),
    )


def _query(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an alarm on one metric in the form of an alarm on an expression."""
    if "MetricName" not in properties:
        return {}
    metric = {name: properties[name] for name in ("Namespace", "MetricName", "Dimensions")}
    return {
        "Id": "metric",
        "MetricStat": {"Metric": metric, "Stat": properties["Statistic"], "Period": properties["Period"]},
    }


def _expression(queries: Sequence[Mapping[str, Any]]) -> Callable[[Sequence[Points]], Points]:
    expressions = [query["Expression"] for query in queries if "Expression" in query]
    hidden = [query["Id"] for query in queries if query.get("ReturnData") is False]
    match expressions:
        case []:
            return lambda series: series[0]
        case ["SUM(METRICS())"] if len(hidden) == len(queries) - 1:
            return total
        case [expression] if [expression] == [f"DIFF({name})" for name in hidden]:
            return lambda series: differences(series[0])
    raise NotImplementedError(queries)


def total(series: Sequence[Points]) -> Points:
    """Return SUM of several series: of the data that each period has, and None without any."""
    columns = ([point for point in column if point is not None] for column in zip(*series, strict=True))
    return [sum(column) if column else None for column in columns]


def differences(points: Points) -> Points:
    """Return DIFF of points: the difference of each present point to the one before it; the first has none."""
    found: list[float | None] = []
    before: float | None = None
    for point in points:
        found.append(None if point is None or before is None else point - before)
        before = before if point is None else point
    return found
