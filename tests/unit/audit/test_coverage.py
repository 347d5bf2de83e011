"""Which targets are for which database, and when none is."""

from typing import Any

import pytest

from rds_snap_backup.audit.coverage import Coverage, cover, findings_of
from tests.unit.audit.support import ARN, database, resource, stored, text


def covered(one: Any, **documents: str) -> Coverage:
    """Return what covers one database, given targets' documents."""
    (found,) = cover([one], [stored(name, document) for name, document in documents.items()])
    return found


def test_a_tag_covers() -> None:
    found = covered(database("orders", target="nightly gone"), nightly=text(), other=text(databases=["orders"]))
    assert found.reasons == {"nightly": "tag"}  # As for an event: where the tag selects, patterns do not.
    assert findings_of([found]) == []


@pytest.mark.parametrize("pattern", ["orders", "ord*", "ORDERS", f"{ARN}:db:ord*"])
def test_a_pattern_covers(pattern: str) -> None:
    found = covered(database("orders"), nightly=text(databases=[pattern]), fallback=text(databases=["*"]))
    assert found.reasons == {"nightly": "pattern"}
    assert findings_of([found]) == []


def test_the_instance_name_of_an_association_covers() -> None:
    found = covered(database("orders"), nightly=text("Orders"), other=text("billing"))
    assert found.reasons == {"nightly": "association"}
    assert findings_of([found]) == []


def test_each_target_has_the_reason_that_counts_most() -> None:
    one = database("orders", target="a")
    assert covered(one, a=text("orders"), b=text("orders")).reasons == {"a": "tag", "b": "association"}
    both = {"both": text("orders", databases=["*"]), "fallback": text(databases=["*"])}
    assert covered(database("orders"), **both).reasons == {"both": "association", "fallback": "fallback"}


def test_the_pattern_of_all_databases_alone_does_not_cover() -> None:
    found = covered(database("orders"), default=text(databases=["*"]))
    assert found.reasons == {"default": "fallback"}
    (finding,) = findings_of([found])
    assert (finding.code, finding.target, finding.database) == ("DATABASE_UNCOVERED", None, "orders")
    assert "'default' would back it up at an RDS event, only since nothing else does" in finding.message
    assert "rds-snap-backup:exclude = true" in finding.hint


@pytest.mark.parametrize(
    "document",
    [
        text("orders", databases=["orders"], enabled=False),
        text("orders", databases=["orders"], backupLevel="HALF"),
        text("orders", databases="orders"),
        "{",
    ],
)
def test_a_target_that_is_disabled_or_not_valid_covers_nothing(document: str) -> None:
    (finding,) = findings_of([covered(database("orders"), nightly=document)])
    assert finding.database == "orders"


def test_a_tag_that_names_a_disabled_target_keeps_the_patterns_from_counting() -> None:
    """As for an event: the tag selects that target, which ignores it, and nothing is backed up."""
    one = database("orders", target="paused")
    found = covered(one, paused=text(enabled=False), nightly=text(databases=["orders"]))
    assert found.reasons == {}
    (finding,) = findings_of([found])
    assert "Its tag rds-snap-backup:target names 'paused'" in finding.message


def test_a_target_that_does_not_allow_tags_is_not_covered_by_one() -> None:
    found = covered(database("orders", target="nightly"), nightly=text(allowTag=False))
    assert [one.database for one in findings_of([found])] == ["orders"]


def test_rds_event_ids_do_not_matter() -> None:
    assert covered(database("orders"), nightly=text(databases=["orders"], rdsEventIds=[])).covering == ["nightly"]


@pytest.mark.parametrize(("value", "is_excluded"), [("true", True), (" True", True), ("false", False), ("", False)])
def test_a_tag_excepts_a_database(value: str, is_excluded: bool) -> None:
    found = covered(database("orders", exclude=value), default=text(databases=["*"]))
    assert found.is_excluded is is_excluded
    assert (findings_of([found]) == []) is is_excluded


def test_an_event_of_a_member_is_one_of_its_cluster() -> None:
    member = resource("shop-1", cluster="shop", target="tagged")
    shop = database("shop", "cluster", members=(member,))
    documents = {"tagged": text(), "pattern": text(databases=["shop"]), "named": text("SHOP-1")}
    assert covered(shop, **documents).reasons == {"tagged": "tag", "pattern": "pattern", "named": "association"}
    assert covered(shop, pattern=text(databases=["shop-*"])).reasons == {"pattern": "pattern"}


def test_a_finding_names_what_a_tag_names_in_vain_and_no_more_than_a_few() -> None:
    one = database("orders", target=" ".join(f"gone-{number}" for number in range(9)))
    (finding,) = findings_of([covered(one, nightly=text())])
    assert "'gone-4' and 4 more" in finding.message
    assert "gone-5" not in finding.message


def test_an_instance_and_a_cluster_of_one_name_are_two_findings() -> None:
    one, other = findings_of(cover([database("x"), database("x", "cluster")], []))
    assert one.key != other.key
