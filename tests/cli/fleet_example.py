"""The fleet of examples/fleet: what `inventory --write` makes for three accounts.

`python -m tests.cli.fleet_example` writes it; a test compares.
"""

import shutil
from pathlib import Path
from typing import Any

from local.tools import ROOT
from rds_snap_backup_cli.fleet.additions import additions_of
from rds_snap_backup_cli.fleet.files import HEAD, TARGETS
from rds_snap_backup_cli.fleet.inventory import add, fleet_of

FLEET = ROOT / "examples/fleet"
REGION = "eu-central-1"
COUNTRIES = "at be bg ch cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl no pl pt ro se"
# Commvault's clients, one an account, and the groups of one database each.
ACCOUNTS = {
    "aws-platform": ("111122223333", ["audit-log", "billing", "identity"]),
    "aws-sales": ("222233334444", [f"shop-{country}" for country in COUNTRIES.split()]),
    "aws-finance": ("444455556666", ["ledger", "reporting"]),
}
CLUSTERS = {"billing", "ledger"}
# Groups of many databases: what selects them, and their databases.
MANY = (
    ("aws-platform", "nightly", "region eu-west-1", "eu-west-1", ["metrics", "search", "wiki"]),
    ("aws-finance", "archive", "rule ^archive-", REGION, ["archive-2024", "archive-2025"]),
)


def rows() -> list[dict[str, Any]]:
    """Return the rows of the inventory."""
    ones = [row(client, name, name, "its name") for client, (_, names) in ACCOUNTS.items() for name in names]
    return ones + [row(client, group, name, by, region) for client, group, by, region, names in MANY for name in names]


def row(client: str, group: str, name: str, by: str, region: str = REGION) -> dict[str, Any]:
    """Return the row of a database of a group."""
    kind, account = "cluster" if name in CLUSTERS else "db", ACCOUNTS[client][0]
    return {
        "clientName": client,
        "instanceName": "RDS",
        "subclientName": group,
        "content": name if group == name else by,
        "targets": [],
        "arn": f"arn:aws:rds:{region}:{account}:{kind}:{name}",
        "excluded": False,
        "selectedBy": by,
    }


def write(directory: Path) -> None:
    """Write the fleet's files to a directory without any."""
    add(directory, fleet_of(directory, "prod"), list(additions_of(rows())))


if __name__ == "__main__":
    shutil.rmtree(FLEET / TARGETS, ignore_errors=True)
    (FLEET / HEAD).unlink(missing_ok=True)
    write(FLEET)
