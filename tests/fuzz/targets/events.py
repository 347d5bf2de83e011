"""Any event, invoked directly or received from the queue, is a trigger, a check or ignored, or is refused."""

import json

from local.tools import ROOT
from rds_snap_backup.triggers import Arrival
from tests.fuzz.hostile import Choices, edited, is_choices, read, text_of, written
from tests.fuzz.limits import MAX_MESSAGE
from tests.fuzz.triggers import NOW, handle

PATHS = sorted((ROOT / "events").glob("*.json"))
TRIGGER = {"kind": "rds", "id": "arn:aws:rds:us-east-1:000000000000:db:orders|RDS-EVENT-0006|2026-01-31T02:00:00Z"}
SAMPLES = [
    *(json.loads(path.read_text()) for path in PATHS),
    {"target": "orders", "trigger": TRIGGER, "attempt": 1},
    {"event": {"target": "a b"}, "deliveryId": "3f0e9c2a-0000", "refused": {"code": "X", "message": "x", "hint": "x"}},
    {"target": "orders", "requestId": "ticket-1"},
    {"check": True, "target": "orders"},
]  # fmt: skip
FIELDS = (
    "source", "detail-type", "detail", "EventID", "SourceArn", "Date", "SourceType", "Message", "Tags", "resources",
    "rds-snap-backup:target", "target", "time", "schedule", "check", "trigger", "kind", "id", "attempt", "requestId",
    "rdsEventId", "sourceArn", "message", "refused", "event", "deliveryId", "pauses", "requestPayload", "requestContext",
    "aws.rds", "aws.scheduler", "Scheduled Event",
)  # fmt: skip
ID = "3f0e9c2a-5d1b-4b52-9d7e-6a1f0c2b7e11"


def event_text(data: bytes) -> str:
    """Return the text of an event that fits into a message."""
    if not is_choices(data):
        return text_of(data)
    choices = Choices(data[1:])
    return written(edited(choices, SAMPLES, FIELDS), choices)


def fuzz(data: bytes) -> None:
    """Read an event as it was invoked, and as a message of our own queue."""
    text = event_text(data)
    if len(text.encode("utf-8", "surrogatepass")) <= MAX_MESSAGE:
        event = read(text)
        handle(event, Arrival(ID, NOW))
        handle(event, Arrival(ID, NOW, is_message=True))
