"""Enough of IAM's evaluation for the template's policies: a statement's actions, resources, principals and conditions."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

type Statement = Mapping[str, Any]
type Decision = Literal["Allow", "Deny", "Nothing"]


def listed(value: str | list[str]) -> list[str]:
    """Return one text or a list of texts as a list."""
    return [value] if isinstance(value, str) else value


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text matches a pattern with `*` and `?`."""
    parts = (
        re.escape(part) if part not in {"*", "?"} else part.replace("?", ".").replace("*", ".*") for part in pattern
    )
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def covers(statement: Statement, action: str, resource: str) -> bool:
    """Tell whether a statement is about this action on this resource; its conditions are ignored."""
    return any(matches(pattern.lower(), action.lower()) for pattern in listed(statement["Action"])) and any(
        matches(pattern, resource) for pattern in listed(statement["Resource"])
    )


def decide(
    statements: Iterable[Statement],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
    service: str | None = None,
) -> Decision:
    """Evaluate policies for a call with these condition keys; `service` is the AWS service that calls, if any."""
    effects = {
        statement["Effect"]
        for statement in statements
        if covers(statement, action, resource) and _is_for(statement, service) and _holds(statement, context or {})
    }
    return "Deny" if "Deny" in effects else "Allow" if effects else "Nothing"


def _is_for(statement: Statement, service: str | None) -> bool:
    match statement.get("Principal"):
        case None | "*":
            return True
        case {"Service": name}:
            return service in listed(name)
        case other:
            raise NotImplementedError(other)


def _holds(statement: Statement, context: Mapping[str, str]) -> bool:
    return all(
        _condition_holds(operator, listed(wanted), context.get(key))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, wanted: list[str], given: str | None) -> bool:
    if given is None and operator.endswith("IfExists"):
        return True
    match operator.removesuffix("IfExists"):
        case "StringEquals" | "Bool":
            return given in wanted
        case "StringNotEquals":
            return given not in wanted
        case "ArnEquals" | "ArnLike":
            return given is not None and any(matches(pattern, given) for pattern in wanted)
    raise NotImplementedError(operator)
