"""The bucket of reports: written once, chained, and never in the way of the audit. And the digest's sums."""

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import pytest

from local.commserve import CommServe, content
from local.emulator import REGION, Emulator
from rds_snap_backup.audit.dispatch import answer
from rds_snap_backup.audit.reports import Reports
from rds_snap_backup.messaging.notifications import iso
from tests.integration.audit_support import SCHEDULE, AuditScene, codes
from tests.integration.timeline import DAY, HOUR, MINUTE, Timeline
from tests.integration.world import associations
from tests.metrics import ToCloudWatch
from tests.support import ACCOUNT

PREFIX = f"rds-snap-backup/{ACCOUNT}/{REGION}/test/"


@pytest.fixture
def scene(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> AuditScene:
    """A stack with a bucket."""
    bucket = f"audits-{time.monotonic_ns()}"
    aws.client("s3").create_bucket(Bucket=bucket)
    return AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="8784", REPORT_BUCKET=bucket)


def reports(scene: AuditScene) -> dict[str, bytes]:
    """Return the reports of the bucket by key."""
    s3: Any = scene.aws.client("s3")
    bucket = scene.world.config.report_bucket
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def daily(scene: AuditScene, days: float = 1, schedule: str = SCHEDULE) -> Any:
    """Let days pass, then the schedule start the audit at its time."""
    scene.later += days * DAY
    return scene.invoke({"audit": True, "schedule": schedule, "time": iso(scene.clock() - 60)})


def recorded(scene: AuditScene) -> Any:
    """Return the ledger's state of the audits."""
    (item,) = scene.world.items("audit")
    return json.loads(item["record"])


def test_each_report_names_the_one_before_it_and_the_ledger_the_last(scene: AuditScene) -> None:
    scene.database("crm")
    answers = [daily(scene) for _ in range(3)]
    kept = reports(scene)
    first, second, third = kept.items()
    assert first[0].startswith(PREFIX)
    previous = [json.loads(body)["previous"] for body in kept.values()]
    links = [{"key": key, "sha256": hashlib.sha256(body).hexdigest()} for key, body in (first, second, third)]
    assert previous == [None, *links[:2]]
    assert recorded(scene)["report"] == links[2]
    document = json.loads(third[1])
    due = third[0].rpartition("/")[2].removesuffix(".json")
    assert (document["askedBy"], third[0]) == (f"{SCHEDULE}|{due}", f"{PREFIX}{due[:10].replace('-', '/')}/{due}.json")
    address = f"s3://{scene.world.config.report_bucket}/{third[0]}"
    assert document["report"] == answers[2]["report"] == scene.published()[2]["report"] == address
    assert len(document["databases"]) == 2
    assert {**answers[2], "previous": document["previous"], "databases": document["databases"]} == document


def test_runs_of_the_same_time_write_one_report(scene: AuditScene) -> None:
    event = {"audit": True, "schedule": SCHEDULE, "time": iso(scene.clock() - 60)}
    scene.invoke(event)
    (before,) = reports(scene).items()
    scene.database("crm")
    scene.invoke(event)
    assert (reports(scene), len(scene.published())) == (dict([before]), 1)
    # Its record was lost between the report and the ledger: it links what it finds.
    scene.aws.client("dynamodb").delete_item(TableName=scene.world.name, Key={"pk": {"S": "audit"}})
    scene.invoke(event)
    assert reports(scene) == dict([before])
    assert recorded(scene)["report"] == {"key": before[0], "sha256": hashlib.sha256(before[1]).hexdigest()}
    assert [message["report"] for message in scene.published()] == [
        f"s3://{scene.world.config.report_bucket}/{before[0]}"
    ] * 2


def test_a_bucket_that_refuses_is_a_finding_and_the_chain_goes_on_after_it(scene: AuditScene) -> None:
    daily(scene)
    s3, bucket = scene.aws.client("s3"), scene.world.config.report_bucket
    refused = scene.world.client("s3")
    elsewhere = lambda params, **_: params | {"Bucket": f"no-{params['Bucket']}"}  # noqa: E731
    refused.meta.events.register("provide-client-params.s3.PutObject", elsewhere)
    scene.cold_start(s3=refused)
    found = daily(scene)
    assert codes(found) == [("REPORT_NOT_WRITTEN", None)]
    assert f"to the bucket {bucket}: An error occurred (NoSuchBucket)" in found["findings"][0]["message"]
    assert found["report"] is scene.published()[1]["report"] is None
    scene.cold_start()
    assert daily(scene)["ok"] is True
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    first, second = reports(scene).values()
    assert json.loads(second)["previous"]["sha256"] == hashlib.sha256(first).hexdigest()


