"""Triggers: every kind of event, its identity, and what never starts a backup. `test_events.py` has the samples."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import Arrival, Ignored, Kind, Request, SubmissionMessage, Trigger, parse, unwrap

NOW = 1_770_000_000.0
DUE, HAPPENED = "2026-01-31T02:00:00Z", "2026-01-31T02:02:09.293Z"
AHEAD = datetime.fromtimestamp(NOW + 301, UTC).isoformat()
SCHEDULE_ARN = "arn:aws:scheduler:us-east-1:111122223333:schedule/default/nightly"
SCHEDULED = f"{SCHEDULE_ARN}|{DUE}"
NIGHTLY = {"schedule": SCHEDULE_ARN, "time": DUE}
DB_ARN = "arn:aws:rds:us-east-1:111122223333:db:orders-db"
UNFILLED = {"schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
FORGED = {"target": "orders", "trigger": {"kind": "schedule", "id": "forged"}}
NO_TEXTS: list[Any] = [None, True, -1, [], [{}], {"a": 1}]
# What no key and no line can hold.
NO_IDENTITIES = ["x" * 1025, "ü" * 513, "\ud800", "a\nb", "a\x1b[31m", "a\u2028b", "a\u202eb"]
NO_NAMES = [*NO_TEXTS, "", "a b", "../x", "a/b", "x" * 65, "**", "ä", "a\n"]
NO_REQUEST_IDS = [*NO_TEXTS[1:], *NO_IDENTITIES, "", "a b", '"', "$1", "a/b", "ü", "a\n", "x" * 257]


def rds(detail_type: Any = "RDS DB Instance Event", *, account: Any = "111122223333", **detail: Any) -> dict[str, Any]:
    happened = {"SourceType": "DB_INSTANCE", "SourceArn": DB_ARN, "Date": HAPPENED, "EventID": "RDS-EVENT-0043"}
    happened |= {"Message": "Restored from snapshot"}
    return {"source": "aws.rds", "account": account, "detail-type": detail_type, "detail": happened | detail}


def scheduled_event(source: str, detail: Any) -> dict[str, Any]:
    event = {"source": source, "detail-type": "Scheduled Event", "resources": [SCHEDULE_ARN], "time": DUE}
    return event | {"detail": detail}


def read(event: Any, arrival: Arrival) -> Any:
    """Return what an event is, or the code of its refusal."""
    try:
        return parse(event, arrival, "stack")
    except InvalidInput as refused:
        problem = refused.problem
    assert problem.message
    assert problem.hint
    return problem.code


def trigger_of(event: Any, delivery: str = "one") -> Trigger:
    outcome = read(event, Arrival(delivery, NOW))
    assert isinstance(outcome, Request), outcome
    return outcome.trigger


def request(kind: Kind, identity: str, time: str | None = None, name: str = "orders") -> Request:
    return Request(Trigger(kind, identity, time), (name,))


# Each with the event as it arrives in the delivery `one`, and the request or the code of the refusal.
EVENTS: dict[str, list[tuple[Any, Request | str]]] = {
    "a schedule is known by its ARN and the time it was due": [
        ({"target": "orders", **NIGHTLY}, request("schedule", SCHEDULED, DUE)),
        ({"target": "orders", **NIGHTLY, "time": "tonight"}, request("schedule", f"{SCHEDULE_ARN}|tonight", "tonight")),
    ],
    "a schedule without ARN or time is known by its delivery": [
        *(
            (UNFILLED | known, request("schedule", "one", known.get("time"), "default"))
            for known in ({}, {"time": DUE})
        ),
        (UNFILLED | {"schedule": SCHEDULE_ARN}, request("schedule", "one", None, "default")),
        ({"schedule": SCHEDULE_ARN}, request("schedule", "one", None, "default")),
        *(({"schedule": value, "time": DUE}, request("schedule", "one", DUE, "default")) for value in [*NO_TEXTS, ""]),
        *((NIGHTLY | {"time": value}, request("schedule", "one", None, "default")) for value in [*NO_TEXTS, ""]),
    ],
    "a scheduled event names its target in its detail": [
        (scheduled_event(source, detail), request("schedule", SCHEDULED, DUE, name))
        for source in ("aws.scheduler", "aws.events")
        for detail, name in (
            ('{"target": "orders"}', "orders"),
            ({"target": "*"}, "*"),
            *((detail, "default") for detail in ("{}", "not JSON", "[1]", "", *NO_TEXTS)),
        )
    ],
    "a manual request is known by its ID else by its delivery": [
        ({"target": "orders"}, request("manual", "one")),
        ({"target": "orders", "requestId": None}, request("manual", "one")),
        # Else all later requests would be taken for deliveries of the first.
        ({"target": "orders", "requestId": "<aws.scheduler.execution-id>"}, request("manual", "one")),
        ({"target": "orders", "requestId": "deploy_1.2:run-7"}, request("manual", "deploy_1.2:run-7")),
    ],
    "no known event": [
        *((event, "EVENT_UNKNOWN") for event in [*NO_TEXTS, "", "text", {"source": "aws.ec2"}]),
        *(({key: 7}, "EVENT_UNKNOWN") for key in ("source", "Records", "target2", "trigger", "detail")),
        ({"refused": {}, "event": {"target": "orders"}, "deliveryId": "forged"}, "EVENT_UNKNOWN"),
        ({"target": "orders", "more": json.loads("[" * 50 + "]" * 50)}, "EVENT_UNKNOWN"),
    ],
    "a question starts nothing, with any other fields": [
        ({question: value, "target": "orders", **NIGHTLY}, "EVENT_UNKNOWN")
        for question in ("check", "audit", "inventory", "explain")
        for value in (True, False, 1, "true")
    ],
    "an identity that cannot be kept": [
        *(({"schedule": "<aws.scheduler.x>", "time": identity}, "EVENT_UNKNOWN") for identity in NO_IDENTITIES),
        *(({"schedule": identity, "time": DUE}, "EVENT_UNKNOWN") for identity in NO_IDENTITIES),
        *(({"target": "orders", "requestId": value}, "REQUEST_ID_INVALID") for value in NO_REQUEST_IDS),
    ],
    "a schedule of a run to come": [(NIGHTLY | {"time": AHEAD}, "SCHEDULE_IN_FUTURE")],
    "no target's name": [({**more, "target": it}, "TARGET_NAME_INVALID") for more in ({}, NIGHTLY) for it in NO_NAMES],
    "an RDS event that cannot be distinguished": [
        (rds(**{field: value}), "EVENT_INCOMPLETE")
        for field in ("EventID", "SourceArn", "Date")
        for value in (*NO_TEXTS, "", *NO_IDENTITIES)
    ],
    "no known RDS event": [
        *((rds(kind), "EVENT_UNKNOWN") for kind in (*NO_TEXTS, "", "RDS Odd Event")),
        *(({**rds(), "detail": detail}, "EVENT_UNKNOWN") for detail in ("", "{}", *NO_TEXTS[:5])),
    ],
    "an event of another account's database": [
        (rds(account=account), "TRIGGER_NOT_ALLOWED") for account in ("444455556666", "111122223333 ")
    ],
    "a ready-made trigger": [({**FORGED, "letter": 1}, "TRIGGER_NOT_ALLOWED")],
}


@pytest.mark.parametrize(
    ("event", "expected"),
    [pytest.param(*row, id=f"{name}: {str(row[0])[:60]}") for name, rows in EVENTS.items() for row in rows],
)
def test_an_event(event: Any, expected: Request | str) -> None:
    assert read(event, Arrival("one", NOW)) == expected


# ---- RDS events


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        *((f"RDS DB {kind}Snapshot Event", {}) for kind in ("", "Cluster ")),
        *(("RDS DB Instance Event", {"SourceType": kind}) for kind in ("SNAPSHOT", "CLUSTER_SNAPSHOT", "db-snapshot")),
        ("", {"SourceType": "CLUSTER_SNAPSHOT", "EventID": None}),
        ("RDS DB Instance Event", {"SourceType": None, "SourceArn": DB_ARN.replace(":db:", ":snapshot:rds:")}),
        ("RDS DB Cluster Event", {"SourceArn": DB_ARN.replace(":db:", ":cluster-snapshot:rds:")}),
        ("RDS DB Snapshot Event", {"SourceArn": None, "Date": None, "EventID": None, "SourceType": None}),
    ],
)
def test_snapshots_never_start_a_backup(detail_type: str, detail: dict[str, Any]) -> None:
    event = rds(detail_type, Tags={"rds-snap-backup:target": "*"}, **detail)
    assert isinstance(read(event, Arrival("one", NOW)), Ignored)


@pytest.mark.parametrize(
    ("arn", "account", "expected"),
    [
        *((DB_ARN, value, ("orders-db", "us-east-1", "111122223333")) for value in ["111122223333", *NO_TEXTS, ""]),
        (DB_ARN.replace("db:orders-db", "cluster:billing"), None, ("billing", "us-east-1", "111122223333")),
        ("orders", "444455556666", ("orders", "", "444455556666")),
        ("orders", None, ("orders", "", None)),
    ],
    ids=str,
)
def test_an_events_database_region_and_account(arn: str, account: Any, expected: tuple[str, str, str | None]) -> None:
    trigger = trigger_of(rds(SourceArn=arn, account=account, SourceIdentifier="rds:other"))
    assert (trigger.database, trigger.region, trigger.account) == expected
    assert (Trigger("manual", "x").database, Trigger("manual", "x").region) == ("", "")


@pytest.mark.parametrize(
    ("tag", "names"),
    [
        ("orders", ("orders",)),
        ("  orders   billing orders ", ("orders", "billing")),
        ("orders *", ("orders", "*")),
        ("größe\u202e \x1b[31m", ("größe", "[31m")),
        ("x" * 300, ("x" * 256,)),
        (" ".join("abcabcdefghijk"), tuple("abcdefgh")),
        ("stack/orders other/billing stack/a/b stack/", ("orders",)),
        ("stack/orders orders", ("orders",)),
        *((value, ()) for value in [*NO_TEXTS, ""]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_databases_tag_names_targets_of_this_stack(tag: Any, names: tuple[str, ...]) -> None:
    assert trigger_of(rds(Tags={"rds-snap-backup:target": tag})).tagged == names


@pytest.mark.parametrize(
    ("message", "shown"),
    [("Restored\u202e \x1b[31m", "Restored [31m"), *((value, None) for value in [*NO_TEXTS, ""])],
    ids=str,
)
def test_an_events_message_can_be_shown(message: Any, shown: str | None) -> None:
    assert trigger_of(rds(Message=message)).message == shown


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        *((time, 1769824800.0) for time in (DUE, "2026-01-31T03:00:00+01:00", "2026-01-31T02:00:00")),
        ("2026-01-31T02:00:00.5Z", 1769824800.5),
        *((time, NOW) for time in (AHEAD, None, "yesterday")),
        ("0001-01-01T00:00:00+14:00", -62135647200.0),
    ],
)
def test_the_moment_of_a_trigger(time: str | None, moment: float) -> None:
    assert Trigger("rds", "x", time).moment(NOW) == moment


# ---- Messages of the queue


def from_queue(body: Any, attributes: Any = None) -> Any:
    return read(*unwrap(json.dumps(body), "message-1", {} if attributes is None else attributes, NOW))


def texts(**values: Any) -> dict[str, Any]:
    return {name: {"stringValue": value, "dataType": "String"} for name, value in values.items()}


SCHEDULER = texts(SCHEDULE_ARN=SCHEDULE_ARN, SCHEDULED_TIME=DUE, ERROR_CODE="Throttled")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *(({"target": "orders", **identity}, "schedule") for identity in (UNFILLED, NIGHTLY)),
        ({"target": "orders", "requestId": "<aws.scheduler.execution-id>"}, "manual"),
        ({"requestPayload": {"target": "orders"}, "requestContext": {"requestId": "request-1"}}, "manual"),
    ],
)
def test_the_schedulers_dead_letter_is_known_by_its_attributes(body: Any, kind: Kind) -> None:
    assert from_queue(body, SCHEDULER) == request(kind, SCHEDULED, DUE if kind == "schedule" else None)


@pytest.mark.parametrize(
    "attributes",
    [
        *NO_TEXTS,
        texts(SCHEDULE_ARN=SCHEDULE_ARN),
        *(texts(SCHEDULE_ARN=value, SCHEDULED_TIME=DUE) for value in [*NO_TEXTS, "", *NO_IDENTITIES]),
        {**SCHEDULER, "SCHEDULED_TIME": DUE},
    ],
    ids=lambda value: str(value)[:60],
)
def test_attributes_without_the_schedules_identity_leave_the_messages_own(attributes: Any) -> None:
    assert from_queue({"target": "orders", **UNFILLED}, attributes) == request("schedule", "message-1")


RESTORED = Trigger("rds", "x", DUE, "RDS-EVENT-0043", DB_ARN, "Restored", ("orders", "größe"), "111122223333")


@pytest.mark.parametrize("trigger", [Trigger("manual", "mine"), Trigger("schedule", "x", DUE), RESTORED])
@pytest.mark.parametrize(
    ("fields", "letter"),
    [
        ({}, None),
        ({"letter": 1, "error": {"code": "X"}}, 1),
        *(({"letter": value}, None) for value in [*NO_TEXTS, "3", 0, 10**30]),
    ],
    ids=str,
)
def test_a_submissions_message(trigger: Trigger, fields: dict[str, Any], letter: int | None) -> None:
    body = {"target": "orders", "trigger": trigger.to_message(), **fields}
    assert from_queue(body) == SubmissionMessage(trigger, "orders", letter)


@pytest.mark.parametrize(
    "trigger",
    [
        *(*NO_TEXTS, {"kind": "manual"}, {"kind": "other", "id": "mine"}, {"kind": [], "id": "mine"}),
        *({"kind": "manual", "id": identity} for identity in (*NO_IDENTITIES, "", 7)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_submissions_message_without_a_usable_trigger_is_refused(trigger: Any) -> None:
    assert read({"target": "orders", "trigger": trigger}, Arrival("one", NOW, is_message=True)) == "TRIGGER_INVALID"
    for name in (*NO_TEXTS, "", "*", "x" * 65, "a\n"):
        assert from_queue({"target": name, "trigger": RESTORED.to_message()}) == "TARGET_NAME_INVALID"


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ({"requestPayload": FORGED}, None),
        ({"refused": {}, "event": FORGED, "deliveryId": "first"}, None),
        # Others write the input of a schedule and of a rule.
        (FORGED, SCHEDULER),
        (FORGED, texts(RULE_ARN="arn:aws:events:us-east-1:111122223333:rule/x")),
    ],
    ids=str,
)
def test_a_ready_made_trigger_is_accepted_only_as_the_body_of_our_own_message(body: Any, attributes: Any) -> None:
    assert from_queue(body, attributes) == "TRIGGER_NOT_ALLOWED"


def test_a_refused_event_that_is_sent_back_keeps_its_first_delivery() -> None:
    letter = {"refused": {"code": "X"}, "event": {"target": "orders"}, "deliveryId": "first"}
    assert from_queue(letter) == request("manual", "first")
    assert from_queue({**letter, "event": "not JSON"}) == "EVENT_UNKNOWN"
    assert from_queue({**letter, "deliveryId": "\ud800"}) == "REQUEST_ID_INVALID"
    event: Any = {"schedule": "x", "target": "orders"}
    for _ in range(2):  # One that was made up takes no schedule's identity.
        event = {"refused": {}, "event": event, "deliveryId": f"{SCHEDULE_ARN}|2027-01-01T02:00:00Z"}
        assert from_queue(event) == "EVENT_UNKNOWN"
