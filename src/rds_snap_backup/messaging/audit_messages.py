"""The audit's SNS message: a JSON object and plain text, with as many findings as a message holds."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rds_snap_backup.messaging.notifications import MAX_MESSAGE_BYTES, Notifications

MAX_FINDINGS = 50
VERDICTS = ("protected", "stale", "uncovered", "ambiguous", "unproven", "unreadable", "new", "excluded")
PROBLEMS = ("stale", "uncovered", "ambiguous", "unproven", "unreadable")


def publish(notifications: Notifications, notification: Mapping[str, Any], *, is_problem: bool) -> None:
    """Publish the notification of an audit; `is_problem`: it has findings that are new or have lasted another week."""
    attributes = {"status": "audit", "level": "problem" if is_problem else "digest"}
    notifications.send(notification["title"], message(notification), attributes)


def title(answer: Mapping[str, Any]) -> str:
    """Return one line for people, without quotes and backslashes."""
    counts, jobs = answer["counts"], answer["since"]["jobs"]
    parts = [f"{counts['protected']} of {counts['databases']} databases protected"]
    parts += [f"{_counted(jobs['failed'], 'job')} failed"] if jobs["failed"] else []
    parts += [f"{counts[name]} {name}" for name in PROBLEMS if counts[name]]
    return f"audit: {', '.join(parts)}, {_findings(counts['findings'])}"


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
    lines.append("Databases: " + _numbers(counts, VERDICTS))
    since = notification["since"]
    lines.append(f"Jobs in Commvault since {since['time']}: {_numbers(since['jobs'], since['jobs'])}")
    lines.append(f"Backups of {since['submissions']} submissions: {_numbers(since['backups'], since['backups'])}")
    for finding in listed:
        places = ("target", "database", "account", "region")
        where = ", ".join(f"{place} {finding[place]}" for place in places if finding[place])
        lines += ["", f"{finding['code']}{f' ({where})' if where else ''}: {finding['message']}"]
        lines.append(f"What to do: {finding['hint']}")
    if more := counts["findings"] - len(listed):
        lines += ["", f"{_findings(more)} more: see the Audit function's log, or invoke it by hand."]
    return "\n".join(lines)


def _numbers(counts: Mapping[str, int], names: Iterable[str]) -> str:
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names if counts[name]) or "none"


def _findings(count: int) -> str:
    return _counted(count, "finding")


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
