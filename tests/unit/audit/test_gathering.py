"""What the audit asks Commvault and RDS: within the calls of an audit, and never more than is needed."""

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup.audit import metered
from rds_snap_backup.audit.coverage import Contents, Listed
from rds_snap_backup.audit.estate import Estate
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.job_history import MAX_KEPT, MAX_LOOK_BACK_SECONDS, Jobs, read_jobs
from rds_snap_backup.audit.metered import CONTENT_CALLS, MAX_CALLS, MAX_SAAS_QUERIES, OUT_OF_CALLS, Metered
from rds_snap_backup.audit.verdicts import Judge
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.commvault.job_lists import OVERLAP
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Databases
from rds_snap_backup.rds.members import Listing
from tests.unit.audit.support import HOME, HOUR, NOW, database, judge, target
from tests.unit.tenant import Tenant

OWN, SAAS = "https://commvault.example/commandcenter/api", "https://api.metallic.example"
ORDERS = database("orders")
BROWSE = "/BrowseRDSBackups"
PAGE = 50


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    with Tenant({}, NOW).at_work(PAGE) as tenant:
        yield tenant


def with_accounts(tenant: Tenant, count: int) -> Tenant:
    """Add clients `c-000` and so on, each with an RDS instance whose group `nightly` has everything."""
    tenant.server.extend({f"c-{number:03}": {"RDS": ["nightly"]} for number in range(count)})
    return tenant


class Rds:
    """The SDK's client of RDS, with these manual snapshots of instances."""

    def __init__(self, *snapshots: dict[str, Any]) -> None:
        self.snapshots = snapshots
        self.asked: list[list[str]] = []

    def get_paginator(self, _operation: str) -> Any:
        return SimpleNamespace(paginate=self.paginate)

    def paginate(self, **given: Any) -> Any:
        (names,) = given["Filters"]
        self.asked.append(names["Values"])
        yield {"DBSnapshots": [row for row in self.snapshots if row["DBSnapshotIdentifier"] in names["Values"]]}


def begun(tenant: Tenant, base_url: str = OWN) -> tuple[Discovery, Metered]:
    limited = Metered(tenant.commvault, base_url)
    discovery = Discovery(limited, lambda: 1000.0)
    discovery.begin(None)
    return discovery, limited


def read(tenant: Tenant, named: Collection[Any] = ()) -> tuple[Contents, int]:
    """Read the groups; return also the number of calls."""
    discovery, limited = begun(tenant)
    return read_groups(discovery, limited, named), limited.calls


def gathered(tenant: Tenant, of: Database = ORDERS, rds: Rds | None = None, url: str = OWN, **facts: Any) -> Judge:
    """Read the groups and what proves a database."""
    client: Any = rds or Rds()
    estate = Estate(HOME, {HOME: Listing([of.resource], [], databases=Databases(lambda: client))}, [of])
    discovery, limited = begun(tenant, url)
    judged = judge(of, groups=read_groups(discovery, limited, ()).groups, **facts)
    found = gather(judged, discovery, estate, lambda: 1000.0)
    assert limited.calls <= MAX_CALLS
    return found


# ---- Groups


def test_a_client_without_rds_costs_one_call_and_one_with_it_two(tenant: Tenant) -> None:
    tenant.server.extend({f"server-{number}": {"other": ["default"]} for number in range(5)})
    for number in range(5):
        tenant.server.set_instance_type(f"server-{number}", "other", 5)
    with_accounts(tenant, 3).server.set_instance_type("c-002", "RDS", None)  # It may be one of RDS.
    contents, calls = read(tenant)
    assert tenant.calls == {"/Client": 1, "/Instance": 8, "/Subclient": 3}
    assert (calls, len(contents.groups), contents.problems) == (12, 3, [])


def test_rows_that_are_no_instances_are_left_out(tenant: Tenant) -> None:
    rows = json.dumps({"instanceProperties": [{"odd": 1}, None, {"instance": {"instanceName": 7}}]})
    tenant.server.fault("status", path="/Instance", status=200, body=rows)
    assert read(with_accounts(tenant, 2))[0].groups[0].instance.client == "c-001"


def test_contents_that_the_list_lacks_are_read_singly_those_of_targets_first(tenant: Tenant) -> None:
    tenant.server.state.lists_content = False
    contents, calls = read(with_accounts(tenant, 80), {("c-070", "RDS", "nightly")})
    assert calls == CONTENT_CALLS
    understood = [group for group in contents.groups if not isinstance(group.content, Problem)]
    assert len(understood) == CONTENT_CALLS - 1 - 2 * 80
    assert contents.groups[0].instance.client == "c-070"
    assert contents.problems == [OUT_OF_CALLS] * (80 - len(understood))


def test_clients_that_were_not_reached_are_unread_those_of_targets_last(tenant: Tenant) -> None:
    contents, calls = read(with_accounts(tenant, 150), {("c-149", "RDS", "nightly")})
    assert calls <= CONTENT_CALLS + 1
    assert {each.instance.client for each in contents.groups} >= {"c-149", "c-000"}
    assert len(contents.groups) + len(contents.unread) == 150
    assert set(contents.unread.values()) == {OUT_OF_CALLS}


