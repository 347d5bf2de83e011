"""Which targets an RDS event selects: by its database's tag, by patterns, and by the fallback."""

import json
from typing import Any

import pytest

from rds_snap_backup.selection import Rule, Rules, Selection
from rds_snap_backup.triggers import Trigger

ASSOCIATION = {"clientName": "aws-prod", "instanceName": "orders-db", "subclientName": "default"}
ARN = "arn:aws:rds:eu-west-1:111122223333:db:orders-db"


def event(source_arn: str = ARN, event_id: str = "RDS-EVENT-0043") -> Trigger:
    return Trigger("rds", f"{source_arn}|{event_id}|now", "now", event_id, source_arn, "Restored")


def document(**fields: Any) -> str:
    return json.dumps({"associations": [ASSOCIATION], **fields})


@pytest.mark.parametrize(
    ("patterns", "arn", "is_selected"),
    [
        (["*"], ARN, False),
        ([], ARN, False),
        (["orders-db"], ARN, True),
        (["orders"], ARN, False),
        (["orders-*"], ARN, True),
        (["*-db"], ARN, True),
        (["order?-db"], ARN, True),
        (["[a-o]rders-db"], ARN, True),
        (["Orders-db"], ARN, True),
        (["billing", "orders-db"], ARN, True),
        ([ARN], ARN, True),
        (["arn:aws:rds:*:*:db:orders-*"], ARN, True),
        (["arn:aws:rds:*:111122223333:*"], ARN, True),
        (["arn:aws:rds:us-east-1:*:db:*"], ARN, False),
        (["arn:aws:rds:*:*:cluster:orders-*"], ARN, False),
        (["arn:aws:rds:*:*:cluster:billing"], "arn:aws:rds:eu-west-1:1:cluster:billing", True),
        (["orders-db"], "arn:aws:rds:eu-west-1:1:cluster:orders-db", True),
    ],
)
def test_databases_select_by_name_glob_and_arn_glob(patterns: list[str], arn: str, is_selected: bool) -> None:
    assert Rule.read(document(databases=patterns)).matches(event(arn)) is is_selected


def test_the_pattern_of_all_databases_alone_is_a_fallback() -> None:
    rule = Rule.read(document(databases=["*"]))
    assert (rule.matches(event()), rule.is_fallback_for(event())) == (False, True)
    assert not Rule.read(document(databases=["orders-*"])).is_fallback_for(event())


def test_without_databases_no_event_selects_a_target() -> None:
    rule = Rule.read(document())
    assert (rule.matches(event()), rule.is_fallback_for(event())) == (False, False)


@pytest.mark.parametrize(("ids", "is_selected"), [(["RDS-EVENT-0043"], True), (["RDS-EVENT-0005"], False), ([], False)])
def test_rds_event_ids_bind(ids: list[str], is_selected: bool) -> None:
    assert Rule.read(document(databases=["orders-*"], rdsEventIds=ids)).matches(event()) is is_selected
    assert Rule.read(document(databases=["*"], rdsEventIds=ids)).is_fallback_for(event()) is is_selected


@pytest.mark.parametrize(
    "text",
    ["", "not JSON", "[]", "7", '{"databases": "orders-db"}', '{"databases": null}', '{"databases": [7]}', "[" * 8000],
)
def test_a_document_whose_databases_cannot_be_read_is_selected_by_name_only(text: str) -> None:
    rule = Rule.read(text)
    assert (rule.matches(event()), rule.is_fallback_for(event())) == (False, False)
    assert rule.allows_tag


@pytest.mark.parametrize("fields", [{"backupLevel": "NONE"}, {"associations": None}, {"rdsEventIds": "x"}, {"x": 1}])
def test_a_broken_document_is_selected_only_by_its_databases(fields: dict[str, Any]) -> None:
    assert Rule.read(document(databases=["orders-*"], **fields)).matches(event())
    assert not Rule.read(document(databases=["billing"], **fields)).matches(event())


DOCUMENTS = {
    "any": document(databases=["*"]),
    "broken": "{",
    "orders": document(databases=["orders-*"]),
    "restored": document(databases=["orders-db"], rdsEventIds=["RDS-EVENT-0043"]),
    "untagged": document(allowTag=False),
}


@pytest.mark.parametrize(
    ("arn", "tagged", "selection"),
    [
        (ARN, (), Selection("pattern", ("orders", "restored"))),
        (ARN, ("any", "broken"), Selection("tag", ("any", "broken"))),
        (ARN, ("any", "gone", "*"), Selection("tag", ("any",), ("gone",))),
        (ARN, ("gone", "untagged"), Selection("pattern", ("orders", "restored"), ("gone",))),
        ("arn:aws:rds:eu-west-1:1:db:billing", (), Selection("fallback", ("any",))),
        ("arn:aws:rds:eu-west-1:1:db:billing", ("gone",), Selection("fallback", ("any",), ("gone",))),
    ],
)
def test_an_event_selects_by_its_tag_else_by_patterns_else_the_fallback(
    arn: str, tagged: tuple[str, ...], selection: Selection
) -> None:
    assert Rules.read(DOCUMENTS).select(event(arn), tagged) == selection


def test_of_any_event_rds_event_ids_do_not_bind() -> None:
    rules = Rules.read(DOCUMENTS)
    other = event(event_id="RDS-EVENT-0005")
    assert rules.select(other, ()).names == ("orders",)
    assert rules.of_any_event().select(other, ()).names == ("orders", "restored")
