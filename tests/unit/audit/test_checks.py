"""Checks that need neither AWS nor Commvault: renewal, listeners, backup levels and gathering."""

from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.audit.access import renewal_check
from rds_snap_backup.audit.documents import gather_checks, level_checks
from rds_snap_backup.audit.preflight import listeners_check
from rds_snap_backup.credentials.tokens import TokenReport
from rds_snap_backup.messaging.notifications import Subscription
from rds_snap_backup.problems import Problem
from tests.unit.audit.support import stored, text

NOW, DAY = 1_900_000_000.0, 86400.0
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")
PAIR = TokenReport(True, NOW - 3 * DAY, NOW + 60 * DAY, True, "", None)


@pytest.mark.parametrize(
    ("fields", "ok", "detail"),
    [
        ({}, True, "stored 3 days ago, can be renewed until 2030-05-16"),
        ({"stored_at": NOW - 3700}, True, "stored 1 h 1 min ago"),
        ({"renewable_until": None}, True, "can be renewed."),
        ({"renewable_until": NOW + 14 * DAY + 1}, True, "can be renewed until"),
        ({"renewable_until": NOW + 14 * DAY - 1}, False, "can be renewed until 2030-03-31, and not after that"),
        ({"renewable_until": NOW - 1}, False, "could be renewed until"),
        ({"is_pair": False, "renewable_until": None, "is_renewed": False}, True, "plain token, stored 3 days ago"),
        ({"is_renewed": False}, True, "RenewToken is false"),
        ({"renewed_by": "arn:other"}, False, "The stack 'arn:other' renews the token"),
        ({"obstacle": DENIED}, False, "AccessDenied"),
    ],
)
def test_the_renewal_of_a_token(fields: dict[str, Any], ok: bool, detail: str) -> None:
    check = renewal_check(replace(PAIR, **fields), NOW)
    assert (check.ok, check.hint is None, check.code) == (ok, ok, None if ok else "TOKEN_EXPIRING")
    assert detail in check.detail
    unread = renewal_check(DENIED, NOW)
    assert (unread.ok, unread.is_made) == (False, False)


EMAIL, QUEUE = (Subscription(protocol, "endpoint", True) for protocol in ("email", "sqs"))
PENDING = replace(EMAIL, is_confirmed=False)


@pytest.mark.parametrize(
    ("subscriptions", "ok", "detail"),
    [
        ([EMAIL, PENDING], True, "Confirmed subscriptions: 1 by email. 1 not confirmed yet."),
        ([QUEUE, QUEUE, EMAIL], True, "1 by email, 2 by sqs."),
        ([PENDING], False, "Nobody receives the messages of topic. 1 not confirmed yet."),
        ([], False, "Nobody receives the messages of topic."),
        (DENIED, False, "cannot be read: AccessDenied"),
    ],
)
def test_somebody_must_listen(subscriptions: list[Subscription] | Problem, ok: bool, detail: str) -> None:
    check = listeners_check("listeners", "topic", subscriptions)
    assert (check.ok, bool(check.hint)) == (ok, not ok)
    assert detail in check.detail


@pytest.mark.parametrize(("level", "expected"), [("FULL", []), ("INCREMENTAL", [(True, "level")])])
def test_a_level_that_snapshots_do_not_know_is_a_warning(level: str, expected: list[tuple[bool, str]]) -> None:
    checks = list(level_checks(stored("orders", text(backupLevel=level))))
    assert [(check.ok, check.name) for check in checks] == expected
    assert all(level in check.detail and check.hint for check in checks)


@pytest.mark.parametrize(
    ("fields", "count", "is_warned"),
    [
        ({"gatherMinutes": 4}, 2, True),
        ({"gatherMinutes": 5}, 40, False),
        ({}, 40, False),
        ({"gatherMinutes": 0, "databases": []}, 40, False),  # no events
        ({"gatherMinutes": 0}, 1, False),
        ({"gatherMinutes": 0}, None, False),  # no audit has read it
    ],
)
def test_events_of_a_group_of_many_gather(fields: dict[str, Any], count: int | None, is_warned: bool) -> None:
    target = stored("orders", text(**{"databases": ["*"]} | fields))
    assert target.target
    (association,) = target.target.request.associations
    checks = list(gather_checks(target, {} if count is None else {association.key: count}))
    assert [(check.ok, check.name) for check in checks] == [(True, "gather")] * is_warned
    assert all(f"has {count} databases" in check.detail and "gatherMinutes" in str(check.hint) for check in checks)
