"""Which association is a database's subclient."""

import pytest

from rds_snap_backup.rds.databases import Database
from tests.unit.audit.support import ARN, association, coverage, database, resource, text

ORDERS = database("orders")
SHOP = database("shop", "cluster", (resource("shop-1", cluster="shop"),))


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
    assert len(coverage(**documents).find(covered)) == expected


def test_own_databases_come_before_the_identifier_and_a_cluster_before_its_members() -> None:
    found = coverage(a=text(association("orders")), b=named("orders", instance="other")).find(ORDERS)
    assert [backup.target.name for backup in found] == ["b"]
    found = coverage(a=named("shop-1"), b=text(association("shop"))).find(SHOP)
    assert [backup.target.name for backup in found] == ["b"]


def test_of_targets_with_the_same_association_the_first_is_named() -> None:
    for document in (named("orders"), text(association("orders"))):
        (found,) = coverage(a=document, b=document).find(ORDERS)
        assert found.target.name == "a"
