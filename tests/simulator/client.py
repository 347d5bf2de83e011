"""A plain HTTPS client of the simulator, for the tests of the simulator itself. It shares nothing with the product."""

import json
import ssl
from typing import Any

import urllib3

from local.commserve import CommServe

TOKEN = "fake-token-for-tests"


def association(group: str = "orders-db", client: str = "aws-prod") -> dict[str, str]:
    return {
        "clientName": client,
        "instanceName": "RDS",
        "displayName": client,
        "_type_": "SUBCLIENT_ENTITY",
        "appName": "Cloud Apps",
        "subclientName": group,
    }


def form(*associations: dict[str, str], task_type: str = "IMMEDIATE", level: str = "FULL") -> dict[str, Any]:
    return {
        "taskInfo": {
            "associations": list(associations) or [association()],
            "task": {"taskType": task_type},
            "subTasks": [
                {
                    "subTask": {"subTaskType": "BACKUP", "operationType": "BACKUP"},
                    "options": {
                        "backupOpts": {"backupLevel": level},
                        "commonOpts": {"notifyUserOnJobCompletion": True},
                    },
                }
            ],
        }
    }


class Wire:
    """Sends one request at a time over one kept connection."""

    def __init__(self, server: CommServe) -> None:
        self.server = server
        context = ssl.create_default_context(cadata=server.ca_pem)
        self.pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=5)

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, base: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        return self.pool.request(
            method,
            (self.server.url if base is None else base) + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Authtoken": self.server.token, "Accept": "application/json"} | (headers or {}),
            redirect=False,
        )

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return self.send("GET", path, headers=headers).json()

    def post(self, path: str, body: Any = None) -> Any:
        return self.send("POST", path, body).json()

    def create(self, *associations: dict[str, str], **form_fields: str) -> urllib3.BaseHTTPResponse:
        return self.send("POST", "/CreateTask", form(*associations, **form_fields))

    def create_job(self, *associations: dict[str, str]) -> str:
        identifier: str = self.create(*associations).json()["jobIds"][0]
        return identifier

    def status(self, identifier: str) -> str | None:
        jobs = self.get(f"/Job/{identifier}").get("jobs")
        return jobs[0]["jobSummary"]["status"] if jobs else None
