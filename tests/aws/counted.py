"""The main promise: one trigger starts one job. A CommServe simulator in the same account counts (docs/verify-on-aws.md)."""

import json
import uuid
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.config import Config

from rds_snap_backup_cli.functions import BACKUP
from tests.aws.acting import MADE_UP, reconfigured
from tests.aws.subject import Later, Subject, require, until

# A lease, pauses between polls, and the job.
ENDED_SECONDS = 600
RUN_SECONDS = 120
# The run is killed while the simulator, which has started the job, holds its answer back.
CUT_SECONDS = 15
HELD_SECONDS = 25
CUT = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/cut-short", "CUT_SECONDS": str(CUT_SECONDS)}
# The simulator has one sandbox, which a request of the Backup function may hold.
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 8})


@dataclass
class Simulator:
    """The simulator of one step; its controls are those of local/commserve/control/endpoint.py."""

    subject: Subject
    sandbox: str = ""

    def control(self, name: str, /, **parameters: Any) -> Any:
        """Read something, or change it. Raises `Later` if Lambda has replaced the sandbox, which has forgotten its jobs."""
        event = {"control": name, "parameters": parameters}
        client = self.subject.stack.session.client("lambda", config=PATIENT)
        function = self.subject.simulator["CommServeFunctionName"]
        answer = json.loads(client.invoke(FunctionName=function, Payload=json.dumps(event))["Payload"].read())
        require(answer.get("status") == 200, f"its simulator refused {name}: {json.dumps(answer)[:200]}")
        self.sandbox = self.sandbox or answer["sandbox"]
        if self.sandbox != answer["sandbox"]:
            raise Later("Lambda replaced the simulator's sandbox, which forgot its jobs. Run it again")
        return answer["value"]

    def prepare(self, **fault: Any) -> None:
        """Know the stack's default target and token, and let the next CreateTask meet a fault."""
        subject = self.subject
        version = str(uuid.uuid5(uuid.NAMESPACE_URL, subject.stack.description["StackId"]))
        # The same request token and value again: the secret stays as it is, and so does what the function has cached.
        subject.client("secretsmanager").put_secret_value(
            SecretId=subject.secret, SecretString=MADE_UP + version, ClientRequestToken=version
        )
        client, instance, subclient = map(subject.parameter, ("ClientName", "InstanceName", "SubclientName"))
        self.control("clear")
        self.control("set", token=MADE_UP + version)
        self.control("extend", clients={client: {instance: [subclient]}})
        if fault:
            self.control("fault", **fault)

    def jobs(self) -> list[str]:
        """Return the IDs of the jobs that were asked for."""
        return [job["id"] for job in self.control("jobs")]


def duplicate(subject: Subject) -> str:
    """A trigger that is delivered twice starts one job, which is followed to its end."""
    return _counted(subject, deliveries=2)


def lost_answer(subject: Subject) -> str:
    """A job whose answer was lost (502) is found and followed, and no other is started."""
    return _counted(subject, name="bad_gateway_after")


def cut_short(subject: Subject) -> str:
    """A job whose run was killed before the answer is found and followed, and no other is started."""
    return _counted(subject, is_cut=True, name="slow", seconds=HELD_SECONDS, after=True)


def _counted(subject: Subject, *, deliveries: int = 1, is_cut: bool = False, **fault: Any) -> str:
    simulator, trigger, group = Simulator(subject), f"verify-{uuid.uuid4().hex[:12]}", subject.log_group()
    layer = reconfigured(subject, CUT, Layers=[subject.simulator["CutShortLayerArn"]])

    def is_completed() -> bool:
        lines = subject.lines_of(trigger, group)
        return any((line.get("message"), line.get("status")) == ("Published", "completed") for line in lines)

    simulator.prepare(**fault)
    with layer if is_cut else nullcontext():
        _deliver(subject, trigger, deliveries, "Runtime exited" if is_cut else "REPORT")
    require(simulator.jobs(), "no run of the trigger started a job")
    is_over, jobs = until(is_completed, ENDED_SECONDS), simulator.jobs()
    require(len(jobs) == 1, f"one trigger, {len(jobs)} jobs: {', '.join(jobs)}")
    require(is_over, f"job {jobs[0]} was started, and the log of {group} does not have its end")
    return f"one trigger, one job: {jobs[0]}, completed"


def _deliver(subject: Subject, trigger: str, times: int, end: str) -> None:
    """Deliver a trigger some times, and wait for the ends of the runs."""
    client, name, group = subject.client("lambda"), subject.stack.output(BACKUP), subject.log_group()
    event = {"target": "default", "schedule": trigger, "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    runs = [client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event)) for _ in range(times)]
    for request in (run["ResponseMetadata"]["RequestId"] for run in runs):
        is_over = until(partial(subject.log, f'"{request}" "{end}"', group), RUN_SECONDS)
        require(is_over, f"the log does not have {end} of {request}")
