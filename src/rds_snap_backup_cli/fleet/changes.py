"""What `apply` would change: a fleet's files against what is stored. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import Association, BackupRequest, Target, parse_target
from rds_snap_backup_cli.fleet.files import Fleet, Schedule, stored_text
from rds_snap_backup_cli.fleet.stored import Mark, Stored, StoredSchedule, StoredTarget, digest
from rds_snap_backup_cli.schedule import schedule_name

type Action = Literal["+", "~", "-", "!"]
type Kind = Literal["document", "schedule"]
type Fields = Mapping[str, Any]

# The value of an association.
PRESENT = "yes"
GLOB = frozenset("*?[")
SEPARATORS = frozenset('/:"')


@dataclass(frozen=True)
class Difference:
    """A field that is stored with another value than the files want; None: it is not there."""

    field: str
    stored: Any
    wanted: Any


@dataclass(frozen=True)
class Change:
    """What happens to a target's document or schedule: `+` made, `~` changed, `-` removed, `!` a conflict, for `reason`.

    `version` is that of the stored parameter. `loses` names the databases that no enabled target names afterwards.
    """

    action: Action
    kind: Kind
    target: str
    differences: tuple[Difference, ...] = ()
    reason: str = ""
    version: int | None = None
    loses: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form of a plan's file."""
        return asdict(self) | {
            "loses": list(self.loses),
            "differences": [asdict(difference) for difference in self.differences],
        }


@dataclass(frozen=True)
class Changes:
    """All changes, by target. `unmarked` are targets that are as the files want them, and bear no mark.

    `after` is the stack as `apply` leaves it, with `-` done if it prunes.
    """

    changes: tuple[Change, ...]
    unmarked: tuple[str, ...]
    after: "State"


@dataclass(frozen=True)
class Due:
    """A schedule: what it backs up (`*`: all targets), and when."""

    target: str
    expression: str
    timezone: str


@dataclass(frozen=True)
class State:
    """The valid documents by target, and the enabled schedules by their names: as they are, or as they will be."""

    targets: Mapping[str, Target]
    schedules: Mapping[str, Due]


@dataclass(frozen=True)
class Wish:
    """For which stack and account changes are looked for, whether what bears no mark gets it, and whether `-` is done."""

    stack: str
    account: str
    adopt: bool = False
    prune: bool = False


@dataclass(frozen=True)
class Held:
    """A stored document or schedule: its fields, its owner, and whether it is what `apply` wrote last."""

    fields: Fields
    fleet: str | None
    is_as_written: bool
    edit: str = "edited by hand"
    is_foreign: bool = False

    @classmethod
    def document(cls, stored: StoredTarget | None) -> Self | None:
        """Return a stored document."""
        if not stored:
            return None
        by = f" by {stored.changed_by}" if stored.changed_by else ""
        return cls(
            fields=fields_of(stored.name, stored.text),
            fleet=stored.fleet,
            is_as_written=stored.fleet is not None and stored.mark == Mark(stored.fleet, digest(stored.content)),
            edit=f"edited by hand: version {stored.version}{by}",
        )

    @classmethod
    def schedule(cls, stored: StoredSchedule | None, target: str) -> Self | None:
        """Return a stored schedule that has the name of a target's."""
        if not stored:
            return None
        mark = stored.mark
        return cls(
            fields=stored.content,
            fleet=mark.fleet if mark else None,
            is_as_written=mark is not None and mark.digest == digest(stored.content),
            is_foreign=stored.target != target,
        )


