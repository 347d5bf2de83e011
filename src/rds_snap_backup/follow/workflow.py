"""Following: the jobs of a batch of messages are polled first, then each message is handled."""

from typing import TYPE_CHECKING, Any

from rds_snap_backup.follow.batches import Batch, Follower, TrackedMessage
from rds_snap_backup.messaging.batches import Message, is_batch
from rds_snap_backup.problems import InvalidInput

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def follow(follower: Follower, event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Poll all jobs of a batch that are due, then publish the ends of those that have one.

    Raises `InvalidInput` for an event that is not a batch.
    """
    if not is_batch(event):
        hint = "Invoke the Submit function; this one follows the jobs that it has submitted."
        raise InvalidInput("EVENT_UNKNOWN", "The Follow function handles messages of the Jobs queue alone.", hint)
    records = (Message.from_record(record) for record in event["Records"])
    messages = {message.id: TrackedMessage.of(message) for message in records}
    batch = Batch(follower, lambda: context.get_remaining_time_in_millis() / 1000)
    batch.poll(messages.values())
    return follower.jobs_queue.consume(event, context, lambda message: batch.handle(messages[message.id]))
