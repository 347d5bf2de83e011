"""The simulator as a process of its own, and the controls over HTTP."""

import json
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3

from local.commserve import ControlClient
from local.tools import ROOT
from tests.simulator.client import TOKEN, form


def test_a_process_is_controlled_over_http(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    files = [f"--{name}-file={tmp_path / name}" for name in ("ca", "ready", "token")]
    line = [sys.executable, "-m", "local.commserve", *files]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        ready = wait_for(tmp_path / "ready")
        assert ready["ca"] == (tmp_path / "ca").read_text()
        control = ControlClient(ready["url"], ready["ca"])
        steer(control, ready)
        control.close()
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert output == b""
    assert not (tmp_path / "ready").exists()


def steer(control: ControlClient, ready: dict[str, Any]) -> None:
    pool = urllib3.PoolManager(ssl_context=ssl.create_default_context(cadata=ready["ca"]), retries=False)
    headers = {"Authtoken": TOKEN, "Accept": "application/json"}
    control.fault("int_job_ids")
    control.post("plan_jobs", ending="Failed", reason="No snapshot.")
    answer = pool.request("POST", ready["url"] + "/CreateTask", body=json.dumps(form()), headers=headers)
    identifier = str(answer.json()["jobIds"][0])
    control.post("advance", seconds=10)

    assert answer.json()["jobIds"] == [int(identifier)]
    assert control.jobs()[identifier]["status"] == "Failed"
    assert [request["status"] for request in control.create_tasks()] == [200]
    assert control.create_tasks()[0]["headers"]["Authtoken"] == "***"
    control.post("set", token="another", clock_offset=5, unknown="refuse")
    assert pool.request("GET", ready["url"] + "/Client", headers=headers).status == 401
    added = control.post("add_job", client="aws-prod", group="new-db")
    assert control.post("end_job", identifier=added["id"], status="Killed")["status"] == "Killed"
    with pytest.raises(ValueError, match="no fault is called"):
        control.fault("typo")
    with pytest.raises(ValueError, match="no control is called"):
        control.post("typo")
    with pytest.raises(ValueError, match="unknown settings"):
        control.post("set", typo=1)
    assert control.state().items() >= {"clock_offset": 5, "unknown": "refuse"}.items()
    control.clear()
    assert control.jobs() == {}


def wait_for(path: Path) -> dict[str, Any]:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until, "the simulator did not get ready"
        time.sleep(0.05)
    ready: dict[str, Any] = json.loads(path.read_text())
    return ready
