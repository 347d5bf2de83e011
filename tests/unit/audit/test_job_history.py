"""Reading Commvault's jobs: newest first, only as far as needed, and never more calls than the budget."""

import math
from typing import Any

import pytest

from rds_snap_backup.audit import metered
from rds_snap_backup.audit.job_history import MAX_KEPT, MAX_LOOK_BACK_SECONDS, Jobs, read_jobs
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.commvault.job_lists import OVERLAP
from rds_snap_backup.commvault.jobs import PAGE
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.problems import Problem

NOW = 1769824804.0
HOUR = 3600
DOWN = QueryFailed(Problem("UNREACHABLE", "Connection refused", "-"))


class Tenant:
    """Commvault with this many jobs, one a minute, of groups in turn. `fail` is its n-th call."""

    def __init__(self, jobs: int = 0, groups: str = "a", fail: int = -1) -> None:
        self.jobs = [self.row(number, groups[number % len(groups)]) for number in range(jobs)]
        self.fail = fail
        self.paths: list[str] = []

    @staticmethod
    def row(number: int, group: str = "a", **more: Any) -> dict[str, Any]:
        """Return the job that began this many minutes ago."""
        names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group}
        times = {"jobStartTime": int(NOW) - 60 * number, "jobEndTime": int(NOW) - 60 * number + 30}
        fields = {"jobId": 100_000 - number, "status": "Completed", "jobType": "Snap Backup", "subclient": names}
        return {"jobSummary": fields | times | more}

    def add(self, *changes: dict[str, Any]) -> None:
        """Add jobs, the newest last."""
        for number, more in enumerate(changes):
            self.jobs.insert(0, self.row(-1 - number, **more))

    def get(self, path: str, _deadline: float, headers: Any = None, **_: Any) -> JsonDocument | QueryFailed:
        self.paths.append(path)
        if len(self.paths) == self.fail:
            return DOWN
        first = int(headers["offset"])
        rows = self.jobs[first : first + int(headers["limit"])]
        return JsonDocument({"totalRecordsWithoutPaging": len(self.jobs), "jobs": rows}, 0)


def pages(rows: int) -> int:
    """Return how many pages have this many rows: each repeats some of the one before it."""
    return 1 + math.ceil((rows - PAGE) / (PAGE - OVERLAP))


def read(tenant: Tenant, *groups: str, seconds_left: float = 100, **hours: float) -> Jobs:
    """Read the jobs of groups; `hours` are their maximum ages, 26 without one."""
    commvault: Any = tenant
    wanted = {("aws-prod", "RDS", group): NOW - hours.get(group, 26) * HOUR for group in (*groups, *hours)}
    return read_jobs(Metered(commvault, "https://commvault.example/api"), wanted, NOW, lambda: seconds_left)


@pytest.mark.parametrize(("wanted", "calls"), [("", 0), ("a", 1), ("ab", 1), ("ax", pages(1000))])
def test_the_list_is_read_as_far_as_it_is_needed(wanted: str, calls: int) -> None:
    tenant = Tenant(1000, "ab")
    jobs = read(tenant, *wanted)
    assert (len(tenant.paths), jobs.problem) == (calls, None)
    assert {names[2] for names in jobs.of_group} == {*wanted} - {"x"}


def test_a_subclient_is_not_looked_for_longer_than_its_maximum_age() -> None:
    tenant = Tenant(1000, "ab")
    read(tenant, "a", x=1)
    assert len(tenant.paths) == 1
    tenant.jobs.reverse()
    assert {names[2] for names in read(tenant, "a", "x").of_group} == {"a"}
    assert len(tenant.paths) == 1 + pages(1000), "a list that is not newest first is read to its end"


@pytest.mark.parametrize(("hours", "seconds"), [(26, 26 * HOUR), (1000, MAX_LOOK_BACK_SECONDS)])
def test_it_looks_back_for_the_maximum_age_and_seven_days_at_most(hours: float, seconds: float) -> None:
    tenant = Tenant(1)
    read(tenant, a=hours)
    assert f"completedJobLookupTime={seconds}&" in tenant.paths[0]


def test_the_last_completed_job_counts() -> None:
    tenant = Tenant(3)
    tenant.add({"status": "Failed"}, {"status": "Running"}, {"jobType": "Restore"})
    tenant.jobs.insert(0, Tenant.row(-4, status="Committed", jobStartTime=0))
    jobs = read(tenant, "a")
    names = ("aws-prod", "RDS", "a")
    last, completed = jobs.last(names), jobs.completed(names, 0)
    assert (last and last.id, completed and completed.id) == ("100004", "100000")
    assert jobs.completed(names, NOW) is None
    at = [jobs.at(names, NOW - seconds, 10) for seconds in (60, 15, 5)]
    assert [job and job.id for job in at] == ["99999", None, "100000"]
    assert jobs.last(("aws-prod", "RDS", "b")) is None


def test_a_page_that_cannot_be_read_leaves_what_was_read_before_it() -> None:
    assert read(Tenant(2 * PAGE, fail=1), "a", "x") == Jobs(problem=DOWN.problem)
    jobs = read(Tenant(2 * PAGE, fail=2), "a", "x")
    assert (len(jobs.of_group), jobs.problem) == (1, DOWN.problem)


def test_of_a_storm_the_newest_jobs_are_kept_and_the_last_completed_one() -> None:
    tenant = Tenant(1)
    tenant.add(*[{"status": "Failed"}] * (2 * MAX_KEPT))
    (mine,) = read(tenant, a=0.001).of_group.values()
    assert len(mine) == MAX_KEPT + 1
    assert mine[-1].end == "completed"


def test_no_more_calls_are_made_than_the_budget_and_none_without_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "MAX_CALLS", 3)
    tenant = Tenant(10 * PAGE)
    jobs = read(tenant, "x")
    assert (len(tenant.paths), jobs.problem) == (3, metered.OUT_OF_CALLS)
    late = read(tenant, "a", seconds_left=1)
    assert (len(tenant.paths), late.of_group, late.problem is None) == (3, {}, False)
