"""Texts that follow from the code: each command's `--help`, the tables of fields, and the JSON Schemas.

`python -m tests.cli.reference` writes them; tests compare.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping

from local.tools import ROOT
from rds_snap_backup.fields import Field
from rds_snap_backup.messaging import notifications
from rds_snap_backup.targets import ASSOCIATION_FIELDS, FIELDS
from rds_snap_backup_cli.fleet.schema import SCHEMAS, FileKind
from tests.unit.documents import read

PAGE = "docs/cli.md"
REFERENCE = "docs/reference.md"
TABLE = re.compile(r"^(?P<head>\| Field \| .*\n\| --- .*\n)(?:\|.*\n)+", re.MULTILINE)
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


def reference() -> str:
    """Return docs/reference.md with the tables of fields as they should be."""
    messages = notifications.FIELDS.items()
    told = [(name, field.presence[0], field.meaning) for name, field in messages]
    bodies = [_rows(_of_document(FIELDS)), _rows(_of_document(ASSOCIATION_FIELDS)), _rows(told)]
    return TABLE.sub(lambda table: table["head"] + bodies.pop(0), read(REFERENCE), count=len(bodies))


def _of_document(fields: Mapping[str, Field]) -> Iterable[tuple[str, ...]]:
    return [(name, field.default, field.allowed, field.meaning) for name, field in fields.items()]


def _rows(cells: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| `{name}` | {' | '.join(others)} |\n" for name, *others in cells)


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page())
    (ROOT / REFERENCE).write_text(reference())
    for kind in FileKind:
        (ROOT / f"examples/fleet/{kind}.schema.json").write_text(f"{json.dumps(SCHEMAS[kind](), indent=2)}\n")
