"""The fleet of examples/fleet: what `inventory --write` makes for three accounts.

`python -m tests.cli.fleet_example` writes it; a test compares.
"""

import shutil
from pathlib import Path
from typing import Any

from local.tools import ROOT
from rds_snap_backup_cli.fleet.files import HEAD, TARGETS
from rds_snap_backup_cli.fleet.grouping import Covered, exact_associations
from rds_snap_backup_cli.fleet.inventory import add, fleet_of

FLEET = ROOT / "examples/fleet"
REGION = "eu-central-1"
COUNTRIES = "at be bg ch cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl no pl pt ro se"
# Commvault's clients, one an account, and the databases of each.
ACCOUNTS = {
    "aws-platform": ("111122223333", ["audit-log", "billing", "identity"]),
    "aws-sales": ("222233334444", [f"shop-{country}" for country in COUNTRIES.split()]),
    "aws-finance": ("444455556666", ["ledger", "reporting"]),
}
CLUSTERS = {"billing", "ledger"}


def rows() -> list[dict[str, Any]]:
    """Return the rows of the inventory."""
    return [
        {
            "match": "exact",
            "clientName": client,
            "instanceName": "RDS",
            "subclientName": name,
            "arn": f"arn:aws:rds:{REGION}:{account}:{'cluster' if name in CLUSTERS else 'db'}:{name}",
            "engine": "aurora-postgresql" if name in CLUSTERS else "postgres",
        }
        for client, (account, names) in ACCOUNTS.items()
        for name in names
    ]


def write(directory: Path) -> None:
    """Write the fleet's files to a directory without any."""
    fleet = fleet_of(directory, "prod")
    add(directory, fleet, Covered(fleet, "111122223333"), exact_associations(rows()))


if __name__ == "__main__":
    shutil.rmtree(FLEET / TARGETS, ignore_errors=True)
    (FLEET / HEAD).unlink(missing_ok=True)
    write(FLEET)
