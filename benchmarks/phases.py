"""The calls of one backup from its event to its end, phase by phase."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Goal, Spread, table
from benchmarks.packages import Package
from benchmarks.place import Place, scheduled
from benchmarks.sandbox import Sandbox

JOB_MINUTES = 30
AWS_CALLS_UNTIL_END = 28
WAIT_SECONDS = 10


@dataclass(frozen=True)
class Phase:
    """One delivery: the calls that it makes, its milliseconds and the bytes that it logs."""

    name: str
    calls: Sequence[Any]
    milliseconds: float
    log_bytes: int

    def count(self, service: str) -> int:
        """Return how many calls go to a service; `http` is Commvault."""
        return sum(call[0] == service for call in self.calls)


def polls(job_minutes: float = JOB_MINUTES) -> int:
    """Return how often a job is polled until it has ended: the pauses double from 1 to 15 minutes."""
    count, pause, at = 0, 1.0, 0.0
    while at < job_minutes:
        at, pause, count = at + pause, min(pause * 2, 15), count + 1
    return count


def measure(place: Place, package: Package) -> list[Phase]:
    """Return the event that starts the job, its message that comes too early, and three polls.

    The first poll tells whose the job is, the last one finds its end.
    The message is sent before the request, and `FirstPollSeconds` count from the answer: so it comes too early once.
    """
    [other, target] = place.targets(2)
    with Sandbox(package, place) as sandbox:
        sandbox.run([scheduled(other)])  # It reads the token and makes the connections.
        start = _record(sandbox, "start", scheduled(target))
        [body] = [call[2]["MessageBody"] for call in start.calls if call[0] == "sqs"]
        place.aws.client("sqs").send_message(QueueUrl=place.submissions, MessageBody=body)
        early = _record(sandbox, "early", _next_message(place, target))
        named = _poll(place, sandbox, "first poll", target)
        running = _poll(place, sandbox, "poll", target)
        [job] = [job_id for job_id, job in place.commserve.jobs().items() if job["group"] == f"{target}-0"]
        place.commserve.post("end_job", identifier=job)
        end = _poll(place, sandbox, "end", target)
    return [start, early, named, running, end]


def _poll(place: Place, sandbox: Sandbox, name: str, target: str) -> Phase:
    """Return the next delivery that asks Commvault."""
    while not (phase := _record(sandbox, name, _next_message(place, target))).count("http"):
        pass
    return phase


def _record(sandbox: Sandbox, name: str, event: Any) -> Phase:
    logged = sandbox.logged
    measured, calls = sandbox.record(event)
    return Phase(name, calls, measured.wall * 1000, sandbox.logged - logged)


def _next_message(place: Place, target: str) -> dict[str, Any]:
    """Wait for a target's message as the event source does; return the event that it makes of it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        received = place.aws.client("sqs").receive_message(
            QueueUrl=place.submissions, AttributeNames=["All"], WaitTimeSeconds=1, VisibilityTimeout=90
        )
        for message in received.get("Messages", []):
            if json.loads(message["Body"])["target"] == target:
                return batch([message])
    raise RuntimeError(f"the message of {target} did not become visible")


def batch(messages: Sequence[Any]) -> dict[str, Any]:
    """Return the event source's event for received messages."""
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "eventSource": "aws:sqs",
        }
        for message in messages
    ]
    return {"Records": records}


def whole(phases: Sequence[Phase]) -> list[tuple[Phase, int]]:
    """Return the phases of a whole backup, and how often it goes through each."""
    start, early, named, running, end = phases
    return [(start, 1), (early, 1), (named, 1), (running, polls() - 2), (end, 1)]


def goals(phases: Sequence[Phase]) -> list[Goal]:
    """Return how many calls a backup is to make."""
    calls = sum(times * (len(phase.calls) - phase.count("http")) for phase, times in whole(phases))
    return [
        Goal("requests to Commvault until the job runs", Spread.of([phases[0].count("http")]), 1),
        Goal("AWS calls of one backup until its end", Spread.of([calls]), AWS_CALLS_UNTIL_END),
    ]


def section(phases: Sequence[Phase], usual_requests: int) -> list[str]:
    """Return the section of the results."""
    services = ("http", "dynamodb", "sqs", "sns", "ssm", "secretsmanager")
    rows: list[list[object]] = [
        [phase.name, times, *(phase.count(service) for service in services), f"{phase.log_bytes:,}"]
        for phase, times in whole(phases)
    ]
    sums = [sum(times * phase.count(service) for phase, times in whole(phases)) for service in services]
    logged = sum(times * phase.log_bytes for phase, times in whole(phases))
    head = ["Phase", "times", "Commvault", "DynamoDB", "SQS", "SNS", "SSM", "Secrets Manager", "log bytes"]
    return [
        "## Calls of one backup until its end",
        (
            f"A job of {JOB_MINUTES} minutes that is polled {polls()} times, alone in its sandbox, which has the token. Lambda "
            f"itself receives the message {polls() + 1} times and deletes it. `cvpysdk` makes {usual_requests} requests to "
            "Commvault to start a job, and does not follow it."
        ),
        table(head, [*rows, ["**in all**", "", *sums, f"{logged:,}"]]),
    ]
