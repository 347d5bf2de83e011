"""The verdicts on databases: a table of cases for each verdict, and one for the account of a client."""

from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.audit.coverage import Listed
from rds_snap_backup.audit.job_history import Jobs
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place
from tests.unit.audit.support import (
    ACCOUNT,
    ARN,
    AWAY,
    DEV,
    EVERYTHING,
    HOME,
    HOUR,
    NOW,
    OTHER,
    RDS,
    association,
    child,
    database,
    group,
    judge,
    point,
    resource,
    snapshot,
    target,
)

ORDERS = database("orders")
MINE = ORDERS.resource
DENIED = Problem("HTTP_403", "Access denied", "-")
LATE = Problem("OUT_OF_CALLS", "Too many calls", "-")
UNCLEAR = group("odd", child(7, "orders"))
CRM_ONLY = group("crm", child("Instance", "crm", path="us-east-1"))
MADE = {"points": {RDS: [point("orders")]}, "snapshots": [snapshot("orders-1", MINE)]}
# Commvault lists no restore points, so jobs count.
NO_LIST = {"points": {RDS: DENIED}}


def job(hours: float = 1.5, status: str = "Completed", job_id: str = "2291", minutes: float = 60) -> Job:
    """Return a job of the group `nightly` that began so many hours ago."""
    began = NOW - hours * HOUR
    names = ("aws-prod", "RDS", "nightly")
    return Job(job_id, *names, level="FULL", is_backup=True, status=status, started=began, ended=began + minutes * 60)


def jobs(*found: Job, problem: Problem | None = None) -> Jobs:
    return Jobs({found[0].names: found} if found else {}, problem)


