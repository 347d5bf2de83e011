"""The record's form: what is read is what was written, whatever the types, and it always fits into an item of DynamoDB."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from itertools import chain
from types import UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

import pytest

from rds_snap_backup.core.backups import Backup
from rds_snap_backup.core.coordinator import Publish
from rds_snap_backup.core.phases import Ended, JobRef, Waiting
from rds_snap_backup.core.record import Submission
from rds_snap_backup.ledger.records import FORM, MAX_BYTES, UnreadableRecordError, from_text, to_text
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import MAX_ASSOCIATIONS, Association
from rds_snap_backup.triggers import Trigger
from tests.unit.core.world import BEGIN, World, X, Y, jobs

TRIGGER = Trigger("rds", "arn|1", "now", "RDS-EVENT-0043", "arn:aws:rds:r:1:db:x", "Restored", ("a", "b"), "1111")
LONG = "Zeichen außerhalb von ASCII: " + "語" * 60


PLAIN: dict[Any, list[Any]] = {str: ["short", LONG], float: [1.5, 7.0], int: [3], bool: [True, False]}
PLAIN |= {type(None): [None], Any: [["a", 1]], Association: [X, Y], Trigger: [TRIGGER]}


def variants(kind: Any) -> list[Any]:
    """Return values of a type: of each alternative, of each phase, with every member set."""
    origin, members = get_origin(kind), get_args(kind)
    if isinstance(kind, TypeAliasType):
        return variants(kind.__value__)
    if origin is Literal:
        return list(members)
    if origin in {Union, UnionType}:
        return [value for member in members for value in variants(member)]
    if origin is tuple:
        return [tuple(variants(members[0])), ()]
    if kind is Mapping or origin is Mapping or origin is dict:
        return [{f"name {number}": value for number, value in enumerate(variants(members[1]))}, {}]
    if kind in PLAIN:
        return PLAIN[kind]
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    columns = {member.name: variants(hints[member.name]) for member in fields(kind)}
    rows = range(max(map(len, columns.values())))
    return [kind(**{name: values[row % len(values)] for name, values in columns.items()}) for row in rows]  # type: ignore[operator]


@pytest.mark.parametrize("submission", variants(Submission), ids=lambda _: "")
def test_a_record_is_read_as_it_was_written_whatever_it_has(submission: Submission) -> None:
    text = to_text(submission)
    assert from_text(text, submission.version, submission.write_id) == submission
    assert json.loads(text)["form"] == FORM


def test_what_has_its_default_takes_no_room_and_a_long_text_stands_once() -> None:
    submission = World().begin("A", X, Y)["A"]
    record = json.loads(to_text(submission))
    assert record.keys() == {"form", "trigger", "target", "created", "opened", "pin", "backups", "wake_at", "texts"}
    assert set(chain.from_iterable(record["backups"])) == {it.name for it in fields(Backup) if it.default is MISSING}
    letter = submission.with_letter("abandoned", submission.backups, Problem("CODE", LONG, LONG), BEGIN)
    assert to_text(letter).count("語" * 60) == 1


def test_a_field_that_this_version_does_not_know_is_written_back() -> None:
    written = json.loads(to_text(World().begin("A", X)["A"]))
    newer = {"newest": [{"text": len(written["texts"])}, "short"]}
    found = from_text(json.dumps({**written, "newer": newer, "texts": [*written["texts"], LONG]}), 1, "run")
    again = from_text(to_text(replace(found, cut_offs=2)), 1, "run")
    assert (again.unknown, again.cut_offs) == ({"newer": {"newest": [LONG, "short"]}}, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record | {"form": FORM + 1}, f"form {FORM + 1}, and this version reads {FORM}"),
        (lambda record: {name: value for name, value in record.items() if name != "form"}, "form None"),
        (lambda _: {"form": FORM}, "TypeError"),
        (lambda record: record | {"backups": [{**record["backups"][0], "newer": 1}]}, "KeyError"),
        (lambda record: record | {"backups": [{**record["backups"][0], "phase": {"phase": "Newer"}}]}, "KeyError"),
        (lambda record: record | {"target": {"text": 99}}, "IndexError"),
        (lambda record: [record], "cannot be read"),
    ],
)
def test_a_record_of_another_form_is_an_error_that_says_so(change: Callable[[Any], Any], reason: str) -> None:
    record = json.loads(to_text(World().begin("A", X)["A"]))
    with pytest.raises(UnreadableRecordError, match=reason):
        from_text(json.dumps(change(record)), 1, "run")
    with pytest.raises(UnreadableRecordError):
        from_text("{", 1, "run")


# ---- Its size


def large(count: int) -> tuple[Association, ...]:
    """Return associations whose document is as large as SSM takes: 8 KB."""
    most = 8192 // count - len(json.dumps(replace(X, instance_name="").to_json()))
    return tuple(replace(X, instance_name=f"{number:02}" + "庫" * (most - 2)) for number in range(count))


def long_text(number: int, length: int) -> str:
    return f"{number:04}" + "障" * (length - 4)


def test_the_largest_record_is_kept_with_all_its_ends() -> None:
    """90 backups with the longest names and reasons, of which half joined submissions of 2 KB keys."""
    world, group = World(), large(MAX_ASSOCIATIONS)
    world.begin("A", *group, retries=0).run("A", jobs(*(f"{number:020}" for number in range(MAX_ASSOCIATIONS))))
    submission = world["A"]
    for number, backup in enumerate(submission.backups[:45]):
        ended = Ended("joined", JobRef("9" * 20, "SYNTHETIC_FULL", BEGIN + 0.123), long_text(number, 680))
        submission = submission.with_backup(replace(backup, phase=ended, moment=BEGIN + 0.123))
    world.ledger.submissions[submission.key] = submission
    for number, one in enumerate(group):
        world.job(f"{number:020}", one, "Failed", raw_reason=long_text(number, 500))
    world.until(world.at(60).steps("A"), Publish)
    assert [len(notice.reason) for notice in world["A"].outbox] == [20_000 // 90] * 45
    assert len(to_text(world["A"]).encode()) <= MAX_BYTES


def test_what_dynamodb_would_refuse_is_cut() -> None:
    world = World()
    submission = world.begin("A", *large(MAX_ASSOCIATIONS))["A"]
    for number, backup in enumerate(submission.backups):
        problem = Problem("CODE", long_text(number, 1500), "hint")
        submission = submission.with_backup(replace(backup, phase=Waiting(BEGIN, error=problem)))
        submission = submission.with_notice("failed", [backup], BEGIN, reason=long_text(-number, 1500))
    text = to_text(submission)
    assert len(text.encode()) <= MAX_BYTES
    kept = from_text(text, 1, "run")
    assert {len(backup.error.message) for backup in kept.backups if backup.error} == {100}
    assert {len(notice.reason) for notice in kept.outbox} == {100}
