"""What fired: every kind of event, its identity, and what never starts a backup."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import SELF_TRIGGERS, Arrival, Check, Ignored, Request, Trigger, unwrap
from rds_snap_backup.triggers import parse as parse_arrival

EVENTS = Path(__file__).parents[2] / "events"
DELIVERY = "11111111-2222-3333-4444-555555555555"
SCHEDULE_ARN = "arn:aws:scheduler:us-east-1:111122223333:schedule/default/nightly"
DUE = "2026-01-31T02:00:00Z"
DB_ARN = "arn:aws:rds:us-east-1:111122223333:db:orders-db"
NEVER = ("0001", "0002", "0040", "0042", "0074", "0075", "0090", "0091", "0168", "0169")
NO_TEXTS: list[Any] = [None, True, False, 0, -1, 1.5, [], [1], [{}], {}, {"a": 1}]
GARBAGE = [*NO_TEXTS, "", "text"]
NO_NAMES = [*NO_TEXTS, "", "a b", "../x", "a/b", "x" * 65, "**", "ä", "a\n"]
NO_IDENTITIES = [*NO_TEXTS, "", "x" * 1025, "é" * 600]


NOW = 1_770_000_000.0


def parse(event: Any, arrival: Arrival | str) -> Request | Check | Ignored:
    """Parse what arrived on our own queue, the most that can arrive."""
    return parse_arrival(event, Arrival(arrival, NOW, is_message=True) if isinstance(arrival, str) else arrival)


def unwrapped(record: dict[str, Any]) -> tuple[object, str]:
    inner, arrival = unwrap(record["body"], record["messageId"], NOW)
    return inner, arrival.id


def rds(event_id: Any = "RDS-EVENT-0043", detail_type: Any = "RDS DB Instance Event", **detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.rds",
        "id": "any",
        "time": "2026-01-31T02:02:10Z",
        "detail-type": detail_type,
        "detail": {
            "EventCategories": ["restoration"],
            "SourceType": "DB_INSTANCE",
            "SourceArn": DB_ARN,
            "Date": "2026-01-31T02:02:09.293Z",
            "Message": "Restored from snapshot",
            "SourceIdentifier": "rds:orders-db",
            "EventID": event_id,
            **detail,
        },
    }


def requested(event: Any, delivery_id: str = DELIVERY) -> Request:
    request = parse(event, delivery_id)
    assert isinstance(request, Request), request
    return request


def outcome_of(event: Any) -> Any:
    try:
        return parse(event, DELIVERY)
    except InvalidInput as error:
        return error.problem.code


def refused(event: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(event, DELIVERY)
    assert caught.value.problem.message
    assert caught.value.problem.hint
    return caught.value.problem.code


# The samples.


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def deliveries(event: Any) -> Iterator[tuple[Any, str]]:
    """Yield each event in a sample with its delivery's own id, as the function takes it up."""
    if isinstance(event, dict) and "Records" in event:
        yield from map(unwrapped, event["Records"])
    else:
        yield event, DELIVERY


