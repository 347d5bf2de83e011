"""The package as `sam build` makes it: small, and complete for every call it makes to AWS.

That other machines make the same bytes is shown by `test_machines.py`.
"""

import ast
import importlib.util
import io
import json
import marshal
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.loaders import Loader

from local import locks
from local.emulator import Emulator
from local.runtime import Runtime
from local.stack import build
from local.tools import ROOT
from tests.integration.machines import contents
from tests.ledger import create_ledger
from tests.support import ENVIRONMENT

_spec = importlib.util.spec_from_file_location("trim", ROOT / "src" / "trim.py")
assert _spec is not None
assert _spec.loader is not None
trim = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trim)

OPERATIONS: dict[str, set[str]] = trim.OPERATIONS
PAGINATED = {
    *("DescribeDBClusters", "DescribeDBClusterSnapshots", "DescribeDBInstances", "DescribeDBSnapshots"),
    *("GetParametersByPath", "GetMetricData", "ListSchedules", "ListSubscriptionsByTopic", "Query"),
}
CALLS = [(service, operation) for service in sorted(OPERATIONS) for operation in sorted(OPERATIONS[service])]
ANYBODY = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
MAGIC_AND_FLAGS = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little")  # a hash, not checked


@pytest.fixture(scope="module")
def package() -> Path:
    return build() / "BackupFunction"


def test_all_functions_are_the_same_package(package: Path) -> None:
    functions = [path for path in package.parent.iterdir() if path.is_dir()]
    assert {path.name for path in functions} == {"BackupFunction", "AuditFunction"}
    assert [path.name for path in functions if contents(path) != contents(package)] == []


