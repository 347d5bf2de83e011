"""Who gets the messages: confirmed subscriptions other than the Jobs queue's."""

import pytest

from rds_snap_backup.audit.listeners import listeners_row
from rds_snap_backup.commvault.inventory import OUT_OF_TIME
from rds_snap_backup.messaging.notifications import Subscription
from rds_snap_backup.problems import Problem

URL = "https://sqs.us-east-1.amazonaws.com/111122223333/stack-JobsQueue-1"
JOBS = Subscription("sqs", "arn:aws:sqs:us-east-1:111122223333:stack-JobsQueue-1", is_confirmed=True)
QUEUE = Subscription("sqs", "arn:aws:sqs:us-east-1:111122223333:theirs", is_confirmed=True)
OTHER_ACCOUNT = Subscription("sqs", "arn:aws:sqs:us-east-1:444455556666:stack-JobsQueue-1", is_confirmed=True)
EMAIL = Subscription("email", "ops@example.com", is_confirmed=True)
PENDING = Subscription("email", "new@example.com", is_confirmed=False)


@pytest.mark.parametrize(
    ("subscriptions", "ok", "detail"),
    [
        ([], False, "Nobody receives the messages."),
        ([JOBS], False, "Nobody receives the messages."),
        ([JOBS, PENDING], False, "Nobody receives the messages. 1 not confirmed yet."),
        ([JOBS, QUEUE], True, "Confirmed subscriptions: 1 by sqs."),
        ([JOBS, OTHER_ACCOUNT], True, "Confirmed subscriptions: 1 by sqs."),
        ([QUEUE, EMAIL, EMAIL, PENDING], True, "Confirmed subscriptions: 2 by email, 1 by sqs. 1 not confirmed yet."),
    ],
)
def test_the_row(subscriptions: list[Subscription], ok: bool, detail: str) -> None:
    row = listeners_row(subscriptions, URL)
    assert (row.name, row.target, row.ok, row.detail) == ("listeners", None, ok, detail)
    assert row.code == (None if ok else "NOBODY_LISTENS")
    assert ("confirm it" in (row.hint or "")) is not ok


def test_without_a_jobs_queue_every_subscription_is_of_others() -> None:
    assert listeners_row([JOBS], "").ok


def test_what_could_not_be_asked_is_not_well() -> None:
    denied = listeners_row(Problem("AWS_FAILURE", "AccessDenied", "Fix it."), URL)
    assert (denied.ok, denied.code) == (False, None)
    assert denied.detail == "The topic's subscriptions cannot be read: AccessDenied"
    assert listeners_row(OUT_OF_TIME, URL).detail == "Not checked. The function's time ran out."
