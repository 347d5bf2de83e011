"""The preflight, `{"check": true}`: whether a backup would be submitted if a trigger came now, and if not what to do.

One row for each thing that must be right, in the order in which they depend on each other. It submits
nothing, and it ends before the function's time does: what there was no time for is reported as such.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rds_snap_backup.audit.report import HINTS, RIGHTS, SERVER, TOKEN, Row, answer, failed, unchecked
from rds_snap_backup.audit.token import renewal_row
from rds_snap_backup.bootstrap import AWS_FAILURES, Services
from rds_snap_backup.commvault.inventory import OUT_OF_TIME, Discovery
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed, is_of_the_call
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.targets import Association, parse_target
from rds_snap_backup.triggers import TARGET_NAME
from rds_snap_backup.untrusted import clean_text

# What an AWS call may take at most, its tries included.
AWS_SECONDS = 20.0


def check(services: Services, seconds_left: Callable[[], float], target: str | None = None) -> dict[str, Any]:
    """Check everything, of all targets or of one, and answer `{"ok", "checks"}`."""

    def from_aws[T](call: Callable[[], T]) -> T | Problem:
        if seconds_left() < AWS_SECONDS:
            return OUT_OF_TIME
        try:
            return call()
        except AWS_FAILURES as failure:
            return Problem("AWS_FAILURE", clean_text(str(failure)), "Fix what AWS reports, then check again.")

    # AWS first: its calls are short, and Commvault gets the time that is left.
    secret = from_aws(services.commvault.unusable_secret)
    documents = from_aws(lambda: services.targets.documents(past_cache=True))
    checked = documents if isinstance(documents, Problem) else _only(target, documents)
    names = () if isinstance(checked, Problem) else tuple(checked)
    submitted = from_aws(lambda: services.ledger.last_submitted(names))
    discovery = Discovery(services.commvault, seconds_left)
    first = discovery.begin(secret)

    rows = [_configuration(services), _secret(services, secret), _reach(services, first), _token(first, secret)]
    rows.append(renewal_row(from_aws(services.commvault.token_report), services.clock()))
    rows.append(_targets(services, documents))
    if not isinstance(checked, Problem):
        if target is not None and target not in checked:
            rows.append(_unknown(target, services.targets.parameter(target)))
        for name, text in checked.items():
            rows += _target(name, services.targets.parameter(name), text, discovery)
            rows.append(_last_backup(name, submitted, services.config.ledger_days))
    logger.info("Checked", rows=len(rows), failed=sum(not row.ok for row in rows))
    return answer(rows)


def _only(target: str | None, documents: Mapping[str, str]) -> Mapping[str, str]:
    """Return the documents that the report is about."""
    return documents if target is None else {name: text for name, text in documents.items() if name == target}


def _unknown(target: str, parameter: str) -> Row:
    detail = f"There is no target {target!r}: the SSM parameter {parameter} does not exist."
    return Row("document", target, ok=False, detail=detail, hint="Create the parameter, or correct the name.")


def _configuration(services: Services) -> Row:
    url = services.config.commvault_api_url
    if url.startswith("https://"):
        return Row("configuration", None, ok=True, detail=f"CommvaultApiUrl is {url}.")
    return failed("configuration", None, Problem("API_URL_INVALID", f"{url!r} is not an https:// address.", ""))


def _secret(services: Services, problem: Problem | None) -> Row:
    match problem:
        case None:
            return Row("secret", None, ok=True, detail=f"{services.config.token_secret_arn} holds a token.")
        case Problem("OUT_OF_TIME"):
            return unchecked("secret", None, problem)
        case Problem("SECRET_UNREADABLE"):
            hint = f"{TOKEN} If it holds one, check TokenSecretArn, and that the function may use the secret's key."
            return Row("secret", None, ok=False, detail=problem.message, hint=hint)
        case _:
            return Row("secret", None, ok=False, detail=problem.message, hint=TOKEN)


def _reach(services: Services, first: JsonDocument | Unauthorized | QueryFailed) -> Row:
    """Return what the first call shows about the route to Commvault: any answer of the API itself proves it."""
    match first:
        case QueryFailed(Problem("API_URL_INVALID" | "OUT_OF_TIME") as problem):
            return unchecked("reach", None, problem)
        case QueryFailed(Problem("TLS_FAILED" | "CA_UNUSABLE" | "PROXY_FAILED" | "PROXY_INVALID") as problem):
            return Row("reach", None, ok=False, detail=problem.message, hint=problem.hint)
        case QueryFailed(Problem("TLS_UNTRUSTED", message)):
            parameter = services.config.ca_certificate_parameter
            where = parameter or "an SSM parameter, and deploy with CaCertificateParameter naming it"
            hint = (
                f"Store the PEM certificates of the CA that signed the server's certificate in {where}; "
                "or fix the server's certificate, if that is what the message reports."
            )
            return Row("reach", None, ok=False, detail=message, hint=hint)
        case QueryFailed(Problem(code) as problem) if code.startswith("HTTP_") and not _is_answer(problem):
            detail = f"{services.config.commvault_api_url} answers, but not as the API does (HTTP {code[5:]})."
            return Row("reach", None, ok=False, detail=detail, hint=HINTS.get(code, SERVER))
        case QueryFailed(problem) if not _is_answer(problem):
            return failed("reach", None, problem)
        case _:
            return Row("reach", None, ok=True, detail=f"The API answers at {services.config.commvault_api_url}.")


def _token(first: JsonDocument | Unauthorized | QueryFailed, secret: Problem | None) -> Row:
    match first:
        case _ if secret:
            return unchecked("token", None, secret)
        case JsonDocument(document):
            count = len(document["clientProperties"])
            detail = f"It is accepted, and its user sees {count} client{'' if count == 1 else 's'}."
            return Row("token", None, ok=bool(count), detail=detail, hint=None if count else RIGHTS)
        case Unauthorized(problem):
            detail = f"It is refused: {problem.message} ({problem.code})"
            return Row("token", None, ok=False, detail=detail, hint=TOKEN)
        case QueryFailed(Problem("ANSWER_TOO_LONG", message)):
            detail = f"It is accepted. {message} So clients are looked up one by one."
            return Row("token", None, ok=True, detail=detail)
        case QueryFailed(problem) if _is_answer(problem):
            detail = f"The list of clients cannot be read: {problem.message} ({problem.code})"
            return Row("token", None, ok=False, detail=detail, hint=HINTS.get(problem.code, SERVER))
        case QueryFailed(problem):
            return unchecked("token", None, problem)


def _is_answer(problem: Problem) -> bool:
    return is_of_the_call(problem) or problem.code == "HTTP_429"


def _targets(services: Services, documents: Mapping[str, str] | Problem) -> Row:
    path = services.targets.parameter("")
    match documents:
        case Problem("OUT_OF_TIME"):
            return unchecked("targets", None, documents)
        case Problem(_, message, hint):
            return Row("targets", None, ok=False, detail=f"They cannot be read: {message}", hint=hint)
        case _ if documents:
            return Row("targets", None, ok=True, detail=f"{len(documents)} under {path}.")
        case _:
            hint = f"Store a target document in an SSM parameter {path}NAME."
            return Row("targets", None, ok=False, detail=f"There is none under {path}.", hint=hint)


def _target(name: str, parameter: str, text: str, discovery: Discovery) -> Iterator[Row]:
    if not TARGET_NAME.fullmatch(name):
        detail = f"{parameter} names no target: no trigger can select it."
        hint = 'Give the parameter a name whose last part has 1 to 64 letters, digits, "_", "." or "-".'
        yield Row("document", name, ok=False, detail=detail, hint=hint)
        return
    try:
        target = parse_target(name, parameter, text)
    except InvalidInput as refused:
        hint = f"Correct the SSM parameter {parameter}."
        yield Row("document", name, ok=False, detail=refused.problem.message, hint=hint)
        return
    yield Row(
        "document",
        name,
        ok=True,
        detail=f"{parameter} is valid ({target.request.backup_level}, {target.request.task_type}).",
    )
    for association in target.request.associations:
        yield _association(name, parameter, association, discovery)


def _association(target: str, parameter: str, one: Association, discovery: Discovery) -> Row:
    client_name, instance_name, subclient_name = one.client_name, one.instance_name, one.subclient_name
    names = f"{client_name} / {instance_name} / {subclient_name}"

    def missing(field: str, what: str, meant: str | None) -> Row:
        guess = f"Did you mean {clean_text(meant)!r}? " if meant else ""
        hint = f"{guess}Correct {field} in {parameter}, or give the token's user the right to see it."
        return Row("association", target, ok=False, detail=f"Commvault has no {what}.", hint=hint)

    client = discovery.client(client_name)
    if isinstance(client, Problem):
        return unchecked("association", target, client, names)
    if client is None:
        return missing("clientName", f"client {client_name!r}", discovery.nearest_client(client_name))
    content = discovery.content(client)
    if isinstance(content, Problem):
        return unchecked("association", target, content, names)
    if (instance_name, subclient_name) in content.subclients:
        return Row("association", target, ok=True, detail=f"Commvault has {names}.")
    instance = f"instance {instance_name!r} of client {client_name!r}"
    if instance_name not in content.instances:
        return missing("instanceName", instance, discovery.nearest(instance_name, content.instances))
    meant = discovery.nearest(subclient_name, content.subclients_of(instance_name))
    return missing("subclientName", f"subclient {subclient_name!r} of {instance}", meant)


def _last_backup(target: str, submitted: Mapping[str, float] | Problem, ledger_days: int) -> Row:
    match submitted:
        case Problem("OUT_OF_TIME"):
            return unchecked("last_backup", target, submitted)
        case Problem(_, message, hint):
            return Row("last_backup", target, ok=False, detail=f"The ledger cannot be read: {message}", hint=hint)
        case _ if at := submitted.get(target):
            detail = f"Last submitted at {datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%M:%SZ}."
            return Row("last_backup", target, ok=True, detail=detail)
        case _:
            detail = f"Never submitted, or more than {ledger_days} days ago."
            return Row("last_backup", target, ok=True, detail=detail)
