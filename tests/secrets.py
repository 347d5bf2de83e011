"""Secrets Manager at the wire, in memory: for tests of what needs a token and is not about AWS."""

import json
from functools import cache
from io import BytesIO
from itertools import count
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from rds_snap_backup.commvault.credentials import Credentials
from rds_snap_backup.commvault.secret import Secret
from tests.support import ACCOUNT, REGION

VALUES: dict[str, str] = {}
NUMBERS = count(1)


class StoredSecret:
    """A secret; `value` may change at any time."""

    def __init__(self, value: str) -> None:
        self.arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:token-{next(NUMBERS)}"
        self.value = value

    @property
    def value(self) -> str:
        return VALUES[self.arn]

    @value.setter
    def value(self, value: str) -> None:
        VALUES[self.arn] = value

    def credentials(self) -> Credentials:
        """Return credentials that read it, with a cache of their own."""
        return Credentials(Secret(self.arn, _client()), "test")


@cache
def _client() -> Any:
    client = boto3.client("secretsmanager")

    def answer(request: Any, **_: Any) -> Any:
        arn = json.loads(request.body)["SecretId"]
        response: Any = AWSResponse(request.url, 200, HTTPHeaders(), BytesIO())
        response._content = json.dumps({"ARN": arn, "SecretString": VALUES[arn]}).encode()
        return response

    client.meta.events.register("before-send.secrets-manager.GetSecretValue", answer)
    return client
