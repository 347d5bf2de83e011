"""The daily audit through its entry: each finding is found, published once, and gone once when its cause is gone."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config as SdkConfig

from local.commserve import CommServe
from local.emulator import REGION, Emulator
from local.subscriber import Subscriber
from rds_snap_backup.bootstrap import AWS_FAILURES
from rds_snap_backup.ledger.outbox import LEASE_SECONDS
from tests.integration.audit_support import DAY, AuditScene, codes, metrics
from tests.integration.pairs import PairInSecret
from tests.integration.world import scheduled

SETTINGS = {"SCHEDULE_STATE": "ENABLED", "BACKUP_MAX_AGE_HOURS": "26"}
HOUR = 3600


@pytest.fixture
def scene(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditScene]:
    found = AuditScene(aws, commserve, monkeypatch, **SETTINGS)
    yield found
    found.remove_databases()


@pytest.fixture
def timeless(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditScene]:
    """A stack that asks no target for the age of its backups, so that days may pass."""
    found = AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="0")
    yield found
    found.remove_databases()


def is_found_once(scene: AuditScene, fix: Any, *expected: tuple[str, str | None]) -> None:
    """Assert that a cause which is there is published once, and when it is fixed once more, as gone."""
    found = scene.daily()
    assert codes(found) == list(expected)
    assert all(one["message"] and one["hint"] for one in found["findings"])
    (published,) = scene.published()
    assert published == {name: value for name, value in found.items() if name not in {"databases", "targets"}}
    assert codes(scene.daily()) == list(expected)
    assert len(scene.published()) == 1
    fix()
    assert scene.daily()["ok"] is True
    assert [one["ok"] for one in scene.published()] == [False, True]
    scene.daily()
    assert len(scene.published()) == 2


# ---- Nothing is wrong


def test_by_hand_all_is_well(scene: AuditScene) -> None:
    scene.aws.client("rds").create_db_snapshot(DBSnapshotIdentifier="by-hand", DBInstanceIdentifier="orders-db")
    answer = scene.by_hand()
    assert (answer["version"], answer["status"], answer["ok"], answer["findings"]) == ("1", "audit", True, [])
    (database,) = answer["databases"]
    assert database["arn"].endswith(":db:orders-db")
    assert database["targets"] == [{"name": "default", "reason": "association"}]
    assert (database["kind"], database["engine"], database["verdict"]) == ("instance", "mysql", "covered")
    assert database["newestSnapshot"]["name"] == "by-hand"
    assert [(one["name"], one["maxAgeHours"], one["verdict"]) for one in answer["targets"]] == [
        ("default", 26, "fresh")
    ]
    assert answer["counts"] == {
        **dict.fromkeys(("databases", "covered", "targets"), 1),
        **dict.fromkeys(("uncovered", "excluded", "stale", "stuck", "findings"), 0),
    }


def test_by_hand_nothing_is_published_counted_recorded_or_woken(
    scene: AuditScene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.database("crm")
    with_stuck(scene)
    assert {code for code, _ in codes(scene.by_hand())} == {"DATABASE_UNCOVERED", "SUBMISSION_STUCK"}
    assert scene.published() == []
    assert scene.world.items("audit") == []
    assert scene.world.waiting() == 0
    assert metrics(capsys.readouterr().out).keys() & {"AuditFinding", "AuditCompleted"} == set()
    assert scene.calls.keys() & {"UpdateItem", "TransactWriteItems", "Publish", "SendMessage"} == set()


def test_a_scheduled_audit_without_findings_is_silent_and_counted(
    scene: AuditScene, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = scene.deliver()
    assert answer["ok"] is True
    assert answer["databases"][0]["newestSnapshot"] is None
    assert scene.published() == []
    assert metrics(capsys.readouterr().out) == {"AuditCompleted": 1}
    assert "DescribeDBSnapshots" not in scene.calls


# ---- Each finding


def test_an_uncovered_database(timeless: AuditScene) -> None:
    timeless.database("crm")
    tag = {"Key": "rds-snap-backup:target", "Value": "default"}
    arn = "arn:aws:rds:us-east-1:000000000000:db:crm"
    is_found_once(
        timeless,
        lambda: timeless.aws.client("rds").add_tags_to_resource(ResourceName=arn, Tags=[tag]),
        ("DATABASE_UNCOVERED", "crm"),
    )


def test_a_database_that_is_excluded(timeless: AuditScene) -> None:
    timeless.database("scratch", exclude="true")
    answer = timeless.daily()
    assert answer["ok"] is True
    assert {one["name"]: one["verdict"] for one in answer["databases"]} == {
        "orders-db": "covered",
        "scratch": "excluded",
    }


def test_a_cluster_is_one_database_with_its_members(timeless: AuditScene) -> None:
    timeless.cluster("shop", "shop-1", "shop-2")
    timeless.cluster("documents", "documents-1", engine="docdb")
    answer = timeless.by_hand()
    assert codes(answer) == [("DATABASE_UNCOVERED", "shop")]
    assert answer["counts"]["databases"] == 2
    timeless.world.target("shop", databases=["shop-2"])
    assert timeless.by_hand()["ok"] is True


def test_a_stale_target(scene: AuditScene) -> None:
    def complete() -> None:
        scene.services.history.record_completion("default", scene.clock() + DAY, ("7",))

    scene.later = DAY  # The grace that a new document has ends on the next day.
    is_found_once(scene, complete, ("BACKUP_STALE", "default"))


def test_a_backup_that_completed_is_recent(scene: AuditScene) -> None:
    scene.world.deliver(scheduled("nightly"))
    assert scene.by_hand()["targets"][0]["lastSubmittedAt"] is not None
    answer = scene.daily(2)
    assert codes(answer) == [("BACKUP_STALE", "default")]
    assert answer["databases"][0]["verdict"] == "stale"
    assert "No backup of it completed" in answer["findings"][0]["message"]
    assert "It was last submitted at" in answer["findings"][0]["message"]
    scene.services.history.record_completion("default", scene.clock() - HOUR, ("1354",))
    answer = scene.by_hand()
    assert answer["ok"] is True
    assert answer["databases"][0]["lastCompleted"]["jobIds"] == ["1354"]
    assert answer["targets"][0]["jobIds"] == ["1354"]


def test_a_target_that_no_schedule_ever_started_is_exempt(scene: AuditScene) -> None:
    scene.world.target("orders", maxAgeHours=200)
    scene.world.target("events", databases=["orders-*"])
    scene.world.target("default", enabled=False)
    scene.world.deliver({"target": "events"})
    answer = scene.daily(8)
    assert {one["name"]: one["verdict"] for one in answer["targets"]} == {
        "default": "disabled",
        "events": "exempt",
        "orders": "fresh",
    }
    assert codes(scene.daily(1)) == [("BACKUP_STALE", "orders")]


def test_a_refused_token(timeless: AuditScene) -> None:
    token = timeless.commserve.token

    def revoke(value: str) -> None:
        timeless.commserve.token = value

    revoke("fake-token-of-tomorrow")
    is_found_once(timeless, lambda: revoke(token), ("TOKEN_REFUSED", None))


def test_an_empty_secret(timeless: AuditScene) -> None:
    secrets, token = timeless.aws.client("secretsmanager"), timeless.commserve.token
    timeless.commserve.state.keep_tokens = True

    def store(value: str) -> None:
        secrets.put_secret_value(SecretId=timeless.world.secret, SecretString=value)

    store(" ")
    is_found_once(timeless, lambda: store(token), ("TOKEN_REFUSED", None))


def test_a_token_that_can_soon_no_longer_be_renewed(timeless: AuditScene) -> None:
    pair = PairInSecret(timeless.world)
    issued = pair.issue(renewableUntil=timeless.clock() + 10 * DAY)
    is_found_once(
        timeless,
        lambda: pair.store({**issued, "renewableUntil": timeless.clock() + 60 * DAY}),
        ("TOKEN_EXPIRING", None),
    )


def test_a_target_that_is_not_valid(timeless: AuditScene) -> None:
    timeless.world.target("broken", backupLevel="HALF")
    is_found_once(timeless, lambda: timeless.world.target("broken"), ("TARGET_INVALID", "broken"))


def test_a_target_that_names_what_commvault_does_not_have(timeless: AuditScene) -> None:
    names = {"clientName": "aws-prod", "instanceName": "order-db", "subclientName": "default"}
    other = {**names, "subclientName": "archive"}
    timeless.world.target("misspelt", associations=[names, other])
    answer = timeless.by_hand()
    assert "1 more of its associations" in answer["findings"][0]["message"]
    assert "Did you mean 'orders-db'?" in answer["findings"][0]["hint"]
    is_found_once(
        timeless,
        lambda: timeless.world.target("misspelt"),
        ("TARGET_UNKNOWN_TO_COMMVAULT", "misspelt"),
    )


def test_nobody_listens(timeless: AuditScene) -> None:
    """Nobody receives that it was published; whoever subscribes gets the news that it is over."""
    sns, topic = timeless.aws.client("sns"), timeless.world.config.notifications_topic_arn
    for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    jobs = timeless.world.config.jobs_queue_url.rpartition("/")[2]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:000000000000:{jobs}")
    assert codes(timeless.daily()) == [("NOBODY_LISTENS", None)]
    assert timeless.calls["Publish"] == 1
    assert codes(timeless.daily()) == [("NOBODY_LISTENS", None)]
    assert timeless.calls["Publish"] == 1
    timeless.world.subscriber = Subscriber.subscribe(timeless.aws, topic)
    assert timeless.daily()["ok"] is True
    assert [one["ok"] for one in timeless.published()] == [True]


def with_stuck(scene: AuditScene, target: str = "default") -> None:
    """Defer a submission and lose its message, then let time pass until it is stuck."""
    scene.commserve.fault("maintenance")
    answer = scene.world.deliver(scheduled("stuck", target))
    assert [one["status"] for one in answer["submissions"]] == ["deferred"]
    scene.aws.client("sqs").purge_queue(QueueUrl=scene.world.submissions)
    scene.later += 2 * HOUR


def test_a_stuck_submission_is_put_back_once_and_goes_on(timeless: AuditScene) -> None:
    with_stuck(timeless)
    assert codes(timeless.by_hand()) == [("SUBMISSION_STUCK", "default")]
    answer = timeless.deliver()
    assert codes(answer) == [("SUBMISSION_STUCK", "default")]
    assert "schedule trigger arn:aws:scheduler:stuck|2026-01-31T02:00:00Z" in answer["findings"][0]["message"]
    assert "put back on the Submissions queue" in answer["findings"][0]["hint"]
    (message,) = timeless.world.messages_of(timeless.world.submissions)
    body = json.loads(message["Body"])
    assert (body["target"], body["trigger"]["kind"]) == ("default", "schedule")
    assert body["trigger"]["id"] == "arn:aws:scheduler:stuck|2026-01-31T02:00:00Z"
    # Still stuck on the next day: it is named, and not sent again.
    answer = timeless.daily()
    assert "in vain" in answer["findings"][0]["hint"]
    assert timeless.world.waiting() == 1
    assert len(timeless.published()) == 1
    timeless.world.drain()
    assert len(timeless.commserve.jobs) == 1
    assert timeless.daily()["ok"] is True
    assert [one["ok"] for one in timeless.published()] == [False, True]


# ---- Publishing


def test_findings_are_published_when_they_change_and_weekly_and_counted_when_they_are_new(
    timeless: AuditScene, capsys: pytest.CaptureFixture[str]
) -> None:
    def findings(days: float = 1) -> tuple[int, int]:
        """Return how many messages and how many new findings a day brings."""
        before = len(timeless.published())
        timeless.daily(days)
        counted = metrics(capsys.readouterr().out)
        assert counted["AuditCompleted"] == 1
        return len(timeless.published()) - before, counted["AuditFinding"]

    timeless.database("crm")
    assert findings() == (1, 1)
    assert findings() == (0, 0)
    timeless.database("hr")
    assert findings() == (1, 1)
    assert findings(6) == (0, 0)
    assert findings() == (1, 2)
    assert findings() == (0, 0)
    timeless.world.target("hr", databases=["hr"])
    assert findings() == (1, 0)
    timeless.world.target("crm", databases=["crm"])
    assert findings() == (1, 0)
    assert findings(30) == (0, 0)


def test_a_delivery_of_the_same_run_publishes_nothing_more(timeless: AuditScene) -> None:
    timeless.database("crm")
    timeless.daily()
    timeless.database("hr")
    answer = timeless.deliver()
    assert len(answer["findings"]) == 2
    assert len(timeless.published()) == 1
    timeless.daily()
    assert len(timeless.published()) == 2


def test_a_scheduled_run_whose_placeholders_are_not_filled_in_is_one_of_its_own(timeless: AuditScene) -> None:
    event = {"audit": True, "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
    timeless.database("crm")
    assert codes(timeless.invoke(event)) == [("DATABASE_UNCOVERED", "crm")]
    assert len(timeless.published()) == 1
    timeless.database("hr")
    timeless.invoke({"audit": True, "schedule": "<aws.scheduler.schedule-arn>"})
    assert len(timeless.published()) == 2


def test_what_could_not_be_published_is_published_by_the_next_run(timeless: AuditScene) -> None:
    timeless.database("crm")
    timeless.cold_start(sns=unreachable("sns", reads=timeless.aws))
    with pytest.raises(AWS_FAILURES):
        timeless.daily()
    assert timeless.published() == []
    timeless.cold_start()
    # The same run, delivered again, and then the next one.
    assert len(timeless.deliver()["findings"]) == 1
    assert [codes(one) for one in timeless.published()] == [[("DATABASE_UNCOVERED", "crm")]]
    timeless.daily()
    assert len(timeless.published()) == 1


def test_what_a_killed_run_had_recorded_is_published_by_the_next_one(
    timeless: AuditScene, capsys: pytest.CaptureFixture[str]
) -> None:
    timeless.database("crm")
    killed = Killed(timeless.aws.client("sns"))
    timeless.cold_start(sns=killed)
    with pytest.raises(SystemExit):
        timeless.daily()
    timeless.cold_start()
    timeless.deliver()
    assert timeless.published() == []  # Its lease is not over: it may be at it.
    timeless.later += LEASE_SECONDS + 1
    capsys.readouterr()
    timeless.daily()
    assert [codes(one) for one in timeless.published()] == [[("DATABASE_UNCOVERED", "crm")]]
    assert metrics(capsys.readouterr().out) == {"AuditFinding": 1, "AuditCompleted": 1}


class Killed:
    """The client of SNS in a run that is killed as it publishes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name == "publish":
            raise SystemExit
        return getattr(self._client, name)


