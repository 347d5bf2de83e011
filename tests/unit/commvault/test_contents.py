"""Contents of instance groups: each form that Commvault shows, what is not understood, and rules that take no time."""

from typing import Any

import pytest

from rds_snap_backup.commvault.contents import MAX_RULES, Kind, is_bounded, read_content
from tests.unit.audit.support import child

EAST, WEST = "us-east-1", "us-west-2"


def read(*children: Any, filters: Any = None) -> Any:
    found = read_content({"cloudDbContent": {"children": list(children)}, "cloudDbFilter": filters})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (child("root", "All instances"), "everything"),
        (child("ROOT", None), "everything"),
        (child("REGION", EAST, path=EAST, value=EAST), "region us-east-1"),
        (child("region", "US East", path=EAST), "region us-east-1"),
        (child("Region", EAST), "region us-east-1"),
        (child("Instance", "orders", path=EAST, value="us-east-1orders"), "its name"),
        (child("instance", "Orders", value="us-east-1 orders", allOrAnyChildren=True), "its name"),
        (child("INSTANCE", "orders", path=EAST, negation=0), "its name"),
        (child("Instance", "orders", path=EAST, negation="false"), "its name"),
        (child("Instance", "orders", value="orders"), "its name"),
        (child("instanceRule", "^ord"), "rule ^ord"),
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
    assert content.reason("instance", EAST, "orders") == reason
    assert content.may_select("instance", EAST, "orders") is (reason is not None)


@pytest.mark.parametrize(
    "part",
    [
        child(4, "orders"),
        child("5", "orders"),
        child(None, "orders"),
        child(True, "orders"),
        child("Tag", "env=prod"),
        child("Instance", None),
        child("Instance", ["orders"]),
        child("Instance", "orders", negation=True),
        child("root", "", negation="yes"),
        child("Instance", "orders", path="Frankfurt"),
        child("region", "Frankfurt"),
        child("group", "g", children=[child("Instance", "orders")]),
        child("Instance", "orders", children=[child("Instance", "crm")]),
        child("instanceRule", ""),
        child("instanceRule", "("),
        child("instanceRule", "(a+)+$"),
        child("instanceRule", "a" * 501),
        "orders",
        None,
        [],
    ],
)
def test_a_part_that_is_not_understood_may_select_anything(part: Any) -> None:
    content = read(part, child("Instance", "crm", path=EAST))
    assert len(content.unclear) == 1
    assert content.reason("instance", EAST, "orders") is None
    assert content.may_select("instance", EAST, "orders")
    assert content.reason("instance", EAST, "crm") == "its name", "the others count"
    assert "not understood" in str(content)


def test_exceptions() -> None:
    plain = [child("root", ""), child("Instance", "orders", path=EAST)]
    excepted = read(*plain, filters={"children": [child("Instance", "orders", path=EAST)]})
    assert (excepted.reason("instance", EAST, "orders"), excepted.may_select("instance", EAST, "orders")) == (
        None,
        False,
    )
    assert excepted.reason("instance", EAST, "crm") == "everything"
    assert str(excepted) == "everything, orders except orders"
    odd: tuple[Any, ...] = ({"children": [child("Tag", "x")]}, {"children": None}, "odd", [1])
    for filters in odd:
        unclear = read(*plain, filters=filters)
        assert (unclear.reason("instance", EAST, "crm"), unclear.may_select("instance", EAST, "crm")) == (None, True)
    none: tuple[Any, ...] = ({}, None, {"children": []})
    for filters in none:
        assert read(*plain, filters=filters).reason("instance", EAST, "crm") == "everything"


def test_a_content_that_is_empty_and_one_that_is_not_there() -> None:
    assert read().may_select("instance", EAST, "orders") is False
    assert str(read()) == "nothing"
    lacking: tuple[Any, ...] = (
        {},
        {"cloudDbContent": {}},
        {"cloudDbContent": []},
        {"cloudDbContent": {"children": {}}},
    )
    for properties in lacking:
        assert read_content(properties) is None


def test_regions_and_texts_for_people() -> None:
    content = read(
        child("region", WEST),
        *(child("Cluster", f"db-{number}", path=EAST) for number in range(5)),
        child("instanceRule", "x", path="eu-west-1"),
    )
    assert content.regions == {EAST, WEST, "eu-west-1"}
    assert str(content) == "region us-west-2, rule x in eu-west-1, db-0, db-1, db-2 and 2 more"


@pytest.mark.parametrize(
    ("pattern", "is_safe"),
    [
        *(
            (pattern, True)
            for pattern in ("^prod-", "orders|billing", "^prod-.*-db$", r"db\d{2,3}$", "[()*+]+", "a*?b")
        ),
        *(
            (pattern, True)
            for pattern in ("(?:prod|test)-db", r"\(\)*", "^(a|b|c|d|e|f|g|h)-[0-9]+$", "a{3}", "{}", "((a*)b*)c")
        ),
        *((pattern, False) for pattern in ("(a+)+$", "(a|a)*", "(ab){2,}", "(a)?", "x(?=y)")),
        *((pattern, False) for pattern in ("x(?!y)", "(?<=x)y", "(?<!x)y", r"(a)\1", "(?P<n>a)(?P=n)", "(?i)a")),
        *((pattern, False) for pattern in ("a*a*a*a*b", "a?" * 40, ".*.*.*.*.*x", "(a|b)" * 20, "a{0,60}" * 4)),
    ],
)
def test_a_rule_is_searched_in_bounded_time_or_refused(pattern: str, is_safe: bool) -> None:
    assert is_bounded(pattern) is is_safe
    content = read(child("instanceRule", pattern))
    assert content.may_select("instance", EAST, "a" * 63) or is_safe  # It ends.


def test_more_rules_than_are_tried_are_not_understood() -> None:
    content = read(*(child("instanceRule", f"^x{number}$") for number in range(MAX_RULES + 5)))
    assert content.unclear == (f"more than {MAX_RULES} rules",)


def test_a_name_is_of_its_kind() -> None:
    kinds: tuple[Kind, ...] = ("cluster", "instance")
    assert [read(child("Cluster", "shop", path=EAST)).names_it(kind, EAST, "SHOP") for kind in kinds] == [True, False]
