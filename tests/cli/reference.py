"""The reference of the command line, docs/cli.md: each command's `--help` under its heading.

`python -m tests.cli.reference` writes it; a test compares.
"""

import os
import re
import subprocess
import sys

from local.tools import ROOT
from tests.unit.documents import read

PAGE = "docs/cli.md"
SECTION = re.compile(
    r"(?P<begin>^## `(?P<command>\w+)`\n(?:(?!^## ).)*?^```text\n)(?:(?!^```).)*^```$", re.MULTILINE | re.DOTALL
)
# In one process: each takes a second to start.
SCRIPT = """
import sys
from rds_snap_backup_cli.commands import app
for command in sys.argv[1:]:
    app([command, "--help"], prog_name="rds-snap-backup", standalone_mode=False)
    print(end="\\0")
"""


def described() -> list[str]:
    """Return the commands that the page has, in its order."""
    return [found["command"] for found in SECTION.finditer(read(PAGE))]


def helps(commands: list[str]) -> dict[str, str]:
    """Return what `--help` prints without Rich, by command."""
    environment = os.environ | {"PYTHONPATH": "src", "TYPER_USE_RICH": "0", "COLUMNS": "90"}
    line = [sys.executable, "-c", SCRIPT, *commands]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    texts = (text.strip("\n") + "\n" for text in done.stdout.split("\0"))
    return dict(zip(commands, texts, strict=False))


def page() -> str:
    """Return the page as it should be."""
    printed = helps(described())
    return SECTION.sub(lambda found: f"{found['begin']}{printed[found['command']]}```", read(PAGE))


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page())
