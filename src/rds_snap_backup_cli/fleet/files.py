"""A fleet's directory: `fleet.yaml` and `targets/NAME.yaml`, read and checked without AWS."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """When a target is backed up, as EventBridge Scheduler reads it."""

    expression: str
    timezone: str = "UTC"


@dataclass(frozen=True)
class Entry:
    """A target of a fleet. `document` is as it is to be stored: with the fleet's defaults and mark, without the schedule."""

    name: str
    document: Mapping[str, Any]
    schedule: Schedule | None
    file: str


@dataclass(frozen=True)
class Remark:
    """An error or a warning; `str` gives `file:line: field: reason`."""

    file: str
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.reason}"


@dataclass(frozen=True)
class Fleet:
    """A directory's valid targets by name. Nothing may be written while there are errors."""

    name: str
    entries: Mapping[str, Entry]
    errors: tuple[Remark, ...]
    warnings: tuple[Remark, ...]


def read_fleet(directory: Path) -> Fleet:
    """Return the fleet of a directory, with everything that is wrong with its files."""
    raise NotImplementedError(directory)


def stored_text(document: Mapping[str, Any]) -> str:
    """Return the text of a document as SSM stores it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
