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

    def __init__(self, jobs: int = 0, groups: tuple[str, ...] = ("a",), fail: int = -1) -> None:
        self._jobs = [self.row(number, groups[number % len(groups)]) for number in range(jobs)]
        self._fail = fail
        self.paths: list[str] = []

    @staticmethod
    def row(number: int, group: str, **more: Any) -> dict[str, Any]:
        """Return the job that began this many minutes ago."""
        names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group}
        times = {"jobStartTime": int(NOW) - 60 * number, "jobEndTime": int(NOW) - 60 * number + 30}
        fields = {
            "jobId": 100_000 - number,
            "status": "Completed",
            "jobType": "Snap Backup",
            "subclient": names,
            **times,
        }
        return {"jobSummary": fields | more}

    def add(self, row: dict[str, Any]) -> None:
        """Add the newest job."""
        self._jobs.insert(0, row)

    def reverse(self) -> None:
        """List the oldest job first."""
        self._jobs.reverse()

    def get(self, path: str, _deadline: float, headers: Any = None, **_: Any) -> JsonDocument | QueryFailed:
        """Answer a reading call."""
        self.paths.append(path)
        if len(self.paths) == self._fail:
            return DOWN
        if path.startswith("/Job"):
            first, limit = int(headers["offset"]), int(headers["limit"])
            return JsonDocument(
                {"totalRecordsWithoutPaging": len(self._jobs), "jobs": self._jobs[first : first + limit]}, 0
            )
        raise NotImplementedError(path)


def pages(rows: int) -> int:
    """Return how many pages have this many rows: each repeats some of the one before it."""
    return 1 + math.ceil((rows - PAGE) / (PAGE - OVERLAP))


def read(tenant: Tenant, *groups: str, hours: float = 26) -> Jobs:
    commvault: Any = tenant
    wanted = {("aws-prod", "RDS", group): NOW - hours * HOUR for group in groups}
    return read_jobs(Metered(commvault, "https://commvault.example/api"), wanted, NOW, lambda: 100)


@pytest.mark.parametrize(("wanted", "calls"), [((), 0), (("a",), 1), (("a", "b"), 1), (("a", "none"), pages(1000))])
def test_the_list_is_read_as_far_as_it_is_needed(wanted: tuple[str, ...], calls: int) -> None:
    tenant = Tenant(1000, ("a", "b"))
    jobs = read(tenant, *wanted)
    assert (len(tenant.paths), jobs.problem) == (calls, None)
    assert {names[2] for names in jobs.of_group} == {*wanted} - {"none"}


def test_a_subclient_is_not_looked_for_longer_than_its_maximum_age() -> None:
    tenant: Any = Tenant(1000, ("a", "b"))
    names = [("aws-prod", "RDS", name) for name in ("a", "none")]
    read_jobs(tenant, {names[0]: NOW - 26 * HOUR, names[1]: NOW - HOUR}, NOW, lambda: 100)
    assert len(tenant.paths) == 1
    tenant.reverse()
    assert set(read(tenant, "a", "none").of_group) == {names[0]}
    assert len(tenant.paths) == 1 + pages(1000), "a list that is not newest first is read to its end"


@pytest.mark.parametrize(("hours", "seconds"), [(26, 26 * HOUR), (1000, MAX_LOOK_BACK_SECONDS)])
def test_it_looks_back_for_the_maximum_age_and_seven_days_at_most(hours: float, seconds: float) -> None:
    tenant = Tenant(1)
    read(tenant, "a", hours=hours)
    assert f"completedJobLookupTime={seconds}&" in tenant.paths[0]


def test_the_last_completed_job_counts() -> None:
    tenant = Tenant(3)
    changes: list[dict[str, Any]] = [{"status": "Failed"}, {"status": "Running"}, {"jobType": "Restore"}]
    changes.append({"status": "Committed", "jobStartTime": 0})
    for number, more in enumerate(changes):
        tenant.add(Tenant.row(-1 - number, "a", **more))
    jobs = read(tenant, "a")
    names = ("aws-prod", "RDS", "a")
    last, completed = jobs.last(names), jobs.completed(names, 0)
    assert (last and last.id, completed and completed.id) == ("100004", "100000")
    assert jobs.completed(names, NOW) is None
    at = [jobs.at(names, NOW - seconds, 10) for seconds in (60, 15, 5)]
    assert [job and job.id for job in at] == ["99999", None, "100000"]
    assert jobs.last(("aws-prod", "RDS", "b")) is None


def test_a_page_that_cannot_be_read_leaves_what_was_read_before_it() -> None:
    assert read(Tenant(2 * PAGE, fail=1), "a", "none") == Jobs(problem=DOWN.problem)
    jobs = read(Tenant(2 * PAGE, fail=2), "a", "none")
    assert (len(jobs.of_group), jobs.problem) == (1, DOWN.problem)


def test_of_a_storm_the_newest_jobs_are_kept_and_the_last_completed_one() -> None:
    tenant = Tenant(1)
    for number in range(2 * MAX_KEPT):
        tenant.add(Tenant.row(-1 - number, "a", status="Failed"))
    (mine,) = read(tenant, "a", hours=0.001).of_group.values()
    assert len(mine) == MAX_KEPT + 1
    assert mine[-1].end == "completed"


def test_no_more_calls_are_made_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "MAX_CALLS", 3)
    tenant = Tenant(10 * PAGE)
    jobs = read(tenant, "none")
    assert (len(tenant.paths), jobs.problem) == (3, metered.OUT_OF_CALLS)


def test_without_time_nothing_is_read() -> None:
    tenant: Any = Tenant(1)
    wanted = {("aws-prod", "RDS", "a"): NOW}
    jobs = read_jobs(tenant, wanted, NOW, lambda: 1)
    assert (tenant.paths, jobs.problem is None) == ([], False)
