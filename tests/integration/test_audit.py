"""The Audit function through its entry, on emulated AWS and the CommServe simulator: its answers, and its messages."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.commserve import CommServe
from local.emulator import ACCOUNT, REGION, Emulator
from tests.integration.audit_support import (
    ARN,
    DAY,
    AuditScene,
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
    found = AuditScene(aws, commserve, monkeypatch, DEFAULT_SCHEDULED="true", BACKUP_MAX_AGE_HOURS="26")
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
    scene.complete("default", hours_ago=1)
    scene.database("scratch", exclude="true")
    answer = scene.by_hand()
    assert (answer["version"], answer["status"]) == ("2", "audit")
    assert (answer["ok"], answer["news"], answer["findings"]) == (True, False, [])
    assert verdicts(answer) == {"orders-db": "protected", "scratch": "excluded"}
    (row,) = [row for row in answer["databases"] if row["verdict"] == "protected"]
    assert (row["arn"], row["jobId"], row["by"]) == (f"{ARN}:db:orders-db", "1354", "stack")
    assert row["subclient"] == "aws-prod / orders-db / default"
    counts = dict.fromkeys(("stale", "new", "uncovered", "unreadable", "stuck", "findings"), 0)
    counts |= {"databases": 2, "protected": 1, "excluded": 1, "targets": 1, "places": 1}
    assert answer["counts"] == {**counts, "commvaultCalls": len(scene.commserve.requests)}
    assert answer["since"]["submissions"] == 0
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
    names = {**ASSOCIATION, "instanceName": "order-db"}
    world.target("misspelt", associations=[names, {**names, "subclientName": "archive"}])
    misspelt = next(finding for finding in timeless.by_hand()["findings"] if finding["target"] == "misspelt")
    assert "1 more of its associations" in misspelt["message"]
    assert "Did you mean 'orders-db'?" in misspelt["hint"]

    def fix() -> None:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=listener["Endpoint"])
        for target in ("broken", "misspelt"):
            world.target(target, associations=[{**ASSOCIATION, "databases": ["crm"]}])

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


def test_a_stale_backup_of_a_database_and_of_a_target_without_one(scene: AuditScene) -> None:
    far = {**ASSOCIATION, "instanceName": "billing-db"}
    scene.world.target("weekly", associations=[far], maxAgeHours=48)
    assert verdicts(scene.by_hand()) == {"orders-db": "new"}
    assert codes(scene.daily(2.1)) == [("BACKUP_STALE", "orders-db"), ("BACKUP_STALE", "weekly")]
    scene.complete("default", hours_ago=25)
    scene.complete("weekly", hours_ago=47)
    answer = scene.by_hand()
    assert (answer["ok"], verdicts(answer)) == (True, {"orders-db": "protected"})


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
        ("dynamodb", "AWS_FAILURE", "whether the last backups are recent"),
    ],
)
def test_a_failure_of_aws_is_a_finding_and_never_good_news(
    scene: AuditScene, service: str, code: str, asked: str
) -> None:
    scene.complete("default")
    scene.cold_start(**{service: unreachable(service)})
    answer = scene.by_hand()
    assert answer["ok"] is False
    assert "protected" not in verdicts(answer).values() or service == "sns"
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
    assert {finding["code"] for finding in answer["findings"]} == {"OUT_OF_TIME", "ACCOUNT_UNREADABLE"}
    assert timeless.commserve.requests == []


# ---- Commvault's own backups


def test_without_targets_it_judges_what_commvaults_own_plans_do(scene: AuditScene) -> None:
    scene.aws.client("ssm").delete_parameter(Name=f"{scene.world.config.targets_path}default")
    for name in ("crm", "hr", "reports-db"):
        scene.database(name)
    commserve, now = scene.commserve, scene.commserve.clock.now()
    commserve.add_job("aws-prod", "orders-db", start=now - 3600, seconds=60)
    failed = commserve.add_job("aws-prod", "hr", start=now - 3600, seconds=60, ending="Failed")
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": "protected", "hr": "new", "crm": "uncovered", "reports-db": "uncovered"}
    (row,) = [row for row in answer["databases"] if row["verdict"] == "protected"]
    assert (row["by"], row["subclient"]) == ("commvault", "aws-prod / orders-db / default")
    (several,) = [finding for finding in answer["findings"] if finding["database"] == "reports-db"]
    assert "Several subclients could be meant" in several["message"]
    assert (answer["since"]["jobs"]["completed"], answer["since"]["jobs"]["failed"]) == (1, 1), failed
    assert {request.method for request in commserve.requests} == {"GET"}
    assert scene.invoke({"check": True})["ok"] is True


@pytest.mark.parametrize("calls", [1, 4])
def test_a_list_of_jobs_that_cannot_be_read_makes_nothing_protected(scene: AuditScene, calls: int) -> None:
    scene.complete("default", hours_ago=1)
    scene.commserve.fault("forbidden", calls, "/Job")
    answer = scene.by_hand()
    assert verdicts(answer) == {"orders-db": "unreadable"}
    assert codes(answer) == [("COMMVAULT_UNREADABLE", None)]


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
    assert {request.method for request in timeless.commserve.requests} == {"GET"}
