"""JSON Schemas of a fleet's files for editors, made from the definition by which they are read."""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any

from rds_snap_backup.targets import ASSOCIATION_FIELDS, NAMES, Field
from rds_snap_backup_cli.fleet.files import DEFAULT_FIELDS, FILE_FIELDS, HEAD_FIELDS, SCHEDULE_FIELDS

# The draft that editors support best.
DRAFT = "http://json-schema.org/draft-07/schema#"
UNSAID = (
    "`validate` also checks what no schema can say: that each association stands once, characters that cannot be printed, "
    "the size of the document as it is stored, {{, the syntax of schedules, and time zones."
)
MEANINGS = {
    "associations": "The subclients to back up together. Groups of 25 or fewer are best",
    "clientName": "The client, as Commvault names it",
    "instanceName": "The instance, as Commvault names it",
    "subclientName": "The subclient, as Commvault names it",
    "displayName": "The client's display name. Default: clientName",
    "backupLevel": "The level of the backups. Default: FULL",
    "taskType": "SCHEDULE lets Commvault start the jobs later, and nothing follows them. Default: IMMEDIATE",
    "notifyUserOnJobCompletion": "Whether Commvault notifies its own user, too. Default: true",
    "databases": "The databases whose events start a backup",
    "accounts": "The accounts in which names and tags count. Default: the stack's own",
    "rdsEventIds": "The only event IDs that start a backup. Default: any",
    "allowTag": "Whether the tag rds-snap-backup:target of a database can select the target. Default: true",
    "gatherMinutes": "How long an RDS event waits for others before its first attempt. Default: the stack's setting",
    "retryFailedJobs": "How often a failed job is started again. Default: the stack's setting",
    "maxAgeHours": "The age in hours at which the audit finds a backup stale. Default: the stack's setting",
    "enabled": "false ignores every trigger of the target. Default: true",
    "schedule": "When the target is backed up. null: not on a schedule, also if the fleet has a default",
    "expression": "As EventBridge Scheduler reads it, such as cron(0 3 * * ? *)",
    "timezone": "A name of the IANA database. Default: UTC",
    "name": "The fleet's name",
    "defaults": "Fields that a target's file can leave out",
}


class FileKind(StrEnum):
    """The kinds of files that a fleet has."""

    TARGET = "target"
    FLEET = "fleet"


def target_schema() -> dict[str, Any]:
    """Return the schema of `targets/NAME.yaml`."""
    return {
        "$schema": DRAFT,
        "title": "Target of a fleet of rds-snap-backup",
        "description": UNSAID,
        **schema_of(FILE_FIELDS, ["associations"]),
    }


def fleet_schema() -> dict[str, Any]:
    """Return the schema of `fleet.yaml`."""
    return {
        "$schema": DRAFT,
        "title": "Fleet of rds-snap-backup",
        "description": UNSAID,
        **schema_of(HEAD_FIELDS, ["name"]),
    }


SCHEMAS: Mapping[FileKind, Callable[[], dict[str, Any]]] = {
    FileKind.TARGET: target_schema,
    FileKind.FLEET: fleet_schema,
}


def schema_of(fields: Mapping[str, Field], required: Collection[str] = ()) -> dict[str, Any]:
    """Return the schema of an object."""
    return {
        "type": "object",
        "properties": {name: property_of(name, field) for name, field in fields.items()},
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


def property_of(name: str, field: Field) -> dict[str, Any]:
    """Return the schema of a field."""
    found: dict[str, Any] = {"description": f"{MEANINGS[name]}. It must be {field.allowed}.", **field.schema}
    match name:
        case "associations":
            return found | {"items": schema_of(ASSOCIATION_FIELDS, NAMES)}
        case "schedule":
            return found | {**schema_of(SCHEDULE_FIELDS, ["expression"]), "type": found["type"]}
        case "defaults":
            return found | {**schema_of(DEFAULT_FIELDS), "type": found["type"]}
    return found
