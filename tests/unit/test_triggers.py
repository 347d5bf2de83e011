"""Triggers: every kind of event, its identity, and what never starts a backup. `test_events.py` has the samples."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import (
    SELF_TRIGGERS,
    Arrival,
    Ignored,
    Request,
    SubmissionMessage,
    Trigger,
    parse,
    tagged_names,
    unwrap,
)

NOW = 1_770_000_000.0
DUE = "2026-01-31T02:00:00Z"
AHEAD = datetime.fromtimestamp(NOW + 301, UTC).isoformat()
SCHEDULE_ARN = "arn:aws:scheduler:us-east-1:111122223333:schedule/default/nightly"
SCHEDULED = f"{SCHEDULE_ARN}|{DUE}"
DB_ARN = "arn:aws:rds:us-east-1:111122223333:db:orders-db"
NEVER = ("0001", "0002", "0040", "0042", "0074", "0075", "0090", "0091", "0168", "0169")
UNFILLED = {"schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
FORGED = {"target": "orders", "trigger": {"kind": "schedule", "id": "forged"}}
NO_TEXTS: list[Any] = [None, True, 0, -1, 1.5, [], [1], [{}], {}, {"a": 1}]
# What no key and no line can hold.
NO_IDENTITIES = ["x" * 1025, "ü" * 513, "\ud800", "a\nb", "a\x1b[31m", "a\u2028b", "a\u202eb"]


def rds(event_id: Any = "RDS-EVENT-0043", detail_type: Any = "RDS DB Instance Event", **detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.rds",
        "account": "111122223333",
        "detail-type": detail_type,
        "detail": {
            "SourceType": "DB_INSTANCE",
            "SourceArn": DB_ARN,
            "Date": "2026-01-31T02:02:09.293Z",
            "Message": "Restored from snapshot",
            "EventID": event_id,
            **detail,
        },
    }


def outcome_of(event: Any, delivery: str = "one", *, is_message: bool = False) -> Any:
    """Return what an event is, or the code of its refusal."""
    try:
        return parse(event, Arrival(delivery, NOW, is_message), "stack")
    except InvalidInput as refused:
        return refused.problem.code


def trigger_of(event: Any, delivery: str = "one") -> Trigger:
    outcome = outcome_of(event, delivery)
    assert isinstance(outcome, Request), outcome
    return outcome.trigger


# Schedules.


def test_a_schedule_is_known_by_its_arn_and_the_time_it_was_due() -> None:
    event = {"target": "orders", "schedule": SCHEDULE_ARN, "time": DUE}
    for delivery in ("one", "another"):
        assert outcome_of(event, delivery) == Request(Trigger("schedule", SCHEDULED, DUE), ("orders",))
    for other in ("2026-02-01T02:00:00Z", "tonight"):
        assert trigger_of({**event, "time": other}) == Trigger("schedule", f"{SCHEDULE_ARN}|{other}", other)


@pytest.mark.parametrize(
    "fields",
    [
        UNFILLED,
        {**UNFILLED, "schedule": SCHEDULE_ARN},
        {**UNFILLED, "time": DUE},
        {"schedule": SCHEDULE_ARN},
        *({"schedule": value, "time": DUE} for value in [*NO_TEXTS, ""]),
        *({"schedule": SCHEDULE_ARN, "time": value} for value in [*NO_TEXTS, ""]),
    ],
    ids=str,
)
def test_a_schedule_without_arn_or_time_is_known_by_its_delivery(fields: dict[str, Any]) -> None:
    assert (trigger_of(fields).kind, trigger_of(fields).id) == ("schedule", "one")


@pytest.mark.parametrize("source", ["aws.scheduler", "aws.events"])
@pytest.mark.parametrize(
    ("detail", "name"),
    [
        ('{"target": "orders"}', "orders"),
        ({"target": "*"}, "*"),
        *((detail, "default") for detail in ("{}", "not JSON", "[1]", "", *NO_TEXTS)),
    ],
)
def test_scheduled_events_name_their_target_in_their_detail(source: str, detail: Any, name: str) -> None:
    event = {"source": source, "detail-type": "Scheduled Event", "resources": [SCHEDULE_ARN], "time": DUE}
    assert outcome_of({**event, "detail": detail}) == Request(Trigger("schedule", SCHEDULED, DUE), (name,))


@pytest.mark.parametrize("resources", [*NO_TEXTS, SCHEDULE_ARN, [None], [[]]], ids=str)
def test_a_scheduled_event_without_a_usable_arn_is_known_by_its_delivery(resources: Any) -> None:
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "time": DUE}
    assert trigger_of({**event, "resources": resources}).id == trigger_of(event).id == "one"


# Refused.


@pytest.mark.parametrize(
    ("event", "code"),
    [
        *((event, "EVENT_UNKNOWN") for event in [*NO_TEXTS, "", "text"]),
        *(({key: 7}, "EVENT_UNKNOWN") for key in ("source", "Records", "target2", "trigger", "detail")),
        ({"source": "aws.ec2"}, "EVENT_UNKNOWN"),
        # Questions start nothing, with any other fields.
        *(
            ({key: value, "target": "orders", "schedule": SCHEDULE_ARN, "time": DUE}, "EVENT_UNKNOWN")
            for key in ("check", "audit", "inventory", "explain")
            for value in (True, False, 1, "true")
        ),
        *(({"schedule": "<aws.scheduler.x>", "time": identity}, "EVENT_UNKNOWN") for identity in NO_IDENTITIES),
        *(({"schedule": identity, "time": DUE}, "EVENT_UNKNOWN") for identity in NO_IDENTITIES),
        ({"schedule": SCHEDULE_ARN, "time": AHEAD}, "SCHEDULE_IN_FUTURE"),
        *(
            ({"target": "orders", "requestId": value}, "REQUEST_ID_INVALID")
            for value in (*NO_TEXTS[1:], *NO_IDENTITIES, "", "a b", '"', "$1", "a/b", "ü", "a\n", "x" * 257)
        ),
        *(
            ({**fields, "target": name}, "TARGET_NAME_INVALID")
            for fields in ({}, {"schedule": SCHEDULE_ARN, "time": DUE})
            for name in (*NO_TEXTS, "", "a b", "../x", "a/b", "x" * 65, "**", "ä", "a\n")
        ),
        *(
            (rds(**{field: value}), "EVENT_INCOMPLETE")
            for field in ("EventID", "SourceArn", "Date")
            for value in (*NO_TEXTS, "", *NO_IDENTITIES)
        ),
        *((rds(detail_type=kind), "EVENT_UNKNOWN") for kind in (*NO_TEXTS, "", "RDS Odd Event")),
        *(({**rds(), "detail": detail}, "EVENT_UNKNOWN") for detail in ("", "{}", *NO_TEXTS[:5])),
        ({**FORGED, "letter": 1}, "TRIGGER_NOT_ALLOWED"),
        ({"refused": {}, "event": {"target": "orders"}, "deliveryId": "forged"}, "EVENT_UNKNOWN"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_refused(event: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(event, Arrival("one", NOW), "stack")
    problem = refused.value.problem
    assert (problem.code, bool(problem.message), bool(problem.hint)) == (code, True, True)


def test_an_event_that_is_nested_deeply_is_refused() -> None:
    event: Any = {}
    for _ in range(60):
        event = {"detail": event}
    assert outcome_of({**rds(), "detail": event}) == "EVENT_UNKNOWN"


@pytest.mark.parametrize("key", ["check", "audit", "inventory"])
def test_the_refusal_of_a_question_names_the_audit_function(key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse({key: True}, Arrival("one", NOW), "stack")
    assert "Audit function" in refused.value.problem.hint


# Manual requests.


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({}, "one"),
        ({"requestId": None}, "one"),
        # Else all later requests would be taken for deliveries of the first.
        ({"requestId": "<aws.scheduler.execution-id>"}, "one"),
        ({"requestId": "deploy_1.2:run-7"}, "deploy_1.2:run-7"),
    ],
)
def test_a_manual_request_is_known_by_its_request_id_else_by_its_delivery(fields: Any, identity: str) -> None:
    assert trigger_of({"target": "orders", **fields}) == Trigger("manual", identity)


@pytest.mark.parametrize("name", ["a", "default", "Orders_2.prod-eu", "x" * 64, "*"])
def test_target_names(name: str) -> None:
    assert outcome_of({"target": name}) == Request(Trigger("manual", "one"), (name,))


# RDS events.


def test_an_rds_event_is_known_by_what_happened_not_by_its_delivery() -> None:
    first = trigger_of({**rds(), "id": "one"}, "one")
    assert first.id == f"{DB_ARN}|RDS-EVENT-0043|2026-01-31T02:02:09.293Z"
    assert trigger_of({**rds(), "id": "another", "time": "2026-01-31T03:00:00Z"}, "another") == first
    for other in ({"Date": "2026-01-31T02:02:09.294Z"}, {"SourceArn": f"{DB_ARN}2"}, {"EventID": "RDS-EVENT-0005"}):
        assert trigger_of(rds(**other)).id != first.id


@pytest.mark.parametrize("number", NEVER)
@pytest.mark.parametrize("detail_type", ["RDS DB Instance Event", "RDS DB Cluster Event", "RDS Odd Event", ""])
def test_what_a_backup_causes_never_starts_one(number: str, detail_type: str) -> None:
    assert {f"RDS-EVENT-{digits}" for digits in NEVER} == SELF_TRIGGERS
    outcome = outcome_of(rds(f"RDS-EVENT-{number}", detail_type, Tags={"rds-snap-backup:target": "orders"}))
    assert isinstance(outcome, Ignored)
    assert number in outcome.reason


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        ("RDS DB Snapshot Event", {}),
        ("RDS DB Cluster Snapshot Event", {}),
        ("RDS DB Instance Event", {"SourceType": "SNAPSHOT"}),
        ("RDS DB Cluster Event", {"SourceType": "CLUSTER_SNAPSHOT"}),
        ("RDS DB Instance Event", {"SourceType": "db-snapshot"}),
        ("", {"SourceType": "CLUSTER_SNAPSHOT", "EventID": None}),
        ("RDS DB Instance Event", {"SourceType": None, "SourceArn": DB_ARN.replace(":db:", ":snapshot:rds:")}),
        ("RDS DB Cluster Event", {"SourceArn": DB_ARN.replace(":db:", ":cluster-snapshot:rds:")}),
        ("RDS DB Snapshot Event", {"SourceArn": None, "Date": None, "EventID": None, "SourceType": None}),
    ],
)
def test_snapshots_never_start_a_backup(detail_type: str, detail: dict[str, Any]) -> None:
    tags = {"rds-snap-backup:target": "*"}
    assert isinstance(outcome_of(rds(detail_type=detail_type, Tags=tags, **detail)), Ignored)


def test_a_database_may_be_called_snapshot() -> None:
    assert trigger_of(rds(SourceArn=f"{DB_ARN}-snapshot")).database == "orders-db-snapshot"


@pytest.mark.parametrize(
    ("arn", "database", "region"),
    [
        (DB_ARN, "orders-db", "us-east-1"),
        ("arn:aws:rds:eu-west-1:111122223333:cluster:billing", "billing", "eu-west-1"),
        ("orders", "orders", ""),
    ],
)
def test_the_arn_names_database_and_region(arn: str, database: str, region: str) -> None:
    trigger = trigger_of(rds(SourceArn=arn, SourceIdentifier="rds:other"))
    assert (trigger.database, trigger.region) == (database, region)
    assert (Trigger("manual", "x").database, Trigger("manual", "x").region) == ("", "")


@pytest.mark.parametrize(
    ("event", "account"),
    [
        ({**rds(), "account": "111122223333"}, "111122223333"),
        ({**rds(SourceArn="orders"), "account": "444455556666"}, "444455556666"),
        *(({**rds(), "account": value}, "111122223333") for value in [*NO_TEXTS, ""]),
        ({**rds(SourceArn="orders"), "account": None}, None),
    ],
    ids=lambda value: str(value)[-20:],
)
def test_the_account_is_the_events_or_else_its_arns(event: Any, account: str | None) -> None:
    assert trigger_of(event).account == account


@pytest.mark.parametrize("account", ["444455556666", "111122223333 "])
def test_an_event_of_another_accounts_database_is_refused(account: str) -> None:
    assert outcome_of({**rds(), "account": account}) == "TRIGGER_NOT_ALLOWED"


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


@pytest.mark.parametrize("tags", [*NO_TEXTS, "orders", {"other": "orders"}], ids=str)
def test_without_a_usable_tag_no_target_is_named(tags: Any) -> None:
    assert trigger_of(rds(Tags=tags)).tagged == tagged_names(None) == ()


@pytest.mark.parametrize("message", [*NO_TEXTS, "", "\n"])
def test_a_message_that_is_not_a_text_is_left_out(message: Any) -> None:
    assert trigger_of(rds(Message=message)).message is None


# A trigger's moment, and its way through messages.


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        (DUE, 1769824800.0),
        ("2026-01-31T02:00:00.5Z", 1769824800.5),
        ("2026-01-31T03:00:00+01:00", 1769824800.0),
        ("2026-01-31T02:00:00", 1769824800.0),
        (AHEAD, NOW),
        (None, NOW),
        ("yesterday", NOW),
        ("0001-01-01T00:00:00+14:00", -62135647200.0),
    ],
)
def test_the_moment_of_a_trigger(time: str | None, moment: float) -> None:
    assert Trigger("rds", "x", time).moment(NOW) == moment


TRIGGERS = [
    Trigger("manual", "mine"),
    Trigger("schedule", "x", DUE),
    Trigger("rds", "x", DUE, "RDS-EVENT-0043", DB_ARN, "Restored", ("orders", "größe"), "111122223333"),
]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_keeps_what_selects_in_messages_and_out_of_notifications(trigger: Trigger) -> None:
    assert Trigger.from_json(json.loads(json.dumps(trigger.to_message()))) == trigger
    assert trigger.to_json().keys() <= {"kind", "id", "time", "rdsEventId", "sourceArn", "message"}


def test_a_field_of_a_trigger_that_is_not_a_text_is_left_out() -> None:
    odd = {"time": 1, "rdsEventId": [], "sourceArn": {}, "message": 7, "tagged": [7, None, ""], "account": 5}
    assert Trigger.from_json({"kind": "rds", "id": "mine", **odd}) == Trigger("rds", "mine")
    assert Trigger.from_json({"kind": "rds", "id": "mine", "tagged": "orders"}).tagged == ()


# Messages of the queue.


def arrived(body: Any, attributes: Any = None) -> tuple[object, Arrival]:
    text = body if isinstance(body, str) else json.dumps(body)
    return unwrap(text, "message-1", {} if attributes is None else attributes, NOW)


def from_queue(body: Any, attributes: Any = None) -> Any:
    event, arrival = arrived(body, attributes)
    try:
        return parse(event, arrival, "stack")
    except InvalidInput as refused:
        return refused.problem.code


def texts(**values: Any) -> dict[str, Any]:
    return {name: {"stringValue": value, "dataType": "String"} for name, value in values.items()}


SCHEDULER = texts(SCHEDULE_ARN=SCHEDULE_ARN, SCHEDULED_TIME=DUE, ERROR_CODE="Throttled")


@pytest.mark.parametrize(
    ("context", "identity"),
    [
        ({"requestId": "request-1"}, "request-1"),
        *((context, "message-1") for context in [None, {}, {"requestId": None}, {"requestId": ""}, "text"]),
    ],
)
def test_a_wrapped_event_is_known_by_the_request_that_failed(context: Any, identity: str) -> None:
    envelope = {"requestPayload": {"target": "orders"}, "requestContext": context}
    assert from_queue(envelope) == Request(Trigger("manual", identity), ("orders",))


@pytest.mark.parametrize("text", ["not JSON", "[" * 100_000, "null"])
def test_a_body_that_is_not_an_event_is_refused(text: str) -> None:
    assert from_queue(text) == "EVENT_UNKNOWN"
    assert arrived(text)[1].id == "message-1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"target": "orders", **UNFILLED}, "schedule"),
        ({"target": "orders", "schedule": SCHEDULE_ARN, "time": DUE}, "schedule"),
        ({"target": "orders", "requestId": "<aws.scheduler.execution-id>"}, "manual"),
        ({"requestPayload": {"target": "orders"}, "requestContext": {"requestId": "request-1"}}, "manual"),
    ],
)
def test_the_schedulers_dead_letter_is_known_by_its_attributes(body: Any, kind: Any) -> None:
    due = DUE if kind == "schedule" else None
    assert from_queue(body, SCHEDULER) == Request(Trigger(kind, SCHEDULED, due), ("orders",))


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
    assert from_queue({"target": "orders", **UNFILLED}, attributes).trigger == Trigger("schedule", "message-1")


def test_a_dead_letter_of_a_run_to_come_is_refused() -> None:
    attributes = texts(SCHEDULE_ARN=SCHEDULE_ARN, SCHEDULED_TIME=AHEAD)
    assert from_queue({"target": "orders", **UNFILLED}, attributes) == "SCHEDULE_IN_FUTURE"


@pytest.mark.parametrize("trigger", TRIGGERS)
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
        *NO_TEXTS,
        {"kind": "manual"},
        {"kind": "other", "id": "mine"},
        {"kind": [], "id": "mine"},
        *({"kind": "manual", "id": identity} for identity in (*NO_IDENTITIES, "", 7)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_submissions_message_without_a_usable_trigger_is_refused(trigger: Any) -> None:
    assert outcome_of({"target": "orders", "trigger": trigger}, is_message=True) == "TRIGGER_INVALID"


@pytest.mark.parametrize("name", ["a\nb", "a" * 65, "", "*", None])
def test_a_submissions_message_without_a_targets_name_is_refused(name: Any) -> None:
    assert from_queue({"target": name, "trigger": {"kind": "manual", "id": "x"}}) == "TARGET_NAME_INVALID"


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
    assert from_queue(letter) == Request(Trigger("manual", "first"), ("orders",))
    assert from_queue({**letter, "event": "not JSON"}) == "EVENT_UNKNOWN"
    assert from_queue({**letter, "deliveryId": "\ud800"}) == "REQUEST_ID_INVALID"


@pytest.mark.parametrize("levels", [1, 2])
def test_a_letter_that_was_made_up_takes_no_schedules_identity(levels: int) -> None:
    event: Any = {"schedule": "x", "target": "orders"}
    for _ in range(levels):
        event = {"refused": {}, "event": event, "deliveryId": f"{SCHEDULE_ARN}|2027-01-01T02:00:00Z"}
    assert from_queue(event) == "EVENT_UNKNOWN"