def compare(fleet: Fleet, stored: Stored, wish: Wish) -> Changes:
    """Return what is to be written so that the stack holds what the files say."""
    schedules = stored.all_schedules
    own = (
        schedule.target
        for schedule in schedules.values()
        if schedule.target and schedule.name == schedule_name(wish.stack, schedule.target)
    )
    names = {*fleet.entries, *stored.targets, *own}
    changes: list[Change] = []
    unmarked: list[str] = []
    for name in sorted(names):
        entry, target = fleet.entries.get(name), stored.targets.get(name)
        schedule = schedules.get(schedule_name(wish.stack, name))
        sides: tuple[tuple[Kind, Held | None, Fields | None], ...] = (
            ("document", Held.document(target), fields_of(name, stored_text(entry.document)) if entry else None),
            (
                "schedule",
                Held.schedule(schedule, name),
                content_of(entry.schedule) if entry and entry.schedule else None,
            ),
        )
        for kind, held, wanted in sides:
            match judge(held, wanted, fleet.name, adopt=wish.adopt):
                case "unmarked":
                    unmarked.append(name)
                case action, reason, found:
                    version = target.version if target and kind == "document" else None
                    changes.append(Change(action, kind, name, found, reason, version))
    before = state_of(stored)
    named = Named.by(state_after(before, fleet, changes, replace(wish, prune=True)).targets.values(), wish.account)
    shown = (
        replace(change, loses=Named.by([before.targets[change.target]], wish.account).lost(named, wish.account))
        if change.kind == "document" and change.target in before.targets
        else change
        for change in changes
    )
    return Changes(tuple(shown), tuple(dict.fromkeys(unmarked)), state_after(before, fleet, changes, wish))


type Judgement = tuple[Action, str, tuple[Difference, ...]] | Literal["unmarked"] | None


def judge(held: Held | None, wanted: Fields | None, fleet: str, *, adopt: bool) -> Judgement:
    """Return what to do about a document or schedule, and why it is a conflict. None: nothing."""
    if held is None:
        return None if wanted is None else ("+", "", differences(None, wanted))
    if wanted is None and held.fleet != fleet:
        return None
    found = () if wanted is None else differences(held.fields, wanted)
    if held.is_foreign:
        return "!", "another one of this name, which does something else. Delete or rename it", found
    if held.fleet not in {None, fleet}:
        return "!", f"owned by the fleet {held.fleet}", found
    is_ours = held.fleet == fleet and held.is_as_written
    reason = held.edit if held.fleet else "owned by no fleet"
    if not is_ours and not adopt:
        return "unmarked" if wanted is not None and not found else ("!", f"{reason}; --adopt takes it over", found)
    if wanted is None:
        return "-", "", ()
    if not is_ours:
        found = (*found, Difference("mark", reason, f"fleet {fleet}"))
    return ("~", "", found) if found else None


# ---- Fields


def fields_of(name: str, text: str) -> Fields:
    """Return a document's fields with the product's defaults. What has no order is sorted; of an association, each has its own."""
    try:
        target = parse_target(name, name, text)
    except InvalidInput as invalid:
        return {"document": invalid.problem.message}
    own = [association_fields(association) for association in target.request.associations]
    return {field: value for fields in (*own, target_fields(target)) for field, value in fields.items()}


def association_fields(association: Association) -> Fields:
    """Return the fields of an association."""
    # In quotes where a name has what separates them: no two associations have one label.
    label = " / ".join(
        json.dumps(name, ensure_ascii=False) if SEPARATORS & set(name) else name for name in association.names
    )
    fields: dict[str, Any] = {label: PRESENT}
    if association.databases is not None:
        fields[f"{label}: databases"] = sorted(association.databases)
    if association.display_name != association.client_name:
        fields[f"{label}: displayName"] = association.display_name
    return fields


def target_fields(target: Target) -> Fields:
    """Return the fields of a target but its associations and its fleet."""
    request = {name: value for name, value in target.request.to_json().items() if name != "associations"}
    ids = target.rds_event_ids
    fields = {
        "databases": sorted(target.databases) or None,
        "accounts": sorted(target.accounts) or None,
        "rdsEventIds": None if ids is None else sorted(ids),
        "allowTag": target.allow_tag,
        "gatherMinutes": target.gather_minutes,
        "retryFailedJobs": target.retry_failed_jobs,
        "maxAgeHours": target.max_age_hours,
        "enabled": target.enabled,
    }
    return {name: value for name, value in (request | fields).items() if value is not None}


DEFAULTS = target_fields(Target("", BackupRequest(())))


