"""The program `app` with all of its commands. In a checkout it has `deploy`, too."""

from importlib import import_module
from pathlib import Path

from rds_snap_backup_cli.program import app

__all__ = ["app"]

# Importing a command's module declares it; in the order of `--help`.
MODULES = (
    "list_targets",
    "status",
    "check",
    "backup",
    "explain",
    "report.command",
    "report.history",
    "letters",
    "redrive",
    "schedule",
    "set_token",
    "fleet.inventory",
    "fleet.validate",
    "fleet.build",
)
IS_CHECKOUT = (Path(__file__).parents[2] / "template.yaml").exists()

for module in (*MODULES, *(["deploy"] if IS_CHECKOUT else [])):
    import_module(f"rds_snap_backup_cli.{module}")
