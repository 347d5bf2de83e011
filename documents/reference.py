"""Texts that follow from the code: each command's `--help`, the tables of fields, the JSON Schemas, the diagram of phases.

`python -m documents.reference` writes them; a test compares.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping

from local.tools import ROOT
from rds_snap_backup.core.phases import CHANGES
from rds_snap_backup.fields import Field
from rds_snap_backup.messaging import notifications
from rds_snap_backup.targets import ASSOCIATION_FIELDS, FIELDS
from rds_snap_backup_cli.fleet.schema import SCHEMAS, FileKind

TABLE = re.compile(r"^(?P<head>\| Field \| .*\n\| --- .*\n)(?:\|.*\n)+", re.MULTILINE)
SECTION = re.compile(
    r"(?P<begin>^## `(?P<command>\w+)`\n(?:(?!^## ).)*?^```text\n)(?:(?!^```).)*^```$", re.MULTILINE | re.DOTALL
)
DIAGRAM = re.compile(r"stateDiagram-v2\n.*?(?=```)", re.DOTALL)
# In one process: each takes a second to start.
SCRIPT = """
import sys
from rds_snap_backup_cli.commands import app
for command in sys.argv[1:]:
    app([command, "--help"], prog_name="rds-snap-backup", standalone_mode=False)
    print(end="\\0")
"""


def described(text: str) -> list[str]:
    """Return the commands that the page of commands has, in its order."""
    return [found["command"] for found in SECTION.finditer(text)]


def with_help(text: str) -> str:
    """Return the page of commands with what `--help` prints without Rich."""
    environment = os.environ | {"PYTHONPATH": "src", "TYPER_USE_RICH": "0", "COLUMNS": "90"}
    commands = described(text)
    line = [sys.executable, "-c", SCRIPT, *commands]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    texts = (each.strip("\n") + "\n" for each in done.stdout.split("\0"))
    printed = dict(zip(commands, texts, strict=False))
    return SECTION.sub(lambda found: f"{found['begin']}{printed[found['command']]}```", text)


def with_fields(text: str) -> str:
    """Return the reference with its tables of fields."""
    told = [(name, field.presence[0], field.meaning) for name, field in notifications.FIELDS.items()]
    bodies = [_rows(_of_document(FIELDS)), _rows(_of_document(ASSOCIATION_FIELDS)), _rows(told)]
    return TABLE.sub(lambda table: table["head"] + bodies.pop(0), text, count=len(bodies))


def with_diagram(text: str) -> str:
    """Return the architecture with the diagram of the core's phases."""
    changes = [
        f"  {before} --> {after}" + (f": {reason}" if reason else "")
        for before, followers in CHANGES.items()
        for after, reason in followers.items()
    ]
    return DIAGRAM.sub("\n".join(["stateDiagram-v2", "  [*] --> Waiting", *changes, ""]), text)


def _of_document(fields: Mapping[str, Field]) -> Iterable[tuple[str, ...]]:
    return [(name, field.default, field.allowed, field.meaning) for name, field in fields.items()]


def _rows(cells: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| `{name}` | {' | '.join(others)} |\n" for name, *others in cells)


# The file, and what makes its text as it should be out of what it is.
TEXTS: dict[str, Callable[[str], str]] = {
    "docs/cli.md": with_help,
    "docs/reference.md": with_fields,
    "docs/architecture.md": with_diagram,
    **{
        f"examples/fleet/{kind}.schema.json": lambda _, kind=kind: f"{json.dumps(SCHEMAS[kind](), indent=2)}\n"  # type: ignore[misc]
        for kind in FileKind
    },
}

if __name__ == "__main__":
    for name, made in TEXTS.items():
        (ROOT / name).write_text(made((ROOT / name).read_text()))
