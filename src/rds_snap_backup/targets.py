"""Targets: SSM documents that say what to back up together. They are cached for a minute."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeIs, get_args

from rds_snap_backup.fields import (
    BOOLEAN,
    NAME,
    Field,
    WrongField,
    field_name,
    fields_of,
    number,
    one_of,
    read,
    wrong_among,
)
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import TARGET_NAME, Trigger, invalid_name
from rds_snap_backup.untrusted import NotJson, clean_text, is_name, list_in, read_json

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# The codes of a trigger that names a target which is unknown or whose document is not valid.
INVALID = frozenset({"TARGET_UNKNOWN", "TARGET_INVALID", "TARGET_NAME_INVALID"})
CACHE_SECONDS = 60
# One DynamoDB transaction holds 100 items: a submission, and one for each association.
MAX_ASSOCIATIONS = 90
# DynamoDB takes keys of 2,048 bytes, with what stands before the names.
MAX_KEY_BYTES = 2000
ACCOUNT_ID = re.compile(r"[0-9]{12}")

type TaskType = Literal["IMMEDIATE", "SCHEDULE"]
type Texts = tuple[str, ...]


class OutOfTime(Exception):
    """The documents cannot be read now: no time is left, or SSM takes no more reads."""


# ---- The fields of a document: parser, JSON Schema and reference follow from these types


def is_texts(value: object) -> TypeIs[list[str]]:
    """Tell whether this is a list of texts that can stand in a message as they are."""
    return isinstance(value, list) and all(map(is_name, value))


def is_accounts(value: object) -> TypeIs[list[str]]:
    """Tell whether this is a list of one or more AWS account IDs."""
    return is_texts(value) and bool(value) and all(ACCOUNT_ID.fullmatch(item) for item in value)


NAMES = ("clientName", "instanceName", "subclientName")
LEVELS = one_of("FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL")
TASK_TYPES = one_of(*get_args(TaskType.__value__))
TEXTS = {"type": "array", "items": NAME.schema}
DATABASES = Field(is_texts, "a list of names, globs or ARN globs", TEXTS)
EVENT_IDS = Field(is_texts, 'a list of IDs like "RDS-EVENT-0043"', TEXTS)
ACCOUNTS = Field(
    is_accounts,
    "a list of 1 or more account IDs of 12 digits, in quotes",
    {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[0-9]{12}$", "maxLength": 12}},
)
DISPLAY_NAME = replace(
    NAME, is_valid=lambda value: value == "" or is_name(value), schema={**NAME.schema, "minLength": 0}
)
ASSOCIATIONS = Field(
    lambda value: (
        isinstance(value, list) and 0 < len(value) <= MAX_ASSOCIATIONS and all(isinstance(item, dict) for item in value)
    ),
    f"a list of 1 to {MAX_ASSOCIATIONS} objects with {', '.join(NAMES)}",
    {"type": "array", "minItems": 1, "maxItems": MAX_ASSOCIATIONS},
)


def _key_of(names: tuple[str, ...]) -> str:
    return json.dumps(names, ensure_ascii=False)


@dataclass(frozen=True)
class Association:
    """What one job backs up, as Commvault names it; `databases` are its own patterns, None if it has none."""

    client_name: Annotated[str, NAME.means("the client, as Commvault names it")]
    instance_name: Annotated[str, NAME.means("the instance, as Commvault names it")]
    subclient_name: Annotated[str, NAME.means("the subclient, as Commvault names it")]
    display_name: Annotated[str, DISPLAY_NAME.means("the client's display name", "`clientName`")]
    databases: Annotated[Texts | None, DATABASES.means("the databases whose events start it", "the target's")] = None

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of its client, instance and subclient."""
        return self.client_name, self.instance_name, self.subclient_name

    @cached_property
    def key(self) -> str:
        """The ledger's name for it: JSON of client, instance and subclient."""
        return _key_of(self.names)

    def to_json(self) -> dict[str, str]:
        """Return the form of notifications and of the ledger, without `databases`."""
        return {**dict(zip(NAMES, self.names, strict=True)), "displayName": self.display_name}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read the form of `to_json` or of a valid document, which may leave out the display name."""
        return read(cls, document, display_name=document.get("displayName") or document["clientName"])


@dataclass(frozen=True)
class BackupRequest:
    """What one CreateTask request asks for."""

    associations: Annotated[tuple[Association, ...], ASSOCIATIONS.means("the instance groups, 25 or fewer at best")]
    backup_level: Annotated[str, LEVELS.means("the level of the backups")] = "FULL"
    task_type: Annotated[
        TaskType, TASK_TYPES.means("`SCHEDULE`: Commvault starts the jobs later, and nothing follows them")
    ] = "IMMEDIATE"
    notify_user_on_job_completion: Annotated[bool, BOOLEAN.means("whether Commvault notifies its own user, too")] = True


@dataclass(frozen=True)
class Target:
    """A target document. Without `rds_event_ids` every event ID counts; other fields that are None: the stack's setting."""

    name: str
    request: BackupRequest
    databases: Annotated[Texts, DATABASES.means("the databases whose events start a backup")] = ()
    accounts: Annotated[Texts, ACCOUNTS.means("the accounts in which names and tags count", "the stack's own")] = ()
    rds_event_ids: Annotated[Texts | None, EVENT_IDS.means("the only event IDs that start a backup", "any")] = None
    allow_tag: Annotated[bool, BOOLEAN.means("whether the tag `rds-snap-backup:target` can select it")] = True
    gather_minutes: Annotated[
        int | None,
        number(0, 1440).means("minutes that an RDS event waits for others", "the stack's `GatherMinutes`"),
    ] = None
    retry_failed_jobs: Annotated[
        int | None, number(0, 5).means("how often a failed job is started again", "the stack's `RetryFailedJobs`")
    ] = None
    max_age_hours: Annotated[
        int | None,
        number(1, 8784).means(
            "the age in hours at which the audit finds a backup stale", "the stack's `BackupMaxAgeHours`"
        ),
    ] = None
    enabled: Annotated[bool, BOOLEAN.means("`false`: its triggers are ignored, logged and counted")] = True

    def declines(self, trigger: Trigger) -> str | None:
        """Return why this trigger must not start the target, or None."""
        if not self.enabled:
            return f'The target {self.name!r} is disabled ("enabled": false in its document).'
        if trigger.kind == "rds" and self.rds_event_ids is not None and trigger.rds_event_id not in self.rds_event_ids:
            return (
                f"The target {self.name!r} does not list {clean_text(trigger.rds_event_id or '')!r} in its rdsEventIds."
            )
        return None


