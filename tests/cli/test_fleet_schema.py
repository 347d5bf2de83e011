"""The JSON Schemas of a fleet's files: what editors accept is what `validate` accepts."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from local.tools import ROOT
from rds_snap_backup.targets import ASSOCIATION_FIELDS, parse_target
from rds_snap_backup_cli.fleet.files import (
    FILE_FIELDS,
    HEAD_FIELDS,
    SCHEDULE_FIELDS,
    document_of,
    stored_text,
    wrong_in_head,
    wrong_in_target,
)
from rds_snap_backup_cli.fleet.schema import SCHEMAS, FileKind
from tests.cli.calls import Cli

FOLDER = ROOT / "examples" / "fleet"
TARGET, HEAD = (Draft7Validator(SCHEMAS[kind]()) for kind in (FileKind.TARGET, FileKind.FLEET))

# Values of a file, at the bounds of what some field allows. What a schema cannot say is left out: whole floats, which it
# takes for integers, a final line break, which `$` of Python's patterns admits, and characters of which only Python knows
# whether they are printable.
EDGES: list[Any] = [None, False, True, 0.5, -1, 0, 1, 5, 6, 1440, 1441, 8784, 8785, 10**30, "", {}]
EDGES += ["full", "FULL", "SCHEDULE", "a b", "a\nb", "\x1f", "\x7f", "\x80", "\x9f", "\xa0", "ü", "*", "prod", "UTC"]
EDGES += [
    *("x" * length for length in (64, 65, 500, 501)),
    *("1" * length for length in (11, 12, 13)),
    *(f"rate(1 day){' ' * length}" for length in (0, 245, 246)),
]
ADDED: list[Any] = [None, "prod", [{"clientName": "a", "instanceName": "b", "subclientName": "c"}]]
TEXTS = st.sampled_from([edge for edge in EDGES if isinstance(edge, str)])
VALUES = st.recursive(
    st.sampled_from(EDGES), lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=2)
)

NAMES = st.sampled_from(["aws-prod", "orders", "Bücher", "a b", "x" * 500])
PATTERNS = st.lists(st.sampled_from(["orders-*", "*", "arn:aws:rds:*:*:cluster:billing"]), max_size=3)
EXPRESSIONS = st.sampled_from(["cron(0 3 * * ? *)", "rate(1 day)", "at(2030-01-31T03:00:00)"])
SCHEDULES = st.fixed_dictionaries(
    {"expression": EXPRESSIONS}, optional={"timezone": st.sampled_from(["UTC", "Europe/Berlin"])}
)
# Numbered by `target`, so that each stands once.
ASSOCIATIONS = st.fixed_dictionaries(
    {"clientName": NAMES, "instanceName": NAMES},
    optional={"displayName": NAMES | st.just(""), "databases": PATTERNS},
)
DEFAULTS: dict[str, st.SearchStrategy[Any]] = {
    "backupLevel": st.sampled_from(["FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL"]),
    "taskType": st.sampled_from(["IMMEDIATE", "SCHEDULE"]),
    "notifyUserOnJobCompletion": st.booleans(),
    "databases": PATTERNS,
    "accounts": st.lists(st.sampled_from(["111122223333", "012345670123"]), min_size=1, max_size=2),
    "rdsEventIds": st.lists(st.just("RDS-EVENT-0043"), max_size=1),
    "allowTag": st.booleans(),
    "gatherMinutes": st.integers(0, 1440),
    "retryFailedJobs": st.integers(0, 5),
    "maxAgeHours": st.integers(1, 8784),
    "enabled": st.booleans(),
    "schedule": SCHEDULES | st.none(),
}


def numbered(associations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "subclientName": str(number)} for number, item in enumerate(associations)]


VALID_TARGETS = st.fixed_dictionaries(
    {"associations": st.lists(ASSOCIATIONS, min_size=1, max_size=3).map(numbered)},
    optional=DEFAULTS,
)
VALID_HEADS = st.fixed_dictionaries(
    {"name": st.sampled_from(["prod", "a" * 64, "A_b.c-1"])},
    optional={"defaults": st.fixed_dictionaries({}, optional=DEFAULTS) | st.none()},
)
FIELD_NAMES = sorted({*FILE_FIELDS, *ASSOCIATION_FIELDS, *SCHEDULE_FIELDS, *HEAD_FIELDS})


@st.composite
def changed(draw: st.DrawFn, valid: st.SearchStrategy[Any]) -> Any:
    """Return a valid document with up to three changes: a value that is replaced, removed, or added."""
    content = {"": deepcopy(draw(valid))}
    for _ in range(draw(st.integers(0, 3))):
        place: Any = content
        key: Any = ""
        while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 5)):
            place = place[key]
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "remove" if place is not content:
                del place[key]
            case "add" if isinstance(place[key], dict):
                place[key][draw(st.sampled_from(FIELD_NAMES) | TEXTS)] = draw(VALUES)
            case "add" if isinstance(place[key], list):
                place[key].append(draw(VALUES))
            case _:
                place[key] = draw(VALUES)
    return content[""]


def cannot_be_said(path: tuple[str | int, ...], reason: str) -> bool:
    """Tell whether only `validate` finds this error."""
    return (
        reason.startswith(("must be different from association", "must not have", "has "))
        or ("schedule" in path and not reason.startswith("must be "))
    )  # fmt: skip


def agree_on_target(content: Any) -> None:
    wrong = list(wrong_in_target(content))
    assert TARGET.is_valid(content) == all(cannot_be_said(*item) for item in wrong), content
    if not wrong:
        assert parse_target("orders", "", stored_text(document_of(content))).name == "orders"


def agree_on_head(content: Any) -> None:
    wrong = list(wrong_in_head(content))
    assert HEAD.is_valid(content) == all(cannot_be_said(*item) for item in wrong), content


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(changed(VALID_TARGETS))
def test_schema_and_parser_agree_on_targets(content: Any) -> None:
    agree_on_target(content)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(changed(VALID_HEADS))
def test_schema_and_parser_agree_on_fleets(content: Any) -> None:
    agree_on_head(content)


def changed_once(content: Any) -> Iterator[Any]:
    """Yield copies of a value in which one part is replaced by each edge, removed, or joined by each other field."""
    yield from EDGES
    yield from ([edge] for edge in EDGES)
    if isinstance(content, dict):
        yield from ({**content, name: edge} for name in [*FIELD_NAMES, "x"] if name not in content for edge in ADDED)
    for key in content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        for part in changed_once(content[key]):
            copy = content.copy()
            copy[key] = part
            yield copy
        copy = content.copy()
        del copy[key]
        yield copy


def test_schema_and_parser_agree_at_every_bound() -> None:
    defaults: dict[str, Any] = {
        "backupLevel": "FULL",
        "taskType": "IMMEDIATE",
        "notifyUserOnJobCompletion": True,
        "databases": ["a"],
        "accounts": ["111122223333"],
        "rdsEventIds": ["RDS-EVENT-0043"],
        "allowTag": True,
        "gatherMinutes": 1,
        "retryFailedJobs": 1,
        "maxAgeHours": 1,
        "enabled": True,
        "schedule": {"expression": "rate(1 day)", "timezone": "UTC"},
    }
    association = dict.fromkeys(ASSOCIATION_FIELDS, "x") | {"databases": ["a"]}
    target = {"associations": [association], **defaults}
    head = {"name": "prod", "defaults": defaults}
    assert (target.keys(), head.keys()) == (FILE_FIELDS.keys(), HEAD_FIELDS.keys())
    assert not [*wrong_in_target(target), *wrong_in_head(head)]
    for content in changed_once(target):
        agree_on_target(content)
    for content in changed_once(head):
        agree_on_head(content)


@pytest.mark.parametrize("number", [0, 1, 90, 91])
def test_schema_and_parser_agree_on_the_number_of_associations(number: int) -> None:
    content = {"associations": numbered([{"clientName": "a", "instanceName": "b"}] * number)}
    assert TARGET.is_valid(content) == (not list(wrong_in_target(content))) == (0 < number <= 90)


@pytest.mark.parametrize("kind", FileKind)
def test_the_shipped_schemas_are_those_of_the_command(cli: Cli, kind: FileKind) -> None:
    done = cli("validate", "--schema", kind)
    assert (done.status, done.err) == (0, "")
    assert (FOLDER / f"{kind}.schema.json").read_text() == done.out, f"run: rds-snap-backup validate --schema {kind}"
    Draft7Validator.check_schema(json.loads(done.out))
