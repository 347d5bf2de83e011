"""Strict YAML and JSON: text, `true`, `false`, `null`, plain integers, lists and objects, each with its line.

YAML is read from PyYAML's events, which show what its constructors resolve: anchors, aliases and tags. So `no`, `1e3`,
`2024-01-01` and `012345670123` stay text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import events as ev

from rds_snap_backup.fields import FieldPath
from rds_snap_backup.untrusted import clean_text

INTEGER = re.compile(r"0|-?[1-9][0-9]{0,99}")
CONSTANTS = {"true": True, "false": False, "null": None, "": None}
# libyaml knows YAML 1.2: in {expression: cron(0 3 * * ? *)} the text needs no quotes. It is in PyYAML's wheels.
FASTEST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# https://yaml.org/spec/1.2.2/#51-character-set
NOT_YAML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
BOM = "\ufeff"
# A valid document has lists and objects of four levels.
MAX_DEPTH = 50
TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
# The YAML of the largest document that SSM stores is far smaller.
MAX_BYTES = 262_144


@dataclass(frozen=True)
class Defect:
    """What a file must not have, or where it cannot be read."""

    line: int
    path: FieldPath
    reason: str


@dataclass(frozen=True)
class Parsed:
    """A file's value, None if it cannot be read; the line of each field; and its defects."""

    value: Any
    lines: Mapping[FieldPath, int]
    defects: tuple[Defect, ...] = ()

    def line(self, path: FieldPath) -> int:
        """Return a field's line. That of a missing field is the line of the object that lacks it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(content: bytes, *, is_json: bool) -> Parsed:
    """Read a file's content. Never raises: what is wrong is in `defects`."""
    if len(content) > MAX_BYTES:
        return unreadable(1, f"is larger than {MAX_BYTES:,} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return unreadable(1 + content.count(b"\n", 0, error.start), "is not UTF-8: save the file in this encoding")
    if text.startswith(BOM):
        return unreadable(1, "begins with a byte order mark: save the file without it")
    return parse_json(text) if is_json else parse_yaml(text)


def parse_json(text: str) -> Parsed:
    """Read JSON. Its lines and repeated fields are found by reading it as YAML, too."""
    try:
        value = json.loads(text)
    except RecursionError:
        return unreadable(1, TOO_DEEP)
    except ValueError as error:
        return unreadable(getattr(error, "lineno", 1), f"is not JSON: {getattr(error, 'msg', 'a number is too long')}")
    # libyaml refuses surrogate pairs; PyYAML's own reader needs ten times as long.
    loader = yaml.SafeLoader if "\\ud" in text.lower() else FASTEST
    # In valid JSON a tab is a blank between tokens, which YAML does not admit everywhere.
    found = parse_yaml(text.replace("\t", " "), loader)
    return Parsed(value if found.lines else None, found.lines, found.defects)


def parse_yaml(text: str, loader: Any = FASTEST) -> Parsed:
    """Read one YAML document."""
    if found := NOT_YAML.search(text):
        line = 1 + text.count("\n", 0, found.start())
        return unreadable(line, f"has the character U+{ord(found[0]):04X}, which YAML does not admit")
    reader = Reader(yaml.parse(text, Loader=loader))
    try:
        value = reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return unreadable(
            1 + (mark.line if mark else 0), f"is not YAML: {clean_text(f'{error.problem} {error.context or ""}')}"
        )
    except TooDeep as error:
        return unreadable(error.line, TOO_DEEP)
    return Parsed(value, reader.lines, tuple(reader.defects))


def unreadable(line: int, reason: str) -> Parsed:
    """Return the result for a file without a value."""
    return Parsed(None, {}, (Defect(line, (), reason),))


class TooDeep(Exception):
    """Lists and objects are nested more than `MAX_DEPTH` levels deep, at a line."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class Reader:
    """Makes values of YAML's events, and notes lines and defects."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self.lines: dict[FieldPath, int] = {}
        self.defects: list[Defect] = []

    def document(self) -> Any:
        """Return the value of the only document, None if there is none."""
        next(self._events)  # The stream's start.
        begin = next(self._events)
        if isinstance(begin, ev.StreamEndEvent):
            return None
        if begin.version or begin.tags:
            self._refuse(begin, (), "directives (%YAML, %TAG) are not allowed")
        value = self._value(next(self._events), ())
        next(self._events)  # The document's end.
        if not isinstance(after := next(self._events), ev.StreamEndEvent):
            self._refuse(after, (), "a file holds one document: remove the line ---")
        return value

    def _value(self, event: Any, path: FieldPath) -> Any:
        self.lines.setdefault(path, line_of(event))
        if isinstance(event, ev.CollectionStartEvent) and len(path) >= MAX_DEPTH:
            raise TooDeep(line_of(event))
        match event:
            case ev.AliasEvent():
                self._refuse(event, path, f"the alias *{event.anchor} is not allowed: write the value again")
            case ev.ScalarEvent():
                self._refuse_properties(event, path)
                return plain_value(event.value) if event.implicit[0] else event.value
            case ev.SequenceStartEvent():
                self._refuse_properties(event, path)
                items: list[Any] = []
                while not isinstance(item := next(self._events), ev.SequenceEndEvent):
                    items.append(self._value(item, (*path, len(items))))
                return items
            case ev.MappingStartEvent():
                self._refuse_properties(event, path)
                return self._object(path)
        return None

    def _object(self, path: FieldPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(self._events), ev.MappingEndEvent):
            if not isinstance(key, ev.ScalarEvent):
                self._refuse(key, path, "a field's name must be a text")
                self._value(key, (*path, ""))
                self._value(next(self._events), (*path, ""))
                continue
            name, field = key.value, (*path, key.value)
            self._refuse_properties(key, field)
            if name in found:
                self._refuse(key, field, f"is repeated: line {self.lines[field]} has it, too")
            elif name == "<<":
                self._refuse(key, field, "merge keys are not allowed: write the fields again")
            self.lines.setdefault(field, line_of(key))
            found[name] = self._value(next(self._events), field)
        return found

    def _refuse_properties(self, event: Any, path: FieldPath) -> None:
        if event.anchor:
            self._refuse(event, path, f"the anchor &{event.anchor} is not allowed")
        if event.tag:
            self._refuse(event, path, f"the tag {event.tag} is not allowed: text in quotes is text")

    def _refuse(self, event: Any, path: FieldPath, reason: str) -> None:
        self.defects.append(Defect(line_of(event), path, clean_text(reason)))


def plain_value(text: str) -> Any:
    """Return the value of a text without quotes."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    return int(text) if INTEGER.fullmatch(text) else text


def line_of(event: Any) -> int:
    """Return the line on which an event begins."""
    return int(event.start_mark.line) + 1
