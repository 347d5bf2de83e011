"""What polls cost in reading calls, and that each job is read at some time. `benchmarks/polling.py` counts those of an hour."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from local.commserve.jobs import Job
from rds_snap_backup.backup.polling import JobReader
from rds_snap_backup.commvault.jobs import PAGE
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Scan
from tests.unit.tenant import Tenant


class Polling(Tenant):
    """A CommServe, and the reader of its jobs in a sandbox."""

    def __init__(self) -> None:
        super().__init__({"aws-prod": {"RDS": []}, "aws-prod-2": {"RDS": []}})
        self.reader = JobReader(self.commvault, 60, self.kernel.time)

    def start(self, count: int) -> list[Job]:
        return [self.server.add_job("aws-prod", f"orders-{number}") for number in range(count)]

    def slow_down(self) -> None:
        """Let each page of a list take two seconds, and lists of one client not be had."""
        self.wire.page_seconds = 2.0
        self.server.fault("not_found", None, "/Client/byName*")

    def poll(self, jobs: Sequence[Job], seconds_left: float = 38.0) -> list[JobsRead]:
        """Poll jobs as one batch of submissions that have one job each."""
        wanted = [JobsWanted(frozenset({job.id}), (job.id,), since=job.created) for job in jobs]
        return self.reader.read(wanted, seconds_left)

    def look(self, client: str = "aws-prod", ago: float = 60, fresh: float = 0, scan: Scan | None = None) -> JobsRead:
        """Look for jobs of a submission that is in doubt."""
        wanted = JobsWanted(frozenset({"key"}), (), (client,), self.kernel.now - ago, fresh, scan)
        (read,) = self.reader.read([wanted], 38.0)
        return read

    def listing(self, **wanted: Any) -> Listing:
        """Look for jobs; return the list that was read."""
        listing = self.look(**wanted).listing
        assert listing
        return listing

    def fails(self, *faults: str) -> None:
        """Let the next reading calls fail so."""
        self.kernel.faults["read"] = [*faults]


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> Iterator[Polling]:
    """A tenant whose pages have this many rows."""
    with Polling().at_work(getattr(request, "param", PAGE)) as tenant:
        yield tenant


slow_pages_of_three = pytest.mark.parametrize("tenant", [3], indirect=True)


def test_one_job_is_read_alone_and_several_from_the_list(tenant: Polling) -> None:
    jobs = tenant.start(5)
    for some, calls in ((jobs[:1], {"/Job/": 1}), (jobs[1:], {"/Job/": 1, "/Job": 1})):
        tenant.poll(some)
        assert tenant.calls == calls


@pytest.mark.parametrize(("jobs", "seconds"), [(5, 60), (25, 300)])
def test_rows_are_used_again_for_a_minute_and_of_many_jobs_for_five(tenant: Polling, jobs: int, seconds: float) -> None:
    started = tenant.start(jobs)
    for later, calls in ((0, 1), (seconds - 10, 1), (20, 2)):
        tenant.kernel.now += later
        assert all(read.rows for read in tenant.poll(started))
        assert tenant.calls.total() == calls


def test_what_commvault_does_not_know_is_absent_and_what_could_not_be_asked_for_is_not(tenant: Polling) -> None:
    jobs = tenant.start(2)
    (read,) = tenant.poll(jobs[:1], seconds_left=1.5)
    assert (read.absent, read.rows, read.problem and read.problem.code) == (frozenset(), {}, "NOT_ASKED")
    assert not tenant.calls
    tenant.server.change_job(jobs[0].id, vanish_after=0)
    absent, there = tenant.poll(jobs)
    assert (*absent.absent, *absent.rows) == (jobs[0].id,)
    assert (there.absent, *there.rows) == (frozenset(), jobs[1].id)
    tenant.fails("reset", "reset")
    unread = tenant.look()
    assert (unread.listing, unread.problem is None) == (None, False), "no empty list"


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_one_job_that_cannot_be_read_does_not_stop_others(tenant: Polling, fault: str) -> None:
    jobs = tenant.start(2)
    tenant.fails("500", fault)  # The list, and the job that is read first.
    reads = tenant.poll(jobs)
    assert sorted(bool(read.rows) for read in reads) == [False, True]
    assert all(not read.absent for read in reads)


@slow_pages_of_three
def test_each_job_is_read_at_some_time_however_slow_the_list_is(tenant: Polling) -> None:
    """Sixty jobs in pages of three, of which a run reads few, by chance: ten runs are enough mostly, forty always."""
    jobs = tenant.start(60)
    tenant.wire.page_seconds = 2.0
    seen: set[str] = set()
    for _ in range(40):
        tenant.kernel.now += 400
        seen.update(job_id for read in tenant.poll(jobs) for job_id in read.rows)
    assert len(seen) == 60


def test_a_rate_limit_pauses_all_polls(tenant: Polling) -> None:
    jobs = tenant.start(3)
    tenant.fails("throttled")
    assert {read.problem.code for read in tenant.poll(jobs) if read.problem} == {"HTTP_429"}
    tenant.kernel.now += 600
    tenant.poll(jobs)
    assert tenant.calls.total() == 1
    tenant.kernel.now += 400
    assert all(read.rows for read in tenant.poll(jobs))


@pytest.mark.parametrize("other", [{"ago": 80}, {"client": "aws-prod-2"}, {"fresh": 9e9}])
def test_a_list_that_covers_less_or_is_older_than_is_needed_is_not_used_again(
    tenant: Polling, other: dict[str, Any]
) -> None:
    """Absence is proved only by what covers the attempt and its window, however many jobs the sandbox knows."""
    tenant.start(25)
    first = tenant.listing()
    tenant.kernel.now += 10
    again = tenant.listing(**{"ago": 70} | other)
    assert (again.begun > first.begun, tenant.calls["/Job"]) == (True, 2)
    assert tenant.kernel.now - again.since == pytest.approx(other.get("ago", 70), abs=1)
    assert again.clients == (other.get("client", "aws-prod"),)


def test_a_list_has_the_jobs_that_ended_shortly_before_it_begins(tenant: Polling) -> None:
    """The CommServe's clock may be two minutes behind, and the call takes its time."""
    (job,) = tenant.start(1)
    job.end()
    tenant.kernel.now += 200
    assert [row.id for row in tenant.listing(ago=0).rows] == [job.id]


