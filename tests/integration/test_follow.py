"""A submitted job in, its end out, once: the Follow function against the simulator and an AWS emulator."""

import json
import threading
import time
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.follow.batches import Follower
from rds_snap_backup.follow.workflow import follow
from rds_snap_backup.messaging.notifications import iso
from tests.integration.follow_support import RESTORED, Broken, Following
from tests.integration.world import ASSOCIATION
from tests.support import Context

HOUR = 3600
TWO = [ASSOCIATION, {**ASSOCIATION, "instanceName": "billing-db"}]


@pytest.fixture
def following(aws: Emulator, commserve: CommServe) -> Following:
    return Following(aws, commserve)


@pytest.mark.parametrize(
    ("ending", "reason", "status", "code"),
    [
        ("Completed", "", "completed", None),
        ("Completed w/ one or more errors", "One file.", "completed_with_errors", "JOB_COMPLETED_WITH_ERRORS"),
        ("Completed w/ one or more warnings", "", "completed_with_errors", "JOB_COMPLETED_WITH_ERRORS"),
        ("Committed", "", "completed_with_errors", "JOB_COMPLETED_WITH_ERRORS"),
        ("Failed", "The snapshot quota is reached.", "failed", "JOB_FAILED"),
        ("Failed to Start", "No licence.", "failed", "JOB_FAILED"),
        ("Killed", "The job was killed by admin.", "killed", "JOB_KILLED"),
    ],
)
def test_a_job_is_followed_to_its_end(
    following: Following, ending: str, reason: str, status: str, code: str | None
) -> None:
    following.commserve.plan_jobs(ending=ending, reason=reason, seconds=1200, waiting=60)
    submitted = following.trigger(RESTORED)

    following.run(HOUR)

    (end,) = following.ends()
    job = following.commserve.jobs[submitted["jobIds"][0]]
    carried = ("version", "target", "jobIds", "taskId", "backupLevel", "associations", "trigger", "submittedAt")
    assert {name: end[name] for name in carried} == {name: submitted[name] for name in carried}
    assert (end["status"], end["reason"], end["reconciled"]) == (status, reason or None, False)
    assert job.end_time is not None
    assert end["durationSeconds"] == int(job.end_time) - int(job.start_time)
    assert end["startedAt"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.start_time))
    assert end["endedAt"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.end_time))
    if code is None:
        assert "error" not in end
    else:
        assert end["error"]["code"] == code
        assert (reason or repr(ending)) in end["error"]["message"]
        assert end["error"]["hint"]
    assert following.messages == {}


def test_polls_are_pauses_apart_that_double_and_none_comes_before_the_first_pause(following: Following) -> None:
    following.submit()
    begin = following.clock()
    following.run(3 * HOUR)
    times = [round(one.clock - begin) for one in following.commserve.requests if one.method == "GET"]
    assert times == [60, 180, 420, 900, 1800, 2700, 3600]
    assert [end["status"] for end in following.ends()] == ["completed"]


def test_it_works_with_the_real_queue_and_its_visibility(aws: Emulator, commserve: CommServe) -> None:
    commserve.job_seconds = 3
    following = Following(aws, commserve, FIRST_POLL_SECONDS="1")
    commserve.clock.thaw()
    sqs = aws.client("sqs")
    follower = following.sandbox(sqs=sqs)
    following.world.deliver({"target": "default"}, following.submitter)
    receives, deadline = 0, time.monotonic() + 30
    while time.monotonic() < deadline and not following.ends():
        answer = sqs.receive_message(QueueUrl=following.url, WaitTimeSeconds=1, AttributeNames=["All"])
        for message in answer.get("Messages", []):
            receives += 1
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }
            context: Any = Context()
            left = follow(follower, {"Records": [{**record, "eventSource": "aws:sqs"}]}, context)["batchItemFailures"]
            assert left in ([], [{"itemIdentifier": message["MessageId"]}])
    assert [end["status"] for end in following.ends()] == ["completed"]
    assert receives == 3  # at once, after one second, after two more


