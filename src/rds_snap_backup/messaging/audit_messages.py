"""The audit's SNS message: a JSON object and plain text, with as many findings as a message holds.

The text says first what a person must do, then the counts, then the digest.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rds_snap_backup.messaging.notifications import MAX_MESSAGE_BYTES, Notifications

MAX_FINDINGS = 50
# Databases, and other findings, that the text names.
MAX_NAMED = 10
VERDICTS = ("protected", "stale", "uncovered", "ambiguous", "unproven", "unreadable", "new", "excluded")
PROBLEMS = ("uncovered", "stale", "unproven", "ambiguous", "unreadable")
# What is worse than any single database, the worst first.
WORST = {
    "TOKEN_REFUSED": "Commvault refuses the token",  # nosec # a sentence, not a token
    "COMMVAULT_UNREADABLE": "Commvault could not be read",
    "ACCOUNT_UNREADABLE": "the databases could not be read",
    "MEMBER_UNREADABLE": "a member could not be read",
}


def publish(notifications: Notifications, notification: Mapping[str, Any], *, is_problem: bool) -> None:
    """Publish the notification of an audit; `is_problem`: it has findings that are new or have lasted another week."""
    attributes = {"status": "audit", "level": "problem" if is_problem else "digest"}
    notifications.send(notification["title"], message(notification), attributes)


def title(answer: Mapping[str, Any]) -> str:
    """Return one line for people, without quotes and backslashes; the worst comes first."""
    counts = answer["counts"]
    codes = [finding["code"] for finding in answer["findings"]]
    parts = [words for code, words in WORST.items() if code in codes][:1]
    parts += [f"{counts[name]} {name}" for name in PROBLEMS if counts[name]]
    if not parts and codes:
        parts = [codes[0].lower().replace("_", " ")]
    protected = f"{counts['protected']} of {counts['databases']} databases protected"
    return f"audit: {', '.join([*parts, protected])}, {_counted(counts['findings'], 'finding')}"


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
    counts, scope = notification["counts"], notification["scope"]
    news = "Changed since the last audit, or lasts another week" if notification["news"] else "As in the last audit"
    lines = _tasks(notification)
    lines.append(f"{_counted(counts['findings'], 'finding').capitalize()}. {news}.")
    lines.append(f"{_counted(counts['databases'], 'database').capitalize()}: {_numbers(counts, VERDICTS)}.")
    if (last := notification["lastRead"]) and counts["unreadable"]:
        where = f", in {last['report']}" if last["report"] else ""
        lines.append(f"All databases could last be read at {last['time']}{where}.")
    lines += ["", *digest_lines(notification["since"])]
    lines += ["", f"Stack: {scope['stack']}", f"Commvault: {scope['commvault']}", f"Audited: {notification['time']}"]
    if notification["report"]:
        lines.append(f"Report: {notification['report']}")
    return "\n".join(lines)


def _tasks(notification: Mapping[str, Any]) -> list[str]:
    """Return what to do for each code, with at most ten databases in all; each part ends with an empty line."""
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for finding in notification["findings"]:
        by_code.setdefault(finding["code"], []).append(finding)
    lines: list[str] = []
    left = MAX_NAMED
    for code, findings in by_code.items():
        shown, left = findings[:left], max(0, left - len(findings))
        lines += [f"{code}: {findings[0]['hint']}", *(f"- {_where(each)}{each['message']}" for each in shown)]
        lines += [f"- {more} more", ""] if (more := len(findings) - len(shown)) else [""]
    if more := notification["counts"]["findings"] - len(notification["findings"]):
        lines += [f"{_counted(more, 'finding')} more: rds-snap-backup report shows all of them.", ""]
    return lines


def _where(finding: Mapping[str, Any]) -> str:
    places = ("target", "account", "region")
    where = ", ".join(f"{place} {finding[place]}" for place in places if finding[place])
    return f"({where}) " if where else ""


def digest_lines(since: Mapping[str, Any]) -> list[str]:
    """Return the digest in words: its span, and a line for each group of sums."""
    lines = [f"From {since['start']} to {since['end']}, by the stack's metrics (one can count twice):"]
    for group in ("backups", "submissions", "events"):
        numbers = since[group]
        unread = any(number is None for number in numbers.values())
        lines.append(f"{group}: {'could not be read' if unread else _numbers(numbers, numbers)}")
    return lines


def _numbers(counts: Mapping[str, int], names: Iterable[str]) -> str:
    return ", ".join(f"{counts[name]} {_words(name)}" for name in names if counts[name]) or "none"


def _words(name: str) -> str:
    return "seconds throttled" if name == "throttledSeconds" else name.replace("_", " ")


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
