"""A plain HTTPS client of the simulator, for the tests of the simulator itself. It shares nothing with the product."""

import json
import ssl
from pathlib import Path
from typing import Any

import urllib3
from cvpysdk.commcell import Commcell

from local.commserve import CommServe

# The SDK puts "QSDK " before a token that begins with nothing that it knows.
TOKEN = "QSDK fake-token-for-tests"
KIND = {"_type_": "SUBCLIENT_ENTITY", "appName": "Cloud Apps"}


def association(group: str = "orders-db", client: str = "aws-prod") -> dict[str, str]:
    return {"clientName": client, "instanceName": "RDS", "displayName": client, "subclientName": group, **KIND}


def form(*associations: dict[str, str]) -> dict[str, Any]:
    options = {"backupOpts": {"backupLevel": "FULL"}, "commonOpts": {"notifyUserOnJobCompletion": True}}
    backup = {"subTask": {"subTaskType": "BACKUP", "operationType": "BACKUP"}, "options": options}
    task = {"task": {"taskType": "IMMEDIATE"}, "subTasks": [backup]}
    return {"taskInfo": {"associations": list(associations) or [association()], **task}}


def log_in(server: CommServe, folder: Path, token: str = TOKEN) -> Any:
    """Return Commvault's own SDK, logged in."""
    authority = folder / "ca.pem"
    authority.write_text(server.ca_pem)
    return Commcell("localhost", authtoken=token, certificate_path=str(authority), web_service_url=server.url)


class Wire:
    """Sends one request at a time over one kept connection."""

    def __init__(self, server: CommServe) -> None:
        self.server = server
        context = ssl.create_default_context(cadata=server.ca_pem)
        self.pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=5)

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        content = None if body is None else json.dumps(body).encode()
        sent = {"Authtoken": self.server.token, "Accept": "application/json"} | (headers or {})
        return self.pool.request(method, self.server.url + path, body=content, headers=sent, redirect=False)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return self.send("GET", path, headers=headers).json()

    def create(self, *associations: dict[str, str]) -> urllib3.BaseHTTPResponse:
        return self.send("POST", "/CreateTask", form(*associations))

    def create_job(self, *associations: dict[str, str]) -> str:
        return str(self.create(*associations).json()["jobIds"][0])

    def status(self, identifier: str) -> str | None:
        jobs = self.get(f"/Job/{identifier}").get("jobs")
        return jobs[0]["jobSummary"]["status"] if jobs else None
