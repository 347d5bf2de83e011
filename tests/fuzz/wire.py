"""AWS at the wire: it accepts what SQS and SNS accept, keeps it, and fails the harness for anything else."""

import re
from typing import Any

from tests.fuzz import limits

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,99}")


class Aws:
    """A client of SQS and of SNS; `bodies` are the messages it was given."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send_message(self, *, MessageBody: str, **_others: Any) -> dict[str, Any]:  # noqa: N803 - the SDK's name
        """Take a message for a queue."""
        size = len(limits.encoded(MessageBody, "a queue's message"))
        limits.require(size <= limits.MAX_MESSAGE, "a queue's message is larger than SQS accepts")
        self.bodies.append(MessageBody)
        return {}

    def send_message_batch(self, *, Entries: list[dict[str, Any]], **_others: Any) -> dict[str, Any]:  # noqa: N803
        """Take a batch, whose messages together may be as large as one."""
        size = sum(len(limits.encoded(one["MessageBody"], "a queue's message")) for one in Entries)
        limits.require(size <= limits.MAX_MESSAGE, "a batch is larger than SQS accepts")
        return {}

    def change_message_visibility(self, *, VisibilityTimeout: int, **_others: Any) -> dict[str, Any]:  # noqa: N803
        """Take a pause."""
        limits.require(0 <= VisibilityTimeout <= 43_200, "a pause is longer than SQS accepts")
        return {}

    def publish(self, **message: Any) -> dict[str, Any]:
        """Take a notification."""
        attributes = [(name, one["DataType"], one["StringValue"]) for name, one in message["MessageAttributes"].items()]
        limits.require(all(value for _, _, value in attributes), "an attribute has no value")
        size = len(limits.encoded(message["Message"], "a notification"))
        size += sum(len(limits.encoded("".join(one), "an attribute")) for one in attributes)
        limits.require(size <= limits.MAX_MESSAGE, "a notification is larger than SNS accepts")
        limits.require(SUBJECT.fullmatch(message["Subject"]), "a subject is not one that SNS accepts")
        return {}
