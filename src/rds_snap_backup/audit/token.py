"""The preflight's row about renewing the token: of which kind it is, how old, until when, and whether it may be written."""

from datetime import UTC, datetime

from rds_snap_backup.audit.report import Row, unchecked
from rds_snap_backup.commvault.credentials import TokenReport
from rds_snap_backup.commvault.renewal import NEW_PAIR, OWN_PAIR
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text

WARNING_DAYS = 14
DAY = 86400
EXPIRING = "TOKEN_EXPIRING"


def renewal_row(report: TokenReport | Problem, now: float) -> Row:
    """Return the row `renewal`."""

    def row(detail: str, hint: str | None = None) -> Row:
        return Row("renewal", None, ok=hint is None, detail=detail, hint=hint, code=EXPIRING if hint else None)

    match report:
        case Problem() as problem:
            return unchecked("renewal", None, problem)
        case TokenReport(is_pair=False, stored_at=stored_at):
            return row(f"The secret holds a plain token, stored {_ago(stored_at, now)}; it is not renewed.")
        case TokenReport(is_renewed=False, stored_at=stored_at):
            return row(
                f"The secret holds an access token, stored {_ago(stored_at, now)}, and RenewToken is false: something "
                "else must renew it before it expires."
            )
        case TokenReport(renewed_by=str(stack)) if stack:
            return row(f"The stack {clean_text(stack)!r} renews the token, and so this one does not.", OWN_PAIR)
        case TokenReport(obstacle=Problem(_, message, hint), stored_at=stored_at):
            return row(f"The access token was stored {_ago(stored_at, now)}. {message}", hint)
        case TokenReport(renewable_until=float(until), stored_at=stored_at) if until < now + WARNING_DAYS * DAY:
            verb = "could" if until < now else "can"
            age = f"The access token, stored {_ago(stored_at, now)},"
            return row(f"{age} {verb} be renewed until {_date(until)}, and not after that.", NEW_PAIR)
        case TokenReport(renewable_until=None, stored_at=stored_at):
            return row(f"The access token, stored {_ago(stored_at, now)}, can be renewed.")
        case TokenReport(renewable_until=until, stored_at=stored_at):
            return row(f"The access token, stored {_ago(stored_at, now)}, can be renewed until {_date(until or 0)}.")


def _ago(at: float, now: float) -> str:
    days, minutes = divmod(max(0, int(now - at)) // 60, 24 * 60)
    if days:
        return f"{days} day{'' if days == 1 else 's'} ago"
    return f"{minutes // 60} h {minutes % 60} min ago"


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
