"""What backups cost in AWS money, from measured calls and milliseconds. Free tiers are left out."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.tools import ROOT

PRICED = "us-east-1, list prices of June 2025"
# US dollars.
PRICES = {
    "Lambda GB-second (arm64)": 0.0000133334,
    "Lambda request": 0.20e-6,
    "DynamoDB write unit": 0.625e-6,
    "SNS publish": 0.50e-6,
    "SQS request": 0.40e-6,
    "Secrets Manager call": 0.05e-4,
    "CloudWatch Logs GB": 0.50,
    "Secrets Manager secret-month": 0.40,
    "CloudWatch metric-month": 0.30,
    "CloudWatch alarm-month": 0.10,
    "CloudWatch dashboard-month": 3.00,
}
MEMORY_GB = 0.5
DAYS = 365 / 12
VOLUMES = (1, 100, 10_000)
# An event source polls a quiet queue with five pollers that wait 20 s each.
POLLS_A_MONTH = 5 * 3 * 60 * 24 * DAYS
QUEUES = 2
METRICS = 1  # BackupSubmitted; the others are of what goes wrong, or of the jobs' ends


@dataclass(frozen=True, slots=True)
class Backup:
    """What was measured of one backup."""

    calls: Sequence[Any]
    cold_ms: float
    warm_ms: float
    log_bytes: float


@dataclass(frozen=True, slots=True)
class Bill:
    """US dollars of one month at so many backups a day: for the backups, and for what stands there anyway."""

    volume: int
    backups: float
    standing: float

    @property
    def each(self) -> float:
        """Dollars for a backup, without what stands there anyway."""
        return self.backups / (self.volume * DAYS)


def bills(backup: Backup) -> list[Bill]:
    """Return the bills; up to 100 backups a day, minutes apart, every one is taken for a cold start."""
    return [Bill(volume, _one(backup, cold=volume <= 100) * volume * DAYS, _standing()) for volume in VOLUMES]


def write_units(calls: Sequence[Any]) -> int:
    """Return DynamoDB's write units: two for each item and KB in a transaction, one else; an item is all that it got."""
    items: dict[str, int] = {}
    units = 0
    for service, method, parameters in calls:
        if service != "dynamodb":
            continue
        for write, factor in _writes(method, parameters):
            key = write["Key"]["pk"]["S"]
            items[key] = items.get(key, 0) + len(json.dumps(write.get("ExpressionAttributeValues", {})))
            units += factor * -(-items[key] // 1024)
    return units


def _writes(method: str, parameters: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], int]]:
    if method == "transact_write_items":
        return [(next(iter(one.values())), 2) for one in parameters["TransactItems"]]
    return [(parameters, 1)] if method == "update_item" else []


def _one(backup: Backup, *, cold: bool) -> float:
    seconds = (backup.cold_ms if cold else backup.warm_ms) / 1000
    return sum(
        (
            seconds * MEMORY_GB * PRICES["Lambda GB-second (arm64)"],
            PRICES["Lambda request"],
            write_units(backup.calls) * PRICES["DynamoDB write unit"],
            sum(call[0] == "sns" for call in backup.calls) * PRICES["SNS publish"],
            sum(call[0] == "sqs" for call in backup.calls) * PRICES["SQS request"],
            PRICES["Secrets Manager call"] if cold else 0,
            backup.log_bytes / 2**30 * PRICES["CloudWatch Logs GB"],
        )
    )


def _standing() -> float:
    template = (ROOT / "template.yaml").read_text()
    alarms = len(re.findall(r"Type: AWS::CloudWatch::Alarm\b", template))
    dashboards = len(re.findall(r"Type: AWS::CloudWatch::Dashboard\b", template))
    return sum(
        (
            PRICES["Secrets Manager secret-month"],
            alarms * PRICES["CloudWatch alarm-month"],
            dashboards * PRICES["CloudWatch dashboard-month"],
            METRICS * PRICES["CloudWatch metric-month"],
            QUEUES * POLLS_A_MONTH * PRICES["SQS request"],
        )
    )
