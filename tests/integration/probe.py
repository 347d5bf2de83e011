"""A handler that makes the AWS call that its event names; `test_build.py` runs it inside the built package."""

from pathlib import Path
from typing import Any

import boto3

SESSION: Any = boto3.Session()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Call `event["service"]`'s `event["method"]`; return the names in the answer, and where the SDK came from."""
    client = SESSION.client(event["service"])
    answer = getattr(client, event["method"])(**event["arguments"])
    paginates = client.can_paginate(event["method"])
    return {"answer": sorted(answer), "paginates": paginates, "sdk": str(Path(boto3.__file__).parent)}
