"""Any document is a target or is refused with what is allowed, and its patterns match in bounded time."""

from typing import Any

from rds_snap_backup.ledger.entries import pin_of, pin_text
from rds_snap_backup.ledger.steps import Pin
from rds_snap_backup.messaging import notifications
from rds_snap_backup.messaging.notifications import Notifications
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.selection import Rule
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import MAX_IDENTITY, Trigger
from tests.fuzz import limits
from tests.fuzz.hostile import Choices, edited, is_choices, text_of, written
from tests.fuzz.triggers import NOW
from tests.fuzz.wire import Aws

# https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
MAX_DOCUMENT = 8192
ASSOCIATION = {
    "clientName": "AWS-Production",
    "instanceName": "AmazonRDS-us-east-1",
    "displayName": "AWS Production",
    "subclientName": "orders",
}
SAMPLES: list[dict[str, Any]] = [
    {
        "associations": [ASSOCIATION],
        "backupLevel": "FULL",
        "taskType": "IMMEDIATE",
        "notifyUserOnJobCompletion": True,
        "databases": ["orders-*", "arn:aws:rds:*:db:orders", "*"],
        "rdsEventIds": ["RDS-EVENT-0006"],
        "allowTag": False,
        "coolDownMinutes": 15,
        "maxAgeHours": 26,
        "enabled": True,
    },
    {"associations": [ASSOCIATION, {**ASSOCIATION, "subclientName": "stock"}]},
    {"associations": [ASSOCIATION], "databases": ["[a-z]*", "*[!0-9]?*", "*a*a*a*a*a*a*b"]},
]
FIELDS = (*SAMPLES[0], *ASSOCIATION)
ARN = "arn:aws:rds:us-east-1:000000000000:db:"
DATABASES = ("orders", "a" * 63, "[", "", "\n", "orders" * 100)
TRIGGERS = [
    Trigger("rds", "id", source_arn=(ARN + name)[:MAX_IDENTITY], rds_event_id="RDS-EVENT-0006") for name in DATABASES
]


def fuzz(data: bytes) -> None:
    """Read a document as a target, and as a rule for what it may select."""
    text = text_of(data)
    if is_choices(data):
        choices = Choices(data[1:])
        text = written(edited(choices, SAMPLES, FIELDS), choices)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_DOCUMENT:
        return
    rule = Rule.read(text)
    for trigger in TRIGGERS:
        limits.require(isinstance(rule.matches(trigger), bool), "a rule does not decide")
        limits.require(isinstance(rule.is_fallback_for(trigger), bool), "a rule does not decide")
    try:
        target = parse_target("orders", "/rds-snap-backup/targets/orders", text)
    except InvalidInput as invalid:
        limits.problem(invalid.problem)
        return
    limits.require(pin_of(pin_text(Pin(target.request, 0))).request == target.request, "a pinned request changes")
    for trigger in TRIGGERS:
        if reason := target.declines(trigger):
            limits.line(reason, "a reason")
    aws: Any = Aws()
    notification = notifications.build("submitted", "orders", target.request, TRIGGERS[0], now=NOW, job_ids=["1"])
    limits.item(notification)
    Notifications("topic", aws).publish(notification)