def test_it_is_small(package: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*")):
            archive.write(path, path.relative_to(package))
    assert len(zipped.getvalue()) < 4_000_000


def test_it_holds_nothing_unused(package: Path) -> None:
    files = [path.relative_to(package) for path in package.rglob("*") if path.is_file()]
    assert {path.parts[0] for path in files} == {
        *("rds_snap_backup", "aws_lambda_powertools", "boto3", "botocore", "dateutil", "jmespath", "s3transfer"),
        *("six.py", "typing_extensions.py", "urllib3", "__pycache__", "licenses"),
    }
    allowed = {".py", ".pyc", ".json", ".pem", ".txt"}
    used = [path for path in files if path.parts[0] != "licenses"]
    assert {path.suffix for path in used} <= allowed  # no shared object, so that any processor runs it
    assert {path.parts[2] for path in files if path.parts[:2] == ("botocore", "data")} == {
        *OPERATIONS,
        *("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"),
    }


def test_it_holds_the_licence_of_everything_in_it(package: Path) -> None:
    shipped = {pinned.name for pinned in locks.packages(locks.SHIPPED)}
    folders = {path.name: path for path in (package / "licenses").iterdir()}
    assert folders.keys() == shipped | {"rds-snap-backup"}
    for name, folder in folders.items():
        files = {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
        assert any(len(text) > 500 and "LICENSE" in file for file, text in files.items()), name
    assert (folders["boto3"] / "NOTICE").exists()
    assert (folders["rds-snap-backup"] / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_every_module_has_unchecked_bytecode(package: Path) -> None:
    modules = list(package.rglob("*.py"))
    assert len(modules) > 300
    for module in modules:
        compiled = Path(importlib.util.cache_from_source(str(module))).read_bytes()
        assert compiled.startswith(MAGIC_AND_FLAGS), module
        assert marshal.loads(compiled[16:]).co_filename == f"/var/task/{module.relative_to(package)}"


@pytest.fixture(scope="module")
def resources(aws: Emulator) -> dict[str, Any]:
    """What the calls below act on."""
    table = "build-ledger"
    create_ledger(aws.client("dynamodb"), table)
    secret = aws.client("secretsmanager").create_secret(Name="build-token", SecretString="canary")
    topic = aws.client("sns").create_topic(Name="build-notifications")["TopicArn"]
    queue = aws.client("sqs").create_queue(QueueName="build-queue")["QueueUrl"]
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    (message,) = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    aws.client("s3").create_bucket(Bucket="build-audits")
    aws.client("s3").put_object(Bucket="build-audits", Key="there", Body=b"{}")
    aws.client("ssm").put_parameter(Name="/build/targets/default", Value="{}", Type="String")
    role = aws.client("iam").create_role(
        RoleName="build", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [ANYBODY]})
    )["Role"]["Arn"]
    found = {"table": table, "topic": topic, "queue": queue, "receipt": message["ReceiptHandle"], "role": role}
    return {**found, "secret": secret["ARN"], "version": secret["VersionId"]}


@pytest.fixture(scope="module")
def probe(aws: Emulator, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The built package and the probe, in the Lambda runtime."""
    folder = tmp_path_factory.mktemp("probe") / "package"
    shutil.copytree(package, folder)
    shutil.copy(Path(__file__).parent / "probe.py", folder)
    with Runtime(folder, "probe.handler", aws.environment) as runtime:
        yield runtime


def arguments(service: str, operation: str, resources: dict[str, Any]) -> dict[str, Any]:
    """Arguments in the shapes that the functions use."""
    table, queue = resources["table"], resources["queue"]
    key = {"pk": {"S": "item"}}
    update = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET #a = :a",
        "ExpressionAttributeNames": {"#a": "a"},
        "ExpressionAttributeValues": {":a": {"N": "1"}},
    }
    match service, operation:
        case "dynamodb", "BatchGetItem":
            return {"RequestItems": {table: {"Keys": [key], "ConsistentRead": True}}}
        case "dynamodb", "UpdateItem":
            return update | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        case "dynamodb", "TransactWriteItems":
            check = {
                "TableName": table,
                "Key": {"pk": {"S": "none"}},
                "ConditionExpression": "attribute_not_exists(pk)",
            }
            return {"TransactItems": [{"Update": update}, {"ConditionCheck": check}]}
        case "dynamodb", "Query":
            names, values = {"#hash": "open"}, {":hash": {"S": "yes"}}
            index = {"IndexName": "open-submissions", "KeyConditionExpression": "#hash = :hash"}
            return {"TableName": table, **index, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        case "secretsmanager", "PutSecretValue":
            stored = {"SecretString": "{}", "VersionStages": ["BUILD"], "ClientRequestToken": str(uuid.uuid4())}
            return {"SecretId": resources["secret"]} | stored
        case "secretsmanager", "UpdateSecretVersionStage":
            moved = {"VersionStage": "AWSCURRENT", "MoveToVersionId": resources["version"]}
            return {"SecretId": resources["secret"], "RemoveFromVersionId": resources["version"]} | moved
        case "secretsmanager", _:
            return {"SecretId": resources["secret"]}
        case "rds", "DescribeAccountAttributes":
            return {}
        case "rds", "DescribeDBSnapshots":
            return {"SnapshotType": "manual", "Filters": [{"Name": "db-snapshot-id", "Values": ["a", "b"]}]}
        case "cloudwatch", "GetMetricData":
            metric = {"Namespace": "RdsSnapBackup", "MetricName": "BackupSubmitted", "Dimensions": []}
            query = {"Id": "m0", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
            span = {"StartTime": "2026-01-30T02:00:00Z", "EndTime": "2026-01-31T02:00:00Z"}
            return {"MetricDataQueries": [query], **span}
        case "s3", "GetObject":
            return {"Bucket": "build-audits", "Key": "there"}
        case "s3", "PutObject":
            once = {"IfNoneMatch": "*", "ChecksumAlgorithm": "SHA256", "ContentType": "application/json"}
            return {"Bucket": "build-audits", "Key": str(uuid.uuid4()), "Body": "{}", **once}
        case "scheduler", _:
            return {"GroupName": "default"}
        case "rds", _:
            return {"MaxRecords": 100}
        case "sns", "ListSubscriptionsByTopic":
            return {"TopicArn": resources["topic"]}
        case "sns", _:
            attributes = {"status": {"DataType": "String", "StringValue": "submitted"}}
            text = {"Message": '{"default": "{}"}', "MessageStructure": "json", "Subject": "s"}
            return {"TopicArn": resources["topic"], "MessageAttributes": attributes} | text
        case "sqs", "ChangeMessageVisibilityBatch":
            entry = {"Id": "1", "ReceiptHandle": resources["receipt"], "VisibilityTimeout": 5}
            return {"QueueUrl": queue, "Entries": [entry]}
        case "sqs", "GetQueueUrl":
            return {"QueueName": "build-queue"}
        case "sqs", "GetQueueAttributes":
            return {"QueueUrl": queue, "AttributeNames": ["ApproximateNumberOfMessages"]}
        case "sts", _:
            return {"RoleArn": resources["role"], "RoleSessionName": "build", "DurationSeconds": 900}
        case "sqs", "SendMessage":
            return {"QueueUrl": queue, "MessageBody": "{}", "DelaySeconds": 1}
        case "sqs", "SendMessageBatch":
            return {"QueueUrl": queue, "Entries": [{"Id": "1", "MessageBody": "{}"}]}
        case "ssm", "GetParametersByPath":
            return {"Path": "/build/targets/", "Recursive": False, "WithDecryption": False}
        case "ssm", "GetParameter":
            return {"Name": "/build/targets/default"}
    raise AssertionError(f"Give {service} {operation} arguments here")


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_it_makes_every_call(service: str, operation: str, probe: Runtime, resources: dict[str, Any]) -> None:
    event = {
        "service": service,
        "method": xform_name(operation),
        "arguments": arguments(service, operation, resources),
    }
    response = probe.invoke(event)
    assert response.error is None, probe.output
    assert response.payload["sdk"] == str(probe.package / "boto3")
    assert "ResponseMetadata" in response.payload["answer"]
    assert response.payload["paginates"] is (operation in PAGINATED)


def test_the_code_makes_no_other_call() -> None:
    """Calls by their names in the source, and those that Powertools' providers make in its name."""
    session = botocore.session.get_session()
    models = {service: session.get_service_model(service) for service in OPERATIONS}
    methods = {xform_name(name): name for model in models.values() for name in model.operation_names}
    called = {
        node.attr
        for path in (ROOT / "src" / "rds_snap_backup").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in methods and "client" in ast.unparse(node.value)
    }
    kept = {operation for operations in OPERATIONS.values() for operation in operations}
    assert "transact_write_items" in called
    assert {methods[name] for name in called} <= kept


def test_it_finds_every_endpoint_that_the_whole_sdk_finds(package: Path) -> None:
    whole, small = botocore.session.get_session(), botocore.session.get_session()
    small.register_component(
        "data_loader",
        Loader(extra_search_paths=[str(package / "botocore" / "data")], include_default_search_paths=False),
    )
    partitions = whole.get_available_partitions()
    assert small.get_available_partitions() == partitions
    regions = [region for part in partitions for region in whole.get_available_regions("sqs", part)]
    assert len(regions) > 30

    def endpoints(session: Any) -> dict[tuple[str, str], str]:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        clients = {
            (service, region): session.create_client(service, region, **keys)
            for service in OPERATIONS
            for region in regions
        }
        return {key: client.meta.endpoint_url for key, client in clients.items()}

    assert endpoints(small) == endpoints(whole)


@pytest.mark.parametrize("entry", ["backup", "audit"])
def test_an_entry_starts(entry: str, package: Path, aws: Emulator, resources: dict[str, Any]) -> None:
    """Init, with every import and client, and the first event: one that is refused."""
    environment = ENVIRONMENT | aws.environment | {"DEAD_LETTER_QUEUE_URL": resources["queue"]}
    with Runtime(package, f"rds_snap_backup.{entry}.handler.lambda_handler", environment) as function:
        response = function.invoke({})
        assert response.init_ms is not None
        assert "EVENT_UNKNOWN" in str(response.payload), function.output
        assert "ImportModuleError" not in function.output
