"""The preflight's rows about the way to Commvault: the address, the secret, the route, and whether the token is accepted."""

from rds_snap_backup.audit.report import HINTS, RIGHTS, SERVER, TOKEN, Row, failed, unchecked
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed, is_of_the_call
from rds_snap_backup.commvault.renewal import is_renewing
from rds_snap_backup.config import Config
from rds_snap_backup.problems import Problem

REFUSED = "TOKEN_REFUSED"


def access_rows(config: Config, secret: Problem | None, first: JsonDocument | Unauthorized | QueryFailed) -> list[Row]:
    """Return the rows, in the order in which they depend on each other.

    `secret` is what is wrong with the secret, and `first` the answer to the first call.
    """
    return [_configuration(config), _secret(config, secret), _reach(config, first), _token(first, secret)]


def _configuration(config: Config) -> Row:
    url = config.commvault_api_url
    if url.startswith("https://"):
        return Row("configuration", None, ok=True, detail=f"CommvaultApiUrl is {url}.")
    return failed("configuration", None, Problem("API_URL_INVALID", f"{url!r} is not an https:// address.", ""))


def _secret(config: Config, problem: Problem | None) -> Row:
    match problem:
        case None:
            return Row("secret", None, ok=True, detail=f"{config.token_secret_arn} holds a token.")
        case Problem("OUT_OF_TIME" | "AWS_FAILURE"):
            return unchecked("secret", None, problem)
        case Problem(code, message):
            check = " If it holds one, check TokenSecretArn, and that the function may use the secret's key."
            hint = TOKEN + (check if code == "SECRET_UNREADABLE" else "")
            return Row("secret", None, ok=False, detail=message, hint=hint, code=REFUSED, cause=problem)


def _reach(config: Config, first: JsonDocument | Unauthorized | QueryFailed) -> Row:
    """Return what the first call shows about the route to Commvault: any answer of the API itself proves it."""
    match first:
        case QueryFailed(Problem("API_URL_INVALID" | "OUT_OF_TIME") as problem):
            return unchecked("reach", None, problem)
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
            return failed("reach", None, problem)
        case _:
            return Row("reach", None, ok=True, detail=f"The API answers at {config.commvault_api_url}.")


def _unreachable(problem: Problem, detail: str, hint: str) -> Row:
    return Row("reach", None, ok=False, detail=detail, hint=hint, code=problem.code, cause=problem)


def _token(first: JsonDocument | Unauthorized | QueryFailed, secret: Problem | None) -> Row:
    def refused(problem: Problem | None, detail: str, hint: str) -> Row:
        return Row("token", None, ok=False, detail=detail, hint=hint, code=REFUSED, cause=problem)

    match first:
        case _ if secret:
            return unchecked("token", None, secret)
        case JsonDocument({"clientProperties": []}):
            return refused(None, "It is accepted, and its user sees 0 clients.", RIGHTS)
        case JsonDocument(document):
            count = len(document["clientProperties"])
            detail = f"It is accepted, and its user sees {count} client{'' if count == 1 else 's'}."
            return Row("token", None, ok=True, detail=detail)
        case Unauthorized(problem) if is_renewing(first):
            return unchecked("token", None, problem)
        case Unauthorized(problem):
            return refused(problem, f"It is refused: {problem.message} ({problem.code})", TOKEN)
        case QueryFailed(Problem("ANSWER_TOO_LONG", message)):
            detail = f"It is accepted. {message} So clients are looked up one by one."
            return Row("token", None, ok=True, detail=detail)
        case QueryFailed(Problem("HTTP_403") as problem):
            return refused(problem, _unreadable(problem), RIGHTS)
        case QueryFailed(problem) if _is_answer(problem):
            return failed("token", None, problem, detail=_unreadable(problem))
        case QueryFailed(problem):
            return unchecked("token", None, problem)


def _unreadable(problem: Problem) -> str:
    return f"The list of clients cannot be read: {problem.message} ({problem.code})"


def _is_answer(problem: Problem) -> bool:
    return is_of_the_call(problem) or problem.code == "HTTP_429"
