"""Selection: which targets and associations an RDS event starts, by tag, patterns and fallback."""

import json
from typing import Any

import pytest

from rds_snap_backup.selection import Rule, Rules, Selection, selected_associations
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import Trigger

OWN, OTHER = "111122223333", "444455556666"
NO_PATTERNS: list[Any] = ["orders-db", [7], {}]


def event(database: str = "orders-db", *tagged: str, account: str = OWN) -> Trigger:
    arn = database if database.startswith("arn:") else f"arn:aws:rds:eu-west-1:{account}:db:{database}"
    return Trigger("rds", arn, None, "RDS-EVENT-0043", arn, None, tagged, account)


def document(*own: Any, **fields: Any) -> str:
    """Return a document of associations, each with `databases` unless None; without any: one that has none."""
    names = {"clientName": "aws", "subclientName": "default"}
    associations = [
        names | {"instanceName": str(number)} | ({} if databases is None else {"databases": databases})
        for number, databases in enumerate(own or (None,))
    ]
    return json.dumps({"associations": associations, **fields})


def selected(text: str, trigger: Trigger) -> str:
    """Return the associations that become backups, by their numbers."""
    associations = selected_associations(parse_target("it", "/it", text), trigger, OWN)
    return "".join(association.instance_name for association in associations)


# ---- Associations of one target


@pytest.mark.parametrize(
    ("pattern", "database", "is_selected"),
    [
        ("orders-db", "orders-db", True),
        ("orders", "orders-db", False),
        ("orders-*", "orders-db", True),
        ("*-db", "orders-db", True),
        ("order?-db", "orders-db", True),
        ("[a-o]rders-db", "orders-db", True),
        ("Orders-DB", "orders-db", True),
        ("*", "orders-db", True),
        ("arn:aws:rds:eu-west-1:111122223333:db:orders-db", "orders-db", True),
        ("arn:aws:rds:*:*:db:Orders-*", "orders-db", True),
        ("arn:aws:rds:us-east-1:*:db:*", "orders-db", False),
        ("arn:aws:rds:*:*:cluster:*", "orders-db", False),
        ("arn:aws:rds:*:*:cluster:billing", "arn:aws:rds:eu-west-1:1:cluster:billing", True),
        ("billing", "arn:aws:rds:eu-west-1:1:cluster:billing", True),
    ],
)
def test_databases_select_by_name_glob_and_arn_glob(pattern: str, database: str, is_selected: bool) -> None:
    for text in (document(databases=["other", pattern]), document([pattern])):
        assert selected(text, event(database)) == ("0" if is_selected else "")


@pytest.mark.parametrize(
    ("database", "pattern", "is_selected"),
    [
        ("orders-db-green-a1b2c3", "orders-*", False),
        ("orders-db-green-a1b2c3", "*", False),
        ("orders-db-green-a1b2c3", "arn:aws:rds:*:*:db:orders-*", False),
        ("orders-db-green-a1b2c3", "orders-db-Green-*", True),
        ("orders-db-green-a1b2c3", "arn:aws:rds:*:*:db:*-green-*", True),
        ("orders-db-green-a1b2c3", "orders-db-green-a1b2c3", True),
        ("orders-green-house", "orders-*", True),
        ("orders-green-houses", "orders-*", False),
        ("orders-green-houses-2", "orders-*", True),
    ],
)
def test_a_green_database_is_selected_only_by_a_pattern_that_names_it_so(
    database: str, pattern: str, is_selected: bool
) -> None:
    assert selected(document(databases=[pattern]), event(database)) == "0" * is_selected
    assert selected(document([pattern]), event(database, "it")) == "0" * is_selected


@pytest.mark.parametrize(
    ("own", "databases", "trigger", "numbers"),
    [
        # Without a tag: an association's own patterns, else the target's.
        ([["orders-db"], ["stock-db"]], [], event(), "0"),
        ([["orders-db"], ["orders-*"], ["stock-db"]], [], event(), "01"),
        ([["stock-db"], None, None], ["orders-*"], event(), "12"),
        ([["stock-db"], None], ["stock-db"], event(), ""),
        ([["orders-db"], []], ["orders-db"], event(), "0"),
        ([None, None], ["orders-db"], event(), "01"),
        ([None], [], event(), ""),
        # `*` alone counts where nothing else matches.
        ([["*"], ["orders-db"]], [], event(), "1"),
        ([["*"], ["stock-db"], None], ["*"], event(), "02"),
        # By tag: those whose own patterns match, or all where none has any.
        ([None, None], ["stock-db"], event("orders-db", "it"), "01"),
        ([[], None], [], event("orders-db", "it"), "01"),
        ([["orders-db"], ["*"], ["stock-db"], None], ["orders-*"], event("orders-db", "it"), "01"),
        ([["stock-db"], None], ["orders-*"], event("orders-db", "it"), "1"),
        ([["stock-db"]], [], event("orders-db", "it"), ""),
        ([None], ["stock-db"], event("orders-db", "other"), ""),
        # A schedule and a manual request mean all.
        ([["stock-db"], None], [], Trigger("schedule", "x"), "01"),
        ([["stock-db"], None], [], Trigger("manual", "x"), "01"),
    ],
)
def test_associations_that_become_backups(own: Any, databases: list[str], trigger: Trigger, numbers: str) -> None:
    assert selected(document(*own, databases=databases), trigger) == numbers


