"""The simulator as a Lambda function, in the package that is deployed: with Lambda's modules only."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.commserve_lambda.__main__ import pack
from tests.simulator.client import association, form

RUNTIME = """
import json, sys
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
sys.modules["trustme"] = sys.modules["urllib3"] = None
from local.commserve_lambda.handler import lambda_handler
for line in sys.stdin:
    try:
        print(json.dumps(lambda_handler(json.loads(line), SimpleNamespace(log_stream_name="one"))))
    except OSError:
        print(json.dumps({"statusCode": 502}))
"""
TOKEN = "fake-token-for-tests"


def control(name: str, /, **parameters: Any) -> dict[str, Any]:
    return {"control": name, "parameters": parameters}


def request(path: str, token: str = TOKEN, **more: Any) -> dict[str, Any]:
    headers = {"authtoken": token, "accept": "application/json", "host": "id.lambda-url.eu-west-1.on.aws"}
    http = {"method": "POST" if "body" in more else "GET"}
    return {"requestContext": {"http": http}, "rawPath": path, "headers": headers} | more


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("commserve") / "build")


def handle(package: Path, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Handle events one after the other in a new sandbox."""
    lines, runtime = "\n".join(map(json.dumps, events)), [sys.executable, "-I", "-c", RUNTIME, str(package)]
    done = subprocess.run(runtime, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


PREPARED = (control("set", token=TOKEN), control("extend", clients={"aws-prod": {"RDS": ["orders-db"]}}))
CREATE = request("/commandcenter/api/CreateTask", body=json.dumps(form(association())))


def test_requests_to_the_url_start_jobs_that_a_control_counts(package: Path) -> None:
    named = request("/commandcenter/api/Client/byName(clientName='aws-prod')")
    listed = request("/commandcenter/api/Subclient", rawQueryString="clientId=5&applicationId=134")
    lost = [part for name in ("bad_gateway_after", "reset_after") for part in (control("fault", name=name), CREATE)]
    answers = handle(package, *PREPARED, named, listed, CREATE, *lost, control("jobs"))
    created, jobs = answers[4], answers[-1]
    assert [answer["statusCode"] for answer in answers if "statusCode" in answer] == [200, 200, 200, 502, 502]
    assert created["headers"]["Content-Type"] == "application/json; charset=utf-8"
    assert [(job["by"], job["group"]) for job in jobs["value"]] == [("CreateTask", "orders-db")] * 3
    assert json.loads(base64.b64decode(created["body"]))["jobIds"] == [jobs["value"][0]["id"]]
    assert jobs["sandbox"] == "one"


def test_the_url_controls_nothing_and_a_new_sandbox_knows_no_token(package: Path) -> None:
    hidden = [request(f"/{path}/jobs") for path in ("_control", "%5Fcontrol", "commandcenter/api/_CONTROL")]
    answers = handle(package, *hidden, request("/Job", ""), request("/Job"))
    assert [answer["statusCode"] for answer in answers] == [403, 403, 403, 401, 401]


def test_the_wrapper_kills_the_runtime(package: Path) -> None:
    runtime = [str(package.parent / "layer/cut-short"), sys.executable, "-c", "import signal; signal.pause()"]
    done = subprocess.run(runtime, env=os.environ | {"CUT_SECONDS": "0"}, check=False)
    assert done.returncode == -signal.SIGKILL
