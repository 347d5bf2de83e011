"""The simulator proved by an independent client: Commvault's own SDK, unmodified."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cvpysdk.commcell import Commcell

from local.commserve import CommServe

# The SDK puts "QSDK " before a token that begins with nothing that it knows.
TOKEN = "QSDK fake-token-for-tests"


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=3) as running:
        running.frozen = True
        yield running


def log_in(server: CommServe, directory: Path, token: str = TOKEN) -> Any:
    authority = directory / "ca.pem"
    authority.write_text(server.ca_pem)
    return Commcell("localhost", authtoken=token, certificate_path=str(authority), web_service_url=server.url)


def find_subclient(commcell: Any, group: str = "orders-db") -> Any:
    instance = commcell.clients.get("aws-prod").agents.get("Cloud Apps").instances.get("RDS")
    return instance.subclients.get(group)


def test_it_backs_up_follows_and_kills(
    server: CommServe, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    commcell = log_in(server, tmp_path)
    subclient = find_subclient(commcell)
    job = subclient.backup("Full")
    spent = len(server.requests)
    record_property("Commvault's own SDK", f"{spent} HTTP requests for one backup from a cold start")

    assert list(server.jobs) == [job.job_id]
    made = server.jobs[job.job_id]
    assert (made.client, made.instance, made.group, made.level) == ("aws-prod", "RDS", "orders-db", "FULL")
    assert set(server.statuses.values()) == {200}
    assert spent == 26

    assert not job.is_finished
    server.advance(3)
    assert job.is_finished
    assert job.status == "Completed"

    other = subclient.backup("Full")
    other.kill()
    assert other.status == "Killed"
    assert server.jobs[other.job_id].status == "Killed"
    assert set(commcell.job_controller.all_jobs()) == {int(job.job_id), int(other.job_id)}


def test_a_failed_job_is_seen_as_failed(server: CommServe, tmp_path: Path) -> None:
    server.plan_jobs(ending="Failed", reason="The snapshot could not be made.", seconds=0.0)
    job = find_subclient(log_in(server, tmp_path)).backup("Incremental")

    assert job.is_finished
    assert job.status == "Failed"
    assert job.summary["pendingReason"] == "The snapshot could not be made."


def test_it_reads_contents_and_restore_points(server: CommServe, tmp_path: Path) -> None:
    for name, status in (("orders-db", "available"), ("billing-db", "stopped"), ("users-db", "available")):
        server.put_database("aws-prod", name, status=status)
    group = find_subclient(log_in(server, tmp_path), "nightly")
    assert [(child["type"], child["name"]) for child in group.content["children"]][:2] == [
        ("Instance", "orders-db"),
        ("Instance", "billing-db"),
    ]

    began = int(server.clock.now())
    job = group.backup("Full")
    span = {"start_time": began, "end_time": began + 60}
    assert group.browse(span) == []
    server.advance(3)
    assert job.status == "Completed"
    points = group.browse(span)
    assert {point["dbName"]: point["snapShotName"] for point in points} == {
        name: f"{name}-us-east-1-{datetime.fromtimestamp(began, UTC):%Y%m%dt%H%M%Sz}"
        for name in ("orders-db", "users-db")
    }
    assert [point["createTime"] for point in points] == [began, began]
    assert group.browse({"start_time": began + 1, "end_time": began + 60}) == []
