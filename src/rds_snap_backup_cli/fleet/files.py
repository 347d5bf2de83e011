"""A fleet's directory: `fleet.yaml` and `targets/NAME.yaml`, read and checked without AWS."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from rds_snap_backup.targets import FIELDS, NAMES, Field, FieldPath, WrongField, field_name, wrong_among, wrong_fields
from rds_snap_backup.triggers import TARGET_NAME
from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.expressions import expression_problem, skipped_day, timezone_problem
from rds_snap_backup_cli.fleet.documents import Parsed, parse, unreadable

HEAD = "fleet.yaml"
TARGETS = "targets"
SUFFIXES = (".yaml", ".json")
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
# SSM refuses a value with it: it is how documents of SSM refer to a parameter.
REFERENCE = "{{"
# The size that `inventory --write` makes; larger groups are a warning.
GROUP = 25
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
MAX_EXPRESSION, MAX_TIMEZONE = 256, 50

type Wrong = tuple[FieldPath, str]


def _text(most: int, allowed: str) -> Field:
    schema = {"type": "string", "minLength": 1, "maxLength": most}
    return Field(lambda value: isinstance(value, str) and 0 < len(value) <= most, allowed, schema)


def _object(allowed: str) -> Field:
    return Field(lambda value: value is None or isinstance(value, dict), allowed, {"type": ["object", "null"]})


SCHEDULE_FIELDS: Mapping[str, Field] = {
    "expression": _text(MAX_EXPRESSION, f"cron(…), rate(…) or at(…), in at most {MAX_EXPRESSION} characters"),
    "timezone": _text(MAX_TIMEZONE, f"a time zone such as Europe/Berlin, in at most {MAX_TIMEZONE} characters"),
}
# What a target's file holds: its document and its schedule.
FILE_FIELDS: Mapping[str, Field] = {**FIELDS, "schedule": _object("an object with expression and timezone, or null")}
HEAD_FIELDS: Mapping[str, Field] = {"name": FIELDS["fleet"], "defaults": _object("an object")}
DEFAULT_FIELDS = {name: field for name, field in FILE_FIELDS.items() if name not in {"associations", "fleet"}}


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
    """A directory's valid targets by name. Nothing may be written while there are errors."""

    name: str
    entries: Mapping[str, Entry]
    errors: tuple[Remark, ...]
    warnings: tuple[Remark, ...]


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
    """Return the fleet of a directory, with everything that is wrong with its files."""
    if not directory.is_dir():
        return Fleet("", {}, (Remark(str(directory), 1, "the directory", "does not exist"),), ())
    head = read_source(directory / HEAD)
    name, defaults = head.fields.get("name"), head.fields.get("defaults")
    fleet = str(name) if HEAD_FIELDS["name"].is_valid(name) else ""
    files, errors = target_files(directory / TARGETS)
    errors += head.errors(wrong_in_head(head.parsed.value))
    sources = {target: read_source(file) for target, file in files.items()}
    entries: dict[str, Entry] = {}
    for target, source in sources.items():
        content = source.parsed.value
        if isinstance(content, dict) and isinstance(defaults, dict):
            content = defaults | content
        wrong = list(wrong_in_target(content, fleet))
        errors += source.errors(item for item in wrong if not source.leaves_to(defaults, item[0]))
        if not wrong and not source.parsed.defects:
            entries[target] = entry_of(target, source.file, content, fleet)
    warnings = {warning for entry in entries.values() for warning in warnings_of(entry, sources[entry.name], head)}
    warnings |= set(overlaps(entries.values(), sources))
    if not files:
        warnings.add(Remark(str(directory / TARGETS), 1, "the directory", "has no target: add NAME.yaml for each"))
    return Fleet(fleet, entries, tuple(sorted(errors)), tuple(sorted(warnings)))


def read_source(file: Path) -> Source:
    """Read a file. One that cannot be read has a defect."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Source(str(file), unreadable(1, f"does not exist{meant_file(file)}"))
    except OSError as error:
        return Source(str(file), unreadable(1, f"cannot be read: {error.strerror}"))
    return Source(str(file), parse(content, is_json=file.suffix == ".json"))


def meant_file(file: Path) -> str:
    """Return the hint at a file of a similar name."""
    meant = get_close_matches(file.name, [other.name for other in file.parent.iterdir()], n=1)
    return f" (did you mean {clean_text(meant[0])}? The name must be {file.name})" if meant else ""


def target_files(folder: Path) -> tuple[dict[str, Path], list[Remark]]:
    """Return the targets' files by name, and remarks about others. What begins with a dot and is no target is ignored."""
    found: dict[str, Path] = {}
    errors: list[Remark] = []
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
        elif not file.is_file():
            reason = "is not a file"
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
    yield from reasons(wrong_among(content, HEAD_FIELDS, ("name",)))
    if isinstance(defaults := content.get("defaults"), dict):
        yield from reasons(wrong_among(defaults, DEFAULT_FIELDS, (), ("defaults",)))
        yield from wrong_in_schedule(defaults.get("schedule"), ("defaults", "schedule"))


