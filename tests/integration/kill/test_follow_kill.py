"""The built Follow function in the real Lambda runtime, killed wherever a run can die: no end lost, none published in vain.

Three messages are in flight each time: one about two jobs and one about the second of them in the run that is killed,
and one about the first job in another sandbox, which goes on. Nothing in the code helps: each point is reached by a
wire that stops answering. A run that is killed by its timeout is stopped there, as one that hangs.
"""

import json
import os
import re
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.runtime import Runtime
from local.stack import build
from tests.integration.kill.sandboxes import ONE_STARTS, sandbox
from tests.integration.kill.stalling import StallingWire
from tests.integration.world import ASSOCIATION, World, scheduled

pytestmark = [pytest.mark.kill, pytest.mark.timeout(420)]

HANDLER = "rds_snap_backup.follow.handler.lambda_handler"
VISIBILITY_TIMEOUT = 90  # the template's
FUNCTION_SECONDS = {"timeout": 30, "SIGKILL": 50}
PUBLISHED = "after it is published, before it is marked"
POINTS = {
    "before an end is recorded": ("UpdateItem", 1),
    "after it is recorded, before it is published": ("Publish", 1),
    PUBLISHED: ("UpdateItem", 2),
    "between two jobs of a message": ("UpdateItem", 3),
}
COUNTED = re.compile(r'"(Backup\w+)":\[1.0\]')
TWO = [ASSOCIATION, {**ASSOCIATION, "instanceName": "billing-db"}]


@dataclass(frozen=True, slots=True)
class Outcome:
    point: str
    way: str
    death: str
    elsewhere: list[Any]  # what the other sandbox could not finish while the first one hung
    published: Mapping[str, list[str]]  # the statuses published of each job, in the order of the message's jobs
    counted: Mapping[str, int]  # the ends that the code counted, which it does once it has published one
    differing: int
    marked: list[bool]


class Queue:
    """A Jobs queue, and what its event source does with it."""

    def __init__(self, aws: Emulator) -> None:
        self._sqs = aws.client("sqs")
        attributes = {"VisibilityTimeout": str(VISIBILITY_TIMEOUT)}
        self.url = self._sqs.create_queue(QueueName=f"jobs-{uuid.uuid4().hex[:8]}", Attributes=attributes)["QueueUrl"]

    def send(self, notification: Mapping[str, Any]) -> None:
        self._sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(notification))

    def receive(self, number: int = 10) -> list[dict[str, Any]]:
        """Receive messages that are due, as the records of a batch."""
        answer = self._sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=number, WaitTimeSeconds=1, AttributeNames=["All"]
        )
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "eventSource": "aws:sqs",
            }
            for message in answer.get("Messages", [])
        ]

    def hand_over(self, function: Runtime, records: list[dict[str, Any]]) -> list[Any]:
        """Invoke the function with a batch, delete what it has done, and return what it has not."""
        response = function.invoke({"Records": records})
        if response.error:
            return [response.error]
        failed = {one["itemIdentifier"] for one in response.payload["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
        return sorted(failed)

    def drain(self, function: Runtime, within: float) -> None:
        """Hand over what is due until nothing is left, waiting messages included."""
        deadline = time.monotonic() + within
        while self._left():
            assert time.monotonic() < deadline, "messages are left on the Jobs queue"
            if records := self.receive():
                self.hand_over(function, records)

    def _left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def killed_at(aws: Emulator, package: Path, point: str, way: str) -> Outcome:
    """Kill a run at a point while another one is at work, let the messages return, and see."""
    with CommServe(job_seconds=3600) as commserve, StallingWire(aws.endpoint_url) as wire, ExitStack() as sandboxes:
        with ONE_STARTS:
            queue = Queue(aws)
            world = World(aws, commserve, JOBS_QUEUE_URL=queue.url)
            world.target("two", associations=TWO)
            # Submitted long enough ago to be polled at once.
            (several,) = world.deliver(scheduled(point, "two"), world.sandbox(lambda: time.time() - 60))["submissions"]
            first, second = several["jobIds"]
            commserve.end_job(first)
            commserve.end_job(second, "Failed", "The snapshot quota is reached.")

            joined = {**several, "status": "joined", "trigger": {"kind": "manual", "id": "another"}}
            queue.send(several)
            queue.send({**joined, "jobIds": [second]})
            in_flight = queue.receive(2)
            assert len(in_flight) == 2

            wire.stall(*POINTS[point])
            behind_the_wire, beside_it = (
                world.environment | {"AWS_ENDPOINT_URL": url} for url in (wire.url, aws.endpoint_url)
            )
            other = sandboxes.enter_context(sandbox(package, HANDLER, beside_it))
            function = sandboxes.enter_context(
                sandbox(package, HANDLER, behind_the_wire, timeout=FUNCTION_SECONDS[way])
            )
            pool = sandboxes.enter_context(ThreadPoolExecutor(1))
            invocation = pool.submit(function.invoke, {"Records": in_flight})
            assert wire.reached.wait(60)
            if way == "timeout":
                stop(function)
            queue.send({**joined, "jobIds": [first]})
            elsewhere = queue.hand_over(other, queue.receive())
        if way == "SIGKILL":
            function.kill()
        death = str(invocation.result().error)
        wire.release()
        queue.drain(other, within=240)
        output = function.output + other.output

        ends = [one for one in world.notifications() if one["status"] not in {"submitted", "joined"}]
        return Outcome(
            point,
            way,
            death,
            elsewhere,
            {job: [one["status"] for one in ends if one["jobIds"] == [job]] for job in (first, second)},
            Counter(COUNTED.findall(output)),
            len({json.dumps(one, sort_keys=True) for one in ends}) - 2,
            [item["endPublished"] for item in world.items("job#")],
        )


def stop(function: Runtime) -> None:
    """Let the function's own process hang: it neither goes on nor gives up."""
    assert function._process is not None
    for children in Path(f"/proc/{function._process.pid}/task").glob("*/children"):
        for pid in children.read_text().split():
            os.kill(int(pid), signal.SIGSTOP)


def test_eight_ways_to_be_killed_lose_no_end_and_tell_none_twice_in_vain(
    aws: Emulator, record_property: Callable[[str, object], None]
) -> None:
    package = build() / "FollowFunction"
    cases = [(point, way) for point in POINTS for way in FUNCTION_SECONDS]
    with ThreadPoolExecutor(len(cases)) as pool:
        outcomes = list(pool.map(lambda case: killed_at(aws, package, *case), cases))
    for outcome in outcomes:
        record_property("Follow killed", str(outcome))
    assert len(outcomes) == 8
    for outcome in outcomes:
        assert ("timed out" if outcome.way == "timeout" else "Killed") in outcome.death, outcome
        # Only where the first run holds the end has the other one to wait.
        assert len(outcome.elsewhere) == (outcome.point in list(POINTS)[1:3]), outcome
        # SNS may deliver twice what the code published once, as when the SDK repeats a call whose answer was slow.
        assert outcome.counted == {"BackupCompleted": 2 if outcome.point == PUBLISHED else 1, "BackupFailed": 1}, (
            outcome
        )
        first, second = outcome.published.values()
        assert set(first) == {"completed"}, outcome
        assert set(second) == {"failed"}, outcome
        assert len(first) >= outcome.counted["BackupCompleted"], outcome
        assert outcome.differing == 0, outcome
        assert outcome.marked == [True, True], outcome