CASES: dict[str, tuple[Database, dict[str, Any], str, str]] = {
    # ---- excluded
    "a tag excludes it, whatever protects it": (database("orders", exclude=" True"), MADE, "excluded", "has the tag"),
    "the tag has another value": (database("orders", exclude="no"), MADE, "protected", ""),
    "a read replica that only everything selects": (database("orders", is_replica=True), MADE, "excluded", "replica"),
    "a read replica that a content names": (
        database("orders", is_replica=True),
        MADE | {"groups": [group("nightly", child("instance", "ORDERS", path="us-east-1"))]},
        "protected",
        "",
    ),
    # ---- unreadable
    "Commvault's clients cannot be listed": (ORDERS, {"groups": (), "problem": DENIED}, "unreadable", "Access denied"),
    "one client's groups cannot be read": (
        ORDERS,
        {"groups": [CRM_ONLY], "unread_clients": {"aws-dev": DENIED}},
        "unreadable",
        "Access denied",
    ),
    "a group's content cannot be read": (
        ORDERS,
        {"groups": [replace(CRM_ONLY, content=LATE)]},
        "unreadable",
        "Too many calls",
    ),
    "an unread group of another account": (
        ORDERS,
        {"groups": [CRM_ONLY], "unread_clients": {"aws-dev": DENIED}, "accounts": {"aws-dev": {OTHER}}},
        "uncovered",
        "",
    ),
    "its restore points were not reached": (ORDERS, {"points": {RDS: LATE}}, "unreadable", "Too many calls"),
    "the list of restore points is too short": (
        ORDERS,
        {"points": {RDS: Listed((), NOW - 10 * HOUR)}},
        "unreadable",
        "too long",
    ),
    "neither restore points nor jobs can be read": (
        ORDERS,
        NO_LIST | {"jobs": jobs(problem=DENIED)},
        "unreadable",
        "Neither",
    ),
    # ---- uncovered
    "nothing selects it": (ORDERS, {"groups": [CRM_ONLY]}, "uncovered", "No instance group"),
    "nothing selects it, and it has a restore point": (
        ORDERS,
        MADE | {"groups": [CRM_ONLY]},
        "uncovered",
        "The last one is orders-1",
    ),
    "it is excepted": (
        ORDERS,
        MADE | {"groups": [group("nightly", EVERYTHING, filters=[child("Instance", "orders")])]},
        "uncovered",
        "",
    ),
    "Commvault has no group": (ORDERS, {"groups": ()}, "uncovered", ""),
    # ---- protected
    "a restore point whose snapshot is available": (ORDERS, MADE, "protected", ""),
    "of a group that is not understood": (ORDERS, MADE | {"groups": [UNCLEAR]}, "protected", ""),
    "the next older one, while the newest is missing": (
        ORDERS,
        {"points": {RDS: [point("orders", 1), point("orders", 9)]}, "snapshots": [snapshot("orders-9", MINE, 9)]},
        "protected",
        "",
    ),
    "RDS says when it was made": (
        ORDERS,
        {"points": {RDS: [point("orders", 40, "s")]}, "snapshots": [snapshot("s", MINE, 2)]},
        "protected",
        "",
    ),
    "in a local zone, of another case": (
        ORDERS,
        {"points": {RDS: [point("orders", zone="us-east-1-bos-1a")]}, "snapshots": [snapshot("orders-1", MINE)]},
        "protected",
        "",
    ),
    "in a zone that is not known": (
        ORDERS,
        {"points": {RDS: [point("orders", zone="moon-1a")]}, "snapshots": [snapshot("orders-1", MINE)]},
        "protected",
        "",
    ),
    "RDS's snapshots cannot be read": (
        database("orders", created=NOW - 90 * HOUR),
        {"points": {RDS: [point("orders")]}, "found": {HOME: DENIED}},
        "protected",
        "counts by name",
    ),
    "a job with its snapshot, where jobs count": (
        ORDERS,
        NO_LIST | {"jobs": jobs(job()), "taken": {HOME: [snapshot("x", MINE)]}},
        "protected",
        "its job and RDS's snapshot count",
    ),
    "an older age that a target allows": (
        ORDERS,
        {"points": {RDS: [point("orders", 40)]}, "snapshots": [snapshot("orders-40", MINE, 40)]}
        | {"targets": [target(maxAgeHours=48)]},
        "protected",
        "Its maximum age is 48 h.",
    ),
    "its groups' last job had errors": (
        ORDERS,
        MADE | {"jobs": jobs(job(status="Completed w/ one or more errors"))},
        "protected",
        "The last job of its groups, 2291, ended as completed with errors.",
    ),
    # ---- ambiguous
    "a content is not understood": (
        ORDERS,
        {"groups": [CRM_ONLY, UNCLEAR]},
        "ambiguous",
        "aws-prod / RDS / odd is not",
    ),
    "a rule that takes too long": (
        ORDERS,
        {"groups": [group("slow", child("instanceRule", "(a+)+$"))]},
        "ambiguous",
        "rule (a+)+$",
    ),
    "an exception is not understood": (
        ORDERS,
        {"groups": [group("nightly", EVERYTHING, filters=[child("Tag", "x")])]},
        "ambiguous",
        "type Tag",
    ),
    "its name exists in an account that cannot be read": (
        ORDERS,
        {"places": {HOME, AWAY}, "unread": {AWAY}},
        "ambiguous",
        "account of Commvault's client aws-prod is not known",
    ),
    # ---- unproven
    "jobs say yes, and nobody can be asked": (
        ORDERS,
        NO_LIST | {"jobs": jobs(job()), "taken": {HOME: DENIED}},
        "unproven",
        "neither Commvault nor RDS",
    ),
    # ---- new
    "it is younger than the maximum age": (database("orders", created=NOW - 25 * HOUR), {}, "new", "younger than 26 h"),
    "it is not younger than the target's age": (
        database("orders", created=NOW - 25 * HOUR),
        {"targets": [target(maxAgeHours=9)]},
        "stale",
        "within 9 h",
    ),
    "its age is not known": (ORDERS, {}, "stale", ""),
    # ---- stale
    "no restore point": (ORDERS, {"jobs": jobs(job())}, "stale", "Job 2291 completed, and made no restore point"),
    "the last job failed": (ORDERS, {"jobs": jobs(job(status="Failed"))}, "stale", "Job 2291 failed."),
    "the last restore point is too old": (
        ORDERS,
        {"points": {RDS: [point("orders", 27)]}, "snapshots": [snapshot("orders-27", MINE, 27)]},
        "stale",
        "The last one is orders-27 of 2026-01-29T23:00:04Z.",
    ),
    "its snapshot was deleted": (
        ORDERS,
        {"points": MADE["points"], "jobs": jobs(job())},
        "stale",
        "Job 2291 completed, and RDS does not show the snapshot of its restore point as available.",
    ),
    "its last job was killed": (ORDERS, {"jobs": jobs(job(status="Killed"))}, "stale", "Job 2291 was killed."),
    "its snapshot is not available": (
        ORDERS,
        MADE | {"snapshots": [snapshot("orders-1", MINE, is_available=False)]},
        "stale",
        "",
    ),
    "it was deleted and created anew under its name": (
        ORDERS,
        MADE | {"snapshots": [snapshot("orders-1", MINE, resource_id="id-earlier")]},
        "stale",
        "",
    ),
    "the restore point is of a cluster of this name": (
        ORDERS,
        MADE | {"snapshots": [snapshot("orders-1", resource("orders", "cluster"))]},
        "stale",
        "",
    ),
    "the restore point is of another region": (
        ORDERS,
        {"places": {HOME, Place(ACCOUNT, "eu-west-1")}, "snapshots": [snapshot("orders-1", MINE)]}
        | {"points": {RDS: [point("orders", zone="eu-west-1a")]}},
        "stale",
        "",
    ),
    "the restore point lies in the future": (
        ORDERS,
        {"points": {RDS: [point("orders", -2)]}, "snapshots": [snapshot("orders--2", MINE)]},
        "stale",
        "",
    ),
    "by name, a restore point from before it was created": (
        database("orders", created=NOW - 0.5 * HOUR),
        {"points": {RDS: [point("orders")]}, "found": {HOME: DENIED}},
        "new",
        "",
    ),
    "a job with errors": (
        ORDERS,
        NO_LIST | {"jobs": jobs(job(status="Completed w/ one or more errors")), "taken": {HOME: [snapshot("x", MINE)]}},
        "stale",
        "",
    ),
    "a job that began before it was created": (
        database("orders", created=NOW - 1.2 * HOUR),
        NO_LIST | {"jobs": jobs(job()), "taken": {HOME: [snapshot("x", MINE)]}},
        "new",
        "",
    ),
    "a job whose snapshot is of another time": (
        ORDERS,
        NO_LIST | {"jobs": jobs(job()), "taken": {HOME: [snapshot("x", MINE, 3)]}},
        "stale",
        "",
    ),
    "an old job, and nobody can be asked": (
        ORDERS,
        NO_LIST | {"jobs": jobs(job(40)), "taken": {HOME: DENIED}},
        "stale",
        "",
    ),
}