def wrong_in_target(content: object, fleet: str) -> Iterator[Wrong]:
    """Yield what is wrong with the content of a target's file, in which the fleet's defaults are filled in."""
    wrong = [*reasons(wrong_fields(content, FILE_FIELDS))]
    if isinstance(content, dict):
        wrong += wrong_in_schedule(content.get("schedule"), ("schedule",))
        if fleet and content.get("fleet", fleet) != fleet:
            wrong.append((("fleet",), f"must be {fleet}, the fleet's name, or left out"))
        wrong += [] if wrong else unstorable(document_of(content, fleet))
    yield from wrong


def wrong_in_schedule(schedule: object, path: FieldPath) -> Iterator[Wrong]:
    """Yield what is wrong with the fields of a schedule."""
    if not isinstance(schedule, dict):
        return
    wrong = list(wrong_among(schedule, SCHEDULE_FIELDS, ("expression",), path))
    yield from reasons(wrong)
    for name, problem_of in (("expression", expression_problem), ("timezone", timezone_problem)):
        is_text = name in schedule and (*path, name) not in [item.path for item in wrong]
        if is_text and (problem := problem_of(schedule[name])):
            yield (*path, name), problem.removesuffix(".")


def unstorable(document: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield why SSM refuses a document."""
    text = stored_text(document)
    if (size := len(text.encode())) > ADVANCED_BYTES:
        yield (), f"has {size:,} bytes as it is stored, and a parameter holds {ADVANCED_BYTES:,}: split the target"
    if REFERENCE in text:
        yield (), f"has {REFERENCE}, which no parameter may hold"


def reasons(wrong: Iterable[WrongField]) -> Iterator[Wrong]:
    """Yield wrong fields with the reasons that a remark gives."""
    for item in wrong:
        yield item.path, f"must be {item.allowed}"


def entry_of(name: str, file: str, content: Mapping[str, Any], fleet: str) -> Entry:
    """Return the target of a file with valid content, in which the fleet's defaults are filled in."""
    schedule = content.get("schedule")
    return Entry(name, document_of(content, fleet), Schedule(**schedule) if schedule else None, file)


def document_of(content: Mapping[str, Any], fleet: str) -> dict[str, Any]:
    """Return a target's document as it is to be stored."""
    return {name: value for name, value in content.items() if name != "schedule"} | ({"fleet": fleet} if fleet else {})


def stored_text(document: Mapping[str, Any]) -> str:
    """Return the text of a document as SSM stores it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


# ---- What is valid and probably not meant


def warnings_of(entry: Entry, source: Source, head: Source) -> Iterator[Remark]:
    """Yield the warnings about one target."""
    associations = entry.document["associations"]
    if len(associations) > GROUP:
        reason = (
            f"has {len(associations)} associations, and one request starts them all: use groups of {GROUP} or fewer"
        )
        yield source.remark(("associations",), reason)
    sharing = sum("databases" not in association for association in associations)
    if entry.document.get("databases") and sharing > 1:
        reason = f"an event of one of them backs up {sharing} associations: give each association its own databases"
        yield source.remark(("databases",), reason)
    if entry.schedule and (day := skipped_day_of(entry.schedule)):
        reason = f"daylight saving skips this time on {day}, and Scheduler does not run then: use 03:00 or later"
        is_own = "schedule" in source.fields
        path = ("schedule", "expression")
        yield source.remark(path, reason) if is_own else head.remark(("defaults", *path), reason)


@cache
def skipped_day_of(schedule: Schedule) -> date | None:
    """Return the first day of a year on which daylight saving skips a time of a schedule."""
    return skipped_day(schedule.expression, schedule.timezone)


def overlaps(entries: Iterable[Entry], sources: Mapping[str, Source]) -> Iterator[Remark]:
    """Yield a warning for each scheduled target that repeats associations of another one."""
    first: dict[tuple[str, ...], str] = {}
    for entry in entries:
        if not entry.schedule or not entry.document.get("enabled", True):
            continue
        repeated: dict[str, list[int]] = {}
        for index, association in enumerate(entry.document["associations"]):
            owner = first.setdefault(tuple(association[name] for name in NAMES), entry.name)
            if owner != entry.name:
                repeated.setdefault(owner, []).append(index)
        for owner, indexes in repeated.items():
            more = f", and {len(indexes) - 1} more," if len(indexes) > 1 else ""
            reason = f"the scheduled target {owner} has it{more} too: each is backed up twice"
            yield sources[entry.name].remark(("associations", indexes[0]), reason)
