"""The ends of jobs as the ledger keeps them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from local.emulator import Emulator
from ops.report import history
from ops.report.history import History
from ops.stack import DeployedStack
from rds_snap_backup.ledger.completions import NAMES, Completions
from rds_snap_backup.ledger.keys import JOB
from rds_snap_backup.ledger.table import Table, Update
from rds_snap_backup.messaging.notifications import build_end
from tests.ledger import create_ledger
from tests.ops.report.conftest import AuditedStack

NOW = datetime(2026, 3, 31, 6, 0, 4, tzinfo=UTC)
SINCE = NOW - timedelta(days=29)


def read(prod: AuditedStack, *items: dict[str, Any]) -> History:
    prod.has_ledger(items)
    return history.read(DeployedStack.find("prod"), SINCE, lambda _: None)


def recorded(end: object, at: datetime = NOW) -> dict[str, Any]:
    return {
        "end": {"S": end if isinstance(end, str) else json.dumps(end)},
        "endRecordedAt": {"N": f"{at.timestamp():.3f}"},
    }


def test_the_messages_of_the_product_are_read(prod: AuditedStack) -> None:
    submission = {"target": "orders", "taskId": 4, "backupLevel": "FULL", "trigger": {}, "submittedAt": None}
    started = NOW.timestamp() - 600
    end = build_end(
        submission, "7", "failed", associations=(), started=started, ended=started + 60, reason="Why.", problem=None
    )
    (found,) = read(prod, recorded(end)).ends
    assert (found.target, found.status, found.jobs, found.reason) == ("orders", "failed", ("7",), "Why.")
    assert found.at == NOW - timedelta(seconds=600)


def test_the_scan_asks_for_what_the_product_writes(prod: AuditedStack) -> None:
    read(prod)
    (asked,) = prod.calls("Scan")
    assert asked["ExpressionAttributeNames"] == {"#key": "pk", "#end": NAMES.notification, "#recorded": "endRecordedAt"}
    assert asked["ExpressionAttributeValues"] == {":job": {"S": JOB}, ":since": {"N": str(int(SINCE.timestamp()))}}
    assert asked["FilterExpression"] == "begins_with(#key, :job) AND attribute_exists(#end) AND #recorded >= :since"


def test_of_a_ledger_the_recent_ends_of_jobs_are_read_and_nothing_else(shell: Emulator) -> None:
    client = shell.client("dynamodb")
    create_ledger(client, "history")
    table = Table("history", client)
    for job, days in (("7", 1), ("8", 28), ("9", 30)):
        at = NOW - timedelta(days=days)
        end = {"target": "orders", "status": "completed", "jobIds": [job], "startedAt": at.isoformat()}
        Completions(table, 9, at.timestamp).record(job, {}, end, "me")
    table.write(Update("job#10", {"claimedAt": NOW.timestamp()}))
    table.write(Update("submission#orders#manual#1", {"end": "{}", "endRecordedAt": NOW.timestamp()}))
    read: list[int] = []
    found = history.read(DeployedStack("prod", boto3.Session(), {"LedgerTableName": "history"}), SINCE, read.append)
    assert ([one.jobs for one in found.ends], found.unreadable) == ([("8",), ("7",)], 0)
    assert read == [5]


@pytest.mark.parametrize("known", ["startedAt", "submittedAt", "endedAt", None])
def test_where_the_start_is_not_known_the_nearest_time_is_taken(prod: AuditedStack, known: str | None) -> None:
    end = {
        "target": "orders",
        "status": "lost",
        "jobIds": ["7"],
        "startedAt": None,
        "submittedAt": None,
        "endedAt": None,
    }
    times = {known: "2026-03-20T02:00:00Z"} if known else {}
    (found,) = read(prod, recorded(end | times)).ends
    assert found.at == (datetime(2026, 3, 20, 2, tzinfo=UTC) if known else NOW)


def test_what_started_before_is_left_out_and_the_rest_is_in_order(prod: AuditedStack) -> None:
    end = {"target": "orders", "status": "completed"}
    times = ("2026-03-30T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-10T00:00:00+01:00")
    found = read(prod, *(recorded(end | {"jobIds": [at], "startedAt": at}) for at in times))
    assert [one.jobs for one in found.ends] == [(times[2],), (times[0],)]
    assert found.unreadable == 0


@pytest.mark.parametrize(
    "item",
    [
        recorded("not JSON"),
        recorded([]),
        recorded({"status": "completed", "jobIds": []}),
        recorded({"target": "orders", "status": 1, "jobIds": []}),
        recorded({"target": "orders", "status": "completed", "jobIds": [7]}),
        recorded({"target": "orders", "status": "completed", "jobIds": [], "startedAt": "2026-03-30T00:00:00"}),
        {"end": {"S": "{}"}, "endRecordedAt": {"N": "1e400"}},
        {"endRecordedAt": {"N": "1"}},
    ],
    ids=str,
)
def test_an_end_that_cannot_be_read_is_counted_and_stops_nothing(prod: AuditedStack, item: dict[str, Any]) -> None:
    good = recorded({"target": "orders", "status": "completed", "jobIds": ["7"]})
    found = read(prod, item, good)
    assert ([one.jobs for one in found.ends], found.unreadable) == ([("7",)], 1)
