"""Contents of instance groups: each form that Commvault shows, what is not understood, and rules that take no time."""

from typing import Any

import pytest

from rds_snap_backup.commvault.contents import MAX_RULES, Content, Kind, is_bounded, read_content
from tests.unit.audit.support import child

EAST, WEST = "us-east-1", "us-west-2"
KINDS: tuple[Kind, ...] = ("cluster", "instance")


def read(*children: Any, filters: Any = None) -> Content:
    found = read_content({"cloudDbContent": {"children": list(children)}, "cloudDbFilter": filters})
    assert found is not None
    return found


def verdict(content: Content, name: str = "orders") -> tuple[str | None, bool]:
    """Return why a content selects an instance for certain, and whether it may select it."""
    return content.reason("instance", EAST, name), content.may_select("instance", EAST, name)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        *((child(kind, name), "everything") for kind, name in (("root", "All instances"), ("ROOT", None))),
        (child("REGION", EAST, path=EAST, value=EAST), "region us-east-1"),
        (child("region", "US East", path=EAST), "region us-east-1"),
        (child("Region", EAST), "region us-east-1"),
        (child("Instance", "orders", path=EAST, value="us-east-1orders"), "its name"),
        (child("instance", "Orders", value="us-east-1 orders", allOrAnyChildren=True), "its name"),
        (child("INSTANCE", "orders", path=EAST, negation=0), "its name"),
        (child("Instance", "orders", path=EAST, negation="false"), "its name"),
        (child("Instance", "orders", value="orders"), "its name"),
        (child("instanceRule", "ders$", path=EAST), "rule ders$ in us-east-1"),
        (child("instancerule", "^test-", negation=True), "not rule ^test-"),
        (child("instanceRule", "^(prod|ord)[a-z]*"), "rule ^(prod|ord)[a-z]*"),
        # What selects others.
        (child("Region", WEST, path=WEST), None),
        (child("Instance", "orders", path=WEST), None),
        (child("Instance", "orders2", path=EAST), None),
        (child("Cluster", "orders", path=EAST), None),
        (child("instanceRule", "^test"), None),
        (child("instanceRule", "^ord", negation=1), None),
        (child("instanceRule", "ord", path=WEST), None),
    ],
)
def test_a_part_that_is_understood(part: dict[str, Any], reason: str | None) -> None:
    content = read(part)
    assert content.unclear == ()
    assert verdict(content) == (reason, reason is not None)


@pytest.mark.parametrize(
    "part",
    [
        *(child(kind, "orders") for kind in (4, "5", None, True, "Tag")),
        *(child("Instance", name) for name in (None, ["orders"])),
        child("Instance", "orders", negation=True),
        child("root", "", negation="yes"),
        child("Instance", "orders", path="Frankfurt"),
        child("region", "Frankfurt"),
        child("group", "g", children=[child("Instance", "orders")]),
        child("Instance", "orders", children=[child("Instance", "crm")]),
        *(child("instanceRule", rule) for rule in ("", "(", "(a+)+$", "a" * 501)),
        *("orders", None, []),
    ],
)
def test_a_part_that_is_not_understood_may_select_anything(part: Any) -> None:
    content = read(part, child("Instance", "crm", path=EAST))
    assert len(content.unclear) == 1
    assert verdict(content) == (None, True)
    assert content.reason("instance", EAST, "crm") == "its name", "the others count"
    assert "not understood" in str(content)


def test_exceptions() -> None:
    orders = child("Instance", "orders", path=EAST)
    plain = [child("root", ""), orders]
    excepted = read(*plain, filters={"children": [orders]})
    assert (verdict(excepted), verdict(excepted, "crm")) == ((None, False), ("everything", True))
    assert str(excepted) == "everything, orders except orders"
    odd: list[Any] = [{"children": [child("Tag", "x")]}, {"children": None}, "odd", [1]]
    assert {verdict(read(*plain, filters=filters), "crm") for filters in odd} == {(None, True)}
    none: list[Any] = [{}, None, {"children": []}]
    assert {verdict(read(*plain, filters=filters), "crm") for filters in none} == {("everything", True)}


def test_regions_and_texts_for_people() -> None:
    content = read(
        child("region", WEST),
        *(child("Cluster", f"db-{number}", path=EAST) for number in range(5)),
        child("instanceRule", "x", path="eu-west-1"),
    )
    assert content.regions == {EAST, WEST, "eu-west-1"}
    assert str(content) == "region us-west-2, rule x in eu-west-1, db-0, db-1, db-2 and 2 more"
    assert [content.names_it(kind, EAST, "DB-0") for kind in KINDS] == [True, False]
    assert (verdict(read()), str(read())) == ((None, False), "nothing")
    lacking: list[Any] = [{}, [], {"children": {}}]
    assert {read_content({"cloudDbContent": each}) for each in lacking} | {read_content({})} == {None}


SAFE = ["^prod-", "orders|billing", "^prod-.*-db$", r"db\d{2,3}$", "[()*+]+", "a*?b", "(?:prod|test)-db", r"\(\)*"]
SAFE += ["^(a|b|c|d|e|f|g|h)-[0-9]+$", "a{3}", "{}", "((a*)b*)c"]
UNSAFE = ["(a+)+$", "(a|a)*", "(ab){2,}", "(a)?", "x(?=y)", "x(?!y)", "(?<=x)y", "(?<!x)y", r"(a)\1", "(?P<n>a)(?P=n)"]
UNSAFE += ["(?i)a", "a*a*a*a*b", "a?" * 40, ".*.*.*.*.*x", "(a|b)" * 20, "a{0,60}" * 4]


@pytest.mark.parametrize("pattern", [*SAFE, *UNSAFE])
def test_a_rule_is_searched_in_bounded_time_or_refused(pattern: str) -> None:
    assert is_bounded(pattern) is (pattern in SAFE)
    content = read(child("instanceRule", pattern))
    assert content.may_select("instance", EAST, "a" * 63) or pattern in SAFE  # It ends.
    many = read(*(child("instanceRule", f"^x{number}$") for number in range(MAX_RULES + 5)))
    assert many.unclear == (f"more than {MAX_RULES} rules",)
