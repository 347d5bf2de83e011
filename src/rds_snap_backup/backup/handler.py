"""The entry of the Backup function: an event, or a batch of the Submissions queue."""

import gc
from typing import TYPE_CHECKING, Any

gc.disable()  # Nothing that is made while a sandbox starts is garbage; looking for it takes a tenth of a cold start.

from rds_snap_backup.backup.deliveries import Deliveries
from rds_snap_backup.bootstrap import Clients, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

CLIENTS = Clients.make()
DELIVERIES = Deliveries(bootstrap(Config.from_env(), CLIENTS), CLIENTS.rds)
gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: "LambdaContext") -> dict[str, Any]:
    """Return the submissions of an event, or for messages of the queue `{"batchItemFailures": […]}`."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    if DELIVERIES.is_batch(event):
        return DELIVERIES.receive_batch(event["Records"], seconds_left)
    return DELIVERIES.receive(event, context.aws_request_id, seconds_left)
