"""Metrics as CloudWatch reads them out of log lines in the embedded metric format."""

import json
from collections import Counter
from collections.abc import Iterable

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
