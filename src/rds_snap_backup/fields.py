"""Fields of JSON documents that people write. A dataclass whose members are annotated with a `Field` is such a document.

`wrong_among` checks an object, `read` makes the dataclass of it, and `fields_of` is the table for schemas and documents.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from rds_snap_backup.untrusted import MAX_NAME, clean_text, is_name, whole_number

type FieldPath = tuple[str | int, ...]
REQUIRED = "required"


@dataclass(frozen=True)
class Field:
    """What a field may hold: a test, the words that complete "must be", and the same in JSON Schema as far as it can say it.

    `meaning` and `default` are Markdown for people.
    """

    is_valid: Callable[[Any], bool]
    allowed: str
    schema: Mapping[str, Any]
    meaning: str = ""
    default: str = ""

    def means(self, meaning: str, default: str = "") -> "Field":
        """Return this field with a meaning; `default` says what no literal can, such as a setting of the stack."""
        return replace(self, meaning=meaning, default=default)


@dataclass(frozen=True)
class WrongField:
    """A field that is not valid: its path, such as `("associations", 0, "clientName")`, and what it must be."""

    path: FieldPath
    allowed: str

    def __str__(self) -> str:
        return f"{field_name(self.path)} must be {self.allowed}"


def fields_of(kind: type) -> dict[str, Field]:
    """Return the fields of a document by their names in JSON."""
    members = _members(kind).items()
    return {name: replace(field, default=field.default or _default(member)) for name, (member, field) in members}


def read[T](kind: Callable[..., T], document: Mapping[str, Any], **values: Any) -> T:
    """Return a valid document as its dataclass. `values` are those of members that a document has in another form."""
    found = {member.name: document[name] for name, (member, _) in _members(kind).items() if name in document}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()} | values)


@cache
def _members(kind: Any) -> Mapping[str, tuple[dataclasses.Field[Any], Field]]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        re.sub("_(.)", lambda letter: letter[1].upper(), member.name): (member, get_args(hints[member.name])[1])
        for member in dataclasses.fields(kind)
        if get_origin(hints[member.name]) is Annotated
    }


def _default(member: dataclasses.Field[Any]) -> str:
    match member.default:
        case bool() as value:
            return f"`{str(value).lower()}`"
        case str() as value:
            return f"`{value}`"
        case _:
            return REQUIRED if member.default is MISSING else "none"


# ---- What is wrong


def field_name(path: FieldPath) -> str:
    """Return a field for people, such as "clientName of association 1"."""
    parts: list[str] = []
    for item in path:
        if isinstance(item, int):
            parts[0] = f"{parts[0].removesuffix('s')} {item + 1}"
        else:
            parts.insert(0, clean_text(item) or '""')
    return " of ".join(parts) or "the document"


def wrong_among(values: Mapping[str, Any], fields: Mapping[str, Field], path: FieldPath = ()) -> Iterator[WrongField]:
    """Yield the unknown fields of the object at `path`, then those that are missing or not valid."""
    for name in sorted(values.keys() - fields.keys()):
        meant = get_close_matches(name, fields, n=1)
        hint = f"did you mean {meant[0]}?" if meant else f"known fields are {', '.join(fields)}"
        yield WrongField((*path, name), f"left out ({hint})")
    for name, field in fields.items():
        if (name in values or field.default == REQUIRED) and not field.is_valid(values.get(name)):
            yield WrongField((*path, name), field.allowed)


# ---- Kinds of fields


def one_of(*allowed: str) -> Field:
    """Return a field of one of these texts."""
    return Field(allowed.__contains__, f"one of {', '.join(allowed)}", {"enum": [*allowed]})


def number(least: int, most: int) -> Field:
    """Return a field of a whole number."""

    def is_valid(value: object) -> bool:
        return isinstance(value, int) and whole_number(value, least, most) is not None

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Field(is_valid, f"a whole number, {least} to {most}", schema)


NAME = Field(
    is_name,
    f"a text of 1 to {MAX_NAME} printable characters",
    {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"},
)
BOOLEAN = Field(lambda value: isinstance(value, bool), "true or false", {"type": "boolean"})
