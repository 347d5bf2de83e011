"""Checks that need neither AWS nor Commvault: renewal, listeners, and the size of the answer."""

from collections.abc import Sequence
from typing import Any

import pytest

from rds_snap_backup.audit.access import renewal_check
from rds_snap_backup.audit.documents import gather_checks, level_checks
from rds_snap_backup.audit.preflight import listeners_check
from rds_snap_backup.credentials.tokens import TokenReport
from rds_snap_backup.messaging.notifications import Subscription
from rds_snap_backup.problems import Problem
from tests.unit.audit.support import stored, text

NOW = 1_900_000_000.0
DAY = 86400.0
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")


def token(
    *,
    is_pair: bool = True,
    until: float | None = NOW + 60 * DAY,
    is_renewed: bool = True,
    renewed_by: str = "",
    obstacle: Problem | None = None,
    age: float = 3 * DAY,
) -> TokenReport:
    return TokenReport(is_pair, NOW - age, until, is_renewed, renewed_by, obstacle)


@pytest.mark.parametrize(
    ("report", "ok", "detail"),
    [
        (token(), True, "stored 3 days ago, can be renewed until 2030-05-16"),
        (token(age=3700), True, "stored 1 h 1 min ago"),
        (token(until=None), True, "can be renewed."),
        (token(until=NOW + 14 * DAY + 1), True, "can be renewed until"),
        (token(until=NOW + 14 * DAY - 1), False, "can be renewed until 2030-03-31, and not after that"),
        (token(until=NOW - 1), False, "could be renewed until"),
        (token(is_pair=False, until=None, is_renewed=False), True, "plain token, stored 3 days ago"),
        (token(is_renewed=False), True, "RenewToken is false"),
        (token(renewed_by="arn:other"), False, "The stack 'arn:other' renews the token"),
        (token(obstacle=DENIED), False, "AccessDenied"),
    ],
)
def test_the_renewal_of_a_token(report: TokenReport, ok: bool, detail: str) -> None:
    check = renewal_check(report, NOW)
    assert (check.ok, check.hint is None, check.code) == (ok, ok, None if ok else "TOKEN_EXPIRING")
    assert detail in check.detail


def test_a_token_that_cannot_be_read_is_not_checked() -> None:
    check = renewal_check(DENIED, NOW)
    assert (check.ok, check.is_made) == (False, False)


def subscription(protocol: str = "email", *, is_confirmed: bool = True) -> Subscription:
    return Subscription(protocol, "endpoint", is_confirmed)


@pytest.mark.parametrize(
    ("subscriptions", "ok", "detail"),
    [
        ([subscription()], True, "Confirmed subscriptions: 1 by email."),
        ([subscription(), subscription(is_confirmed=False)], True, "1 not confirmed yet."),
        ([subscription("sqs"), subscription("sqs"), subscription()], True, "1 by email, 2 by sqs."),
        ([subscription(is_confirmed=False)], False, "Nobody receives the messages of topic. 1 not confirmed yet."),
        ([], False, "Nobody receives the messages of topic."),
        (DENIED, False, "cannot be read: AccessDenied"),
    ],
)
def test_somebody_must_listen(subscriptions: Sequence[Subscription] | Problem, ok: bool, detail: str) -> None:
    check = listeners_check("listeners", "topic", subscriptions)
    assert check.ok is ok
    assert detail in check.detail
    assert bool(check.hint) is not ok


@pytest.mark.parametrize(("level", "expected"), [("FULL", []), ("INCREMENTAL", [(True, "level")])])
def test_a_level_that_snapshots_do_not_know_is_a_warning(level: str, expected: list[tuple[bool, str]]) -> None:
    checks = list(level_checks(stored("orders", text(backupLevel=level))))
    assert [(check.ok, check.name) for check in checks] == expected
    assert all(level in check.detail and check.hint for check in checks)


@pytest.mark.parametrize(
    ("document", "count", "is_warned"),
    [
        ({"gatherMinutes": 0, "databases": ["*"]}, 2, True),
        ({"gatherMinutes": 4, "databases": ["*"]}, 40, True),
        ({"gatherMinutes": 5, "databases": ["*"]}, 40, False),
        ({"databases": ["*"]}, 40, False),
        ({"gatherMinutes": 0}, 40, False),  # no events
        ({"gatherMinutes": 0, "databases": ["*"]}, 1, False),
        ({"gatherMinutes": 0, "databases": ["*"]}, None, False),  # no audit has read it
    ],
)
def test_events_of_a_group_of_many_gather(document: dict[str, Any], count: int | None, is_warned: bool) -> None:
    target = stored("orders", text(**document))
    assert target.target
    (association,) = target.target.request.associations
    checks = list(gather_checks(target, {} if count is None else {association.key: count}))
    assert [(check.ok, check.name) for check in checks] == [(True, "gather")] * is_warned
    assert all(f"has {count} databases" in check.detail and "gatherMinutes" in str(check.hint) for check in checks)
