"""A fleet's directory: `fleet.yaml` and `targets/NAME.yaml`, read and checked without AWS."""

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rds_snap_backup.fields import REQUIRED, Field, FieldPath, WrongField, field_name, wrong_among
from rds_snap_backup.targets import FIELDS, wrong_fields
from rds_snap_backup.triggers import TARGET_NAME
from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.expressions import expression_problem, timezone_problem
from rds_snap_backup_cli.fleet.documents import MAX_BYTES, Parsed, parse, unreadable

HEAD = "fleet.yaml"
TARGETS = "targets"
SUFFIXES = (".yaml", ".json")
# The stack's parameters make it.
DEFAULT_TARGET = "default"
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
ADVANCED_BYTES = 8192
# SSM refuses it, and CloudFormation replaces {{resolve:…}} by a secret.
REFERENCE = "{{"
# Of a target that `inventory --write` makes.
MOST_ASSOCIATIONS = 25
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
MAX_EXPRESSION, MAX_TIMEZONE = 256, 50

type Wrong = tuple[FieldPath, str]


def _text(most: int, allowed: str) -> Field:
    schema = {"type": "string", "minLength": 1, "maxLength": most}
    return Field(lambda value: isinstance(value, str) and 0 < len(value) <= most, allowed, schema)


def _object(allowed: str) -> Field:
    return Field(lambda value: value is None or isinstance(value, dict), allowed, {"type": ["object", "null"]})


SCHEDULE_FIELDS: Mapping[str, Field] = {
    "expression": _text(MAX_EXPRESSION, f"cron(…), rate(…) or at(…), in at most {MAX_EXPRESSION} characters").means(
        "as EventBridge Scheduler reads it, such as cron(0 3 * * ? *)", REQUIRED
    ),
    "timezone": _text(MAX_TIMEZONE, f"a time zone such as Europe/Berlin, in at most {MAX_TIMEZONE} characters").means(
        "a name of the IANA database", "UTC"
    ),
}
# What a target's file holds: its document and its schedule.
FILE_FIELDS: Mapping[str, Field] = {
    **FIELDS,
    "schedule": _object("an object with expression and timezone, or null").means(
        "when the target is backed up. null: not on a schedule, also if the fleet has a default"
    ),
}
HEAD_FIELDS: Mapping[str, Field] = {
    "name": Field(
        lambda value: isinstance(value, str) and TARGET_NAME.fullmatch(value) is not None,
        'a text of 1 to 64 letters, digits, "_", "." or "-"',
        {"type": "string", "pattern": f"^{TARGET_NAME.pattern}$"},
        "the fleet's name",
        REQUIRED,
    ),
    "defaults": _object("an object").means("fields that a target's file can leave out"),
}
DEFAULT_FIELDS = {name: field for name, field in FILE_FIELDS.items() if name != "associations"}


@dataclass(frozen=True)
class Schedule:
    """When a target is backed up, as EventBridge Scheduler reads it."""

    expression: str
    timezone: str = "UTC"


@dataclass(frozen=True)
class Entry:
    """A target of a fleet. `document` is as it is to be stored: with the fleet's defaults, without the schedule."""

    name: str
    document: Mapping[str, Any]
    schedule: Schedule | None
    file: str


@dataclass(frozen=True, order=True)
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
    """A directory's valid targets by name, and its files by the target. Nothing may be written while there are errors."""

    name: str
    entries: Mapping[str, Entry]
    errors: tuple[Remark, ...]
    head: "Source"
    sources: Mapping[str, "Source"]


@dataclass(frozen=True)
class Source:
    """A file and its content."""

    file: str
    parsed: Parsed

    @property
    def fields(self) -> Mapping[str, Any]:
        """The file's fields; none if it is not an object."""
        return self.parsed.value if isinstance(self.parsed.value, dict) else {}

    def remark(self, path: FieldPath, reason: str) -> Remark:
        """Return a remark about a field."""
        return Remark(self.file, self.parsed.line(path), field_name(path), reason)

    def errors(self, wrong: Iterable[Wrong]) -> Iterator[Remark]:
        """Yield the file's defects, and what is wrong with fields that have none."""
        if self.parsed.value is not None or not self.parsed.defects:
            places = [defect.path for defect in self.parsed.defects if defect.path]
            for path, reason in wrong:
                if not any(path[: len(place)] == place[: len(path)] for place in places):
                    yield self.remark(path, reason)
        for defect in self.parsed.defects:
            yield Remark(self.file, defect.line, field_name(defect.path), defect.reason)

    def leaves_to(self, defaults: object, path: FieldPath) -> bool:
        """Tell whether a field comes from the fleet's defaults: what is wrong with it is an error of `fleet.yaml`."""
        return isinstance(defaults, dict) and bool(path) and path[0] in defaults and path[0] not in self.fields


