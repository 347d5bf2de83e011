"""The package as `sam build` makes it: nothing unused, and all that a call to AWS needs.

That other machines make the same bytes is shown by `test_machines.py`, its size and one package for all functions by
`test_package.py`.
"""

import ast
import importlib.util
import marshal
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader

from local import locks
from local.stack import build
from local.tools import ROOT

_spec = importlib.util.spec_from_file_location("trim", ROOT / "src" / "trim.py")
assert _spec is not None
assert _spec.loader is not None
trim = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trim)

OPERATIONS: dict[str, set[str]] = trim.OPERATIONS
CALLS = [(service, operation) for service in sorted(OPERATIONS) for operation in sorted(OPERATIONS[service])]
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


def session_of(package: Path | None) -> Any:
    """Return a session of the SDK that knows what a package knows, or all, without the extras that the build leaves out."""
    session, extra = botocore.session.get_session(), [str(package / "botocore" / "data")] if package else None
    loader = Loader(extra, include_default_search_paths=not package, include_default_extras=False)
    session.register_component("data_loader", loader)
    return session


def described(shape: Any, known: frozenset[str] = frozenset()) -> Any:
    """Return a shape with all shapes within it, but for those that hold themselves."""
    if shape is None or shape.name in known:
        return shape and shape.name
    within = [
        *getattr(shape, "members", {}).items(),
        *((part, getattr(shape, part, None)) for part in ("member", "key", "value")),
    ]
    return (
        shape.type_name,
        [(name, described(part, known | {shape.name})) for name, part in within],
        shape.serialization,
    )


def test_it_knows_every_call_as_the_whole_sdk_does(package: Path) -> None:
    found = []
    for session in (session_of(package), session_of(None)):
        calls = {}
        for service, operation in CALLS:
            model = session.get_service_model(service).operation_model(operation)
            shapes = (model.input_shape, model.output_shape, *model.error_shapes)
            client = session.create_client(service, "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
            paginates = client.can_paginate(xform_name(operation))
            calls[service, operation] = (paginates, model.http, list(map(described, shapes)))
        found.append(calls)
    assert found[0] == found[1]


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
    """Those of a client's `meta`, and those that rules give its requests."""
    whole, small = botocore.session.get_session(), session_of(package)
    partitions = whole.get_available_partitions()
    assert small.get_available_partitions() == partitions
    regions = [region for part in partitions for region in whole.get_available_regions("sqs", part)]
    assert len(regions) > 30

    def endpoints(session: Any) -> list[tuple[Any, str]]:
        loader, resolver = session.get_component("data_loader"), session._get_internal_component("endpoint_resolver")
        places, found = loader.load_data("partitions"), list[tuple[Any, str]]()
        for service in OPERATIONS:
            rules = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), places)
            found += [
                (resolver.construct_endpoint(service, region), rules.resolve_endpoint(Region=region).url)
                for region in regions
            ]
        return found

    assert endpoints(small) == endpoints(whole)
