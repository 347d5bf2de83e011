"""The Follow function: a submitted job in, its end out.

A message on the Jobs queue is a submission whose jobs go on. It returns, after pauses that double up to 15 minutes,
until all of them have ended; it is never sent again. How a batch of messages is handled is `batches.py`'s business,
how jobs are read `looks.py`'s, what their ends mean `followed.py`'s, and that each end is told once `endings.py`'s.
"""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from rds_snap_backup.batches import Batch, Follower, read_message
from rds_snap_backup.config import Config
from rds_snap_backup.deliveries import Postponed
from rds_snap_backup.observability import logger
from rds_snap_backup.wiring import Clients

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

FOLLOWER = Follower.make(Config.from_env(), Clients.make())


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Handle a batch of the Jobs queue; return `{"batchItemFailures": […]}`."""
    return follow(FOLLOWER, event, context)


def follow(follower: Follower, event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Look at all jobs of a batch that are due, then tell the ends of those that have one.

    What went wrong is raised when all are handled, so that the function counts as failed. The whole batch then
    returns: messages that wait still wait, and those that were done are done again at the price of one look into the
    ledger.
    """
    messages = {record["messageId"]: read_message(record) for record in event["Records"]}
    batch = Batch(follower, lambda: context.get_remaining_time_in_millis() / 1000)
    batch.look(messages.values())

    def handle_record(record: Any) -> None:
        batch.handle(messages[record.message_id])

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer: Any = process_partial_response(event, record_handler=handle_record, processor=processor, context=context)
    errors = [error for kind, error, _ in processor.exceptions if kind is not Postponed and error is not None]
    for error in errors:
        logger.error("A message could not be handled", exc_info=error)
    if errors:
        raise errors[0]
    return dict(answer)
