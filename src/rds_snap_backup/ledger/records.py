"""The form in which the ledger keeps a submission: one JSON text, without what has its default. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Attempt, Backup, JobFacts, Notice, Pin, Submission
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger

# The ledger's item has these in attributes of their own.
APART = frozenset({"version", "write_id"})


def to_text(submission: Submission) -> str:
    """Return a submission's JSON text."""
    document = _encoded(submission)
    return json.dumps({name: value for name, value in document.items() if name not in APART}, separators=(",", ":"))


def from_text(text: str, version: int, write_id: str) -> Submission:
    """Read `to_text`'s text."""
    return _decoded(Submission, {**json.loads(text), "version": version, "write_id": write_id})


def _encoded(value: Any) -> Any:
    match value:
        case Trigger():
            return value.to_message()
        case Association():
            return value.to_json()
        case tuple():
            return [_encoded(item) for item in value]
        case _ if is_dataclass(value):
            return {
                member.name: _encoded(shown)
                for member in fields(value)
                if (shown := getattr(value, member.name)) != member.default
            }
        case _:
            return value


def _decoded[T](kind: type[T], document: Mapping[str, Any]) -> T:
    values = {name: MEMBERS[name](value) if name in MEMBERS else value for name, value in document.items()}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _each[T](kind: type[T]) -> Callable[[list[Any]], tuple[T, ...]]:
    return lambda documents: tuple(_decoded(kind, document) for document in documents)


# How a member is made again. A name means one type in all of a submission's classes, but for a notice's `backups`.
MEMBERS: dict[str, Callable[[Any], Any]] = {
    "trigger": Trigger.from_json,
    "association": Association.from_json,
    "pin": lambda document: _decoded(Pin, document),
    "job": lambda document: _decoded(JobFacts, document),
    "error": lambda document: _decoded(Problem, document),
    "backups": lambda listed: listed if listed and isinstance(listed[0], str) else _each(Backup)(listed),
    "attempts": _each(Attempt),
    "outbox": _each(Notice),
}
