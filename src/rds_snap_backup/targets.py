"""What to back up: SSM documents become `Target`s, and a trigger selects some of them.

The documents are cached for a minute (Powertools), since an event storm selects the same ones again and again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.selection import Rules, is_texts
from rds_snap_backup.triggers import ALL, TARGET_NAME, Request, Trigger, invalid_name
from rds_snap_backup.untrusted import MAX_NAME, NotJson, clean_text, is_name, read_json, whole_number

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# The codes of a trigger that names a target which is unknown or whose document is not valid.
INVALID = frozenset({"TARGET_UNKNOWN", "TARGET_INVALID", "TARGET_NAME_INVALID"})
CACHE_SECONDS = 60
MAX_COOL_DOWN_MINUTES = 1440
MAX_AGE_HOURS = 8784
LEVELS = ("FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL")
TASK_TYPES = ("IMMEDIATE", "SCHEDULE")
_NAMES = ("clientName", "instanceName", "subclientName")


@dataclass(frozen=True)
class Association:
    """One subclient, by the names that Commvault knows it by."""

    client_name: str
    instance_name: str
    display_name: str
    subclient_name: str

    @property
    def key(self) -> str:
        """What the ledger knows it by."""
        return json.dumps([self.client_name, self.instance_name, self.subclient_name])

    def to_json(self) -> dict[str, str]:
        """Return the notification's form of it."""
        return {
            "clientName": self.client_name,
            "instanceName": self.instance_name,
            "displayName": self.display_name,
            "subclientName": self.subclient_name,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, str]) -> Self:
        """Read a document's form of it, where the display name may be left out."""
        return cls(
            client_name=document["clientName"],
            instance_name=document["instanceName"],
            display_name=document.get("displayName") or document["clientName"],
            subclient_name=document["subclientName"],
        )


type TaskType = Literal["IMMEDIATE", "SCHEDULE"]


@dataclass(frozen=True)
class BackupRequest:
    """What one CreateTask request asks for."""

    associations: tuple[Association, ...]
    backup_level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify_user_on_job_completion: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the form in which the ledger keeps it."""
        return {
            "associations": [association.to_json() for association in self.associations],
            "backupLevel": self.backup_level,
            "taskType": self.task_type,
            "notifyUserOnJobCompletion": self.notify_user_on_job_completion,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read `to_json`'s object, or the fields of a target document that is valid."""
        return cls(
            associations=tuple(map(Association.from_json, document["associations"])),
            backup_level=document.get("backupLevel", "FULL"),
            task_type=document.get("taskType", "IMMEDIATE"),
            notify_user_on_job_completion=document.get("notifyUserOnJobCompletion", True),
        )


