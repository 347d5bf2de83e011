"""Sandboxes of the built functions, whose logs a test that fails shows."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.runtime import Runtime


@contextmanager
def sandbox(package: Path, handler: str, environment: dict[str, str], *, timeout: int = 50) -> Iterator[Runtime]:
    """Run a function, and print its log at the end: pytest shows what was printed where a test fails."""
    with Runtime(package, handler, environment, timeout=timeout) as function:
        try:
            yield function
        finally:
            sys.stdout.write(function.output)
