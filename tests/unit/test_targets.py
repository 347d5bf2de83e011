"""Targets: what each field of a document may hold, and how documents are read from SSM."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from local.tools import ROOT
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import (
    ASSOCIATION_FIELDS,
    FIELDS,
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
from tests.target_documents import values

PATH = "/rds-snap-backup/test/targets/"
PARAMETER = f"{PATH}orders"
ASSOCIATION: dict[str, Any] = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "orders-db"}


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


SOURCES = [path for path in (ROOT / "src").rglob("*.py") if path.name != "targets.py"]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, field in FIELDS.items() if name != "associations" for value in values(field)],
    ids=str,
)
def test_every_field_is_read_and_used(name: str, value: Any) -> None:
    attribute = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    target = parse(**{name: value})
    read = getattr(target.request if hasattr(target.request, attribute) else target, attribute)
    assert read == (tuple(value) if isinstance(value, list) else value)
    assert any(f".{attribute}" in path.read_text() for path in SOURCES), f"nothing in src/ uses {name}"


def test_the_fields_of_an_association_are_read_and_kept_without_databases() -> None:
    full = {**ASSOCIATION, "displayName": "Production", "databases": ["orders-db"]}
    assert full.keys() == ASSOCIATION_FIELDS.keys()
    target = parse(associations=[full, {**ASSOCIATION, "subclientName": "archive", "displayName": "", "databases": []}])
    production = Association("aws-prod", "RDS", "orders-db", "Production", ("orders-db",))
    assert target.request.associations == (production, Association("aws-prod", "RDS", "archive", "aws-prod", ()))
    assert production.to_json() == {**ASSOCIATION, "displayName": "Production"}
    assert Association.from_json(production.to_json()) == replace(production, databases=None)
    assert production.key == '["aws-prod", "RDS", "orders-db"]'
    # Nothing but associations is required.
    request = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),), "FULL", "IMMEDIATE", True)
    assert parse() == Target("orders", request)


TEXT = "a text of 1 to 500 printable characters"


# That every value out of its bounds is refused is told by `tests/cli/test_fleet_schema.py`, for the schema and the parser.
@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("backupLevel", "full", "one of FULL, INCREMENTAL, DIFFERENTIAL, SYNTHETIC_FULL"),
        ("taskType", None, "one of IMMEDIATE, SCHEDULE"),
        ("enabled", "true", "true or false"),
        ("databases", ["a\n"], "a list of names, globs"),
        ("rdsEventIds", "RDS-EVENT-0043", "a list of IDs like"),
        ("accounts", [111122223333], "a list of 1 or more account IDs"),
        ("gatherMinutes", 10**401, "a whole number, 0 to 1440"),
        ("retryFailedJobs", True, "a whole number, 0 to 5"),
        ("maxAgeHours", 1.0, "a whole number, 1 to 8784"),
        ("associations", [ASSOCIATION] * 91, "a list of 1 to 90 objects"),
        ("backuplevel", "FULL", "left out (did you mean backupLevel?)"),
        ("name", "orders", "left out (known fields are associations, "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_names_the_field_and_what_is_allowed(field: str, value: Any, allowed: str) -> None:
    assert f"{field} must be {allowed}" in refused(document(**{field: value}))


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        *(
            ({name: wrong}, TEXT)
            for name, wrong in (("clientName", "a\nb"), ("instanceName", None), ("displayName", 7))
        ),
        ({"subclientName": "x" * 501}, TEXT),
        ({"databases": "x"}, "a list of names, globs"),
        ({"clientname": "x"}, "left out (did you mean clientName?)"),
    ],
    ids=str,
)
def test_an_error_names_the_association(fields: dict[str, Any], allowed: str) -> None:
    other, (field,) = {**ASSOCIATION, "instanceName": "x"}, fields
    message = refused(document(associations=[ASSOCIATION, other | fields]))
    assert f"{field} of association 2 must be {allowed}" in message
    twice = refused(document(associations=[other, ASSOCIATION, {**ASSOCIATION, "displayName": "x"}]))
    assert "association 3 must be different from association 2 in clientName, instanceName, subclientName." in twice


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
        *((fields, EVENT, "") for fields in ({}, {"rdsEventIds": ["RDS-EVENT-0043"]})),
        *(
            ({"rdsEventIds": ids}, EVENT, "does not list 'RDS-EVENT-0043' in its rdsEv")
            for ids in (["RDS-EVENT-0005"], [])
        ),
        *(({"rdsEventIds": []}, trigger, "") for trigger in (Trigger("schedule", "x"), Trigger("manual", "x"))),
        *(({"enabled": False}, Trigger(kind, "x"), "disabled") for kind in ("rds", "schedule", "manual")),
    ],
)
def test_what_a_target_declines(fields: dict[str, Any], trigger: Trigger, reason: str) -> None:
    declined = parse(**fields).declines(trigger)
    assert reason in (declined or "")
    assert (declined is None) is (reason == "")


# ---- Parameters

CHANGED = datetime(2026, 1, 31, tzinfo=UTC)


class Ssm:
    """SSM's client, and the answers that it is about to give."""

    def __init__(self) -> None:
        self.client = boto3.client("ssm")
        self.stubber = Stubber(self.client)
        self.targets = Targets(PATH, self.client)

    def answer(self, text: str) -> None:
        found = {"Parameter": {"Name": PARAMETER, "Value": text}}
        self.stubber.add_response("get_parameter", found, {"Name": PARAMETER})

    def list(self, **documents: str) -> None:
        """Answer a listing, one document to a page."""
        rows = [{"Name": PATH + name, "Value": text, "LastModifiedDate": CHANGED} for name, text in documents.items()]
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


