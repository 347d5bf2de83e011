"""The bucket of reports: written once, chained, and never in the way of the audit. And the digest's sums."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest

from local.commserve import CommServe, content
from local.emulator import REGION, Emulator
from rds_snap_backup.audit.dispatch import answer
from rds_snap_backup.messaging.notifications import iso
from tests.integration.audit_support import SCHEDULE, AuditScene, codes, unreachable
from tests.integration.timeline import DAY, HOUR, MINUTE, Timeline
from tests.integration.world import associations
from tests.metrics import ToCloudWatch
from tests.support import ACCOUNT

PREFIX = f"rds-snap-backup/{ACCOUNT}/{REGION}/test/"


@pytest.fixture
def scene(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditScene]:
    """A stack with a bucket."""
    bucket = f"audits-{time.monotonic_ns()}"
    aws.client("s3").create_bucket(Bucket=bucket)
    found = AuditScene(aws, commserve, monkeypatch, BACKUP_MAX_AGE_HOURS="8784", REPORT_BUCKET=bucket)
    yield found
    found.remove_databases()


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
    assert document["report"] == scene.published()[2]["report"] == address
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


def test_overlapping_runs_keep_one_chain(scene: AuditScene) -> None:
    daily(scene)
    scene.later += DAY
    inner: list[Any] = []
    event = {"audit": True, "schedule": SCHEDULE, "time": iso(scene.clock() - 60)}

    def overlap(**_: Any) -> None:
        if not inner:
            inner.append(None)
            inner.append(scene.invoke(event))

    client = scene.world.client("s3")
    client.meta.events.register("before-call.s3.PutObject", overlap)
    scene.cold_start(s3=client)
    outer = scene.invoke(event)
    kept = reports(scene)
    last = list(kept)[-1]
    assert (len(kept), outer["report"]) == (2, inner[1]["report"])
    assert recorded(scene)["report"] == {"key": last, "sha256": hashlib.sha256(kept[last]).hexdigest()}
    assert len(scene.published()) == 2


def test_a_bucket_that_refuses_is_a_finding_and_the_chain_goes_on_after_it(scene: AuditScene) -> None:
    daily(scene)
    s3, bucket = scene.aws.client("s3"), scene.world.config.report_bucket
    scene.cold_start(s3=unreachable("s3"))
    found = daily(scene)
    assert codes(found) == [("REPORT_NOT_WRITTEN", None)]
    assert bucket in found["findings"][0]["message"]
    assert found["report"] is scene.published()[1]["report"] is None
    scene.cold_start()
    assert daily(scene)["ok"] is True
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    first, second = reports(scene).values()
    assert json.loads(second)["previous"]["sha256"] == hashlib.sha256(first).hexdigest()


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


KINDS: dict[str, dict[str, Any]] = {
    "completes": {},
    "fails": {"ending": "Failed"},
    "errors": {"ending": "Completed w/ one or more errors"},
    "killed": {"ending": "Killed"},
}


def test_the_digest_counts_what_subscribers_received(
    aws: Emulator, commserve: CommServe, timelines: Callable[..., Timeline]
) -> None:
    timeline = timelines(POWERTOOLS_SERVICE_NAME=f"stack-{time.monotonic_ns()}")
    auditor = timeline.auditor(timeline.clock)

    def digest() -> Any:
        due = {"audit": True, "schedule": SCHEDULE, "time": iso(timeline.clock())}
        return answer(auditor, due, "request", lambda: 300)["since"]

    with redirect_stdout(ToCloudWatch(aws.client("cloudwatch"), timeline.clock)):
        digest()
        for kind, plan in KINDS.items():
            commserve.plan_jobs(times=None, group=kind, **plan)
            commserve.set_content("aws-prod", kind, [content.instance(kind)])
            timeline.target(kind, associations=associations(kind))
        timeline.target("wrong", associations=associations("no-such-group"))
        timeline.target("group", associations=associations("completes", "errors"))
        names = [*KINDS, "wrong", "group"]
        for number in range(120):
            if number % 20 == 7:
                commserve.fault(("throttled", "maintenance", "reset_after")[number % 3])
            timeline.deliver(timeline.schedule(f"s-{number}", names[number % len(names)]))
            commserve.advance(MINUTE)
            if number % 5 == 0:
                timeline.run(HOUR)
        timeline.deliver({"no": "trigger"})
        timeline.run(2 * DAY)
        received: Counter[str] = Counter()
        for message in timeline.notifications():
            if message["status"] != "audit":
                received[message["status"]] += max(len(message["associations"]), 1)
        commserve.advance(10 * MINUTE + 60)
        since = digest()
        assert digest()["backups"]["submitted"] == 0, "the next digest begins where this one ended"
    backups = since["backups"]
    same = ("submitted", "joined", "lost", "rejected")
    assert backups == {
        **{name: received[name] for name in same},
        "completed": received["completed"] + received["completed_with_errors"],
        "retried": received["retrying"],
        "failed": received["failed"] + received["killed"],
    }
    assert [name for name in backups if not backups[name]] == ["lost"]
    assert min(since["submissions"][name] for name in ("throttled", "throttledSeconds")) > 0
    assert since["events"] == {"ignored": 0, "refused": 1}
