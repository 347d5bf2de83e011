"""JSON Schemas of a fleet's files for editors, made from the definition by which they are read."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from rds_snap_backup.fields import REQUIRED, Field
from rds_snap_backup.targets import ASSOCIATION_FIELDS
from rds_snap_backup_cli.fleet.files import DEFAULT_FIELDS, FILE_FIELDS, HEAD_FIELDS, SCHEDULE_FIELDS

# The draft that editors support best.
DRAFT = "http://json-schema.org/draft-07/schema#"
UNSAID = (
    "`validate` also checks what no schema can say: that each association stands once, characters that cannot be printed, "
    "the size of the document as it is stored, {{, the syntax of schedules, and time zones."
)


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
        **schema_of(FILE_FIELDS),
    }


def fleet_schema() -> dict[str, Any]:
    """Return the schema of `fleet.yaml`."""
    return {
        "$schema": DRAFT,
        "title": "Fleet of rds-snap-backup",
        "description": UNSAID,
        **schema_of(HEAD_FIELDS),
    }


SCHEMAS: Mapping[FileKind, Callable[[], dict[str, Any]]] = {
    FileKind.TARGET: target_schema,
    FileKind.FLEET: fleet_schema,
}


def schema_of(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the schema of an object."""
    required = [name for name, field in fields.items() if field.default == REQUIRED]
    return {
        "type": "object",
        "properties": {name: property_of(name, field) for name, field in fields.items()},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def property_of(name: str, field: Field) -> dict[str, Any]:
    """Return the schema of a field."""
    default = f". Default: {field.default}" if field.default not in {"", REQUIRED} else ""
    description = f"{field.meaning[:1].upper()}{field.meaning[1:]}{default}. It must be {field.allowed}."
    found: dict[str, Any] = {"description": description.replace("`", ""), **field.schema}
    match name:
        case "associations":
            return found | {"items": schema_of(ASSOCIATION_FIELDS)}
        case "schedule":
            return found | {**schema_of(SCHEDULE_FIELDS), "type": found["type"]}
        case "defaults":
            return found | {**schema_of(DEFAULT_FIELDS), "type": found["type"]}
    return found
