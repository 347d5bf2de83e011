"""What a stack costs while nothing happens, counted from the template: what AWS charges by the month, and the polling of its queues.

Not in it, being less than a cent: a few kilobytes of logs and of the ledger's items a night, and the audit's run.
"""

from dataclasses import dataclass
from typing import Any

from benchmarks.prices import DAYS, PRICES
from tests.unit.template import Resolved

# An event source polls a quiet queue with five pollers that wait 20 s each.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLS = 5 * 3 * 60 * 24 * DAYS
# What a stack counts while all is well: in how many hours of a day, and under which condition. All else counts what goes
# wrong. A metric is charged for the hours in which it is sent. https://aws.amazon.com/cloudwatch/pricing/
METRICS = {
    "BackupSubmitted": (1, None),
    "BackupCompleted": (1, None),
    "TokenRenewed": (2, "RenewsToken"),  # at night, and for the audit
    "AuditCompleted": (1, "HasAudits"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A number of something that AWS charges by the month, in US dollars each."""

    what: str
    count: float
    price: float

    @property
    def month(self) -> float:
        """Dollars a month."""
        return self.count * self.price


def items(**parameters: Any) -> list[Item]:
    """Return what a stack with these parameters has; with the template's defaults for all others."""
    stack = Resolved(parameters)
    counts = {
        "CloudWatch alarm-month": sum(map(_metrics, stack.of_type("AWS::CloudWatch::Alarm").values())),
        "CloudWatch dashboard-month": len(stack.of_type("AWS::CloudWatch::Dashboard")),
        "CloudWatch metric-month": sum(hours / 24 for hours, condition in METRICS.values() if stack.holds(condition)),
        # The stack's, or one of the user's, who pays for it in any case.
        "Secrets Manager secret-month": 1,
        "SQS request": POLLS * _polled_queues(stack),
    }
    return [Item(what, count, PRICES[what]) for what, count in counts.items()]


def month(**parameters: Any) -> float:
    """Return dollars a month."""
    return sum(item.month for item in items(**parameters))


def _metrics(alarm: dict[str, Any]) -> int:
    """Return how many metrics an alarm is charged for: those that its expression is of."""
    return sum("MetricStat" in query for query in alarm["Metrics"]) if "Metrics" in alarm else 1


def _polled_queues(stack: Resolved) -> int:
    functions = stack.of_type("AWS::Serverless::Function").values()
    events = [event for function in functions for event in function.get("Events", {}).values()]
    return [event["Type"] for event in events].count("SQS")
