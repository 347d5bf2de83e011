"""Writes a run's results: `RESULTS.md` and the plot beside it."""

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import cost, drain, plot, usual_way
from tests.benchmarks.figures import Spread, ratio
from tests.benchmarks.growth import Size
from tests.benchmarks.prices import PRICED
from tests.benchmarks.results import Results, goals

HERE = Path(__file__).parent
PLOT = "init.svg"


def write(results: Results) -> str:
    """Write both files and return the Markdown."""
    text = "\n\n".join(
        [
            "# Benchmarks",
            (
                f"{results.machine}, {results.date}. Written by `make bench`. Each figure stands beside its reference of the "
                "same run, measured in turn with it; medians, in brackets the quartiles."
            ),
            *_goals(results),
            *_cold(results),
            *_warm(results),
            *_growth(results),
            *_drain(results),
            *_cost(results),
            "## The same faults against the usual way",
            usual_way.table(results.faults),
        ]
    )
    (HERE / "RESULTS.md").write_text(f"{text}\n")
    shown = ["product", "floor", "plain", "plain-source", "usual", "usual-source"]
    rows = [(results.packages[name].label.replace("`", ""), Spread.of(results.cold[name].init)) for name in shown]
    subtitle = f"Lambda runtime emulator, {results.machine}, {results.date}"
    (HERE / PLOT).write_text(plot.bars("Init of the function", subtitle, "ms", rows, ["product"]))
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _goals(results: Results) -> list[str]:
    rows = [
        [
            goal.label,
            goal.measured.show(digits=goal.digits),
            f"{goal.at_most:.{goal.digits}f}",
            "yes" if goal.is_met else "**no**",
        ]
        for goal in goals(results)
    ]
    return ["## What was aimed at", _table(["", "measured", "at most", "met"], rows)]


def _cold(results: Results) -> list[str]:
    rows = []
    for name, package in results.packages.items():
        cold, (zipped, unzipped) = results.cold[name], results.sizes[name]
        series = (cold.init, cold.until_request, cold.until_answer)
        times = [Spread.of(one).show(digits=0) for one in series]
        memory = Spread.of(cold.peak).median / 2**20
        rows.append([package.label, *times, f"{memory:.1f}", f"{zipped / 1e6:.2f}", f"{unzipped / 1e6:.1f}"])
    head = ["Package", "init, ms", "event to request, ms", "event to answer, ms", "peak MiB", "zip MB", "files MB"]
    imports = [[name, f"{milliseconds:.1f}", count] for name, milliseconds, count in results.imports]
    total = sum(milliseconds for _, milliseconds, _ in results.imports)
    count, milliseconds = results.dataclasses
    bound = ratio(results.cold["floor-trimmed"].init, results.cold["product"].init).median
    return [
        "## Cold starts",
        f"![Init]({PLOT})",
        (
            "One sandbox a row and round under Lambda's runtime emulator, all rows in turn; the event is a backup. (a) imports "
            "boto3 and urllib3, makes the same clients and makes the product's recorded calls; (b) is the product as a plain "
            "`sam build` leaves it; (c) starts a backup with `cvpysdk`."
        ),
        _table(head, rows),
        (
            f"What bounds init: the SDK. The floor on the product's own, trimmed SDK takes {bound:.0%} of the product's init. "
            f"The product's imports, by wall time, {total:.0f} ms in all:"
        ),
        _table(["Imports of", "own ms", "modules"], imports),
        (
            f"Of the product's own, {milliseconds:.0f} ms go into making {count} frozen dataclasses: CPython compiles their "
            "methods at each import. Named tuples would take a fifth of that, but two of them with the same fields are equal, "
            "whatever their types, and outcomes must not be."
        ),
    ]


def _warm(results: Results) -> list[str]:
    paces = (("product", results.warm), ("bare loop", results.bare))
    rows = [[name, Spread.of(pace.cpu).show(1000), Spread.of(pace.wall).show(1000)] for name, pace in paces]
    traffic = [
        [
            results.packages[name].label.split(" with")[0],
            *(
                f"{value:,.0f}"
                for value in (
                    one.commvault_requests,
                    one.commvault_connections,
                    one.commvault_bytes,
                    one.aws_calls,
                    one.aws_bytes,
                    one.log_bytes,
                )
            ),
        ]
        for name, one in results.traffic.items()
    ]
    head = ["A warm backup", "Commvault requests", "connections", "bytes", "AWS calls", "AWS bytes", "log bytes"]
    return [
        "## Warm backups",
        (
            "A schedule's event; the bare loop makes the same HTTP and AWS calls, over kept connections too. CPU is the "
            "function's process alone. The usual way keeps no ledger: its AWS calls are the secret and the message."
        ),
        _table(["", "CPU, ms", "wall, ms"], rows),
        _table(head, traffic),
    ]


def _growth(results: Results) -> list[str]:
    named = [
        ("associations in the target", results.associations),
        ("targets selected by an RDS event, not cached", results.by_event),
        ("targets selected by `*`, not cached", results.by_name),
        ("items in the ledger", results.ledger),
    ]
    parts = [
        "## Growth",
        (
            "One event each; the bare loop makes the same calls with the same contents. Where one target is selected, its "
            "backup is made at once, over new connections; more are queued. Wall time is the emulator's for the most part."
        ),
    ]
    for label, sizes in named:
        head = [label, "CPU, ms", "bare loop", "ratio", "wall, ms", "bare loop", "AWS calls", "bytes in the calls"]
        parts.append(_table(head, [_size(size) for size in sizes]))
    return parts


def _size(size: Size) -> list[str]:
    return [
        f"{size.size:,}",
        f"{size.cpu:.1f}",
        f"{size.floor_cpu:.1f}",
        f"{size.cpu / size.floor_cpu:.2f}",
        f"{size.wall:.1f}",
        f"{size.floor_wall:.1f}",
        f"{size.calls:,}",
        f"{size.bytes:,}",
    ]


def _drain(results: Results) -> list[str]:
    rows = [
        [name, f"{one.count:,}", f"{one.seconds:.1f}", f"{one.ideal:.1f}", f"{one.seconds / one.ideal:.2f}", one.jobs]
        for name, one in (("product", results.drained), ("bare loop", results.drained_floor))
    ]
    return [
        "## Draining the Submissions queue",
        (
            f"{drain.CONCURRENCY} warm sandboxes (the template's `MaximumConcurrency`) on this machine, which is also the "
            f"server and AWS; each CreateTask is answered after {drain.LATENCY * 1000:.0f} ms. The ideal is the count times the latency "
            "divided by the concurrency: it knows no AWS calls, so the bare loop shows what they add."
        ),
        _table(["", "submissions", "seconds", "ideal", "ratio", "jobs"], rows),
    ]


def _cost(results: Results) -> list[str]:
    rows = [
        [
            f"{bill.volume:,}",
            f"${bill.submission:.7f}",
            f"${bill.following:.7f}",
            f"${bill.month:.4f}",
            f"${bill.standing:.2f}",
        ]
        for bill in results.bills
    ]
    return [
        "## What a backup costs in AWS",
        (
            f"Computed from this run's calls and milliseconds ({PRICED}; no free tier). Up to 100 a day every run is "
            f"taken for a cold start; a job lasts {cost.JOB_MINUTES} minutes and is polled {cost.polls(cost.JOB_MINUTES)} "
            "times. Standing by costs the same whatever the number: [what it is](../../docs/reference.md#costs)."
        ),
        _table(["Backups a day", "submission", "following", "backups a month", "standing a month"], rows),
    ]
