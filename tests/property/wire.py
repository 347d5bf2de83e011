"""Puts the model's wire and its time in the place of the real ones."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import patch

from rds_snap_backup import observability, targets
from rds_snap_backup.backup import loop, polling
from rds_snap_backup.commvault import connection as commvault
from rds_snap_backup.commvault import inventory, jobs
from rds_snap_backup.credentials import renewal
from rds_snap_backup.ledger import table
from rds_snap_backup.messaging import queues
from rds_snap_backup.observability import logger
from tests.property.model.commvault import CommServe
from tests.property.model.connection import Connection

TIMED = (commvault, inventory, jobs, renewal, table, queues, targets, loop, polling)
PAGE = 3


@contextmanager
def in_charge(server: CommServe, *, page: int = PAGE) -> Iterator[None]:
    """Put the model in charge of the function's modules."""
    kernel = server.kernel
    clock = SimpleNamespace(time=kernel.time, monotonic=kernel.monotonic, sleep=kernel.sleep)

    def connection(_host: str, _port: int | None, *, timeout: float, ssl_context: None) -> Connection:
        return Connection(server, timeout)

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
            (observability, "single_metric", lambda **_metric: nullcontext()),
            (jobs, "PAGE", page),
            (polling, "PAGE", page),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield
