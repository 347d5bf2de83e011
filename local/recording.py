"""`python -m local.recording [SCENE]`: runs commands on this machine, and writes what they print as pictures.

The scene `commands` runs those of the README, `fleet` the way of a fleet from the inventory to the report, for
docs/fleet-in-git.md. Without a name both are recorded.
"""

import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from local.commserve.catalogue import RDS
from local.demo.facts import described
from local.demo.machine import CLIENT, PARAMETERS, Machine, create_databases, running
from local.demo.view import picture
from local.rds import create_instance, rds_event
from local.subscriber import Message, Subscriber
from local.tools import ROOT

IMAGES = ROOT / "docs" / "images"
SHOP = ("nightly", "users", "billing")  # its groups: one of three databases, and two of one
NO_DEFAULT_TARGET = {"ClientName": "", "InstanceName": "", "SubclientName": ""}
WIDTH = 134
PATIENCE = 120.0
# Colours without a terminal, and no animation. https://rich.readthedocs.io/en/stable/console.html#environment-variables
TERMINAL = {"FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(WIDTH)}
CURSOR = re.compile(r"\x1b\[\?\d+[hl]")
PROGRAM = f'rds-snap-backup() {{ "{sys.executable}" -m rds_snap_backup_cli "$@"; }}'


@dataclass(frozen=True, slots=True)
class Terminal:
    """A shell in a directory, whose AWS is the machine's; the console has what was typed and printed."""

    machine: Machine
    console: Console
    directory: str

    def run(self, line: str) -> None:
        """Run a line, and print it with its output."""
        self.console.print(Text(f"$ {line}", "bold"))
        own = {"PYTHONPATH": str(ROOT / "src"), "RDS_SNAP_BACKUP_STACK": self.machine.stack.name, "TZ": "UTC"}
        done = subprocess.run(
            ["bash", "-c", f"{PROGRAM}\n{line}"],
            cwd=self.directory,
            env=os.environ | self.machine.aws.environment | own | TERMINAL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if output := CURSOR.sub("", done.stdout).rstrip():
            self.console.print(Text.from_ansi(output))
        self.console.print()

    def remark(self, text: str) -> None:
        """Print something that happens without a command."""
        self.console.print(Text(f"# {text}", "green"))
        self.console.print()


@dataclass(frozen=True, slots=True)
class Scene:
    """Commands on a stack with these parameters."""

    stack: str
    parameters: Mapping[str, str]
    play: Callable[[Terminal], None]


def readme(terminal: Terminal) -> None:
    """Check, back up and report three groups of one target; a job skips the database that is stopped."""
    associations = [{"clientName": CLIENT, "instanceName": RDS, "subclientName": group} for group in SHOP]
    terminal.machine.stack.put_target("shop", {"associations": associations})
    prepare(terminal.machine)
    terminal.run("rds-snap-backup check")
    terminal.run("rds-snap-backup backup shop --wait")
    terminal.run("rds-snap-backup report")


def fleet(terminal: Terminal) -> None:
    """Make a fleet of what is there, and let an event of one of its databases start a backup."""
    machine = terminal.machine
    prepare(machine)
    machine.commserve.plan_jobs(seconds=3600)
    terminal.run("rds-snap-backup inventory prod --write fleet --name prod")
    terminal.run("echo 'retryFailedJobs: 3' >> fleet/targets/aws-prod-1.yaml")
    terminal.run("rds-snap-backup plan prod fleet")
    terminal.run("rds-snap-backup apply prod fleet")
    machine.stack.put_event(rds_event("billing-db"))
    terminal.remark("RDS emits RDS-EVENT-0043: billing-db was restored from a snapshot.")
    (job,) = notified(machine, "submitted").body["jobIds"]
    terminal.run("rds-snap-backup status prod")
    machine.commserve.end_job(job)
    terminal.remark(f"SNS delivers a notification: {described(notified(machine, 'completed').body)}")
    terminal.run("rds-snap-backup report prod")


def prepare(machine: Machine) -> None:
    """Create the databases of all groups and one that no group selects, and subscribe to alarms."""
    create_databases(machine)
    create_instance(machine.aws.client("rds"), "legacy-db", "postgres")
    Subscriber.subscribe(machine.aws, machine.stack.outputs["AlarmTopicArn"], None)


def notified(machine: Machine, status: str) -> Message:
    """Wait for the notification of this status."""
    (message,) = machine.subscriber.wait_for(1, within=PATIENCE, where=lambda message: message.body["status"] == status)
    return message


SCENES = {
    "commands": Scene("rds-snap-backup", PARAMETERS, readme),
    "fleet": Scene("prod", PARAMETERS | NO_DEFAULT_TARGET, fleet),
}


def record(name: str) -> None:
    """Deploy to the emulator, play a scene, and write its picture."""
    scene, console = SCENES[name], Console(record=True, width=WIDTH, highlight=False, markup=False)
    with (
        running(lambda _: nullcontext(), scene.stack, scene.parameters) as machine,
        TemporaryDirectory() as directory,
    ):
        scene.play(Terminal(machine, console, directory))
    (IMAGES / f"{name}.svg").write_text(picture(console, scene.stack))


def main() -> None:
    """Record the scene that is named, or all."""
    parser = ArgumentParser(prog="python -m local.recording", description="Write the pictures of docs/images.")
    parser.add_argument("scene", nargs="?", choices=SCENES, help="default: all")
    scene: str | None = parser.parse_args().scene
    for name in [scene] if scene else SCENES:
        record(name)


if __name__ == "__main__":
    main()
