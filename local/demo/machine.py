"""What the demo runs on: the emulated AWS, the simulated CommServe over TLS, and the stack deployed between them."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.commserve import CommServe, content
from local.commserve.catalogue import RDS, Clients
from local.emulator import Emulator
from local.rds import RdsAccount, create_instance
from local.stack import NEVER, Stack, build, deploy
from local.subscriber import Subscriber

CLIENT = "aws-prod"
# The instance groups of the cloud account, each with its databases: a group of many, and groups of one.
GROUPS = {
    "nightly": ("orders-db", "stock-db", "archive-db"),
    **{name: (f"{name}-db",) for name in ("users", "billing", "ledger", "payroll", "reports", "web", "sales")},
}
STOPPED = "archive-db"
AGE = timedelta(days=3)  # a younger database is not missed yet
CA_PARAMETER = "/rds-snap-backup/demo/ca"
JOB_SECONDS = 4.0
# The pauses of a real stack are minutes.
PARAMETERS = {
    "CaCertificateParameter": CA_PARAMETER,
    "ClientName": CLIENT,
    "InstanceName": RDS,
    "SubclientName": "nightly",
    "Databases": "orders-*",
    "ScheduleExpression": NEVER,
    "FirstRetrySeconds": "1",
    "FirstPollSeconds": "1",
    "ReconcileSeconds": "5",
    "GatherMinutes": "0",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that runs."""

    aws: Emulator
    commserve: CommServe
    stack: Stack
    subscriber: Subscriber


@contextmanager
def running(
    step: Callable[[str], AbstractContextManager[None]],
    name: str = "demo",
    parameters: Mapping[str, str] = PARAMETERS,
    clients: Clients | None = None,
) -> Iterator[Machine]:
    """Start everything, each part within a `step`, and stop it however the block is left.

    `clients` are Commvault's, of which `CLIENT` is the emulator's own account; the demo's if none are given.
    """
    with ExitStack() as started:
        token = f"QSDK demo-{secrets.token_hex(8)}"
        groups = {group: [content.instance(name) for name in names] for group, names in GROUPS.items()}
        known = clients or {CLIENT: {RDS: groups}}
        commserve = started.enter_context(CommServe(token=token, clients=known, job_seconds=JOB_SECONDS))
        # One unknown name refuses a whole request.
        commserve.unknown = "refuse"
        with step("start the AWS emulator (the first time, it is downloaded)"):
            aws = started.enter_context(Emulator())
        aws.client("ssm").put_parameter(Name=CA_PARAMETER, Value=commserve.ca_pem, Type="String")
        with step("sam build (the first time, it downloads what it needs)"):
            build()
        with step("sam deploy"):
            stack = deploy(aws, name, {**parameters, "CommvaultApiUrl": commserve.url})
        stack.set_token(commserve.token)
        commserve.attach(CLIENT, RdsAccount((aws.client("rds"),)))
        yield Machine(aws, commserve, stack, stack.subscribe())


def create_databases(machine: Machine) -> None:
    """Create the databases of all groups, of which one is stopped."""
    rds = machine.aws.client("rds")
    for names in GROUPS.values():
        for name in names:
            create_instance(rds, name, "postgres", created=datetime.now(UTC) - AGE)
    rds.stop_db_instance(DBInstanceIdentifier=STOPPED)
