"""Writes files whole or not at all, and a fleet's files as YAML that its strict reader, and any other, reads back the same."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rds_snap_backup_cli.errors import CannotRun

# As the stack's own default. Without a schedule a target is backed up after RDS events only.
NIGHTLY = {"schedule": {"expression": "cron(0 3 * * ? *)", "timezone": "UTC"}}
ENDLESS = 2**30


class Dumper(yaml.SafeDumper):
    """Quotes every text that some YAML reader takes for another value, and indents lists."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write equal values in full: the reader refuses aliases."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists below their field."""
        super().increase_indent(flow, False)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return the one YAML text of a document."""
    return yaml.dump(dict(document), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=ENDLESS)


def new_fleet(name: str) -> str:
    """Return the text of a new fleet's file: its targets are backed up every night."""
    return to_yaml({"name": name, "defaults": NIGHTLY})


def write_files(directory: Path, files: Mapping[str, str]) -> None:
    """Write texts to files of a directory, each whole or not at all."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text)


def write_file(path: Path, text: str) -> None:
    """Write a text to a file, whole or not at all; a link is replaced, not followed. Raises `CannotRun`."""
    try:
        replace_file(path, text)
    except OSError as error:  # It names the new file, which nobody knows.
        raise CannotRun(f"{path} cannot be written: {error.strerror}. Name another file.") from None


def replace_file(path: Path, text: str) -> None:
    """Write a text to a new file in a file's directory, and put it in its place. Raises `OSError`."""
    # Random names, O_EXCL and O_NOFOLLOW: nobody can have put a link there.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    part = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123 # a descriptor
            file.write(text)
        os.umask(mask := os.umask(0))
        part.chmod(0o666 & ~mask)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