@pytest.mark.parametrize(
    ("path", "unread", "calls"), [("/Subclient", {"c-000", "c-001", "c-002"}, 3), ("/Client", set(), 1)]
)
def test_what_is_refused_is_a_problem_and_stops_nothing_else(
    tenant: Tenant, path: str, unread: set[str], calls: int
) -> None:
    tenant.server.fault("forbidden", None, path)
    contents, _ = read(with_accounts(tenant, 3))
    assert (contents.groups, set(contents.unread), tenant.calls[path]) == ([], unread, calls)
    assert {problem.code for problem in contents.problems} == {"HTTP_403"}


# ---- Restore points


def with_points(tenant: Tenant, *points: tuple[str, float, str]) -> Tenant:
    """Add a client whose restore points are each of a database, so many hours old, with its snapshot; and a row that is none."""
    with_accounts(tenant, 1)
    for name, hours, snapshot in points:
        row = {"dbName": name, "createTime": int(NOW - hours * HOUR), "snapShotName": snapshot}
        tenant.server.add_restore_point("c-000", row)
    tenant.server.add_restore_point("c-000", {"odd": 1})
    return tenant


def spans(tenant: Tenant) -> list[float]:
    """Return of how many hours restore points were asked for."""
    return [(NOW - request.json["startTime"]) / HOUR for request in tenant.server.requests if request.path == BROWSE]


def test_rds_is_asked_for_the_newest_snapshot_and_then_for_the_next_one(tenant: Tenant) -> None:
    points = [("orders", hours, f"S-{hours}") for hours in (3, 1, 2)]
    at = SimpleNamespace(timestamp=lambda: NOW - 2 * HOUR)
    resource = {"DBInstanceIdentifier": "orders", "DbiResourceId": "id-orders", "Status": "available"}
    rds = Rds({"DBSnapshotIdentifier": "s-2", "DBSnapshotArn": "arn:s-2", "SnapshotCreateTime": at, **resource})
    verdict = gathered(with_points(tenant, *points, ("other", 1, "o")), rds=rds).judge(ORDERS)
    assert rds.asked == [["s-1"], ["s-2"]]
    assert (verdict.name, verdict.proof and verdict.proof.arn) == ("protected", "arn:s-2")
    assert spans(tenant) == [168]


@pytest.mark.parametrize(("of", "points"), [(ORDERS, []), (database("orders", exclude="true"), [("orders", 1, "s-1")])])
def test_rds_is_not_asked_without_restore_points_or_for_an_excluded_database(
    tenant: Tenant, of: Database, points: list[Any]
) -> None:
    rds = Rds()
    gathered(with_points(tenant, *points), of, rds)
    assert rds.asked == []


def test_a_list_that_is_too_long_is_asked_for_from_later_on(tenant: Tenant) -> None:
    too_long: dict[str, Any] = {"status": 200, "body": " " * (5 << 20)}
    tenant.server.fault("status", 1, BROWSE, **too_long)
    found = gathered(with_accounts(tenant, 1))
    assert spans(tenant) == [168, 42]
    assert found.judge(ORDERS).name == "stale"
    # Nothing is known of the hours before, which another maximum age includes.
    weekly = replace(found, ages=replace(found.ages, default_hours=100))
    assert weekly.judge(ORDERS).name == "unreadable"
    # As far back as the greatest maximum age, a week at least.
    tenant.server.fault("status", 3, BROWSE, **too_long)
    gathered(tenant, targets=[target(maxAgeHours=1000)])
    assert spans(tenant)[2:] == [1000, 250, 62.5]


@pytest.mark.parametrize(("url", "most"), [(OWN, 30), (SAAS, MAX_SAAS_QUERIES), (f"{SAAS}/", MAX_SAAS_QUERIES)])
def test_on_saas_few_queries_are_made_and_what_was_not_reached_is_unreadable(
    tenant: Tenant, url: str, most: int
) -> None:
    judged = gathered(with_accounts(tenant, 30), url=url)
    assert tenant.calls[BROWSE] == most
    unread = [each for each in judged.listed.values() if not isinstance(each, Listed)]
    assert len(unread) == 30 - most
    assert judged.judge(ORDERS).name == ("unreadable" if unread else "stale")


def test_the_list_of_jobs_is_left_some_calls(tenant: Tenant) -> None:
    _, limited = begun(tenant)
    limited.calls = MAX_CALLS - metered.JOB_CALLS
    answer = limited.query(BROWSE, {}, tenant.kernel.now + 10, listed="snapList")
    assert answer == QueryFailed(OUT_OF_CALLS)
    assert isinstance(limited.get("/Client", tenant.kernel.now + 10), JsonDocument)


# ---- Jobs: newest first, only as far as needed


def with_jobs(tenant: Tenant, count: int, groups: str = "a") -> list[str]:
    """Add jobs of 30 s, one a minute until a minute ago, of groups in turn; return their IDs, the newest first."""
    for number in range(count, 0, -1):
        tenant.server.add_job("aws-prod", groups[number % len(groups)], start=NOW - 60 * number, waiting=0, seconds=30)
    return [*tenant.server.jobs][::-1]


