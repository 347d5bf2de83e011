"""Selection: which targets and associations an RDS event starts, by tag, patterns and fallback."""

import json
from typing import Any

import pytest

from rds_snap_backup.selection import Rule, Rules, Selection, selected_associations
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import Trigger

OWN, OTHER = "111122223333", "444455556666"
GREEN = "orders-db-green-a1b2c3"
NO_PATTERNS: list[Any] = ["orders-db", [7], {}]


def event(database: str = "orders-db", *tagged: str, account: str = OWN) -> Trigger:
    arn = database if database.startswith("arn:") else f"arn:aws:rds:eu-west-1:{account}:db:{database}"
    return Trigger("rds", arn, None, "RDS-EVENT-0043", arn, None, tagged, account)


def document(*own: Any, **fields: Any) -> str:
    """Return a document of associations, each with `databases` unless None; without any: one that has none."""
    associations: list[dict[str, Any]] = [
        {"clientName": "aws", "subclientName": "default", "instanceName": str(number)}
        | ({} if databases is None else {"databases": databases})
        for number, databases in enumerate(own or (None,))
    ]
    return json.dumps({"associations": associations, **fields})


def selected(text: str, trigger: Trigger) -> str:
    """Return the associations that become backups, by their numbers."""
    associations = selected_associations(parse_target("it", "/it", text), trigger, OWN)
    return "".join(association.instance_name for association in associations)


# ---- Associations of one target

CLUSTER = "arn:aws:rds:eu-west-1:1:cluster:billing"


@pytest.mark.parametrize(
    ("pattern", "database", "is_selected"),
    [
        *((pattern, "orders-db", True) for pattern in ("orders-db", "orders-*", "*-db", "order?-db", "[a-o]rders-db")),
        *((pattern, "orders-db", True) for pattern in ("Orders-DB", "*", "arn:aws:rds:*:*:db:Orders-*")),
        ("arn:aws:rds:eu-west-1:111122223333:db:orders-db", "orders-db", True),
        *((pattern, "orders-db", False) for pattern in ("orders", "arn:aws:rds:us-east-1:*:db:*")),
        ("arn:aws:rds:*:*:cluster:*", "orders-db", False),
        *((pattern, CLUSTER, True) for pattern in ("arn:aws:rds:*:*:cluster:billing", "billing")),
        # A green database is selected only by a pattern that names it so.
        *((pattern, GREEN, False) for pattern in ("orders-*", "*", "arn:aws:rds:*:*:db:orders-*")),
        *((pattern, GREEN, True) for pattern in ("orders-db-Green-*", "arn:aws:rds:*:*:db:*-green-*", GREEN)),
        *(("orders-*", f"orders-green-house{more}", more != "s") for more in ("", "s", "s-2")),
    ],
)
def test_databases_select_by_name_glob_and_arn_glob(pattern: str, database: str, is_selected: bool) -> None:
    for text in (document(databases=["other", pattern]), document([pattern])):
        assert selected(text, event(database)) == ("0" if is_selected else "")
    assert database != GREEN or selected(document([pattern]), event(database, "it")) == "0" * is_selected


NAME, ARN, ANY = ["orders-db"], ["arn:aws:rds:*:db:orders-db"], ["*"]
STOCK = ["stock-db"]
TAGGED = event("orders-db", "it")


@pytest.mark.parametrize(
    ("own", "databases", "trigger", "numbers"),
    [
        # Without a tag: an association's own patterns, else the target's.
        ([NAME, STOCK], [], event(), "0"),
        ([NAME, ["orders-*"], STOCK], [], event(), "01"),
        ([STOCK, None, None], ["orders-*"], event(), "12"),
        ([STOCK, None], STOCK, event(), ""),
        ([NAME, []], NAME, event(), "0"),
        ([None], [], event(), ""),
        # `*` alone counts where nothing else matches.
        ([ANY, NAME], [], event(), "1"),
        ([ANY, STOCK, None], ANY, event(), "02"),
        # By tag: those whose own patterns match, or all where none has any.
        ([None, None], STOCK, TAGGED, "01"),
        ([[], None], [], TAGGED, "01"),
        ([NAME, ANY, STOCK, None], ["orders-*"], TAGGED, "01"),
        ([STOCK, None], ["orders-*"], TAGGED, "1"),
        ([STOCK], [], TAGGED, ""),
        ([None], STOCK, event("orders-db", "other"), ""),
        # A schedule and a manual request mean all.
        *(([STOCK, None], [], trigger, "01") for trigger in (Trigger("schedule", "x"), Trigger("manual", "x"))),
    ],
)
def test_associations_that_become_backups(own: Any, databases: list[str], trigger: Trigger, numbers: str) -> None:
    assert selected(document(*own, databases=databases), trigger) == numbers


