"""The function's entry: requests to its URL reach the simulator, and whoever may invoke it can steer the simulator.

Jobs are kept in the sandbox's memory. The function has a reserved concurrency of 1, so that one sandbox sees every request;
every answer to a control names it, since Lambda may replace it.
"""

import base64
import json
import secrets
from http.client import HTTPConnection
from threading import Thread
from typing import Any
from urllib.parse import quote, unquote

from local.commserve.control.controls import Controls
from local.commserve.control.endpoint import CONTROL, READINGS, answer_control
from local.commserve.state import State
from local.commserve.wire import HttpsServer

HOST = "127.0.0.1"
# Headers of one connection, which http.client and Lambda set themselves.
OF_CONNECTION = {"connection", "content-length", "host", "transfer-encoding"}
SECONDS = 60


class Simulator(Controls):
    """The controls of the sandbox's simulator."""

    ca_pem = ""
    url = ""


# Until a control sets another one, nobody knows the token.
SIMULATOR = Simulator(State(secrets.token_urlsafe(), {}, job_seconds=2.0, clock=None))
SERVER = HttpsServer((HOST, 0), None, SIMULATOR.state, SIMULATOR.faults, SIMULATOR)
Thread(target=SERVER.serve_forever, daemon=True).start()


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a request to the function URL, or `{"control": NAME, "parameters": {…}}` of a caller with IAM's permission."""
    if "requestContext" in event:
        return _forward(event)
    name, body = event["control"], json.dumps(event["parameters"]).encode()
    answer = answer_control(SIMULATOR, "GET" if name in READINGS else "POST", CONTROL + name, "", body)
    return {"sandbox": context.log_stream_name, "status": int(answer.status), "value": answer.value}


def _forward(event: dict[str, Any]) -> dict[str, Any]:
    """Send a request on to the simulator. A cut connection raises, and the URL answers 502."""
    path, query = event["rawPath"], event.get("rawQueryString")
    if CONTROL.strip("/") in unquote(path).lower():
        return {"statusCode": 403}
    body = event.get("body") or ""
    connection = HTTPConnection(HOST, SERVER.server_port, timeout=SECONDS)
    try:
        connection.request(
            event["requestContext"]["http"]["method"],
            quote(path, safe="/%()'=,:") + (f"?{query}" if query else ""),
            base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
            {name: value for name, value in event["headers"].items() if name.lower() not in OF_CONNECTION},
        )
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    headers = {name: value for name, value in response.getheaders() if name.lower() not in OF_CONNECTION}
    text = base64.b64encode(content).decode()
    return {"statusCode": response.status, "headers": headers, "body": text, "isBase64Encoded": True}