SAMPLE_SCHEDULE = "arn:aws:scheduler:us-east-1:111122223333:schedule/default/rds-snap-backup-Schedule-1A2B3C4D"
MESSAGE_ID = "059f36b4-87a3-44ab-83d2-661975830a7d"
ORDERS_RESTORED = f"{DB_ARN}|RDS-EVENT-0043|2026-01-31T02:02:09.293Z"
SAMPLES: dict[str, Any] = {
    "check": Check(),
    "manual": Request(Trigger("manual", DELIVERY), ("orders",)),
    "manual-all": Request(Trigger("manual", DELIVERY), ("*",)),
    "manual-with-request-id": Request(Trigger("manual", "change-4711"), ("orders",)),
    "schedule-input": Request(Trigger("schedule", f"{SAMPLE_SCHEDULE}|{DUE}", DUE), ("default",)),
    "schedule-input-all": Request(Trigger("schedule", f"{SAMPLE_SCHEDULE}|{DUE}", DUE), ("*",)),
    "schedule-input-unfilled": Request(Trigger("schedule", DELIVERY), ("default",)),
    "schedule-default-payload": Request(Trigger("schedule", f"{SAMPLE_SCHEDULE}|{DUE}", DUE), ("default",)),
    "schedule-rule": Request(
        Trigger("schedule", f"arn:aws:events:us-east-1:111122223333:rule/nightly-backup|{DUE}", DUE), ("default",)
    ),
    "redelivery-on-failure-manual": Request(Trigger("manual", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"), ("orders",)),
    "redelivery-on-failure-without-request-id": Request(Trigger("manual", MESSAGE_ID), ("orders",)),
    "garbage-empty": "EVENT_UNKNOWN",
    "garbage-list": "EVENT_UNKNOWN",
    "garbage-other-source": "EVENT_UNKNOWN",
    "garbage-redelivery": "EVENT_UNKNOWN",
    "garbage-target-not-a-name": "TARGET_NAME_INVALID",
    "unlisted-instance-without-event-id": "EVENT_INCOMPLETE",
}
RESTORED = ("redelivery-fanned-out", "redelivery-on-failure", "redelivery-plain-event")
NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))
# The rest are RDS events, whose trigger follows from their own detail.
RDS_NAMES = [name for name in NAMES if name not in SAMPLES and name not in RESTORED]


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(name: str) -> None:
    ((event, delivery_id),) = deliveries(sample(name))
    expected = SAMPLES[name]
    if isinstance(expected, str):
        assert refused(event) == expected
    else:
        assert parse(event, delivery_id) == expected


@pytest.mark.parametrize("name", RESTORED)
def test_a_redelivered_sample_is_the_trigger_that_it_was_first(name: str) -> None:
    ((event, delivery_id),) = deliveries(sample(name))
    request = requested(event, delivery_id)
    first = requested(sample("rds-instance-restored-from-snapshot"))
    assert request.trigger == first.trigger
    assert request.trigger.id == ORDERS_RESTORED
    assert request.names == (("orders",) if name == "redelivery-fanned-out" else ())


@pytest.mark.parametrize("name", RDS_NAMES)
def test_rds_sample(name: str) -> None:
    event = sample(name)
    detail = event["detail"]
    outcome = parse(event, DELIVERY)
    if name.startswith("never-"):
        assert isinstance(outcome, Ignored)
        return
    assert isinstance(outcome, Request)
    assert outcome.trigger == Trigger(
        kind="rds",
        id=f"{detail['SourceArn']}|{detail['EventID']}|{detail['Date']}",
        time=detail["Date"],
        rds_event_id=detail["EventID"],
        source_arn=detail["SourceArn"],
        message=detail["Message"],
    )
    assert outcome.trigger.database == detail["SourceArn"].split(":")[6]
    assert outcome.tagged == (("orders", "billing") if name == "rds-instance-tagged-with-targets" else ())
    assert outcome.names == ()


def test_every_sample_is_an_rds_event_or_in_the_table() -> None:
    assert all(sample(name)["source"] == "aws.rds" for name in RDS_NAMES)
    assert len(RDS_NAMES) > 20


# Schedules.


def test_a_schedule_is_known_by_its_arn_and_the_time_it_was_due() -> None:
    event = {"target": "orders", "schedule": SCHEDULE_ARN, "time": DUE}
    first, again = requested(event, "one"), requested(event, "another")
    assert first == again == Request(Trigger("schedule", f"{SCHEDULE_ARN}|{DUE}", DUE), ("orders",))
    assert requested({**event, "time": "2026-02-01T02:00:00Z"}).trigger.id != first.trigger.id
    assert requested({"schedule": SCHEDULE_ARN, "time": DUE}).names == ("default",)


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"},
        {"schedule": SCHEDULE_ARN, "time": "<aws.scheduler.scheduled-time>"},
        {"schedule": "<aws.scheduler.schedule-arn>", "time": DUE},
        {"schedule": SCHEDULE_ARN},
        {"schedule": "", "time": DUE},
        {"schedule": SCHEDULE_ARN, "time": ""},
        *({"schedule": value, "time": DUE} for value in NO_TEXTS),
        *({"schedule": SCHEDULE_ARN, "time": value} for value in NO_TEXTS),
    ],
    ids=str,
)
def test_a_schedule_without_arn_or_time_is_known_by_its_delivery(fields: dict[str, Any]) -> None:
    trigger = requested({"target": "orders", **fields}).trigger
    assert (trigger.kind, trigger.id) == ("schedule", DELIVERY)
    assert trigger.time in {None, DUE}


