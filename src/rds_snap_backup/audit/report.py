"""The preflight's answer: its rows, the hints in them, and what one answer of a function can hold. It checks nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.commvault.answers import LOGIN_REFUSED
from rds_snap_backup.commvault.inventory import OUT_OF_TIME
from rds_snap_backup.problems import Problem

MAX_TEXT = 1000
# Lambda answers with at most 6 MB.
MAX_ANSWER = 5_000_000

THE_ROWS_ABOVE = "Do what the rows above say, then check again."
URL = "Check CommvaultApiUrl: it is https://HOST/commandcenter/api, or the SaaS API host alone."
NETWORK = "Check the host and port in CommvaultApiUrl, the server, and the route to it (subnets, security groups, DNS)."
SERVER = "Look at the Commvault web server and CommServe, then check again."
AWS = "Fix what AWS reports, such as a missing permission of the function's role, then check again."
TOKEN = "Put a valid access token into the secret (the stack's output SetTokenCommand), then check again."  # noqa: S105  # nosec B105 # a hint
RIGHTS = "Give the token's user the right to see and back up the targets' clients, then check again."
REDIRECT = "Set CommvaultApiUrl to the address that answers itself: redirects are never followed with the token."
HINTS = {
    "API_URL_INVALID": "Deploy the stack with a CommvaultApiUrl that begins with https://.",
    "UNREACHABLE": NETWORK,
    "NO_ANSWER": NETWORK,
    "HTTP_200": URL,
    "HTTP_404": URL,
    "NO_CLIENTS": f"{URL} If it is right, give the token's user the right to see the targets' clients.",
    "HTTP_403": RIGHTS,
    "HTTP_429": "Check again when Commvault's rate limit has ended; submissions wait for that automatically.",
    "ANSWER_TOO_LONG": "Give the token's user rights on the targets' clients alone: then it is shown no others.",
    OUT_OF_TIME.code: OUT_OF_TIME.hint,
    "AWS_FAILURE": AWS,
    **dict.fromkeys(("HTTP_301", "HTTP_302", "HTTP_303", "HTTP_307", "HTTP_308"), REDIRECT),
    **dict.fromkeys(("HTTP_401", *LOGIN_REFUSED), TOKEN),
    **dict.fromkeys(("SECRET_UNREADABLE", "SECRET_EMPTY", "SECRET_WITHOUT_TOKEN"), THE_ROWS_ABOVE),
    **dict.fromkeys(("TLS_UNTRUSTED", "TLS_FAILED", "CA_UNUSABLE", "PROXY_FAILED", "PROXY_INVALID"), THE_ROWS_ABOVE),
}


@dataclass(frozen=True)
class Row:
    """One thing that was checked, of a target or of all of them. `hint` says what to do; None where nothing is wrong.

    Where something is, `code` is that of the audit's finding; a row that was not checked has none. `cause` is the problem
    behind it, which other rows can have in common.
    """

    name: str
    target: str | None
    ok: bool
    detail: str
    hint: str | None = None
    code: str | None = None
    cause: Problem | None = None

    @property
    def is_checked(self) -> bool:
        """Tell whether there is an answer, good or bad."""
        return self.ok or self.code is not None

    def to_json(self) -> dict[str, Any]:
        """Return the answer's form of it."""
        shown = {"name": self.name, "target": self.target, "ok": self.ok}
        return {**shown, "detail": self.detail[:MAX_TEXT], "hint": self.hint}


def failed(name: str, target: str | None, problem: Problem, code: str = "", detail: str = "") -> Row:
    """Return the row of something that went wrong; the finding's code is the problem's, unless one is given."""
    hint = HINTS.get(problem.code, SERVER)
    return Row(
        name, target, ok=False, detail=detail or problem.message, hint=hint, code=code or problem.code, cause=problem
    )


def unchecked(name: str, target: str | None, problem: Problem, what: str = "") -> Row:
    """Return the row of something that a problem kept from being checked."""
    detail = f"{what}{': n' if what else 'N'}ot checked. {problem.message}"
    return Row(name, target, ok=False, detail=detail, hint=HINTS.get(problem.code, SERVER), cause=problem)


def unread(name: str, target: str | None, problem: Problem, what: str) -> Row:
    """Return the row of something that needs what AWS did not show."""
    if problem.code == OUT_OF_TIME.code:
        return unchecked(name, target, problem)
    detail = f"{what} cannot be read: {problem.message}"
    return Row(name, target, ok=False, detail=detail, hint=problem.hint, cause=problem)


def answer(rows: Sequence[Row]) -> dict[str, Any]:
    """Return `{"ok", "checks"}`. Of more rows than an answer holds, those that are ok are left out first."""
    documents = [row.to_json() for row in rows]
    room = MAX_ANSWER
    kept: set[int] = set()
    for index in sorted(range(len(rows)), key=lambda index: rows[index].ok):
        room -= len(json.dumps(documents[index])) + len(", ")
        if room < 0:
            break
        kept.add(index)
    left_out = [row for index, row in enumerate(rows) if index not in kept]
    checks = [document for index, document in enumerate(documents) if index in kept]
    if left_out:
        wrong = sum(not row.ok for row in left_out)
        detail = f"{len(left_out)} rows are left out, {wrong} of which failed: an answer holds no more."
        checks.append(Row("report", None, not wrong, detail, THE_ROWS_ABOVE if wrong else None).to_json())
    return {"ok": all(row.ok for row in rows), "checks": checks}
