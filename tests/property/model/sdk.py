"""The SDK's own clients before the models: each request is checked and serialised as for AWS, and answered in memory."""

import json
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

from rds_snap_backup.bootstrap import SDK, Clients

NAMES = ("dynamodb", "rds", "secretsmanager", "sns", "sqs", "ssm")
# The models that answer now, by the name of their service.
MODELS: dict[str, Any] = {}


def clients(models: Mapping[str, Any]) -> Clients:
    """Return clients that these models answer; those before them answer no more."""
    MODELS.update(models)
    return _clients()


@cache
def _clients() -> Clients:
    session = boto3.Session()
    made = {name: session.client(name, config=SDK) for name in NAMES}
    for name, client in made.items():
        prefix = client.meta.service_model.service_id.hyphenize()

        def answer(*, model: Any, params: dict[str, Any], name: str = name, **_: Any) -> tuple[Any, dict[str, Any]]:
            body = params["body"]
            call = json.loads(body) if isinstance(body, bytes) else body
            try:
                reply = getattr(MODELS[name], xform_name(model.name))(**call)
            except ClientError as error:
                refusal: Any = error.response
                return SimpleNamespace(status_code=400), refusal
            return SimpleNamespace(status_code=200), reply or {}

        # Nothing is sent: evaluating the rules for endpoints would take a third of a call.
        client._ruleset_resolver = None
        client.meta.events.register_first(f"before-call.{prefix}", answer)
    lazy: dict[str, Any] = {name: lambda client=made[name]: client for name in ("rds", "sqs")}
    return Clients(**{**made, **lazy})