def unreachable(service: str, reads: Emulator | None = None) -> Any:
    """Return a client that reaches nothing; with `reads` only its publishing does not."""
    session: Any = boto3.Session("test", "test", region_name=REGION)
    once = SdkConfig(connect_timeout=1, retries={"total_max_attempts": 1})
    nowhere = session.client(service, endpoint_url="http://127.0.0.1:9", config=once)
    if reads is None:
        return nowhere
    client = session.client(service, endpoint_url=reads.endpoint_url)
    client.publish = nowhere.publish
    return client


# ---- What could not be asked


@pytest.mark.parametrize(
    ("service", "asked"),
    [
        ("rds", "which databases no target covers"),
        ("sns", "whether anybody receives the messages"),
        ("ssm", "whether the targets' documents are valid"),
    ],
)
def test_what_aws_does_not_answer_is_a_finding_and_never_good_news(scene: AuditScene, service: str, asked: str) -> None:
    scene.cold_start(**{service: unreachable(service)})
    answer = scene.by_hand()
    assert answer["ok"] is False
    (finding,) = [one for one in answer["findings"] if one["code"] == "AWS_FAILURE" and asked in one["message"]]
    assert "Not asked" in finding["message"]
    assert "127.0.0.1:9" in finding["message"]
    assert finding["hint"]


