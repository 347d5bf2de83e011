"""`python -m local.recording`: runs the commands of the README on this machine, and writes what they print as a picture."""

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from local.commserve.catalogue import RDS
from local.demo.machine import CLIENT, PARAMETERS, Machine, create_databases, running
from local.demo.view import picture
from local.rds import create_instance
from local.subscriber import Subscriber
from local.tools import ROOT

PICTURE = ROOT / "docs" / "images" / "commands.svg"
STACK = "rds-snap-backup"
SHOP = ("nightly", "users", "billing")  # its groups: one of three databases, and two of one
COMMANDS = ("check", "backup shop --wait", "report")
WIDTH = 134
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


def recorded(machine: Machine) -> str:
    """Check, back up and report three groups of one target, and return the picture; a job skips a stopped database."""
    console = Console(record=True, width=WIDTH, highlight=False, markup=False)
    associations = [{"clientName": CLIENT, "instanceName": RDS, "subclientName": group} for group in SHOP]
    machine.stack.put_target("shop", {"associations": associations})
    prepare(machine)
    with TemporaryDirectory() as directory:
        terminal = Terminal(machine, console, directory)
        for command in COMMANDS:
            terminal.run(f"rds-snap-backup {command}")
    return picture(console, STACK)


def prepare(machine: Machine) -> None:
    """Create the databases of all groups and one that no group selects, and subscribe to alarms."""
    create_databases(machine)
    create_instance(machine.aws.client("rds"), "legacy-db", "postgres")
    Subscriber.subscribe(machine.aws, machine.stack.outputs["AlarmTopicArn"], None)


def record() -> None:
    """Deploy to the emulator, run the commands, and write the picture."""
    with running(lambda _: nullcontext(), STACK, PARAMETERS) as machine:
        PICTURE.write_text(recorded(machine))


if __name__ == "__main__":
    record()
