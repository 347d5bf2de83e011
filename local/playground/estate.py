"""What the playground has: two AWS accounts with forty databases, their groups in Commvault, and four targets."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from local.commserve import content
from local.commserve.catalogue import RDS, Clients
from local.demo.machine import CLIENT, Machine
from local.emulator import ACCOUNT, REGION
from local.rds import RdsAccount, create_instance
from local.tools import ROOT

STACK = "playground"
MEMBER = "111122223333"
MEMBER_CLIENT = "aws-analytics"
SHOP = (
    "orders",
    "cart",
    "stock",
    "prices",
    "search",
    "reviews",
    "mail",
    "users",
    "returns",
    "coupons",
    "tax",
    "feeds",
    "archive",
)
CRM = ("leads", "accounts", "calls", "tickets", "surveys", "contracts", "quotes", "events")
FINANCE = ("billing", "payroll", "ledger")
ANALYTICS = (
    "clicks",
    "visits",
    "funnels",
    "models",
    "features",
    "labels",
    "exports",
    "reports",
    "events",
    "sessions",
    "ads",
    "churn",
    "trends",
    "audit",
)
OWN = (*(f"shop-{name}" for name in SHOP), *(f"crm-{name}" for name in CRM), *FINANCE, "legacy-wiki")
# Jobs of its group skip it, so that it has no restore point.
BROKEN = "shop-archive"
AGE = timedelta(days=3)  # a younger database is not missed yet
CLIENTS: Clients = {
    CLIENT: {
        RDS: {
            "shop": [content.rule("^shop-")],
            "crm": [content.rule("^crm-")],
            **{name: [content.instance(name)] for name in FINANCE},
        }
    },
    MEMBER_CLIENT: {RDS: {"everything": [content.everything()]}},
}
PARAMETERS = {
    "ClientName": CLIENT,
    "InstanceName": RDS,
    "SubclientName": "shop",
    "Databases": "shop-orders",
    "AuditMembers": MEMBER,
    "OrganizationId": "o-a1b2c3d4e5",
    "GatherMinutes": "0",
    "FirstRetrySeconds": "5",
    "FirstPollSeconds": "5",
    "ReconcileSeconds": "15",
}


def targets() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield name and document of each target but the stack's own."""
    yield "crm", {"associations": [association(CLIENT, "crm")]}
    yield "finance", {"associations": [association(CLIENT, name) | {"databases": [name]} for name in FINANCE]}
    yield "analytics", {"associations": [association(MEMBER_CLIENT, "everything")], "accounts": [MEMBER]}


def association(client: str, group: str) -> dict[str, Any]:
    """Return the association of a group."""
    return {"clientName": client, "instanceName": RDS, "subclientName": group}


def furnish(machine: Machine) -> None:
    """Create the databases of both accounts, let the member join, and store the targets."""
    created = datetime.now(UTC) - AGE
    own = machine.aws.client("rds")
    for name in OWN:
        create_instance(own, name, "postgres", created=created)
    own.stop_db_instance(DBInstanceIdentifier=BROKEN)
    session: Any = boto3.Session(MEMBER, "any", region_name=REGION)
    clients = {name: session.client(name, endpoint_url=machine.aws.endpoint_url) for name in ("rds", "cloudformation")}
    for name in ANALYTICS:
        create_instance(clients["rds"], name, "mysql", created=created)
    join(clients["cloudformation"], machine)
    machine.commserve.attach(MEMBER_CLIENT, RdsAccount((clients["rds"],)))
    for name, document in targets():
        machine.stack.put_target(name, document)


def join(cloudformation: Any, machine: Machine) -> None:
    """Deploy member.yaml to the other account."""
    outputs = machine.stack.outputs
    given = {"HubStackName": STACK, **{name: outputs[name] for name in ("AuditRoleArn", "MembersBusArn")}}
    cloudformation.create_stack(
        StackName="member",
        TemplateBody=(ROOT / "member.yaml").read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="member", WaiterConfig={"Delay": 1})


def arn(name: str) -> str:
    """Return the ARN of a database of the stack's own account."""
    return f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{name}"
