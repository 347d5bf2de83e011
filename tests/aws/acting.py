"""What must be made to happen: a schedule, an event that cannot be delivered, a run that is killed, a token that changes."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from rds_snap_backup_cli.dead_letters import DeadLetterQueue
from rds_snap_backup_cli.functions import BACKUP
from rds_snap_backup_cli.redrive import move
from rds_snap_backup_cli.schedule import invocation
from tests.aws.subject import STALE_SECONDS, Finding, Subject, failed, later, passed, until

# Scheduler's precision is a minute: the next but one.
MINUTE = timedelta(minutes=1)
SCHEDULED_SECONDS = 300
# A lease, the visibility timeout, and an invocation.
REDELIVERED_SECONDS = 300
KILLED_SECONDS = 1
DELIVERED_SECONDS = 60
TIME = "%Y-%m-%dT%H:%M:00"
# Nothing may invoke this, and it does not exist.
NO_ALIAS = ":verify-no-such-alias"
# How a token begins that this has stored, and that no system accepts.
MADE_UP = "verify-made-up-"


@contextmanager
def one_schedule(subject: Subject, **changed: Any) -> Iterator[tuple[str, str]]:
    """Make a schedule of the target `default` that is due once, and give its ARN and its time; delete it afterwards."""
    client, group = subject.client("scheduler"), subject.stack.output("ScheduleGroupName")
    name = f"verify-{uuid.uuid4().hex[:12]}"
    due = (datetime.now(UTC) + 2 * MINUTE).strftime(TIME)
    made = client.create_schedule(
        Name=name,
        GroupName=group,
        ScheduleExpression=f"at({due})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=invocation(subject.stack, "default") | changed,
    )
    try:
        yield str(made["ScheduleArn"]), f"{due}Z"
    finally:
        client.delete_schedule(Name=name, GroupName=group)


@contextmanager
def one_queue(subject: Subject, name: str, service: str, source: str) -> Iterator[tuple[str, str]]:
    """Make a queue for the messages of one source of an AWS service, and give its URL and ARN; delete it afterwards."""
    _, partition, _, region, account, *_ = source.split(":")
    client, queue = subject.client("sqs"), f"arn:{partition}:sqs:{region}:{account}:{name}"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    url = client.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    try:
        yield url, queue
    finally:
        client.delete_queue(QueueUrl=url)


def topic(subject: Subject) -> Finding:
    """A message on the topic reaches a queue that subscribes to it."""
    sns, sqs, arn = subject.client("sns"), subject.client("sqs"), subject.stack.output("NotificationsTopicArn")
    mark = f"{subject.stack.name}-verify-{uuid.uuid4().hex[:12]}"
    with one_queue(subject, mark, "sns", arn) as (url, queue), ExitStack() as made:
        subscribed = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)
        made.callback(sns.unsubscribe, SubscriptionArn=subscribed["SubscriptionArn"])

        def arrives() -> bool:
            # Published again each time: a new subscription may miss the first message.
            sns.publish(TopicArn=arn, Message=mark)
            return any(mark in item["Body"] for item in sqs.receive_message(QueueUrl=url).get("Messages", ()))

        if not until(arrives, DELIVERED_SECONDS):
            return failed(f"nothing that was published on {arn} reached the queue {mark}")
    return passed("a made-up message was published and received")


def queue(subject: Subject) -> Finding:
    """A message on the Submissions queue reaches the Backup function."""
    mark, group = f"verify-{uuid.uuid4().hex[:12]}", subject.log_group()
    subject.client("sqs").send_message(
        QueueUrl=subject.stack.output("SubmissionsQueueUrl"),
        MessageBody=json.dumps({"target": "default", "requestId": mark}),
    )
    if not until(lambda: subject.lines_of(mark, group), DELIVERED_SECONDS):
        return failed(f"the log of {group} does not have the trigger {mark}, which was sent to the queue")
    return passed(f"the trigger {mark} was sent and handled")


def placeholders(subject: Subject) -> Finding:
    """Scheduler fills its placeholders in: the trigger's identity is the schedule's ARN and the time it was due."""
    group = subject.log_group()
    with one_schedule(subject) as (schedule, due):
        lines = until(lambda: subject.lines_of(schedule, group), SCHEDULED_SECONDS)
    identities = sorted({str(line["trigger"]) for line in lines})
    if identities != [f"{schedule}|{due}"]:
        return failed(f"due {due}, the log of {group} has as identities of {schedule}: {identities}")
    return passed(f"identity {identities[0]}")


def dead_letters(subject: Subject) -> Finding:
    """What Scheduler cannot deliver is a dead letter; SQS moves it to the Submissions queue, and it is handled there."""
    group, queue = subject.log_group(), DeadLetterQueue.of(subject.stack)
    arn_of_nothing = subject.stack.output("BackupFunctionArn") + NO_ALIAS
    retry = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    with one_schedule(subject, Arn=arn_of_nothing, RetryPolicy=retry) as (schedule, due):
        error = until(lambda: _letter(queue, schedule), SCHEDULED_SECONDS)
    if not error:
        return failed(f"there is no dead letter of {schedule}, which could not be delivered at {due}")
    task = move(queue)
    if task.get("Status") != "COMPLETED":
        return failed(f"SQS's move ended as {task.get('Status')}: {task.get('FailureReason', 'no reason is given')}")
    if not until(lambda: subject.lines_of(schedule, group), REDELIVERED_SECONDS):
        return failed(f"the letter of {schedule} was moved, and the log of {group} does not have it")
    return passed(f"kept as {error}; {task.get('ApproximateNumberOfMessagesMoved', 0)} moved and handled")


def _letter(queue: DeadLetterQueue, schedule: str) -> str:
    """Return what the letter of a schedule says went wrong; empty where there is none."""
    with queue.held() as held:
        return next((letter.error for letter in held if schedule in letter.trigger), "")


def killed_run(subject: Subject) -> Finding:
    """A run that Lambda kills reaches the queue by the on-failure destination, and is resumed under its identity."""
    client, name, group = subject.client("lambda"), subject.stack.output(BACKUP), subject.log_group()
    with reconfigured(subject, Timeout=KILLED_SECONDS):
        answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"target": "default"}))
        request = answer["ResponseMetadata"]["RequestId"]
        killed = until(lambda: list(subject.log(f'"{request}" "Task timed out"', group)), SCHEDULED_SECONDS)
    if not killed:
        return failed(f"the run {request} was not killed after {KILLED_SECONDS} s, or its log did not arrive")

    def resumed() -> list[dict[str, Any]]:
        return [line for line in subject.lines_of(request, group) if line.get("function_request_id") != request]

    if not until(resumed, REDELIVERED_SECONDS):
        return failed(f"the run {request} was killed, and none resumed its trigger")
    return passed(f"run {request} was killed, and its trigger was resumed from the queue")


@contextmanager
def reconfigured(subject: Subject, variables: Mapping[str, str] | None = None, **changed: Any) -> Iterator[None]:
    """Give the Backup function other settings and more variables, and afterwards its own settings again."""
    client, name = subject.client("lambda"), subject.stack.output(BACKUP)
    found = client.get_function_configuration(FunctionName=name)
    own = {
        "Timeout": found["Timeout"],
        "Layers": [layer["Arn"] for layer in found.get("Layers", ())],
        "Environment": found.get("Environment", {"Variables": {}}),
    }
    if variables:
        changed["Environment"] = {"Variables": own["Environment"]["Variables"] | variables}

    def put(settings: Mapping[str, Any]) -> None:
        client.update_function_configuration(FunctionName=name, **settings)
        client.get_waiter("function_updated").wait(FunctionName=name)

    try:
        put(changed)
        yield
    finally:
        put({setting: own[setting] for setting in changed})


def compare_and_set(subject: Subject) -> Finding:
    """Secrets Manager moves AWSCURRENT only from the version that has it: a token that a person stored wins."""
    if subject.parameter("TokenSecretArn"):
        return later("the stack does not own its secret. Verify one that does")
    client, secret = subject.client("secretsmanager"), subject.stack.output("TokenSecretArn")

    def put(stage: str) -> str:
        answer = client.put_secret_value(
            SecretId=secret, SecretString=f"{MADE_UP}{uuid.uuid4().hex}", VersionStages=[stage]
        )
        return str(answer["VersionId"])

    def move(version: str, before: str) -> None:
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=before
        )

    read, current, renewed = put("AWSCURRENT"), put("AWSCURRENT"), put("RENEWED")
    try:
        move(renewed, read)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code != "InvalidParameterException":
            return failed(f"moving AWSCURRENT from a version without it failed as {code}")
    else:
        return failed("AWSCURRENT was moved from a version that no longer had it")
    move(renewed, current)

    def is_read() -> bool:
        return bool(client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["VersionId"] == renewed)

    if not until(is_read, STALE_SECONDS):
        return failed("AWSCURRENT was moved, and is read from another version")
    return passed("refused from the version before, done from the current one")