def test_a_vanished_job_is_lost_but_not_at_the_first_look_that_misses_it(following: Following) -> None:
    following.commserve.plan_jobs(vanish_after=2000)
    following.submit()

    following.run(2750)
    assert following.ends() == []
    following.run(600)

    (end,) = following.ends()
    assert (end["status"], end["error"]["code"], end["endedAt"]) == ("lost", "JOB_NOT_FOUND", None)
    assert following.messages == {}


def test_a_job_that_was_never_there_is_lost_after_some_minutes(following: Following) -> None:
    following.commserve.plan_jobs(missing_seconds=HOUR)
    following.submit()
    following.run(659)
    assert following.ends() == []
    following.run(2)
    assert [end["status"] for end in following.ends()] == ["lost"]


def test_a_job_that_is_missing_now_and_then_is_not_lost(following: Following) -> None:
    following.commserve.plan_jobs(missing_seconds=500, seconds=HOUR)
    (job_id,) = following.submit()["jobIds"]
    following.run(1000)
    following.commserve.change_job(job_id, vanish_after=1500)
    following.run(1000)
    following.commserve.change_job(job_id, vanish_after=None)
    following.run(2 * HOUR)
    assert [end["status"] for end in following.ends()] == ["completed"]


def test_a_message_with_several_jobs_returns_until_all_have_ended(following: Following) -> None:
    following.world.target("two", associations=TWO)
    following.commserve.plan_jobs(seconds=600)
    following.commserve.plan_jobs(seconds=5000, ending="Failed", reason="No space.")
    submitted = following.submit("two")

    following.run(HOUR)
    assert [(end["status"], end["jobIds"]) for end in following.ends()] == [("completed", submitted["jobIds"][:1])]
    assert len(following.messages) == 1
    following.run(2 * HOUR)

    assert [(end["status"], end["jobIds"]) for end in following.ends()] == [
        ("completed", submitted["jobIds"][:1]),
        ("failed", submitted["jobIds"][1:]),
    ]
    assert following.messages == {}


def test_two_messages_about_one_job_give_one_notice(following: Following) -> None:
    following.commserve.plan_jobs(seconds=1200)
    first = following.submit()
    second = following.trigger(RESTORED)
    assert (second["status"], second["jobIds"]) == ("joined", first["jobIds"])
    following.run(HOUR)
    assert len(following.ends()) == 1
    assert following.messages == {}


def test_an_end_that_another_run_is_about_to_publish_is_left_to_it(following: Following) -> None:
    following.commserve.plan_jobs(seconds=30)
    following.submit()
    following.trigger(RESTORED)
    following.receive()
    following.commserve.advance(60)
    cut_off = following.sandbox(sns=Broken(following.aws.client("sns"), "publish"))
    with pytest.raises(ConnectionError):
        following.receive(cut_off, most=1)

    following.receive()
    assert following.ends() == []
    assert len(following.messages) == 2

    following.run(200)
    assert len(following.ends()) == 1
    assert following.messages == {}


def test_two_runs_at_the_same_moment_give_one_notice(following: Following) -> None:
    for _ in range(5):
        following.commserve.plan_jobs(seconds=30)
        first = following.put_job()
        second = following.put(next(one.body for one in following.messages.values() if first in one.body))
        following.commserve.advance(60)
        barrier = threading.Barrier(2)

        def run(record: dict[str, Any], follower: Follower, barrier: threading.Barrier = barrier) -> None:
            context: Any = Context()
            barrier.wait()
            follow(follower, {"Records": [record]}, context)

        records = [one.record() for one in following.messages.values()]
        assert len(records) == 2
        runs = [threading.Thread(target=run, args=(record, following.sandbox())) for record in records]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        assert [end["jobIds"] for end in following.ends()].count([first]) == 1
        assert second.visible_at <= following.clock() + 90
        following.messages.clear()


