"""Targets: what each field of a document may hold, and how documents are read from SSM."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import (
    Association,
    BackupRequest,
    Document,
    OutOfTime,
    Target,
    Targets,
    parse_target,
    wrong_fields,
)
from rds_snap_backup.triggers import Trigger

PATH = "/rds-snap-backup/test/targets/"
PARAMETER = f"{PATH}orders"
ASSOCIATION: dict[str, Any] = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"}
NO_TEXTS: list[Any] = [None, True, False, -1, 1.5, "", [], {}, [1], {"a": 1}]


def document(**fields: Any) -> str:
    return json.dumps({"associations": [ASSOCIATION], **fields})


def parse(**fields: Any) -> Target:
    return parse_target("orders", PARAMETER, document(**fields))


def refused(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_target("orders", PARAMETER, text)
    problem = caught.value.problem
    assert problem.code == "TARGET_INVALID"
    assert PARAMETER in problem.message
    assert problem.hint
    return problem.message


def test_only_associations_are_required() -> None:
    request = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),), "FULL", "IMMEDIATE", True)
    assert parse() == Target("orders", request)


def test_every_field_is_read() -> None:
    target = parse(
        associations=[
            {**ASSOCIATION, "displayName": "Production", "databases": ["orders-db"]},
            {**ASSOCIATION, "subclientName": "archive", "displayName": "", "databases": []},
        ],
        backupLevel="SYNTHETIC_FULL",
        taskType="SCHEDULE",
        notifyUserOnJobCompletion=False,
        databases=["orders-*", "arn:aws:rds:*:*:cluster:billing"],
        accounts=["111122223333"],
        rdsEventIds=["RDS-EVENT-0043"],
        allowTag=False,
        gatherMinutes=0,
        retryFailedJobs=0,
        maxAgeHours=26,
        enabled=False,
    )
    assert target == Target(
        name="orders",
        request=BackupRequest(
            associations=(
                Association("aws-prod", "RDS", "orders-db", "Production", ("orders-db",)),
                Association("aws-prod", "RDS", "archive", "aws-prod", ()),
            ),
            backup_level="SYNTHETIC_FULL",
            task_type="SCHEDULE",
            notify_user_on_job_completion=False,
        ),
        databases=("orders-*", "arn:aws:rds:*:*:cluster:billing"),
        accounts=("111122223333",),
        rds_event_ids=("RDS-EVENT-0043",),
        allow_tag=False,
        gather_minutes=0,
        retry_failed_jobs=0,
        max_age_hours=26,
        enabled=False,
    )


def test_a_request_is_kept_without_databases() -> None:
    request = parse(associations=[{**ASSOCIATION, "databases": ["orders-db"]}], backupLevel="INCREMENTAL").request
    kept = request.to_json()
    assert kept["associations"] == [{**ASSOCIATION, "displayName": "aws-prod"}]
    assert BackupRequest.from_json(kept).to_json() == kept
    assert request.associations[0].key == '["aws-prod", "RDS", "orders-db"]'


def is_not_number(value: Any, least: int, most: int) -> bool:
    return type(value) is not int or not least <= value <= most


LEVELS = "one of FULL, INCREMENTAL, DIFFERENTIAL, SYNTHETIC_FULL"
NUMBERS = {"gatherMinutes": (0, 1440), "retryFailedJobs": (0, 5), "maxAgeHours": (1, 8784)}
TEXT = "a text of 1 to 500 printable characters"


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        *(("backupLevel", value, LEVELS) for value in [*NO_TEXTS, "full", "ALL"]),
        *(("taskType", value, "one of IMMEDIATE, SCHEDULE") for value in [*NO_TEXTS, "immediate"]),
        *(
            (field, value, "true or false")
            for field in ("notifyUserOnJobCompletion", "allowTag", "enabled")
            for value in [*NO_TEXTS, "true"]
            if not isinstance(value, bool)
        ),
        *(("databases", value, "a list of names, globs") for value in [*NO_TEXTS, "x", [""], ["a\n"]] if value != []),
        *(("rdsEventIds", value, "a list of IDs like") for value in [*NO_TEXTS, "RDS-EVENT-0043"] if value != []),
        *(
            ("accounts", value, "a list of 1 or more account IDs")
            for value in [*NO_TEXTS, "111122223333", ["1"], [111122223333], ["x" * 12]]
        ),
        *(
            (field, value, f"a whole number, {least} to {most}")
            for field, (least, most) in NUMBERS.items()
            for value in [*NO_TEXTS, "15", 1.0, least - 1, most + 1, 10**401]
        ),
        *(
            ("associations", value, "a list of 1 to 90 objects")
            for value in [*NO_TEXTS, ASSOCIATION, [ASSOCIATION, None]]
        ),
        ("associations", [ASSOCIATION] * 91, "a list of 1 to 90 objects"),
        ("backuplevel", "FULL", "left out (did you mean backupLevel?)"),
        ("database", [], "left out (did you mean databases?)"),
        ("name", "orders", "left out (known fields are associations, "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_names_the_field_and_what_is_allowed(field: str, value: Any, allowed: str) -> None:
    assert f"{field} must be {allowed}" in refused(document(**{field: value}))


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        *(({name: value}, name, TEXT) for name in ASSOCIATION for value in [*NO_TEXTS, "x" * 501, "a\nb"]),
        *(({"displayName": value}, "displayName", TEXT) for value in NO_TEXTS if value != ""),
        *(({"databases": value}, "databases", "a list of names, globs") for value in NO_TEXTS if value != []),
        ({"clientname": "x"}, "clientname", "left out (did you mean clientName?)"),
        ({"clientId": 5}, "clientId", "left out ("),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_names_the_association(fields: dict[str, Any], field: str, allowed: str) -> None:
    message = refused(document(associations=[ASSOCIATION, {**ASSOCIATION, "instanceName": "x", **fields}]))
    assert f"{field} of association 2 must be {allowed}" in message


@pytest.mark.parametrize("name", ASSOCIATION)
def test_a_name_of_an_association_is_required(name: str) -> None:
    lacking = {field: text for field, text in ASSOCIATION.items() if field != name}
    assert f"{name} of association 1 must be" in refused(document(associations=[lacking]))


def test_an_association_stands_once_in_a_document() -> None:
    other = {**ASSOCIATION, "instanceName": "x"}
    message = refused(document(associations=[other, ASSOCIATION, {**ASSOCIATION, "displayName": "x"}]))
    assert "association 3 must be different from association 2 in clientName, instanceName, subclientName." in message


def test_all_wrong_fields_are_found_at_once() -> None:
    wrong = {
        "associations": [{"clientName": "x", "clientname": 1}, None, ASSOCIATION, ASSOCIATION],
        "": 1,
        "enabled": "no",
        "fleet": "prod",
    }
    assert [(item.path, str(item).partition(" must be ")[0]) for item in wrong_fields(wrong)] == [
        (("",), '""'),
        (("fleet",), "fleet"),
        (("associations",), "associations"),
        (("enabled",), "enabled"),
        (("associations", 0, "clientname"), "clientname of association 1"),
        (("associations", 0, "instanceName"), "instanceName of association 1"),
        (("associations", 0, "subclientName"), "subclientName of association 1"),
        (("associations", 3), "association 4"),
    ]
    assert refused(json.dumps(wrong)).endswith(f"is not valid: {next(wrong_fields(wrong))}.")


@pytest.mark.parametrize("field", NUMBERS)
def test_the_bounds_of_a_number_are_allowed(field: str) -> None:
    for bound in NUMBERS[field]:
        parse(**{field: bound})


def test_ninety_associations_are_allowed() -> None:
    associations = [{**ASSOCIATION, "instanceName": str(number)} for number in range(90)]
    assert len(parse(associations=associations).request.associations) == 90


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        *((text, "JSON (") for text in ("", " ", "{", "{'a': 1}", '{"associations": [}', "[" * 8000)),
        *((text, "a JSON object") for text in ("null", "[]", "7", '"text"', "true", f"[{document()}]")),
        ("{}", "a list of 1 to 90"),
    ],
)
def test_a_text_that_is_not_a_document_is_refused(text: str, allowed: str) -> None:
    assert f"must be {allowed}" in refused(text)


EVENT = Trigger("rds", "x", rds_event_id="RDS-EVENT-0043")


@pytest.mark.parametrize(
    ("fields", "trigger", "reason"),
    [
        ({}, EVENT, ""),
        ({"rdsEventIds": ["RDS-EVENT-0043"]}, EVENT, ""),
        ({"rdsEventIds": ["RDS-EVENT-0005"]}, EVENT, "does not list 'RDS-EVENT-0043' in its rdsEventIds"),
        ({"rdsEventIds": []}, EVENT, "does not list 'RDS-EVENT-0043' in its rdsEventIds"),
        ({"rdsEventIds": []}, Trigger("schedule", "x"), ""),
        ({"rdsEventIds": []}, Trigger("manual", "x"), ""),
        *(({"enabled": False}, Trigger(kind, "x"), "disabled") for kind in ("rds", "schedule", "manual")),
    ],
)
def test_what_a_target_declines(fields: dict[str, Any], trigger: Trigger, reason: str) -> None:
    declined = parse(**fields).declines(trigger)
    assert reason in (declined or "")
    assert (declined is None) is (reason == "")


# ---- Parameters


class Ssm:
    """SSM's client, and the answers that it is about to give."""

    def __init__(self) -> None:
        self.client = boto3.client("ssm")
        self.stubber = Stubber(self.client)

    def answer(self, text: str) -> None:
        found = {"Parameter": {"Name": PARAMETER, "Value": text}}
        self.stubber.add_response("get_parameter", found, {"Name": PARAMETER})

    def list(self, **documents: str) -> None:
        """Answer a listing, one document to a page."""
        changed = datetime(2026, 1, 31, tzinfo=UTC)
        rows = [{"Name": PATH + name, "Value": text, "LastModifiedDate": changed} for name, text in documents.items()]
        for number, row in enumerate(rows or [{}], 1):
            page: dict[str, Any] = {"Parameters": [row] if row else []}
            more = {"NextToken": str(number)} if number < len(rows) else {}
            begin = {"Path": PATH} if number == 1 else {"Path": PATH, "NextToken": str(number - 1)}
            self.stubber.add_response("get_parameters_by_path", page | more, begin)


