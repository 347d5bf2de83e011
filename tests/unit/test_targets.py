"""Targets: what each field of a document may hold, and how documents are read from SSM."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

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
from tests.property.model.aws import SSM
from tests.property.model.kernel import Kernel
from tests.property.model.sdk import clients
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
        ("accounts", [111122223333], "a list of 1 or more account IDs of 12 digits, in quotes"),
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
    long = refused(document(associations=[{**ASSOCIATION, **dict.fromkeys(ASSOCIATION, "é" * 340)}]))
    assert "association 1 must be shorter: clientName, instanceName, subclientName have at most 2,000 bytes" in long
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


class Store:
    """Documents in a model of SSM, in a time of its own."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.ssm = SSM(self.kernel, {})
        self.targets = Targets(PATH, clients({"ssm": self.ssm}).ssm)

    def put(self, **documents: str) -> None:
        """Store these documents and no others."""
        self.ssm.parameters = {PATH + name: text for name, text in documents.items()}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store()
    monkeypatch.setattr("rds_snap_backup.targets.time", found.kernel)
    return found


def test_a_target_is_read_once_a_minute_or_past_the_cache(store: Store) -> None:
    targets = Targets(PATH.rstrip("/"), store.targets._client)
    for text in ("{", document()):
        store.put(orders=text)
        with pytest.raises(InvalidInput, match=f"{PARAMETER} is not valid: the document must be JSON"):
            targets.load("orders")
    assert targets.load("orders", past_cache=True) == parse()
    store.put(orders=document(backupLevel="INCREMENTAL"))
    assert targets.load("orders") == parse()
    store.kernel.now += 60
    assert targets.load("orders").request.backup_level == "INCREMENTAL"


def test_an_unknown_target_names_the_parameter_to_create(store: Store) -> None:
    store.put(orders=document())
    store.targets.load("orders")
    store.put()
    for past_cache in (True, False):
        with pytest.raises(InvalidInput, match=PARAMETER) as caught:
            store.targets.load("orders", past_cache=past_cache)
        assert caught.value.problem.code == "TARGET_UNKNOWN"
    for name in ("a/b", "", "*"):
        with pytest.raises(InvalidInput) as caught:
            store.targets.load(name)
        assert caught.value.problem.code == "TARGET_NAME_INVALID"


@pytest.mark.parametrize(
    "read",
    [lambda targets: targets.load("orders"), lambda targets: targets.named(["orders"]), Targets.documents],
    ids=["load", "named", "documents"],
)
def test_ssms_limit_of_reads_is_a_lack_of_time(store: Store, read: Callable[[Targets], object]) -> None:
    def throttle(**_call: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Get")

    store.ssm.get_parameter = store.ssm.get_parameters_by_path = throttle  # type: ignore[assignment,method-assign]
    with pytest.raises(OutOfTime):
        read(store.targets)


def test_all_documents_are_listed_once_a_minute(store: Store) -> None:
    listed = {f"target-{number}": "{" for number in range(20)} | {"orders": document()}
    store.put(**listed)
    assert store.targets.documents() == listed
    store.put(orders="1")
    assert list(store.targets.stored()) == [("orders", Document("1", store.kernel.now))]
    assert store.targets.documents() == listed
    assert store.targets.load("orders") == parse()
    assert store.targets.documents(past_cache=True) == store.targets.documents() == {"orders": "1"}
    store.put()
    store.kernel.now += 60
    assert store.targets.documents() == {}


def test_listing_stops_when_its_time_is_over(store: Store) -> None:
    store.put(orders=document(), billing="{")
    left = iter([5.0, 0.0])
    with pytest.raises(OutOfTime):
        store.targets.documents(seconds_left=lambda: next(left))
    store.put(orders=document())
    assert store.targets.documents(seconds_left=lambda: 5.0) == {"orders": document()}
