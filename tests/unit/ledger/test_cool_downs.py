"""The cool-down's updates: who claims it over what, and what a submission's end leaves of it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.ledger import cool_downs
from rds_snap_backup.ledger.entries import pin_text
from rds_snap_backup.ledger.steps import Lease, Pin, Submission
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Kind, Trigger

NOW, EXPIRES = 1000.0, 99
REQUEST = BackupRequest((Association("c", "i", "d", "s"),))


def lease(kind: Kind = "rds", seconds: int = 900) -> Lease:
    return Lease(Submission(Trigger(kind, "one"), "orders"), "me", 1, NOW, Pin(REQUEST, seconds))


def test_without_a_cool_down_nothing_is_claimed() -> None:
    assert cool_downs.claim(lease(seconds=0), NOW, EXPIRES) is None


@pytest.mark.parametrize("kind", ["schedule", "manual"])
def test_schedules_and_manual_triggers_claim_it_whoever_has_it(kind: Any) -> None:
    update = cool_downs.claim(lease(kind), NOW, EXPIRES)
    assert update is not None
    assert (update.key, update.condition) == ("cooldown#orders", "")
    assert update.values["claimer"] == f"submission#orders#{kind}#one"


def test_an_rds_event_claims_it_only_where_it_is_free_and_over() -> None:
    update = cool_downs.claim(lease(), NOW, EXPIRES)
    assert update is not None
    assert "attribute_not_exists(#claimer) OR #claimer = :key" in update.condition
    assert "attribute_not_exists(#until) OR #until <= :now" in update.condition


@pytest.mark.parametrize("over", [{"claimer": "gone"}, {"until": NOW + 5}, {"claimer": "gone", "until": NOW + 5}])
def test_a_cool_down_that_holds_nothing_up_is_claimed_as_it_was_read(over: dict[str, Any]) -> None:
    update = cool_downs.claim(lease(), NOW, EXPIRES, over)
    assert update is not None
    assert update.where == {f"was_{name}": value for name, value in over.items()}
    assert all(name in update.condition for name in ("#claimer", "#until"))


@pytest.mark.parametrize("status", ["submitted", "joined"])
def test_an_end_with_jobs_releases_it_and_names_them_for_its_time(status: Any) -> None:
    mine, others = cool_downs.end(lease(), status, {"jobIds": ["1354"]}, NOW, EXPIRES)
    assert mine is not None
    assert others is not None
    assert (mine.remove, mine.condition) == (("claimer",), "#claimer = :key")
    assert (others.remove, others.condition) == ((), "")
    for update in (mine, others):
        assert update.values["until"] == NOW + 900
        assert json.loads(str(update.values["jobIds"])) == ["1354"]
        assert json.loads(str(update.values["error"])) is None


def test_who_joins_hears_what_went_wrong_beside_the_jobs() -> None:
    problem = Problem("JOBS_MISSING", "One has none.", "Look for it.")
    _, update = cool_downs.end(lease(), "submitted", {"jobIds": ["1"], "error": problem.to_json()}, NOW, EXPIRES)
    assert update is not None
    assert cool_downs.joined(lease(), {**update.values}).problem == problem
    amended = cool_downs.amend(lease(), {"jobIds": ["1"]}, {"jobIds": ["1", "2"]})
    assert amended.where == {"was_job_ids": update.values["jobIds"]}
    join = cool_downs.joined(lease(), {**update.values, **amended.values})
    assert (join.job_ids, join.problem) == (("1", "2"), None)


@pytest.mark.parametrize(("status", "job_ids"), [("rejected", []), ("abandoned", ["1354"]), ("scheduled", [])])
def test_an_end_without_a_backup_only_releases_it(status: Any, job_ids: list[str]) -> None:
    mine, others = cool_downs.end(lease(), status, {"jobIds": job_ids}, NOW, EXPIRES)
    assert mine is not None
    assert mine.remove == ("claimer",)
    assert "until" not in mine.values
    assert others is None


def test_who_joins_keeps_the_associations_that_have_got_a_job_of_their_own() -> None:
    own, rest, joined = (Association("c", instance, "d", "s") for instance in ("own", "rest", "joined"))
    joining = replace(lease(), pin=Pin(BackupRequest((own, rest)), 900), found={own.key: "1354"})
    pin = pin_text(Pin(BackupRequest((joined,), "INCREMENTAL"), 300))
    join = cool_downs.joined(joining, {"pin": pin, "jobIds": '["1355"]'})
    assert join.job_ids == ("1355",)
    assert join.lease.pin == Pin(BackupRequest((own, joined), "INCREMENTAL"), 300)
