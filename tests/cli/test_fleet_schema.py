"""The JSON Schemas of a fleet's files: what editors accept is what `validate` accepts."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from rds_snap_backup.targets import ASSOCIATION_FIELDS, FIELDS, parse_target
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
from tests.target_documents import document

TARGET, HEAD = (Draft7Validator(SCHEMAS[kind]()) for kind in (FileKind.TARGET, FileKind.FLEET))

# Values of a file, at the bounds of what some field allows. What a schema cannot say is left out: whole floats, which it
# takes for integers, a final line break, which `$` of Python's patterns admits, and characters of which only Python knows
# whether they are printable.
EDGES: list[Any] = [None, False, True, 0.5, -1, 0, 1, 10**30, "", {}]
EDGES += [most + more for field in FIELDS.values() if (most := field.schema.get("maximum")) for more in (0, 1)]
EDGES += ["full", "FULL", "SCHEDULE", "a b", "a\nb", "\x1f", "\x7f", "\x80", "\x9f", "\xa0", "ü", "*", "prod", "UTC"]
EDGES += [
    *("x" * length for length in (64, 65, 500, 501)),
    *("1" * length for length in (11, 12, 13)),
    *(f"rate(1 day){' ' * length}" for length in (0, 245, 246)),
]
ADDED: list[Any] = [None, "prod", [{"clientName": "a", "instanceName": "b", "subclientName": "c"}]]


FIELD_NAMES = sorted({*FILE_FIELDS, *ASSOCIATION_FIELDS, *SCHEDULE_FIELDS, *HEAD_FIELDS})


def cannot_be_said(path: tuple[str | int, ...], reason: str) -> bool:
    """Tell whether only `validate` finds this error."""
    is_syntax = "schedule" in path and not reason.startswith("must be ")
    return is_syntax or reason.startswith(("must be different from association", "must not have", "has "))


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
    target = {**document(), "schedule": {"expression": "rate(1 day)", "timezone": "UTC"}}
    defaults = {name: value for name, value in target.items() if name != "associations"}
    head = {"name": "prod", "defaults": defaults}
    assert (target.keys(), head.keys()) == (FILE_FIELDS.keys(), HEAD_FIELDS.keys())
    assert not [*wrong_in_target(target), *wrong_in_head(head)]
    for schema, wrong_in, valid in ((TARGET, wrong_in_target, target), (HEAD, wrong_in_head, head)):
        for content in changed_once(valid):
            wrong = list(wrong_in(content))
            assert schema.is_valid(content) == all(cannot_be_said(*item) for item in wrong), content
            if schema is TARGET and not wrong:
                assert parse_target("orders", "", stored_text(document_of(content))).name == "orders"


@pytest.mark.parametrize("number", [0, 1, 90, 91])
def test_schema_and_parser_agree_on_the_number_of_associations(number: int) -> None:
    names = {"clientName": "a", "instanceName": "b"}
    content = {"associations": [{**names, "subclientName": str(each)} for each in range(number)]}
    assert TARGET.is_valid(content) == (not list(wrong_in_target(content))) == (0 < number <= 90)


@pytest.mark.parametrize("kind", FileKind)
def test_the_command_prints_the_schemas(cli: Cli, kind: FileKind) -> None:
    done = cli("validate", "--schema", kind)
    assert (done.status, done.err, done.json) == (0, "", SCHEMAS[kind]())