def test_a_run_killed_between_recording_and_publishing_loses_no_end(following: Following) -> None:
    following.commserve.plan_jobs(seconds=30, ending="Killed", reason="By admin.")
    following.submit()
    following.receive()
    following.commserve.advance(60)
    with pytest.raises(ConnectionError):
        following.receive(following.sandbox(sns=Broken(following.aws.client("sns"), "publish")))
    assert following.ends() == []

    following.commserve.stop()  # What is recorded is published, whether Commvault can be asked or not.
    following.run(200)
    assert [(end["status"], end["reason"]) for end in following.ends()] == [("killed", "By admin.")]
    assert following.messages == {}


def test_a_run_killed_between_publishing_and_marking_tells_twice_at_most(following: Following) -> None:
    following.commserve.plan_jobs(seconds=30)
    following.submit()
    following.receive()
    following.commserve.advance(60)
    with pytest.raises(ConnectionError):
        following.receive(following.sandbox(dynamodb=Broken(following.aws.client("dynamodb"), "update_item", after=1)))
    following.run(HOUR)
    ends = following.ends()
    assert len(ends) == 2
    assert ends[0] == ends[1]
    assert following.messages == {}


def test_a_job_that_runs_longer_than_follow_hours_is_lost(aws: Emulator, commserve: CommServe) -> None:
    following = Following(aws, commserve, FOLLOW_HOURS="2")
    commserve.plan_jobs(
        seconds=9 * HOUR, pending_after=0, pending_seconds=9 * HOUR, pending_reason="No agent.", waiting=0
    )
    following.submit()
    following.run(2 * HOUR - 1)
    assert following.ends() == []
    following.run(2)
    (end,) = following.ends()
    assert (end["status"], end["error"]["code"], end["reason"]) == ("lost", "JOB_STILL_RUNNING", "No agent.")
    assert end["startedAt"]
    assert end["endedAt"] is end["durationSeconds"] is None
    assert following.messages == {}


def test_a_job_that_could_not_be_asked_for_is_lost_when_the_time_is_over(aws: Emulator, commserve: CommServe) -> None:
    following = Following(aws, commserve, FOLLOW_HOURS="1")
    following.submit()
    commserve.stop()
    following.run(HOUR + 1)
    (end,) = following.ends()
    assert (end["status"], end["error"]["code"]) == ("lost", "UNREACHABLE")
    assert "1 h" in end["error"]["message"]


def test_an_outage_delays_an_end_and_loses_none(following: Following) -> None:
    following.submit()
    following.run(120)
    following.commserve.stop()
    following.run(2 * HOUR)
    assert following.ends() == []
    following.commserve.start()
    following.run(900)
    assert [end["status"] for end in following.ends()] == ["completed"]


@pytest.mark.parametrize("fault", ["maintenance", "bad_gateway_after", "reset_before", "truncated", "error_top"])
def test_an_answer_without_a_job_does_not_end_it(following: Following, fault: str) -> None:
    following.world.target("two", associations=TWO)
    following.submit("two")
    following.submit()
    following.commserve.fault(fault, None, "/Job*")
    following.run(2 * HOUR)
    assert following.ends() == []
    following.commserve.clear_faults()
    following.run(900)
    assert [end["status"] for end in following.ends()] == ["completed"] * 3


def test_a_renewed_token_is_used_at_once_and_a_wrong_one_waited_for(following: Following) -> None:
    following.submit()
    following.run(120)
    following.commserve.token = "fake-new-token"
    following.run(2 * HOUR)
    assert following.ends() == []
    with following.world.set_token("fake-new-token"):
        following.run(900)
    assert [end["status"] for end in following.ends()] == ["completed"]


def test_throttled_reading_is_left_for_fifteen_minutes(following: Following) -> None:
    following.commserve.rate_limit(reads=0)
    for _ in range(6):
        following.submit()
    following.run(300)
    for _ in range(6):
        following.submit()
    following.run(1500)
    assert following.polls() == 2  # after 60 s, and 15 minutes later, for all twelve
    following.commserve.rate_limit()
    following.run(2 * HOUR)
    assert [end["status"] for end in following.ends()] == ["completed"] * 12


