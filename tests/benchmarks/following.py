"""What the following of one job takes: a poll of a job that still runs, and the poll that finds and publishes its end."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.benchmarks.cost import Run
from tests.benchmarks.packages import Package
from tests.benchmarks.place import Place, schedule_event
from tests.benchmarks.sandbox import Sandbox

HANDLER = "rds_snap_backup.follow.handler.lambda_handler"
REPEATS = 3


def measure(place: Place, packages: Mapping[str, Package]) -> tuple[Run, Run]:
    """Return a warm poll of a running job, and the warm poll that publishes its end."""
    follow = replace(packages["product"], handler=HANDLER)
    with Sandbox(packages["product"], place) as submit:
        published = [one.answer["submissions"][0] for one in submit.run([schedule_event() for _ in range(REPEATS + 1)])]
    with Sandbox(follow, place) as sandbox:
        _run(place, sandbox, published[0], record=False)  # The token is read, and the connections are made.
        poll = _runs(place, sandbox, published)
        for one in published:
            place.commserve.post("end_job", identifier=one["jobIds"][0])
        end = _runs(place, sandbox, published)
    return poll, end


def _runs(place: Place, sandbox: Sandbox, published: Sequence[Mapping[str, Any]]) -> Run:
    calls = _run(place, sandbox, published[0], record=True)
    logged = sandbox.logged
    walls = [_run(place, sandbox, one, record=False) for one in published[1:]]
    return Run(calls, statistics.median(walls) * 1000, (sandbox.logged - logged) / len(walls))


def _run(place: Place, sandbox: Sandbox, notification: Mapping[str, Any], *, record: bool) -> Any:
    """Hand the notification to the function as the Jobs queue does; return its calls, or its seconds."""
    sqs, url = place.aws.client("sqs"), place.environment["JOBS_QUEUE_URL"]
    time.sleep(float(place.environment["FIRST_POLL_SECONDS"]) + 0.3)  # What was read before is not read again so soon.
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(notification))
    [received] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], WaitTimeSeconds=5)["Messages"]
    message = {
        "messageId": received["MessageId"],
        "receiptHandle": received["ReceiptHandle"],
        "body": received["Body"],
        "attributes": received["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }
    event = {"Records": [message]}
    return sandbox.record(event) if record else sandbox.run([event])[0].wall
