"""The simulator proved by an independent client: Commvault's own SDK, unmodified."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.commserve import CommServe
from tests.simulator.client import log_in


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
    (made,) = server.jobs.values()
    assert (made.id, made.client, made.group, made.level) == (job.job_id, "aws-prod", "orders-db", "FULL")
    assert (spent, set(server.statuses.values())) == (26, {200})
    assert not job.is_finished
    server.advance(100)
    assert (job.is_finished, job.status) == (True, "Completed")
    other = subclient.backup("Full")
    other.kill()
    assert other.status == server.jobs[other.job_id].status == "Killed"
    assert set(commcell.job_controller.all_jobs()) == {int(job.job_id), int(other.job_id)}


def test_a_failed_job_is_seen_as_failed(server: CommServe, tmp_path: Path) -> None:
    server.plan_jobs(ending="Failed", reason="The snapshot could not be made.", seconds=0.0)
    job = find_subclient(log_in(server, tmp_path)).backup("Incremental")
    assert (job.is_finished, job.status) == (True, "Failed")
    assert job.summary["pendingReason"] == "The snapshot could not be made."


def test_it_reads_contents_and_restore_points(server: CommServe, tmp_path: Path) -> None:
    for name, status in (("orders-db", "available"), ("billing-db", "stopped"), ("users-db", "available")):
        server.put_database("aws-prod", name, status=status)
    group = find_subclient(log_in(server, tmp_path), "nightly")
    children = [(child["type"], child["name"]) for child in group.content["children"]]
    assert children[:2] == [("Instance", "orders-db"), ("Instance", "billing-db")]
    began = int(server.clock.now())
    job = group.backup("Full")
    span = {"start_time": began, "end_time": began + 60}
    assert group.browse(span) == []
    server.advance(100)
    assert job.status == "Completed"
    points = [(point["dbName"], point["snapShotName"], point["createTime"]) for point in group.browse(span)]
    made = f"{datetime.fromtimestamp(began, UTC):%Y%m%dt%H%M%Sz}"
    assert sorted(points) == [(name, f"{name}-us-east-1-{made}", began) for name in ("orders-db", "users-db")]
    assert group.browse({"start_time": began + 1, "end_time": began + 60}) == []