def test_an_unknown_status_counts_as_running_and_is_logged_once(following: Following) -> None:
    following.commserve.plan_jobs(status="Pondering", waiting=0)
    following.submit()
    following.trigger(RESTORED)
    with following.logged("unknown job status") as lines:
        following.run(2 * HOUR)
    assert len(lines) == 1
    assert [end["status"] for end in following.ends()] == ["completed"]


@pytest.mark.parametrize(
    "body",
    ["no JSON", "[]", "{}", json.dumps({"jobIds": []}), "jobIds", "submittedAt", "associations"],
)
def test_a_message_of_another_kind_fails_the_function_and_harms_no_other(following: Following, body: str) -> None:
    following.commserve.plan_jobs(seconds=30)
    submitted = following.submit()
    if body in submitted:
        body = json.dumps({**submitted, body: ["../1"] if body == "jobIds" else "yesterday"})
    following.commserve.advance(60)
    bad = following.put(body)
    with pytest.raises(ValueError, match="The message"):
        following.receive()
    assert [end["status"] for end in following.ends()] == ["completed"]
    assert bad.visible_at == following.clock() + 60
    following.commserve.advance(90)
    following.receive(most=1)
    assert list(following.messages.values()) == [bad]
    assert len(following.ends()) == 1


def test_a_message_for_which_no_time_is_left_returns_by_itself(following: Following) -> None:
    following.submit()
    following.commserve.advance(2 * HOUR)
    following.receive(context=Context(seconds=4))
    assert following.ends() == []
    assert following.polls() == 0
    following.run(90)
    assert [end["status"] for end in following.ends()] == ["completed"]


