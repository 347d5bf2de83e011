"""The digest's span, its sums, and the rate limit."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.audit.digest import SUMS, Digest, Span
from rds_snap_backup.audit.metric_sums import NAMES, MetricSums
from rds_snap_backup.observability import MetricName
from rds_snap_backup.problems import Problem

NOW = 1769824804.0  # 2026-01-31T02:00:04Z
MINUTE, HOUR, DAY = 60, 3600, 86400
END = NOW - 4 - 10 * MINUTE


@pytest.mark.parametrize(
    ("last_end", "expected"),
    [
        (0, Span(END - DAY, END)),
        (END - 2 * DAY, Span(END - 2 * DAY, END)),
        (END - 20 * DAY, Span(END - 14 * DAY, END)),
        (END + HOUR, Span(END, END)),  # The clock went back.
    ],
)
def test_a_span_begins_at_the_last_ones_end_and_ends_ten_minutes_ago(last_end: float, expected: Span) -> None:
    assert Span.since(last_end, NOW) == expected


def test_the_sums_have_the_metrics_names_and_their_span() -> None:
    since = Digest(Span(END - DAY, END), {"BackupSubmitted": 184, "ThrottledSeconds": 90}).to_json()
    assert (since["start"], since["end"]) == ("2026-01-30T01:50:00Z", "2026-01-31T01:50:00Z")
    assert (since["backups"]["submitted"], since["backups"]["joined"]) == (184, 0)
    assert since["submissions"]["throttledSeconds"] == 90
    unread = Digest(Span(END - DAY, END), Problem("AWS_FAILURE", "", "")).to_json()
    assert {value for group in SUMS for value in unread[group].values()} == {None}


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        (Problem("AWS_FAILURE", "", ""), None),
        ({"BackupSubmitted": 600}, None),
        ({"SubmissionThrottled": 1, "ThrottledSeconds": 5400, "BackupSubmitted": 3}, "1 time, 1.5 h in all. 3 backups"),
        ({"SubmissionThrottled": 13, "ThrottledSeconds": 3600, "BackupSubmitted": 650}, "13 times, 1.0 h in all"),
    ],
)
def test_submissions_that_waited_for_the_rate_limit(
    sums: dict[MetricName, int] | Problem, expected: str | None
) -> None:
    found = Digest(Span(END - DAY, END), sums).rate_findings()
    assert [finding.code for finding in found] == ["RATE_LIMITED"] * bool(expected)
    for finding in found:
        assert expected is not None
        assert expected in finding.message
        assert f"Put {7 if '650' in finding.message else 2} or more associations" in finding.hint


def pages(status: str = "Complete") -> tuple[Stubber, MetricSums]:
    """Return CloudWatch with two pages, and what reads them."""
    client = boto3.client("cloudwatch")
    stubber = Stubber(client)

    def page(status: str, *values: float) -> dict[str, Any]:
        at = datetime.fromtimestamp(END, UTC)
        result = {"Id": "m0", "Values": list(values), "Timestamps": [at] * len(values), "StatusCode": status}
        return {"MetricDataResults": [result]}

    stubber.add_response("get_metric_data", page("PartialData", 1, 2) | {"NextToken": "2"})
    stubber.add_response("get_metric_data", page(status, 3))
    return stubber, MetricSums("prod", lambda: client)


def test_all_pages_are_summed() -> None:
    stubber, sums = pages()
    with stubber:
        found = sums.read(Span(END - DAY, END))
    assert found == {**dict.fromkeys(NAMES, 0), "BackupSubmitted": 6}
    assert sums.read(Span(END, END)) == dict.fromkeys(NAMES, 0), "no minute is no call"


def test_a_sum_that_cloudwatch_does_not_give_is_a_problem() -> None:
    stubber, sums = pages("InternalError")
    with stubber:
        assert isinstance(sums.read(Span(END - DAY, END)), Problem)
