"""Metrics as CloudWatch reads them out of log lines in the embedded metric format."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

type Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""A namespace, a name and all dimensions."""


def metric(namespace: str, name: str, **dimensions: str) -> Metric:
    """Return a metric."""
    return (namespace, name, frozenset(dimensions.items()))


def sums(lines: Iterable[str]) -> Counter[Metric]:
    """Return the sum of each metric; lines of another format are skipped."""
    found: Counter[Metric] = Counter()
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        meta = document.get("_aws", {}) if isinstance(document, dict) else {}
        for directive in meta.get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                dimensions = {name: document[name] for name in names}
                for item in directive["Metrics"]:
                    values = document[item["Name"]]
                    key = metric(directive["Namespace"], item["Name"], **dimensions)
                    found[key] += sum(values if isinstance(values, list) else [values])
    return found


def counted(output: str) -> Counter[str]:
    """Return the sums of the metrics in a function's output by name."""
    found: Counter[str] = Counter()
    for (_, name, _), value in sums(output.splitlines()).items():
        found[name] += value
    return found


class ToCloudWatch(StringIO):
    """A function's standard output, whose metrics are CloudWatch's once it is flushed, with the function's times."""

    def __init__(self, client: Any, clock: Callable[[], float]) -> None:
        super().__init__()
        self._client = client
        self._clock = clock
        self._data: defaultdict[str, list[Any]] = defaultdict(list)

    def write(self, text: str) -> int:
        """Keep the text and its metrics."""
        at = datetime.fromtimestamp(self._clock(), UTC)
        for (namespace, name, dimensions), value in sums(text.splitlines()).items():
            named = [{"Name": key, "Value": given} for key, given in dimensions]
            self._data[namespace].append({"MetricName": name, "Dimensions": named, "Value": value, "Timestamp": at})
        return super().write(text)

    def flush(self) -> None:
        """Put the metrics."""
        while self._data:
            namespace, rows = self._data.popitem()
            self._client.put_metric_data(Namespace=namespace, MetricData=rows)
