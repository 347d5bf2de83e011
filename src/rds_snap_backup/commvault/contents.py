"""The content of an instance group: which databases it selects. Pure.

Commvault's API pages and clients show a content as `cloudDbContent.children[]`, and exceptions in the same form in
`cloudDbFilter.children[]`. A part that is not understood is never guessed: it may select any database.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from rds_snap_backup.untrusted import clean_text, is_name

type Kind = Literal["instance", "cluster"]

# https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
REGION = re.compile(r"(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-[a-z]+)+-\d")
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html: an identifier has at most 63 characters.
MAX_IDENTIFIER = 63
MAX_RULES = 100
MAX_PATTERN = 500
# The most ways in which a rule can match one identifier: three parts of any length, for example.
MAX_WAYS = (MAX_IDENTIFIER + 1) ** 3
PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|\(\?|[*+?]|\{\d*,?\d*\}|.", re.DOTALL)
COUNTED = re.compile(r"\{(\d*)(,?)(\d*)\}")
MAX_SHOWN = 3


class Name(NamedTuple):
    """A database by its kind and lower-case identifier; `region` is empty if any region is meant."""

    kind: Kind
    identifier: str
    region: str = ""


@dataclass(frozen=True)
class Rule:
    """A regular expression that is searched in the identifier; negated, it selects the identifiers without a match."""

    pattern: str
    is_negated: bool = False
    region: str = ""

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def __str__(self) -> str:
        """Return the rule for people."""
        where = f" in {self.region}" if self.region else ""
        return f"{'not ' if self.is_negated else ''}rule {clean_text(self.pattern)}{where}"

    def selects(self, region: str, identifier: str) -> bool:
        """Tell whether the rule selects a database."""
        if self.region not in {"", region}:
            return False
        return (self._compiled.search(identifier[:MAX_IDENTIFIER]) is None) is self.is_negated


@dataclass(frozen=True)
class Selector:
    """One side of a content. `unclear` describes the parts that are not understood."""

    everything: bool = False
    regions: frozenset[str] = frozenset()
    names: frozenset[Name] = frozenset()
    rules: tuple[Rule, ...] = ()
    unclear: tuple[str, ...] = ()

    def reason(self, kind: Kind, region: str, identifier: str) -> str | None:
        """Return the part that selects a database, for people; None if no part that is understood selects it."""
        if self.names_it(kind, region, identifier):
            return "its name"
        if region in self.regions:
            return f"region {region}"
        rule = next((rule for rule in self.rules if rule.selects(region, identifier)), None)
        return str(rule) if rule else "everything" if self.everything else None

    def names_it(self, kind: Kind, region: str, identifier: str) -> bool:
        """Tell whether a part names exactly this database."""
        name = identifier.lower()
        return not self.names.isdisjoint({Name(kind, name, region), Name(kind, name)})

    def __str__(self) -> str:
        """Return the parts for people, a few of each kind."""
        parts = ["everything"] if self.everything else []
        parts += [f"region {region}" for region in sorted(self.regions)]
        parts += [str(rule) for rule in self.rules[:MAX_SHOWN]]
        names = sorted(name.identifier for name in self.names)
        parts += [f"{', '.join(names[:MAX_SHOWN])}{_more(len(names))}"] if names else []
        parts += [f"not understood: {'; '.join(self.unclear[:MAX_SHOWN])}"] if self.unclear else []
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Content:
    """What a group selects, and what is excepted from it."""

    selected: Selector
    excepted: Selector = field(default_factory=Selector)

    @property
    def unclear(self) -> tuple[str, ...]:
        """The parts that are not understood, for people."""
        return self.selected.unclear + self.excepted.unclear

    @property
    def regions(self) -> frozenset[str]:
        """The regions of its parts; an empty one is any region."""
        selected = self.selected
        named = {name.region for name in selected.names} | {rule.region for rule in selected.rules}
        return selected.regions | named | ({""} if selected.everything else set())

    def reason(self, kind: Kind, region: str, identifier: str) -> str | None:
        """Return the part that selects a database for certain; None if none does."""
        reason = self.selected.reason(kind, region, identifier)
        if reason is None or self.excepted.unclear or self.excepted.reason(kind, region, identifier):
            return None
        return reason

    def may_select(self, kind: Kind, region: str, identifier: str) -> bool:
        """Tell whether a database is selected, or would be if a part that is not understood selected it."""
        if not self.selected.unclear and self.selected.reason(kind, region, identifier) is None:
            return False
        return self.excepted.reason(kind, region, identifier) is None

    def names_it(self, kind: Kind, region: str, identifier: str) -> bool:
        """Tell whether the content selects a database by its name."""
        names_it = self.selected.names_it(kind, region, identifier)
        return names_it and self.reason(kind, region, identifier) is not None

    def __str__(self) -> str:
        """Return the content for people."""
        excepted = str(self.excepted)
        return clean_text(str(self.selected) + ("" if excepted == "nothing" else f" except {excepted}"))


def read_content(properties: Mapping[str, Any]) -> Content | None:
    """Return the content in a subclient's properties; None if they lack it, as a list of subclients may."""
    children = _children(properties.get("cloudDbContent"))
    if children is None:
        return None
    filters = properties.get("cloudDbFilter") or {}
    excepted = _children(filters)
    if excepted is None:
        # An empty object is sent for "no exceptions".
        unclear = () if filters == {} else ("cloudDbFilter has no list",)
        return Content(_selector(children), Selector(unclear=unclear))
    return Content(_selector(children), _selector(excepted))