@pytest.mark.parametrize("source", ["aws.scheduler", "aws.events"])
@pytest.mark.parametrize(
    ("detail", "name"),
    [
        ("{}", "default"),
        ('{"target": "orders"}', "orders"),
        ("not JSON", "default"),
        ("[1]", "default"),
        ("", "default"),
        ({}, "default"),
        ({"target": "*"}, "*"),
        (None, "default"),
        ([], "default"),
        (7, "default"),
    ],
)
def test_scheduled_events_name_their_target_in_their_detail(source: str, detail: Any, name: str) -> None:
    event = {"source": source, "detail-type": "Scheduled Event", "resources": [SCHEDULE_ARN], "time": DUE}
    request = requested({**event, "detail": detail})
    assert request == Request(Trigger("schedule", f"{SCHEDULE_ARN}|{DUE}", DUE), (name,))


@pytest.mark.parametrize("resources", [*GARBAGE, SCHEDULE_ARN, {"0": SCHEDULE_ARN}, [None], [[]]], ids=str)
def test_a_scheduled_event_without_a_usable_arn_is_known_by_its_delivery(resources: Any) -> None:
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "time": DUE}
    assert requested({**event, "resources": resources}).trigger.id == DELIVERY
    assert requested(event).trigger.id == DELIVERY


@pytest.mark.parametrize("beside", [{}, {"schedule": SCHEDULE_ARN, "time": DUE}, {"target": "orders"}])
def test_the_audit_functions_event_starts_nothing_here(beside: dict[str, str]) -> None:
    assert refused({"audit": True, **beside}) == "EVENT_UNKNOWN"


def test_a_schedule_whose_identity_is_longer_than_the_ledgers_key_is_refused() -> None:
    assert refused({"schedule": "a" * 2000, "time": DUE}) == "EVENT_UNKNOWN"


def test_a_schedule_that_lies_more_than_five_minutes_ahead_is_refused() -> None:
    due = datetime.fromtimestamp(NOW + 290, UTC).isoformat()
    assert requested({"schedule": SCHEDULE_ARN, "time": due}).trigger.time == due
    ahead = datetime.fromtimestamp(NOW + 310, UTC).isoformat()
    assert refused({"schedule": SCHEDULE_ARN, "time": ahead}) == "SCHEDULE_IN_FUTURE"


# Manual requests and the preflight.


def test_a_manual_request_is_known_by_its_request_id_else_by_its_delivery() -> None:
    assert requested({"target": "orders"}, "one").trigger == Trigger("manual", "one")
    assert requested({"target": "orders", "requestId": None}, "one").trigger == Trigger("manual", "one")
    for delivery in ("one", "another"):
        assert requested({"target": "orders", "requestId": "mine"}, delivery).trigger == Trigger("manual", "mine")


@pytest.mark.parametrize("request_id", ["<aws.scheduler.execution-id>", "<aws.scheduler.scheduled-time>"])
def test_an_unfilled_placeholder_is_not_a_request_id(request_id: str) -> None:
    # Else all later requests would be taken for deliveries of the first.
    assert requested({"target": "orders", "requestId": request_id}).trigger.id == DELIVERY


@pytest.mark.parametrize("request_id", [one for one in NO_IDENTITIES if one is not None])
def test_a_request_id_that_is_none_is_refused(request_id: Any) -> None:
    assert refused({"target": "orders", "requestId": request_id}) == "REQUEST_ID_INVALID"


@pytest.mark.parametrize("name", ["a", "default", "Orders_2.prod-eu", "x" * 64, "*"])
def test_target_names(name: str) -> None:
    assert requested({"target": name}).names == (name,)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_is_not_a_target_name_is_refused(name: Any) -> None:
    assert refused({"target": name}) == "TARGET_NAME_INVALID"
    assert refused({"target": name, "trigger": {"kind": "manual", "id": "mine"}}) == "TARGET_NAME_INVALID"
    if name is not None:
        assert refused({"schedule": SCHEDULE_ARN, "target": name}) == "TARGET_NAME_INVALID"