def differences(stored: Fields | None, wanted: Fields) -> tuple[Difference, ...]:
    """Return the fields with different values; of a new document those that are not the default."""
    if stored is None:
        return tuple(Difference(name, None, value) for name, value in wanted.items() if DEFAULTS.get(name) != value)
    both = {**stored, **wanted}
    pairs = ((name, stored.get(name), wanted.get(name)) for name in both)
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


# ---- The stack before and after


def content_of(schedule: Schedule) -> Fields:
    """Return when a schedule is due, as `StoredSchedule.content` does."""
    return {"expression": schedule.expression, "timezone": schedule.timezone}


def state_of(stored: Stored) -> State:
    """Return the stack as it is."""
    return State(
        targets=dict(parsed({name: one.text for name, one in stored.targets.items()})),
        schedules={
            name: Due(one.target, one.expression, one.timezone)
            for name, one in stored.all_schedules.items()
            if one.target and one.is_enabled
        },
    )


def state_after(before: State, fleet: Fleet, changes: Iterable[Change], wish: Wish) -> State:
    """Return the stack as `apply` leaves it."""
    targets, schedules = dict(before.targets), dict(before.schedules)
    for change in changes:
        entry, name = fleet.entries.get(change.target), schedule_name(wish.stack, change.target)
        match change:
            case Change("+" | "~", "document") if entry:
                targets |= dict(parsed({entry.name: stored_text(entry.document)}))
            case Change("-", "document") if wish.prune:
                targets.pop(change.target, None)
            case Change("+", "schedule") if entry and entry.schedule:
                schedules[name] = Due(entry.name, entry.schedule.expression, entry.schedule.timezone)
            case Change("~", "schedule") if entry and entry.schedule and name in schedules:  # a disabled one stays so
                schedules[name] = Due(entry.name, entry.schedule.expression, entry.schedule.timezone)
            case Change("-", "schedule") if wish.prune:
                schedules.pop(name, None)
    return State(targets, schedules)


def parsed(texts: Mapping[str, str]) -> Iterator[tuple[str, Target]]:
    """Yield the targets whose documents are valid."""
    for name, text in texts.items():
        try:
            yield name, parse_target(name, name, text)
        except InvalidInput:
            continue


# ---- Protection


type Place = tuple[str, str]


@dataclass(frozen=True)
class Named:
    """The databases that enabled targets name, as patterns of account and name.

    `own` are those of single associations: their databases, else their instances. `shared` are a target's, for all of them.
    """

    own: frozenset[Place]
    shared: frozenset[Place]

    @classmethod
    def by(cls, targets: Iterable[Target], account: str) -> Self:
        """Return what targets name; a name without an account is one of the stack's own `account`."""
        own: set[Place] = set()
        shared: set[Place] = set()
        for target in targets:
            accounts = target.accounts or (account,)
            for association in target.request.associations if target.enabled else ():
                if association.databases is None:
                    shared.update(places(target.databases, accounts))
                own.update(places(association.databases or (association.instance_name,), accounts))
        return cls(frozenset(own), frozenset(shared))

    def lost(self, after: Self, account: str) -> tuple[str, ...]:
        """Return what nobody names afterwards. A pattern of all associations does not replace one of them."""
        lost = {*unmatched(self.own, after.own), *unmatched(self.shared, after.own | after.shared)}
        return tuple(sorted(name if place == account else f"{name} ({place})" for place, name in lost))


def places(patterns: Iterable[str], accounts: Iterable[str]) -> Iterator[Place]:
    """Yield account and name of patterns; an ARN has its own account."""
    for pattern in map(str.lower, patterns):
        match pattern.split(":"):
            case ["arn", _, _, _, account, _, name]:
                yield account, name
            case _:
                yield from ((account, pattern) for account in accounts)


def unmatched(before: frozenset[Place], after: frozenset[Place]) -> Iterator[Place]:
    """Yield the places of `before` that no pattern of `after` matches."""
    globs = [place for place in after if not GLOB.isdisjoint("".join(place))]
    for place in before - after:
        if not any(all(map(fnmatchcase, place, glob)) for glob in globs):
            yield place
