"""`python -m local.demo`: start everything, show it, and stop everything, also when interrupted or terminated.

With `--svg FILE` what it printed is also written as a picture, such as the README's.
"""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path

from rich.console import Console
from rich.text import Text

from local.demo.facts import Facts
from local.demo.machine import Machine, create_databases, running
from local.demo.report import audit
from local.demo.steps import STEPS
from local.demo.view import View, picture
from local.emulator import EmulatorError
from local.stack import DeployError
from local.stopping import Stopped, stop_on_signals

LOG_WIDTH = 140
PICTURE_WIDTH = 120
PATIENCE = 120.0  # seconds for all steps, which take less than one minute
PROMISE = (
    "This deploys the real template to an emulated AWS and a simulated CommServe, both on 127.0.0.1, and lets backups "
    "happen; apart from the first run's downloads of pinned tools, nothing leaves this machine."
)


def main() -> int:
    """Run the demo and return its exit status."""
    parser = ArgumentParser(prog="python -m local.demo", description=PROMISE)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also write what is printed to this file, as SVG")
    svg: Path | None = parser.parse_args().svg
    stop_on_signals()
    view = View(_console(is_recorded=svg is not None))
    view.print(PROMISE)
    try:
        with view, running(view.step) as machine:
            is_as_promised = perform(machine, view)
    except Stopped as stopped:
        view.print(f"Stopped by {stopped}; everything that was started has ended.")
        return 128 + stopped.number
    except (DeployError, EmulatorError) as error:
        view.print(str(error))
        return 1
    view.print("To play with such a stack yourself: make playground")
    if svg:
        svg.write_text(picture(view.console, "make demo"))
    return 0 if is_as_promised else 1


def perform(machine: Machine, view: View) -> bool:
    """Play all steps at once, print each in its turn, and return whether everything happened as it should."""
    create_databases(machine)
    facts = Facts(machine, {step.target: step.groups for step in STEPS})
    for step in STEPS:
        step.store(machine)
    # The last step takes longest.
    stories = [step.play(facts) for step in reversed(STEPS)]
    printed = 0
    deadline = time.monotonic() + PATIENCE
    while printed < len(STEPS) or machine.stack.messages("SubmissionsQueueUrl"):
        stories = [story for story in stories if next(story, stories) is None]
        facts.look()
        while printed < len(STEPS) and (STEPS[printed].is_done(facts) or time.monotonic() > deadline):
            view.print_step(printed + 1, STEPS[printed], facts)
            printed += 1
        if time.monotonic() > deadline:
            break
        view.show_progress(facts)
        time.sleep(0.5)
    return _conclude(machine, view, facts)


def _conclude(machine: Machine, view: View, facts: Facts) -> bool:
    """Print the audit, the table of messages and the verdict, for which everything is checked once more."""
    failed = [step.title for step in STEPS if not step.is_done(facts)]
    if machine.stack.messages("SubmissionsQueueUrl"):
        failed.append("the Submissions queue is empty at the end")
    requests, jobs = len(machine.commserve.create_tasks), len(machine.commserve.jobs)
    report = audit(machine)
    failed += [what for what, holds in report.checks() if not holds]
    seen = f"{requests} requests to Commvault, {jobs} jobs, {len(facts.messages)} messages in {view.seconds:.0f} s."
    view.show("")
    view.print_report(len(STEPS) + 1, report)
    view.print_messages(facts)
    if failed:
        view.print(Text(f"Something did not happen: {'; '.join(failed)}. {seen}", "bold red"))
    else:
        view.print(Text(f"Everything happened as it should: {seen}", "bold green"))
    return not failed


def _console(*, is_recorded: bool) -> Console:
    if is_recorded:
        return Console(highlight=False, markup=False, record=True, width=PICTURE_WIDTH)
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=LOG_WIDTH)


if __name__ == "__main__":
    sys.exit(main())