def test_a_report_larger_than_an_answer_of_lambda_is_written_whole_and_once(scene: AuditScene) -> None:
    written = Reports(scene.world.config, lambda: scene.aws.client("s3"))
    key, large = written.key("2026-01-31T06:00:00Z", 0), json.dumps(["x" * 1000] * 7000).encode()
    assert len(large) > 6_291_456
    link = written.write(key, large)
    assert link.sha256 == hashlib.sha256(large).hexdigest()
    assert written.write(key, b"of a repeated run") == link
    assert list(reports(scene).values()) == [large]


def test_in_an_outage_the_last_report_that_could_be_read_is_named(scene: AuditScene) -> None:
    first = daily(scene)
    scene.commserve.fault("maintenance", None, "*")
    for _ in range(2):
        outage = daily(scene)
        assert outage["lastRead"] == {"time": first["time"], "report": first["report"]}
    rows = json.loads(list(reports(scene).values())[-1])["databases"]
    assert [(row["verdict"], row["lastRead"]) for row in rows] == [("unreadable", first["time"])]
    scene.commserve.clear_faults()
    assert daily(scene)["lastRead"] == outage["lastRead"]
    assert daily(scene)["lastRead"]["time"] > outage["time"]


# ---- The digest

ROUNDS = 2
LIMIT_SECONDS = 900
# The targets of two groups each, with the plan of their jobs; one more has groups that Commvault does not know.
PLANS: dict[str, dict[str, Any]] = {
    "completes": {},
    "errors": {"ending": "Completed w/ one or more errors"},
    "fails": {"ending": "Failed"},
    "killed": {"ending": "Killed"},
    "vanishes": {"vanish_after": 90.0},
    "unanswered": {},
    "unavailable": {},
    "throttled": {},
}


def test_the_digest_counts_what_commvault_saw(
    aws: Emulator, commserve: CommServe, timelines: Callable[..., Timeline]
) -> None:
    timeline = timelines(POWERTOOLS_SERVICE_NAME=f"stack-{time.monotonic_ns()}", RETRY_HOURS="1")
    auditor = timeline.auditor(timeline.clock)

    def audit() -> Any:
        sys.stdout.flush()
        due = {"audit": True, "schedule": SCHEDULE, "time": iso(timeline.clock())}
        return answer(auditor, due, "request", lambda: 300)["since"]

    def submit(*targets: str) -> None:
        for target in targets:
            timeline.deliver(timeline.schedule("nightly", target))
        timeline.run(3 * HOUR)

    for name, plan in PLANS.items():
        for group in (name, f"{name}-2"):
            commserve.set_content("aws-prod", group, [content.instance(group)])
            commserve.plan_jobs(times=None, group=group, **plan)
        timeline.target(name, associations=associations(name, f"{name}-2"))
    timeline.target("unknown", associations=associations("no-such-group", "nor-this"))
    refused = commserve.fault("maintenance", None, about='"unavailable"')
    with redirect_stdout(ToCloudWatch(aws.client("cloudwatch"), timeline.clock)):
        audit()
        for _ in range(ROUNDS):
            late = timeline.schedule("late", "completes")
            commserve.advance(5 * MINUTE)
            commserve.fault("reset_after", about='"unanswered"')
            submit("unknown", *(name for name in PLANS if name != "throttled"))
            commserve.fault("throttled", about='"throttled"', period=LIMIT_SECONDS)
            submit("throttled")
            timeline.deliver(late)
            timeline.deliver(timeline.event("orders-db", "RDS-EVENT-0042"))
            timeline.deliver({"no": "trigger"})
        timeline.run()
        assert (len(timeline.items()), timeline.queue) == (10 * ROUNDS, [])
        commserve.advance(10 * MINUTE + 60)
        since = audit()
        assert audit()["backups"]["submitted"] == 0, "the next digest begins where this one ended"
    jobs = list(commserve.jobs.values())
    ends = Counter(job.status.partition(" ")[0] for job in jobs if job.visible)
    retried = len([job for job in jobs if job.group.startswith("fails")]) - 2 * ROUNDS
    assert since["backups"] == {
        "submitted": len(jobs),
        "joined": 2 * ROUNDS,
        "completed": ends["Completed"],
        "retried": retried,
        "failed": ends["Failed"] - retried + ends["Killed"],
        "lost": len([job for job in jobs if not job.visible]),
        "rejected": 2 * ROUNDS,
    }
    assert since["submissions"] == {
        "deferred": refused.used + ROUNDS,
        "reconciled": ROUNDS,
        "abandoned": ROUNDS,
        "throttled": ROUNDS,
        "throttledSeconds": ROUNDS * LIMIT_SECONDS,
    }
    assert since["events"] == {"ignored": ROUNDS, "refused": ROUNDS}
    assert min(retried, *ends.values(), since["backups"]["lost"]) >= ROUNDS