def test_only_true_asks_for_the_preflight() -> None:
    assert parse({"check": True}, DELIVERY) == Check()
    assert parse({"check": True, "target": "*"}, DELIVERY) == Check()
    for event in ({"check": False}, {"check": 1}, {"check": "true"}, {"check": None}):
        assert refused(event) == "EVENT_UNKNOWN"


# RDS events.


def test_an_rds_event_is_known_by_what_happened_not_by_its_delivery() -> None:
    event = rds()
    first = requested(event, "one").trigger
    assert first.id == f"{DB_ARN}|RDS-EVENT-0043|2026-01-31T02:02:09.293Z"
    assert requested({**event, "id": "another", "time": "2026-01-31T03:00:00Z"}, "another").trigger == first
    for other in ({"Date": "2026-01-31T02:02:09.294Z"}, {"SourceArn": f"{DB_ARN}2"}, {"EventID": "RDS-EVENT-0005"}):
        assert requested(rds(**other)).trigger.id != first.id


def test_the_databases_name_comes_from_its_arn() -> None:
    assert requested(rds()).trigger.database == "orders-db"
    cluster = rds(detail_type="RDS DB Cluster Event", SourceArn=DB_ARN.replace(":db:", ":cluster:"))
    assert requested(cluster).trigger.database == "orders-db"


@pytest.mark.parametrize("number", NEVER)
@pytest.mark.parametrize("detail_type", ["RDS DB Instance Event", "RDS DB Cluster Event", "RDS Odd Event", ""])
def test_what_a_backup_causes_never_starts_one(number: str, detail_type: str) -> None:
    assert {f"RDS-EVENT-{one}" for one in NEVER} == SELF_TRIGGERS
    outcome = parse(rds(f"RDS-EVENT-{number}", detail_type, Tags={"rds-snap-backup:target": "orders"}), DELIVERY)
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
        ("Odd", {"SourceType": "SNAPSHOT"}),
        ("", {"SourceType": "CLUSTER_SNAPSHOT", "EventID": None}),
        ("RDS DB Instance Event", {"SourceType": None, "SourceArn": DB_ARN.replace(":db:", ":snapshot:rds:")}),
        ("RDS DB Cluster Event", {"SourceArn": DB_ARN.replace(":db:", ":cluster-snapshot:rds:")}),
        ("RDS DB Snapshot Event", {"SourceArn": None, "Date": None, "EventID": None, "SourceType": None}),
    ],
)
def test_snapshots_never_start_a_backup(detail_type: str, detail: dict[str, Any]) -> None:
    event = rds(detail_type=detail_type, Tags={"rds-snap-backup:target": "*"}, **detail)
    assert isinstance(parse(event, DELIVERY), Ignored)


def test_a_database_may_be_called_snapshot() -> None:
    assert requested(rds(SourceArn=f"{DB_ARN}-snapshot")).trigger.database == "orders-db-snapshot"


@pytest.mark.parametrize("field", ["EventID", "SourceArn", "Date"])
@pytest.mark.parametrize("value", NO_IDENTITIES, ids=lambda value: str(value)[:9])
def test_an_rds_event_without_its_identity_is_refused(field: str, value: Any) -> None:
    assert refused(rds(**{field: value})) == "EVENT_INCOMPLETE"


@pytest.mark.parametrize("message", [*NO_TEXTS, ""])
def test_a_message_that_is_not_a_text_is_left_out(message: Any) -> None:
    trigger = requested(rds(Message=message)).trigger
    assert trigger.message is None
    assert "message" not in trigger.to_json()


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        ({}, ()),
        ({"rds-snap-backup:target": ""}, ()),
        ({"rds-snap-backup:target": "  "}, ()),
        ({"rds-snap-backup:target": None}, ()),
        ({"other": "orders"}, ()),
        ({"rds-snap-backup:target": "orders"}, ("orders",)),
        ({"rds-snap-backup:target": "orders  billing orders"}, ("orders", "billing")),
        ({"rds-snap-backup:target": "*"}, ("*",)),
        *((one, ()) for one in GARBAGE),
    ],
)
def test_tags_name_targets(tags: Any, names: tuple[str, ...]) -> None:
    request = requested(rds(Tags=tags))
    assert (request.names, request.tagged) == ((), names)


