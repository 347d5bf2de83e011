"""The audit's SNS message: a JSON object and plain text, with as many findings as a message holds."""

import json
from collections.abc import Mapping
from typing import Any

from rds_snap_backup.messaging.notifications import MAX_MESSAGE_BYTES, Notifications

MAX_FINDINGS = 50


def publish(notifications: Notifications, notification: Mapping[str, Any], *, is_problem: bool) -> None:
    """Publish the notification of an audit; `is_problem`: it has findings that are new or have lasted another week."""
    attributes = {"status": "audit", "level": "problem" if is_problem else "digest"}
    notifications.send(notification["title"], message(notification), attributes)


def title(counts: Mapping[str, int]) -> str:
    """Return one line for people, without quotes and backslashes."""
    return f"audit: {_findings(counts['findings'])}, {counts['protected']} of {counts['databases']} databases protected"


def message(notification: Mapping[str, Any]) -> str:
    """Return the message in its forms; `counts.findings` is the number of all findings."""
    shown = min(len(notification["findings"]), MAX_FINDINGS)
    while True:
        short = {**notification, "findings": list(notification["findings"][:shown])}
        text = json.dumps({"default": json.dumps(short), "email": _text(short)})
        if len(text) <= MAX_MESSAGE_BYTES or not shown:
            return text
        shown //= 2


def _text(notification: Mapping[str, Any]) -> str:
    counts, listed = notification["counts"], notification["findings"]
    news = "Changed since the last audit, or lasts another week" if notification["news"] else "As in the last audit"
    lines = [f"Audit: {_findings(counts['findings'])}. {news}."]
    lines.append("Counted: " + ", ".join(f"{number} {name}" for name, number in counts.items() if name != "findings"))
    for finding in listed:
        places = ("target", "database", "account", "region")
        where = ", ".join(f"{place} {finding[place]}" for place in places if finding[place])
        lines += ["", f"{finding['code']}{f' ({where})' if where else ''}: {finding['message']}"]
        lines.append(f"What to do: {finding['hint']}")
    if more := counts["findings"] - len(listed):
        lines += ["", f"{_findings(more)} more: see the Audit function's log, or invoke it by hand."]
    return "\n".join(lines)


def _findings(count: int) -> str:
    return f"{count or 'no'} finding{'' if count == 1 else 's'}"
