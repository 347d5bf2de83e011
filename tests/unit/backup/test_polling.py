"""What polls cost in reading calls, of which a tenant has 1,000 an hour; and that each job is read at some time."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from local.commserve.jobs import Job
from rds_snap_backup.backup.polling import JobReader
from rds_snap_backup.commvault.answers import Answer, HttpRequest
from rds_snap_backup.commvault.auth import Auth, Flow
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.jobs import PAGE
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Scan
from tests.property.model.kernel import Kernel, Run, Sandbox
from tests.property.model.line import Wire, commserve
from tests.property.wire import in_charge

HOUR = 3600.0


class Signed(Auth):
    """Sends the token of a CommServe."""

    def __init__(self, token: str) -> None:
        self.token = token

    def send(self, request: HttpRequest) -> Flow[Answer | Unauthorized]:
        return (yield request.with_header("Authtoken", self.token))


class Place:
    """A CommServe and readers of its jobs."""

    def __init__(self, *, sandboxes: int = 1, first_poll: float = 60, page: int = PAGE) -> None:
        self.kernel = Kernel()
        self.server = commserve(self.kernel, {"aws-prod": {"RDS": []}, "aws-prod-2": {"RDS": []}}, 10 * HOUR)
        self.wire = Wire(self.kernel, self.server)
        self.stack = ExitStack()
        self.stack.enter_context(in_charge(self.wire, page=page))
        commvault = Commvault("https://commvault.test", lambda: None, Signed(self.server.token))
        self.readers = [JobReader(commvault, first_poll, self.kernel.time) for _ in range(sandboxes)]

    @property
    def calls(self) -> Counter[str]:
        """The reading calls so far: of the list, and of one job."""
        paths = [request.path for request in self.server.requests]
        return Counter("list" if path == "/Job" else "job" for path in paths)

    def start(self, count: int, instance: str = "orders") -> list[Job]:
        """Let jobs begin."""
        return [self.server.add_job("aws-prod", f"{instance}-{number}") for number in range(count)]

    def slow_down(self) -> None:
        """Let each page of a list take two seconds, and lists of one client not be had."""
        self.wire.page_seconds = 2.0
        self.server.fault("not_found", None, "/Client/byName*")

    def poll(self, jobs: Sequence[Job], seconds_left: float = 38.0, sandbox: int = 0) -> list[JobsRead]:
        """Poll jobs as one batch of submissions that have one job each."""
        wanted = [JobsWanted(frozenset({job.id}), (job.id,), since=job.created) for job in jobs]
        return self.read(wanted, seconds_left, sandbox)

    def look(
        self, *, client: str = "aws-prod", ago: float = 60, fresh: float = 0, scan: Scan | None = None
    ) -> JobsRead:
        """Look for jobs of a submission that is in doubt."""
        wanted = JobsWanted(frozenset({"key"}), (), (client,), self.kernel.now - ago, fresh, scan)
        (read,) = self.read([wanted])
        return read

    def listing(self, **wanted: Any) -> Listing:
        """Look for jobs; return the list that was read."""
        listing = self.look(**wanted).listing
        assert listing
        return listing

    def read(self, asked: list[JobsWanted], seconds_left: float = 38.0, sandbox: int = 0) -> list[JobsRead]:
        """Read in one run."""
        self.kernel.current = Run(Sandbox(sandbox), started=self.kernel.now)
        return self.readers[sandbox].read(asked, seconds_left)

    def fails(self, *faults: str) -> None:
        """Let the next reading calls fail so."""
        self.kernel.faults["read"] = [*faults]


@pytest.fixture
def make() -> Iterator[Callable[..., Place]]:
    with ExitStack() as stack:

        def made(**settings: float) -> Place:
            place = Place(**settings)  # type: ignore[arg-type]
            stack.push(place.stack)
            return place

        yield made


def hour_of_polls(place: Place, jobs: list[Job], sandboxes: int) -> Counter[str]:
    """Let each job be polled every 15 minutes for two hours, in batches of ten; return the calls of the second one."""
    chance, begun = Random(1), place.kernel.now
    due = sorted((begun + chance.uniform(0, 900), number) for number in range(len(jobs)))
    number = 0
    before: Counter[str] = Counter()
    while due[0][0] < begun + 2 * HOUR:
        place.kernel.now = max(place.kernel.now, due[0][0])
        batch = [poll for poll in due if poll[0] <= place.kernel.now][:10]
        before = before or (place.calls if place.kernel.now >= begun + HOUR else before)
        reads = place.poll([jobs[index] for _, index in batch], sandbox=number % sandboxes)
        assert all(read.rows for read in reads)
        number += 1
        due = sorted([*due[len(batch) :], *((place.kernel.now + 900 * chance.uniform(1, 1.03), i) for _, i in batch)])
    return place.calls - before


@pytest.mark.parametrize(("jobs", "others", "most"), [(1, 0, 5), (200, 600, 600)])
def test_polls_stay_within_the_hourly_budget(make: Callable[..., Place], jobs: int, others: int, most: int) -> None:
    place = make(sandboxes=5)
    place.start(others, "other")
    calls = hour_of_polls(place, place.start(jobs), 5)
    assert calls.total() <= most


def test_one_job_is_read_alone_and_several_from_the_list(make: Callable[..., Place]) -> None:
    place = make()
    jobs = place.start(5)
    place.poll(jobs[:1])
    assert place.calls == {"job": 1}
    place.poll(jobs[1:])
    assert place.calls == {"job": 1, "list": 1}


@pytest.mark.parametrize(("jobs", "seconds"), [(5, 60), (25, 300)])
def test_rows_are_used_again_for_a_minute_and_of_many_jobs_for_five(
    make: Callable[..., Place], jobs: int, seconds: float
) -> None:
    place = make()
    started = place.start(jobs)
    place.poll(started)
    place.kernel.now += seconds - 10
    assert all(read.rows for read in place.poll(started))
    assert place.calls.total() == 1
    place.kernel.now += 20
    place.poll(started)
    assert place.calls.total() == 2


def test_a_job_that_commvault_does_not_know_is_absent(make: Callable[..., Place]) -> None:
    place = make()
    jobs = place.start(2)
    place.server.change_job(jobs[0].id, vanish_after=0)
    absent, there = place.poll(jobs)
    assert (*absent.absent, *absent.rows) == (jobs[0].id,)
    assert (there.absent, *there.rows) == (frozenset(), jobs[1].id)


def test_a_job_that_there_was_no_time_to_ask_for_is_not_absent(make: Callable[..., Place]) -> None:
    place = make()
    (read,) = place.poll(place.start(1), seconds_left=1.5)
    assert (read.absent, read.rows, read.problem and read.problem.code) == (frozenset(), {}, "NOT_ASKED")
    assert not place.calls


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_one_job_that_cannot_be_read_does_not_stop_others(make: Callable[..., Place], fault: str) -> None:
    place = make()
    jobs = place.start(2)
    place.fails("500", fault)  # The list, and the job that is read first.
    reads = place.poll(jobs)
    assert sorted(bool(read.rows) for read in reads) == [False, True]
    assert all(not read.absent for read in reads)


def test_each_job_is_read_at_some_time_however_slow_the_list_is(make: Callable[..., Place]) -> None:
    """Sixty jobs in pages of three, of which a run reads few."""
    place = make(page=3)
    jobs = place.start(60)
    place.wire.page_seconds = 2.0
    seen: set[str] = set()
    for _ in range(20):
        place.kernel.now += 400
        seen.update(job_id for read in place.poll(jobs) for job_id in read.rows)
    assert len(seen) == 60


def test_a_rate_limit_pauses_all_polls(make: Callable[..., Place]) -> None:
    place = make()
    jobs = place.start(3)
    place.fails("throttled")
    assert {read.problem.code for read in place.poll(jobs) if read.problem} == {"HTTP_429"}
    place.kernel.now += 600
    place.poll(jobs)
    assert place.calls.total() == 1
    place.kernel.now += 400
    assert all(read.rows for read in place.poll(jobs))


@pytest.mark.parametrize("other", [{"ago": 80}, {"client": "aws-prod-2"}, {"fresh": 9e9}])
def test_a_list_that_covers_less_or_is_older_than_is_needed_is_not_used_again(
    make: Callable[..., Place], other: dict[str, Any]
) -> None:
    """Absence is proved only by what covers the attempt and its window, however many jobs the sandbox knows."""
    place = make()
    place.start(25)
    first = place.listing()
    place.kernel.now += 10
    again = place.listing(**{"ago": 70} | other)
    assert (again.begun > first.begun, place.calls["list"]) == (True, 2)
    assert place.kernel.now - again.since == pytest.approx(other.get("ago", 70), abs=1)
    assert again.clients == (other.get("client", "aws-prod"),)


def test_a_list_has_the_jobs_that_ended_shortly_before_it_begins(make: Callable[..., Place]) -> None:
    """The CommServe's clock may be two minutes behind, and the call takes its time."""
    place = make()
    (job,) = place.start(1)
    job.end()
    place.kernel.now += 200
    assert [row.id for row in place.listing(ago=0).rows] == [job.id]


