"""Groups: the target of each association that a fleet does not have yet. Pure.

A group is a target that `inventory --write` made and nobody has edited. It has associations of one client, 25 at most, each
with the ARNs of its databases. It only ever grows at its end, so a new database changes one file.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from rds_snap_backup.selection import Rule
from rds_snap_backup.targets import Association, Target, parse_target
from rds_snap_backup.triggers import MAX_TARGET_NAME, Trigger
from rds_snap_backup_cli.fleet.files import ADVANCED_BYTES, GROUP, REFERENCE, TARGETS, Fleet, stored_text
from rds_snap_backup_cli.fleet.writing import to_yaml

# Of the 8 KB that a parameter holds; the fleet's defaults have the rest.
GROUP_BYTES = ADVANCED_BYTES - 1024
NUMBER_LENGTH = len("-9999")
OTHER = re.compile(r"[^A-Za-z0-9_.-]+")

type SubclientNames = tuple[str, str, str]
type Group = tuple[Association, ...]


def exact_associations(rows: Iterable[Mapping[str, Any]]) -> list[Association]:
    """Return the associations of an inventory's exact rows by name, each with the ARNs of its databases."""
    found: dict[SubclientNames, Association] = {}
    for row in rows:
        if row["match"] == "exact" and not row.get("excluded"):
            names = (row["clientName"], row["instanceName"], row["subclientName"])
            known = found.get(names, Association(*names, display_name=names[0], databases=()))
            found[names] = replace(known, databases=(*(known.databases or ()), row["arn"]))
    return [found[names] for names in sorted(found)]


def is_storable(association: Association) -> bool:
    """Tell whether a parameter and a template may hold an association's names."""
    return not any(REFERENCE in name for name in association.names)


class Covered:
    """What the targets of a fleet back up, and in which file, for a stack of this account."""

    def __init__(self, fleet: Fleet, own_account: str) -> None:
        self._own_account = own_account
        self.associations: dict[Association, str] = {}
        self._by_names: dict[SubclientNames, str] = {}
        self._by_arn: dict[str, str] = {}
        self._rules: list[tuple[Rule, str]] = []
        for entry in fleet.entries.values():
            target = parse_target(entry.name, entry.file, stored_text(entry.document))
            self.associations |= dict.fromkeys(target.request.associations, entry.file)
            self._by_names |= {item.names: entry.file for item in target.request.associations}
            # A target's own `databases` do not say in which subclient a database is, and `*` names none.
            arns, globs = arns_and_globs(target)
            self._by_arn |= dict.fromkeys(arns, entry.file)
            if any(globs):
                rule = replace(Rule.of(target), own=globs, databases=(), rds_event_ids=None)
                self._rules.append((rule, entry.file))

    def file_of(self, names: SubclientNames, arns: Iterable[str] = ()) -> str | None:
        """Return the file that has an association, or that names one of its databases for another association."""
        return self._by_names.get(names) or next(filter(None, map(self._naming, arns)), None)

    def file_of_row(self, row: Mapping[str, Any]) -> str | None:
        """Return the file that has the association of an inventory's row."""
        names = (row["clientName"], row["instanceName"], row["subclientName"])
        return self.file_of(names, [row["arn"]] if row["arn"] else ())

    def _naming(self, arn: str) -> str | None:
        if file := self._by_arn.get(arn.lower()):
            return file
        event = Trigger("rds", arn, source_arn=arn, account=arn.split(":")[4])
        for rule, file in self._rules:
            reason, positions = rule.select(event, self._own_account, is_tagged=False)
            if positions and reason == "pattern":
                return file
        return None


def arns_and_globs(target: Target) -> tuple[list[str], tuple[tuple[str, ...], ...]]:
    """Return the ARNs that a target's associations name, and the other patterns of each: a fleet has thousands of ARNs."""
    own = [association.databases or () for association in target.request.associations]
    arns = [arn.lower() for patterns in own for arn in patterns if is_arn(arn)]
    globs = tuple(tuple(pattern for pattern in patterns if not is_arn(pattern)) for patterns in own)
    return [arn for arn in arns if not target.accounts or arn.split(":")[4] in target.accounts], globs


