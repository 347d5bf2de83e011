"""Which subclient is a database's."""

import pytest

from rds_snap_backup.audit.coverage import Candidate, Names
from rds_snap_backup.audit.inventory import Inventory
from rds_snap_backup.audit.matching import matched
from rds_snap_backup.rds.databases import Database, Place
from tests.unit.audit.support import ARN, HOME, association, coverage, database, resource, text

ORDERS = database("orders")
SHOP = database("shop", "cluster", (resource("shop-1", cluster="shop"),))


def find(documents: dict[str, str], one: Database, *others: Database, **clients: str) -> list[Candidate]:
    """Return the subclients of one of some databases; `clients` has the instances of Commvault's clients."""
    instances = {client: frozenset((name, "default") for name in names.split()) for client, names in clients.items()}
    return coverage(**documents).find(one, Names([one, *others]), Inventory(instances, frozenset(instances)))


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
