"""The preflight's row about who gets the messages: a topic without a subscriber makes every failure silent. Pure."""

from collections import Counter
from collections.abc import Sequence

from rds_snap_backup.audit.report import Row, unread
from rds_snap_backup.messaging.notifications import Subscription
from rds_snap_backup.problems import Problem

NOBODY = "NOBODY_LISTENS"
HINT = (
    "Subscribe a person or a program to the topic in the output NotificationsTopicArn, such as an e-mail address by "
    "NotificationEmail, and confirm it."
)


def listeners_row(subscriptions: Sequence[Subscription] | Problem, jobs_queue_url: str) -> Row:
    """Return the row; the Jobs queue is the stack's own, and no listener."""
    if isinstance(subscriptions, Problem):
        return unread("listeners", None, subscriptions, "The topic's subscriptions")
    others = [one for one in subscriptions if not _is_of_queue(one, jobs_queue_url)]
    confirmed = Counter(one.protocol for one in others if one.is_confirmed)
    waiting = sum(not one.is_confirmed for one in others)
    pending = f" {waiting} not confirmed yet." if waiting else ""
    if not confirmed:
        return Row(
            "listeners", None, ok=False, detail=f"Nobody receives the messages.{pending}", hint=HINT, code=NOBODY
        )
    shown = ", ".join(f"{count} by {protocol}" for protocol, count in sorted(confirmed.items()))
    return Row("listeners", None, ok=True, detail=f"Confirmed subscriptions: {shown}.{pending}")


def _is_of_queue(subscription: Subscription, url: str) -> bool:
    """Tell whether a subscription is a queue's: of its ARN, account and name end its URL too."""
    if subscription.protocol != "sqs" or not url:
        return False
    return subscription.endpoint.split(":")[-2:] == url.split("/")[-2:]