@pytest.mark.parametrize(("judged", "facts", "expected", "reason"), CASES.values(), ids=CASES)
def test_a_verdict(judged: Database, facts: dict[str, Any], expected: str, reason: str) -> None:
    verdict = judge(judged, **facts).judge(judged)
    assert verdict.name == expected
    assert reason in verdict.reason
    assert bool(verdict.reason) or expected == "protected"
    assert (verdict.problem is not None) is (expected == "unreadable")


def test_a_job_that_made_the_last_restore_point_is_not_blamed() -> None:
    facts = {"points": {RDS: [point("orders", 27)]}, "snapshots": [snapshot("orders-27", MINE, 27)]}
    reason = judge(ORDERS, **facts, jobs=jobs(job(27.5))).judge(ORDERS).reason
    assert reason == "No restore point within 26 h. The last one is orders-27 of 2026-01-29T23:00:04Z."


ONE, TWO = database("orders"), database("orders", at=AWAY)
BOTH = {"groups": [group("nightly", EVERYTHING), group("nightly", EVERYTHING, of=DEV)]}


@pytest.mark.parametrize(
    ("facts", "verdicts"),
    [
        # RDS shows the snapshots of its restore points there.
        (
            {"points": {RDS: [point("orders")]}, "snapshots": [snapshot("orders-1", ONE.resource)]},
            ["protected", "uncovered"],
        ),
        # It is the only account of the targets that name its groups.
        ({"targets": [target(accounts=[OTHER])]}, ["uncovered", "stale"]),
        ({"targets": [target(accounts=[ACCOUNT, OTHER])]}, ["ambiguous", "ambiguous"]),
        # The restore points are stronger than a target's word.
        (
            {"points": {RDS: [point("orders")]}, "snapshots": [snapshot("orders-1", ONE.resource)]}
            | {"targets": [target(accounts=[OTHER])]},
            ["protected", "uncovered"],
        ),
        ({}, ["ambiguous", "ambiguous"]),
        # Two clients for one account.
        (
            BOTH
            | {"points": {each: [point("orders", snapshot=f"s-{each.id}")] for each in (RDS, DEV)}}
            | {"snapshots": [snapshot(f"s-{each.id}", ONE.resource) for each in (RDS, DEV)]},
            ["protected", "uncovered"],
        ),
        # One for each.
        (
            BOTH
            | {"points": {each: [point("orders", snapshot=f"s-{each.id}")] for each in (RDS, DEV)}}
            | {"snapshots": [snapshot("s-210", ONE.resource), snapshot("s-211", TWO.resource)]},
            ["protected", "protected"],
        ),
    ],
)
def test_one_name_in_two_accounts(facts: dict[str, Any], verdicts: list[str]) -> None:
    found = judge(ONE, TWO, **facts)
    assert [found.judge(each).name for each in (ONE, TWO)] == verdicts


def test_a_database_of_another_name_counts_for_a_client_whose_account_is_not_known() -> None:
    found = judge(ONE, TWO, database("crm", at=AWAY))
    assert found.judge(found.databases[2]).name == "stale"


