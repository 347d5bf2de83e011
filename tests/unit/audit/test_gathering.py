"""What the audit asks Commvault and RDS: within the calls of an audit, and never more than is needed."""

import math
import time
from collections import Counter
from collections.abc import Collection
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
from rds_snap_backup.commvault.jobs import PAGE
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Database, Databases
from rds_snap_backup.rds.members import Listing
from tests.unit.audit.support import EVERYTHING, HOME, HOUR, NOW, database, judge, target

OWN, SAAS = "https://commvault.example/commandcenter/api", "https://api.metallic.example"
TOO_LONG = QueryFailed(Problem("ANSWER_TOO_LONG", "Longer than 4 MiB.", "-"))
DOWN = QueryFailed(Problem("UNREACHABLE", "Connection refused", "-"))
ORDERS = database("orders")


def job_row(number: int, group: str = "a", **more: Any) -> dict[str, Any]:
    """Return the job that began this many minutes ago."""
    names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group}
    times = {"jobStartTime": int(NOW) - 60 * number, "jobEndTime": int(NOW) - 60 * number + 30}
    fields = {"jobId": 100_000 - number, "status": "Completed", "jobType": "Snap Backup", "subclient": names}
    return {"jobSummary": fields | times | more}


class Tenant:
    """Commvault with clients `c-000` and so on, each with one RDS instance whose group `nightly` has everything.

    `refused` are answers to paths by their first part. `rows` is the list of restore points. It has a number of `jobs`,
    one a minute, of `groups` in turn; `fail` is the call for them that fails.
    """

    def __init__(self, clients: int = 1, *, lists_content: bool = True, servers: int = 0, **jobs: Any) -> None:
        self.clients, self.lists_content, self.servers = clients, lists_content, servers
        self.refused: dict[str, QueryFailed] = {}
        self.rows: list[dict[str, Any]] = []
        self.spans: list[float] = []
        self.most_hours = float("inf")
        self.calls: Counter[str] = Counter()
        self.path, self.fail, groups = "", jobs.get("fail", 0), jobs.get("groups", "a")
        self.jobs = [job_row(number, groups[number % len(groups)]) for number in range(jobs.get("jobs", 0))]

    def add(self, *changes: dict[str, Any]) -> None:
        """Add jobs, the newest last."""
        for number, more in enumerate(changes):
            self.jobs.insert(0, job_row(-1 - number, **more))

    def get(self, path: str, _deadline: float, headers: Any = None, *, listed: str = "") -> JsonDocument | QueryFailed:
        self.path = path
        kind, _, rest = path[1:].partition("?")
        kind, _, identity = kind.partition("/")
        self.calls[kind] += 1
        if kind in self.refused:
            return self.refused[kind]
        if kind == "Job":
            first, limit = int(headers["offset"]), int(headers["limit"])
            page = {"totalRecordsWithoutPaging": len(self.jobs), "jobs": self.jobs[first : first + limit]}
            return DOWN if self.calls[kind] == self.fail else JsonDocument(page, 0)
        number = int(identity or rest.partition("=")[2].partition("&")[0] or 0)
        rows: list[Any] = []
        match kind:
            case "Client":
                numbers = range(self.clients + self.servers)
                entities = [{"clientId": one + 1, "clientName": f"c-{one:03}"} for one in numbers]
                rows = [{"client": {"clientEntity": entity}} for entity in entities]
            case "Instance":
                kind_of = {"cloudAppsInstance": {"instanceType": "4"}} if number <= self.clients else {}
                rows = [{"instance": {"instanceName": "RDS", "instanceId": 1000 + number}, **kind_of}, {"odd": 1}, None]
            case "Subclient":
                entity = {"instanceName": "RDS", "subclientName": "nightly", "subclientId": number}
                content = {"cloudDbContent": {"children": [EVERYTHING]}} if self.lists_content or identity else {}
                rows = [{"subClientEntity": entity, **content}]
        return JsonDocument({listed or "clientProperties": rows}, 0)

    def query(self, _path: str, body: Any, _deadline: float, *, listed: str) -> JsonDocument | QueryFailed:
        self.calls["Browse"] += 1
        self.spans.append((NOW - body["startTime"]) / HOUR)
        return TOO_LONG if self.spans[-1] > self.most_hours else JsonDocument({listed: self.rows}, 0)


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


def begun(commvault: Any, base_url: str = OWN) -> tuple[Discovery, Metered]:
    limited = Metered(commvault, base_url)
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


