"""`rds-snap-backup`, the command line: for people, installed from a wheel, never deployed."""

import typing

VERSION = "2.0.0.dev0"

# The product runs on 3.13. It uses this in annotations only, and 3.12 lacks it.
if not hasattr(typing, "TypeIs"):
    typing.TypeIs = typing.TypeGuard


def main() -> None:
    """Run the program. Ctrl-C ends it with 130 also while it is still loading, which takes about a second."""
    try:
        from rds_snap_backup_cli.commands import app

        app(prog_name="rds-snap-backup")
    except KeyboardInterrupt:
        from rds_snap_backup_cli.output import stderr

        stderr().say("rds-snap-backup: interrupted. Nothing was changed.")
        raise SystemExit(130) from None