def test_a_long_list_is_read_on_and_counts_from_when_its_reading_began(make: Callable[..., Place]) -> None:
    place = make(page=3)
    place.start(40)
    place.slow_down()
    begun, since = place.kernel.now, place.kernel.now - 60
    listing = place.listing()
    listed = {row.id for row in listing.rows}
    while listing.scan:
        place.kernel.now += 5
        listing = place.listing(ago=1, scan=listing.scan)
        listed.update(row.id for row in listing.rows)
    assert len(listed) == 40
    assert listing.begun == pytest.approx(begun, abs=1)
    assert listing.since == since
    # Its end is no whole list.
    assert place.listing(ago=1).begun > begun + 15


def test_a_row_without_names_in_an_earlier_part_of_a_long_list_is_remembered(make: Callable[..., Place]) -> None:
    place = make(page=3)
    jobs = place.start(40)
    place.slow_down()
    jobs[-1].subclient = replace(jobs[-1].subclient, client="", instance="", name="")
    listing = place.listing()
    assert not listing.has_nameless
    while listing.scan:
        listing = place.listing(scan=listing.scan)
    assert listing.has_nameless


def test_an_unreadable_list_is_a_problem_and_no_empty_list(make: Callable[..., Place]) -> None:
    place = make()
    place.fails("reset", "reset")
    read = place.look()
    assert read.listing is None
    assert read.problem


@pytest.mark.parametrize("jobs", [1, 25])
def test_a_whole_list_serves_all_that_is_in_doubt(make: Callable[..., Place], jobs: int) -> None:
    place = make()
    started = place.start(jobs)
    first = place.listing()
    assert {row.id for row in first.rows} == {job.id for job in started}
    assert first.begun == pytest.approx(place.kernel.now, abs=5)
    assert (place.listing(ago=30), place.calls["list"]) == (first, 1)
    place.kernel.now += 290 if jobs > 1 else 50
    assert place.listing(ago=30) == first
    place.kernel.now += 20
    assert place.listing().begun > first.begun + 60
