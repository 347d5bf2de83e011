"""A handler that makes the AWS call that its event names; `test_build.py` runs it inside the built package."""

from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

SESSION: Any = boto3.Session()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Call `event["service"]`'s `event["method"]`; return the names in the answer, and where the SDK came from."""
    client, refused = SESSION.client(event["service"]), ""
    try:
        answer = getattr(client, event["method"])(**event["arguments"])
    except ClientError as error:
        answer, refused = error.response, error.response["Error"]["Code"]
    paginates = client.can_paginate(event["method"])
    found = {"answer": sorted(answer), "refused": refused, "paginates": paginates}
    return {**found, "sdk": str(Path(boto3.__file__).parent)}
