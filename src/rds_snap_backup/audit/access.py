"""The preflight's checks of the way to Commvault: the address, the secret, the route, the token and its renewal."""

from datetime import UTC, datetime

from rds_snap_backup.audit.checks import HINTS, RIGHTS, SERVER, TOKEN, Check, failed, not_made, passed
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed, is_of_the_call
from rds_snap_backup.config import Config
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.core.policy import DAY
from rds_snap_backup.credentials.renewal import NEW_PAIR, OWN_PAIR, is_renewing
from rds_snap_backup.credentials.tokens import TokenReport
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text

REFUSED = "TOKEN_REFUSED"
EXPIRING = "TOKEN_EXPIRING"
UNREADABLE = "COMMVAULT_UNREADABLE"
WARNING_DAYS = 14

type FirstAnswer = JsonDocument | Unauthorized | QueryFailed


def access_checks(config: Config, secret: Problem | None, first: FirstAnswer) -> list[Check]:
    """Return the checks, in the order in which they depend on each other.

    `secret` is the problem with the secret, and `first` the answer to the first call.
    """
    return [_configuration(config), _secret(config, secret), _reach(config, first), _token(first, secret)]


def renewal_check(report: TokenReport | Problem, now: float) -> Check:
    """Return the check `renewal`: of which kind the token is, how old, until when it can be renewed and stored."""

    def expiring(detail: str, hint: str) -> Check:
        return Check("renewal", None, ok=False, detail=detail, hint=hint, code=EXPIRING)

    match report:
        case Problem() as problem:
            return not_made("renewal", None, problem)
        case TokenReport(is_pair=False, stored_at=stored_at):
            detail = f"The secret holds a plain token, stored {_ago(stored_at, now)}; it is not renewed."
        case TokenReport(is_renewed=False, stored_at=stored_at):
            detail = (
                f"The secret holds an access token, stored {_ago(stored_at, now)}, and RenewToken is false: something "
                "else must renew it before it expires."
            )
        case TokenReport(renewed_by=str(stack)) if stack:
            detail = f"The stack {clean_text(stack)!r} renews the token, and so this one does not."
            return expiring(detail, OWN_PAIR)
        case TokenReport(obstacle=Problem(_, message, hint), stored_at=stored_at):
            return expiring(f"The access token was stored {_ago(stored_at, now)}. {message}", hint)
        case TokenReport(renewable_until=float(until), stored_at=stored_at) if until < now + WARNING_DAYS * DAY:
            verb = "could" if until < now else "can"
            age = f"The access token, stored {_ago(stored_at, now)},"
            return expiring(f"{age} {verb} be renewed until {_date(until)}, and not after that.", NEW_PAIR)
        case TokenReport(renewable_until=until, stored_at=stored_at):
            end = f" until {_date(until)}" if until else ""
            detail = f"The access token, stored {_ago(stored_at, now)}, can be renewed{end}."
    return passed("renewal", None, detail)


def _configuration(config: Config) -> Check:
    url = config.commvault_api_url
    if url.startswith("https://"):
        return passed("configuration", None, f"CommvaultApiUrl is {url}.")
    return failed("configuration", None, Problem("API_URL_INVALID", f"{url!r} is not an https:// address.", ""))


def _secret(config: Config, problem: Problem | None) -> Check:
    match problem:
        case None:
            return passed("secret", None, f"{config.token_secret_arn} holds a token.")
        case Problem("OUT_OF_TIME" | "AWS_FAILURE"):
            return not_made("secret", None, problem)
        case Problem(code, message):
            readable = " If it holds one, check TokenSecretArn, and that the function may use the secret's key."
            hint = TOKEN + (readable if code == "SECRET_UNREADABLE" else "")
            return Check("secret", None, ok=False, detail=message, hint=hint, code=REFUSED, cause=problem)


def _reach(config: Config, first: FirstAnswer) -> Check:
    """Check the route to Commvault by the first call: any answer of the API itself proves it."""
    match first:
        case QueryFailed(Problem("API_URL_INVALID" | "OUT_OF_TIME") as problem):
            return not_made("reach", None, problem)
        case QueryFailed(Problem("TLS_FAILED" | "CA_UNUSABLE" | "PROXY_FAILED" | "PROXY_INVALID") as problem):
            return _unreachable(problem, problem.message, problem.hint)
        case QueryFailed(Problem("TLS_UNTRUSTED", message) as problem):
            parameter = config.ca_certificate_parameter
            where = parameter or "an SSM parameter, and deploy with CaCertificateParameter naming it"
            hint = (
                f"Store the PEM certificates of the CA that signed the server's certificate in {where}; "
                "or fix the server's certificate, if that is what the message reports."
            )
            return _unreachable(problem, message, hint)
        case QueryFailed(Problem(code) as problem) if code.startswith("HTTP_") and not _is_answer(problem):
            detail = f"{config.commvault_api_url} answers, but not as the API does (HTTP {code[5:]})."
            return _unreachable(problem, detail, HINTS.get(code, SERVER))
        case QueryFailed(problem) if not _is_answer(problem):
            return failed("reach", None, problem, UNREADABLE)
        case _:
            return passed("reach", None, f"The API answers at {config.commvault_api_url}.")


def _unreachable(problem: Problem, detail: str, hint: str) -> Check:
    return Check("reach", None, ok=False, detail=detail, hint=hint, code=UNREADABLE, cause=problem)


def _token(first: FirstAnswer, secret: Problem | None) -> Check:
    def refused(problem: Problem | None, detail: str, hint: str) -> Check:
        return Check("token", None, ok=False, detail=detail, hint=hint, code=REFUSED, cause=problem)

    match first:
        case _ if secret:
            return not_made("token", None, secret)
        case JsonDocument({"clientProperties": []}):
            return refused(None, "It is accepted, and its user sees 0 clients.", RIGHTS)
        case JsonDocument(document):
            count = len(document["clientProperties"])
            return passed(
                "token", None, f"It is accepted, and its user sees {count} client{'' if count == 1 else 's'}."
            )
        case Unauthorized(problem) if is_renewing(first):
            return not_made("token", None, problem)
        case Unauthorized(problem):
            return refused(problem, f"It is refused: {problem.message} ({problem.code})", TOKEN)
        case QueryFailed(Problem("ANSWER_TOO_LONG", message)):
            return passed("token", None, f"It is accepted. {message} So clients are looked up one by one.")
        case QueryFailed(Problem("HTTP_403") as problem):
            return refused(problem, _unreadable(problem), RIGHTS)
        case QueryFailed(problem) if _is_answer(problem):
            return failed("token", None, problem, UNREADABLE, _unreadable(problem))
        case QueryFailed(problem):
            return not_made("token", None, problem)


def _unreadable(problem: Problem) -> str:
    return f"The list of clients cannot be read: {problem.message} ({problem.code})"


def _is_answer(problem: Problem) -> bool:
    return is_of_the_call(problem) or problem.code == "HTTP_429"


def _ago(at: float, now: float) -> str:
    days, minutes = divmod(max(0, int(now - at)) // 60, 24 * 60)
    if days:
        return f"{days} day{'' if days == 1 else 's'} ago"
    return f"{minutes // 60} h {minutes % 60} min ago"


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