def test_findings_that_could_not_be_asked_about_for_a_day_are_not_published_again(timeless: AuditScene) -> None:
    timeless.database("crm")
    timeless.daily()
    timeless.cold_start(rds=unreachable("rds"))
    assert {code for code, _ in codes(timeless.daily())} == {"AWS_FAILURE"}
    timeless.daily()
    timeless.cold_start()
    timeless.daily()
    assert [[code for code, _ in codes(one)] for one in timeless.published()] == [
        ["DATABASE_UNCOVERED"],
        ["AWS_FAILURE"],
        ["DATABASE_UNCOVERED"],
    ]


def test_a_commvault_that_cannot_be_reached_is_one_finding(timeless: AuditScene) -> None:
    timeless.commserve.fault("maintenance", None, "*")
    for number in range(3):
        timeless.world.target(f"t-{number}")
    assert codes(timeless.daily()) == [("MAINTENANCE", None)]


def test_without_time_it_says_what_it_has_not_asked(timeless: AuditScene) -> None:
    answer = timeless.invoke({"audit": True}, seconds=50)
    assert {one["code"] for one in answer["findings"]} == {"OUT_OF_TIME"}
    assert "which databases no target covers" in answer["findings"][0]["message"]
    assert timeless.commserve.requests == []


# ---- It never submits


def test_no_audit_sends_createtask(timeless: AuditScene) -> None:
    with_stuck(timeless)
    before = len(timeless.commserve.requests)
    timeless.database("crm")
    for answer in (timeless.by_hand(), timeless.daily(), timeless.daily()):
        assert {code for code, _ in codes(answer)} == {"DATABASE_UNCOVERED", "SUBMISSION_STUCK"}
    assert timeless.invoke({"check": True})["ok"] is True
    assert {one.method for one in timeless.commserve.requests[before:]} == {"GET"}


def test_a_scheduled_event_of_the_audit_starts_nothing_in_the_submit_function(timeless: AuditScene) -> None:
    answer = timeless.world.deliver({"audit": True, "schedule": "arn:aws:scheduler:audit", "time": "2026-01-31"})
    assert answer["refused"]["code"] == "EVENT_UNKNOWN"
    assert timeless.commserve.create_tasks == []
