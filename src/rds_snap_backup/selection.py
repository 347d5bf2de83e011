"""Which targets an RDS event selects, by its database's tag and the documents' patterns. Pure: what the documents say.

The Submit function selects by it, and the audit asks by it which databases no event would select a target for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, Self, TypeIs

from rds_snap_backup.triggers import ALL, Trigger
from rds_snap_backup.untrusted import NotJson, is_name, read_json

type Reason = Literal["tag", "pattern", "fallback"]


@dataclass(frozen=True)
class Rule:
    """Which RDS events a document selects. One whose `databases` cannot be read is selected by name alone."""

    patterns: tuple[str, ...] = ()
    rds_event_ids: tuple[str, ...] | None = None
    allows_tag: bool = True

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a document as far as it can be read."""
        try:
            document = read_json(text)
        except NotJson:
            return cls()
        if not isinstance(document, dict) or not is_texts(databases := document.get("databases", [])):
            return cls()
        event_ids = document.get("rdsEventIds")
        return cls(
            # RDS keeps its names in lower case, whatever case they were written in.
            tuple(pattern.lower() for pattern in databases),
            tuple(event_ids) if is_texts(event_ids) else None,
            document.get("allowTag") is not False,
        )

    def matches(self, trigger: Trigger) -> bool:
        """Tell whether a pattern other than `*` alone matches the event's database, and its event ID is listed."""
        arn, database = (trigger.source_arn or "").lower(), trigger.database.lower()
        return self._lists(trigger) and any(
            fnmatchcase(arn if pattern.startswith("arn:") else database, pattern)
            for pattern in self.patterns
            if pattern != ALL
        )

    def is_fallback_for(self, trigger: Trigger) -> bool:
        """Tell whether the pattern `*` alone is among the patterns: it counts where no other target matches."""
        return ALL in self.patterns and self._lists(trigger)

    def _lists(self, trigger: Trigger) -> bool:
        return self.rds_event_ids is None or trigger.rds_event_id in self.rds_event_ids


@dataclass(frozen=True)
class Selection:
    """The targets that an event selects, all for one reason; `unknown` are names in its tag that no document has."""

    reason: Reason
    names: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """The rules of all documents, by the target's name."""

    rules: Mapping[str, Rule]

    @classmethod
    def read(cls, documents: Mapping[str, str]) -> Self:
        """Read all documents as far as they can be read."""
        return cls({name: Rule.read(text) for name, text in documents.items()})

    def of_any_event(self) -> Self:
        """Return the rules without their `rdsEventIds`: as if every event of a database were listed."""
        return replace(self, rules={name: replace(rule, rds_event_ids=None) for name, rule in self.rules.items()})

    def select(self, trigger: Trigger, tagged: Sequence[str]) -> Selection:
        """Return what an event selects: its tag comes before the patterns, of which `*` alone is a fallback.

        A tag selects no `*`. Of its names those that have a document are used, unless that one does not allow tags.
        """
        unknown = tuple(name for name in tagged if name not in self.rules and name != ALL)
        if by_tag := tuple(name for name in tagged if name in self.rules and self.rules[name].allows_tag):
            return Selection("tag", by_tag, unknown)
        if matched := tuple(name for name, rule in self.rules.items() if rule.matches(trigger)):
            return Selection("pattern", matched, unknown)
        fallback = tuple(name for name, rule in self.rules.items() if rule.is_fallback_for(trigger))
        return Selection("fallback", fallback, unknown)


def is_texts(value: Any) -> TypeIs[list[str]]:
    """Tell whether this is a list of texts that can stand in a message as they are."""
    return isinstance(value, list) and all(map(is_name, value))
