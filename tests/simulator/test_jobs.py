"""The simulator's jobs: how they go with time, how they end, and how they are listed."""

from local.commserve import CommServe
from tests.simulator.client import Wire, association


def test_a_job_of_commvaults_own_plan_may_keep_a_subclient_busy(server: CommServe, wire: Wire) -> None:
    server.busy = "refuse"
    foreign = server.add_job("aws-prod", "orders-db", start=server.clock.now() + 50, seconds=600)
    assert wire.status(foreign.id) is None
    server.end_job(wire.create_job())
    server.advance(50)
    refused = wire.create(association("users-db"), association())
    assert (refused.status, refused.json()["errorCode"]) == (409, 2)
    assert wire.create(association("users-db")).status == 200
    server.advance(600)
    assert wire.status(foreign.id) == "Completed"
    assert wire.create().json()["jobIds"]


def test_the_plain_list_leaves_snap_backups_out_unless_asked(server: CommServe, wire: Wire) -> None:
    snap, plain = wire.create_job(), server.add_job("aws-prod", "orders-db", kind="Backup").id

    def found(query: str) -> list[str]:
        return [str(row["jobSummary"]["jobId"]) for row in wire.get(f"/Job?{query}").get("jobs", [])]

    assert found("clientId=5&jobCategory=All") == [plain]
    assert found("clientId=5&jobCategory=All&jobFilter=SNAPBACKUP") == [snap]
    assert found("clientId=6&jobFilter=SNAPBACKUP,Backup") == []
    server.advance(1000)
    assert found("jobFilter=SNAPBACKUP&jobCategory=Active") == []
    assert found("jobFilter=SNAPBACKUP&jobCategory=Finished&completedJobLookupTime=5000") == [snap]
    assert found("jobFilter=SNAPBACKUP&completedJobLookupTime=500") == []
