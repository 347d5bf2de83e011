"""Which subclient is a database's."""

from typing import Any

import pytest

from rds_snap_backup.audit.coverage import Candidate, DatabaseNames
from rds_snap_backup.audit.inventory import Inventory
from rds_snap_backup.audit.matching import matched
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place
from tests.unit.audit.support import ARN, HOME, association, coverage, database, resource, text

ORDERS = database("orders")
SHOP = database("shop", "cluster", (resource("shop-1", cluster="shop"),))


def find(documents: dict[str, str], one: Database, *others: Database, **clients: str) -> list[Candidate]:
    """Return the subclients of one of some databases; `clients` has the instances of Commvault's clients."""
    instances = {client: frozenset((name, "default") for name in names.split()) for client, names in clients.items()}
    return coverage(**documents).find(one, DatabaseNames([one, *others]), Inventory(instances, frozenset(instances)))


def named(*patterns: str, instance: str = "elsewhere") -> str:
    """Return a document whose association has `databases` of its own."""
    return text(association(instance, databases=list(patterns)))


@pytest.mark.parametrize(
    ("documents", "covered", "expected"),
    [
        # The association's own `databases`.
        *(({"a": named(pattern)}, ORDERS, 1) for pattern in ("orders", "ord*", "ORDERS", f"{ARN}:db:ord*")),
        ({"a": named("billing", "*")}, ORDERS, 0),
        ({"a": text(association(databases=["orders"]), rdsEventIds=[])}, ORDERS, 1),
        # The target's `databases` select events; they do not say in which subclient a database is.
        ({"a": text(databases=["orders"])}, ORDERS, 0),
        ({"a": text(association(databases=["x"]), association("b"), databases=["orders"])}, ORDERS, 0),
        # The identifier.
        ({"a": text(association("Orders")), "b": text(association("billing"))}, ORDERS, 1),
        ({"a": text(association("orders"), accounts=["999988887777"])}, ORDERS, 0),
        # Only one subclient can be meant, whichever targets have it.
        ({"a": text(association("orders")), "b": text(association("orders"))}, ORDERS, 1),
        ({"a": text(association("orders"), association("orders", "archive"))}, ORDERS, 2),
        ({"a": named("orders"), "b": text(association("orders"))}, ORDERS, 1),
        # A cluster, also by its members.
        ({"a": text(association("shop"))}, SHOP, 1),
        ({"a": named("shop-*")}, SHOP, 1),
        ({"a": text(association("shop")), "b": text(association("shop-1"))}, SHOP, 1),
        # Documents that are disabled or not valid.
        ({"a": text(association("orders"), enabled=False)}, ORDERS, 0),
        ({"a": text(association("orders"), backupLevel="HALF")}, ORDERS, 0),
        ({}, ORDERS, 0),
    ],
)
def test_the_associations_that_name_a_database(documents: dict[str, str], covered: Database, expected: int) -> None:
    assert len(find(documents, covered)) == expected


def test_own_databases_come_before_the_identifier_and_a_cluster_before_its_members() -> None:
    found = find({"a": text(association("orders")), "b": named("orders", instance="other")}, ORDERS)
    assert [backup.target.name for backup in found if backup.target] == ["b"]
    found = find({"a": named("shop-1"), "b": text(association("shop"))}, SHOP)
    assert [backup.target.name for backup in found if backup.target] == ["b"]


def test_of_targets_with_the_same_association_the_first_is_named() -> None:
    for document in (named("orders"), text(association("orders"))):
        (found,) = find({"a": document, "b": document}, ORDERS)
        assert found.target
        assert found.target.name == "a"


ELSEWHERE, THIRD = Place("999988887777", "us-east-1"), Place("999988887777", "eu-west-1")
THERE = database("orders", at=ELSEWHERE)
PLAIN, TIED = text(association("orders")), text(association("orders"), accounts=["999988887777"])


@pytest.mark.parametrize(
    ("document", "one", "others", "expected"),
    [
        # A target without `accounts` is about the stack's own place, and beyond it about a name that no other place has.
        (PLAIN, ORDERS, [THERE], True),
        (PLAIN, THERE, [], True),
        (PLAIN, THERE, [ORDERS], False),
        (PLAIN, database("orders", at=Place(HOME.account, "eu-west-1")), [ORDERS], False),
        # A target's `accounts` ties its client to them.
        (TIED, THERE, [ORDERS], True),
        (TIED, ORDERS, [], False),
        (TIED, THERE, [database("orders", at=THIRD)], False),
        # An ARN pattern names one place.
        (named("arn:aws:rds:us-east-1:999988887777:db:orders"), THERE, [ORDERS], True),
        (named("orders"), THERE, [], False),
    ],
)
def test_a_name_is_never_matched_across_accounts(
    document: str, one: Database, others: list[Database], expected: bool
) -> None:
    assert bool(find({"a": document}, one, *others)) is expected


