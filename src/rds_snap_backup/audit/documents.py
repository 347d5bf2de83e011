"""The preflight's rows about targets: whether their documents are valid, and whether Commvault has what they name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rds_snap_backup.audit.report import Row, unchecked, unread
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.targets import Association, Document, Target, Targets, parse_target
from rds_snap_backup.triggers import TARGET_NAME
from rds_snap_backup.untrusted import clean_text

INVALID = "TARGET_INVALID"
UNKNOWN = "TARGET_UNKNOWN_TO_COMMVAULT"


@dataclass(frozen=True)
class StoredTarget:
    """A target as it is stored in the SSM parameter `parameter`. `content` is None where the document is not valid."""

    name: str
    parameter: str
    document: Document
    content: Target | None
    row: Row


def read_targets(targets: Targets, documents: Iterable[tuple[str, Document]]) -> list[StoredTarget]:
    """Read every document, in the order of their names; each has the row that says whether it is valid."""
    named = sorted(documents, key=lambda one: one[0])
    return [_read(name, targets.parameter(name), document) for name, document in named]


def targets_row(path: str, targets: Sequence[StoredTarget] | Problem) -> Row:
    """Return the row about all targets together."""
    match targets:
        case Problem():
            return unread("targets", None, targets, "They")
        case _ if targets:
            return Row("targets", None, ok=True, detail=f"{len(targets)} under {path}.")
        case _:
            hint = f"Store a target document in an SSM parameter {path}NAME."
            return Row("targets", None, ok=False, detail=f"There is none under {path}.", hint=hint, code=INVALID)


def missing_row(target: str, parameter: str) -> Row:
    """Return the row of a target that is asked about and does not exist."""
    detail = f"There is no target {target!r}: the SSM parameter {parameter} does not exist."
    hint = "Create the parameter, or correct the name."
    return Row("document", target, ok=False, detail=detail, hint=hint, code=INVALID)


def association_rows(target: StoredTarget, discovery: Discovery) -> Iterator[Row]:
    """Yield a row for each association of a valid document."""
    for one in target.content.request.associations if target.content else ():
        yield _association(target.name, target.parameter, one, discovery)


def _read(name: str, parameter: str, document: Document) -> StoredTarget:
    def invalid(detail: str, hint: str) -> StoredTarget:
        row = Row("document", name, ok=False, detail=detail, hint=hint, code=INVALID)
        return StoredTarget(name, parameter, document, None, row)

    if not TARGET_NAME.fullmatch(name):
        hint = 'Give the parameter a name whose last part has 1 to 64 letters, digits, "_", "." or "-".'
        return invalid(f"{parameter} names no target: no trigger can select it.", hint)
    try:
        target = parse_target(name, parameter, document.text)
    except InvalidInput as refused:
        return invalid(refused.problem.message, f"Correct the SSM parameter {parameter}.")
    detail = f"{parameter} is valid ({target.request.backup_level}, {target.request.task_type})."
    return StoredTarget(name, parameter, document, target, Row("document", name, ok=True, detail=detail))


def _association(target: str, parameter: str, one: Association, discovery: Discovery) -> Row:
    client_name, instance_name, subclient_name = one.client_name, one.instance_name, one.subclient_name
    names = f"{client_name} / {instance_name} / {subclient_name}"

    def missing(field: str, what: str, meant: str | None) -> Row:
        guess = f"Did you mean {clean_text(meant)!r}? " if meant else ""
        hint = f"{guess}Correct {field} in {parameter}, or give the token's user the right to see it."
        return Row("association", target, ok=False, detail=f"Commvault has no {what}.", hint=hint, code=UNKNOWN)

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