@pytest.fixture
def ssm() -> Iterator[Ssm]:
    found = Ssm()
    with found.stubber:
        yield found
        found.stubber.assert_no_pending_responses()


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("rds_snap_backup.targets.time", found)
    return found


@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
def test_a_target_is_read_once_a_minute(ssm: Ssm, clock: Clock, path: str) -> None:
    targets = Targets(path, ssm.client)
    assert targets.parameter("orders") == PARAMETER
    ssm.answer(document())
    assert targets.load("orders") == targets.load("orders") == parse()
    clock.now += 60
    ssm.answer(document(backupLevel="INCREMENTAL"))
    assert targets.load("orders").request.backup_level == "INCREMENTAL"


def test_a_target_is_read_past_the_cache(ssm: Ssm) -> None:
    ssm.answer("{")
    ssm.answer(document())
    targets = Targets(PATH, ssm.client)
    for _ in range(2):
        with pytest.raises(InvalidInput, match=f"{PARAMETER} is not valid: the document must be JSON"):
            targets.load("orders")
    assert targets.load("orders", past_cache=True) == targets.load("orders") == parse()


def test_an_unknown_target_names_the_parameter_to_create(ssm: Ssm) -> None:
    targets = Targets(PATH, ssm.client)
    ssm.answer(document())
    targets.load("orders")
    for past_cache in (True, False):
        ssm.stubber.add_client_error("get_parameter", "ParameterNotFound")
        with pytest.raises(InvalidInput, match=PARAMETER) as caught:
            targets.load("orders", past_cache=past_cache)
        assert caught.value.problem.code == "TARGET_UNKNOWN"