def require_fleet_name(name: str) -> str:
    """Return the name of a fleet. Raises `CannotRun` if it is not valid."""
    if not TARGET_NAME.fullmatch(name):
        raise CannotRun(
            f'{name!r} is not a valid name of a fleet: 1 to 64 letters, digits, "_", "." or "-". Give one with --name.'
        )
    return name


def read_fleet(directory: Path) -> Fleet:
    """Return the fleet of a directory, with everything that is wrong with its files. Raises `OSError` if it is none."""
    require_directory(directory)
    if directory.is_symlink():
        remark = Remark(str(directory), 1, "the directory", "is a link")
        return replace(no_fleet(directory, ""), errors=(remark,))
    head = read_source(directory / HEAD)
    defaults = head.fields.get("defaults")
    files, errors = target_files(directory / TARGETS)
    errors += head.errors(wrong_in_head(head.parsed.value))
    sources = {target: read_source(file) for target, file in files.items()}
    entries: dict[str, Entry] = {}
    for target, source in sources.items():
        content = source.parsed.value
        if isinstance(content, dict) and isinstance(defaults, dict):
            content = defaults | content
        wrong = list(wrong_in_target(content))
        errors += source.errors(item for item in wrong if not source.leaves_to(defaults, item[0]))
        if not wrong and not source.parsed.defects:
            entries[target] = entry_of(target, source.file, content)
    return Fleet(str(head.fields.get("name", "")), entries, tuple(sorted(errors)), head, sources)


def no_fleet(directory: Path, name: str) -> Fleet:
    """Return a fleet that has no files yet."""
    return Fleet(name, {}, (), Source(str(directory / HEAD), Parsed({}, {})), {})


def require_directory(directory: Path) -> None:
    """Raise `OSError` if there is no such directory."""
    if not directory.exists():
        raise FileNotFoundError(errno.ENOENT, "", str(directory))
    if not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "", str(directory))


def read_source(file: Path) -> Source:
    """Read a file. One that cannot be read has a defect."""
    try:
        content = read_regular(file)
    except FileNotFoundError:
        return Source(str(file), unreadable(1, f"does not exist{meant_file(file)}"))
    except OSError as error:
        return Source(str(file), unreadable(1, f"cannot be read: {error.strerror}"))
    return Source(str(file), parse(content, is_json=file.suffix == ".json"))


def read_regular(file: Path) -> bytes:
    """Return a regular file's content, up to one byte more than `MAX_BYTES`. Raises `OSError`, for any other file too.

    It follows no link, and never waits for a pipe: a pull request must not choose what a build reads.
    """
    if stat.S_ISLNK(mode := file.lstat().st_mode):
        raise OSError(errno.ELOOP, "it is a link")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    # Windows does not know the first two.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(file, os.O_RDONLY | flags), "rb") as opened:  # noqa: PTH123 # Path.open takes no flags
        return opened.read(MAX_BYTES + 1)


def meant_file(file: Path) -> str:
    """Return the hint at a file of a similar name."""
    meant = get_close_matches(file.name, [other.name for other in file.parent.iterdir()], n=1)
    return f" (did you mean {clean_text(meant[0])}? The name must be {file.name})" if meant else ""


