"""The sums of the stack's own metrics, read from CloudWatch."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rds_snap_backup.audit.digest import SUMS, Span
from rds_snap_backup.observability import NAMESPACE, MetricName
from rds_snap_backup.problems import Problem

NAMES = [name for names in SUMS.values() for name in names.values()]


class MetricSums:
    """The metrics whose dimension `service` is the stack's name. `client` makes the client when it is needed."""

    def __init__(self, service: str, client: Callable[[], Any]) -> None:
        self._service = service
        self._client = client

    def read(self, span: Span) -> dict[MetricName, int] | Problem:
        """Return each metric's sum over whole minutes."""
        sums = dict.fromkeys(NAMES, 0)
        if span.start == span.end:
            return sums
        pages = (
            self._client()
            .get_paginator("get_metric_data")
            .paginate(
                MetricDataQueries=[self._query(number, name) for number, name in enumerate(NAMES)],
                StartTime=datetime.fromtimestamp(span.start, UTC),
                EndTime=datetime.fromtimestamp(span.end, UTC),
            )
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                # `PartialData`: the next page has more. https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html
                if (status := result.get("StatusCode")) not in {"Complete", "PartialData"}:
                    return Problem("AWS_FAILURE", f"CloudWatch did not sum the metrics ({status}).", "")
                sums[NAMES[int(result["Id"][1:])]] += round(sum(result["Values"]))
        return sums

    def _query(self, number: int, name: MetricName) -> dict[str, Any]:
        metric = {"Namespace": NAMESPACE, "MetricName": name}
        dimensions = [{"Name": "service", "Value": self._service}]
        return {
            "Id": f"m{number}",
            "MetricStat": {"Metric": {**metric, "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"},
        }
