"""Which targets back up which database: what the audit asks of RDS's list and the targets' documents. Pure.

A database's tag and the targets' patterns are read as for an RDS event of it, and as if every event were listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rds_snap_backup import selection
from rds_snap_backup.audit.documents import StoredTarget
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.rds.databases import Database, Resource
from rds_snap_backup.selection import Rules
from rds_snap_backup.triggers import TARGET_TAG, Trigger, tagged_names

type Reason = selection.Reason | Literal["association"]

UNCOVERED = "DATABASE_UNCOVERED"
EXCLUDE_TAG = "rds-snap-backup:exclude"
FALLBACK: Reason = "fallback"
MAX_NAMED = 5
HINT = (
    "Name the database in the databases of a target that backs it up, or tag it rds-snap-backup:target with that "
    f"target's name. If it needs no backup, tag it {EXCLUDE_TAG} = true."
)


@dataclass(frozen=True)
class Coverage:
    """A database with the enabled targets that are for it, each with the reason that counts most."""

    database: Database
    reasons: Mapping[str, Reason]

    @property
    def is_excluded(self) -> bool:
        """Tell whether its tag excepts it."""
        return self.database.resource.tags.get(EXCLUDE_TAG, "").strip().lower() == "true"

    @property
    def covering(self) -> list[str]:
        """The targets that cover it: the pattern `*` alone does not."""
        return [name for name, reason in self.reasons.items() if reason != FALLBACK]


def cover(databases: Iterable[Database], targets: Sequence[StoredTarget]) -> list[Coverage]:
    """Return what covers each database. A target that is disabled or not valid is selected as any other, and backs up nothing."""
    rules = Rules.read({one.name: one.document.text for one in targets}).of_any_event()
    usable = {one.name: one.content for one in targets if one.content and one.content.enabled}
    instances: dict[str, list[str]] = {}
    for name, target in usable.items():
        # Once for a target, however many subclients of the instance it names.
        for instance in {one.instance_name.lower() for one in target.request.associations}:
            instances.setdefault(instance, []).append(name)
    return [Coverage(one, _reasons(one, rules, usable.keys(), instances)) for one in databases]


def findings_of(coverages: Iterable[Coverage]) -> list[Finding]:
    """Return a finding for each database that nothing covers, unless it is excepted."""
    return [_finding(one) for one in coverages if not one.covering and not one.is_excluded]


def _finding(coverage: Coverage) -> Finding:
    resource = coverage.database.resource
    message = f"No enabled target is for the RDS {resource.kind} {resource.name!r} ({resource.engine}) in particular."
    if coverage.reasons:
        message += f" {_some(coverage.reasons)} would back it up at an RDS event, only since nothing else does."
    if tagged := tagged_names(resource.tags.get(TARGET_TAG)):
        message += f" Its tag {TARGET_TAG} names {_some(tagged)}: unknown, disabled, not valid, or without allowTag."
    return Finding("coverage", UNCOVERED, None, resource.name, message, HINT, resource.arn)


def _reasons(
    database: Database, rules: Rules, usable: Iterable[str], instances: Mapping[str, Sequence[str]]
) -> dict[str, Reason]:
    """Return the usable targets that are for a database; an event of a cluster's member is one of the cluster."""
    events = (database.resource, *database.members)
    selected = [_selected(one, rules) for one in events]
    found: dict[str, Reason] = {}
    for reason in ("tag", "pattern"):
        found |= {name: reason for one in selected if one.reason == reason for name in one.names if name not in found}
    for resource in events:
        found |= {name: "association" for name in instances.get(resource.name.lower(), ()) if name not in found}
    found |= {name: FALLBACK for one in selected if one.reason == FALLBACK for name in one.names if name not in found}
    return {name: reason for name, reason in found.items() if name in usable}


def _selected(resource: Resource, rules: Rules) -> selection.Selection:
    trigger = Trigger("rds", resource.arn, source_arn=resource.arn)
    return rules.select(trigger, tagged_names(resource.tags.get(TARGET_TAG)))


def _some(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:MAX_NAMED]) + (f" and {len(shown) - MAX_NAMED} more" if len(shown) > MAX_NAMED else "")