@pytest.mark.parametrize("value", [["orders"], {"a": 1}, 7])
def test_a_tag_whose_value_is_not_a_text_names_no_target(value: Any) -> None:
    assert requested(rds(Tags={"rds-snap-backup:target": value})).tagged == ()


@pytest.mark.parametrize("detail_type", ["RDS DB Parameter Group Event", "RDS Custom", "", None, 7, [], {}])
def test_rds_events_of_other_types_start_nothing(detail_type: Any) -> None:
    assert refused(rds(detail_type=detail_type)) == "EVENT_UNKNOWN"


# Redeliveries.


def message(body: Any, message_id: str = "message-1") -> dict[str, Any]:
    return {"messageId": message_id, "body": body if isinstance(body, str) else json.dumps(body)}


def test_a_message_is_known_by_its_id() -> None:
    assert unwrapped(message({"target": "orders"})) == ({"target": "orders"}, "message-1")
    assert unwrapped(message("not JSON")) == ("not JSON", "message-1")
    assert unwrapped(message("[" * 100_000))[1] == "message-1"


def test_an_on_failure_envelope_is_known_by_the_request_that_failed() -> None:
    envelope = {"requestPayload": {"target": "orders"}, "requestContext": {"requestId": "request-1"}}
    assert unwrapped(message(envelope)) == ({"target": "orders"}, "request-1")
    for context in (None, {}, {"requestId": None}, {"requestId": 7}, {"requestId": ""}, "text"):
        assert unwrapped(message({**envelope, "requestContext": context})) == ({"target": "orders"}, "message-1")
    assert unwrapped(message({"requestPayload": None}))[0] is None


@pytest.mark.parametrize(
    "event", [rds(), {"target": "orders"}, {"schedule": SCHEDULE_ARN, "time": DUE}, {"target": "a", "requestId": "b"}]
)
def test_what_was_enqueued_keeps_its_identity_whatever_message_brings_it(event: Any) -> None:
    trigger = requested(event, "first").trigger
    for message_id in ("one", "another"):
        inner, delivery_id = unwrapped(message({"target": "orders", "trigger": trigger.to_json()}, message_id))
        assert requested(inner, delivery_id) == Request(trigger, ("orders",))


def test_a_refused_event_that_is_sent_back_keeps_its_first_delivery() -> None:
    letter = {"event": {"target": "orders"}, "deliveryId": "first", "refused": {"code": "X"}}
    assert requested(letter, "second").trigger.id == "first"
    assert requested({"event": letter, "deliveryId": "second", "refused": {}}, "third").trigger.id == "first"
    assert refused({**letter, "event": "not JSON"}) == "EVENT_UNKNOWN"


def test_what_was_refused_may_do_no_more_when_it_is_sent_back() -> None:
    event = {"target": "orders", "trigger": {"kind": "schedule", "id": "forged"}}
    assert refused({"event": event, "deliveryId": "first", "refused": {"code": "X"}}) == "TRIGGER_NOT_ALLOWED"


@pytest.mark.parametrize("identity", ["", "x" * 1025, "ü" * 513, "\ud800", "a\nb", "a\x1b[31m", "a\u2028b", "a\u202eb"])
def test_an_identity_is_what_a_key_and_a_line_can_hold(identity: str) -> None:
    assert refused({"target": "orders", "requestId": identity}) == "REQUEST_ID_INVALID"
    assert refused({"event": {"target": "orders"}, "deliveryId": identity, "refused": {}}) == "REQUEST_ID_INVALID"
    assert refused({"target": "orders", "trigger": {"kind": "manual", "id": identity}}) == "TRIGGER_INVALID"
    if identity:
        assert refused({"schedule": SCHEDULE_ARN, "time": identity}) == "EVENT_UNKNOWN"
        assert refused({"schedule": identity, "time": DUE}) == "EVENT_UNKNOWN"
        assert refused({"schedule": "<aws.scheduler.schedule-arn>", "time": identity}) == "EVENT_UNKNOWN"
        assert refused(rds(Date=identity)) == "EVENT_INCOMPLETE"
        assert refused(rds(SourceArn=identity)) == "EVENT_INCOMPLETE"


def test_the_account_of_an_rds_event_is_its_own_field_or_else_its_arns() -> None:
    assert requested({**rds(), "account": "444455556666"}).account == "444455556666"
    without = {name: value for name, value in rds().items() if name != "account"}
    assert requested(without).account == "111122223333"
    assert requested({**without, "detail": {**without["detail"], "SourceArn": "orders"}}).account == ""
    assert requested({"target": "orders"}).account is None