@dataclass(frozen=True)
class Target:
    """A target document. `rds_event_ids` is None where any event may start it; None elsewhere: the stack's setting."""

    name: str
    request: BackupRequest
    databases: tuple[str, ...] = ()
    rds_event_ids: tuple[str, ...] | None = None
    allow_tag: bool = True
    cool_down_minutes: int | None = None
    max_age_hours: int | None = None
    enabled: bool = True

    def declines(self, trigger: Trigger) -> str | None:
        """Return why this trigger must not start it, or None: `rdsEventIds` bind however the target was selected."""
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
        self._parameters = SSMProvider(boto3_client=client)

    def load(self, name: str, *, past_cache: bool = False) -> Target:
        """Return the target `name`; raise `InvalidInput` when there is none or its document does not parse."""
        if not TARGET_NAME.fullmatch(name):
            raise invalid_name(name)
        try:
            text = self._parameters.get(self._path + name, max_age=CACHE_SECONDS, force_fetch=past_cache)
        except GetParameterError as error:
            # Powertools wraps what the SDK raised; only "no such parameter" is the sender's mistake.
            if not isinstance(error.__context__, self._client.exceptions.ParameterNotFound):
                raise
            raise InvalidInput(
                "TARGET_UNKNOWN",
                f"There is no target {name!r}: the SSM parameter {self._path}{name} does not exist.",
                "Create the parameter or correct the name, then redrive the dead letter.",
            ) from None
        return parse_target(name, self._path + name, str(text))

    def parameter(self, name: str) -> str:
        """Return the name of the SSM parameter that holds a target."""
        return self._path + name

    def stored(self) -> Iterator[tuple[str, Document]]:
        """Yield every target's name and document, as it is now, page by page."""
        for page in self._client.get_paginator("get_parameters_by_path").paginate(Path=self._path):
            for row in page["Parameters"]:
                document = Document(row["Value"], row["LastModifiedDate"].timestamp())
                yield row["Name"].removeprefix(self._path), document

    def documents(self, *, past_cache: bool = False) -> dict[str, str]:
        """Return the text of every target's document by its name."""
        found = self._parameters.get_multiple(self._path, max_age=CACHE_SECONDS, force_fetch=past_cache) or {}
        return {name: str(found[name]) for name in sorted(found)}

    def select(self, request: Request) -> tuple[str, ...]:
        """Return the names of the targets that a request selects; those that it names need not exist."""
        match request:
            case Request(names=names) if ALL in names:
                return tuple(self.documents())
            case Request(names=(_, *_) as names):
                return names
        documents = self.documents()
        if not set(request.tagged) <= documents.keys() | {ALL}:
            documents = self.documents(past_cache=True)  # A tag may name a target that is less than a minute old.
        selected = Rules.read(documents).select(request.trigger, request.tagged)
        return (*selected.names, *selected.unknown)


@lru_cache(maxsize=16)  # A warm sandbox meets the same text again and again.
def parse_target(name: str, parameter: str, text: str) -> Target:
    """Read a target document; raise `InvalidInput` naming the parameter, the field and what is allowed there."""

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
    allowed = {
        "associations": (
            _is_associations,
            f"a list of 1 or more different objects with {', '.join(_NAMES)} (and displayName) of at most {MAX_NAME} characters",
        ),
        "backupLevel": (LEVELS.__contains__, f"one of {', '.join(LEVELS)}"),
        "taskType": (TASK_TYPES.__contains__, f"one of {', '.join(TASK_TYPES)}"),
        "notifyUserOnJobCompletion": (lambda value: isinstance(value, bool), "true or false"),
        "databases": (is_texts, "a list of names, globs or ARN globs"),
        "rdsEventIds": (is_texts, 'a list of ids like "RDS-EVENT-0043"'),
        "allowTag": (lambda value: isinstance(value, bool), "true or false"),
        "coolDownMinutes": (_is_number(0, MAX_COOL_DOWN_MINUTES), f"a whole number, 0 to {MAX_COOL_DOWN_MINUTES}"),
        "maxAgeHours": (_is_number(1, MAX_AGE_HOURS), f"a whole number, 1 to {MAX_AGE_HOURS}"),
        "enabled": (lambda value: isinstance(value, bool), "true or false"),
    }
    if unknown := document.keys() - allowed.keys():
        raise invalid(clean_text(", ".join(sorted(unknown))), f"left out; known fields are {', '.join(allowed)}")
    for field, (is_valid, what) in allowed.items():
        if (field in document or field == "associations") and not is_valid(document.get(field)):
            raise invalid(field, what)
    event_ids = document.get("rdsEventIds")
    return Target(
        name=name,
        request=BackupRequest.from_json(document),
        databases=tuple(document.get("databases", ())),
        rds_event_ids=None if event_ids is None else tuple(event_ids),
        allow_tag=document.get("allowTag", True),
        cool_down_minutes=document.get("coolDownMinutes"),
        max_age_hours=document.get("maxAgeHours"),
        enabled=document.get("enabled", True),
    )


def _is_number(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and whole_number(value, least, most) is not None


def _is_associations(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict)
            and all(is_name(one.get(field)) for field in _NAMES)
            and (one.get("displayName", "") == "" or is_name(one["displayName"]))
            and not one.keys() - {*_NAMES, "displayName"}
            for one in value
        )
        and len({tuple(one[field] for field in _NAMES) for one in value}) == len(value)
    )