def test_ends_are_counted(following: Following, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in ("Completed", "Completed w/ one or more errors", "Failed", "Killed"):
        following.commserve.plan_jobs(ending=ending)
        following.submit()
    following.commserve.plan_jobs(vanish_after=100)
    following.submit()
    capsys.readouterr()
    following.run(2 * HOUR)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert sorted(name for line in lines for name in line if name.startswith(("Backup", "Job"))) == [
        "BackupCompleted",
        "BackupCompleted",
        "BackupFailed",
        "BackupFailed",
        "JobLost",
    ]
    assert {line["service"] for line in lines} == {"test"}


def test_of_many_associations_each_end_names_the_one_that_its_job_ran_for(following: Following) -> None:
    following.world.target("two", associations=TWO)
    following.commserve.plan_jobs(seconds=600)
    following.commserve.plan_jobs(seconds=600, ending="Failed", reason="No space.")
    submitted = following.submit("two")
    following.run(HOUR)
    ends = {end["jobIds"][0]: end for end in following.ends()}
    names = [[one["instanceName"] for one in ends[job_id]["associations"]] for job_id in submitted["jobIds"]]
    assert names == [["orders-db"], ["billing-db"]]


def claim(following: Following, job_id: str, submission: str, attempted_at: float) -> None:
    """Be the Submit function, crediting a job to a later submission."""
    following.aws.client("dynamodb").put_item(
        TableName=following.world.name,
        Item={
            "pk": {"S": f"job#{job_id}"},
            "submission": {"S": submission},
            "attemptedAt": {"N": str(attempted_at)},
        },
    )


def test_job_ids_counted_again_make_the_earlier_job_lost_and_the_later_one_is_followed(following: Following) -> None:
    """A restored CommServe gives a job ID a second time, while the first job of that ID is still followed."""
    following.commserve.plan_jobs(seconds=5 * HOUR)
    job_id = following.put_job()
    earlier = next(iter(following.messages.values()))
    following.run(HOUR)
    claim(following, job_id, "submission#default#manual#later", following.clock())
    later = json.loads(earlier.body)
    later |= {"trigger": {"kind": "manual", "id": "later"}, "submittedAt": iso(following.clock() + 1)}
    following.put(json.dumps(later))
    following.run(6 * HOUR)
    ends = following.ends()
    assert sorted((end["status"], end["trigger"]["id"]) for end in ends) == [("completed", "later"), ("lost", job_id)]
    assert {end["error"]["code"] for end in ends if "error" in end} == {"JOB_ID_REUSED"}
    found = {
        request: following.submitter.completions.ends([job_id], f"submission#default#manual#{request}")
        for request in (job_id, "later")
    }
    assert found == {job_id: {job_id: "lost"}, "later": {job_id: "completed"}}
    assert following.messages == {}


def test_a_job_of_another_subclient_is_lost_once_and_its_own_end_is_published(following: Following) -> None:
    following.commserve.plan_jobs(seconds=HOUR)
    job_id = following.put_job()
    own = next(iter(following.messages.values()))
    other = json.loads(own.body)
    other |= {
        "associations": [{**ASSOCIATION, "instanceName": "users-db"}],
        "trigger": {"kind": "manual", "id": "other"},
    }
    following.put(json.dumps(other))
    following.run(3 * HOUR)
    ends = sorted((end["status"], end["trigger"]["id"]) for end in following.ends())
    assert ends == [("completed", job_id), ("lost", "other")]
    assert following.messages == {}


@pytest.mark.parametrize("status", ["rejected", "abandoned"])
def test_jobs_of_a_submission_that_ended_badly_are_followed(following: Following, status: str) -> None:
    job_id = following.put_job()
    (message,) = following.messages.values()
    message.body = json.dumps({**json.loads(message.body), "status": status})
    following.run(3 * HOUR)
    assert [(end["status"], end["jobIds"]) for end in following.ends()] == [("completed", [job_id])]


STRANGE: list[dict[str, Any]] = [
    {"jobStartTime": 1_769_824_804_000},
    {"jobStartTime": 10**30, "jobEndTime": -(10**30)},
    {"jobEndTime": "tomorrow"},
    {"status": None, "pendingReason": {"text": []}},
    {"status": "Completed\n\x00" + "!" * 9999},
    {"subclient": "orders-db"},
    {"jobId": "one"},
]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
def test_one_strange_row_never_stops_the_other_jobs_of_a_batch(following: Following, strange: dict[str, Any]) -> None:
    job_ids = [following.put_job() for _ in range(3)]
    ended = {"jobStartTime": 1_769_824_804, "jobEndTime": 1_769_824_864, "status": "Completed"}
    row = {**ended, "subclient": {**ASSOCIATION, "displayName": None}}
    rows = [{"jobSummary": {**row, "jobId": int(job_id)}} for job_id in job_ids]
    rows[0]["jobSummary"] |= strange
    body = json.dumps({"totalRecordsWithoutPaging": 3, "jobs": rows})
    following.commserve.fault("status", path="/Job", status=200, body=body)
    following.run(60)
    published = {end["jobIds"][0] for end in following.ends() if end["status"] == "completed"}
    assert set(job_ids[1:]) <= published


def test_where_a_list_cannot_be_used_each_job_is_asked_for(following: Following) -> None:
    following.commserve.job_seconds = 30
    for _ in range(3):
        following.put_job()
    following.commserve.fault("status", None, path="/Job", status=200, body="[{")
    following.run(60)
    assert [end["status"] for end in following.ends()] == ["completed"] * 3
    assert [request.path for request in following.commserve.requests].count("/Job") == 1


def test_a_failure_at_one_job_of_a_message_leaves_none_of_its_other_jobs_unpublished(following: Following) -> None:
    following.world.target("two", associations=TWO)
    following.commserve.job_seconds = 30
    submitted = following.submit("two")
    following.commserve.advance(60)

    class FirstFails:
        """SNS, whose first call fails."""

        calls = 0

        def publish(self, **call: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise ConnectionError("cut off")
            return following.aws.client("sns").publish(**call)

    with pytest.raises(ConnectionError):
        following.receive(following.sandbox(sns=FirstFails()))
    assert [end["jobIds"] for end in following.ends()] == [submitted["jobIds"][1:]]
    following.run(HOUR)
    assert sorted(end["jobIds"][0] for end in following.ends()) == sorted(submitted["jobIds"])
    assert following.messages == {}
