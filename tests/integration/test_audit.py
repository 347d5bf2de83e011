"""The Audit function through its entry, on emulated AWS and the CommServe simulator: its answers, and its messages."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.commserve import CommServe, content
from local.emulator import ACCOUNT, REGION, Emulator
from rds_snap_backup.messaging.notifications import iso
from tests.integration.audit_support import (
    ARN,
    DAY,
    AuditScene,
    Denying,
    Publishing,
    codes,
    metrics,
    unreachable,
    verdicts,
)
from tests.integration.pairs import PairInSecret
from tests.integration.world import ASSOCIATION

FAILURE = EndpointConnectionError(endpoint_url="https://sns.example")


@pytest.fixture
def scene(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditScene]:
    group = f"group-{time.monotonic_ns()}"
    found = AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="26", SCHEDULE_GROUP=group)
    yield found
    found.remove_databases()


@pytest.fixture
def timeless(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditScene]:
    """A stack whose backups may be a year old, so that days may pass."""
    found = AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="8784")
    yield found
    found.remove_databases()


# ---- Events


OTHER_EVENTS: list[Any] = [
    *({}, None, [], "check", {"check": False}, {"check": True, "target": 7}, {"check": True, "target": "../x"}),
    *({"check": True, "audit": True}, {"audit": False}, {"audit": 1}, {"audit": True, "target": "orders"}),
    *(
        {"audit": True, "schedule": 7},
        {"audit": True, "time": None},
        {"audit": True, "schedule": "a" * 2000, "time": "t"},
    ),
    {"audit": True, "schedule": "arn", "time": "2999-01-31T02:00:00Z"},
    *({"target": "default"}, {"target": "*"}, {"schedule": "arn", "time": "t"}, {"explain": {}}),
]


def test_any_other_event_is_refused_and_does_nothing(timeless: AuditScene) -> None:
    for event in OTHER_EVENTS:
        answer = timeless.invoke(event)
        assert answer["ok"] is False
        assert answer["refused"]["code"] in {"EVENT_UNKNOWN", "SCHEDULE_IN_FUTURE"}, event
    assert (timeless.commserve.requests, sum(timeless.calls.values())) == ([], 0)


def test_the_preflight_is_of_all_targets_or_of_one(timeless: AuditScene) -> None:
    timeless.world.target("orders")
    for event, targets in (
        ({"check": True}, {None, "default", "orders"}),
        ({"check": True, "target": None}, {None, "default", "orders"}),
        ({"check": True, "target": "orders"}, {None, "orders"}),
    ):
        answer = timeless.invoke(event)
        assert (answer["ok"], {check["target"] for check in answer["checks"]}) == (True, targets)


# ---- By hand


def test_by_hand_every_database_has_a_row(scene: AuditScene) -> None:
    scene.own(scene.back_up("orders-db"))
    scene.database("scratch", exclude="true")
    answer = scene.by_hand()
    assert (answer["version"], answer["status"]) == ("2", "audit")
    assert (answer["ok"], answer["news"], answer["findings"]) == (True, False, [])
    assert verdicts(answer) == {"orders-db": "protected", "scratch": "excluded"}
    (row,) = [row for row in answer["databases"] if row["verdict"] == "protected"]
    (job_id,) = scene.commserve.jobs
    assert (row["arn"], row["jobId"], row["by"]) == (f"{ARN}:db:orders-db", job_id, "stack")
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
    assert metrics(capsys.readouterr().out).keys() & {"AuditFinding", "AuditCompleted"} == set()
    assert timeless.calls.keys() & {"UpdateItem", "TransactWriteItems", "Publish", "SendMessage"} == set()


# ---- Each finding


def is_found_once(scene: AuditScene, fix: Callable[[], object], *expected: tuple[str, str | None]) -> None:
    """Assert that a cause is news once, is told every day, and that its end is news too."""
    for _ in range(2):
        answer = scene.daily()
        assert codes(answer) == list(expected)
        assert all(finding["message"] and finding["hint"] for finding in answer["findings"])
        assert {**answer, "title": scene.published()[-1]["title"]} == scene.published()[-1]
    fix()
    for _ in range(2):
        assert scene.daily()["ok"] is True
    assert [(message["ok"], message["news"]) for message in scene.published()] == [
        (False, True),
        (False, False),
        (True, True),
        (True, False),
    ]


def test_each_cause_is_found_and_its_end_is_news(timeless: AuditScene) -> None:
    world, sns = timeless.world, timeless.aws.client("sns")
    topic = world.config.alarm_topic_arn
    (listener,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=listener["SubscriptionArn"])
    timeless.database("crm")
    world.target("broken", backupLevel="HALF")
    names = {**ASSOCIATION, "subclientName": "order-db"}
    world.target("misspelt", associations=[names, {**names, "subclientName": "archives"}])
    misspelt = next(finding for finding in timeless.by_hand()["findings"] if finding["target"] == "misspelt")
    assert "1 more of its associations" in misspelt["message"]
    assert "Did you mean 'orders-db'?" in misspelt["hint"]

    def fix() -> None:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=listener["Endpoint"])
        for target in ("broken", "misspelt"):
            world.target(target)
        timeless.commserve.set_content("aws-prod", "crm", [content.instance("crm")])

    is_found_once(
        timeless,
        fix,
        ("TARGET_INVALID", "broken"),
        ("TARGET_UNKNOWN_TO_COMMVAULT", "misspelt"),
        ("NOBODY_LISTENS", None),
        ("DATABASE_UNCOVERED", "crm"),
    )
    assert verdicts(timeless.by_hand()) == {"crm": "new", "orders-db": "new"}


def test_a_cluster_is_one_database_with_its_members(timeless: AuditScene) -> None:
    timeless.cluster("shop", "shop-1")
    timeless.cluster("documents", "documents-1", engine="docdb")
    answer = timeless.by_hand()
    assert codes(answer) == [("DATABASE_UNCOVERED", "shop")]
    assert answer["counts"]["databases"] == 2


def test_a_job_that_skips_a_database_leaves_it_stale(scene: AuditScene) -> None:
    rds = scene.aws.client("rds")
    scene.database("billing-db", hours_old=1000)
    rds.stop_db_instance(DBInstanceIdentifier="billing-db")
    job = scene.back_up("nightly")
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": "protected", "billing-db": "stale"}
    (finding,) = answer["findings"]
    assert (finding["code"], finding["database"]) == ("BACKUP_STALE", "billing-db")
    assert f"Job {job.id} completed, and made no restore point of this database." in finding["message"]


def test_a_maximum_age_is_that_of_the_target_that_names_the_group(scene: AuditScene) -> None:
    scene.back_up("orders-db", hours_ago=40)
    assert codes(scene.by_hand()) == [("BACKUP_STALE", "orders-db")]
    scene.world.target("default", maxAgeHours=48)
    scene.cold_start()
    assert verdicts(scene.by_hand()) == {"orders-db": "protected"}
    assert codes(scene.daily(0.5)) == [("BACKUP_STALE", "orders-db")]


def test_targets_with_schedules_that_repeat_an_association(scene: AuditScene) -> None:
    scheduler, group = scene.aws.client("scheduler"), scene.world.config.schedule_group
    scheduler.create_schedule_group(Name=group)
    scene.back_up("orders-db")
    for name in ("weekly", "yearly", "by-hand"):
        scene.world.target(name)
    for name in ("weekly", "yearly"):
        assert scene.by_hand()["ok"] is True
        scheduler.create_schedule(
            Name=name,
            GroupName=group,
            ScheduleExpression="rate(7 days)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"{ARN}:function:backup", "RoleArn": f"{ARN}:role/scheduler"},
        )
    answer = scene.by_hand()
    assert codes(answer) == [("TARGETS_OVERLAP", "yearly")]
    assert "the target 'weekly'" in answer["findings"][0]["message"]


def test_a_group_whose_database_was_renamed(scene: AuditScene) -> None:
    scene.commserve.set_content("aws-prod", "archive", [content.instance("orders-old")])
    scene.world.target("archive", associations=[{**ASSOCIATION, "subclientName": "archive"}])
    scene.back_up("orders-db")
    assert codes(scene.by_hand()) == [("GROUP_EMPTY", "archive")]


@pytest.mark.parametrize("value", ["fake-token-of-yesterday", " "])
def test_a_refused_token_and_an_empty_secret(timeless: AuditScene, value: str) -> None:
    secrets, token = timeless.aws.client("secretsmanager"), timeless.commserve.token
    timeless.commserve.state.keep_tokens = True

    def store(text: str) -> None:
        secrets.put_secret_value(SecretId=timeless.world.secret, SecretString=text)
        timeless.cold_start()

    store(value)
    is_found_once(timeless, lambda: store(token), ("COMMVAULT_UNREADABLE", None), ("TOKEN_REFUSED", None))


def test_a_token_that_can_soon_no_longer_be_renewed(timeless: AuditScene) -> None:
    PairInSecret(timeless.world).issue(renewableUntil=timeless.clock() + 10 * DAY)
    assert codes(timeless.by_hand()) == [("TOKEN_EXPIRING", None)]


def test_a_stuck_submissions_message_is_sent_once_a_day(timeless: AuditScene) -> None:
    timeless.lose_message()
    answer = timeless.deliver()
    assert codes(answer) == [("SUBMISSION_STUCK", "default")]
    assert "was sent again" in answer["findings"][0]["hint"]
    timeless.deliver()
    (message,) = timeless.world.messages_of(timeless.world.submissions)
    body = json.loads(message["Body"])
    assert (body["target"], body["trigger"]["id"]) == ("default", "arn:aws:scheduler:stuck|now")
    assert "in vain" in timeless.daily()["findings"][0]["hint"]
    assert len(timeless.world.messages_of(timeless.world.submissions)) == 2


# ---- Publishing


def test_findings_are_counted_when_they_are_new_or_have_lasted_a_week(
    timeless: AuditScene, capsys: pytest.CaptureFixture[str]
) -> None:
    def new(days: float = 1) -> int:
        before = len(timeless.published())
        timeless.daily(days)
        counted = metrics(capsys.readouterr().out)
        assert (len(timeless.published()), counted["AuditCompleted"]) == (before + 1, 1)
        return counted["AuditFinding"]

    assert new() == 0
    timeless.database("crm")
    assert [new(), new()] == [1, 0]
    timeless.database("hr")
    assert [new(), new(6), new(), new()] == [1, 0, 2, 0]


def test_a_run_that_is_delivered_again_publishes_nothing_more(timeless: AuditScene) -> None:
    timeless.database("crm")
    timeless.daily()
    timeless.database("hr")
    assert len(timeless.deliver()["findings"]) == 2
    assert len(timeless.published()) == 1


def test_a_run_whose_placeholders_are_not_filled_in_is_one_of_its_own(timeless: AuditScene) -> None:
    event = {"audit": True, "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
    for number in (1, 2):
        timeless.invoke(event)
        assert len(timeless.published()) == number


@pytest.mark.parametrize("end", [FAILURE, SystemExit()])
def test_a_notification_that_a_run_recorded_and_did_not_publish_is_the_next_runs(
    timeless: AuditScene, capsys: pytest.CaptureFixture[str], end: BaseException
) -> None:
    timeless.database("crm")
    timeless.cold_start(sns=Publishing(timeless.aws.client("sns"), end))
    with pytest.raises(type(end)):
        timeless.daily()
    assert timeless.published() == []
    timeless.cold_start()
    capsys.readouterr()
    timeless.deliver()
    assert [codes(message) for message in timeless.published()] == [[("DATABASE_UNCOVERED", "crm")]]
    assert metrics(capsys.readouterr().out) == {"AuditFinding": 1, "AuditCompleted": 1}


# ---- Questions that could not be asked


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


def test_findings_that_could_not_be_asked_about_for_a_day_are_no_news_afterwards(timeless: AuditScene) -> None:
    timeless.database("crm")
    timeless.daily()
    timeless.cold_start(rds=unreachable("rds"))
    assert codes(timeless.daily()) == [("ACCOUNT_UNREADABLE", None)]
    timeless.cold_start()
    timeless.daily()
    assert [message["news"] for message in timeless.published()] == [True, True, True]


def test_a_commvault_that_cannot_be_reached_is_one_finding(timeless: AuditScene) -> None:
    timeless.commserve.fault("maintenance", None, "*")
    for number in range(3):
        timeless.world.target(f"t-{number}")
    assert codes(timeless.daily()) == [("COMMVAULT_UNREADABLE", None)]
    assert verdicts(timeless.by_hand()) == {"orders-db": "unreadable"}


def test_without_time_it_says_what_it_has_not_asked(timeless: AuditScene) -> None:
    answer = timeless.invoke({"audit": True}, seconds=50)
    assert {finding["code"] for finding in answer["findings"]} == {
        *("OUT_OF_TIME", "ACCOUNT_UNREADABLE", "COMMVAULT_UNREADABLE")
    }
    assert timeless.commserve.requests == []


# ---- Commvault's own backups


def test_without_targets_it_judges_what_commvaults_own_plans_do(scene: AuditScene) -> None:
    scene.aws.client("ssm").delete_parameter(Name=f"{scene.world.config.targets_path}default")
    for name in ("crm", "hr"):
        scene.database(name)
    commserve = scene.commserve
    commserve.set_content("aws-prod", "people", [content.rule("^hr")])
    job = scene.back_up("orders-db")
    scene.back_up("people", ending="Failed")
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": "protected", "hr": "new", "crm": "uncovered"}
    (row,) = [row for row in answer["databases"] if row["verdict"] == "protected"]
    assert (row["by"], row["jobId"]) == ("commvault", job.id)
    assert scene.invoke({"check": True})["ok"] is True


# ---- What Commvault or RDS does not show


def test_contents_that_the_list_lacks_are_read_singly(scene: AuditScene) -> None:
    scene.commserve.lists_content = False
    scene.back_up("orders-db")
    assert verdicts(scene.by_hand()) == {"orders-db": "protected"}
    singly = [request.path for request in scene.commserve.requests if request.path.startswith("/Subclient/")]
    assert len(singly) == len(set(singly)) == len(scene.commserve.catalogue.subclients())


def test_a_content_that_is_not_understood_is_ambiguous(scene: AuditScene) -> None:
    for group in ("orders-db", "nightly"):
        scene.commserve.set_content("aws-prod", group, [{**content.instance("orders-db"), "type": "tag"}])
    answer = scene.by_hand()
    assert codes(answer) == [("DATABASE_AMBIGUOUS", "orders-db")]
    assert "not understood (type tag orders-db)" in answer["findings"][0]["message"]


@pytest.mark.parametrize(
    ("fault", "parameters"), [("forbidden", {}), ("not_found", {}), ("status", {"status": 200, "body": "{}"})]
)
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


@pytest.mark.parametrize(
    ("is_listed", "verdict", "found"),
    [(True, "protected", "ACCOUNT_UNREADABLE"), (False, "unproven", "BACKUP_UNPROVEN")],
)
def test_snapshots_that_rds_does_not_show(scene: AuditScene, is_listed: bool, verdict: str, found: str) -> None:
    scene.back_up("orders-db")
    if not is_listed:
        scene.commserve.fault("forbidden", None, "/BrowseRDSBackups")
    scene.cold_start(rds=Denying(scene.aws.client("rds"), "describe_db_snapshots"))
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": verdict}
    assert codes(answer) == [(found, None)]
    assert "counts by name" in answer["databases"][0]["reason"] or not is_listed


@pytest.mark.parametrize(("path", "verdict"), [("/Job", "protected"), ("/Subclient", "unreadable")])
def test_a_list_that_cannot_be_read_is_never_good_news(scene: AuditScene, path: str, verdict: str) -> None:
    scene.back_up("orders-db")
    scene.commserve.fault("forbidden", None, path)
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": verdict}
    assert ("COMMVAULT_UNREADABLE", None) in codes(answer)


def test_a_snapshot_quota_that_is_nearly_used(timeless: AuditScene) -> None:
    rds = timeless.aws.client("rds")
    names = [f"manual-{number}" for number in range(90)]
    for name in names:
        rds.create_db_snapshot(DBSnapshotIdentifier=name, DBInstanceIdentifier="orders-db")
    (finding,) = timeless.by_hand()["findings"]
    for name in names:
        rds.delete_db_snapshot(DBSnapshotIdentifier=name)
    assert (finding["code"], finding["account"], finding["region"]) == ("SNAPSHOT_QUOTA", ACCOUNT, REGION)
    assert "90 of 100" in finding["message"]


def test_it_only_reads_from_commvault(timeless: AuditScene) -> None:
    timeless.lose_message()
    for _ in range(2):
        timeless.daily()
    paths = {request.path for request in timeless.commserve.requests if request.method != "GET"}
    assert paths == {"/BrowseRDSBackups"}


# ---- The inventory, and the gate


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
    assert scene.invoke({"inventory": True, "page": 0})["refused"]["code"] == "EVENT_UNKNOWN"


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
    assert answer["restorePoint"]["snapshot"].startswith(ARN)
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


def test_the_gate_is_open_to_an_excluded_database(scene: AuditScene) -> None:
    scene.database("scratch", hours_old=9, exclude="true")
    scene.commserve.set_content("aws-prod", "scratch", [content.instance("scratch")])
    scene.back_up("scratch")
    assert prove(scene, "2026-01-31T02:00:04Z", f"{ARN}:db:scratch")["proved"] is True


def test_the_gate_knows_a_member_by_its_cluster(scene: AuditScene) -> None:
    scene.cluster("shop", "shop-1")
    scene.commserve.set_content("aws-prod", "shop", [content.cluster("shop")])
    scene.back_up("shop", hours_ago=0, seconds=0)
    answer = prove(scene, "2026-01-31T02:00:04Z", f"{ARN}:db:shop-1")
    assert (answer["proved"], answer["reason"]) == (True, "")


OTHER_QUESTIONS: list[Any] = [
    *({}, None, [], "x", {"database": ARN}, {"since": "2026-01-31T02:00:04Z"}),
    *({"database": f"{ARN}:db:a", "since": since} for since in (7, "", "yesterday", "2026-01-31T02:00:04", None)),
    *(
        {"database": name, "since": "2026-01-31T02:00:04Z"}
        for name in (7, "orders-db", f"{ARN}:snapshot:a", f"{ARN}:db:")
    ),
    {"database": f"{ARN}:db:a", "since": "2026-01-31T02:00:04Z", "more": 1},
]


@pytest.mark.parametrize("question", OTHER_QUESTIONS, ids=str)
def test_another_question_at_the_gate_is_refused(timeless: AuditScene, question: Any) -> None:
    answer = timeless.invoke({"prove": question})
    assert answer["refused"]["code"] == "EVENT_INCOMPLETE"
    assert timeless.commserve.requests == []
