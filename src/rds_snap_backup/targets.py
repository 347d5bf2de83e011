"""Targets: SSM documents that say what to back up together. They are cached for a minute."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, TypeIs

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import TARGET_NAME, Trigger, invalid_name
from rds_snap_backup.untrusted import MAX_NAME, NotJson, clean_text, is_name, read_json, whole_number

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# The codes of a trigger that names a target which is unknown or whose document is not valid.
INVALID = frozenset({"TARGET_UNKNOWN", "TARGET_INVALID", "TARGET_NAME_INVALID"})
CACHE_SECONDS = 60
# One DynamoDB transaction holds 100 items: a submission, and one for each association.
MAX_ASSOCIATIONS = 90
ACCOUNT_ID = re.compile(r"[0-9]{12}")

type TaskType = Literal["IMMEDIATE", "SCHEDULE"]
type _Field = tuple[Callable[[Any], bool], str]


class OutOfTime(Exception):
    """The documents could not be read in the time that was left."""


@dataclass(frozen=True)
class Association:
    """What one job backs up, as Commvault names it; `databases` are its own patterns, None if it has none."""

    client_name: str
    instance_name: str
    subclient_name: str
    display_name: str
    databases: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of its client, instance and subclient."""
        return self.client_name, self.instance_name, self.subclient_name

    @cached_property
    def key(self) -> str:
        """The ledger's name for it: JSON of client, instance and subclient."""
        return json.dumps([self.client_name, self.instance_name, self.subclient_name])

    def to_json(self) -> dict[str, str]:
        """Return the form of notifications and of the ledger, without `databases`."""
        return {
            "clientName": self.client_name,
            "instanceName": self.instance_name,
            "displayName": self.display_name,
            "subclientName": self.subclient_name,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read the form of `to_json` or of a valid document, which may leave out the display name."""
        databases = document.get("databases")
        return cls(
            client_name=document["clientName"],
            instance_name=document["instanceName"],
            subclient_name=document["subclientName"],
            display_name=document.get("displayName") or document["clientName"],
            databases=None if databases is None else tuple(databases),
        )


@dataclass(frozen=True)
class BackupRequest:
    """What one CreateTask request asks for."""

    associations: tuple[Association, ...]
    backup_level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify_user_on_job_completion: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the form of a target's document, with the defaults that it may leave out."""
        return {
            "associations": [association.to_json() for association in self.associations],
            "backupLevel": self.backup_level,
            "taskType": self.task_type,
            "notifyUserOnJobCompletion": self.notify_user_on_job_completion,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read the form of `to_json`, or the fields of a valid document."""
        return cls(
            associations=tuple(map(Association.from_json, document["associations"])),
            backup_level=document.get("backupLevel", "FULL"),
            task_type=document.get("taskType", "IMMEDIATE"),
            notify_user_on_job_completion=document.get("notifyUserOnJobCompletion", True),
        )


@dataclass(frozen=True)
class Target:
    """A target document. Without `rds_event_ids` every event ID counts; other fields that are None: the stack's setting."""

    name: str
    request: BackupRequest
    databases: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    rds_event_ids: tuple[str, ...] | None = None
    allow_tag: bool = True
    cool_down_minutes: int | None = None
    retry_failed_jobs: int | None = None
    max_age_hours: int | None = None
    enabled: bool = True
    fleet: str | None = None

    def declines(self, trigger: Trigger) -> str | None:
        """Return why this trigger must not start the target, or None."""
        if not self.enabled:
            return f'The target {self.name!r} is disabled ("enabled": false in its document).'
        if trigger.kind == "rds" and self.rds_event_ids is not None and trigger.rds_event_id not in self.rds_event_ids:
            return (
                f"The target {self.name!r} does not list {clean_text(trigger.rds_event_id or '')!r} in its rdsEventIds."
            )
        return None


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
        """Return the target `name`. Raises `InvalidInput` if there is none, or its document does not parse."""
        if not TARGET_NAME.fullmatch(name):
            raise invalid_name(name)
        read_at, text = self._read.get(name, (None, ""))
        if past_cache or not _is_fresh(read_at):
            try:
                text = self._client.get_parameter(Name=self.parameter(name))["Parameter"]["Value"]
            except self._client.exceptions.ParameterNotFound:
                self._read.pop(name, None)
                raise InvalidInput(
                    "TARGET_UNKNOWN",
                    f"There is no target {name!r}: the SSM parameter {self.parameter(name)} does not exist.",
                    "Create the parameter or correct the name, then redrive the dead letter.",
                ) from None
            self._read[name] = (time.monotonic(), text)
        return parse_target(name, self.parameter(name), text)

    def documents(self, *, past_cache: bool = False, seconds_left: Callable[[], float] | None = None) -> dict[str, str]:
        """Return the text of every target's document by its name.

        Raises `OutOfTime` if `seconds_left` says that no time is left before all are read (ten to a call).
        """
        if past_cache or not _is_fresh(self._listed_at):
            found: dict[str, tuple[float, str]] = {}
            begun = time.monotonic()
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


def _is_fresh(read_at: float | None) -> bool:
    return read_at is not None and time.monotonic() < read_at + CACHE_SECONDS


def parse_target(name: str, parameter: str, text: str) -> Target:
    """Read a target document. Raises `InvalidInput` naming the parameter, the field and its allowed values."""

    def invalid(field: str, allowed: str) -> InvalidInput:
        return InvalidInput(
            "TARGET_INVALID",
            f"The target document in the SSM parameter {parameter} is not valid: {field} must be {allowed}.",
            "Correct the parameter, then redrive the dead letter.",
        )

    try:
        document = read_json(text)
    except NotJson as error:
        raise invalid("the document", f"JSON ({error})") from None
    if not isinstance(document, dict):
        raise invalid("the document", "a JSON object")
    if wrong := _wrong_field(document, _FIELDS, ("associations",)):
        raise invalid(*wrong)
    for number, association in enumerate(document["associations"], 1):
        if wrong := _wrong_field(association, _ASSOCIATION_FIELDS, _NAMES):
            raise invalid(f"{wrong[0]} of association {number}", wrong[1])
    request = BackupRequest.from_json(document)
    if len({item.key for item in request.associations}) < len(request.associations):
        raise invalid("associations", f"different in {', '.join(_NAMES)}")
    event_ids = document.get("rdsEventIds")
    return Target(
        name=name,
        request=request,
        databases=tuple(document.get("databases", ())),
        accounts=tuple(document.get("accounts", ())),
        rds_event_ids=None if event_ids is None else tuple(event_ids),
        allow_tag=document.get("allowTag", True),
        cool_down_minutes=document.get("coolDownMinutes"),
        retry_failed_jobs=document.get("retryFailedJobs"),
        max_age_hours=document.get("maxAgeHours"),
        enabled=document.get("enabled", True),
        fleet=document.get("fleet"),
    )


def is_texts(value: object) -> TypeIs[list[str]]:
    """Tell whether this is a list of texts that can stand in a message as they are."""
    return isinstance(value, list) and all(map(is_name, value))


def is_accounts(value: object) -> TypeIs[list[str]]:
    """Tell whether this is a list of one or more AWS account IDs."""
    return is_texts(value) and bool(value) and all(ACCOUNT_ID.fullmatch(item) for item in value)


def _wrong_field(
    document: Mapping[str, Any], fields: Mapping[str, _Field], required: tuple[str, ...]
) -> tuple[str, str] | None:
    """Return the first field that is not valid and what it must be, or None."""
    for name in sorted(document.keys() - fields.keys()):
        meant = get_close_matches(name, fields, n=1)
        hint = f"did you mean {meant[0]}?" if meant else f"known fields are {', '.join(fields)}"
        return clean_text(name), f"left out ({hint})"
    for name, (is_valid, allowed) in fields.items():
        if (name in document or name in required) and not is_valid(document.get(name)):
            return name, allowed
    return None


def _one_of(*allowed: str) -> _Field:
    return allowed.__contains__, f"one of {', '.join(allowed)}"


def _number(least: int, most: int) -> _Field:
    def is_valid(value: object) -> bool:
        return isinstance(value, int) and whole_number(value, least, most) is not None

    return is_valid, f"a whole number, {least} to {most}"


_NAMES = ("clientName", "instanceName", "subclientName")
_NAME: _Field = is_name, f"a text of 1 to {MAX_NAME} printable characters"
_BOOLEAN: _Field = (lambda value: isinstance(value, bool)), "true or false"
_DATABASES: _Field = is_texts, "a list of names, globs or ARN globs"
_ASSOCIATION_FIELDS: dict[str, _Field] = {
    **dict.fromkeys(_NAMES, _NAME),
    "displayName": ((lambda value: value == "" or is_name(value)), _NAME[1]),
    "databases": _DATABASES,
}
_FIELDS: dict[str, _Field] = {
    "associations": (
        lambda value: (
            isinstance(value, list)
            and 0 < len(value) <= MAX_ASSOCIATIONS
            and all(isinstance(item, dict) for item in value)
        ),
        f"a list of 1 to {MAX_ASSOCIATIONS} objects with {', '.join(_NAMES)}",
    ),
    "backupLevel": _one_of("FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL"),
    "taskType": _one_of("IMMEDIATE", "SCHEDULE"),
    "notifyUserOnJobCompletion": _BOOLEAN,
    "databases": _DATABASES,
    "accounts": (is_accounts, "a list of 1 or more account IDs of 12 digits"),
    "rdsEventIds": (is_texts, 'a list of IDs like "RDS-EVENT-0043"'),
    "allowTag": _BOOLEAN,
    "coolDownMinutes": _number(0, 1440),
    "retryFailedJobs": _number(0, 5),
    "maxAgeHours": _number(1, 8784),
    "enabled": _BOOLEAN,
    "fleet": (
        lambda value: isinstance(value, str) and TARGET_NAME.fullmatch(value) is not None,
        'a text of 1 to 64 letters, digits, "_", "." or "-"',
    ),
}
