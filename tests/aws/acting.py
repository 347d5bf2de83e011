"""What must be made to happen: a schedule, an event that cannot be delivered, a run that is killed, a token that changes."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from rds_snap_backup_cli.dead_letters import DeadLetterQueue
from rds_snap_backup_cli.functions import BACKUP, invoke
from rds_snap_backup_cli.redrive import move
from rds_snap_backup_cli.schedule import invocation
from tests.aws.subject import STALE_SECONDS, Finding, Subject, failed, later, passed, until

# Scheduler's precision is a minute: the next but one.
MINUTE = timedelta(minutes=1)
SCHEDULED_SECONDS = 300
# A lease, the visibility timeout, and an invocation.
REDELIVERED_SECONDS = 300
DELIVERED_SECONDS = 60
MESSAGE_SECONDS = 120
TIME = "%Y-%m-%dT%H:%M:00"
# Nothing may invoke this, and it does not exist.
NO_ALIAS = ":verify-no-such-alias"
# With it a run ends before it reaches the product's code.
NO_HANDLER = "verify_no_such_module.handler"
# With the log group.
NOT_SENT = "the log of {} has no request that left for Commvault (ledger, target, token?) of the trigger"
# How a token begins that this has stored, and that no system accepts.
MADE_UP = "verify-made-up-"


@contextmanager
def one_target(subject: Subject) -> Iterator[str]:
    """Make a target of a subclient that no other submission uses, and give its name; delete it afterwards."""
    name = f"verify-{uuid.uuid4().hex[:12]}"
    client, parameter = subject.client("ssm"), subject.stack.output("TargetsPath") + name
    association = {"clientName": "verify", "instanceName": "verify", "subclientName": name}
    client.put_parameter(Name=parameter, Type="String", Value=json.dumps({"associations": [association]}))
    try:
        yield name
    finally:
        client.delete_parameter(Name=parameter)


@contextmanager
def one_schedule(subject: Subject, target: str, **changed: Any) -> Iterator[tuple[str, str]]:
    """Make a schedule of a target that is due once, and give its ARN and its time; delete it afterwards."""
    client, group = subject.client("scheduler"), subject.stack.output("ScheduleGroupName")
    name = f"verify-{uuid.uuid4().hex[:12]}"
    due = (datetime.now(UTC) + 2 * MINUTE).strftime(TIME)
    made = client.create_schedule(
        Name=name,
        GroupName=group,
        ScheduleExpression=f"at({due})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=invocation(subject.stack, target) | changed,
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
    """The function publishes a rejection on the topic, a subscribed queue receives it, and it is a dead letter."""
    sns, sqs, arn = subject.client("sns"), subject.client("sqs"), subject.stack.output("NotificationsTopicArn")
    mark, dead_letters = f"verify-{uuid.uuid4().hex[:12]}", DeadLetterQueue.of(subject.stack)
    with one_queue(subject, f"{subject.stack.name}-{mark}", "sns", arn) as (url, queue), ExitStack() as made:
        subscribed = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)
        made.callback(sns.unsubscribe, SubscriptionArn=subscribed["SubscriptionArn"])

        def arrives() -> bool:
            # Rejected again each time, as there is no such target: a new subscription may miss the first message.
            invoke(subject.stack, BACKUP, {"target": mark})
            return any(mark in item["Body"] for item in sqs.receive_message(QueueUrl=url).get("Messages", ()))

        is_published = until(arrives, MESSAGE_SECONDS)
    with dead_letters.held() as held:
        deleted = dead_letters.delete([letter for letter in held if letter.target == mark])
    if not is_published:
        return failed(f"the function's message about the unknown target {mark} did not reach a queue by {arn}")
    if not deleted:
        return failed(f"the rejection of the unknown target {mark} is published, and is no dead letter")
    return passed("the rejection of an unknown target was published, received and kept as a dead letter")


def queue(subject: Subject) -> Finding:
    """The Backup function handles a message of the Submissions queue, with its rights to target, token and ledger."""
    mark, group = f"verify-{uuid.uuid4().hex[:12]}", subject.log_group()
    with one_target(subject) as target:
        subject.client("sqs").send_message(
            QueueUrl=subject.stack.output("SubmissionsQueueUrl"),
            MessageBody=json.dumps({"target": target, "requestId": mark}),
        )
        if not until(lambda: subject.sent(mark, group), DELIVERED_SECONDS):
            return failed(f"{NOT_SENT.format(group)} {mark}, which was sent to the queue")
    return passed(f"the trigger {mark} was sent, and its request left for Commvault")


def placeholders(subject: Subject) -> Finding:
    """Scheduler fills its placeholders in: the trigger's identity is the schedule's ARN and the time it was due."""
    group = subject.log_group()
    with one_target(subject) as target, one_schedule(subject, target) as (schedule, due):
        lines = until(lambda: subject.sent(schedule, group), SCHEDULED_SECONDS)
    identities = sorted({str(line["trigger"]) for line in lines})
    if identities != [f"{schedule}|{due}"]:
        return failed(f"due {due}, the log of {group} has as identities of {schedule}: {identities}")
    return passed(f"identity {identities[0]}")


def dead_letters(subject: Subject) -> Finding:
    """What Scheduler cannot deliver is a dead letter; SQS moves it to the Submissions queue, and it is handled there."""
    group, queue = subject.log_group(), DeadLetterQueue.of(subject.stack)
    arn_of_nothing = subject.stack.output("BackupFunctionArn") + NO_ALIAS
    retry = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    with one_target(subject) as target:
        with one_schedule(subject, target, Arn=arn_of_nothing, RetryPolicy=retry) as (schedule, due):
            error = until(lambda: _letter(queue, schedule), SCHEDULED_SECONDS)
        if not error:
            return failed(f"there is no dead letter of {schedule}, which could not be delivered at {due}")
        task = move(queue)
        if task.get("Status") != "COMPLETED":
            reason = task.get("FailureReason", "no reason is given")
            return failed(f"SQS's move ended as {task.get('Status')}: {reason}")
        if not until(lambda: subject.sent(schedule, group), REDELIVERED_SECONDS):
            return failed(f"{NOT_SENT.format(group)} {schedule}, whose letter was moved")
    return passed(f"kept as {error}; {task.get('ApproximateNumberOfMessagesMoved', 0)} moved and handled")


def _letter(queue: DeadLetterQueue, schedule: str) -> str:
    """Return what the letter of a schedule says went wrong; empty where there is none."""
    with queue.held() as held:
        return next((letter.error for letter in held if schedule in letter.trigger), "")


def killed_run(subject: Subject) -> Finding:
    """A run that fails before it has sent a message reaches the queue by the on-failure destination, and is resumed."""
    client, name, group = subject.client("lambda"), subject.stack.output(BACKUP), subject.log_group()
    with one_target(subject) as target:
        # The product's own code never runs, so that nothing but the destination can have kept the trigger.
        with reconfigured(subject, Handler=NO_HANDLER):
            answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"target": target}))
            request = answer["ResponseMetadata"]["RequestId"]
            ended = until(lambda: list(subject.log(f'"{request}" "REPORT"', group)), SCHEDULED_SECONDS)
        if not ended:
            return failed(f"the run {request} did not end, or its log did not arrive")

        def resumed() -> list[dict[str, Any]]:
            return [line for line in subject.sent(request, group) if line.get("function_request_id") != request]

        if not until(resumed, REDELIVERED_SECONDS):
            return failed(f"the run {request} failed, and none resumed its trigger")
    return passed(f"run {request} failed before it began, and its trigger was resumed from the queue")


@contextmanager
def reconfigured(subject: Subject, variables: Mapping[str, str] | None = None, **changed: Any) -> Iterator[None]:
    """Give the Backup function other settings and more variables, and afterwards its own settings again."""
    client, name = subject.client("lambda"), subject.stack.output(BACKUP)
    found = client.get_function_configuration(FunctionName=name)
    own = {
        "Timeout": found["Timeout"],
        "Handler": found["Handler"],
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
