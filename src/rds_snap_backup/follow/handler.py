"""The entry of the Follow function: a batch of the Jobs queue.

A message on that queue is a submission with running jobs. It is redelivered after pauses that double up to 15 minutes,
until all of its jobs have ended; it is never sent again.
"""

import gc
from typing import TYPE_CHECKING, Any

gc.disable()  # Nothing that is made while a sandbox starts is garbage; looking for it takes a tenth of a cold start.

from rds_snap_backup.bootstrap import Clients
from rds_snap_backup.config import Config
from rds_snap_backup.follow.batches import Follower
from rds_snap_backup.follow.workflow import follow
from rds_snap_backup.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

FOLLOWER = Follower.make(Config.from_env(), Clients.make())
gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Handle a batch of the Jobs queue; return `{"batchItemFailures": […]}`."""
    return follow(FOLLOWER, event, context)
