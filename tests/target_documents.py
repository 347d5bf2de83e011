"""Values of a target's document, made from the table of its fields."""

from collections.abc import Mapping
from typing import Any

from rds_snap_backup.fields import Field
from rds_snap_backup.targets import ASSOCIATION_FIELDS, FIELDS


def values(field: Field) -> list[Any]:
    """Return values that a field may hold, at its bounds."""
    match field.schema:
        case {"enum": allowed}:
            return [*allowed]
        case {"type": "boolean"}:
            return [True, False]
        case {"minimum": least, "maximum": most}:
            return [least, most]
        case {"type": "string"}:
            return ["x"]
        case {"items": _}:
            # A name and an account ID.
            return [*([] if "minItems" in field.schema else [[]]), ["111122223333"]]
        case _:
            return [[document(ASSOCIATION_FIELDS)]]


def document(fields: Mapping[str, Field] = FIELDS) -> dict[str, Any]:
    """Return a valid object that has every field."""
    return {name: values(field)[-1] for name, field in fields.items()}
