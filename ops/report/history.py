"""The ends of jobs that the ledger keeps, as they were published. It reads the table, and knows no other item of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from ops.report.values import optional_text, optional_time, text
from ops.stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import ScanOutputTypeDef

ENDED = "begins_with(#key, :job) AND attribute_exists(#end) AND #recorded >= :since"
NAMES = {"#key": "pk", "#end": "end", "#recorded": "endRecordedAt"}


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended, and when it started; where that is not known, the time nearest to it that is."""

    target: str
    status: str
    at: datetime
    jobs: tuple[str, ...]
    reason: str

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> Self:
        """Read an item of the ledger, in DynamoDB's own notation; raise `TypeError`, `KeyError` or `ValueError`."""
        end = json.loads(item["end"]["S"])
        known = (optional_time(end.get(name)) for name in ("startedAt", "submittedAt", "endedAt"))
        recorded = datetime.fromtimestamp(float(item["endRecordedAt"]["N"]), UTC)
        return cls(
            text(end["target"]),
            text(end["status"]),
            next(filter(None, known), recorded),
            tuple(text(job) for job in end["jobIds"]),
            optional_text(end.get("reason")) or optional_text(end.get("error", {}).get("message")),
        )


@dataclass(frozen=True, slots=True)
class History:
    """The ends since some time, oldest first, and how many could not be read."""

    ends: tuple[End, ...] = ()
    unreadable: int = 0


@dataclass(slots=True)
class _Reading:
    ends: list[End] = field(default_factory=list)
    unreadable: int = 0

    def add(self, item: Mapping[str, Any]) -> None:
        try:
            self.ends.append(End.read(item))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            self.unreadable += 1


def read(stack: DeployedStack, since: datetime, report: Callable[[int], None]) -> History:
    """Scan the ledger for jobs that started since then; `report` is called with how many items were read so far."""
    reading, scanned = _Reading(), 0
    for page in _pages(stack, since):
        scanned += page["ScannedCount"]
        for item in page["Items"]:
            reading.add(item)
        report(scanned)
    ends = sorted((end for end in reading.ends if end.at >= since), key=lambda end: end.at)
    return History(tuple(ends), reading.unreadable)


def _pages(stack: DeployedStack, since: datetime) -> Iterator["ScanOutputTypeDef"]:
    # A job is recorded after it has started, so that those recorded earlier started earlier, too.
    yield from (
        stack.session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.output("LedgerTableName"),
            FilterExpression=ENDED,
            ProjectionExpression="#end, #recorded",
            ExpressionAttributeNames=NAMES,
            ExpressionAttributeValues={":job": {"S": "job#"}, ":since": {"N": str(int(since.timestamp()))}},
        )
    )
