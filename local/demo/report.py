"""The report of the stack, as `make report` shows it: the command itself, run as an operator would run it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Self

from rich.text import Text

from local.demo.machine import Machine
from local.demo.view import View
from local.tools import ROOT

FINDINGS = 1  # the command's exit status
# What the demo has arranged: a target whose instance Commvault does not know, one that last worked long ago, and a
# database that no target is for.
EXPECTED = ("TARGET_UNKNOWN_TO_COMMVAULT", "BACKUP_STALE", "DATABASE_UNCOVERED")


@dataclass(frozen=True, slots=True)
class Report:
    """The command, what it printed, and its exit status."""

    command: str
    text: str
    status: int

    @classmethod
    def make(cls, machine: Machine, view: View) -> Self:
        """Run the command for the stack."""
        shown, command = (
            f"make report STACK={machine.stack.name}",
            [sys.executable, "-m", "ops.report", machine.stack.name],
        )
        colours = {"FORCE_COLOR": "1"} if view.console.is_terminal or view.console.record else {}
        environment = os.environ | machine.aws.environment | {"COLUMNS": str(view.console.width)} | colours
        with view.step(shown):
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
            )
        return cls(shown, done.stdout + done.stderr, done.returncode)

    @property
    def is_as_expected(self) -> bool:
        """Whether it has the findings that it must have, and no others."""
        found = f"{len(EXPECTED)} findings." in self.text
        return found and self.status == FINDINGS and all(code in self.text for code in EXPECTED)

    @property
    def shown(self) -> Text:
        """The command, and what it printed, in its colours."""
        return Text.assemble((f"$ {self.command}\n", "bold"), Text.from_ansi(self.text.rstrip()))
