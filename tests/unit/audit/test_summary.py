"""The audit's answer: counts, a row for each database and target, within what Lambda answers."""

import json
from typing import Any

import pytest

from rds_snap_backup.audit import summary as module
from rds_snap_backup.audit.coverage import cover
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.audit.freshness import Freshness
from rds_snap_backup.audit.summary import published_form, summary
from rds_snap_backup.ledger.history import TargetHistory
from rds_snap_backup.rds.databases import Snapshot
from tests.unit.audit.support import ARN, database, stored, text

AT = 1769824804.0
ISO = "2026-01-31T02:00:04Z"
DONE = TargetHistory(submitted_at=AT, completed_at=AT, completed_jobs=("7", "8"))


def finding(question: Any = "coverage", database: str | None = "x") -> Finding:
    return Finding(question, "CODE", None, database, "message", "hint")


def answer(databases: list[Any], documents: dict[str, str], freshness: dict[str, Freshness]) -> dict[str, Any]:
    targets = [stored(name, document) for name, document in documents.items()]
    return summary([], cover(databases, targets), targets, freshness, {})


def test_all_that_is_shown_of_a_database_and_a_target() -> None:
    targets = [stored("nightly", text(databases=["orders"], maxAgeHours=3)), stored("broken", "{")]
    coverages = cover([database("orders"), database("billing"), database("old", "cluster", exclude="true")], targets)
    judged = {"nightly": Freshness("fresh", DONE, 3), "broken": Freshness("invalid", TargetHistory())}
    snapshots: dict[Any, Snapshot] = {("instance", "orders"): Snapshot("snap", "instance", "orders", AT)}
    found = [finding(), finding("stuck"), finding("token")]
    assert summary(found, coverages, targets, judged, snapshots) == {
        "version": "1",
        "status": "audit",
        "ok": False,
        "findings": [one.to_json() for one in found],
        "counts": {
            "databases": 3,
            "covered": 1,
            "uncovered": 1,
            "excluded": 1,
            "targets": 2,
            "stale": 0,
            "stuck": 1,
            "findings": 3,
        },
        "databases": [
            {
                "name": "orders",
                "arn": f"{ARN}:db:orders",
                "kind": "instance",
                "engine": "mysql",
                "targets": [{"name": "nightly", "reason": "pattern"}],
                "lastCompleted": {"at": ISO, "target": "nightly", "jobIds": ["7", "8"]},
                "newestSnapshot": {"name": "snap", "at": ISO},
                "verdict": "covered",
            },
            {
                "name": "billing",
                "arn": f"{ARN}:db:billing",
                "kind": "instance",
                "engine": "mysql",
                "targets": [],
                "lastCompleted": None,
                "newestSnapshot": None,
                "verdict": "uncovered",
            },
            {
                "name": "old",
                "arn": f"{ARN}:cluster:old",
                "kind": "cluster",
                "engine": "mysql",
                "targets": [],
                "lastCompleted": None,
                "newestSnapshot": None,
                "verdict": "excluded",
            },
        ],
        "targets": [
            {
                "name": "nightly",
                "enabled": True,
                "valid": True,
                "maxAgeHours": 3,
                "lastSubmittedAt": ISO,
                "lastCompletedAt": ISO,
                "jobIds": ["7", "8"],
                "verdict": "fresh",
            },
            {
                "name": "broken",
                "enabled": True,
                "valid": False,
                "maxAgeHours": None,
                "lastSubmittedAt": None,
                "lastCompletedAt": None,
                "jobIds": [],
                "verdict": "invalid",
            },
        ],
    }


def test_nothing_found_is_ok() -> None:
    assert answer([], {}, {})["ok"] is True


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("fresh", "fresh", "covered"),
        ("fresh", "stale", "covered"),
        ("exempt", "exempt", "covered"),
        ("exempt", "stale", "stale"),
        ("stale", "stale", "stale"),
    ],
)
def test_a_database_is_stale_where_no_target_that_covers_it_is_fresh(one: Any, other: Any, verdict: str) -> None:
    documents = {"one": text("orders"), "other": text("orders"), "fallback": text(databases=["*"])}
    judged = {"one": Freshness(one, DONE), "other": Freshness(other, DONE), "fallback": Freshness("stale", DONE)}
    report = answer([database("orders")], documents, judged)
    assert report["databases"][0]["verdict"] == verdict
    assert report["counts"]["covered"] == 1
    assert report["counts"]["stale"] == [one, other, "stale"].count("stale")


def test_the_last_completed_backup_is_the_newest_of_its_targets() -> None:
    documents = {name: text("orders") for name in ("one", "two", "three")}
    older = TargetHistory(completed_at=AT - 9, completed_jobs=("1",))
    judged = {"one": Freshness("fresh", older), "two": Freshness("fresh", DONE), "three": Freshness("exempt", older)}
    assert answer([database("orders")], documents, judged)["databases"][0]["lastCompleted"]["target"] == "two"


def test_of_very_many_targets_and_jobs_some_are_shown() -> None:
    documents = {f"t-{number:03}": text(databases=["orders"]) for number in range(100)}
    many = TargetHistory(completed_at=AT, completed_jobs=tuple(map(str, range(1000))))
    report = answer([database("orders")], documents, {name: Freshness("fresh", many) for name in documents})
    assert len(report["databases"][0]["targets"]) == 20
    assert {len(one["jobIds"]) for one in report["targets"]} == {100}


def test_without_the_ledger_a_target_has_no_times() -> None:
    report = answer([], {"orders": text()}, {})
    assert report["targets"][0]["lastCompletedAt"] is None


def test_an_answer_is_cut_to_what_lambda_answers_and_the_counts_are_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 5000)
    targets = [stored("nightly", text(databases=["fine-*"]))]
    coverages = cover([database(f"fine-{number}") for number in range(50)] + [database("worse")], targets)
    found = [finding(database=f"db-{number}") for number in range(50)]
    report = summary(found, coverages, targets, {}, {})
    assert len(json.dumps(report)) <= 5000
    assert 0 < len(report["findings"]) < 50
    assert 0 < len(report["databases"]) < 51
    assert report["databases"][-1]["name"] == "worse"
    assert (report["counts"]["databases"], report["counts"]["findings"]) == (51, 50)


def test_what_is_published_has_the_first_findings_and_no_details() -> None:
    report = summary([finding(database=f"db-{number}") for number in range(60)], [], [], {}, {})
    published = published_form(report)
    assert published.keys() == report.keys() - {"databases", "targets"}
    assert published["findings"] == report["findings"][:50]
    assert published["counts"]["findings"] == 60
