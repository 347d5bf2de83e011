"""The form in which the ledger keeps a submission: one JSON text, tagged where a type is one of several. Pure.

What has its default is left out. A long text stands once, in `texts`. The decoder follows from the types.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from functools import cache
from types import NoneType
from typing import Any, Literal, TypeAliasType, get_args, get_origin, get_type_hints

from rds_snap_backup.core.phases import Phase
from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger

type Decoder = Callable[[Any, list[str]], Any]

# Raise it with every change that the version before would misread.
FORM = 2
# The ledger's item has these in attributes of their own, and what is unknown is written back as it was.
APART = frozenset({"version", "write_id", "unknown"})
LONG_TEXT = 60
# DynamoDB refuses an item of more than 400 KB, with its attributes' names.
MAX_BYTES = 380_000
CUT_TEXT = 100


class UnreadableRecordError(Exception):
    """A record is of a form that this version does not know, or broken. Its message stays on the queue."""


def to_text(submission: Submission) -> str:
    """Return a submission's JSON text. Errors and reasons are cut where DynamoDB would refuse it."""
    text = _Encoder().text(submission)
    return text if len(text.encode()) <= MAX_BYTES else _Encoder(CUT_TEXT).text(submission)


def from_text(text: str, version: int, write_id: str) -> Submission:
    """Read `to_text`'s text. Raises `UnreadableRecordError`."""
    try:
        document = json.loads(text)
        form, texts = document.pop("form", None), document.pop("texts", [])
        known = {member.name for member in fields(Submission)} - APART
        unknown = {name: _plain(document.pop(name), texts) for name in list(document) if name not in known}
        if form == FORM:
            submission: Submission = _decoder(Submission)(document, texts)
            return replace(submission, version=version, write_id=write_id, unknown=unknown)
    except (ValueError, TypeError, LookupError, AttributeError) as broken:
        raise UnreadableRecordError(f"The record cannot be read: {type(broken).__name__}.") from None
    raise UnreadableRecordError(
        f"The record has the form {form!r}, and this version reads {FORM}: deploy the version that wrote it."
    )


class _Encoder:
    """Encodes one submission; `most` is the length to which errors and reasons are cut."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._texts: dict[str, int] = {}

    def text(self, submission: Submission) -> str:
        document = {
            **self._encoded(submission.unknown),
            "form": FORM,
            **self._object(submission),
            "texts": list(self._texts),
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    def _object(self, value: Any) -> dict[str, Any]:
        shown = {member: getattr(value, member.name) for member in fields(value) if member.name not in APART}
        return {member.name: self._encoded(item) for member, item in shown.items() if item != _default(member)}

    def _encoded(self, value: Any) -> Any:
        match value:
            case Trigger():
                return self._encoded(value.to_message())
            case Association():
                return self._encoded(value.to_json())
            case Problem():
                return self._object(replace(value, message=value.message[: self._most]))
            case Notice():
                return self._object(replace(value, reason=value.reason[: self._most]))
            case tuple() | list():
                return [self._encoded(item) for item in value]
            case Mapping():
                return {name: self._encoded(item) for name, item in value.items()}
            case str() if len(value) > LONG_TEXT:
                return {"text": self._texts.setdefault(value, len(self._texts))}
            case _ if is_dataclass(value):
                tag = type(value).__name__
                return {"phase": tag, **self._object(value)} if tag in _phases() else self._object(value)
            case _:
                return value


def _default(member: Field[Any]) -> Any:
    return member.default if member.default_factory is MISSING else member.default_factory()


@cache
def _phases() -> Mapping[str, type]:
    return {kind.__name__: kind for kind in get_args(Phase.__value__)}


@cache
def _decoder(kind: Any) -> Decoder:
    """Return the function that makes a value of a type again from its JSON and the texts."""
    if isinstance(kind, TypeAliasType):
        return _phase if kind is Phase else _decoder(kind.__value__)
    if kind in _phases().values():
        return _phase
    members = [member for member in get_args(kind) if member is not NoneType]
    if kind is Trigger:
        return lambda value, texts: Trigger.from_json(_plain(value, texts))
    if kind is Association:
        return lambda value, texts: Association.from_json(_plain(value, texts))
    if is_dataclass(kind):
        return _members(kind)  # type: ignore[arg-type]
    if get_origin(kind) is tuple and members[1:] == [...]:
        each = _decoder(members[0])
        return lambda value, texts: tuple(each(item, texts) for item in value)
    if len(members) == 1 and NoneType in get_args(kind):
        some = _decoder(members[0])
        return lambda value, texts: None if value is None else some(value, texts)
    if kind in {str, int, float, bool, Mapping[str, Any]} or get_origin(kind) is Literal:
        return _plain
    raise NotImplementedError(f"A record's {kind} would be read as plain JSON: decode it here.")


@cache
def _members(kind: Any) -> Decoder:
    decoders = {name: _decoder(hint) for name, hint in get_type_hints(kind).items()}
    return lambda value, texts: kind(**{name: decoders[name](item, texts) for name, item in value.items()})


def _phase(value: Any, texts: list[str]) -> Any:
    facts = dict(value)
    return _members(_phases()[facts.pop("phase")])(facts, texts)


def _plain(value: Any, texts: list[str]) -> Any:
    match value:
        case {"text": int(index)} if len(value) == 1:
            return texts[index]
        case dict():
            return {name: _plain(item, texts) for name, item in value.items()}
        case list():
            return [_plain(item, texts) for item in value]
        case _:
            return value
