"""What must be made to happen: a schedule, an event that cannot be delivered, a run that is killed, a token that changes."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from rds_snap_backup_cli.dead_letters import DeadLetterQueue
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.functions import BACKUP, invoke
from rds_snap_backup_cli.redrive import move
from rds_snap_backup_cli.schedule import invocation
from tests.aws.subject import STALE_SECONDS, Later, Subject, require, until

# Scheduler's precision is a minute: the next but one.
MINUTE = timedelta(minutes=1)
SCHEDULED_SECONDS = 300
# A lease, the visibility timeout, and an invocation.
REDELIVERED_SECONDS = 300
DELIVERED_SECONDS = 60
MESSAGE_SECONDS = 120
# A restart, and RDS's report of it.
FORWARDED_SECONDS = 900
TIME = "%Y-%m-%dT%H:%M:00"
# Nothing may invoke this, and it does not exist.
NO_ALIAS = ":verify-no-such-alias"
# With it a run ends before it reaches the product's code.
NO_HANDLER = "verify_no_such_module.handler"
# How a token begins that this has stored, and that no system accepts.
MADE_UP = "verify-made-up-"


def name_of() -> str:
    """Return a name that nothing else has."""
    return f"verify-{uuid.uuid4().hex[:12]}"


def new_target(subject: Subject) -> str:
    """Make a target of a subclient that no other submission uses, and return its name."""
    name, client = name_of(), subject.client("ssm")
    association = {"clientName": "verify", "instanceName": "verify", "subclientName": name}
    parameter = subject.stack.output("TargetsPath") + name
    client.put_parameter(Name=parameter, Type="String", Value=json.dumps({"associations": [association]}))
    subject.made.callback(client.delete_parameter, Name=parameter)
    return name


def new_schedule(subject: Subject, target: str, **changed: Any) -> tuple[str, str]:
    """Make a schedule of a target that is due once, and return its ARN and its time."""
    client, due = subject.client("scheduler"), (datetime.now(UTC) + 2 * MINUTE).strftime(TIME)
    name = {"Name": name_of(), "GroupName": subject.stack.output("ScheduleGroupName")}
    does = invocation(subject.stack, target) | changed
    window = {"Mode": "OFF"}
    made = client.create_schedule(**name, ScheduleExpression=f"at({due})", FlexibleTimeWindow=window, Target=does)
    subject.made.callback(client.delete_schedule, **name)
    return str(made["ScheduleArn"]), f"{due}Z"


def new_queue(subject: Subject, name: str, topic: str) -> tuple[str, str]:
    """Make a queue for the messages of a topic, and return its URL and ARN."""
    client, queue = subject.client("sqs"), topic.replace(":sns:", ":sqs:").rpartition(":")[0] + f":{name}"
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    url = client.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    subject.made.callback(client.delete_queue, QueueUrl=url)
    return url, queue


def topic(subject: Subject) -> str:
    """The function publishes a rejection on the topic, a subscribed queue receives it, and it is a dead letter."""
    sns, sqs, arn = subject.client("sns"), subject.client("sqs"), subject.stack.output("NotificationsTopicArn")
    mark, dead_letters = name_of(), DeadLetterQueue.of(subject.stack)
    url, queue = new_queue(subject, f"{subject.stack.name}-{mark}", arn)
    subscribed = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)
    subject.made.callback(sns.unsubscribe, SubscriptionArn=subscribed["SubscriptionArn"])

    def arrives() -> bool:
        # Rejected again each time, as there is no such target: a new subscription may miss the first message.
        invoke(subject.stack, BACKUP, {"target": mark})
        return any(mark in item["Body"] for item in sqs.receive_message(QueueUrl=url).get("Messages", ()))

    is_published = until(arrives, MESSAGE_SECONDS)
    with dead_letters.held() as held:
        deleted = dead_letters.delete([letter for letter in held if letter.target == mark])
    require(is_published, f"the function's message about the unknown target {mark} did not reach a queue by {arn}")
    require(deleted, f"the rejection of the unknown target {mark} is published, and is no dead letter")
    return "the rejection of an unknown target was published, received and kept as a dead letter"


def queue(subject: Subject) -> str:
    """The Backup function handles a message of the Submissions queue, with its rights to target, token and ledger."""
    mark, group, url = name_of(), subject.log_group(), subject.stack.output("SubmissionsQueueUrl")
    body = json.dumps({"target": new_target(subject), "requestId": mark})
    subject.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    require_sent(subject, mark, group, DELIVERED_SECONDS)
    return f"the trigger {mark} was sent, and its request left for Commvault"


def require_sent(subject: Subject, trigger: str, group: str, seconds: float) -> None:
    """Wait for a request of a trigger that left for Commvault."""
    sent = until(lambda: subject.sent(trigger, group), seconds)
    require(sent, f"the log of {group} has no request that left for Commvault (ledger, target, token?) of {trigger}")


def placeholders(subject: Subject) -> str:
    """Scheduler fills its placeholders in: the trigger's identity is the schedule's ARN and the time it was due."""
    group = subject.log_group()
    schedule, due = new_schedule(subject, new_target(subject))
    lines = until(lambda: subject.sent(schedule, group), SCHEDULED_SECONDS)
    identities = sorted({str(line["trigger"]) for line in lines})
    wrong = f"due {due}, the log of {group} has as identities of {schedule}: {identities}"
    require(identities == [f"{schedule}|{due}"], wrong)
    return f"identity {identities[0]}"


def dead_letters(subject: Subject) -> str:
    """What Scheduler cannot deliver is a dead letter; SQS moves it to the Submissions queue, and it is handled there."""
    group, queue = subject.log_group(), DeadLetterQueue.of(subject.stack)
    arn_of_nothing = subject.stack.output("BackupFunctionArn") + NO_ALIAS
    retry = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    schedule, due = new_schedule(subject, new_target(subject), Arn=arn_of_nothing, RetryPolicy=retry)
    error = until(lambda: _letter(queue, schedule), SCHEDULED_SECONDS)
    require(error, f"there is no dead letter of {schedule}, which could not be delivered at {due}")
    task = move(queue)
    status, reason = task.get("Status"), task.get("FailureReason", "no reason is given")
    require(status == "COMPLETED", f"SQS's move ended as {status}: {reason}")
    require_sent(subject, schedule, group, REDELIVERED_SECONDS)
    return f"kept as {error}; {task.get('ApproximateNumberOfMessagesMoved', 0)} moved and handled"


def _letter(queue: DeadLetterQueue, schedule: str) -> str:
    """Return what the letter of a schedule says went wrong; empty where there is none."""
    with queue.held() as held:
        return next((letter.error for letter in held if schedule in letter.trigger), "")


def killed_run(subject: Subject) -> str:
    """A run that fails before it has sent a message reaches the queue by the on-failure destination, and is resumed."""
    client, name, group = subject.client("lambda"), subject.stack.output(BACKUP), subject.log_group()
    event = json.dumps({"target": new_target(subject)})
    # The product's own code never runs, so that nothing but the destination can have kept the trigger.
    with reconfigured(subject, Handler=NO_HANDLER):
        answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=event)
        request = answer["ResponseMetadata"]["RequestId"]
        ended = until(lambda: subject.log(f'"{request}" "REPORT"', group), SCHEDULED_SECONDS)
    require(ended, f"the run {request} did not end, or its log did not arrive")

    def resumed() -> list[dict[str, Any]]:
        return [line for line in subject.sent(request, group) if line.get("function_request_id") != request]

    require(until(resumed, REDELIVERED_SECONDS), f"the run {request} failed, and none resumed its trigger")
    return f"run {request} failed before it began, and its trigger was resumed from the queue"


@contextmanager
def reconfigured(subject: Subject, variables: Mapping[str, str] | None = None, **changed: Any) -> Iterator[None]:
    """Give the Backup function other settings and more variables, and afterwards its own settings again."""
    client, name = subject.client("lambda"), subject.stack.output(BACKUP)
    found = client.get_function_configuration(FunctionName=name)
    environment = found.get("Environment", {"Variables": {}})
    own = {
        "Handler": found["Handler"],
        "Layers": [layer["Arn"] for layer in found.get("Layers", ())],
        "Environment": environment,
    }
    if variables:
        changed["Environment"] = {"Variables": environment["Variables"] | variables}

    def put(settings: Mapping[str, Any]) -> None:
        client.update_function_configuration(FunctionName=name, **settings)
        client.get_waiter("function_updated").wait(FunctionName=name)

    try:
        put(changed)
        yield
    finally:
        put({setting: own[setting] for setting in changed})


def compare_and_set(subject: Subject) -> str:
    """Secrets Manager moves AWSCURRENT only from the version that has it: a token that a person stored wins."""
    client, secret = subject.client("secretsmanager"), subject.secret

    def put(stage: str) -> str:
        value = f"{MADE_UP}{uuid.uuid4().hex}"
        return str(client.put_secret_value(SecretId=secret, SecretString=value, VersionStages=[stage])["VersionId"])

    def move(version: str, before: str) -> None:
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=before
        )

    def is_read() -> bool:
        return bool(client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["VersionId"] == renewed)

    read, current, renewed = put("AWSCURRENT"), put("AWSCURRENT"), put("RENEWED")
    with suppress(client.exceptions.InvalidParameterException):
        move(renewed, read)
        raise CannotRun("AWSCURRENT was moved from a version that no longer had it")
    move(renewed, current)
    require(until(is_read, STALE_SECONDS), "AWSCURRENT was moved, and is read from another version")
    return "refused from the version before, done from the current one"


def member_event(subject: Subject) -> str:
    """RDS reports the restart of a member's database, and the hub gets the event by the members' bus."""
    subject.given("OrganizationId")
    if not (member := subject.member):
        raise Later("no database of a member is named: --member-database, --member-profile")
    rds, group = member.session.client("rds"), subject.log_group()
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=member.name)["DBInstances"]
    arn, status = found["DBInstanceArn"], found["DBInstanceStatus"]
    require((arn, status) == (member.database, "available"), f"{arn} is {status}, and was not restarted")
    rds.reboot_db_instance(DBInstanceIdentifier=member.name)
    # An event that selects no target is logged with the reason, which names the database too.
    require(
        until(lambda: subject.log(f'"{arn}"', group), FORWARDED_SECONDS),
        f"{arn} was restarted, and the log of {group} has no event of it. Check RdsEventIds here and there "
        "(RDS-EVENT-0006), MembersBusArn there, and the queue of undelivered events",
    )
    return f"{arn} was restarted, and the hub got the event"
