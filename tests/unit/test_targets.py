"""Target documents: what each field may hold, and which targets a trigger selects."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import Association, BackupRequest, Document, Target, Targets, parse_target
from rds_snap_backup.triggers import Request, Trigger

PATH = "/rds-snap-backup/test/targets/"
PARAMETER = f"{PATH}orders"
ASSOCIATION = {"clientName": "aws-prod", "instanceName": "orders-db", "subclientName": "default"}
ARN = "arn:aws:rds:eu-west-1:111122223333:db:orders-db"
NO_TEXTS: list[Any] = [None, True, False, 0, 1, 1.5, "", [], {}, [1], {"a": 1}]


def event(source_arn: str = ARN, event_id: str = "RDS-EVENT-0043") -> Trigger:
    return Trigger("rds", f"{source_arn}|{event_id}|now", "now", event_id, source_arn, "Restored")


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
    assert parse() == Target(
        name="orders",
        request=BackupRequest(
            associations=(Association("aws-prod", "orders-db", "aws-prod", "default"),),
            backup_level="FULL",
            task_type="IMMEDIATE",
            notify_user_on_job_completion=True,
        ),
        databases=(),
        rds_event_ids=None,
        allow_tag=True,
        cool_down_minutes=None,
        max_age_hours=None,
        enabled=True,
    )


def test_every_field_is_read() -> None:
    target = parse(
        associations=[{**ASSOCIATION, "displayName": "Production"}, {**ASSOCIATION, "subclientName": "archive"}],
        backupLevel="SYNTHETIC_FULL",
        taskType="SCHEDULE",
        notifyUserOnJobCompletion=False,
        databases=["orders-*", "arn:aws:rds:*:*:cluster:billing"],
        rdsEventIds=["RDS-EVENT-0043"],
        allowTag=False,
        coolDownMinutes=0,
        maxAgeHours=26,
        enabled=False,
    )
    assert target == Target(
        name="orders",
        request=BackupRequest(
            associations=(
                Association("aws-prod", "orders-db", "Production", "default"),
                Association("aws-prod", "orders-db", "aws-prod", "archive"),
            ),
            backup_level="SYNTHETIC_FULL",
            task_type="SCHEDULE",
            notify_user_on_job_completion=False,
        ),
        databases=("orders-*", "arn:aws:rds:*:*:cluster:billing"),
        rds_event_ids=("RDS-EVENT-0043",),
        allow_tag=False,
        cool_down_minutes=0,
        max_age_hours=26,
        enabled=False,
    )
    assert BackupRequest.from_json(target.request.to_json()) == target.request
    assert [one.to_json() for one in target.request.associations] == [
        {**ASSOCIATION, "displayName": "Production"},
        {**ASSOCIATION, "displayName": "aws-prod", "subclientName": "archive"},
    ]


@pytest.mark.parametrize("level", ["FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL"])
def test_backup_levels(level: str) -> None:
    assert parse(backupLevel=level).request.backup_level == level


def test_an_empty_display_name_is_the_clients_name() -> None:
    assert parse(associations=[{**ASSOCIATION, "displayName": ""}]).request.associations[0].display_name == "aws-prod"


BROKEN_ASSOCIATIONS: list[Any] = [
    *(one for one in NO_TEXTS if one != [ASSOCIATION]),
    ASSOCIATION,
    [ASSOCIATION, None],
    [ASSOCIATION, dict(ASSOCIATION)],
    [{**ASSOCIATION, "displayName": "one"}, {**ASSOCIATION, "displayName": "another"}],
    [{**ASSOCIATION, "clientId": 5}],
    *([{**ASSOCIATION, field: value}] for field in ASSOCIATION for value in NO_TEXTS),
    *([{name: text for name, text in ASSOCIATION.items() if name != field}] for field in ASSOCIATION),
    *([{**ASSOCIATION, "displayName": value}] for value in NO_TEXTS if value != ""),
]


@pytest.mark.parametrize("value", BROKEN_ASSOCIATIONS, ids=str)
def test_broken_associations_are_named(value: Any) -> None:
    message = refused(document(associations=value))
    assert "associations must be a list of 1 or more different objects" in message
    assert all(field in message for field in ASSOCIATION)


def test_missing_associations_are_named() -> None:
    assert "associations must be" in refused("{}")
    assert "associations must be" in refused('{"backupLevel": "FULL"}')


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        *(
            ("backupLevel", value, ("FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL"))
            for value in [*NO_TEXTS, "full", "ALL"]
        ),
        *(("taskType", value, ("IMMEDIATE", "SCHEDULE")) for value in [*NO_TEXTS, "immediate"]),
        *(
            ("notifyUserOnJobCompletion", value, ("true or false",))
            for value in [*NO_TEXTS, "true"]
            if not isinstance(value, bool)
        ),
        *(("databases", value, ("names, globs or ARN globs",)) for value in [*NO_TEXTS, "orders", [""]] if value != []),
        *(("rdsEventIds", value, ("RDS-EVENT-",)) for value in [*NO_TEXTS, "RDS-EVENT-0043", [None]] if value != []),
        *(
            ("coolDownMinutes", value, ("a whole number, 0 to 1440",))
            for value in [*NO_TEXTS, "15", -1, 1.0, 1441, 10**401]
            if type(value) is not int or not 0 <= value <= 1440
        ),
        *(
            ("maxAgeHours", value, ("a whole number, 1 to 8784",))
            for value in [*NO_TEXTS, "26", -1, 8785]
            if type(value) is not int or not 1 <= value <= 8784
        ),
        *(
            (field, value, ("true or false",))
            for field in ("allowTag", "enabled")
            for value in [*NO_TEXTS, "true"]
            if not isinstance(value, bool)
        ),
        ("backuplevel", "FULL", ("left out", "backupLevel")),
        ("name", "orders", ("left out", "associations", "coolDownMinutes")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_names_the_field_and_what_is_allowed(field: str, value: Any, allowed: tuple[str, ...]) -> None:
    message = refused(document(**{field: value}))
    assert f"{field} must be " in message
    assert all(text in message for text in allowed)


@pytest.mark.parametrize("text", ["", " ", "{", "not JSON", "{'a': 1}", '{"associations": [}', "[" * 8000])
def test_a_text_that_is_not_json_is_refused(text: str) -> None:
    assert "the document must be JSON" in refused(text)


@pytest.mark.parametrize("text", ["null", "[]", "7", '"text"', "true", f"[{document()}]"])
def test_json_that_is_not_an_object_is_refused(text: str) -> None:
    assert "the document must be a JSON object" in refused(text)


# Selection.


@pytest.mark.parametrize(("ids", "is_selected"), [(["RDS-EVENT-0043"], True), (["RDS-EVENT-0005"], False), ([], False)])
def test_rds_event_ids_bind(ids: list[str], is_selected: bool) -> None:
    assert (parse(rdsEventIds=ids).declines(event()) is None) is is_selected
    assert parse(rdsEventIds=ids).declines(Trigger("schedule", "x")) is None
    assert parse(rdsEventIds=ids).declines(Trigger("manual", "x")) is None
    assert parse().declines(event()) is None


@pytest.mark.parametrize("trigger", [event(), Trigger("schedule", "x"), Trigger("manual", "x")])
def test_a_disabled_target_declines_every_trigger(trigger: Trigger) -> None:
    assert "disabled" in (parse(enabled=False).declines(trigger) or "")


# Parameters.


@pytest.fixture
def ssm() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("ssm")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def parameter(name: str, text: str) -> dict[str, Any]:
    return {"Name": f"{PATH}{name}", "Value": text, "Type": "String"}


def stub_listing(stubber: Stubber, documents: dict[str, str]) -> None:
    """Answer a listing by path in two pages."""
    rows = [parameter(name, text) for name, text in documents.items()]
    pages: list[dict[str, Any]] = [{"Parameters": rows[:1], "NextToken": "more"}, {"Parameters": rows[1:]}]
    for page in pages:
        stubber.add_response("get_parameters_by_path", page)


@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
def test_a_target_is_read_once_a_minute(ssm: tuple[Any, Stubber], path: str) -> None:
    client, stubber = ssm
    wanted = {"Name": PARAMETER, "WithDecryption": False}
    stubber.add_response("get_parameter", {"Parameter": parameter("orders", document())}, wanted)
    targets = Targets(path, client)
    assert targets.load("orders") == targets.load("orders") == parse()


def test_an_unknown_target_names_the_parameter_to_create(ssm: tuple[Any, Stubber]) -> None:
    client, stubber = ssm
    stubber.add_client_error("get_parameter", "ParameterNotFound")
    with pytest.raises(InvalidInput) as caught:
        Targets(PATH, client).load("orders")
    assert caught.value.problem.code == "TARGET_UNKNOWN"
    assert PARAMETER in caught.value.problem.message


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InternalServerError"])
def test_a_failure_of_aws_does_not_refuse_the_event(ssm: tuple[Any, Stubber], code: str) -> None:
    from rds_snap_backup.bootstrap import AWS_FAILURES

    client, stubber = ssm
    stubber.add_client_error("get_parameter", code)
    stubber.add_client_error("get_parameters_by_path", code)
    targets = Targets(PATH, client)
    with pytest.raises(AWS_FAILURES):
        targets.load("orders")
    with pytest.raises(AWS_FAILURES):
        targets.select(Request(event(), ()))


def test_a_document_that_does_not_parse_names_its_parameter(ssm: tuple[Any, Stubber]) -> None:
    client, stubber = ssm
    stubber.add_response("get_parameter", {"Parameter": parameter("orders", "{")})
    with pytest.raises(InvalidInput, match=f"{PARAMETER} is not valid: the document must be JSON"):
        Targets(PATH, client).load("orders")


DOCUMENTS = {
    "all": document(databases=["*"]),
    "billing": document(databases=["billing"]),
    "broken": "not JSON",
    "orders": document(databases=["orders-*"]),
    "untagged": document(allowTag=False),
}


@pytest.mark.parametrize(
    ("arn", "names", "tagged", "selected"),
    [
        (ARN, (), (), ("orders",)),
        ("arn:aws:rds:eu-west-1:111122223333:db:users", (), (), ("all",)),
        (ARN, ("*",), (), tuple(DOCUMENTS)),
        (ARN, ("orders", "*"), (), tuple(DOCUMENTS)),
        # A tag comes before the patterns; what it names and does not exist is refused when it is its turn.
        (ARN, (), ("billing",), ("billing",)),
        (ARN, (), ("billing", "broken"), ("billing", "broken")),
        (ARN, (), ("billing", "missing"), ("billing", "missing")),
        (ARN, (), ("missing",), ("orders", "missing")),
        (ARN, (), ("untagged",), ("orders",)),
        (ARN, (), ("*",), ("orders",)),
        (ARN, (), ("*", "billing"), ("billing",)),
    ],
)
def test_selection_among_all_targets(
    ssm: tuple[Any, Stubber], arn: str, names: tuple[str, ...], tagged: tuple[str, ...], selected: tuple[str, ...]
) -> None:
    client, stubber = ssm
    # What a tag names and the cache does not know is looked for past it.
    for _ in range(3 if set(tagged) - DOCUMENTS.keys() - {"*"} else 1):
        stub_listing(stubber, DOCUMENTS)
    targets = Targets(PATH, client)
    request = Request(event(arn), names, tagged)
    # The second time from the cache.
    assert targets.select(request) == targets.select(request) == selected


def test_a_tag_selects_a_target_that_the_cache_does_not_know_yet(ssm: tuple[Any, Stubber]) -> None:
    client, stubber = ssm
    stub_listing(stubber, DOCUMENTS)
    stub_listing(stubber, {**DOCUMENTS, "new": document()})
    targets = Targets(PATH, client)
    assert targets.select(Request(event())) == ("orders",)
    assert targets.select(Request(event(), tagged=("new",))) == ("new",)


def test_named_targets_are_selected_without_reading_any(ssm: tuple[Any, Stubber]) -> None:
    assert Targets(PATH, ssm[0]).select(Request(event(), ("orders", "missing"))) == ("orders", "missing")


def test_a_name_that_cannot_be_a_parameters_is_refused_without_asking_for_it(ssm: tuple[Any, Stubber]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Targets(PATH, ssm[0]).load("a/b")
    assert caught.value.problem.code == "TARGET_NAME_INVALID"


def test_a_redrive_reads_the_document_past_the_cache(ssm: tuple[Any, Stubber]) -> None:
    client, stubber = ssm
    for text in ("{", document()):
        stubber.add_response("get_parameter", {"Parameter": parameter("orders", text)})
    targets = Targets(PATH, client)
    with pytest.raises(InvalidInput):
        targets.load("orders")
    assert targets.load("orders", past_cache=True) == parse()


def test_without_targets_nothing_is_selected(ssm: tuple[Any, Stubber]) -> None:
    client, stubber = ssm
    stubber.add_response("get_parameters_by_path", {"Parameters": []})
    assert Targets(PATH, client).select(Request(event(), ())) == ()


def test_every_stored_document_is_read_with_the_time_of_its_last_change(ssm: tuple[Any, Stubber]) -> None:
    client, stubber = ssm
    changed = datetime(2026, 1, 31, tzinfo=UTC)
    rows = [parameter(name, name) | {"LastModifiedDate": changed} for name in ("orders", "billing")]
    stubber.add_response("get_parameters_by_path", {"Parameters": rows[:1], "NextToken": "more"}, {"Path": PATH})
    more = {"Path": PATH, "NextToken": "more"}
    stubber.add_response("get_parameters_by_path", {"Parameters": rows[1:]}, more)
    found = list(Targets(PATH, client).stored())
    assert found == [(name, Document(name, changed.timestamp())) for name in ("orders", "billing")]
