"""What every layer needs: the environment of a function, with fake credentials, before its modules are imported."""

import functools
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support import ENVIRONMENT

if TYPE_CHECKING:
    from local.emulator import Emulator

# No test may reach an AWS account, whatever the shell says.
os.environ.update(ENVIRONMENT)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups, in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the end-to-end tests in two processes, from the beginning and beside all others: those that share a stack in one."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "e2e" in item.path.parts and "aws" in fixtures:
            group = "e2e" if "product" in fixtures else "e2e of other stacks"
            item.add_marker(pytest.mark.xdist_group(group))
    # They take longest, then the other stacks, what waits for a lease, and the many examples of the property tests;
    # pytest-xdist hands out what comes first, and what is short fills the gaps at the end.
    items.sort(
        key=lambda item: (
            not item.get_closest_marker("xdist_group"),
            {"e2e", "kill", "property"}.isdisjoint(item.path.parts),
        )
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Save the time of what the collected tests do not use, and of what they would do again."""
    if sdk := sys.modules.get("botocore.session"):
        # Each session of the SDK would read its service models again: most of the time of a test that makes a new one.
        sdk.create_loader = functools.cache(sdk.create_loader)  # type: ignore[attr-defined]
    if "hypothesis" not in sys.modules:
        # Its plugin imports all of it for the summary.
        session.config.pluginmanager.unregister(name="hypothesispytest")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted (`record_property`), in whichever process they ran."""
    counted = [pair for report in terminalreporter.getreports("passed") for pair in report.user_properties]
    if counted:
        terminalreporter.section("counted")
    for name, value in counted:
        terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def emulator() -> Iterator["Emulator"]:
    """AWS on this machine, the same for all layers: one for a process, with resources of its own for each test."""
    from local.emulator import Emulator

    with Emulator() as running:
        yield running
