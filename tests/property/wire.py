"""Puts the model's wire and its time in the place of the real ones."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from types import SimpleNamespace
from unittest.mock import patch

from aws_lambda_powertools.utilities.parameters import base as parameters

from rds_snap_backup import observability
from rds_snap_backup.commvault import connection as commvault
from rds_snap_backup.commvault import jobs, renewal
from rds_snap_backup.follow import batches, poller
from rds_snap_backup.ledger import records, table
from rds_snap_backup.submit import runs
from tests.property.model.commvault import CommServe
from tests.property.model.connection import Connection

PAGE = 3


@contextmanager
def in_charge(server: CommServe, *, most_operations: int = 100) -> Iterator[None]:
    """Put the model in charge of both functions' modules."""
    kernel = server.kernel
    clock = SimpleNamespace(time=kernel.time, monotonic=kernel.monotonic, sleep=kernel.sleep)
    calendar = SimpleNamespace(now=lambda: datetime.fromtimestamp(kernel.time()))  # noqa: DTZ006 - as Powertools has it

    def connection(_host: str, _port: int | None, *, timeout: float, ssl_context: None) -> Connection:
        return Connection(server, timeout)

    with ExitStack() as stack:
        for module in (commvault, jobs, renewal, runs, table, batches, poller):
            stack.enter_context(patch.object(module, "time", clock))
        for target, name, value in (
            (parameters, "datetime", calendar),
            (commvault, "trusting", lambda _bundle: None),
            # The connection in memory keeps to its deadline by itself.
            (commvault, "ended_at", lambda _deadline, _socket: nullcontext()),
            (commvault, "HTTPSConnection", connection),
            (observability, "single_metric", lambda **_metric: nullcontext()),
            (jobs, "PAGE", PAGE),
            (poller, "PAGE", PAGE),
            (records, "MAX_TRANSACTION", most_operations),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield
