"""The samples in `events/`: what the function makes of each, and which of them the stack's RDS rule lets through."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from local.tools import ROOT
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import SELF_TRIGGERS, Arrival, Ignored, Request, SubmissionMessage, Trigger, parse, unwrap
from tests.unit.template import Resolved

SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
NOW, DELIVERY, DUE = 1_770_000_000.0, "11111111-2222-3333-4444-555555555555", "2026-01-31T02:00:00Z"
MESSAGE_ID, REQUEST_ID = "059f36b4-87a3-44ab-83d2-661975830a7d", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
RULE = "arn:aws:events:us-east-1:111122223333:rule/nightly-backup"
SCHEDULE = "arn:aws:scheduler:us-east-1:111122223333:schedule/default/rds-snap-backup-Schedule-1A2B3C4D"
SCHEDULED = Trigger("schedule", f"{SCHEDULE}|{DUE}", DUE)


def trigger_of(name: str) -> Trigger:
    """Return the trigger that an RDS sample is, by its own detail."""
    event, detail = SAMPLES[name], SAMPLES[name]["detail"]
    arn, event_id, date = detail["SourceArn"], detail["EventID"], detail["Date"]
    tagged = ("orders", "billing") if name == "rds-instance-tagged-with-targets" else ()
    return Trigger("rds", f"{arn}|{event_id}|{date}", date, event_id, arn, detail["Message"], tagged, event["account"])


RESTORED = trigger_of("rds-instance-restored-from-snapshot")
OUTCOMES: dict[str, Any] = {
    **{
        name: Request(trigger_of(name))
        for name in SAMPLES
        if re.match("rds-|unlisted-(instance|cluster)-(?!without)", name)
    },
    "unlisted-blue-green-switched-over": "EVENT_UNKNOWN",
    "unlisted-instance-without-event-id": "EVENT_INCOMPLETE",
    "manual": Request(Trigger("manual", DELIVERY), ("orders",)),
    "manual-all": Request(Trigger("manual", DELIVERY), ("*",)),
    "manual-with-request-id": Request(Trigger("manual", "change-4711"), ("orders",)),
    "schedule-input": Request(SCHEDULED, ("default",)),
    "schedule-input-all": Request(SCHEDULED, ("*",)),
    "schedule-input-unfilled": Request(Trigger("schedule", DELIVERY), ("default",)),
    "schedule-default-payload": Request(SCHEDULED, ("default",)),
    "schedule-rule": Request(Trigger("schedule", f"{RULE}|{DUE}", DUE), ("default",)),
    "redelivery-on-failure": Request(RESTORED),
    "redelivery-on-failure-manual": Request(Trigger("manual", REQUEST_ID), ("orders",)),
    "redelivery-on-failure-without-request-id": Request(Trigger("manual", MESSAGE_ID), ("orders",)),
    "redelivery-plain-event": Request(RESTORED),
    "redelivery-scheduler-dead-letter": Request(SCHEDULED, ("default",)),
    "redelivery-submission": SubmissionMessage(RESTORED, "orders"),
    "redelivery-dead-letter": SubmissionMessage(RESTORED, "orders", letter=2),
    "garbage-check": "EVENT_UNKNOWN",
    "garbage-empty": "EVENT_UNKNOWN",
    "garbage-list": "EVENT_UNKNOWN",
    "garbage-other-source": "EVENT_UNKNOWN",
    "garbage-redelivery": "EVENT_UNKNOWN",
    "garbage-target-not-a-name": "TARGET_NAME_INVALID",
}


def arrivals(event: Any) -> Iterator[tuple[Any, Arrival]]:
    """Yield each event in a sample, and how it arrives."""
    if not isinstance(event, dict) or "Records" not in event:
        yield event, Arrival(DELIVERY, NOW)
        return
    for record in event["Records"]:
        yield unwrap(record["body"], record["messageId"], record["messageAttributes"], NOW)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_the_function_makes_of_a_sample(name: str) -> None:
    ((event, arrival),) = arrivals(SAMPLES[name])
    if name.startswith("never-"):
        assert isinstance(parse(event, arrival, "stack"), Ignored)
    elif isinstance(OUTCOMES[name], str):
        with pytest.raises(InvalidInput) as refused:
            parse(event, arrival, "stack")
        assert refused.value.problem.code == OUTCOMES[name]
    else:
        assert parse(event, arrival, "stack") == OUTCOMES[name]


# The rule.

PATTERN: dict[str, Any] = Resolved().of_type("AWS::Events::Rule")["RdsEvents"]["EventPattern"]


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """EventBridge's matching, as far as the rule uses it: nested objects, and lists of allowed values."""
    return isinstance(event, dict) and all(
        matches(wanted, event.get(name)) if isinstance(wanted, dict) else event.get(name) in wanted
        for name, wanted in pattern.items()
    )


def test_the_rule_lets_through_the_rds_samples_and_no_others() -> None:
    let_through = {name for name, sample in SAMPLES.items() if matches(PATTERN, sample)}
    assert let_through == {name for name in SAMPLES if name.startswith("rds-")}
    allowed = PATTERN | {"detail": {"EventID": list(SELF_TRIGGERS)}}
    assert not [name for name, sample in SAMPLES.items() if "snapshot-creat" in name and matches(allowed, sample)]


def test_no_default_event_is_one_that_a_backup_causes_and_each_has_a_sample() -> None:
    by_default = {*PATTERN["detail"]["EventID"]}
    assert by_default.isdisjoint(SELF_TRIGGERS)
    assert "account" not in PATTERN
    for prefix, ids in (("rds-", by_default), ("never-", SELF_TRIGGERS)):
        assert {sample["detail"]["EventID"] for name, sample in SAMPLES.items() if name.startswith(prefix)} == ids