def is_bounded(pattern: str) -> bool:
    """Tell whether a pattern is searched in bounded time; Python's `re` has no time limit.

    Look-around, back references, inline flags and repeated groups are refused, and so are patterns that can match an
    identifier in too many ways.
    """
    ways, last = 1, ""
    branches = [1]
    for part in PART.findall(pattern[: MAX_PATTERN + 1]):
        is_quantifier = part in {"*", "+", "?"} or COUNTED.fullmatch(part) is not None
        if part == "(?" or re.fullmatch(r"\\[1-9]", part) or (is_quantifier and last == ")"):
            return False
        if is_quantifier and not (part == "?" and last == "quantifier"):  # `*?` is a lazy `*`.
            ways *= _repetitions(part)
        elif part in {"(", "(?:"}:
            branches.append(1)
        elif part == "|":
            branches[-1] += 1
        elif part == ")" and len(branches) > 1:
            ways *= branches.pop()
        last = "quantifier" if is_quantifier else part
    return len(pattern) <= MAX_PATTERN and ways * branches[0] <= MAX_WAYS


def _repetitions(quantifier: str) -> int:
    """Return in how many ways a quantifier can repeat its part within an identifier."""
    counted = COUNTED.fullmatch(quantifier)
    if counted is None:
        return 2 if quantifier == "?" else MAX_IDENTIFIER + 1
    least, comma, most = counted.groups()
    if not comma:
        return 1
    return max(1, min(int(most or MAX_IDENTIFIER), MAX_IDENTIFIER) - min(int(least or 0), MAX_IDENTIFIER) + 1)


def _children(holder: object) -> list[Any] | None:
    children = holder.get("children") if isinstance(holder, dict) else None
    return children if isinstance(children, list) else None


def _selector(children: Iterable[Any]) -> Selector:
    everything = False
    regions: set[str] = set()
    names: set[Name] = set()
    rules: dict[Rule, None] = {}
    unclear: dict[str, None] = {}
    for child in children:
        match _part(child):
            case True:
                everything = True
            case Name() as name:
                names.add(name)
            case Rule() as rule if len(rules) < MAX_RULES:
                rules[rule] = None
            case Rule():
                unclear[f"more than {MAX_RULES} rules"] = None
            case ("region", region):
                regions.add(region)
            case str(text):
                unclear[text] = None
    return Selector(everything, frozenset(regions), frozenset(names), tuple(rules), tuple(unclear)[: 2 * MAX_SHOWN])


def _part(child: Any) -> Literal[True] | Name | Rule | tuple[Literal["region"], str] | str:
    """Return what a child selects: everything, a name, a rule or a region; a description if it is not understood."""
    if not isinstance(child, dict):
        return "a part that is no object"
    kind, name = child.get("type"), child.get("name")
    shown = f"type {clean_text(str(kind), 40)}" + (f" {clean_text(name, 80)}" if is_name(name) else "")
    is_negated = _flag(child.get("negation"))
    if not isinstance(kind, str) or is_negated is None or child.get("children"):
        return shown
    match kind.strip().lower():
        case "instancerule" if is_name(name):
            return _rule(name, is_negated, region_of(child.get("path")) or "") or f"rule {clean_text(name, 80)}"
        case _ if is_negated:
            return f"{shown}, negated"
        case "root":
            return True
        case "region":
            regions = filter(None, map(region_of, (child.get("path"), name, child.get("value"))))
            return next((("region", found) for found in regions), shown)
        case "instance" | "cluster" as named if is_name(name):
            path, value = child.get("path"), child.get("value")
            region = region_of(path) or (None if value == name else region_of(value))
            if region is None and (path or value not in {None, "", name}):
                return shown  # A place that is no region of AWS.
            return Name("cluster" if named == "cluster" else "instance", name.lower(), region or "")
        case _:
            return shown


def _rule(pattern: str, is_negated: bool, region: str) -> Rule | None:
    """Return a rule; None if it is no regular expression, or not one that is searched in bounded time."""
    if not is_bounded(pattern):
        return None
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None
    return Rule(pattern, is_negated, region)


def region_of(text: object) -> str | None:
    """Return the region with which a text begins, such as a zone or a `value`, which is region and name."""
    found = REGION.match(text.strip().lower()) if isinstance(text, str) else None
    return found[0] if found else None


def _flag(value: object) -> bool | None:
    """Return a boolean that may be written as a number or a text, missing for false; None if it is none."""
    match value:
        case None | False | 0 | "" | "0":
            return False
        case True | 1 | "1":
            return True
        case str() if value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        case _:
            return None


def _more(count: int) -> str:
    return f" and {count - MAX_SHOWN} more" if count > MAX_SHOWN else ""
