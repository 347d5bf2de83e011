"""Capacity of a fleet at one hour: databases that are all due at 03:00, as singles and in groups of 25.

`python -m benchmarks.fleet_capacity` prints only the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Goal, Spread, table
from benchmarks.nights import FOREIGN, JOB_SECONDS, MINUTE, READS, SPREAD_SECONDS, WRITES, Fleet, Night
from benchmarks.polling import BUDGET

GROUP = 25
# Of Parameter Store's standard throughput.
SSM_READS = 40


@dataclass(frozen=True)
class Case:
    """A fleet's databases, how many of them are in one target, and how many nights are simulated."""

    databases: int
    size: int
    nights: int = 1

    @property
    def shape(self) -> str:
        """How the fleet is cut into targets."""
        return "singles" if self.size == 1 else f"groups of {self.size}"


type Measured = Sequence[tuple[Case, Sequence[Night]]]

CASES = (Case(600, GROUP), Case(600, 1), Case(2000, GROUP), Case(2000, 1, nights=3))
QUICK = (Case(50, GROUP), Case(50, 1, nights=2))


def measure(cases: Sequence[Case]) -> Measured:
    """Simulate the nights of each fleet."""
    return [(case, Fleet(case.databases, case.size).nights(case.nights)) for case in cases]


def goals(measured: Measured) -> list[Goal]:
    """Return the limits that a fleet keeps to."""
    case, (first, *_) = measured[0]
    nights = [night for _, nights in measured for night in nights]
    last = measured[-1][1][-1]
    return [
        _goal(f"CreateTask requests for {case.databases} databases in {case.shape}", first.requests, 24),
        _goal("minutes until the last of these jobs starts", first.last_job / MINUTE, 10),
        _goal("reading calls an hour for a fleet", max(night.reads for night in nights), BUDGET),
        _goal("reads of SSM a second for a fleet", max(night.ssm_reads for night in nights), SSM_READS),
        _goal("backups of a fleet that were abandoned", sum(night.abandoned for night in nights), 0),
        _goal("open submissions per subclient after the last night", last.open, 1),
    ]


def section(measured: Measured) -> list[str]:
    """Return the section of the results."""
    head = ["databases", "targets", "night", "requests", "throttled", "jobs", "last job", "reads", "abandoned", "open"]
    rows = [_row(case, number, night) for case, nights in measured for number, night in enumerate(nights, 1)]
    return [
        "## Capacity of a fleet",
        (
            f"All databases are due at 03:00, each target by its own schedule; Scheduler invokes within {SPREAD_SECONDS} s. "
            f"The product's own code runs against the CommServe simulator on a simulated clock. The tenant's limits are "
            f"{WRITES} writing and {READS:,} reading calls an hour. Jobs take {JOB_SECONDS // MINUTE} minutes and complete; "
            f"{FOREIGN} jobs of others run all the time. Requests are the accepted CreateTask requests, throttled ones were "
            "answered with 429. The last job is the time from 03:00 until it starts. Reads are those of the busiest hour. "
            "Open is the largest number of open submissions per subclient at 03:00 of the next night."
        ),
        table(head, rows),
    ]


def _row(case: Case, number: int, night: Night) -> list[object]:
    minutes = round(night.last_job / MINUTE)
    return [
        f"{case.databases:,}",
        case.shape,
        number,
        f"{night.requests:,}",
        night.throttled,
        f"{night.jobs:,}",
        f"{minutes // 60} h {minutes % 60:02} min",
        night.reads,
        night.abandoned,
        night.open,
    ]


def _goal(label: str, measured: float, at_most: float) -> Goal:
    return Goal(label, Spread.of([measured]), at_most)


if __name__ == "__main__":
    found = measure(CASES)
    print(table(["", "measured", "at most", "met"], [goal.row for goal in goals(found)]))
    print("\n\n".join(section(found)))
