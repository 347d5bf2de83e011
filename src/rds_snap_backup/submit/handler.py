"""The entry of the Submit function: an event, however it arrived, or messages of the Submissions queue."""

import gc
from typing import TYPE_CHECKING, Any

gc.disable()  # Nothing that is made while a sandbox starts is garbage; looking for it takes a tenth of a cold start.

from rds_snap_backup.bootstrap import Clients, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.observability import logger
from rds_snap_backup.submit.deliveries import receive
from rds_snap_backup.submit.dispatch import handle

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICES = bootstrap(Config.from_env(), Clients.make())
gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: "LambdaContext") -> dict[str, Any]:
    """Return the submissions of an event, or for SQS records `{"batchItemFailures": […]}`."""
    return receive(SERVICES, event, context, handle)