def pages(rows: int) -> int:
    """Return how many pages have this many rows: each repeats some of the one before it."""
    return 1 + math.ceil((rows - PAGE) / (PAGE - OVERLAP))


def history(tenant: Tenant, *groups: str, seconds_left: float = 100, **hours: float) -> Jobs:
    """Read the jobs of groups; `hours` are their maximum ages, 26 without one."""
    wanted = {("aws-prod", "RDS", group): NOW - hours.get(group, 26) * HOUR for group in (*groups, *hours)}
    return read_jobs(Metered(tenant.commvault, OWN), wanted, NOW, lambda: seconds_left)


@pytest.mark.parametrize(("wanted", "calls"), [("", 0), ("a", 1), ("ab", 1), ("ax", pages(200))])
def test_the_list_is_read_as_far_as_it_is_needed(tenant: Tenant, wanted: str, calls: int) -> None:
    with_jobs(tenant, 200, "ab")
    jobs = history(tenant, *wanted)
    assert (tenant.calls["/Job"], jobs.problem) == (calls, None)
    assert {names[2] for names in jobs.of_group} == {*wanted} - {"x"}


def test_a_subclient_is_not_looked_for_longer_than_its_maximum_age(tenant: Tenant) -> None:
    with_jobs(tenant, 200, "ab")
    history(tenant, "a", x=0.5)
    assert tenant.calls["/Job"] == 1
    book = tenant.server.state.jobs
    book.jobs = dict(reversed(book.jobs.items()))
    assert {names[2] for names in history(tenant, "a", "x").of_group} == {"a"}
    assert tenant.calls["/Job"] == 1 + pages(200), "a list that is not newest first is read to its end"


@pytest.mark.parametrize(("hours", "seconds"), [(26, 26 * 3600), (1000, MAX_LOOK_BACK_SECONDS)])
def test_it_looks_back_for_the_maximum_age_and_seven_days_at_most(tenant: Tenant, hours: float, seconds: float) -> None:
    history(tenant, a=hours)
    assert tenant.server.requests[-1].query["completedJobLookupTime"] == str(seconds)


def test_the_last_completed_job_counts(tenant: Tenant) -> None:
    newest, before, _ = with_jobs(tenant, 3)
    tenant.server.end_job(tenant.server.add_job("aws-prod", "a").id, "Failed")
    tenant.server.add_job("aws-prod", "a")
    last = tenant.server.add_job("aws-prod", "a", queued=HOUR).id  # It ends without a start.
    tenant.kernel.now += 1
    tenant.server.end_job(last, "Committed")
    jobs, names = history(tenant, "a"), ("aws-prod", "RDS", "a")
    found = (
        jobs.last(names),
        jobs.completed(names, 0),
        jobs.completed(names, NOW),
        jobs.last(("aws-prod", "RDS", "b")),
    )
    assert [job and job.id for job in found] == [last, newest, None, None]
    at = [jobs.at(names, NOW - seconds, 10) for seconds in (120, 75, 65)]
    assert [job and job.id for job in at] == [before, None, newest]


def test_a_restore_is_no_backup(tenant: Tenant) -> None:
    names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "a"}
    row = {"jobSummary": {"jobId": 9, "status": "Completed", "jobType": "Restore", "subclient": names}}
    page = {"totalRecordsWithoutPaging": 1, "jobs": [row]}
    tenant.server.fault("status", path="/Job", status=200, body=json.dumps(page))
    assert history(tenant, "a") == Jobs()


@pytest.mark.parametrize("read", [0, 1])
def test_a_page_that_cannot_be_read_leaves_what_was_read_before_it(tenant: Tenant, read: int) -> None:
    with_jobs(tenant, 2 * PAGE)
    for _ in range(read):
        tenant.server.fault("slow", path="/Job", seconds=0)
    tenant.server.fault("forbidden", path="/Job")
    jobs = history(tenant, "a", "x")
    assert (len(jobs.of_group), jobs.problem and jobs.problem.code) == (read, "HTTP_403")


def test_of_a_storm_the_newest_jobs_are_kept_and_the_last_completed_one(tenant: Tenant) -> None:
    with_jobs(tenant, 1)
    for _ in range(2 * MAX_KEPT):
        tenant.server.end_job(tenant.server.add_job("aws-prod", "a").id, "Failed")
    (mine,) = history(tenant, a=0.02).of_group.values()
    assert len(mine) == MAX_KEPT + 1
    assert mine[-1].end == "completed"


def test_no_more_calls_are_made_than_the_budget_and_none_without_time(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metered, "MAX_CALLS", 3)
    with_jobs(tenant, 10 * PAGE)
    jobs = history(tenant, "x")
    assert (tenant.calls["/Job"], jobs.problem) == (3, metered.OUT_OF_CALLS)
    late = history(tenant, "a", seconds_left=1)
    assert (tenant.calls["/Job"], late.of_group, late.problem is None) == (3, {}, False)
