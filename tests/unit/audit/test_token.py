"""The preflight's row about renewing the token."""

import pytest

from rds_snap_backup.audit.token import renewal_row
from rds_snap_backup.commvault.credentials import TokenReport
from rds_snap_backup.problems import Problem

NOW = 1_900_000_000.0
DAY = 86400.0


def report(
    *,
    is_pair: bool = True,
    until: float | None = NOW + 60 * DAY,
    is_renewed: bool = True,
    renewed_by: str = "",
    obstacle: Problem | None = None,
) -> TokenReport:
    return TokenReport(is_pair, NOW - 3 * DAY, until, is_renewed, renewed_by, obstacle)


@pytest.mark.parametrize(
    ("given", "ok", "detail"),
    [
        (report(), True, "stored 3 days ago, can be renewed until 2030-05-16"),
        (report(until=None), True, "can be renewed."),
        (report(until=NOW + 14 * DAY + 1), True, "can be renewed until"),
        (report(until=NOW + 14 * DAY - 1), False, "can be renewed until 2030-03-31, and not after that"),
        (report(until=NOW - 1), False, "could be renewed until"),
        (report(is_pair=False, until=None, is_renewed=False), True, "plain token, stored 3 days ago"),
        (report(is_renewed=False), True, "RenewToken is false"),
        (report(renewed_by="other"), False, "The stack 'other' renews the token"),
        (report(obstacle=Problem("TOKEN_REFUSED", "The secret cannot be written", "Do this")), False, "be written"),
        (Problem("SECRET_EMPTY", "It is empty.", "Fill it"), False, "Not checked. It is empty."),
    ],
)
def test_the_row_says_what_is_known_and_what_to_do(given: TokenReport | Problem, ok: bool, detail: str) -> None:
    row = renewal_row(given, NOW)
    assert (row.name, row.target, row.ok) == ("renewal", None, ok)
    assert detail in row.detail
    assert (row.hint is None) == ok