def test_a_client_without_rds_costs_one_call_and_one_with_it_two() -> None:
    tenant = Tenant(2, servers=5)
    contents, calls = read(tenant)
    assert tenant.calls == {"Client": 1, "Instance": 7, "Subclient": 2}
    assert (calls, len(contents.groups), contents.problems) == (10, 2, [])


def test_contents_that_the_list_lacks_are_read_singly_those_of_targets_first() -> None:
    contents, calls = read(Tenant(80, lists_content=False), {("c-070", "RDS", "nightly")})
    assert calls == CONTENT_CALLS
    understood = [group for group in contents.groups if not isinstance(group.content, Problem)]
    assert len(understood) == CONTENT_CALLS - 1 - 2 * 80
    assert contents.groups[0].instance.client == "c-070"
    assert contents.problems == [OUT_OF_CALLS] * (80 - len(understood))


def test_clients_that_were_not_reached_are_unread_those_of_targets_last() -> None:
    contents, calls = read(Tenant(150), {("c-149", "RDS", "nightly")})
    assert calls <= CONTENT_CALLS + 1
    assert {each.instance.client for each in contents.groups} >= {"c-149", "c-000"}
    assert len(contents.groups) + len(contents.unread) == 150
    assert set(contents.unread.values()) == {OUT_OF_CALLS}


@pytest.mark.parametrize(
    ("kind", "unread", "calls"), [("Subclient", {"c-000", "c-001", "c-002"}, 3), ("Client", set(), 1)]
)
def test_what_is_refused_is_a_problem_and_stops_nothing_else(kind: str, unread: set[str], calls: int) -> None:
    tenant = Tenant(3)
    tenant.refused[kind] = QueryFailed(Problem("HTTP_403", "No.", "-"))
    contents, _ = read(tenant)
    assert (contents.groups, set(contents.unread), tenant.calls[kind]) == ([], unread, calls)
    assert {problem.code for problem in contents.problems} == {"HTTP_403"}


# ---- Restore points


def row(name: str, hours: float, snapshot: str) -> dict[str, Any]:
    return {"dbName": name, "createTime": int(NOW - hours * HOUR), "snapShotName": snapshot}


def test_rds_is_asked_for_the_newest_snapshot_and_then_for_the_next_one() -> None:
    tenant = Tenant()
    tenant.rows = [row("orders", hours, f"S-{hours}") for hours in (3, 1, 2)] + [row("other", 1, "o"), {"odd": 1}]
    at = SimpleNamespace(timestamp=lambda: NOW - 2 * HOUR)
    resource = {"DBInstanceIdentifier": "orders", "DbiResourceId": "id-orders", "Status": "available"}
    rds = Rds({"DBSnapshotIdentifier": "s-2", "DBSnapshotArn": "arn:s-2", "SnapshotCreateTime": at, **resource})
    verdict = gathered(tenant, rds=rds).judge(ORDERS)
    assert rds.asked == [["s-1"], ["s-2"]]
    assert (verdict.name, verdict.proof and verdict.proof.arn) == ("protected", "arn:s-2")
    assert tenant.spans == [168]


@pytest.mark.parametrize(
    ("of", "rows"), [(ORDERS, []), (database("orders", exclude="true"), [row("orders", 1, "s-1")])]
)
def test_rds_is_not_asked_without_restore_points_or_for_an_excluded_database(of: Database, rows: list[Any]) -> None:
    tenant, rds = Tenant(), Rds()
    tenant.rows = rows
    gathered(tenant, of, rds)
    assert rds.asked == []


def test_a_list_that_is_too_long_is_asked_for_from_later_on() -> None:
    tenant = Tenant()
    tenant.most_hours = 50
    found = gathered(tenant)
    assert tenant.spans == [168, 42]
    assert found.judge(ORDERS).name == "stale"
    # Nothing is known of the hours before, which another maximum age includes.
    weekly = replace(found, ages=replace(found.ages, default_hours=100))
    assert weekly.judge(ORDERS).name == "unreadable"
    # As far back as the greatest maximum age, a week at least.
    gathered(tenant, targets=[target(maxAgeHours=1000)])
    assert tenant.spans[2:] == [1000, 250, 62.5]


@pytest.mark.parametrize(("url", "most"), [(OWN, 30), (SAAS, MAX_SAAS_QUERIES), (f"{SAAS}/", MAX_SAAS_QUERIES)])
def test_on_saas_few_queries_are_made_and_what_was_not_reached_is_unreadable(url: str, most: int) -> None:
    tenant = Tenant(30)
    judged = gathered(tenant, url=url)
    assert tenant.calls["Browse"] == most
    unread = [each for each in judged.listed.values() if not isinstance(each, Listed)]
    assert len(unread) == 30 - most
    assert judged.judge(ORDERS).name == ("unreadable" if unread else "stale")


