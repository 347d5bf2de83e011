"""`python -m benchmarks.usual_way`: the same faults against the product and against the usual way, side by side.

The product runs as Lambda runs it: one try of an event, a failed one goes to the Submissions queue. The usual way is
`usual_handler`, each try in its own process, killed at its timeout, with Lambda's two more tries of an event. Both
call a simulated CommServe over TLS. Nothing in the table is assumed: jobs are counted in the server, messages in a
subscriber's queue. Waits are shortened; which of two things comes first is not changed by that.
"""

import io
import multiprocessing
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults import FAULTS, Fault, Killed, Publishing, Tally, Topic
from benchmarks.figures import table
from local.commserve import CommServe
from local.commserve.catalogue import RDS
from local.emulator import Emulator
from local.subscriber import Subscriber
from rds_snap_backup.backup.deliveries import Deliveries
from rds_snap_backup.observability import logger
from tests.integration.world import RUN_SECONDS, World, associations, record, scheduled
from tests.support import ENVIRONMENT

TOKEN = "QSDK fake-token"
TRIGGERS = 3
LAMBDA_TRIES = 3
USUAL_SECONDS = 30.0
OUTAGE_SECONDS = 6.0
JOB_SECONDS = 2.0
SETTLED_WITHIN = 60.0
GROUPS = tuple(f"group-{number}" for number in range(TRIGGERS))


def main() -> None:
    """Print the table."""
    print("\n\n".join(section(run())))


def run(faults: Sequence[Fault] = FAULTS) -> list[tuple[Fault, Tally, Tally]]:
    """Return what each fault made of the triggers: the product's tally and the usual way's."""
    os.environ.update(ENVIRONMENT)
    logger.setLevel("CRITICAL")
    multiprocessing.set_forkserver_preload(["cvpysdk.commcell", "boto3"])
    with Emulator() as aws, redirect_stdout(io.StringIO()), ThreadPoolExecutor(4) as pool:
        for name in ("dynamodb", "secretsmanager", "sns", "sqs", "ssm"):
            aws.client(name)
        ours = pool.map(partial(_with_server, product, aws), faults)
        usual = pool.map(partial(_with_server, usual_way, aws), faults)
        return list(zip(faults, ours, usual, strict=True))


def section(results: Sequence[tuple[Fault, Tally, Tally]]) -> list[str]:
    """Return the section of the results; the usual way's figures stand after the product's."""
    rows = [(fault.label, ours, usual) for fault, ours, usual in results]
    rows.append(("**all**", sum((row[1] for row in rows), Tally()), sum((row[2] for row in rows), Tally())))
    cells = [
        [
            label,
            f"{ours.jobs / ours.triggers:.2f} : {usual.jobs / usual.triggers:.2f}",
            f"{ours.doubled} : {usual.doubled}",
            f"{ours.lost} : {usual.lost}",
            f"{ours.unpublished} : {usual.unpublished}",
        ]
        for label, ours, usual in rows
    ]
    return [
        "## The same faults against the usual way",
        f"Product : `cvpysdk` with Lambda's retries; {TRIGGERS} triggers a fault.",
        table(["Fault", "jobs per trigger", "triggers doubled", "triggers lost", "jobs never published"], cells),
    ]


def product(aws: Emulator, server: CommServe, fault: Fault) -> Tally:
    """Let the product meet a fault."""
    world = World(aws, server)
    for name in GROUPS:
        world.target(name, associations=associations(name))
    for name in GROUPS:
        fault.arm(server, "/CreateTask")
        if fault.is_outage and name == GROUPS[0]:
            clearing = time.monotonic() + OUTAGE_SECONDS
        function = world.function(sns=Topic(aws.client("sns"), fault.publishing))
        _at_once(fault.deliveries, partial(_deliver, world, scheduled("nightly", name), function))
    if fault.is_outage:
        while time.monotonic() < clearing:
            poll(world)
        server.clear_faults()
    deadline = time.monotonic() + SETTLED_WITHIN
    while world.waiting() and time.monotonic() < deadline:
        poll(world)
    return Tally.count(GROUPS, server, world.notifications())


def _deliver(world: World, event: Mapping[str, Any], function: Deliveries) -> None:
    """Be Lambda: one try, and its on-failure destination is the Submissions queue."""
    try:
        world.deliver(event, function)
    except (Exception, Killed):  # noqa: BLE001 # Lambda sends the event there, whatever it is
        world.redrive({"requestContext": {"requestId": str(uuid.uuid4())}, "requestPayload": event})


def poll(world: World) -> None:
    """Be the event source once: receive messages that are due, hand them over, delete what is done."""
    sqs = world.aws.client("sqs")
    received = sqs.receive_message(
        QueueUrl=world.submissions, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]
    ).get("Messages", [])
    records = [record(message["MessageId"], message["ReceiptHandle"], message["Body"]) for message in received]
    answer = world.backup.receive_batch(records, lambda: RUN_SECONDS)
    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    for message in received:
        if message["MessageId"] not in failed:
            sqs.delete_message(QueueUrl=world.submissions, ReceiptHandle=message["ReceiptHandle"])


def usual_way(aws: Emulator, server: CommServe, fault: Fault) -> Tally:
    """Let the usual way meet a fault."""
    topic = aws.client("sns").create_topic(Name=f"usual-{server.port}")["TopicArn"]
    subscriber = Subscriber.subscribe(aws, topic)
    secret = aws.client("secretsmanager").create_secret(Name=f"usual-{server.port}", SecretString=TOKEN)["ARN"]
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "ca.pem"
        authority.write_text(server.ca_pem)
        environment = aws.environment | {
            "CA_FILE": str(authority),
            "COMMVAULT_API_URL": server.url,
            "NOTIFICATIONS_TOPIC_ARN": topic,
            "TOKEN_SECRET_ARN": secret,
        }
        for name in GROUPS:
            fault.arm(server, "/Subclient/*/action/backup")
            event = {"client": "aws-prod", "instance": RDS, "subclient": name}
            _at_once(fault.deliveries, partial(_usual_deliver, environment, event, fault.publishing))
    subscriber.receive()
    return Tally.count(GROUPS, server, [message.body for message in subscriber.received])


def _usual_deliver(environment: Mapping[str, str], event: Mapping[str, Any], publishing: Publishing) -> None:
    """Be Lambda: up to two more tries of an event whose function failed, or was killed at its timeout."""
    for number in range(LAMBDA_TRIES):
        arguments = (environment, event, publishing if number == 0 else "works")
        process = multiprocessing.get_context("forkserver").Process(target=usual_try, args=arguments)
        process.start()
        process.join(USUAL_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        if process.exitcode == 0:
            return


def usual_try(environment: Mapping[str, str], event: Mapping[str, Any], publishing: Publishing) -> None:
    """Run the usual handler in its own process."""
    os.environ.update(environment)
    from benchmarks import usual_handler

    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # What it dies of is what was to be expected.
    usual_handler.SNS = Topic(usual_handler.SNS, publishing)
    usual_handler.lambda_handler(dict(event), None)


def _with_server(play: Callable[[Emulator, CommServe, Fault], Tally], aws: Emulator, fault: Fault) -> Tally:
    with CommServe(token=TOKEN, job_seconds=JOB_SECONDS, clients={"aws-prod": {RDS: GROUPS}}) as server:
        return play(aws, server, fault)


def _at_once(times: int, call: Callable[[], None]) -> None:
    with ThreadPoolExecutor(times) as pool:
        for running in [pool.submit(call) for _ in range(times)]:
            running.result()


if __name__ == "__main__":
    main()
