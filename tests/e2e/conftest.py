"""The product deployed once for the layer, by the real `sam build` and `sam deploy`, and a second stack beside it.

What takes a minute by its nature (a lease that must end) is begun right after the deployment and looked at later.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import Stack, build, deploy
from tests.e2e.product import CLIENT, Product, wait_until
from tests.e2e.tap import Tap

CANARY = "QSDK canary-5f1d8c70e2"
# After the runs that `_interrupt` kills, and before the tests that look for it.
SCHEDULE_AFTER = timedelta(seconds=150)
QUICK = {"FirstRetrySeconds": "1", "ReconcileSeconds": "5", "CoolDownMinutes": "1", "FollowHours": "0"}


@pytest.fixture(scope="session")
def tap() -> Iterator[Tap]:
    """The wire between the functions and SNS and SSM."""
    with Tap() as tap:
        yield tap


@pytest.fixture(scope="session")
def aws(tap: Tap) -> Iterator[Emulator]:
    """AWS on this machine, its functions behind the tap."""
    with Emulator({"AWS_ENDPOINT_URL_SNS": tap.url, "AWS_ENDPOINT_URL_SSM": tap.url}) as emulator:
        tap.target = f"127.0.0.1:{emulator.port}"
        yield emulator


@pytest.fixture(scope="session")
def product(aws: Emulator, tap: Tap) -> Iterator[Product]:
    """The stack that most tests share."""
    build()
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        due = datetime.now(UTC).replace(microsecond=0) + SCHEDULE_AFTER
        more = {
            "Databases": "orders-*",
            "ScheduleExpression": f"at({due:%Y-%m-%dT%H:%M:%S})",
            "LogLevel": "DEBUG",
        }
        stack = _deploy(aws, "product", commserve, more)
        product = Product(stack, commserve, stack.subscribe(), due.timestamp())
        # Targets that are selected by pattern must be there first: a warm sandbox lists them once a minute.
        product.started["pattern"] = product.target("inventory", databases=["inventory-*"])
        product.started["crash"] = product.target("crash", databases=["crash-*"])
        _interrupt(product, tap)
        yield product


@pytest.fixture(scope="session")
def fleet(aws: Emulator) -> Iterator[Product]:
    """A second stack in the same region, of 25 targets, with a CommServe of its own."""
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        stack = _deploy(aws, "fleet", commserve, {"ScheduleState": "DISABLED", "RdsEventsState": "DISABLED"})
        fleet = Product(stack, commserve, stack.subscribe())
        commserve.catalogue.add(CLIENT, "orders-db")
        names = [fleet.target("fleet") for _ in range(24)]
        fleet.started.update({name: name for name in names})
        yield fleet


def _deploy(aws: Emulator, name: str, commserve: CommServe, more: dict[str, str]) -> Stack:
    parameter = f"/{name}/ca"
    aws.client("ssm").put_parameter(Name=parameter, Value=commserve.ca_pem, Type="String")
    parameters = {"CommvaultApiUrl": commserve.url, "CaCertificateParameter": parameter, "ClientName": CLIENT}
    stack = deploy(aws, name, QUICK | parameters | more)
    stack.set_token(commserve.token)
    return stack


def _met(product: Product, target: str, fault: str) -> bool:
    return any(request.fault == fault for request in product.calls(target))


def _interrupt(product: Product, tap: Tap) -> None:
    """Leave three submissions half done: one not told of, one killed after, one before Commvault made its job."""
    untold, after, before = (product.target(name) for name in ("untold", "killed-after", "killed-before"))
    product.started.update(untold=untold, after=after, before=before)
    tap.refuse("Publish", times=3)
    product.stack.invoke_asynchronously({"target": untold, "requestId": untold})
    wait_until(lambda: tap.refusals_left == 0, 20, "the message was refused")
    for fault, target in (("stall_after", after), ("stall_before", before)):
        product.commserve.fault(fault)
        product.stack.invoke_asynchronously({"target": target, "requestId": target})
        wait_until(partial(_met, product, target, fault), 20, f"{target} was sent")
    # Those that the machine shows: `tests/integration/test_kill.py` is what proves the kills, one by one.
    product.kill_runs()
