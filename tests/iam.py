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
    excepted = statement.get("NotResource")
    is_meant = any(matches(pattern, resource) for pattern in listed(excepted or statement["Resource"]))
    is_action = any(matches(pattern.lower(), action.lower()) for pattern in listed(statement["Action"]))
    return is_action and is_meant is (excepted is None)


def decide(
    statements: Iterable[Statement],
    action: str,
    resource: str,
    context: Mapping[str, str | list[str]] | None = None,
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


def _holds(statement: Statement, context: Mapping[str, str | list[str]]) -> bool:
    return all(
        _condition_holds(operator, listed(wanted), context.get(key))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, wanted: list[str], given: str | list[str] | None) -> bool:
    if operator == "Null":
        return wanted == ["false" if given else "true"]
    if operator.startswith("ForAllValues:"):
        values = [] if given is None else listed(given)
        return all(_condition_holds(operator.removeprefix("ForAllValues:"), wanted, value) for value in values)
    if isinstance(given, list):
        raise TypeError("a key of several values needs a set operator")
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
