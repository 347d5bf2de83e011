"""Puts the model's wire and its time in the place of the real ones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from rds_snap_backup import observability, targets
from rds_snap_backup.audit import job_history
from rds_snap_backup.backup import loop, polling
from rds_snap_backup.commvault import connection as commvault
from rds_snap_backup.commvault import inventory, jobs
from rds_snap_backup.credentials import renewal
from rds_snap_backup.ledger import table
from rds_snap_backup.messaging import queues
from rds_snap_backup.observability import logger
from tests.property.model.kernel import Kernel
from tests.property.model.line import Line, Wire

TIMED = (commvault, inventory, job_history, jobs, renewal, table, queues, targets, loop, polling)
PAGE = 3


@contextmanager
def in_charge(wire: Wire, *, page: int = PAGE) -> Iterator[None]:
    """Put the model in charge of the function's modules, with lists of jobs in small pages."""
    with (
        on_wire(wire.kernel, partial(Line, wire)),
        patch.object(jobs, "PAGE", page),
        patch.object(polling, "PAGE", page),
    ):
        yield


@contextmanager
def on_wire(kernel: Kernel, connect: Callable[[float], Any]) -> Iterator[None]:
    """Give the function's modules the kernel's time, and connections to Commvault that `connect` makes for a timeout."""
    clock = SimpleNamespace(time=kernel.time, monotonic=kernel.monotonic, sleep=kernel.sleep)

    def connection(_host: str, _port: int | None, *, timeout: float, ssl_context: None) -> Any:
        return connect(timeout)

    def single_metric(*, name: str, value: int, **_more: Any) -> Any:
        kernel.counted[name] += value
        return nullcontext()

    level = logger.log_level
    logger.setLevel("CRITICAL")
    with ExitStack() as stack:
        stack.callback(logger.setLevel, level)
        for module in TIMED:
            stack.enter_context(patch.object(module, "time", clock))
        for target, name, value in (
            (commvault, "tls_context", lambda _bundle: None),
            # The connection in memory keeps to its deadline by itself.
            (commvault, "ended_at", lambda _deadline, _socket: nullcontext()),
            (commvault, "HTTPSConnection", connection),
            (observability, "single_metric", single_metric),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield
