"""Additions: the association of each instance group that has no target yet. Pure.

They go to targets that `inventory --write` made and nobody has edited: associations of one client, 25 at most. Such a
target only ever grows at its end, so a new group changes one file.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any

from rds_snap_backup.targets import NAMES, Association
from rds_snap_backup.triggers import MAX_TARGET_NAME
from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.fleet.files import ADVANCED_BYTES, MOST_ASSOCIATIONS, REFERENCE, TARGETS, Fleet, stored_text
from rds_snap_backup_cli.fleet.writing import to_yaml
from rds_snap_backup_cli.output import counted

# Of the 8 KB that a parameter holds; the fleet's defaults have the rest.
MAX_BYTES = ADVANCED_BYTES - 1024
NUMBER_LENGTH = len("-9999")
OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
HEAD_LINE = "associations:\n"
DATABASES_LINE = "    databases:\n"
REMARK = "    # Content: "
BY_NAME = "its name"

# client, instance and subclient
type GroupNames = tuple[str, str, str]
type Row = Mapping[str, Any]


@dataclass(frozen=True)
class Addition:
    """A group's association. `remark` is its content where that says more than `databases` do, with what to do."""

    association: Association
    remark: str = ""

    @property
    def client(self) -> str:
        """The client's name."""
        return self.association.client_name

    def to_json(self) -> dict[str, Any]:
        """Return the item of a document's `associations`."""
        databases = self.association.databases
        names = dict(zip(NAMES, self.association.names, strict=True))
        return names | ({"databases": list(databases)} if databases else {})

    def __str__(self) -> str:
        """Return the item as the lines of a file."""
        lines = to_yaml({"associations": [self.to_json()]}).removeprefix(HEAD_LINE)
        if not self.remark:
            return lines
        names, databases_line, databases = lines.partition(DATABASES_LINE)
        return f"{names}{REMARK}{self.remark}\n{databases_line}{databases}"


def additions_of(rows: Sequence[Row]) -> Iterator[Addition]:
    """Yield an addition for each group of an inventory's rows that no target names, by name.

    Of a group that selects no database, or whose name a document must not have, it has no `databases`.
    """
    by_group: dict[GroupNames, list[Row]] = {}
    for row in rows:
        if row["clientName"] and row["targets"] == []:
            by_group.setdefault((row["clientName"], row["instanceName"], row["subclientName"]), []).append(row)
    arns = frozenset(str(row["arn"]) for row in rows if row["arn"])
    for names in sorted(by_group):
        yield _addition(Association(*names, display_name=names[0]), by_group[names], arns)


def reason_to_leave_out(addition: Addition) -> str | None:
    """Return why an addition is not written, None if it is."""
    if any(REFERENCE in name for name in addition.association.names):
        return f"A document must not have {REFERENCE}."
    if addition.association.databases is None:
        return "It selects no database for certain."
    return None


def _addition(association: Association, rows: Sequence[Row], arns: Collection[str]) -> Addition:
    by_arn = {str(row["arn"]): row for row in rows if row["arn"]}

    @cache
    def is_whole(place: str, by: str) -> bool:
        return bool(place) and all(arn in by_arn for arn in arns if _place(arn, by) == place)

    found: dict[str, bool] = {}  # each pattern, and whether it is the content's own
    for arn in sorted(arn for arn, row in by_arn.items() if not row["excluded"]):
        by = str(by_arn[arn]["selectedBy"])
        place = _place(arn, by)
        found[place if is_whole(place, by) else arn] = is_whole(place, by) or by == BY_NAME
    if not found:
        return Addition(association)
    content = clean_text(str(rows[0]["content"]))
    addition = Addition(replace(association, databases=tuple(found)))
    if size_of([addition]) > MAX_BYTES:
        number = counted(len(found), "database")
        remark = f"{content}. Its {number} do not fit in a document: write patterns that match them."
        return Addition(replace(association, databases=()), remark)
    if all(found.values()):
        return addition
    return replace(addition, remark=f"{content}. These databases match today; add new ones here.")


