"""The preflight's checks of targets: whether their documents are valid, and whether Commvault has what they name."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rds_snap_backup.audit.checks import Check, not_made, not_read, passed, warned
from rds_snap_backup.audit.coverage import names_of
from rds_snap_backup.commvault.clients import Client
from rds_snap_backup.commvault.contents import Content
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.targets import Association, Document, Target, Targets, parse_target
from rds_snap_backup.triggers import TARGET_NAME
from rds_snap_backup.untrusted import clean_text

INVALID = "TARGET_INVALID"
UNKNOWN = "TARGET_UNKNOWN_TO_COMMVAULT"
FULL = "FULL"
NO_EVENTS = "EVENTS_START_NOTHING"
# The default: below it, databases that are created together start a job each.
SHORT_GATHER_MINUTES = 5


@dataclass(frozen=True)
class Counts:
    """How many databases each group selects, by its key: those of `fresh` now, others at the last audit."""

    of: Mapping[str, int]
    fresh: Collection[str] = ()

    def added_to(self, check: Check) -> Check:
        """Return a check that also says the number of its group, if it found one whose number is known."""
        if check.group is None or (count := self.of.get(check.group)) is None:
            return check
        when = "Now that is" if check.group in self.fresh else "At the last audit that was"
        databases = f"{count} database{'' if count == 1 else 's'}"
        return replace(check, detail=f"{check.detail} {when} {databases}: one snapshot of each.")


@dataclass(frozen=True)
class StoredTarget:
    """A target as it is stored in the SSM parameter `parameter`; `target` is None if the document is not valid."""

    name: str
    parameter: str
    document: Document
    target: Target | None
    check: Check


def read_targets(targets: Targets, documents: Iterable[tuple[str, Document]]) -> list[StoredTarget]:
    """Read every document, in the order of their names; each has the check whether it is valid."""
    named = sorted(documents, key=lambda stored: stored[0])
    return [_read(name, targets.parameter(name), document) for name, document in named]


def targets_check(path: str, targets: Sequence[StoredTarget] | Problem) -> Check:
    """Return the check of all targets together. Without any the stack only audits, which is in order."""
    match targets:
        case Problem():
            return not_read("targets", None, targets, "They")
        case _ if targets:
            return passed("targets", None, f"{len(targets)} under {path}.")
        case _:
            return passed("targets", None, f"There is none under {path}: no trigger starts a backup.")


def events_check(targets: Sequence[StoredTarget]) -> Check:
    """Check that RDS events, which are on, can start a target."""
    documents = [stored.target for stored in targets if stored.target and stored.target.enabled]
    starting = [
        document.name
        for document in documents
        if document.databases or any(item.databases for item in document.request.associations)
    ]
    if starting or not documents:
        return passed("events", None, f"RDS events can start {len(starting)} of {len(documents)} enabled targets.")
    detail = f"{NO_EVENTS}: no target has databases, so RDS events start only the targets that a database's tag names."
    hint = (
        "Set databases in the targets' documents, or the parameter Databases of the default target. To switch RDS events "
        "off, deploy with RdsEventIds=off."
    )
    return Check("events", None, ok=False, detail=detail, hint=hint, code=NO_EVENTS)


def missing_check(target: str, parameter: str) -> Check:
    """Return the check of a target that was asked for and does not exist."""
    detail = f"There is no target {target!r}: the SSM parameter {parameter} does not exist."
    hint = "Create the parameter, or correct the name."
    return Check("document", target, ok=False, detail=detail, hint=hint, code=INVALID)


def level_checks(stored: StoredTarget) -> Iterator[Check]:
    """Yield a warning for a valid document whose backup level RDS snapshots do not know."""
    level = stored.target.request.backup_level if stored.target else FULL
    if level != FULL:
        detail = f"Its backupLevel is {level}, and snapshots of RDS are always full."
        hint = f"Set backupLevel to {FULL} in {stored.parameter}: Commvault may refuse another level or ignore it."
        yield warned("level", stored.name, detail, hint)


def association_checks(stored: StoredTarget, discovery: Discovery) -> Iterator[Check]:
    """Yield a check for each association of a valid document."""
    for association in stored.target.request.associations if stored.target else ():
        yield _association(stored, association, discovery)


def gather_checks(stored: StoredTarget, counts: Mapping[str, int]) -> Iterator[Check]:
    """Yield a warning for each group of many databases whose events do not gather long; `counts` are by its key."""
    target = stored.target
    if target is None or target.gather_minutes is None or target.gather_minutes >= SHORT_GATHER_MINUTES:
        return
    for association in target.request.associations:
        patterns = target.databases if association.databases is None else association.databases
        count = counts.get(association.key, 0)
        if patterns and count > 1:
            group = f"{names_of(association)} has {count} databases"
            detail = f"{group}, and each event starts a job of all after {target.gather_minutes} min."
            hint = f"Set gatherMinutes to {SHORT_GATHER_MINUTES} or more in {stored.parameter}, or remove databases."
            yield warned("gather", stored.name, detail, hint)


def _read(name: str, parameter: str, document: Document) -> StoredTarget:
    def invalid(detail: str, hint: str) -> StoredTarget:
        check = Check("document", name, ok=False, detail=detail, hint=hint, code=INVALID)
        return StoredTarget(name, parameter, document, None, check)

    if not TARGET_NAME.fullmatch(name):
        hint = 'Give the parameter a name whose last part has 1 to 64 letters, digits, "_", "." or "-".'
        return invalid(f"{parameter} names no target: no trigger can select it.", hint)
    try:
        target = parse_target(name, parameter, document.text)
    except InvalidInput as refused:
        return invalid(refused.problem.message, f"Correct the SSM parameter {parameter}.")
    detail = f"{parameter} is valid ({target.request.backup_level}, {target.request.task_type})."
    return StoredTarget(name, parameter, document, target, passed("document", name, detail))


def _association(stored: StoredTarget, association: Association, discovery: Discovery) -> Check:
    client_name, instance_name, subclient_name = association.names
    target, parameter, names = stored.name, stored.parameter, names_of(association)

    def missing(field: str, what: str, meant: str | None) -> Check:
        guess = f"Did you mean {clean_text(meant)!r}? " if meant else ""
        hint = f"{guess}Correct {field} in {parameter}, or give the token's user the right to see it."
        return Check("association", target, ok=False, detail=f"Commvault has no {what}.", hint=hint, code=UNKNOWN)

    client = discovery.client(client_name)
    if isinstance(client, Problem):
        return not_made("association", target, client, names)
    if client is None:
        return missing("clientName", f"client {client_name!r}", discovery.nearest_client(client_name))
    known = discovery.names(client)
    if isinstance(known, Problem):
        return not_made("association", target, known, names)
    if (instance_name, subclient_name) in known.subclients:
        selected = _selected(discovery, client, association)
        return replace(passed("association", target, f"Commvault has {names}{selected}."), group=association.key)
    instance = f"instance {instance_name!r} of client {client_name!r}"
    if instance_name not in known.instances:
        return missing("instanceName", instance, discovery.nearest(instance_name, known.instances))
    meant = discovery.nearest(subclient_name, known.subclients_of(instance_name))
    return missing("subclientName", f"subclient {subclient_name!r} of {instance}", meant)


def _selected(discovery: Discovery, client: Client, association: Association) -> str:
    """Return what a group selects, if the list of the client's groups says it."""
    groups = discovery.groups(client)
    found = (
        () if isinstance(groups, Problem) else (each for each in groups if each.association.names == association.names)
    )
    contents = (group.content for group in found if isinstance(group.content, Content))
    return next((f", which selects {content}" for content in contents), "")
