"""What backups cost in AWS money, from measured calls and milliseconds. Free tiers are left out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import standing
from tests.benchmarks.prices import DAYS, PRICES

MEMORY_GB = 0.5
JOB_MINUTES = 30
VOLUMES = (1, 100, 10_000)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a function: the calls that it makes, its milliseconds and the bytes that it logs."""

    calls: Sequence[Any]
    milliseconds: float
    log_bytes: float


@dataclass(frozen=True, slots=True)
class Backup:
    """What was measured of one backup, warm; a cold start adds its milliseconds, and once the secret's reading."""

    submit: Run
    poll: Run
    end: Run
    cold_ms: float


@dataclass(frozen=True, slots=True)
class Bill:
    """US dollars at so many backups a day: each one's submission and following, and a month of what stands there anyway."""

    volume: int
    submission: float
    following: float
    standing: float

    @property
    def month(self) -> float:
        """Dollars of a month's backups, without what stands there anyway."""
        return (self.submission + self.following) * self.volume * DAYS


def bills(backup: Backup) -> list[Bill]:
    """Return the bills; up to 100 backups a day, minutes apart, every run is taken for a cold start."""
    return [_bill(backup, volume, backup.cold_ms if volume <= 100 else 0) for volume in VOLUMES]


def polls(job_minutes: float) -> int:
    """Return how often a job is polled until it has ended: the pauses double from 1 to 15 minutes."""
    count, pause, at = 0, 1.0, 0.0
    while at < job_minutes:
        at, pause, count = at + pause, min(pause * 2, 15), count + 1
    return count


def _bill(backup: Backup, volume: int, cold_ms: float) -> Bill:
    submission = _price(backup.submit, cold_ms) + (PRICES["Secrets Manager call"] if cold_ms else 0)
    received_and_deleted = (polls(JOB_MINUTES) + 1) * PRICES["SQS request"]
    following = (polls(JOB_MINUTES) - 1) * _price(backup.poll, cold_ms) + _price(backup.end, cold_ms)
    return Bill(volume, submission, following + received_and_deleted, standing.month())


def _price(run: Run, cold_ms: float) -> float:
    calls = run.calls
    return sum(
        (
            (run.milliseconds + cold_ms) / 1000 * MEMORY_GB * PRICES["Lambda GB-second (arm64)"],
            PRICES["Lambda request"],
            write_units(calls) * PRICES["DynamoDB write unit"],
            sum(call[0] == "dynamodb" and "get" in call[1] for call in calls) * PRICES["DynamoDB read unit"],
            sum(call[0] == "sns" for call in calls) * PRICES["SNS publish"],
            sum(call[0] == "sqs" for call in calls) * PRICES["SQS request"],
            run.log_bytes / 2**30 * PRICES["CloudWatch Logs GB"],
        )
    )


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