NAME, ARN, ANY = ["orders-db"], ["arn:aws:rds:*:db:orders-db"], ["*"]


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
    assert selected(document(**fields), event("orders-db", "it", account=account)) == "0" * by_name
    assert selected(document(ARN, **fields), event("orders-db", "it", account=account)) == "0" * by_arn


@pytest.mark.parametrize(
    ("fields", "trigger", "is_selected"),
    [
        *(({"databases": names, "rdsEventIds": ["RDS-EVENT-0043"]}, event(), True) for names in (NAME, ANY)),
        *(({"databases": names, "rdsEventIds": ["RDS-EVENT-0005"]}, event(), False) for names in (NAME, ANY)),
        ({"databases": NAME, "rdsEventIds": []}, event(), False),
        ({"allowTag": False}, event("orders-db", "it"), False),
        ({"allowTag": False, "databases": NAME}, event("orders-db", "it"), True),
    ],
)
def test_rds_event_ids_bind_and_a_tag_counts_only_where_it_is_allowed(
    fields: dict[str, Any], trigger: Trigger, is_selected: bool
) -> None:
    assert selected(document(**fields), trigger) == "0" * is_selected


# ---- Targets among all documents


DOCUMENTS = {
    "any": document(databases=["*"]),
    "broken": "{",
    "group": document(["orders-db"], ["stock-db"]),
    "hub": document(databases=["orders-*"], accounts=[OTHER]),
    "mixed": document(["users-db"], None, databases=["*"]),
    "odd": document(databases="*"),
    "orders": document(databases=["orders-*"]),
    "untagged": document(allowTag=False),
}


@pytest.mark.parametrize(
    ("trigger", "selection"),
    [
        (event(), Selection("pattern", ("group", "orders"))),
        (event("stock-db"), Selection("pattern", ("group",))),
        (event("users-db"), Selection("pattern", ("mixed",))),
        (event("billing"), Selection("fallback", ("any", "mixed"))),
        (event("orders-db", account=OTHER), Selection("pattern", ("hub",))),
        (event("billing", account=OTHER), Selection("fallback", ())),
        # Its tag comes before the patterns, and can name what does not parse.
        (event("orders-db", "any", "broken", "odd"), Selection("tag", ("any", "broken", "odd"))),
        (event("billing", "orders", "group"), Selection("tag", ("orders",))),
        (event("orders-db", "hub", account=OTHER), Selection("tag", ("hub",))),
        # A tag that names no association counts as none.
        (event("orders-db", "untagged"), Selection("pattern", ("group", "orders"))),
        (event("orders-db", "hub"), Selection("pattern", ("group", "orders"))),
        (event("billing", "group"), Selection("fallback", ("any", "mixed"))),
        (event("orders-db", "*"), Selection("pattern", ("group", "orders"))),
        # Unknown names are refused where no other name on the tag exists.
        (event("orders-db", "any", "gone", "*"), Selection("tag", ("any",))),
        (event("orders-db", "untagged", "gone"), Selection("pattern", ("group", "orders"))),
        (event("orders-db", "gone", "*", "lost"), Selection("pattern", ("group", "orders"), ("gone",))),
        # ... and in an account whose tags can start a target.
        (event("billing", "gone", account=OTHER), Selection("fallback", (), ("gone",))),
        (event("billing", "gone", account="777788889999"), Selection("fallback", ())),
        # The tag of a green database is a copy.
        (event("billing-green-a1b2c3", "orders", "gone"), Selection("fallback", ())),
        (event("billing-green-a1b2c3", "gone"), Selection("fallback", ())),
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
        *(document(["orders-db"], value) for value in NO_PATTERNS),
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
    documents = {"broken": document(databases=["orders-*"], **fields)}
    assert Rules.read(documents, OWN).select(event()).names == ("broken",)
    assert Rules.read(documents, OWN).select(event("billing")).names == ()
