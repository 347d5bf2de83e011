"""CloudWatch's part, as its user guide describes it: metrics out of EMF lines, and the states of the template's alarms.

Only what the template uses is known here. How many periods more than an alarm's own are evaluated, where data is
missing, AWS leaves open; its examples show two (`spare`).
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
    """An alarm of the template, its parameters resolved."""

    def __init__(self, properties: Mapping[str, Any], spare: int = 2) -> None:
        dimensions = frozenset((one["Name"], one["Value"]) for one in properties["Dimensions"])
        self.metric = (properties["Namespace"], properties["MetricName"], dimensions)
        self.period = int(properties["Period"])
        self.periods = int(properties["EvaluationPeriods"])
        self.threshold = float(properties["Threshold"])
        self._to_alarm = int(properties.get("DatapointsToAlarm", self.periods))
        self._statistic = STATISTICS[properties["Statistic"]]
        self._compare = COMPARISONS[properties["ComparisonOperator"]]
        self._missing_breaches = {"breaching": True, "notBreaching": False}[properties["TreatMissingData"]]
        self._actions = {
            "ALARM": tuple(properties.get("AlarmActions", ())),
            "OK": tuple(properties.get("OKActions", ())),
        }
        self._spare = spare

    @property
    def step(self) -> int:
        """How often it is evaluated: once a minute, or once an hour if its window is longer than a day."""
        return MINUTE if self.periods * self.period <= DAY else HOUR

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
        for at in range(math.ceil(begin / self.step) * self.step, int(end) + 1, self.step):
            if (now := self.state(self._points(values, at))) != state:
                state = now
                found.append(Change(at, state, self._actions[state]))
        return found

    def _points(self, values: Sequence[tuple[float, float]], at: int) -> list[float | None]:
        count = self.periods + self._spare
        bounds = [bisect_left(values, (at + (index - count) * self.period,)) for index in range(count + 1)]
        periods = [[value for _, value in values[begin:end]] for begin, end in pairwise(bounds)]
        return [self._statistic(period) if period else None for period in periods]