@pytest.mark.parametrize(
    ("documents", "one", "others", "clients", "expected"),
    [
        ({}, ORDERS, [], {"c": "Orders"}, ["c"]),
        ({}, SHOP, [], {"c": "shop-1"}, ["c"]),
        ({}, ORDERS, [], {"c": "orders", "d": "orders"}, ["c", "d"]),
        ({}, ORDERS, [THERE], {"c": "orders"}, []),
        (
            {"a": text(association("x"), accounts=[ELSEWHERE.account])},
            THERE,
            [ORDERS],
            {"aws-prod": "orders"},
            ["aws-prod"],
        ),
        ({"a": text(association("x"), accounts=[ELSEWHERE.account])}, ORDERS, [], {"aws-prod": "orders"}, []),
        # What a target names comes first.
        ({"a": PLAIN}, ORDERS, [], {"aws-prod": "orders", "two": "orders"}, ["aws-prod"]),
    ],
)
def test_without_a_target_commvaults_own_subclients_count(
    documents: dict[str, str], one: Database, others: list[Database], clients: dict[str, str], expected: list[str]
) -> None:
    found = find(documents, one, *others, **clients)
    assert [backup.association.client_name for backup in found] == expected


def test_the_inventory_matches_what_is_certain_and_nothing_else() -> None:
    clients = {"a": "orders crm hr", "b": "crm"}
    instances = {client: frozenset((name, "default") for name in names.split()) for client, names in clients.items()}
    databases = [ORDERS, database("crm"), database("hr"), database("hr", at=ELSEWHERE), database("none")]
    rows = matched(databases, coverage(), Inventory(instances))
    shown = [(row["match"], row["clientName"], (row["arn"] or "").rpartition(":")[2]) for row in rows]
    assert shown == [
        ("exact", "a", "orders"),
        ("ambiguous", "a", "crm"),
        ("ambiguous", "b", "crm"),
        ("ambiguous", "a", "hr"),
        ("ambiguous", "a", "hr"),
        ("rds-only", None, "none"),
    ]
    (row,) = matched([], coverage(), Inventory({"a": frozenset({("orders", "default")})}))
    assert row == {
        "match": "commvault-only",
        "clientName": "a",
        "instanceName": "orders",
        "subclientName": "default",
        "arn": None,
        "engine": None,
    }


def match_of(
    one: Database,
    *others: Database,
    documents: dict[str, str] | None = None,
    subclients: str = "orders",
    problem: Problem | None = None,
    unread: tuple[Place, ...] = (),
) -> str:
    """Return the match of a database; Commvault's client `aws-prod` has these instances."""
    found = Inventory({"aws-prod": frozenset((name, "default") for name in subclients.split())}, None, problem)
    rows = matched([one, *others], coverage(**(documents or {})), found, unread)
    return next(str(row["match"]) for row in rows if row["arn"] == one.resource.arn)


OUT = Problem("OUT_OF_CALLS", "There were too many clients.", "Narrow its rights.")
NAMED = {"a": text(association("orders", databases=[f"{ARN}:db:orders"]))}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "exact"),
        # The database or the subclient of this name may be another one.
        ({"unread": (ELSEWHERE,)}, "ambiguous"),
        ({"problem": OUT}, "ambiguous"),
        # A target is certain about it.
        ({"documents": NAMED, "unread": (ELSEWHERE,), "problem": OUT}, "exact"),
        ({"documents": {"a": PLAIN}, "unread": (ELSEWHERE,), "problem": OUT}, "exact"),
        # Commvault does not have the subclient that a target names, or it was not read.
        ({"documents": NAMED, "subclients": "Orders"}, "ambiguous"),
        ({"documents": NAMED, "subclients": "crm"}, "rds-only"),
        ({"documents": {"a": text({**association("orders"), "clientName": "b"})}, "problem": OUT}, "ambiguous"),
    ],
)
def test_what_may_be_another_is_ambiguous(facts: dict[str, Any], expected: str) -> None:
    assert match_of(ORDERS, **facts) == expected


def test_a_place_that_was_not_read_counts_in_its_account_only_where_a_target_ties_the_client() -> None:
    documents = {"a": text(association("x"), accounts=[ELSEWHERE.account])}
    assert match_of(THERE, documents=documents, unread=(Place("777788889999", "us-east-1"),)) == "exact"
    assert match_of(THERE, documents=documents, unread=(THIRD,)) == "ambiguous"


def test_a_subclient_of_two_databases_is_ambiguous_unless_a_target_names_both() -> None:
    twin = database("orders", "cluster")
    assert match_of(ORDERS, twin) == match_of(twin, ORDERS) == "ambiguous"
    documents = {"a": text(association("orders", databases=[f"{ARN}:*:orders"]))}
    assert match_of(ORDERS, twin, documents=documents) == match_of(twin, ORDERS, documents=documents) == "exact"


def test_a_database_that_needs_no_backup_is_marked() -> None:
    rows = matched(
        [database("orders", exclude="true"), database("crm", exclude="true")],
        coverage(a=text(association("crm"))),
        Inventory({"aws-prod": frozenset({("orders", "default"), ("crm", "default")})}),
    )
    assert [row.get("excluded") for row in rows] == [True, None]