ASSOCIATION_FIELDS = fields_of(Association)
FIELDS = fields_of(BackupRequest) | fields_of(Target)


def wrong_fields(document: object, fields: Mapping[str, Field] | None = None) -> Iterator[WrongField]:
    """Yield every wrong field of a target's document; none if it is valid. `fields` are those it may have: `FIELDS`."""
    if not isinstance(document, dict):
        yield WrongField((), "a JSON object")
        return
    yield from wrong_among(document, fields or FIELDS)
    first: dict[tuple[str, ...], int] = {}
    for index, association in enumerate(list_in(document, "associations")):
        if not isinstance(association, dict):
            continue
        path = ("associations", index)
        wrong = list(wrong_among(association, ASSOCIATION_FIELDS, path))
        yield from wrong
        if wrong:
            continue
        names = tuple(association[name] for name in NAMES)
        if len(_key_of(names).encode()) > MAX_KEY_BYTES:
            yield WrongField(path, f"shorter: {', '.join(NAMES)} have at most {MAX_KEY_BYTES:,} bytes together")
        if (owner := first.setdefault(names, index)) != index:
            yield WrongField(path, f"different from {field_name(('associations', owner))} in {', '.join(NAMES)}")


def parse_target(name: str, parameter: str, text: str) -> Target:
    """Read a target document. Raises `InvalidInput` naming the parameter, the first wrong field and its allowed values."""

    def invalid(wrong: WrongField) -> InvalidInput:
        return InvalidInput(
            "TARGET_INVALID",
            f"The target document in the SSM parameter {parameter} is not valid: {wrong}.",
            "Correct the parameter, then redrive the dead letter.",
        )

    try:
        document = read_json(text)
    except NotJson as error:
        raise invalid(WrongField((), f"JSON ({error})")) from None
    for wrong in wrong_fields(document):
        raise invalid(wrong)
    associations = tuple(map(Association.from_json, document["associations"]))
    return read(Target, document, name=name, request=read(BackupRequest, document, associations=associations))


