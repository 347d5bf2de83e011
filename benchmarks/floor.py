"""The floor: a function that imports only boto3 and urllib3, makes the product's clients, and makes the calls of its event.

It is packaged by itself (`packages.py`), so it imports nothing of the project.
"""

import os
import ssl
from typing import Any

import boto3
import urllib3

CLIENTS = {name: boto3.client(name) for name in ("dynamodb", "secretsmanager", "sns", "sqs", "ssm")}
POOL: list[urllib3.PoolManager] = []


def lambda_handler(event: dict[str, Any], _context: object) -> None:
    """Make the event's calls in their order: to AWS `[service, method, parameters]`, to Commvault `["http", …]`."""
    for service, method, parameters in event["calls"]:
        if service == "http":
            _send(method, **parameters)
        else:
            getattr(CLIENTS[service], method)(**parameters)


def _send(method: str, url: str, headers: dict[str, str], body: str) -> None:
    if not POOL:
        context = ssl.create_default_context(cafile=os.environ["CA_FILE"])
        POOL.append(urllib3.PoolManager(ssl_context=context, retries=False))
    response = POOL[0].request(method, url, body=body.encode(), headers=headers)
    if response.status != 200:
        raise RuntimeError(response.data)
