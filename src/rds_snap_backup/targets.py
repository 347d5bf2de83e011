"""What to back up: SSM documents become `Target`s, and a trigger selects some of them.

The documents are cached for a minute (Powertools), since an event storm selects the same ones again and again.
"""

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, TypeIs

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import ALL, Request, Trigger

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

CACHE_SECONDS = 60
LEVELS = ("FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL")
TASK_TYPES = ("IMMEDIATE", "SCHEDULE")
_NAMES = ("clientName", "instanceName", "subclientName")


@dataclass(frozen=True, slots=True)
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


type TaskType = Literal["IMMEDIATE", "SCHEDULE"]


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What one CreateTask request asks for."""

    associations: tuple[Association, ...]
    backup_level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify_user_on_job_completion: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What one CreateTask request backs up. `rds_event_ids` is None where any event may start it."""

    name: str
    associations: tuple[Association, ...]
    backup_level: str = "FULL"
    task_type: TaskType = "IMMEDIATE"
    notify_user_on_job_completion: bool = True
    databases: tuple[str, ...] = ()
    rds_event_ids: tuple[str, ...] | None = None
    cool_down_minutes: int | None = None

    def accepts(self, trigger: Trigger) -> bool:
        """Tell whether this trigger may start it: `rdsEventIds` bind however the target was selected."""
        return trigger.kind != "rds" or self.rds_event_ids is None or trigger.rds_event_id in self.rds_event_ids


class Targets:
    """The target documents under one SSM path."""

    def __init__(self, path: str, client: "SSMClient") -> None:
        self._path = path if path.endswith("/") else f"{path}/"
        self._client = client
        self._parameters = SSMProvider(boto3_client=client)

    def load(self, name: str) -> Target:
        """Return the target `name`; raise `InvalidInput` when there is none or its document does not parse."""
        try:
            text = self._parameters.get(self._path + name, max_age=CACHE_SECONDS)
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

    def documents(self, *, past_cache: bool = False) -> dict[str, str]:
        """Return every target's document by its name."""
        found = self._parameters.get_multiple(self._path, max_age=CACHE_SECONDS, force_fetch=past_cache) or {}
        return {name: str(found[name]) for name in sorted(found)}

    def select(self, request: Request) -> tuple[str, ...]:
        """Return the names of the targets that a request selects."""
        match request.names:
            case ():
                return tuple(name for name, text in self.documents().items() if selects(text, request.trigger))
            case names if ALL in names:
                return tuple(self.documents())
            case names:
                return names


def selects(text: str, trigger: Trigger) -> bool:
    """Tell whether a document's `databases` and `rdsEventIds` select an RDS event.

    A document that can not be read so far might have: it is selected, so that its error is seen by somebody.
    """
    try:
        document = json.loads(text)
    except ValueError:
        return True
    if not isinstance(document, dict) or not _texts(databases := document.get("databases", [])):
        return True
    event_ids = document.get("rdsEventIds")
    if _texts(event_ids) and trigger.rds_event_id not in event_ids:
        return False
    # RDS keeps its names in lower case, whatever case somebody wrote them in.
    arn, database = (trigger.source_arn or "").lower(), trigger.database.lower()
    patterns = [pattern.lower() for pattern in databases]
    return any(fnmatchcase(arn if pattern.startswith("arn:") else database, pattern) for pattern in patterns)


def parse_target(name: str, parameter: str, text: str) -> Target:
    """Read a target document; raise `InvalidInput` naming the parameter, the field and what is allowed there."""

    def invalid(field: str, allowed: str) -> InvalidInput:
        return InvalidInput(
            "TARGET_INVALID",
            f"The target document in the SSM parameter {parameter} is not valid: {field} must be {allowed}.",
            "Correct the parameter, then redrive the dead letter.",
        )

    try:
        document = json.loads(text)
    except ValueError as error:
        raise invalid("the document", f"JSON ({error})") from None
    if not isinstance(document, dict):
        raise invalid("the document", "a JSON object")
    allowed = {
        "associations": (
            _is_associations,
            f"a list of 1 or more different objects with {', '.join(_NAMES)} (and displayName)",
        ),
        "backupLevel": (LEVELS.__contains__, f"one of {', '.join(LEVELS)}"),
        "taskType": (TASK_TYPES.__contains__, f"one of {', '.join(TASK_TYPES)}"),
        "notifyUserOnJobCompletion": (lambda value: isinstance(value, bool), "true or false"),
        "databases": (_texts, "a list of names, globs or ARN globs"),
        "rdsEventIds": (_texts, 'a list of ids like "RDS-EVENT-0043"'),
        "coolDownMinutes": (lambda value: type(value) is int and value >= 0, "a whole number, 0 or more"),
    }
    if unknown := document.keys() - allowed.keys():
        raise invalid(", ".join(sorted(unknown)), f"left out; known fields are {', '.join(allowed)}")
    for field, (is_valid, what) in allowed.items():
        if (field in document or field == "associations") and not is_valid(document.get(field)):
            raise invalid(field, what)
    event_ids = document.get("rdsEventIds")
    return Target(
        name=name,
        associations=tuple(
            Association(
                client_name=association["clientName"],
                instance_name=association["instanceName"],
                display_name=association.get("displayName") or association["clientName"],
                subclient_name=association["subclientName"],
            )
            for association in document["associations"]
        ),
        backup_level=document.get("backupLevel", "FULL"),
        task_type=document.get("taskType", "IMMEDIATE"),
        notify_user_on_job_completion=document.get("notifyUserOnJobCompletion", True),
        databases=tuple(document.get("databases", ())),
        rds_event_ids=None if event_ids is None else tuple(event_ids),
        cool_down_minutes=document.get("coolDownMinutes"),
    )


def _is_associations(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict)
            and all(isinstance(one.get(field), str) and one[field] for field in _NAMES)
            and isinstance(one.get("displayName", ""), str)
            and not one.keys() - {*_NAMES, "displayName"}
            for one in value
        )
        and len({tuple(one[field] for field in _NAMES) for one in value}) == len(value)
    )


def _texts(value: Any) -> TypeIs[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)
