"""`python -m local.recording`: runs commands of the README on this machine, and writes what they print as a picture."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext

from rich.console import Console
from rich.text import Text

from local.demo.machine import CLIENT, Machine, running
from local.demo.view import picture
from local.rds import create_instance
from local.subscriber import Subscriber
from local.tools import ROOT

PICTURE = ROOT / "docs" / "images" / "commands.svg"
STACK = "rds-snap-backup"
COMMANDS = (
    "rds-snap-backup check",
    "rds-snap-backup backup shop --wait",
    "rds-snap-backup report",
)
GROUP = ("orders-db", "users-db", "billing-db")
WIDTH = 132
# Colours without a terminal, and no animation. https://rich.readthedocs.io/en/stable/console.html#environment-variables
TERMINAL = {"FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(WIDTH)}
CURSOR = re.compile(r"\x1b\[\?\d+[hl]")


def prepare(machine: Machine) -> None:
    """Store a target of three databases; a fourth database has no target."""
    associations = [
        {"clientName": CLIENT, "instanceName": name, "subclientName": "default", "databases": [name]} for name in GROUP
    ]
    machine.stack.put_target("shop", {"associations": associations})
    for name in (*GROUP, "archive-db"):
        create_instance(machine.aws.client("rds"), name, "postgres")
    Subscriber.subscribe(machine.aws, machine.stack.outputs["AlarmTopicArn"], None)


def output(line: str, machine: Machine) -> str:
    """Run a command of the README, and return what a terminal shows."""
    program = [sys.executable, "-m", "rds_snap_backup_cli", *shlex.split(line)[1:]]
    own = {"PYTHONPATH": str(ROOT / "src"), "RDS_SNAP_BACKUP_STACK": STACK, "TZ": "UTC"}
    done = subprocess.run(
        program,
        env=os.environ | machine.aws.environment | own | TERMINAL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return CURSOR.sub("", done.stdout).rstrip()


def main() -> None:
    """Deploy to the emulator, run the commands, and write the picture."""
    console = Console(record=True, width=WIDTH, highlight=False, markup=False)
    with running(lambda _: nullcontext(), STACK) as machine:
        prepare(machine)
        for line in COMMANDS:
            console.print(Text(f"$ {line}", "bold"))
            console.print(Text.from_ansi(output(line, machine)))
            console.print()
    PICTURE.write_text(picture(console, STACK))


if __name__ == "__main__":
    main()
