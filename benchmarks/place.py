"""What the functions under test call: emulated AWS with the stack's resources, and a CommServe in its own process."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.packages import Package
from local.commserve import ControlClient
from local.commserve.catalogue import RDS
from local.emulator import Emulator
from local.tools import ROOT
from tests.ledger import create_ledger
from tests.support import ENVIRONMENT

TOKEN = "QSDK fake-token"
STARTS_WITHIN = 30
# A schedule's backup is satisfied by a job that begins after its time: each of the benchmark's is to start its own.
AHEAD = timedelta(minutes=4)


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
            "CA_CERTIFICATE_PARAMETER": f"/{name}/ca",
            "CA_FILE": str(self.folder / "ca.pem"),
        }

    def targets(self, count: int, associations: int = 1) -> list[str]:
        """Add targets, each with its own associations; return their names."""
        names = [f"t{uuid.uuid4().hex[:8]}" for _ in range(count)]
        groups = {name: [f"{name}-{number}" for number in range(associations)] for name in names}
        for name in names:
            document = {
                "associations": [
                    {"clientName": "aws-prod", "instanceName": RDS, "subclientName": group} for group in groups[name]
                ]
            }
            path = f"/{self.name}/targets/{name}"
            self.aws.client("ssm").put_parameter(Name=path, Value=json.dumps(document), Type="String")
        known = [group for name in names for group in groups[name]]
        self.commserve.post("extend", clients={"aws-prod": {RDS: known}})
        return names

    def forget(self, targets: Sequence[str]) -> None:
        """Remove targets' documents."""
        names = [f"/{self.name}/targets/{target}" for target in targets]
        self.aws.client("ssm").delete_parameters(Names=names)


def scheduled(target: str) -> dict[str, Any]:
    """Return a schedule's event with a new identity."""
    due = datetime.now(UTC) + AHEAD
    return {
        "target": target,
        "schedule": f"arn:aws:scheduler:::schedule/{uuid.uuid4()}",
        "time": f"{due:%Y-%m-%dT%H:%M:%SZ}",
    }


def event_for(package: Package, target: str) -> dict[str, Any]:
    """Return an event that makes a package back up a target's only group; the floor has none."""
    if package.handler.startswith("usual"):
        return {"client": "aws-prod", "instance": RDS, "subclient": f"{target}-0"}
    return scheduled(target)
