"""The timeline: for each target a strip of days, with a mark for each way in which jobs that started on a day ended.

It says where the marks lie; how they are drawn is the page's.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ops.report.history import End

DAYS = 30
HEIGHT = 40  # of a strip, in CSS pixels
LABEL_EVERY = 7  # days
MAX_JOBS = 10  # named in the title of a mark

# Statuses of ends, each with its mark, best first.
MARKS = {
    "completed": "completed",
    "completed_with_errors": "errors",
    "failed": "failed",
    "killed": "failed",
    "lost": "lost",
}


@dataclass(frozen=True, slots=True)
class Label:
    """A day that is named on the axis; `x` is in percent of the width."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The jobs of a day that ended alike; `x` is in percent of the width, `y` in pixels."""

    x: float
    y: float
    shape: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The days of a target, and what they show in words."""

    target: str
    marks: tuple[Mark, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The strips of all targets, over the days that end with `last`, in UTC."""

    last: date
    strips: tuple[Strip, ...]

    @property
    def first(self) -> date:
        """The day that it begins with."""
        return self.last - timedelta(DAYS - 1)

    @property
    def labels(self) -> list[Label]:
        """The days that are named, by weeks back from the last."""
        days = range(DAYS - 1, -1, -LABEL_EVERY)
        return [Label(across(day), f"{self.first + timedelta(day):%d %b}") for day in reversed(days)]

    @property
    def days(self) -> list[float]:
        """Where each day lies, in percent of the width."""
        return [across(day) for day in range(DAYS)]


def begins(now: datetime) -> datetime:
    """Return when the timeline that ends with today begins."""
    return datetime.combine(now.astimezone(UTC).date() - timedelta(DAYS - 1), datetime.min.time(), UTC)


def draw(targets: Iterable[str], ends: Sequence[End], now: datetime) -> Timeline:
    """Return a strip for each target, and for others that ends are about; `ends` are those since `begins(now)`."""
    by_target: dict[str, list[End]] = {name: [] for name in targets}
    for end in ends:
        by_target.setdefault(end.target, []).append(end)
    first = begins(now).date()
    return Timeline(now.astimezone(UTC).date(), tuple(_strip(name, own, first) for name, own in by_target.items()))


def across(day: int) -> float:
    """Return where the middle of a day lies, counted from the first, in percent of the width."""
    return round((day + 0.5) / DAYS * 100, 2)


def _strip(target: str, ends: Sequence[End], first: date) -> Strip:
    cells: defaultdict[tuple[date, str], list[End]] = defaultdict(list)
    for end in ends:
        cells[end.at.date(), end.status].append(end)
    by_day: defaultdict[date, list[str]] = defaultdict(list)
    for day, status in sorted(cells, key=lambda cell: (cell[0], [*MARKS, cell[1]].index(cell[1]))):
        by_day[day].append(status)
    marks = tuple(
        Mark(
            across((day - first).days),
            round(HEIGHT * (position + 1) / (len(statuses) + 1), 1),
            MARKS.get(status, "lost"),
            _title(day, status, cells[day, status]),
        )
        for day, statuses in by_day.items()
        for position, status in enumerate(statuses)
    )
    return Strip(target, marks, _description(ends))


def _title(day: date, status: str, ends: Sequence[End]) -> str:
    jobs = [job for end in ends for job in end.jobs]
    more = f" and {len(jobs) - MAX_JOBS} more" if len(jobs) > MAX_JOBS else ""
    return f"{day}: {_words(status)}, job {', '.join(jobs[:MAX_JOBS])}{more}"


def _description(ends: Sequence[End]) -> str:
    if not ends:
        return "No job ended."
    counts = Counter(end.status for end in ends)
    counted = ", ".join(f"{count} {_words(status)}" for status, count in counts.most_common())
    completed = [end.at.date() for end in ends if end.status == "completed"]
    newest = f" The last one that completed started on {max(completed)}." if completed else " None completed."
    return f"Jobs: {counted}.{newest}"


def _words(status: str) -> str:
    return status.replace("_", " ")
