"""`rds-snap-backup`, the command line: for people, installed from a wheel, never deployed."""

import typing

VERSION = "2.0.0.dev0"

# The product runs on 3.13. It uses this in annotations only, and 3.12 lacks it.
if not hasattr(typing, "TypeIs"):
    typing.TypeIs = typing.TypeGuard
