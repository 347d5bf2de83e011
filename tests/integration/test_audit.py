"""The Audit function through its entry, on emulated AWS and the CommServe simulator: its answers, and its messages."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.commserve import CommServe, content
from local.emulator import ACCOUNT, REGION, Emulator
from rds_snap_backup.messaging.notifications import iso
from tests.integration.audit_support import (
    ARN,
    AuditScene,
    codes,
    unreachable,
    verdicts,
)
from tests.metrics import counted


@pytest.fixture
def scene(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> AuditScene:
    group = f"group-{time.monotonic_ns()}"
    return AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="26", SCHEDULE_GROUP=group)


@pytest.fixture
def timeless(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> AuditScene:
    """A stack whose backups may be a year old, so that days may pass."""
    return AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="8784")


OTHER_EVENTS: list[Any] = [
    *({}, None, [], "check", {"check": False}, {"check": True, "target": 7}, {"check": True, "target": "../x"}),
    *(
        {"check": True, "audit": True},
        {"audit": 1},
        {"audit": True, "target": "orders"},
        {"inventory": True, "page": 0},
    ),
    *(
        {"audit": True, "schedule": 7},
        {"audit": True, "time": None},
        {"audit": True, "schedule": "a" * 2000, "time": "t"},
    ),
    *({"audit": True, "schedule": "arn", "time": "2999-01-31T02:00:00Z"}, {"target": "*"}, {"explain": {}}),
    *(
        {"prove": {"database": name, "since": since}}
        for name, since in (
            *((f"{ARN}:db:a", time) for time in (7, "yesterday", "2026-01-31T02:00:04", None)),
            *((name, "2026-01-31T02:00:04Z") for name in (7, "orders-db", f"{ARN}:snapshot:a", f"{ARN}:db:")),
        )
    ),
]


def test_any_other_event_is_refused_and_does_nothing(timeless: AuditScene) -> None:
    for event in OTHER_EVENTS:
        answer = timeless.invoke(event)
        assert answer["ok"] is False
        assert answer["refused"]["code"] in {"EVENT_UNKNOWN", "EVENT_INCOMPLETE", "SCHEDULE_IN_FUTURE"}, event
    assert (timeless.commserve.requests, sum(timeless.calls.values())) == ([], 0)


def test_the_preflight_is_of_all_targets_or_of_one(timeless: AuditScene) -> None:
    timeless.world.target("orders")
    for event, targets in (({}, {None, "default", "orders"}), ({"target": "orders"}, {None, "orders"})):
        answer = timeless.invoke({"check": True, **event})
        assert (answer["ok"], {check["target"] for check in answer["checks"]}) == (True, targets)


def test_by_hand_every_database_has_a_row(scene: AuditScene) -> None:
    job = scene.back_up("orders-db")
    scene.database("scratch", exclude="true")
    answer = scene.by_hand()
    assert (answer["version"], answer["status"]) == ("2", "audit")
    assert (answer["ok"], answer["news"], answer["findings"]) == (True, False, [])
    assert verdicts(answer) == {"orders-db": "protected", "scratch": "excluded"}
    (row,) = [row for row in answer["databases"] if row["verdict"] == "protected"]
    assert (row["arn"], row["jobId"], row["by"]) == (f"{ARN}:db:orders-db", job.id, "commvault")
    assert row["groups"] == ["aws-prod / RDS / orders-db", "aws-prod / RDS / nightly"], "that of a target first"
    (made,) = scene.aws.client("rds").describe_db_snapshots()["DBSnapshots"]
    assert row["restorePoint"] == {
        "name": made["DBSnapshotIdentifier"],
        "createdAt": f"{made['SnapshotCreateTime']:%Y-%m-%dT%H:%M:%SZ}",
        "snapshot": made["DBSnapshotArn"],
    }
    counts = dict.fromkeys(("stale", "new", "uncovered", "ambiguous", "unproven", "unreadable", "stuck", "findings"), 0)
    counts |= {"databases": 2, "protected": 1, "excluded": 1, "targets": 1, "places": 1}
    assert answer["counts"] == {**counts, "commvaultCalls": len(scene.commserve.requests)}
    assert (answer["askedBy"], answer["report"], answer["lastRead"]) == ("by hand", None, None)
    here = {"account": ACCOUNT, "region": REGION, "databases": 2, "role": "own", "undeliveredEvents": 0}
    assert answer["scope"] == {
        "accounts": [here],
        "groups": len(scene.commserve.catalogue.subclients()),
        "maxAgeHours": 26,
        "commvault": scene.commserve.url,
        "stack": scene.world.config.stack_arn,
        "version": "",
    }
    assert scene.invoke({"audit": True, "page": 2})["databases"] == []


def test_by_hand_nothing_is_published_counted_recorded_or_sent(
    timeless: AuditScene, capsys: pytest.CaptureFixture[str]
) -> None:
    timeless.database("crm")
    timeless.lose_message()
    timeless.calls.clear()
    answer = timeless.by_hand()
    assert codes(answer) == [("SUBMISSION_STUCK", "default"), ("DATABASE_UNCOVERED", "crm")]
    assert answer["news"] is True
    assert timeless.published() == timeless.world.items("audit") == []
    assert counted(capsys.readouterr().out).keys() & {"AuditFinding", "AuditCompleted"} == set()
    assert timeless.calls.keys() & {"UpdateItem", "TransactWriteItems", "Publish", "SendMessage"} == set()


@pytest.mark.parametrize(
    ("service", "code", "asked"),
    [
        ("rds", "ACCOUNT_UNREADABLE", "Its databases, quotas cannot be read"),
        ("sns", "AWS_FAILURE", "whether anybody receives the messages"),
        ("ssm", "AWS_FAILURE", "whether the targets' documents are valid"),
        ("dynamodb", "AWS_FAILURE", "whether the last restore points are recent"),
    ],
)
def test_a_failure_of_aws_is_a_finding_and_never_good_news(
    scene: AuditScene, service: str, code: str, asked: str
) -> None:
    scene.back_up("orders-db")
    scene.cold_start(**{service: unreachable(service)})
    answer = scene.by_hand()
    assert answer["ok"] is False
    # The parameters hold the CA's certificate, too.
    unread = {"rds": {"*": "unreadable"}, "ssm": {"orders-db": "unreadable"}}
    assert verdicts(answer) == unread.get(service, {"orders-db": "protected"})
    (finding,) = [row for row in answer["findings"] if row["code"] == code and asked in row["message"]]
    assert "127.0.0.1:9" in finding["message"]


def test_snapshots_that_rds_does_not_show_count_by_name(scene: AuditScene) -> None:
    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeDBSnapshots")

    rds = scene.world.client("rds")
    rds.meta.events.register("before-call.rds.DescribeDBSnapshots", deny)
    scene.back_up("orders-db")
    scene.cold_start(rds=rds)
    answer = scene.by_hand()
    assert (verdicts(answer), codes(answer)) == ({"orders-db": "protected"}, [("ACCOUNT_UNREADABLE", None)])
    assert "counts by name" in answer["databases"][0]["reason"]
    answer = prove(scene, iso(scene.clock() - 7200))
    assert (answer["proved"], "counts by name" in answer["reason"]) == (True, True)


def test_an_empty_secret_and_schedules_that_repeat_an_association_are_findings(scene: AuditScene) -> None:
    scheduler, group = scene.aws.client("scheduler"), scene.world.config.schedule_group
    scheduler.create_schedule_group(Name=group)
    target = {"Arn": f"{ARN}:function:backup", "RoleArn": f"{ARN}:role/scheduler"}
    for name in ("weekly", "yearly"):
        scene.world.target(name)
        when = {"ScheduleExpression": "rate(7 days)", "FlexibleTimeWindow": {"Mode": "OFF"}}
        scheduler.create_schedule(Name=name, GroupName=group, Target=target, **when)
    scene.commserve.state.keep_tokens = True
    scene.world.set_token(" ")
    assert {("TARGETS_OVERLAP", "yearly"), ("TOKEN_REFUSED", None)} <= {*codes(scene.by_hand())}


def test_without_time_it_says_what_it_has_not_asked(timeless: AuditScene) -> None:
    answer = timeless.invoke({"audit": True}, seconds=50)
    assert {finding["code"] for finding in answer["findings"]} == {
        *("OUT_OF_TIME", "ACCOUNT_UNREADABLE", "COMMVAULT_UNREADABLE")
    }
    assert timeless.commserve.requests == []


@pytest.mark.parametrize(("fault", "parameters"), [("forbidden", {}), ("status", {"status": 200, "body": "{}"})])
def test_jobs_count_with_their_snapshots_where_restore_points_are_not_listed(
    scene: AuditScene, fault: str, parameters: dict[str, Any]
) -> None:
    job = scene.back_up("orders-db")
    scene.commserve.fault(fault, None, "/BrowseRDSBackups", **parameters)
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": "protected"}
    (row,) = answer["databases"]
    assert (row["jobId"], answer["ok"]) == (job.id, True)
    assert row["restorePoint"]["snapshot"].startswith(ARN)
    rds = scene.aws.client("rds")
    rds.delete_db_snapshot(DBSnapshotIdentifier=row["restorePoint"]["name"])
    assert codes(scene.by_hand()) == [("BACKUP_STALE", "orders-db")]


def test_the_inventory_names_what_selects_each_database(scene: AuditScene) -> None:
    scene.database("crm")
    scene.back_up("nightly")
    answer = scene.invoke({"inventory": True})
    rows = {(row["subclientName"], (row["arn"] or "").rpartition(":")[2]): row for row in answer["inventory"]}
    assert (answer["ok"], answer["unread"]) == (True, [])
    pairs = {key for key in rows if all(key)}
    assert pairs == {("nightly", "orders-db"), ("orders-db", "orders-db")}
    assert rows[None, "crm"]["selectedBy"] is None
    assert rows["billing-db", ""]["content"] == "billing-db"
    row = rows["orders-db", "orders-db"]
    assert (row["selectedBy"], row["targets"], row["engine"]) == ("its name", ["default"], "mysql")
    assert row["restorePoint"]["snapshot"].startswith(ARN)
    counts = {"groups": len(scene.commserve.catalogue.subclients()), "databases": 2, "selected": 1}
    assert answer["counts"] == counts | {"commvaultCalls": len(scene.commserve.requests)}


def prove(scene: AuditScene, since: str | None, database: str = f"{ARN}:db:orders-db") -> Any:
    return scene.invoke({"prove": {"database": database, "since": since}})


def test_the_gate_asks_for_a_restore_point_after_a_time(scene: AuditScene) -> None:
    since = iso(scene.clock() - 1800)
    scene.back_up("orders-db", hours_ago=1)
    answer = prove(scene, since)
    assert (answer["proved"], answer["reason"]) == (False, f"No restore point was made after {since}.")
    requests = len(scene.commserve.requests)
    scene.back_up("nightly", hours_ago=0.1)
    assert prove(scene, since)["proved"] is False, "Commvault is asked once a minute"
    assert prove(scene, iso(scene.clock() - 7200))["proved"] is True
    assert len(scene.commserve.requests) == requests
    scene.later = 60
    answer = prove(scene, since)
    assert (answer["proved"], answer["reason"]) == (True, "")
    browsed = [request.path for request in scene.commserve.requests[requests:]]
    assert browsed == ["/BrowseRDSBackups"], "the groups are kept for ten minutes"


@pytest.mark.parametrize(
    ("database", "proved", "reason"),
    [
        (f"{ARN}:db:nobody", False, "RDS does not know"),
        (f"{ARN}:db:crm", False, "No instance group"),
        ("arn:aws:rds:us-east-1:999988887777:db:orders-db", None, "AuditMembers"),
    ],
)
def test_the_gate_and_other_databases(scene: AuditScene, database: str, proved: bool | None, reason: str) -> None:
    scene.database("crm")
    answer = prove(scene, "2026-01-31T02:00:04Z", database)
    assert (answer["proved"], answer["restorePoint"]) == (proved, None)
    assert reason in answer["reason"]


@pytest.mark.parametrize("path", ["/BrowseRDSBackups", "/Client", "/Subclient"])
def test_the_gate_is_not_open_where_commvault_cannot_be_asked(scene: AuditScene, path: str) -> None:
    scene.back_up("orders-db")
    scene.commserve.fault("forbidden", None, path)
    answer = prove(scene, "2026-01-31T02:00:04Z")
    assert answer["proved"] is None
    assert "HTTP 403" in answer["reason"]
    scene.commserve.clear_faults()
    scene.later = 60
    assert prove(scene, "2026-01-31T02:00:04Z")["proved"] is True, "what could not be read is not kept"


@pytest.mark.parametrize("named", [content.cluster("shop"), content.instance("shop-1")])
def test_the_gate_knows_a_member_by_its_cluster(scene: AuditScene, named: content.Child) -> None:
    scene.cluster("shop", "shop-1")
    scene.commserve.set_content("aws-prod", "shop", [content.cluster("shop")])
    scene.back_up("shop", hours_ago=0, seconds=0)
    scene.commserve.set_content("aws-prod", "shop", [named])
    answer = prove(scene, "2026-01-31T02:00:04Z", f"{ARN}:db:shop-1")
    assert (answer["proved"], answer["reason"]) == (True, "")
