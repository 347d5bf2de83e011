"""The product deployed to the emulator: the real template through the real `sam build` and `sam deploy`.

Tests and the demo act on it as its users do, through AWS's APIs. What the emulator cannot do is worked around here and
nowhere else, so that the template needs no workaround.
"""

import functools
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local.emulator import Emulator
from local.package import shared, with_code, zipped
from local.sam import DeployError, build, sam
from local.subscriber import Subscriber
from local.tools import ROOT

__all__ = [
    "ENOUGH",
    "DeployError",
    "InvokeError",
    "Stack",
    "apply_template",
    "build",
    "deploy",
    "deploy_directly",
    "deployed",
    "put_event",
]

# A schedule that fires when it is set to.
NEVER = "at(2199-12-31T00:00:00)"
ENOUGH = {
    "CommvaultApiUrl": "https://127.0.0.1:9/commandcenter/api",
    "ClientName": "aws-prod",
    "InstanceName": "RDS",
    "SubclientName": "nightly",
}
BUCKET = "rds-snap-backup-packages"
# The daily audit would publish a message among those that a test counts.
UNLESS_GIVEN = {"AuditScheduleExpression": "off"}


class InvokeError(RuntimeError):
    """The function raised, or was killed; the message holds Lambda's error."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack and what its users do with it."""

    aws: Emulator
    name: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    def set_token(self, value: str) -> None:
        """Store the Authtoken, or any other text, in the secret."""
        secrets = self.aws.client("secretsmanager")
        secrets.put_secret_value(SecretId=self.outputs["TokenSecretArn"], SecretString=value)

    def put_target(self, name: str, document: Mapping[str, Any] | str) -> None:
        """Add or replace a target: an object, or any text, which need not be JSON."""
        value = document if isinstance(document, str) else json.dumps(document)
        path = self.outputs["TargetsPath"] + name
        self.aws.client("ssm").put_parameter(Name=path, Value=value, Type="String", Overwrite=True)

    def put_event(self, event: Mapping[str, Any], bus: str = "default") -> None:
        """Put an event, as in `events/`, on the bus; the bus gives it another ID."""
        put_event(self.aws.client("events"), event, bus)

    def invoke(self, event: Any, function: str = "BackupFunctionName") -> Any:
        """Invoke a function, named by its output, wait, and return what it returned."""
        answer = self.aws.client("lambda").invoke(FunctionName=self.outputs[function], Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read() or "null")
        if "FunctionError" in answer:
            raise InvokeError(f"{answer['FunctionError']}: {payload}")
        return payload

    def invoke_asynchronously(self, event: Any, function: str = "BackupFunctionName") -> None:
        """Hand an event to a function's asynchronous queue, as EventBridge does."""
        client = self.aws.client("lambda")
        client.invoke(FunctionName=self.outputs[function], Payload=json.dumps(event), InvocationType="Event")

    def reschedule(self, due: datetime) -> None:
        """Change when the default target's schedule fires: a time that was set before deploying may pass meanwhile."""
        client, function = self.aws.client("scheduler"), self.outputs["BackupFunctionName"]
        schedules = client.list_schedules()["Schedules"]
        (ours,) = (listed for listed in schedules if listed["Target"]["Arn"].endswith(f":{function}"))
        schedule = client.get_schedule(Name=ours["Name"], GroupName=ours["GroupName"])
        kept = {name: schedule[name] for name in ("Name", "GroupName", "FlexibleTimeWindow", "Target", "State")}
        client.update_schedule(**kept, ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})")

    def send(self, body: Any, queue: str = "SubmissionsQueueUrl") -> None:
        """Send a message to a queue, named by its output."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.aws.client("sqs").send_message(QueueUrl=self.outputs[queue], MessageBody=text)

    def subscribe(self, filter_policy: Mapping[str, Any] | None = None) -> Subscriber:
        """Subscribe a new queue to the notifications."""
        return Subscriber.subscribe(self.aws, self.outputs["NotificationsTopicArn"], filter_policy)

    def messages(self, queue: str) -> list[Mapping[str, Any]]:
        """Return every message on a queue, invisible ones too, without receiving any.

        Each has at least `Body`, `ReceiveCount`, `IsVisible` and `VisibleAt`.
        """
        query = urllib.parse.urlencode({"QueueUrl": self.outputs[queue]})
        with urllib.request.urlopen(f"{self.aws.endpoint_url}/_ministack/sqs/messages?{query}", timeout=10) as answer:
            accounts = json.load(answer)["messages"]
        return [
            message
            for regions in accounts.values()
            for queues in regions.values()
            for waiting in queues.values()
            for message in waiting
        ]

    def dead_letters(self) -> list[Any]:
        """Return the bodies of the dead letters, parsed where they are JSON."""
        return [_parsed(message["Body"]) for message in self.messages("DeadLetterQueueUrl")]

    def logs(self, function: str = "BackupFunctionName") -> list[str]:
        """Return every line that a function logged, oldest first."""
        configuration = self.aws.client("lambda").get_function_configuration(FunctionName=self.outputs[function])
        client = self.aws.client("logs")
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=configuration["LoggingConfig"]["LogGroup"]
        )
        try:
            events = [event for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]

    def ledger(self) -> list[Mapping[str, Any]]:
        """Return the ledger's items, in DynamoDB's own notation."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["LedgerTableName"])
        return [item for page in pages for item in page["Items"]]


