"""The verdicts on databases: a table of cases for each verdict, and one for the account of a client."""

import re
from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.audit.coverage import Listed
from rds_snap_backup.audit.job_history import Jobs
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Place, Resource
from tests.unit.audit.support import (
    ACCOUNT,
    ARN,
    AWAY,
    DEV,
    EVERYTHING,
    HOME,
    HOUR,
    NIGHTLY,
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

ORDERS, REPLICA = database("orders"), database("orders", is_replica=True)
MINE = ORDERS.resource
DENIED = Problem("HTTP_403", "Access denied", "-")
TAKEN = (snapshot("x", MINE),)
LATE = Problem("OUT_OF_CALLS", "Too many calls", "-")
UNCLEAR = group("odd", child(7, "orders"))
CRM_ONLY = group("crm", child("Instance", "crm", path="us-east-1"))


def listed(*points: Any) -> dict[str, Any]:
    return {"points": {RDS: points}}


def made(hours: float = 1, of: Resource = MINE, **more: Any) -> dict[str, Any]:
    """Return a restore point and its snapshot."""
    return listed(point("orders", hours)) | {"snapshots": [snapshot(f"orders-{hours:g}", of, hours, **more)]}


def job(hours: float = 1.5, status: str = "Completed", job_id: str = "2291", minutes: float = 60) -> Job:
    """Return a job of the group `nightly` that began so many hours ago."""
    began = NOW - hours * HOUR
    names = ("aws-prod", "RDS", "nightly")
    return Job(job_id, *names, level="FULL", is_backup=True, status=status, started=began, ended=began + minutes * 60)


def jobs(*found: Job, problem: Problem | None = None) -> dict[str, Any]:
    return {"jobs": Jobs({found[0].names: found} if found else {}, problem)}


def by_job(found: Job, taken: Any = TAKEN) -> dict[str, Any]:
    """Return a job and the snapshots of RDS: Commvault lists no restore points, so jobs count."""
    return {"points": {RDS: DENIED}, "taken": {HOME: taken}} | jobs(found)


def by_name(region: str, **more: Any) -> dict[str, Any]:
    """Return a restore point of a region: RDS's snapshots cannot be read, so its name counts."""
    return listed(point("orders", region=region)) | {"found": {HOME: DENIED}} | more


def born(hours: float) -> Database:
    return database("orders", created=NOW - hours * HOUR)


MADE = made()
DEV_UNREAD = {"groups": [CRM_ONLY], "unread_clients": {"aws-dev": DENIED}}
ORDERS_NAMED = group("g", child("instance", "ORDERS", path="us-east-1"))
UNCLEAR_EXCEPTION = group("g", EVERYTHING, filters=[child("Tag", "x")])
WEST = Place(ACCOUNT, "eu-west-1")
ORDERS_WEST = database("orders", at=WEST)
UNKNOWN_ACCOUNT = "account of Commvault's client aws-prod is not known"
ERRORS = "Completed w/ one or more errors"
NOT_LISTED = r"and Commvault does not list restore points\.$"
BESIDE = {"groups": [NIGHTLY, group("nightly", EVERYTHING, of=DEV)]}
LAST = r"The last one is orders-27 of 2026-01-29T23:00:04Z\."
CASES: dict[str, dict[str, tuple[dict[str, Any], str] | tuple[dict[str, Any], str, Database]]] = {
    "excluded": {
        "by a tag, though it is protected": (MADE, "has the tag", database("orders", exclude=" True")),
        "a read replica that only everything selects": (MADE, "replica", REPLICA),
    },
    "unreadable": {
        "Commvault's clients cannot be listed": ({"groups": (), "problem": DENIED}, "Access denied"),
        "one client's groups cannot be read": (DEV_UNREAD, "Access denied"),
        "a content cannot be read": ({"groups": [replace(CRM_ONLY, content=LATE)]}, "Too many calls"),
        "its restore points were not reached": ({"points": {RDS: LATE}}, "Too many calls"),
        "the list of restore points is too short": ({"points": {RDS: Listed((), NOW - 10 * HOUR)}}, "too long"),
        "neither restore points nor jobs": ({"points": {RDS: DENIED}} | jobs(problem=DENIED), "Neither"),
    },
    "uncovered": {
        "nothing selects it": ({"groups": [CRM_ONLY]}, "No instance group"),
        "nothing selects it, and it has a restore point": (made(27) | {"groups": [CRM_ONLY]}, LAST),
        "it is excepted": ({"groups": [group("g", EVERYTHING, filters=[child("Instance", "orders")])]}, ""),
        "Commvault has no group": ({"groups": ()}, ""),
        "an unread group is of another account": (DEV_UNREAD | {"accounts": {"aws-dev": {OTHER}}}, "No instance group"),
    },
    "protected": {
        "a restore point whose snapshot is available": (MADE, "^$"),
        "the tag has another value": (MADE, "^$", database("orders", exclude="no")),
        "a read replica that a content names": (MADE | {"groups": [ORDERS_NAMED]}, "^$", REPLICA),
        "a restore point of a group that is not understood": (MADE | {"groups": [UNCLEAR]}, ""),
        "the next older one, while the newest is missing": (made(9) | listed(point("orders"), point("orders", 9)), ""),
        "RDS says when it was made": (made(2) | listed(point("orders", 40, "orders-2")), ""),
        "in a region that is not known": (MADE | listed(point("orders", region="")), ""),
        "by name, as RDS's snapshots are unread": (MADE | {"found": {HOME: DENIED}}, "counts by name", born(90)),
        "by name, in a region that is not known": (by_name(""), "counts by name"),
        "a job with its snapshot": (by_job(job()), "its job and RDS's snapshot count"),
        "a job that ended before its snapshot, by another clock": (by_job(job(minutes=29)), ""),
        "a job that began after its snapshot, by another clock": (by_job(job(59 / 60)), ""),
        "within an age that a target allows": (made(40) | {"targets": [target(maxAgeHours=48)]}, "age is 48 h"),
        "though its groups' last job had errors": (MADE | jobs(job(status=ERRORS)), "2291, ended as completed with err"),
    },
    "ambiguous": {
        "a content is not understood": ({"groups": [CRM_ONLY, UNCLEAR]}, "aws-prod / RDS / odd is not"),
        "a rule that takes too long": ({"groups": [group("g", child("instanceRule", "(a+)+$"))]}, r"rule \(a\+\)\+"),
        "an exception is not understood": ({"groups": [UNCLEAR_EXCEPTION]}, "type Tag"),
        "its name may exist in an unread account": ({"places": {HOME, AWAY}, "unread": {AWAY}}, UNKNOWN_ACCOUNT),
    },
    "unproven": {"a job completed, and nobody can be asked": (by_job(job(), DENIED), "neither Commvault nor RDS")},
    "new": {
        "younger than the maximum age": ({}, "younger than 26 h", born(25)),
        "by name, a restore point from before it": (listed(point("orders", 0.51)) | {"found": {HOME: DENIED}}, "", born(0.5)),
        "by name, one from long before it": (listed(point("orders")) | {"found": {HOME: DENIED}}, "", born(0.5)),
        "a job from before it": (by_job(job()), "", born(1.2)),
    },
    "stale": {
        "not younger than the target's maximum age": ({"targets": [target(maxAgeHours=9)]}, "within 9 h", born(25)),
        "its age is not known": ({}, "within 26 h"),
        "its job made no restore point": (jobs(job()), "Job 2291 completed, and made no restore point"),
        "its last job failed": (jobs(job(status="Failed")), r"Job 2291 failed\."),
        "its last job was killed": (jobs(job(status="Killed")), r"Job 2291 was killed\."),
        "a job that made the last restore point is not blamed": (made(27) | jobs(job(27.5)), f"26 h. {LAST}$"),
        "its snapshot was deleted": (listed(point("orders")) | jobs(job()), "and RDS does not show the snapshot"),
        "its snapshot is not available": (made(is_available=False), ""),
        "it was deleted and created again under its name": (made(resource_id="id-earlier"), ""),
        "the restore point is of a cluster of this name": (made(of=resource("orders", "cluster")), ""),
        "of another region": (MADE | listed(point("orders", region="eu-west-1")) | {"places": {HOME, WEST}}, ""),
        "by name, of a region that is not audited": (by_name("ap-south-1"), ""),
        "by name, and the name exists in two regions": (by_name("", databases=[ORDERS, ORDERS_WEST]), "within 26 h.$"),
        "its last job's restore point may be of another region": (
            by_name("", unread={WEST}) | jobs(job()), "Job 2291 completed, and RDS's snapshots could not be read"),
        "by name, and the name may exist in an unread region": (by_name("", unread={WEST}), ""),
        "the restore point lies in the future": (made(-2), ""),
        "a job with errors": (by_job(job(status=ERRORS)), f"with errors, {NOT_LISTED}"),
        "a job whose snapshot is of another time": (by_job(job(), [snapshot("x", MINE, 3)]), f"completed, {NOT_LISTED}"),
        "an old job, and nobody can be asked": (by_job(job(40), DENIED), f"completed, {NOT_LISTED}"),
        "an old job with its snapshot": (by_job(job(28), [snapshot("orders-27", MINE, 27)]), f"26 h. {LAST}$"),
        "an old job with its snapshot, and an older restore point": (
            by_job(job(28), [snapshot("orders-27", MINE, 27)])
            | BESIDE
            | {"points": {RDS: DENIED, DEV: [point("orders", 40)]}, "snapshots": [snapshot("orders-40", MINE, 40)]},
            f"26 h. {LAST}$",
        ),
        "its last job is of a group that is listed": (
            BESIDE | {"points": {RDS: (), DEV: DENIED}} | jobs(job()), "and made no restore point"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "case"),
    [pytest.param(verdict, case, id=name) for verdict, cases in CASES.items() for name, case in cases.items()],
)
def test_a_verdict(expected: str, case: tuple[Any, ...]) -> None:
    facts, reason, judged = (*case, ORDERS)[:3]
    verdict = judge(judged, **facts).judge(judged)
    assert verdict.name == expected
    assert re.search(reason, verdict.reason)
    assert bool(verdict.reason) or expected == "protected"
    assert (verdict.problem is not None) is (expected == "unreadable")


ONE, TWO, CRM = database("orders"), database("orders", at=AWAY), database("crm", at=AWAY)
ONE_EACH = [snapshot("s-210", ONE.resource), snapshot("s-211", TWO.resource)]
BOTH: dict[str, Any] = {"groups": [NIGHTLY, group("nightly", EVERYTHING, of=DEV)]}
BOTH |= {"points": {each: [point("orders", snapshot=f"s-{each.id}")] for each in (RDS, DEV)}}


@pytest.mark.parametrize(
    ("facts", "verdicts"),
    [
        # RDS shows the snapshots of its restore points there, which is stronger than a target's word.
        (MADE, "protected uncovered uncovered"),
        (MADE | {"targets": [target(accounts=[OTHER])]}, "protected uncovered uncovered"),
        # It is the only account of the targets that name its groups.
        ({"targets": [target(accounts=[OTHER])]}, "uncovered stale stale"),
        # It is not known: a name counts that exists once.
        ({"targets": [target(accounts=[ACCOUNT, OTHER])]}, "ambiguous ambiguous stale"),
        ({}, "ambiguous ambiguous stale"),
        # Two clients, of one account and of two.
        (BOTH | {"snapshots": [snapshot(f"s-{n}", ONE.resource) for n in (210, 211)]}, "protected uncovered uncovered"),
        (BOTH | {"snapshots": ONE_EACH}, "protected protected stale"),
    ],
)
def test_one_name_in_two_accounts(facts: dict[str, Any], verdicts: str) -> None:
    found = judge(ONE, TWO, CRM, **facts)
    assert [found.judge(each).name for each in found.databases] == verdicts.split()


def test_members_are_judged_as_their_cluster() -> None:
    shop = database("shop", "cluster", ("shop-1",))
    named = (("Cluster", "shop", "stale"), ("Instance", "shop-1", "stale"), ("Instance", "shop", "uncovered"))
    for kind, name, expected in named:
        assert judge(shop, groups=[group("g", child(kind, name, path="us-east-1"))]).judge(shop).name == expected


def test_the_row_of_a_database() -> None:
    history = Jobs({job().names: (job(0.2, "Running", "2292"), job())})
    found = judge(ORDERS, **MADE, jobs=history, ours={"2291"})
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
    assert replace(found, ours=frozenset()).judge(ORDERS).by == "commvault"
    assert replace(found, ours=None).judge(ORDERS).by is None
    row = judge(ORDERS, groups=[CRM_ONLY]).judge(ORDERS).to_json()
    assert (row["groups"], row["restorePoint"], row["jobId"], row["by"]) == ([], None, None, None)


def test_the_maximum_age_is_the_least_of_the_targets_that_name_a_group_that_selects_it() -> None:
    ages = {"nightly": 40, "weekly": 30, "other": 1}
    targets = [target(name, association(name), maxAgeHours=hours) for name, hours in ages.items()]
    found = judge(ORDERS, groups=[NIGHTLY, group("weekly", EVERYTHING)], targets=targets, **made(29))
    assert found.judge(ORDERS).name == "protected"
    later = replace(found, now=NOW + 2 * HOUR).judge(ORDERS)
    assert (later.name, "within 30 h" in later.reason) == ("stale", True)


def test_rds_is_asked_for_the_newest_and_then_for_older_ones_five_at_most() -> None:
    points = [point("orders", hours) for hours in range(1, 9)]
    found = judge(ORDERS, database("crm"), database("hr", exclude="true"), **listed(*points, point("hr")))
    asked: set[Any] = set()
    for hours in range(1, 6):
        assert found.missing({HOME: asked}) == {HOME: {("instance", f"orders-{hours}")}}
        asked.add(("instance", f"orders-{hours}"))
    assert found.missing({HOME: asked}) == {}
    proven = replace(found, found={HOME: {("instance", "orders-1"): snapshot("orders-1", MINE)}})
    assert proven.missing({}) == {}
    assert replace(found, found={HOME: DENIED}).missing({}) == {}


def renamed(path: str = "us-east-1") -> list[Any]:
    return [group("nightly", child("Instance", "old", path=path))]


EVERYWHERE = (EVERYTHING, child("Instance", "old"), child("instanceRule", "^eu-"))


@pytest.mark.parametrize(
    ("facts", "is_empty"),
    [
        ({"groups": renamed()}, True),
        ({"groups": [group("nightly")]}, True),
        ({}, False),
        # It also selects in regions that are not audited.
        ({"groups": renamed(path="eu-west-1")}, False),
        *(({"groups": [group("nightly", part)], "databases": []}, False) for part in EVERYWHERE),
        ({"groups": [group("nightly", child("Tag", "old"))]}, False),
        ({"groups": [group("other", EVERYTHING)]}, False),
        ({"groups": renamed(), "unread": {Place(ACCOUNT, "us-west-2")}}, False),
        # Its account is not known, or named by the target.
        ({"groups": renamed(), "places": {HOME, AWAY}}, False),
        ({"groups": [*renamed(), group("other", EVERYTHING, of=DEV)]}, False),
        ({"groups": renamed(), "unread_clients": {"aws-dev": DENIED}}, False),
        ({"groups": renamed(), "places": {HOME, AWAY}, "targets": [target(accounts=[ACCOUNT])]}, True),
    ],
)
def test_a_group_is_empty_where_that_is_certain(facts: dict[str, Any], is_empty: bool) -> None:
    (named,) = target().request.associations
    assert judge(ORDERS, **facts).is_empty(named) is is_empty
