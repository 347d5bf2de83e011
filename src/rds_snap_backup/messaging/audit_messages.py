"""An audit's SNS message: its findings, as many as a message holds, as a JSON object and as plain text."""

import json
from collections.abc import Mapping
from typing import Any

MAX_FINDINGS = 50


def message(report: Mapping[str, Any], most: int) -> str:
    """Return the message in its forms, of at most so many characters; `counts.findings` has the number of all findings."""
    shown = min(len(report["findings"]), MAX_FINDINGS)
    while True:
        short = {**report, "findings": list(report["findings"][:shown])}
        text = json.dumps({"default": json.dumps(short), "email": _text(short)})
        if len(text) <= most or not shown:
            return text
        shown //= 2


def subject(report: Mapping[str, Any]) -> str:
    """Return the message's subject."""
    count = report["counts"]["findings"]
    return f"RDS backup audit: {_findings(count) if count else 'no findings any more'}"


def _text(report: Mapping[str, Any]) -> str:
    counts, listed = report["counts"], report["findings"]
    known = ", ".join(f"{counts[name]} {name}" for name in ("databases", "uncovered", "excluded", "targets", "stale"))
    lines = [f"Audit: {_findings(counts['findings'])}", f"Counted: {known}, {counts['stuck']} stuck"]
    for one in listed:
        where = ", ".join(f"{name} {one[name]}" for name in ("target", "database") if one[name])
        lines += ["", f"{one['code']}{f' ({where})' if where else ''}: {one['message']}", f"What to do: {one['hint']}"]
    if more := counts["findings"] - len(listed):
        lines += ["", f"{_findings(more)} more: see the Audit function's log, and its answer to a run by hand."]
    return "\n".join(lines)


def _findings(count: int) -> str:
    return f"{count or 'no'} finding{'' if count == 1 else 's'}"