# ---- Documents in SSM


@dataclass(frozen=True)
class Document:
    """A target's document as it is stored; `changed_at` is the time of its last change in Unix seconds."""

    text: str
    changed_at: float


class Targets:
    """The target documents under one SSM path."""

    def __init__(self, path: str, client: "SSMClient") -> None:
        self._path = path if path.endswith("/") else f"{path}/"
        self._client = client
        self._read: dict[str, tuple[float, str]] = {}  # When it was read, and what.
        self._listed_at: float | None = None

    def parameter(self, name: str) -> str:
        """Return the name of the SSM parameter that holds a target."""
        return self._path + name

    def load(self, name: str, *, past_cache: bool = False) -> Target:
        """Return the target `name`.

        Raises `InvalidInput` if there is none or its document does not parse, `OutOfTime` if SSM takes no more reads.
        """
        if not TARGET_NAME.fullmatch(name):
            raise invalid_name(name)
        text = self._text(name, past_cache=past_cache)
        if text is None:
            raise InvalidInput(
                "TARGET_UNKNOWN",
                f"There is no target {name!r}: the SSM parameter {self.parameter(name)} does not exist.",
                "Create the parameter or correct the name, then redrive the dead letter.",
            )
        return parse_target(name, self.parameter(name), text)

    def named(
        self, names: Iterable[str], *, past_cache: bool = False, seconds_left: Callable[[], float] | None = None
    ) -> dict[str, str]:
        """Return the text of the documents of these targets by name, without names that no target has.

        Raises `OutOfTime` as `documents` does (one to a call).
        """
        found: dict[str, str] = {}
        for name in sorted(filter(TARGET_NAME.fullmatch, names)):
            if seconds_left is not None and seconds_left() <= 0:
                raise OutOfTime(f"{len(found)} target documents were read in time, more are left.")
            text = self._text(name, past_cache=past_cache)
            if text is not None:
                found[name] = text
        return found

    def documents(self, *, past_cache: bool = False, seconds_left: Callable[[], float] | None = None) -> dict[str, str]:
        """Return the text of every target's document by its name.

        Raises `OutOfTime` if `seconds_left` says that no time is left before all are read (ten to a call).
        """
        if past_cache or not _is_fresh(self._listed_at):
            found: dict[str, tuple[float, str]] = {}
            begun = time.monotonic()
            with self._unthrottled():
                for name, document in self.stored():
                    if seconds_left is not None and seconds_left() <= 0:
                        raise OutOfTime(f"{len(found)} target documents were read in time, more are left.")
                    found[name] = (begun, document.text)
            self._read, self._listed_at = found, begun
        return {name: text for name, (_, text) in sorted(self._read.items())}

    def stored(self) -> Iterator[tuple[str, Document]]:
        """Yield every target's name and document, as it is now, page by page."""
        for page in self._client.get_paginator("get_parameters_by_path").paginate(Path=self._path):
            for row in page["Parameters"]:
                document = Document(row["Value"], row["LastModifiedDate"].timestamp())
                yield row["Name"].removeprefix(self._path), document

    def _text(self, name: str, *, past_cache: bool) -> str | None:
        read_at, text = self._read.get(name, (None, ""))
        if past_cache or not _is_fresh(read_at):
            try:
                with self._unthrottled():
                    text = self._client.get_parameter(Name=self.parameter(name))["Parameter"]["Value"]
            except self._client.exceptions.ParameterNotFound:
                self._read.pop(name, None)
                return None
            self._read[name] = (time.monotonic(), text)
        return text

    @contextmanager
    def _unthrottled(self) -> Iterator[None]:
        """Raise `OutOfTime` where SSM throttles: hundreds of schedules that are due at one time exceed 40 reads a second."""
        try:
            yield
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "ThrottlingException":
                raise OutOfTime("SSM takes no more reads now.") from error
            raise


def _is_fresh(read_at: float | None) -> bool:
    return read_at is not None and time.monotonic() < read_at + CACHE_SECONDS
