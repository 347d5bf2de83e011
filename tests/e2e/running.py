"""Runs a program of `local` as a user does."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.tools import ROOT


@contextmanager
def running(module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a program of `local` without a terminal; its lines grow as it goes on."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    lines: list[str] = []

    def read() -> None:
        lines.extend(process.stdout or ())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)
        reader.join()
