"""The product deployed once for the layer; the demo, the playground and the README deploy it by `sam deploy`.

What takes long by its nature (the end of a lease, the pause before a retry) begins right after the deployment; tests
look at it later. A test that fails leaves behind what ran (`evidence.py`).
"""

import os
from collections.abc import Generator, Iterator

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import NEVER, Stack, deploy_directly
from tests.e2e.product import CLIENT, Product, scheduled, wait_until
from tests.e2e.tap import Tap
from tests.evidence import Evidence

CANARY = "QSDK canary-5f1d8c70e2"
EVIDENCE = pytest.StashKey[Evidence]()
# No schedule and no RDS events: only what a test does.
ALONE = {"ScheduleExpression": "off", "RdsEventIds": "off"}
QUICK = {"FirstRetrySeconds": "1", "FirstPollSeconds": "1", "ReconcileSeconds": "5", "GatherMinutes": "0"}
TAPPED = ("SNS", "SSM", "SECRETS_MANAGER")


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
    """The wire between the functions and SNS, SSM and Secrets Manager."""
    with Tap() as tap:
        yield tap


@pytest.fixture(scope="session")
def aws(tap: Tap, evidence: Evidence) -> Iterator[Emulator]:
    """AWS on this machine, its functions behind the tap; one for all tests of this process."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        test, _, _ = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")
        assert test.rpartition("@")[2].startswith("e2e"), (
            f"These tests share one process (`--dist loadgroup`), and {test} is not grouped."
        )
    with Emulator({f"AWS_ENDPOINT_URL_{service}": tap.url for service in TAPPED}) as emulator:
        tap.address = f"127.0.0.1:{emulator.port}"
        evidence.aws = emulator
        yield emulator
        evidence.aws = None


@pytest.fixture(scope="session")
def product(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """The stack that most tests share."""
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add("product", commserve)
        more = {"Databases": "orders-*", "ScheduleExpression": NEVER, "LogLevel": "DEBUG"}
        stack = deploy_quick(aws, "product", commserve, more)
        product = Product(stack, commserve, stack.subscribe())
        # A warm sandbox lists the targets once a minute: those that are selected by pattern are stored first.
        for name in ("inventory", "crash"):
            product.started[name] = product.target(name, databases=[f"{name}-*"])
        _kill_a_run(product)
        _fail_a_job(product)
        yield product


def deploy_quick(aws: Emulator, name: str, commserve: CommServe, more: dict[str, str]) -> Stack:
    """Deploy a stack for a CommServe, its pauses short."""
    parameter = f"/{name}/ca"
    aws.client("ssm").put_parameter(Name=parameter, Value=commserve.ca_pem, Type="String")
    parameters = {"CommvaultApiUrl": commserve.url, "CaCertificateParameter": parameter, "ClientName": CLIENT}
    stack = deploy_directly(aws, name, QUICK | parameters | more)
    stack.set_token(commserve.token)
    return stack


def _fail_a_job(product: Product) -> None:
    """Start a target of which one job fails; it is started again after thirty pauses."""
    product.started["failing"], (failing, other) = product.target_of(2)
    product.commserve.plan_jobs(group=failing, seconds=0, ending="Failed", reason="The snapshot quota is reached.")
    for group in (failing, other):
        product.commserve.plan_jobs(group=group, seconds=0)
    product.stack.invoke(scheduled(product.started["failing"]))


def _kill_a_run(product: Product) -> None:
    """Kill a run after Commvault has made its job and before it answers; its lease takes long to end."""
    target = product.started["killed"] = product.target("killed")
    product.commserve.plan_jobs(group=target, seconds=0)
    with product.queue_disabled():
        ended = product.runs()
        product.commserve.fault("stall_after", about=target)
        product.stack.invoke_asynchronously(scheduled(target))
        wait_until(lambda: product.jobs(target), "its job was made")
        product.kill_runs()
        wait_until(lambda: product.runs() > ended, "its run has died")
