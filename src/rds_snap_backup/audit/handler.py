"""The entry of the Audit function: `{"audit": true}` answers with findings, `{"check": true}` with the preflight."""

import gc
from typing import TYPE_CHECKING, Any

gc.disable()  # Nothing that is made while a sandbox starts is garbage; looking for it takes a tenth of a cold start.

from rds_snap_backup.audit.daily import Auditor
from rds_snap_backup.audit.workflow import audit
from rds_snap_backup.bootstrap import Clients
from rds_snap_backup.config import Config
from rds_snap_backup.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

AUDITOR = Auditor.make(Config.from_env(), Clients.make())
gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: "LambdaContext") -> dict[str, Any]:
    """Return the report that the event asks for."""
    return audit(AUDITOR, event, context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000)