def test_members_are_judged_as_their_cluster() -> None:
    members = (resource("shop-1", cluster="shop"),)
    shop = database("shop", "cluster", members)
    for part, expected in (
        (child("Cluster", "shop", path="us-east-1"), "stale"),
        (child("Instance", "shop-1", path="us-east-1"), "stale"),
        (child("Instance", "shop", path="us-east-1"), "uncovered"),
    ):
        assert judge(shop, groups=[group("g", part)]).judge(shop).name == expected


def test_the_row_of_a_database() -> None:
    found = judge(ORDERS, **MADE, jobs=jobs(job(0.2, "Running", "2292"), job()), ours={"2291"})
    assert found.judge(ORDERS).to_json() == {
        "arn": f"{ARN}:db:orders",
        "verdict": "protected",
        "groups": ["aws-prod / RDS / nightly"],
        "restorePoint": {
            "name": "orders-1",
            "createdAt": "2026-01-31T01:00:04Z",
            "snapshot": f"{ARN}:snapshot:orders-1",
        },
        "jobId": "2291",
        "startedAt": "2026-01-31T00:30:04Z",
        "endedAt": "2026-01-31T01:30:04Z",
        "by": "stack",
        "reason": "",
        "lastRead": None,
    }
    assert replace(found, ours=frozenset()).judge(ORDERS).to_json()["by"] == "commvault"
    assert replace(found, ours=None).judge(ORDERS).to_json()["by"] is None
    row = judge(ORDERS, groups=[CRM_ONLY]).judge(ORDERS).to_json()
    assert (row["groups"], row["restorePoint"], row["jobId"], row["by"]) == ([], None, None, None)


def test_the_maximum_age_is_the_least_of_the_targets_that_name_a_group_that_selects_it() -> None:
    weekly = group("weekly", EVERYTHING)
    targets = [
        target("a", maxAgeHours=40),
        target("b", association("weekly"), maxAgeHours=30),
        target("c", association("other"), maxAgeHours=1),
    ]
    facts = {"points": {RDS: [point("orders", 29)]}, "snapshots": [snapshot("orders-29", MINE, 29)]}
    found = judge(ORDERS, groups=[group("nightly", EVERYTHING), weekly], targets=targets, **facts)
    assert found.judge(ORDERS).name == "protected"
    later = replace(found, now=NOW + 2 * HOUR).judge(ORDERS)
    assert (later.name, "within 30 h" in later.reason) == ("stale", True)


def test_rds_is_asked_for_the_newest_and_then_for_older_ones_five_at_most() -> None:
    points = [point("orders", hours) for hours in range(1, 9)]
    found = judge(ORDERS, database("crm"), database("hr", exclude="true"), points={RDS: [*points, point("hr")]})
    asked: set[Any] = set()
    for hours in range(1, 6):
        assert found.missing({HOME: asked}) == {HOME: {("instance", f"orders-{hours}")}}
        asked.add(("instance", f"orders-{hours}"))
    assert found.missing({HOME: asked}) == {}
    proven = replace(found, found={HOME: {("instance", "orders-1"): snapshot("orders-1", MINE)}})
    assert proven.missing({}) == {}
    assert replace(found, found={HOME: DENIED}).missing({}) == {}


@pytest.mark.parametrize(
    ("facts", "is_empty"),
    [
        ({"groups": [group("nightly", child("Instance", "old", path="us-east-1"))]}, True),
        ({}, False),
        ({"groups": [group("nightly", child("Instance", "old", path="eu-west-1"))]}, False),
        ({"groups": [group("nightly", child("Tag", "old"))]}, False),
        ({"groups": [group("nightly", child("Instance", "old"))], "places": {HOME, AWAY}}, False),
        (
            {"groups": [group("nightly", child("Instance", "old"))], "places": {HOME, AWAY}}
            | {"targets": [target(accounts=[ACCOUNT])]},
            True,
        ),
        (
            {"groups": [group("nightly", child("Instance", "old"))], "unread": {Place(ACCOUNT, "us-west-2")}},
            False,
        ),
        ({"groups": [group("other", EVERYTHING)]}, False),
    ],
)
def test_a_group_is_empty_where_that_is_certain(facts: dict[str, Any], is_empty: bool) -> None:
    (named,) = target().request.associations
    assert judge(ORDERS, **facts).is_empty(named) is is_empty


def test_a_judge_of_600_databases_and_as_many_groups_indexes_names() -> None:
    """Ten thousand children of a content are looked up, not compared one by one."""
    many = group("many", *(child("Instance", f"db-{number}", path="us-east-1") for number in range(10_000)))
    databases = [database(f"db-{number}") for number in range(600)]
    found = judge(*databases, groups=[many])
    assert {found.judge(each).name for each in databases} == {"stale"}
