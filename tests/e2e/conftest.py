"""The product deployed once for the layer, by the real `sam build` and `sam deploy`, and a second stack beside it.

What takes a minute by its nature (a lease that must end) is begun right after the deployment and looked at later.
A test that fails leaves behind what ran (`evidence.py`).
"""

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import NEVER, InvokeError, Stack, build, deploy
from tests.e2e.product import CLIENT, Product, scheduled, wait_until
from tests.e2e.tap import Tap
from tests.evidence import Evidence

CANARY = "QSDK canary-5f1d8c70e2"
EVIDENCE = pytest.StashKey[Evidence]()
ALONE = {"ScheduleState": "DISABLED", "RdsEventsState": "DISABLED"}
# Nothing but what the tests do: the schedule of an audit would fire in the midst of them once a day.
QUICK = {
    "FirstRetrySeconds": "1",
    "ReconcileSeconds": "5",
    "CoolDownMinutes": "1",
    "FollowHours": "0",
    "AuditState": "DISABLED",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what a failed test leaves behind, and tell where."""
    report = yield
    if evidence := item.config.stash.get(EVIDENCE, None):
        evidence.add_to(report, item, call)
    return report


@pytest.fixture(scope="session")
def evidence(pytestconfig: pytest.Config) -> Evidence:
    """What a test that fails leaves behind."""
    return pytestconfig.stash.setdefault(EVIDENCE, Evidence())


@pytest.fixture(scope="session")
def tap() -> Iterator[Tap]:
    """The wire between the functions and SNS and SSM."""
    with Tap() as tap:
        yield tap


@pytest.fixture(scope="session")
def aws(tap: Tap, evidence: Evidence) -> Iterator[Emulator]:
    """AWS on this machine, its functions behind the tap; one for all of these tests."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        test, _, _ = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")
        assert test.rpartition("@")[2].startswith("e2e"), (
            f"These tests share one process (`--dist loadgroup`), and {test} is not grouped."
        )
    with Emulator({"AWS_ENDPOINT_URL_SNS": tap.url, "AWS_ENDPOINT_URL_SSM": tap.url}) as emulator:
        tap.target = f"127.0.0.1:{emulator.port}"
        evidence.aws = emulator
        yield emulator
        evidence.aws = None


@pytest.fixture(scope="session")
def interrupted(aws: Emulator, tap: Tap, evidence: Evidence) -> Iterator[Product]:
    """A stack of three submissions that are half done: one not published, two whose runs were killed.

    It is theirs alone, since each try makes the next pause longer: no outage or limit of other tests may meet them.
    """
    build()
    with CommServe(token=CANARY, job_seconds=3600) as commserve:
        evidence.add("interrupted", commserve)
        stack = deploy_quick(aws, "interrupted", commserve, ALONE)
        interrupted = Product(stack, commserve, stack.subscribe())
        _interrupt(interrupted, tap)
        yield interrupted


@pytest.fixture(scope="session")
def product(aws: Emulator, evidence: Evidence, interrupted: Product) -> Iterator[Product]:
    """The stack that most tests share; meanwhile the leases of the interrupted runs end."""
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add("product", commserve)
        more = {"Databases": "orders-*", "ScheduleExpression": NEVER, "LogLevel": "DEBUG"}
        stack = deploy_quick(aws, "product", commserve, more)
        product = Product(stack, commserve, stack.subscribe())
        # Targets that are selected by pattern must be there first: a warm sandbox lists them once a minute.
        product.started["pattern"] = product.target("inventory", databases=["inventory-*"])
        product.started["crash"] = product.target("crash", databases=["crash-*"])
        yield product


@pytest.fixture(scope="session")
def fleet(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """A second stack in the same region, of 25 targets, with a CommServe of its own."""
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add("fleet", commserve)
        stack = deploy_quick(aws, "fleet", commserve, ALONE)
        fleet = Product(stack, commserve, stack.subscribe())
        commserve.catalogue.add(CLIENT, "orders-db")
        names = [fleet.target("fleet") for _ in range(24)]
        fleet.started.update({name: name for name in names})
        yield fleet


def deploy_quick(aws: Emulator, name: str, commserve: CommServe, more: dict[str, str]) -> Stack:
    """Deploy a stack for a CommServe, its pauses short."""
    parameter = f"/{name}/ca"
    aws.client("ssm").put_parameter(Name=parameter, Value=commserve.ca_pem, Type="String")
    parameters = {"CommvaultApiUrl": commserve.url, "CaCertificateParameter": parameter, "ClientName": CLIENT}
    stack = deploy(aws, name, QUICK | parameters | more)
    stack.set_token(commserve.token)
    return stack


def _met(product: Product, target: str, fault: str) -> bool:
    return any(request.fault == fault for request in product.calls(target))


def _interrupt(product: Product, tap: Tap) -> None:
    """Leave three submissions half done: one not published, one killed after, one before Commvault made its job.

    Nothing else runs meanwhile, and each run has ended before the next one begins: there is one sandbox, the run's own.
    """
    unpublished, after, before = (product.target(name) for name in ("unpublished", "killed-after", "killed-before"))
    product.started.update(unpublished=unpublished, after=after, before=before)
    with product.queue_disabled():
        tap.refuse("Publish", times=3, about=unpublished)
        product.stack.invoke_asynchronously(scheduled(unpublished))
        wait_until(lambda: product.runs() == 1, 20, "the run whose message is refused has ended")
        assert tap.refusals_left == 0
        _kill(product, after, "stall_after", scheduled(after))
        # A manual trigger: the safety net is all that is left of it.
        _kill(product, before, "stall_before", {"target": before, "requestId": before})


def _kill(product: Product, target: str, fault: str, event: dict[str, str]) -> None:
    """Kill the run of a target while it waits for Commvault's answer: exactly that one, and nothing else."""
    ended = product.runs()
    product.commserve.fault(fault, about=target)
    with ThreadPoolExecutor(1) as pool:
        # A caller waits for a manual trigger, so that nothing is left of a run that is killed; nobody for a schedule.
        invoke = product.stack.invoke if "requestId" in event else product.stack.invoke_asynchronously
        invocation = pool.submit(invoke, event)
        wait_until(lambda: _met(product, target, fault), 20, f"{target} was sent")
        assert product.runs() == ended
        assert product.kill_runs() == 1
        wait_until(lambda: product.runs() == ended + 1, 20, f"the run of {target} has died")
        if invocation.exception() is not None:
            assert isinstance(invocation.exception(), InvokeError)
