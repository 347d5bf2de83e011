"""What a submission's item holds, read and written. Pure; `submissions.py` decides what is written when."""

import json
from dataclasses import dataclass
from typing import Any, Self

from rds_snap_backup.ledger.states import CLOSED, REOPENABLE
from rds_snap_backup.ledger.steps import Lease, Pin, Scan, Submission
from rds_snap_backup.ledger.table import Item, Value
from rds_snap_backup.targets import BackupRequest


@dataclass(frozen=True)
class Entry:
    """A submission as the ledger has it. `notification` is None while it is open, `error` why it waits."""

    status: str
    attempt: int
    is_published: bool
    notification: dict[str, Any] | None
    error: dict[str, str] | None

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Read an item."""
        is_closed = item["status"] in CLOSED
        return cls(
            status=item["status"],
            attempt=int(item.get("attempt", 0)),
            is_published=bool(item.get("published")),
            notification=json.loads(item["notification"]) if is_closed else None,
            error=json.loads(item["error"]) if "error" in item else None,
        )

    def is_reopened_by(self, redriven_attempt: int | None) -> bool:
        """Tell whether a dead letter with this attempt number opens it again."""
        return self.status in REOPENABLE and self.is_published and redriven_attempt == self.attempt


def lease_of(submission: Submission, owner: str, item: Item) -> Lease:
    """Return the lease that `owner` may take on an item."""
    scan = json.loads(item["scan"]) if item.get("scan") else None
    return Lease(
        submission=submission,
        owner=owner,
        attempt=int(item.get("attempt", 0)),
        created_at=item["createdAt"],
        pin=pin_of(item["pin"]),
        attempted_at=item.get("attemptedAt", 0),
        attempt_ended_at=item.get("attemptEndedAt", 0),
        is_uncertain=bool(item.get("uncertain")),
        found=json.loads(item.get("found", "{}")),
        scan=None if scan is None else Scan(scan["position"], scan["begunAt"]),
        claimed=tuple(json.loads(item.get("claimed", "[]"))),
    )


def open_values(lease: Lease, status: str) -> dict[str, Value]:
    """Return the attributes of an open submission that a lease determines."""
    return {
        "status": status,
        "attempt": lease.attempt,
        "target": lease.submission.target,
        "trigger": json.dumps(lease.submission.trigger.to_json()),
        "createdAt": lease.created_at,
        "pin": pin_text(lease.pin),
        "uncertain": lease.is_uncertain,
        "scan": scan_text(lease.scan),
    }


def pin_text(pin: Pin) -> str:
    """Return a pin as the ledger keeps it."""
    return json.dumps({"request": pin.request.to_json(), "coolDownSeconds": pin.cool_down_seconds})


def pin_of(text: str) -> Pin:
    """Read `pin_text`'s text."""
    document = json.loads(text)
    return Pin(BackupRequest.from_json(document["request"]), int(document["coolDownSeconds"]))


def scan_text(scan: Scan | None) -> str:
    """Return a scan as the ledger keeps it; empty where there is none."""
    return "" if scan is None else json.dumps({"position": scan.position, "begunAt": scan.begun_at})
