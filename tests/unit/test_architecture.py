"""The diagram of phases in docs/architecture.md is drawn from the core's table. Run as a module, this draws it again."""

import re

from local.tools import ROOT
from rds_snap_backup.core.phases import CHANGES

PAGE = ROOT / "docs" / "architecture.md"
DIAGRAM = re.compile(r"stateDiagram-v2\n.*?(?=```)", re.DOTALL)


def drawn() -> str:
    """Return the diagram."""
    changes = [
        f"  {before} --> {after}" + (f": {reason}" if reason else "")
        for before, followers in CHANGES.items()
        for after, reason in followers.items()
    ]
    return "\n".join(["stateDiagram-v2", "  [*] --> Waiting", *changes, ""])


def test_the_diagram_is_the_cores_table() -> None:
    assert DIAGRAM.findall(PAGE.read_text()) == [drawn()]


if __name__ == "__main__":
    PAGE.write_text(DIAGRAM.sub(drawn(), PAGE.read_text()))
