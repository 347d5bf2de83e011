"""The entry of the Audit function: `{"audit": true}` is answered with findings, `{"check": true}` with the preflight."""

import gc
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

gc.disable()  # Nothing that is made while a sandbox starts is garbage; looking for it takes a tenth of a cold start.

from botocore.config import Config as SdkConfig

from rds_snap_backup.audit.auditor import Auditor
from rds_snap_backup.audit.dispatch import answer
from rds_snap_backup.bootstrap import SDK, Clients
from rds_snap_backup.config import Config
from rds_snap_backup.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# A page of a hundred databases takes RDS longer than the calls of the Backup function take.
PAGES = SdkConfig(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
CLIENTS = Clients.make()
PAGED_RDS = cache(partial(CLIENTS.client, "rds", config=SDK.merge(PAGES)))
AUDITOR = Auditor.make(Config.from_env(), replace(CLIENTS, rds=PAGED_RDS))
gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: "LambdaContext") -> dict[str, Any]:
    """Return the answer to the event's question."""
    return answer(AUDITOR, event, context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000)
