"""The price of a backup in AWS, from measured calls and milliseconds. Free tiers are left out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import standing
from benchmarks.figures import table
from benchmarks.phases import JOB_MINUTES, Phase, polls, whole
from benchmarks.prices import DAYS, PRICED, PRICES
from tests.unit.template import TEMPLATE

MEMORY_GB = TEMPLATE["Resources"]["BackupFunction"]["Properties"]["MemorySize"] / 1024
VOLUMES = (1, 100, 10_000)
# Up to this number of backups a day every run is taken for a cold start.
COLD_VOLUME = 100
# Lambda's own lines of a run, START, END and REPORT, with the 26 bytes that CloudWatch Logs counts for each line.
PLATFORM_LOG_BYTES = 410


def backup(phases: Sequence[Phase], cold_ms: float) -> float:
    """Return US dollars for one backup until its end; a cold start adds its milliseconds and a read of the secret."""
    runs = sum(times * _price(phase, cold_ms) for phase, times in whole(phases))
    return runs + (polls() + 2) * PRICES["SQS request"]  # Lambda receives the message, and deletes it.


def section(phases: Sequence[Phase], cold_ms: float) -> list[str]:
    """Return the section of the results."""
    rows = []
    for volume in VOLUMES:
        price = backup(phases, cold_ms if volume <= COLD_VOLUME else 0)
        rows.append([f"{volume:,}", f"${price:.7f}", f"${price * volume * DAYS:.4f}", f"${standing.month():.2f}"])
    return [
        "## What a backup costs in AWS",
        (
            f"Computed from this run's calls and milliseconds ({PRICED}; no free tier), for a job of {JOB_MINUTES} minutes. Up "
            f"to {COLD_VOLUME} a day every run is taken for a cold start. [The standing costs](../../docs/reference.md#costs) do "
            "not depend on the number."
        ),
        table(["Backups a day", "one backup", "backups a month", "standing a month"], rows),
    ]


def _price(phase: Phase, cold_ms: float) -> float:
    cold = PRICES["Secrets Manager call"] if cold_ms else 0
    return cold + sum(
        (
            (phase.milliseconds + cold_ms) / 1000 * MEMORY_GB * PRICES["Lambda GB-second (arm64)"],
            PRICES["Lambda request"],
            (write_units(phase.calls) + index_units(phase.calls)) * PRICES["DynamoDB write unit"],
            read_units(phase.calls) * PRICES["DynamoDB read unit"],
            phase.count("sns") * PRICES["SNS publish"],
            phase.count("sqs") * PRICES["SQS request"],
            (phase.log_bytes + PLATFORM_LOG_BYTES) / 2**30 * PRICES["CloudWatch Logs GB"],
        )
    )


def read_units(calls: Sequence[Any]) -> int:
    """Return DynamoDB's read units: one for each item of up to 4 KB that is read consistently."""
    return sum(
        len(table["Keys"])
        for service, method, parameters in calls
        if (service, method) == ("dynamodb", "batch_get_item")
        for table in parameters["RequestItems"].values()
    )


def write_units(calls: Sequence[Any]) -> int:
    """Return DynamoDB's write units: two for each KB of an item in a transaction, one else."""
    return sum(
        factor * -(-len(json.dumps(write.get("ExpressionAttributeValues", {}))) // 1024)
        for service, method, parameters in calls
        if service == "dynamodb"
        for write, factor in _writes(method, parameters)
    )


def index_units(calls: Sequence[Any]) -> int:
    """Return the write units of the index of open submissions: an entry's key changes by a deletion and a write.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
    """
    units = 0
    for service, method, parameters in calls:
        for write, _ in _writes(method, parameters) if service == "dynamodb" else ():
            if "#wakeAt" in write.get("ExpressionAttributeNames", {}):
                is_first = "attribute_not_exists" in write.get("ConditionExpression", "")
                is_last = "REMOVE" in write["UpdateExpression"]
                units += 1 if is_first or is_last else 2
    return units


def _writes(method: str, parameters: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], int]]:
    if method == "transact_write_items":
        return [(next(iter(item.values())), 2) for item in parameters["TransactItems"]]
    return [(parameters, 1)] if method in {"update_item", "put_item"} else []
