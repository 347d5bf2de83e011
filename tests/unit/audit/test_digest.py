"""The digest's span, its sums, and the rate limit."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.audit.digest import SUMS, Digest, Span
from rds_snap_backup.audit.metric_sums import NAMES, MetricSums
from rds_snap_backup.problems import Problem

NOW = 1769824804.0  # 2026-01-31T02:00:04Z
HOUR, DAY = 3600, 86400
END = NOW - 4 - 600
LAST_DAY = Span(END - DAY, END)
UNREAD = Problem("AWS_FAILURE", "", "")


@pytest.mark.parametrize(
    ("last_end", "expected"),
    [
        (0, LAST_DAY),
        (END - 2 * DAY, Span(END - 2 * DAY, END)),
        (END - 20 * DAY, Span(END - 14 * DAY, END)),
        (END + HOUR, Span(END, END)),  # The clock went back.
    ],
)
def test_a_span_begins_at_the_last_ones_end_and_ends_ten_minutes_ago(last_end: float, expected: Span) -> None:
    assert Span.since(last_end, NOW) == expected


def test_the_sums_have_the_metrics_names_and_their_span() -> None:
    since = Digest(LAST_DAY, {"BackupSubmitted": 184, "ThrottledSeconds": 90}).to_json()
    assert (since["start"], since["end"]) == ("2026-01-30T01:50:00Z", "2026-01-31T01:50:00Z")
    assert (since["backups"]["submitted"], since["backups"]["joined"]) == (184, 0)
    assert since["submissions"]["throttledSeconds"] == 90
    unread = Digest(LAST_DAY, UNREAD).to_json()
    assert {value for group in SUMS for value in unread[group].values()} == {None}


@pytest.mark.parametrize(
    ("throttled", "seconds", "backups", "expected"),
    [
        (0, 0, 600, ()),
        (1, 5400, 3, ("1 time, 1.5 h in all. 3 backups", "Put 2 or more associations")),
        (13, 3600, 650, ("13 times, 1.0 h in all", "Put 7 or more associations")),
    ],
)
def test_submissions_that_waited_for_the_rate_limit(
    throttled: int, seconds: int, backups: int, expected: tuple[str, ...]
) -> None:
    sums: Any = {"SubmissionThrottled": throttled, "ThrottledSeconds": seconds, "BackupSubmitted": backups}
    found = Digest(LAST_DAY, sums).rate_findings()
    assert [finding.code for finding in found] == ["RATE_LIMITED"] * bool(expected)
    assert all(text in f"{finding.message} {finding.hint}" for finding in found for text in expected)
    assert Digest(LAST_DAY, UNREAD).rate_findings() == []


@pytest.mark.parametrize("status", ["Complete", "InternalError"])
def test_all_pages_are_summed_unless_cloudwatch_fails(status: str) -> None:
    client = boto3.client("cloudwatch")
    sums = MetricSums("prod", lambda: client)

    def page(status: str, *values: float) -> dict[str, Any]:
        at = [datetime.fromtimestamp(END, UTC)] * len(values)
        return {"MetricDataResults": [{"Id": "m0", "Values": values, "Timestamps": at, "StatusCode": status}]}

    with Stubber(client) as stubber:
        stubber.add_response("get_metric_data", page("PartialData", 1, 2) | {"NextToken": "2"})
        stubber.add_response("get_metric_data", page(status, 3))
        found = sums.read(LAST_DAY)
    if status == "Complete":
        assert found == {**dict.fromkeys(NAMES, 0), "BackupSubmitted": 6}
    else:
        assert isinstance(found, Problem)
    assert sums.read(Span(END, END)) == dict.fromkeys(NAMES, 0), "no minute is no call"