def target_files(folder: Path) -> tuple[dict[str, Path], list[Remark]]:
    """Return the targets' files by name, and remarks about others. What begins with a dot and is no target is ignored."""
    found: dict[str, Path] = {}
    errors: list[Remark] = []
    if folder.is_symlink():
        return {}, [Remark(str(folder), 1, "the directory", "is a link")]
    try:
        files = sorted(folder.iterdir())
    except FileNotFoundError:
        files = []
    except OSError as error:
        return {}, [Remark(str(folder), 1, "the directory", f"cannot be read: {error.strerror}")]
    for file in files:
        name = file.name.removesuffix(file.suffix)
        is_name = TARGET_NAME.fullmatch(name)
        if file.name.startswith(".") and not (is_name and file.suffix in SUFFIXES):
            continue
        if file.suffix not in SUFFIXES:
            reason = "is not a target: a target's file is NAME.yaml or NAME.json"
        elif not is_name:
            reason = f'{clean_text(name)!r} is not a valid target name: 1 to 64 letters, digits, "_", "." or "-"'
        elif file.is_symlink():
            reason = "is a link"
        elif not file.is_file():
            reason = "is not a regular file"
        elif name == DEFAULT_TARGET:
            reason = "default is the target of the stack's own parameters: give this one another name"
        elif name in found:
            reason = f"{found[name].name} is the same target: remove one of the two"
        else:
            found[name] = file
            continue
        errors.append(Remark(f"{folder}/{clean_text(file.name)}", 1, "the file", reason))
    return found, errors


def wrong_in_head(content: object) -> Iterator[Wrong]:
    """Yield what is wrong with the content of `fleet.yaml`."""
    if not isinstance(content, dict):
        yield (), "must be an object with name and defaults"
        return
    yield from reasons(wrong_among(content, HEAD_FIELDS))
    if isinstance(defaults := content.get("defaults"), dict):
        yield from reasons(wrong_among(defaults, DEFAULT_FIELDS, ("defaults",)))
        yield from wrong_in_schedule(defaults.get("schedule"), ("defaults", "schedule"))


def wrong_in_target(content: object) -> Iterator[Wrong]:
    """Yield what is wrong with the content of a target's file, in which the fleet's defaults are filled in."""
    wrong = [*reasons(wrong_fields(content, FILE_FIELDS))]
    if isinstance(content, dict):
        wrong += wrong_in_schedule(content.get("schedule"), ("schedule",))
        wrong += [] if wrong else unstorable(content)
    yield from wrong


def wrong_in_schedule(schedule: object, path: FieldPath) -> Iterator[Wrong]:
    """Yield what is wrong with the fields of a schedule."""
    if not isinstance(schedule, dict):
        return
    wrong = list(wrong_among(schedule, SCHEDULE_FIELDS, path))
    yield from reasons(wrong)
    for name, problem_of in (("expression", expression_problem), ("timezone", timezone_problem)):
        is_text = name in schedule and (*path, name) not in [item.path for item in wrong]
        if is_text and (problem := problem_of(schedule[name])):
            yield (*path, name), problem.removesuffix(".")


def unstorable(content: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield why SSM refuses the document of a valid content."""
    if (size := len(stored_text(document_of(content)).encode())) > ADVANCED_BYTES:
        yield (), f"has {size:,} bytes as it is stored, and a parameter holds {ADVANCED_BYTES:,}: split the target"
    for path in references(content, ()):
        yield path, f"must not have {REFERENCE}: CloudFormation would put a secret there, and SSM refuses it"


def references(value: object, path: FieldPath) -> Iterator[FieldPath]:
    """Yield the paths of the texts with `{{`; of an item of a list of texts, the list's."""
    match value:
        case str() if REFERENCE in value:
            yield path
        case dict():
            for name, item in value.items():
                yield from references(item, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from references(item, (*path, index) if isinstance(item, dict) else path)


def reasons(wrong: Iterable[WrongField]) -> Iterator[Wrong]:
    """Yield wrong fields with the reasons that a remark gives."""
    for item in wrong:
        yield item.path, f"must be {item.allowed}"


def entry_of(name: str, file: str, content: Mapping[str, Any]) -> Entry:
    """Return the target of a file with valid content, in which the fleet's defaults are filled in."""
    schedule = content.get("schedule")
    return Entry(name, document_of(content), Schedule(**schedule) if schedule else None, file)


def document_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target's document as it is to be stored."""
    return {name: value for name, value in content.items() if name != "schedule"}


def stored_text(document: Mapping[str, Any]) -> str:
    """Return the text of a document as SSM stores it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