@slow_pages_of_three
def test_a_long_list_is_read_on_and_counts_from_when_its_reading_began(tenant: Polling) -> None:
    """A row without names in any part of it is remembered."""
    last = tenant.start(40)[-1]
    last.subclient = replace(last.subclient, client="", instance="", name="")
    tenant.slow_down()
    begun, since = tenant.kernel.now, tenant.kernel.now - 60
    listing = tenant.listing()
    assert not listing.has_nameless
    listed = {row.id for row in listing.rows}
    while listing.scan:
        tenant.kernel.now += 5
        listing = tenant.listing(ago=1, scan=listing.scan)
        listed.update(row.id for row in listing.rows)
    assert (len(listed), listing.since, listing.has_nameless) == (40, since, True)
    assert listing.begun == pytest.approx(begun, abs=1)
    # Its end is no whole list.
    assert tenant.listing(ago=1).begun > begun + 15


@pytest.mark.parametrize("jobs", [1, 25])
def test_a_whole_list_serves_all_that_is_in_doubt(tenant: Polling, jobs: int) -> None:
    started = tenant.start(jobs)
    first = tenant.listing()
    assert {row.id for row in first.rows} == {job.id for job in started}
    assert first.begun == pytest.approx(tenant.kernel.now, abs=5)
    assert (tenant.listing(ago=30), tenant.calls["/Job"]) == (first, 1)
    tenant.kernel.now += 290 if jobs > 1 else 50
    assert tenant.listing(ago=30) == first
    tenant.kernel.now += 20
    assert tenant.listing().begun > first.begun + 60
