"""What the functions under test call: emulated AWS with the stack's resources, and a CommServe in a process of its own."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.commserve import ControlClient
from local.emulator import Emulator
from local.tools import ROOT
from tests.benchmarks.meter import Meter
from tests.ledger import create_ledger
from tests.support import ENVIRONMENT

TOKEN = "QSDK fake-token"
STARTS_WITHIN = 30


class Place:
    """`with Place() as place:` starts all of it. `environment` is what every function under test gets."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rds-snap-backup-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.aws = Emulator()
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self._commserve: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.aws.__enter__()
            self._start_commserve()
            self._make_resources()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._commserve:
            self._commserve.terminate()
            self._commserve.wait()
        self.aws.stop()
        self._folder.cleanup()

    def _start_commserve(self) -> None:
        token, ready = self.folder / "token", self.folder / "ready"
        token.write_text(TOKEN)
        files = ["--token-file", str(token), "--ready-file", str(ready), "--ca-file", str(self.folder / "ca.pem")]
        line = [sys.executable, "-m", "local.commserve", "--job-seconds", "86400", *files]
        self._commserve = subprocess.Popen(line, cwd=ROOT)
        deadline = time.monotonic() + STARTS_WITHIN
        while not ready.exists():
            if time.monotonic() > deadline or self._commserve.poll() is not None:
                raise RuntimeError("the CommServe simulator did not start")
            time.sleep(0.05)
        started = json.loads(ready.read_text())
        self.url: str = started["url"]
        self.commserve = ControlClient(self.url, started["ca"])
        self._authority: str = started["ca"]

    def _make_resources(self) -> None:
        aws, name = self.aws, self.name
        topic = aws.client("sns").create_topic(Name=name)["TopicArn"]
        create_ledger(aws.client("dynamodb"), name)
        secret = aws.client("secretsmanager").create_secret(Name=name, SecretString=TOKEN)["ARN"]
        aws.client("ssm").put_parameter(Name=f"/{name}/ca", Value=self._authority, Type="String")
        self.submissions: str = aws.client("sqs").create_queue(QueueName=f"{name}-submissions")["QueueUrl"]
        dead_letters = aws.client("sqs").create_queue(QueueName=f"{name}-dead-letters")["QueueUrl"]
        jobs = aws.client("sqs").create_queue(QueueName=f"{name}-jobs")["QueueUrl"]
        self.environment = {
            **ENVIRONMENT,
            **aws.environment,
            "COMMVAULT_API_URL": self.url,
            "TOKEN_SECRET_ARN": secret,
            "TARGETS_PATH": f"/{name}/targets/",
            "LEDGER_TABLE": name,
            "NOTIFICATIONS_TOPIC_ARN": topic,
            "SUBMISSIONS_QUEUE_URL": self.submissions,
            "DEAD_LETTER_QUEUE_URL": dead_letters,
            "JOBS_QUEUE_URL": jobs,
            "CA_CERTIFICATE_PARAMETER": f"/{name}/ca",
            "CA_FILE": str(self.folder / "ca.pem"),
        }
        self.target("default")

    def metered(self) -> tuple[Meter, Meter, dict[str, str]]:
        """Return meters of AWS's and Commvault's wire, and the environment that leads through them."""
        aws, commvault = Meter(self.aws.port), Meter(int(self.url.split(":")[2].split("/")[0]))
        changed = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.port}",
            "COMMVAULT_API_URL": f"https://localhost:{commvault.port}/commandcenter/api",
        }
        return aws, commvault, self.environment | changed

    def target(self, name: str, associations: int = 1, *, under: str = "targets", **fields: Any) -> None:
        """Add or replace a target, with further fields, under the functions' own path or another one."""
        document: dict[str, Any] = {
            "associations": [
                {
                    "clientName": "aws-prod",
                    "instanceName": "orders-db",
                    "subclientName": f"s{number}" if number else "default",
                }
                for number in range(associations)
            ],
            **fields,
        }
        path = f"/{self.name}/{under}/{name}"
        self.aws.client("ssm").put_parameter(Name=path, Value=json.dumps(document), Type="String", Overwrite=True)
        subclients = [one["subclientName"] for one in document["associations"]]
        self.commserve.post("extend", clients={"aws-prod": {"orders-db": subclients}})


def schedule_event(target: str = "default") -> dict[str, str]:
    """Return a schedule's event, of an identity of its own."""
    return {
        "target": target,
        "schedule": f"arn:aws:scheduler:::schedule/{uuid.uuid4()}",
        "time": "2026-01-31T02:00:00Z",
    }


def usual_event() -> dict[str, str]:
    """Return the usual handler's event."""
    return {"client": "aws-prod", "instance": "orders-db", "subclient": "default"}