def test_a_ready_made_trigger_is_accepted_only_as_the_body_of_a_queue_message() -> None:
    event = {"target": "orders", "trigger": {"kind": "schedule", "id": "forged"}}
    letter = {"event": {"target": "orders"}, "deliveryId": "forged", "refused": {"code": "X"}}
    with pytest.raises(InvalidInput, match="Only a message"):
        parse(event, Arrival("one", NOW))
    wrapped, arrival = unwrap(json.dumps({"requestPayload": event}), "one", NOW)
    with pytest.raises(InvalidInput, match="Only a message"):
        parse(wrapped, arrival)
    with pytest.raises(InvalidInput):
        parse(letter, Arrival("one", NOW))
    assert requested(event).trigger.id == "forged"


@pytest.mark.parametrize("levels", [1, 2])
def test_a_letter_that_was_made_up_takes_no_schedules_identity(levels: int) -> None:
    event: Any = {"schedule": "x", "target": "orders"}
    for _ in range(levels):
        event = {"refused": {}, "event": event, "deliveryId": f"{SAMPLE_SCHEDULE}|2027-01-01T02:00:00Z"}
    with pytest.raises(InvalidInput, match="its delivery no ID"):
        requested(event)


@pytest.mark.parametrize(("value", "attempt"), [(3, 3), (None, None), ("3", None), (True, None), ([], None)])
def test_a_dead_letter_carries_its_attempt_number(value: Any, attempt: int | None) -> None:
    letter = {"target": "orders", "trigger": {"kind": "manual", "id": "mine"}, "attempt": value}
    assert requested(letter) == Request(Trigger("manual", "mine"), ("orders",), attempt=attempt)


@pytest.mark.parametrize(
    "trigger",
    [
        *GARBAGE,
        {"kind": "manual"},
        {"kind": "manual", "id": ""},
        {"kind": "manual", "id": 7},
        {"kind": "manual", "id": "x" * 1025},
        {"kind": "other", "id": "mine"},
        {"kind": [], "id": "mine"},
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_message_without_a_usable_trigger_is_refused(trigger: Any) -> None:
    assert refused({"target": "orders", "trigger": trigger}) == "TRIGGER_INVALID"


def test_a_field_of_a_trigger_that_is_not_a_text_is_left_out() -> None:
    odd = {"kind": "rds", "id": "mine", "time": 1, "rdsEventId": [], "sourceArn": {}, "message": 7}
    trigger = Trigger.from_json(odd)
    assert trigger == Trigger("rds", "mine")
    assert trigger.database == ""


@pytest.mark.parametrize(
    "trigger",
    [
        Trigger("manual", "mine"),
        Trigger("schedule", "x", DUE),
        Trigger("rds", "x", DUE, "RDS-EVENT-0043", DB_ARN, "Restored"),
    ],
)
def test_a_trigger_is_read_as_it_was_written(trigger: Trigger) -> None:
    assert Trigger.from_json(json.loads(json.dumps(trigger.to_json()))) == trigger


# Garbage.


@pytest.mark.parametrize(
    "event", [*GARBAGE, {"source": "aws.ec2"}, {"source": 7}, {"Records": []}, {"target2": "x"}], ids=str
)
def test_garbage_is_refused(event: Any) -> None:
    assert refused(event) == "EVENT_UNKNOWN"


@pytest.mark.parametrize("value", GARBAGE, ids=str)
@pytest.mark.parametrize("field", ["source", "detail-type", "detail"])
@pytest.mark.parametrize(
    "event",
    [rds(), {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}", "resources": [SCHEDULE_ARN]}],
    ids=["rds", "schedule"],
)
def test_no_value_anywhere_makes_it_fail_otherwise(event: dict[str, Any], field: str, value: Any) -> None:
    outcome = outcome_of({**event, field: value})
    # Only a schedule can do without a detail that can be read.
    is_schedule = isinstance(outcome, Request) and outcome.trigger.kind == "schedule"
    assert is_schedule or outcome in {"EVENT_UNKNOWN", "EVENT_INCOMPLETE"}
