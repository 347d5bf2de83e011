"""`python -m local.playground`: start the playground, say what to try, and stop everything at Ctrl-C."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import boto3
from rich.console import Console
from rich.text import Text

from local.demo.machine import PARAMETERS as DEMO
from local.demo.machine import Machine, running
from local.emulator import EmulatorError
from local.playground.estate import ANALYTICS, BROKEN, CLIENTS, OWN, PARAMETERS, STACK, arn, furnish
from local.playground.jobs_page import serving
from local.rds import rds_event
from local.stack import DeployError, put_event
from local.stopping import Stopped, stop_on_signals
from local.subscriber import Subscriber
from local.tools import ROOT

JOB_SECONDS = 8.0
FIRST_BACKUPS_SECONDS = 120
EVENT, DATABASE = "event", "shop-orders"


def main(arguments: list[str]) -> int:
    """Run the playground, or put an event of one database on its bus."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    match arguments:
        case []:
            return play(console)
        case [name, database] if name == EVENT:
            put_event(boto3.client("events"), rds_event(database))
            console.print(f"RDS reported that {database} was restored from a snapshot (RDS-EVENT-0043).")
            return 0
        case _:
            console.print("Usage: python -m local.playground [event DATABASE]")
            return 2


def play(console: Console) -> int:
    """Keep the stack up until a signal."""

    @contextmanager
    def step(what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        console.print(f"{what}: {time.monotonic() - began:.1f} s")

    stop_on_signals()
    try:
        with running(step, STACK, DEMO | PARAMETERS, CLIENTS) as machine, serving(machine.commserve) as page:
            machine.commserve.job_seconds = JOB_SECONDS
            with step(f"create {len(OWN) + len(ANALYTICS)} databases in two accounts"):
                furnish(machine)
            with step("back up all targets once"):
                back_up(machine)
            with step("audit once"):
                audit(machine)
            console.print(guide(machine, page))
            signal.pause()
    except Stopped as stopped:
        console.print("Everything that was started has ended.")
        return 0 if stopped.number == signal.SIGINT else 128 + stopped.number
    except (DeployError, EmulatorError) as error:
        console.print(str(error))
        return 1
    return 0


def back_up(machine: Machine) -> None:
    """Start all targets, and wait until nothing is on the queue any more."""
    machine.stack.invoke({"target": "*"})
    until = time.monotonic() + FIRST_BACKUPS_SECONDS
    while machine.stack.messages("SubmissionsQueueUrl"):
        if time.monotonic() > until:
            raise DeployError("The first backups did not end in time.")
        time.sleep(0.5)


def audit(machine: Machine) -> None:
    """Let the daily audit count the databases of each group; somebody listens to the alarms."""
    Subscriber.subscribe(machine.aws, machine.stack.outputs["AlarmTopicArn"])
    due = {"schedule": "arn:aws:scheduler:playground", "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    machine.stack.invoke({"audit": True} | due, "AuditFunctionName")


def guide(machine: Machine, page: str) -> Text:
    """Return what to export, and what to try."""
    exported = machine.aws.environment | {"RDS_SNAP_BACKUP_STACK": STACK}
    control = f"curl -sk -X POST {machine.commserve.root_url}/_control"
    outage = '{"name": "maintenance", "times": null, "path": "*"}'
    lines = [
        ("The playground is up. In another terminal:", "bold"),
        f"  cd {ROOT}",
        f"  export PATH={ROOT / '.venv' / 'bin'}:$PATH",
        *(f"  export {name}={value}" for name, value in sorted(exported.items())),
        (f"Commvault's jobs: {page}", "bold"),
        ("Try:", "bold"),
        f"1. The report: which databases can be restored? Jobs skip {BROKEN}, and no group selects legacy-wiki.",
        "  $ rds-snap-backup report",
        f"2. An event: RDS reports {DATABASE}, and its group is backed up.",
        f"  $ python -m local.playground event {DATABASE}",
        "  $ rds-snap-backup status",
        "3. An outage: a backup waits, and starts by itself when Commvault is back.",
        f"  $ {control}/fault -d '{outage}'",
        "  $ rds-snap-backup backup crm",
        "  $ rds-snap-backup check",
        f"  $ {control}/clear_faults",
        "4. A lost answer: Commvault starts the jobs, the answer is lost, and no job is started a second time.",
        f"""  $ {control}/fault -d '{{"name": "reset_after", "about": "billing"}}'""",
        "  $ rds-snap-backup backup finance --wait",
        "5. Explain: what would an event do now, and why?",
        f"  $ rds-snap-backup explain --database {arn(DATABASE)} --event RDS-EVENT-0043",
        ("Ctrl-C ends it, and leaves nothing behind.", "bold"),
    ]
    text = Text()
    for line in lines:
        text.append(*(line if isinstance(line, tuple) else (line,))).append("\n")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
