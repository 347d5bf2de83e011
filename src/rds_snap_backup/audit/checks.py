"""The preflight's checks and their hints."""

from dataclasses import dataclass
from typing import Any

from rds_snap_backup.audit.metered import OUT_OF_CALLS
from rds_snap_backup.commvault.answers import LOGIN_REFUSED
from rds_snap_backup.commvault.inventory import OUT_OF_TIME
from rds_snap_backup.problems import Problem

MAX_TEXT = 1000

THE_CHECKS_ABOVE = "Do what the checks above say, then check again."
URL = "Check CommvaultApiUrl: it is https://HOST/commandcenter/api, or the SaaS API host without a path."
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
    "ANSWER_TOO_LONG": "Give the token's user rights on the targets' clients only: then it sees no others.",
    OUT_OF_TIME.code: OUT_OF_TIME.hint,
    OUT_OF_CALLS.code: OUT_OF_CALLS.hint,
    "AWS_FAILURE": AWS,
    "ACCOUNT_UNREADABLE": AWS,
    **dict.fromkeys(("HTTP_301", "HTTP_302", "HTTP_303", "HTTP_307", "HTTP_308"), REDIRECT),
    **dict.fromkeys(("HTTP_401", *LOGIN_REFUSED), TOKEN),
    **dict.fromkeys(("SECRET_UNREADABLE", "SECRET_EMPTY", "SECRET_WITHOUT_TOKEN"), THE_CHECKS_ABOVE),
    **dict.fromkeys(("TLS_UNTRUSTED", "TLS_FAILED", "CA_UNUSABLE", "PROXY_FAILED", "PROXY_INVALID"), THE_CHECKS_ABOVE),
}


@dataclass(frozen=True)
class Check:
    """One check, of a target or of all of them; `hint` is None if it passed without a warning.

    `code` is that of the audit's finding if it failed, None if it was not made. `cause` is the problem behind it, which
    other checks can have in common. `group` is the key of the instance group that it found.
    """

    name: str
    target: str | None
    ok: bool
    detail: str
    hint: str | None = None
    code: str | None = None
    cause: Problem | None = None
    group: str | None = None

    @property
    def is_made(self) -> bool:
        """Whether it has passed or failed."""
        return self.ok or self.code is not None

    def to_json(self) -> dict[str, Any]:
        """Return the answer's form of it."""
        shown = {"name": self.name, "target": self.target, "ok": self.ok}
        return {**shown, "detail": self.detail[:MAX_TEXT], "hint": self.hint}


def passed(name: str, target: str | None, detail: str) -> Check:
    """Return a check that passed."""
    return Check(name, target, ok=True, detail=detail)


def warned(name: str, target: str | None, detail: str, hint: str) -> Check:
    """Return a check that passed with a warning."""
    return Check(name, target, ok=True, detail=detail, hint=hint)


def failed(name: str, target: str | None, problem: Problem, code: str = "", detail: str = "") -> Check:
    """Return a check that failed for a problem; the finding's code is the problem's, unless one is given."""
    hint = HINTS.get(problem.code, SERVER)
    return Check(
        name, target, ok=False, detail=detail or problem.message, hint=hint, code=code or problem.code, cause=problem
    )


def not_made(name: str, target: str | None, problem: Problem, what: str = "") -> Check:
    """Return a check that could not be made because of a problem."""
    detail = f"{what}{': n' if what else 'N'}ot checked. {problem.message}"
    return Check(name, target, ok=False, detail=detail, hint=HINTS.get(problem.code, SERVER), cause=problem)


def not_read(name: str, target: str | None, problem: Problem, what: str) -> Check:
    """Return a check of something that AWS did not show."""
    if problem.code == OUT_OF_TIME.code:
        return not_made(name, target, problem)
    detail = f"{what} cannot be read: {problem.message}"
    return Check(name, target, ok=False, detail=detail, hint=problem.hint, cause=problem)