def test_the_list_of_jobs_is_left_some_calls() -> None:
    _, limited = begun(Tenant())
    limited.calls = MAX_CALLS - metered.JOB_CALLS
    answer = limited.query("/BrowseRDSBackups", {}, time.monotonic() + 10, listed="snapList")
    assert answer == QueryFailed(OUT_OF_CALLS)
    assert isinstance(limited.get("/Client", time.monotonic() + 10), JsonDocument)


# ---- Jobs: newest first, only as far as needed


def pages(rows: int) -> int:
    """Return how many pages have this many rows: each repeats some of the one before it."""
    return 1 + math.ceil((rows - PAGE) / (PAGE - OVERLAP))


def history(tenant: Tenant, *groups: str, seconds_left: float = 100, **hours: float) -> Jobs:
    """Read the jobs of groups; `hours` are their maximum ages, 26 without one."""
    commvault: Any = tenant
    wanted = {("aws-prod", "RDS", group): NOW - hours.get(group, 26) * HOUR for group in (*groups, *hours)}
    return read_jobs(Metered(commvault, OWN), wanted, NOW, lambda: seconds_left)


@pytest.mark.parametrize(("wanted", "calls"), [("", 0), ("a", 1), ("ab", 1), ("ax", pages(1000))])
def test_the_list_is_read_as_far_as_it_is_needed(wanted: str, calls: int) -> None:
    tenant = Tenant(jobs=1000, groups="ab")
    jobs = history(tenant, *wanted)
    assert (tenant.calls["Job"], jobs.problem) == (calls, None)
    assert {names[2] for names in jobs.of_group} == {*wanted} - {"x"}


def test_a_subclient_is_not_looked_for_longer_than_its_maximum_age() -> None:
    tenant = Tenant(jobs=1000, groups="ab")
    history(tenant, "a", x=1)
    assert tenant.calls["Job"] == 1
    tenant.jobs.reverse()
    assert {names[2] for names in history(tenant, "a", "x").of_group} == {"a"}
    assert tenant.calls["Job"] == 1 + pages(1000), "a list that is not newest first is read to its end"


@pytest.mark.parametrize(("hours", "seconds"), [(26, 26 * 3600), (1000, MAX_LOOK_BACK_SECONDS)])
def test_it_looks_back_for_the_maximum_age_and_seven_days_at_most(hours: float, seconds: float) -> None:
    tenant = Tenant(jobs=1)
    history(tenant, a=hours)
    assert f"completedJobLookupTime={seconds}&" in tenant.path


def test_the_last_completed_job_counts() -> None:
    tenant = Tenant(jobs=3)
    tenant.add({"status": "Failed"}, {"status": "Running"}, {"jobType": "Restore"})
    tenant.jobs.insert(0, job_row(-4, status="Committed", jobStartTime=0))
    jobs = history(tenant, "a")
    names = ("aws-prod", "RDS", "a")
    last, completed = jobs.last(names), jobs.completed(names, 0)
    assert (last and last.id, completed and completed.id) == ("100004", "100000")
    assert jobs.completed(names, NOW) is None
    at = [jobs.at(names, NOW - seconds, 10) for seconds in (60, 15, 5)]
    assert [job and job.id for job in at] == ["99999", None, "100000"]
    assert jobs.last(("aws-prod", "RDS", "b")) is None


def test_a_page_that_cannot_be_read_leaves_what_was_read_before_it() -> None:
    assert history(Tenant(jobs=2 * PAGE, fail=1), "a", "x") == Jobs(problem=DOWN.problem)
    jobs = history(Tenant(jobs=2 * PAGE, fail=2), "a", "x")
    assert (len(jobs.of_group), jobs.problem) == (1, DOWN.problem)


def test_of_a_storm_the_newest_jobs_are_kept_and_the_last_completed_one() -> None:
    tenant = Tenant(jobs=1)
    tenant.add(*[{"status": "Failed"}] * (2 * MAX_KEPT))
    (mine,) = history(tenant, a=0.001).of_group.values()
    assert len(mine) == MAX_KEPT + 1
    assert mine[-1].end == "completed"


def test_no_more_calls_are_made_than_the_budget_and_none_without_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "MAX_CALLS", 3)
    tenant = Tenant(jobs=10 * PAGE)
    jobs = history(tenant, "x")
    assert (tenant.calls["Job"], jobs.problem) == (3, metered.OUT_OF_CALLS)
    late = history(tenant, "a", seconds_left=1)
    assert (tenant.calls["Job"], late.of_group, late.problem is None) == (3, {}, False)