def put_event(client: Any, event: Mapping[str, Any], bus: str = "default") -> None:
    """Put an event, as in `events/`, on a bus; `client` is one of EventBridge."""
    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Resources": event.get("resources", []),
        "EventBusName": bus,
    }
    if "time" in event:
        entry["Time"] = datetime.fromisoformat(event["time"])
    answer = client.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise DeployError(f"The bus refused the event: {answer['Entries']}")


def deploy(aws: Emulator, name: str, parameters: Mapping[str, str] | None = None, *, root: Path = ROOT) -> Stack:
    """Build if necessary, deploy to the emulator (again: updates) and return the stack.

    `parameters` add to, and override, those that the template requires (`ENOUGH`) and what differs here (`UNLESS_GIVEN`).
    """
    template = build(root) / "template.json"
    aws.client("s3").create_bucket(Bucket=BUCKET)
    chosen = ENOUGH | UNLESS_GIVEN | dict(parameters or {})
    given = ["--template-file", str(template), "--stack-name", name, "--s3-bucket", BUCKET, "--config-env", "none"]
    answers = ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"]
    overrides = [f'{key}="{value}"' for key, value in chosen.items() if value != ""]
    sam(
        "deploy",
        *given,
        *answers,
        "--capabilities",
        "CAPABILITY_IAM",
        "--parameter-overrides",
        *overrides,
        root=root,
        environment=aws.environment | {"SAM_CLI_POLL_DELAY": "0.1"},
    )
    return deployed(aws, name, chosen)


def deploy_directly(aws: Emulator, name: str, parameters: Mapping[str, str] | None = None) -> Stack:
    """Deploy as `deploy` does, but without SAM, which takes seconds."""
    chosen = ENOUGH | UNLESS_GIVEN | dict(parameters or {})
    given = {key: value for key, value in chosen.items() if value != ""}
    apply_template(aws, name, {"TemplateURL": _upload(aws)}, given)
    return deployed(aws, name, chosen)


@functools.cache
def _upload(aws: Emulator) -> str:
    """Build if necessary, upload functions and template to the emulator, and return the template's URL."""
    built, client = build(), aws.client("s3")
    template = json.loads((built / "template.json").read_text())
    code = {"Bucket": BUCKET, "Key": "functions.zip"}
    client.create_bucket(Bucket=BUCKET)
    client.put_object(**code, Body=zipped(shared(built, template)))
    client.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(with_code(template, code)))
    return f"{aws.endpoint_url}/{BUCKET}/template.json"


def deployed(aws: Emulator, name: str, parameters: Mapping[str, str]) -> Stack:
    """Return a stack that was deployed to the emulator by any tool, with `parameters`."""
    stack = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    _fix_policies(aws)
    return Stack(aws, name, parameters, outputs)


def apply_template(
    aws: Emulator, name: str, template: str | Mapping[str, str], parameters: Mapping[str, str]
) -> Mapping[str, str]:
    """Create or update a stack without SAM, wait, and return its resources' physical IDs by logical ones.

    `template` is its text, or CloudFormation's argument that says where it is.
    """
    client: Any = aws.client("cloudformation")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    exists = any(stack["StackName"] == name for stack in client.describe_stacks()["Stacks"])
    act, waiter = (
        (client.update_stack, "stack_update_complete") if exists else (client.create_stack, "stack_create_complete")
    )
    place = {"TemplateBody": template} if isinstance(template, str) else template
    act(StackName=name, **place, Parameters=given, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    client.get_waiter(waiter).wait(StackName=name, WaiterConfig={"Delay": 1})
    found = client.describe_stack_resources(StackName=name)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


def _fix_policies(aws: Emulator) -> None:
    """Allow calls that AWS authorises by their parts, and the emulator by actions or resources that AWS does not have."""
    calls = ["dynamodb:TransactWriteItems", "dynamodb:TransactGetItems", "ssm:GetParametersByPath"]
    calls += [f"sqs:{call}Batch" for call in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")]
    calls += [f"rds:DescribeDB{what}" for what in ("Instances", "Clusters", "Snapshots", "ClusterSnapshots")]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": calls, "Resource": "*"}]}
    client = aws.client("iam")
    for role in client.list_roles()["Roles"]:
        client.put_role_policy(RoleName=role["RoleName"], PolicyName="Emulated", PolicyDocument=json.dumps(document))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