@dataclass(frozen=True)
class Extension:
    """What is to be added to a fleet: the texts of files to write, and how many associations they have more."""

    files: Mapping[str, str]
    added: int


def extend(fleet: Fleet, covered: Covered, texts: Mapping[str, str], exact: Iterable[Association]) -> Extension:
    """Put each association that no file has yet into a group. `texts` are those of the fleet's files, by file."""
    new = [item for item in exact if not covered.file_of(item.names, item.databases or ())]
    groups = {
        entry.name: group
        for entry in fleet.entries.values()
        if (group := as_group(entry.document)) and texts[entry.file] == to_yaml(group_document(group))
    }
    changed = place_in_groups(new, groups, fleet.entries)
    return Extension(
        {f"{TARGETS}/{name}.yaml": to_yaml(group_document(group)) for name, group in changed.items()}, len(new)
    )


def place_in_groups(
    associations: Iterable[Association], groups: Mapping[str, Group], taken: Collection[str]
) -> dict[str, Group]:
    """Return the groups that change, whole, by the target's name; `taken` are the names of all targets."""
    used = {name.casefold() for name in taken}
    by_client: dict[str, dict[str, Group]] = {}
    for name in sorted(groups, key=lambda name: (len(name), name)):
        by_client.setdefault(groups[name][0].client_name, {})[name] = groups[name]
    changed: dict[str, Group] = {}
    for association in associations:
        own = by_client.setdefault(association.client_name, {})
        name = next((name for name, group in own.items() if has_room(group, association)), "")
        if not name:
            name = free_name(association.client_name, used)
            used.add(name.casefold())
        changed[name] = own[name] = (*own.get(name, ()), association)
    return changed


def has_room(group: Group, association: Association) -> bool:
    """Tell whether a group can have one more association."""
    document = group_document((*group, association))
    return len(group) < GROUP and len(stored_text(document).encode()) <= GROUP_BYTES


def free_name(client: str, used: Collection[str]) -> str:
    """Return the name of a client's next group; some file systems do not tell upper and lower case apart."""
    begin = OTHER.sub("-", client)[: MAX_TARGET_NAME - NUMBER_LENGTH].strip("-.") or "group"
    return next(name for number in count(1) if (name := f"{begin}-{number}").casefold() not in used)


def group_document(group: Sequence[Association]) -> dict[str, Any]:
    """Return a group's document, without what the fleet's defaults give."""
    return {
        "associations": [
            {
                "clientName": item.client_name,
                "instanceName": item.instance_name,
                "subclientName": item.subclient_name,
                "databases": list(item.databases or ()),
            }
            for item in group
        ]
    }


def as_group(document: Mapping[str, Any]) -> Group | None:
    """Return the associations of a valid document that can be a group's, None for any other."""
    group = tuple(map(Association.from_json, document["associations"]))
    is_group = len({item.client_name for item in group}) == 1 and all(
        item.databases and all(map(is_arn, item.databases)) for item in group
    )
    return group if is_group and len(group) <= GROUP else None


def is_arn(pattern: str) -> bool:
    """Tell whether a pattern is the ARN of one database."""
    return pattern.startswith("arn:") and not set(pattern) & set("*?[") and pattern.count(":") >= 6


def missing_rows(
    associations: Mapping[Association, str], rows: Sequence[Mapping[str, Any]], unread: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows of a fleet's associations (with their files) that Commvault, or whose databases RDS, no longer shows.

    What could not be read is not missing.
    """
    subclients = {(row["clientName"], row["instanceName"], row["subclientName"]) for row in rows}
    arns = {str(row["arn"]).lower() for row in rows}
    places = {(item["account"], item["region"]) for item in unread}
    is_commvault_read = (None, None) not in places
    found = []
    for association, file in associations.items():
        client, instance, subclient = association.names
        row = {"match": "missing", "clientName": client, "instanceName": instance, "subclientName": subclient}
        named = list(filter(is_arn, association.databases or ()))
        gone: list[str | None] = [
            arn for arn in named if arn.lower() not in arns and (arn.split(":")[4], arn.split(":")[3]) not in places
        ]
        if is_commvault_read and association.names not in subclients:
            gone = gone or [*named] or [None]
        found += [{**row, "arn": arn, "engine": None, "file": file} for arn in gone]
    return found
