"""SQS, SNS, SSM, Secrets Manager and RDS in memory, as far as the function uses them."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tests.property.model.kernel import READ_FAULTS, Kernel

VISIBILITY_SECONDS = 90
STALE_SECONDS = 2.0
MAX_MESSAGE_BYTES = 256 * 1024


@dataclass(slots=True, eq=False)
class Message:
    """A message on a queue; `visible_at` is when it may be received next."""

    body: str
    visible_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receives: int = 0


class SQS:
    """Queues by their URL."""

    def __init__(self, kernel: Kernel, check: Callable[[str, str], None]) -> None:
        self.queues: dict[str, list[Message]] = {}
        self._kernel = kernel
        self._check = check
        self._receipts: dict[str, Message] = {}

    def put(self, url: str, body: str, delay: float = 0) -> None:
        """Put a message on a queue, by whoever may."""
        _limit(body, "SendMessage")
        self.queues.setdefault(url, []).append(Message(body, self._kernel.now + delay))

    def receive(self, url: str, message: Message) -> dict[str, Any]:
        """Return a message as the event source hands it over."""
        assert message in self.queues[url]
        message.receives += 1
        message.visible_at = self._kernel.now + VISIBILITY_SECONDS
        receipt = f"{message.id}/{message.receives}"
        self._receipts[receipt] = message
        return {
            "messageId": message.id,
            "receiptHandle": receipt,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
            "eventSource": "aws:sqs",
        }

    def delete(self, url: str, message: Message) -> None:
        """Delete a message that was handled; that may be lost, and the message comes once more."""
        if not self._kernel.fault("queue delete", ("lost",)) and message in self.queues[url]:
            self.queues[url].remove(message)

    def send_message(self, **call: Any) -> dict[str, Any]:
        delay = call.get("DelaySeconds", 0)
        assert 0 <= delay <= 900

        def act() -> None:
            self._check(call["QueueUrl"], call["MessageBody"])
            self.put(call["QueueUrl"], call["MessageBody"], delay)

        self._kernel.effect("queue send", act)
        return {"MessageId": "1"}

    def send_message_batch(self, **call: Any) -> dict[str, Any]:
        entries: list[dict[str, str]] = call["Entries"]
        is_partial = bool(self._kernel.fault("queue batch", ("partial",)))

        def act() -> dict[str, Any]:
            failed = entries[::2] if is_partial else []
            for entry in entries:
                if entry not in failed:
                    self.put(call["QueueUrl"], entry["MessageBody"])
            return {"Failed": [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in failed]}

        return self._kernel.effect("queue send", act)

    def change_message_visibility_batch(self, **call: Any) -> dict[str, Any]:
        assert 0 < len(call["Entries"]) <= 10

        def act() -> dict[str, Any]:
            failed = []
            for entry in call["Entries"]:
                message = self._receipts[entry["ReceiptHandle"]]
                if message in self.queues[call["QueueUrl"]]:
                    message.visible_at = self._kernel.now + entry["VisibilityTimeout"]
                else:
                    failed.append({"Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": True})
            return {"Failed": failed}

        return self._kernel.effect("queue visibility", act)


class SNS:
    """The topic. `messages` has what was published, `calls` how; `check` sees it."""

    def __init__(self, kernel: Kernel, check: Callable[[dict[str, Any]], None]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self._kernel = kernel
        self._check = check

    def publish(self, **call: Any) -> None:
        attributes = {name: value for name, value in call.items() if name.startswith("MessageAttributes")}
        _limit(call["Message"] + json.dumps(attributes), "Publish")
        assert 0 < len(call["Subject"]) < 100
        message = json.loads(json.loads(call["Message"])["default"])

        def act() -> None:
            self._check(message)
            self.messages.append(message)
            self.calls.append(call)

        self._kernel.effect("publish", act)


class SSM:
    """Parameters."""

    def __init__(self, kernel: Kernel, parameters: dict[str, str]) -> None:
        self.parameters = parameters
        self._kernel = kernel

    def get_parameter(self, **call: Any) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            if call["Name"] not in self.parameters:
                raise _refused("ParameterNotFound", "GetParameter")
            return {"Parameter": {"Value": self.parameters[call["Name"]]}}

        return self._kernel.effect("parameter", act, READ_FAULTS)

    def get_parameters_by_path(self, **call: Any) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            found = sorted(name for name in self.parameters if name.startswith(call["Path"]))
            first, date = int(call.get("NextToken", 0)), datetime.fromtimestamp(self._kernel.now, UTC)
            last = first + 10
            rows = [
                {"Name": name, "Value": self.parameters[name], "LastModifiedDate": date} for name in found[first:last]
            ]
            return {"Parameters": rows} | ({"NextToken": str(last)} if found[last:] else {})

        return self._kernel.effect("parameters", act, READ_FAULTS)


class RDS:
    """Databases by name: a status, or `denied` where RDS may not be asked; one that is missing is not known."""

    def __init__(self, kernel: Kernel) -> None:
        self.statuses: dict[str, str] = {}
        self.tags: dict[str, str] = {}  # of all databases
        self._kernel = kernel

    def describe_db_instances(self, **call: Any) -> dict[str, Any]:
        name = call["DBInstanceIdentifier"]

        def act() -> dict[str, Any]:
            match self.statuses.get(name):
                case None:
                    raise _refused("DBInstanceNotFound", "DescribeDBInstances")
                case "denied":
                    raise _refused("AccessDenied", "DescribeDBInstances")
                case status:
                    tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
                    row = {"DBInstanceIdentifier": name, "DBInstanceStatus": status, "TagList": tags}
                    return {"DBInstances": [row]}

        return self._kernel.effect("status", act, READ_FAULTS)


class SecretsManager:
    """One secret: its versions, and which of them has each label. A read right after a change may be as it was before."""

    def __init__(self, kernel: Kernel, value: str) -> None:
        self.versions: dict[str, tuple[str, float]] = {}
        self.labels: dict[str, str] = {}
        # What the secret's owner stores at any moment, where they do.
        self.owner: Callable[[], str] | None = None
        self._kernel = kernel
        self._before = ("", 0.0)
        self.value = value

    @property
    def value(self) -> str:
        """The current value; whoever sets it does as the secret's owner."""
        return self.versions[self.labels["AWSCURRENT"]][0]

    @value.setter
    def value(self, value: str) -> None:
        version = str(uuid.uuid4())
        self.versions[version] = value, self._kernel.now
        self._label("AWSCURRENT", version)

    def get_secret_value(self, **request: Any) -> dict[str, Any]:
        is_old = "VersionId" not in request and bool(self._kernel.fault("secret cached", ("shows the value before",)))

        def act() -> dict[str, Any]:
            version = request.get("VersionId", self.labels["AWSCURRENT"])
            if is_old and self._before[1] >= self._kernel.now - STALE_SECONDS:
                version = self._before[0]
            if version not in self.versions:
                raise _refused("ResourceNotFoundException", "GetSecretValue")
            value, created = self.versions[version]
            stages = [label for label, at in self.labels.items() if at == version]
            date = datetime.fromtimestamp(created, UTC)
            return {"SecretString": value, "VersionId": version, "VersionStages": stages, "CreatedDate": date}

        return self._kernel.effect("secret", act, READ_FAULTS)

    def put_secret_value(self, **request: Any) -> None:
        self._owner_stores()
        version, value = request["ClientRequestToken"], request["SecretString"]
        assert 32 <= len(version) <= 64

        def act() -> None:
            if self.versions.get(version, (value,))[0] != value:
                raise _refused("ResourceExistsException", "PutSecretValue")
            if version not in self.versions:
                self.versions[version] = value, self._kernel.now
                for label in request["VersionStages"]:
                    self._label(label, version)

        self._kernel.effect("secret write", act)

    def update_secret_version_stage(self, **request: Any) -> None:
        self._owner_stores()
        label, version = request["VersionStage"], request["MoveToVersionId"]

        def act() -> None:
            if self.labels.get(label) != request["RemoveFromVersionId"]:
                raise _refused("InvalidParameterException", "UpdateSecretVersionStage")
            self._label(label, version)

        self._kernel.effect("secret label", act)

    def _owner_stores(self) -> None:
        if self.owner and self._kernel.fault("owner", ("stores a pair",)):
            self.value = self.owner()

    def _label(self, label: str, version: str) -> None:
        if label == "AWSCURRENT":
            self._before = self.labels.get(label, version), self._kernel.now
        self.labels[label] = version


def _refused(code: str, operation: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}}
    return ClientError(response, operation)


def _limit(text: str, operation: str) -> None:
    """Refuse what is larger than SQS and SNS accept."""
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise _refused("InvalidParameter", operation)
