"""The package as `sam build` makes it: nothing unused, and complete for every call it makes to AWS.

That other machines make the same bytes is shown by `test_machines.py`, its size and one package for all functions by
`test_package.py`.
"""

import ast
import importlib.util
import json
import marshal
import shutil
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
from tests.integration.recording import Recorded
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
ONCE = (
    "ConditionalCheckFailedException",
    "InvalidParameterException",
    "TransactionCanceledException",
    "PreconditionFailed",
)
MAGIC_AND_FLAGS = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little")  # a hash, not checked


@pytest.fixture(scope="module")
def package() -> Path:
    return build() / "BackupFunction"


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
def probe(aws: Emulator, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The built package and the probe, in the Lambda runtime."""
    folder = tmp_path_factory.mktemp("probe") / "package"
    shutil.copytree(package, folder)
    shutil.copy(Path(__file__).parent / "probe.py", folder)
    with Runtime(folder, "probe.handler", aws.environment) as runtime:
        yield runtime


def arguments(aws: Emulator, recorded: Recorded, operation: str) -> dict[str, Any]:
    """Return the arguments of a function's call, or for those that are made in a member account such ones."""
    match operation:
        case "AssumeRole":
            trust = json.dumps({"Version": "2012-10-17", "Statement": [ANYBODY]})
            role = aws.client("iam").create_role(RoleName="build", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
            return {"RoleArn": role, "RoleSessionName": "build", "DurationSeconds": 900}
        case "GetQueueUrl" | "GetQueueAttributes":
            url = aws.client("sqs").create_queue(QueueName="build")["QueueUrl"]
            by_name = operation == "GetQueueUrl"
            return {"QueueName": "build"} if by_name else {"QueueUrl": url, "AttributeNames": ["All"]}
    calls = (call for calls in recorded.calls.values() for call in calls if call.operation == operation)
    return dict(next(calls).parameters)


@pytest.mark.xdist_group("recorded")
@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_it_makes_every_call(service: str, operation: str, probe: Runtime, aws: Emulator, recorded: Recorded) -> None:
    given = json.dumps(
        arguments(aws, recorded, operation),
        default=lambda value: value.decode() if isinstance(value, bytes) else str(value),
    )
    response = probe.invoke({"service": service, "method": xform_name(operation), "arguments": json.loads(given)})
    assert response.error is None, probe.output
    assert response.payload["sdk"] == str(probe.package / "boto3")
    # It was made before: what it was to change once, it does not change again.
    assert response.payload["refused"] in {"", *ONCE}
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
def test_an_entry_starts(entry: str, package: Path, aws: Emulator) -> None:
    """Init, with every import and client, and the first event: one that is refused."""
    queue = aws.client("sqs").create_queue(QueueName="build-letters")["QueueUrl"]
    environment = ENVIRONMENT | aws.environment | {"DEAD_LETTER_QUEUE_URL": queue}
    with Runtime(package, f"rds_snap_backup.{entry}.handler.lambda_handler", environment) as function:
        response = function.invoke({})
        assert response.init_ms is not None
        assert "EVENT_UNKNOWN" in str(response.payload), function.output
        assert "ImportModuleError" not in function.output