def test_a_target_is_read_once_a_minute_or_past_the_cache(ssm: Ssm, clock: Clock) -> None:
    targets = Targets(PATH.rstrip("/"), ssm.client)
    ssm.answer("{")
    for _ in range(2):
        with pytest.raises(InvalidInput, match=f"{PARAMETER} is not valid: the document must be JSON"):
            targets.load("orders")
    ssm.answer(document())
    assert targets.load("orders", past_cache=True) == targets.load("orders") == parse()
    clock.now += 60
    ssm.answer(document(backupLevel="INCREMENTAL"))
    assert targets.load("orders").request.backup_level == "INCREMENTAL"


def test_an_unknown_target_names_the_parameter_to_create(ssm: Ssm) -> None:
    ssm.answer(document())
    ssm.targets.load("orders")
    for past_cache in (True, False):
        ssm.stubber.add_client_error("get_parameter", "ParameterNotFound")
        with pytest.raises(InvalidInput, match=PARAMETER) as caught:
            ssm.targets.load("orders", past_cache=past_cache)
        assert caught.value.problem.code == "TARGET_UNKNOWN"
    for name in ("a/b", "", "*"):  # No target can have it: no call is made.
        with pytest.raises(InvalidInput) as caught:
            ssm.targets.load(name)
        assert caught.value.problem.code == "TARGET_NAME_INVALID"


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
        read(ssm.targets)


def test_all_documents_are_listed_once_a_minute(ssm: Ssm, clock: Clock) -> None:
    ssm.list(orders=document(), billing="{")
    expected = {"billing": "{", "orders": document()}
    assert ssm.targets.documents() == ssm.targets.documents() == expected
    assert ssm.targets.load("orders") == parse()
    ssm.list(orders="1", billing="2")
    changed = CHANGED.timestamp()
    assert list(ssm.targets.stored()) == [("orders", Document("1", changed)), ("billing", Document("2", changed))]
    ssm.list(stock="{")
    assert ssm.targets.documents(past_cache=True) == ssm.targets.documents() == {"stock": "{"}
    clock.now += 60
    ssm.list()
    assert ssm.targets.documents() == {}


def test_listing_stops_when_its_time_is_over(ssm: Ssm) -> None:
    ssm.list(orders=document(), billing="{")
    left = iter([5.0, 0.0])
    with pytest.raises(OutOfTime):
        ssm.targets.documents(seconds_left=lambda: next(left))
    ssm.list(orders=document())
    assert ssm.targets.documents(seconds_left=lambda: 5.0) == {"orders": document()}