@pytest.mark.parametrize(
    ("accounts", "account", "by_name", "by_arn"),
    [
        (None, OWN, True, True),
        (None, OTHER, False, True),
        ([OTHER], OTHER, True, True),
        ([OTHER], OWN, False, False),
        ([OTHER, OWN], OWN, True, True),
    ],
)
def test_accounts_bind_and_without_them_names_count_in_the_own_account_alone(
    accounts: list[str] | None, account: str, by_name: bool, by_arn: bool
) -> None:
    fields = {} if accounts is None else {"accounts": accounts}
    for databases, is_selected in ((NAME, by_name), (ANY, by_name), (ARN, by_arn)):
        assert selected(document(databases=databases, **fields), event(account=account)) == "0" * is_selected
    for own, is_selected in ((None, by_name), (ARN, by_arn)):
        assert selected(document(own, **fields), event("orders-db", "it", account=account)) == "0" * is_selected


@pytest.mark.parametrize(
    ("fields", "trigger", "is_selected"),
    [
        *(({"databases": names, "rdsEventIds": ["RDS-EVENT-0043"]}, event(), True) for names in (NAME, ANY)),
        *(({"databases": names, "rdsEventIds": ["RDS-EVENT-0005"]}, event(), False) for names in (NAME, ANY)),
        ({"databases": NAME, "rdsEventIds": []}, event(), False),
        ({"allowTag": False}, TAGGED, False),
        ({"allowTag": False, "databases": NAME}, TAGGED, True),
    ],
)
def test_rds_event_ids_bind_and_a_tag_counts_only_where_it_is_allowed(
    fields: dict[str, Any], trigger: Trigger, is_selected: bool
) -> None:
    assert selected(document(**fields), trigger) == "0" * is_selected


# ---- Targets among all documents

DOCUMENTS = {
    "any": document(databases=ANY),
    "broken": "{",
    "group": document(NAME, STOCK),
    "hub": document(databases=["orders-*"], accounts=[OTHER]),
    "mixed": document(["users-db"], None, databases=ANY),
    "odd": document(databases="*"),
    "orders": document(databases=["orders-*"]),
    "untagged": document(allowTag=False),
}
PATTERN, FALLBACK = Selection("pattern", ("group", "orders")), Selection("fallback", ("any", "mixed"))
NONE = Selection("fallback", ())


@pytest.mark.parametrize(
    ("trigger", "selection"),
    [
        (event(), PATTERN),
        (event("stock-db"), Selection("pattern", ("group",))),
        (event("users-db"), Selection("pattern", ("mixed",))),
        (event("billing"), FALLBACK),
        (event("orders-db", account=OTHER), Selection("pattern", ("hub",))),
        (event("billing", account=OTHER), NONE),
        # Its tag comes before the patterns, and can name what does not parse.
        (event("orders-db", "any", "broken", "odd"), Selection("tag", ("any", "broken", "odd"))),
        (event("billing", "orders", "group"), Selection("tag", ("orders",))),
        (event("orders-db", "hub", account=OTHER), Selection("tag", ("hub",))),
        # A tag that names no association counts as none.
        *((event("orders-db", tag), PATTERN) for tag in ("untagged", "hub", "*")),
        (event("billing", "group"), FALLBACK),
        # Unknown names are refused where no other name on the tag exists.
        (event("orders-db", "any", "gone", "*"), Selection("tag", ("any",))),
        (event("orders-db", "untagged", "gone"), PATTERN),
        (event("orders-db", "gone", "*", "lost"), Selection("pattern", ("group", "orders"), ("gone",))),
        # ... and in an account whose tags can start a target.
        (event("billing", "gone", account=OTHER), Selection("fallback", (), ("gone",))),
        (event("billing", "gone", account="777788889999"), NONE),
        # The tag of a green database is a copy.
        *((event("billing-green-a1b2c3", *tags), NONE) for tags in (("orders", "gone"), ("gone",))),
        (event("billing", "x" * 64), Selection("fallback", ("any", "mixed"), ("x" * 64,))),
        (event("billing", "x" * 256), Selection("fallback", ("any", "mixed"), (f"{'x' * 63}…",))),
    ],
)
def test_an_event_selects_by_its_tag_else_by_patterns_else_the_fallback(trigger: Trigger, selection: Selection) -> None:
    assert Rules.read(DOCUMENTS, OWN).select(trigger) == selection
    for name in set(selection.names) - {"broken", "odd"}:
        assert selected_associations(parse_target(name, name, DOCUMENTS[name]), trigger, OWN)


# ---- Documents as far as they can be read


@pytest.mark.parametrize(
    "text",
    [
        *("", "not JSON", "[]", "7", "[" * 8000),
        *(document(databases=value) for value in (None, *NO_PATTERNS)),
        *(document(NAME, value) for value in NO_PATTERNS),
    ],
)
def test_a_document_whose_databases_cannot_be_read_is_selected_by_name_only(text: str) -> None:
    rule = Rule.read(text)
    assert rule.select(event(), OWN, is_tagged=False) == ("fallback", ())
    assert rule.select(event(), OWN, is_tagged=True) == ("tag", (0,))


@pytest.mark.parametrize(
    "fields",
    [{"backupLevel": "NONE"}, {"associations": None}, {"associations": [7]}, {"rdsEventIds": "x"}, {"accounts": "x"}],
    ids=str,
)
def test_a_broken_document_is_selected_by_its_databases(fields: dict[str, Any]) -> None:
    rules = Rules.read({"broken": document(databases=["orders-*"], **fields)}, OWN)
    assert (rules.select(event()).names, rules.select(event("billing")).names) == (("broken",), ())
