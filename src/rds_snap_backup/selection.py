"""Selection: which targets, and which of their associations, an RDS event starts. Pure.

The first of these that names any association decides: the targets named in the database's tag, the patterns in
`databases`, and the pattern `*` alone, a fallback.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Self

from rds_snap_backup.targets import Association, Target, is_accounts, is_texts
from rds_snap_backup.triggers import ALL, GREEN_INFIX, MAX_TARGET_NAME, Trigger
from rds_snap_backup.untrusted import NotJson, list_in, read_json

type Reason = Literal["tag", "pattern", "fallback"]
# What selected a target: an event's reason, or that the trigger names the target, or all of them.
type SelectedBy = Reason | Literal["name", "all"]


@dataclass(frozen=True)
class Rule:
    """Which events a document selects. `own` are the patterns of each association, None for one without any."""

    own: tuple[tuple[str, ...] | None, ...]
    databases: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    rds_event_ids: tuple[str, ...] | None = None
    allow_tag: bool = True

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return the rule of a target."""
        return cls(
            tuple(association.databases for association in target.request.associations),
            target.databases,
            target.accounts,
            target.rds_event_ids,
            target.allow_tag,
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a document as far as possible: without readable `databases` it is selected by name only."""
        by_name_only = cls(own=(None,))
        try:
            document = read_json(text)
        except NotJson:
            return by_name_only
        if not isinstance(document, dict):
            return by_name_only
        associations = [item for item in list_in(document, "associations") if isinstance(item, dict)] or [{}]
        own, databases = [association.get("databases") for association in associations], document.get("databases", [])
        if not is_texts(databases) or not all(patterns is None or is_texts(patterns) for patterns in own):
            return by_name_only
        accounts, event_ids = document.get("accounts"), document.get("rdsEventIds")
        return cls(
            tuple(None if patterns is None else tuple(patterns) for patterns in own),
            tuple(databases),
            tuple(accounts) if is_accounts(accounts) else (),
            tuple(event_ids) if is_texts(event_ids) else None,
            document.get("allowTag") is not False,
        )

    def select(self, trigger: Trigger, own_account: str, *, is_tagged: bool) -> tuple[Reason, tuple[int, ...]]:
        """Return the positions of the associations that an RDS event selects, and why; none if it selects none.

        A green database, which has its blue one's tags, is selected only by patterns with `-green-`.
        """
        names_count = trigger.account in (self.accounts or (own_account,))
        arns_count = names_count or not self.accounts
        arn, database = (trigger.source_arn or "").lower(), trigger.database.lower()

        def matches(patterns: tuple[str, ...]) -> bool:
            # RDS keeps its names in lower case.
            return any(
                arns_count and fnmatchcase(arn, pattern)
                if pattern.startswith("arn:")
                else names_count and fnmatchcase(database, pattern)
                for pattern in map(str.lower, patterns)
                if GREEN_INFIX in pattern or not trigger.is_green
            )

        def where(is_meant: Callable[[tuple[str, ...]], bool], each: tuple[tuple[str, ...], ...]) -> tuple[int, ...]:
            return tuple(position for position, patterns in enumerate(each) if is_meant(patterns))

        if is_tagged and self.allow_tag and names_count and not trigger.is_green:
            own = tuple(patterns or () for patterns in self.own)
            if tagged := where(matches, own) if any(own) else tuple(range(len(own))):
                return "tag", tagged
        if self.rds_event_ids is not None and trigger.rds_event_id not in self.rds_event_ids:
            return "fallback", ()
        each = tuple(self.databases if patterns is None else patterns for patterns in self.own)
        if matched := where(lambda patterns: matches(tuple(item for item in patterns if item != ALL)), each):
            return "pattern", matched
        return "fallback", where(lambda patterns: names_count and not trigger.is_green and ALL in patterns, each)


@dataclass(frozen=True)
class Selection:
    """The targets that an event selects, all for one reason. `unknown`: if no name in its tag exists, the first one."""

    reason: Reason
    names: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """The rules of all documents by the target's name, in a stack of this account."""

    rules: Mapping[str, Rule]
    own_account: str

    @classmethod
    def read(cls, documents: Mapping[str, str], own_account: str) -> Self:
        """Read all documents as far as possible."""
        return cls({name: Rule.read(text) for name, text in documents.items()}, own_account)

    def select(self, trigger: Trigger) -> Selection:
        """Return the targets that an RDS event selects. A tag selects no `*`."""
        found: dict[Reason, list[str]] = {"tag": [], "pattern": [], "fallback": []}
        for name, rule in self.rules.items():
            reason, positions = rule.select(trigger, self.own_account, is_tagged=name in trigger.tagged)
            if positions:
                found[reason].append(name)
        # One event is one refusal, however many names it has.
        unknown = tuple(_short(name) for name in trigger.tagged if name != ALL)[:1]
        if not self._admits_tags(trigger) or not self.rules.keys().isdisjoint(trigger.tagged):
            unknown = ()
        for reason, names in found.items():
            if names:
                return Selection(reason, tuple(names), unknown)
        return Selection("fallback", (), unknown)

    def _admits_tags(self, trigger: Trigger) -> bool:
        """Tell whether a tag of the event's database can start any target."""
        if trigger.is_green:
            return False
        return trigger.account == self.own_account or any(trigger.account in it.accounts for it in self.rules.values())


def selected_associations(target: Target, trigger: Trigger, own_account: str) -> tuple[Association, ...]:
    """Return the associations of a target that become backups: all, or those that an RDS event selects."""
    associations = target.request.associations
    if trigger.kind != "rds":
        return associations
    _, positions = Rule.of(target).select(trigger, own_account, is_tagged=target.name in trigger.tagged)
    return tuple(associations[position] for position in positions)


def _short(name: str) -> str:
    """Return a name that is too long for a target's in a form that is still none."""
    return name if len(name) <= MAX_TARGET_NAME else f"{name[: MAX_TARGET_NAME - 1]}…"
