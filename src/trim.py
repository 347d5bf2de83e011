"""Cuts an installed package down to what the functions use: part of the build (`src/Makefile`), never shipped.

It runs on any Python from 3.8 on.

Every call that the functions make to AWS is listed here, and nowhere else. `tests/integration/test_build.py` compares each of
them in the built package with the whole SDK's: a call that is missing here fails there and not in a deployment.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

OPERATIONS = {
    "cloudwatch": {"GetMetricData"},
    "dynamodb": {"BatchGetItem", "Query", "TransactWriteItems", "UpdateItem"},
    "rds": {
        "DescribeAccountAttributes",
        "DescribeDBClusters",
        "DescribeDBClusterSnapshots",
        "DescribeDBInstances",
        "DescribeDBSnapshots",
    },
    "s3": {"GetObject", "PutObject"},
    "scheduler": {"ListSchedules"},
    "secretsmanager": {"GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"},
    "sns": {"ListSubscriptionsByTopic", "Publish"},
    "sqs": {"ChangeMessageVisibilityBatch", "GetQueueAttributes", "GetQueueUrl", "SendMessage", "SendMessageBatch"},
    "ssm": {"GetParameter", "GetParametersByPath"},
    "sts": {"AssumeRole"},
}

# A package's licence and notices, in its `*.dist-info`, or below that in `licenses/`.
LICENCES = ("LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*", "licenses/**/*")

# Nothing imports or reads these; globs below the package. Powertools' event handler alone holds a web interface.
UNUSED = [
    "*.dist-info",
    "bin",
    "boto3/data",
    "boto3/examples",
    "botocore/data/*/*/examples-1.json*",
    "botocore/data/*/*/waiters-2.json*",
    # They add members to shapes that the smaller model does not have.
    "botocore/data/*/*/*.sdk-extras.json",
    "dateutil/zoneinfo",
    "urllib3/contrib/emscripten",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/metrics/provider/datadog",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in ("data_masking", "feature_flags", "idempotency", "kafka", "parser", "streaming", "validation")
    ),
    "**/*.pyi",
    "**/py.typed",
    "**/__pycache__",
    "**/.DS_Store",
]


def trim(package: Path) -> None:
    """Cut the installed `package` down in place."""
    keep_licences(package)
    for pattern in UNUSED:
        for path in list(package.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = package / "botocore" / "data"
    for service in data.iterdir():
        if service.is_dir() and service.name not in OPERATIONS:
            shutil.rmtree(service)
    for name, operations in OPERATIONS.items():
        versions = sorted(version for version in (data / name).iterdir())
        for old in versions[:-1]:  # botocore takes the newest
            shutil.rmtree(old)
        rewrite(versions[-1] / "service-2.json.gz", lambda model, keep=operations: smaller_model(model, keep))
        rewrite(versions[-1] / "paginators-1.json", lambda pages, keep=operations: smaller_pages(pages, keep))
        rewrite(versions[-1] / "endpoint-rule-set-1.json.gz", lambda rules: rules)
    rewrite(data / "endpoints.json", smaller_endpoints)


def keep_licences(package: Path) -> None:
    """Copy each licence to `licenses/NAME/`: whoever passes a package on passes its licence on."""
    for info in package.glob("*.dist-info"):
        kept = package / "licenses" / info.name.split("-")[0].replace("_", "-").lower()
        for path in [path for pattern in LICENCES for path in info.glob(pattern) if path.is_file()]:
            target = kept / path.relative_to(info / "licenses" if (info / "licenses") in path.parents else info)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def rewrite(path: Path, change: Any) -> None:
    """Replace a JSON file, zipped or not, by what `change` makes of it, unzipped: Lambda unzips the package once."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.unlink()
    target = path.with_suffix("") if path.suffix == ".gz" else path
    target.write_text(json.dumps(change(json.loads(raw)), separators=(",", ":"), sort_keys=False), encoding="utf-8")


def smaller_model(model: dict[str, Any], operations: set[str]) -> dict[str, Any]:
    """Keep `operations` of a service's model, the shapes that they reach, and no documentation."""
    kept = {name: model["operations"][name] for name in sorted(operations)}
    reached: dict[str, Any] = {}
    waiting = [reference["shape"] for operation in kept.values() for reference in references(operation)]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = model["shapes"][name]
            waiting += [reference["shape"] for reference in references(reached[name])]
    shapes = {name: shape for name, shape in model["shapes"].items() if name in reached}
    small: dict[str, Any] = undocumented({**model, "operations": kept, "shapes": shapes})
    # The SDK reads the documentation of these.
    options = model.get("clientContextParams")
    return {**small, "clientContextParams": options} if options else small


def references(part: Any) -> list[dict[str, str]]:
    """Every reference to a shape within a part of a model: an object whose `shape` is a name."""
    if isinstance(part, list):
        return [found for item in part for found in references(item)]
    if not isinstance(part, dict):
        return []
    own = [part] if isinstance(part.get("shape"), str) else []
    return own + [found for item in part.values() for found in references(item)]


def undocumented(part: Any) -> Any:
    """Drop documentation texts; a member that happens to be called `documentation` is an object and stays."""
    if isinstance(part, list):
        return [undocumented(item) for item in part]
    if not isinstance(part, dict):
        return part
    texts = {"documentation", "documentationUrl"}
    return {key: undocumented(value) for key, value in part.items() if not (key in texts and isinstance(value, str))}


def smaller_pages(pages: dict[str, Any], operations: set[str]) -> dict[str, Any]:
    """Keep the paginators of `operations`."""
    return {"pagination": {name: page for name, page in pages["pagination"].items() if name in operations}}


def smaller_endpoints(endpoints: dict[str, Any]) -> dict[str, Any]:
    """Keep every partition and region, and of the services those used."""
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in OPERATIONS}
    return endpoints


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