@pytest.mark.parametrize("name", ["a/b", "", "*"])
def test_a_name_that_no_target_can_have_is_refused_without_a_call(ssm: Ssm, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Targets(PATH, ssm.client).load(name)
    assert caught.value.problem.code == "TARGET_NAME_INVALID"


def test_a_failure_of_aws_refuses_nothing(ssm: Ssm) -> None:
    targets = Targets(PATH, ssm.client)
    ssm.stubber.add_client_error("get_parameter", "InternalServerError")
    with pytest.raises(ClientError):
        targets.load("orders")
    ssm.stubber.add_client_error("get_parameters_by_path", "AccessDeniedException")
    with pytest.raises(ClientError):
        targets.documents()


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("get_parameter", lambda targets: targets.load("orders")),
        ("get_parameter", lambda targets: targets.named(["orders"])),
        ("get_parameters_by_path", lambda targets: targets.documents()),
    ],
)
def test_ssms_limit_of_reads_is_a_lack_of_time(ssm: Ssm, operation: str, read: Callable[[Targets], object]) -> None:
    ssm.stubber.add_client_error(operation, "ThrottlingException", "Rate exceeded")
    with pytest.raises(OutOfTime):
        read(Targets(PATH, ssm.client))


def test_all_documents_are_listed_once_a_minute(ssm: Ssm, clock: Clock) -> None:
    targets = Targets(PATH, ssm.client)
    ssm.list(orders=document(), billing="{")
    expected = {"billing": "{", "orders": document()}
    assert targets.documents() == targets.documents() == expected
    assert targets.load("orders") == parse()
    ssm.list(stock="{")
    assert targets.documents(past_cache=True) == targets.documents() == {"stock": "{"}
    clock.now += 60
    ssm.list()
    assert targets.documents() == {}


def test_a_target_that_was_loaded_alone_is_not_all(ssm: Ssm) -> None:
    targets = Targets(PATH, ssm.client)
    ssm.answer(document())
    targets.load("orders")
    ssm.list(orders=document(), billing="{")
    assert list(targets.documents()) == ["billing", "orders"]


def test_listing_stops_when_its_time_is_over(ssm: Ssm) -> None:
    targets = Targets(PATH, ssm.client)
    ssm.list(orders=document(), billing="{")
    left = iter([5.0, 0.0])
    with pytest.raises(OutOfTime):
        targets.documents(seconds_left=lambda: next(left))
    ssm.list(orders=document())
    assert targets.documents(seconds_left=lambda: 5.0) == {"orders": document()}


def test_every_stored_document_has_the_time_of_its_last_change(ssm: Ssm) -> None:
    ssm.list(orders="1", billing="2")
    changed = datetime(2026, 1, 31, tzinfo=UTC).timestamp()
    stored = list(Targets(PATH, ssm.client).stored())
    assert stored == [("orders", Document("1", changed)), ("billing", Document("2", changed))]