def _place(arn: str, by: str) -> str:
    """Return the pattern of all databases of the region or account of an ARN, if this part of a content selects those."""
    *begin, region, account, _, _ = arn.split(":", 6)
    if by == "everything":
        return ":".join([*begin, "*", account, "*"])
    return ":".join([*begin, region, account, "*"]) if by == f"region {region}" else ""


# ---- The files


def files_of(fleet: Fleet) -> dict[GroupNames, str]:
    """Return the file of each group that a fleet's targets name."""
    return {
        (item["clientName"], item["instanceName"], item["subclientName"]): entry.file
        for entry in fleet.entries.values()
        for item in entry.document["associations"]
    }


def extend(fleet: Fleet, texts: Mapping[str, str], additions: Iterable[Addition]) -> dict[str, str]:
    """Return the files that change when additions are put into targets. `texts` are those of the fleet's files, by file."""
    before = {entry.name: texts[entry.file] for entry in fleet.entries.values()}
    made = {name: found for name, text in before.items() if (found := _made(fleet.entries[name].document, text))}
    grown = _placed(additions, made, before)
    return {
        f"{TARGETS}/{name}.yaml": before.get(name, HEAD_LINE) + "".join(map(str, some)) for name, some in grown.items()
    }


def _placed(
    additions: Iterable[Addition], made: Mapping[str, Sequence[Addition]], taken: Collection[str]
) -> dict[str, list[Addition]]:
    """Return the additions of each target; `taken` are the names of all targets."""
    used = {name.casefold() for name in taken}
    by_client: dict[str, dict[str, list[Addition]]] = {}
    for name in sorted(made, key=lambda name: (len(name), name)):
        by_client.setdefault(made[name][0].client, {})[name] = list(made[name])
    placed: dict[str, list[Addition]] = {}
    for addition in additions:
        own = by_client.setdefault(addition.client, {})
        name = next((name for name, some in own.items() if has_room(some, addition)), "")
        if not name:
            name = free_name(addition.client, used)
            used.add(name.casefold())
        own.setdefault(name, []).append(addition)
        placed.setdefault(name, []).append(addition)
    return placed


def _made(document: Mapping[str, Any], text: str) -> list[Addition] | None:
    """Return the additions of a target's file if it is as it was written, None if it is not."""
    found = [Addition(Association.from_json(item)) for item in document["associations"]]
    patterns = [pattern for addition in found for pattern in addition.association.databases or ("",)]
    if len({addition.client for addition in found}) != 1 or not all(map(is_arn, patterns)):
        return None
    lines = text.splitlines(keepends=True)
    plain = "".join(line for line in lines if not line.startswith(REMARK))
    return found if plain == to_yaml({"associations": [addition.to_json() for addition in found]}) else None


def is_arn(pattern: str) -> bool:
    """Tell whether a pattern is one of ARNs."""
    return pattern.startswith("arn:")


def has_room(some: Sequence[Addition], addition: Addition) -> bool:
    """Tell whether a target can have one more association. Nothing follows one whose databases are to be written."""
    more = [*some, addition]
    return (
        len(more) <= MOST_ASSOCIATIONS and size_of(more) <= MAX_BYTES and all(it.association.databases for it in more)
    )


def size_of(additions: Iterable[Addition]) -> int:
    """Return the bytes of a document."""
    return len(stored_text({"associations": [addition.to_json() for addition in additions]}).encode())


def free_name(client: str, used: Collection[str]) -> str:
    """Return the name of a client's next target; some file systems do not tell upper and lower case apart."""
    begin = OTHER.sub("-", client)[: MAX_TARGET_NAME - NUMBER_LENGTH].strip("-.") or "group"
    return next(name for number in count(1) if (name := f"{begin}-{number}").casefold() not in used)
