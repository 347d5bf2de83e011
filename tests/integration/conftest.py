"""A world of its own for each test, on emulated AWS."""

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from types import SimpleNamespace

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.commvault import connection
from tests.evidence import Evidence
from tests.integration.clients import CANARY
from tests.integration.leaks import leaks
from tests.integration.recording import Recorded, recording
from tests.integration.timeline import Timeline
from tests.integration.world import World
from tests.support import ENVIRONMENT

EVIDENCE = Evidence()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what a failed test leaves behind, and tell where."""
    report = yield
    for world in World.made if report.failed else ():
        EVIDENCE.add(world.name, world.commserve)
    EVIDENCE.add_to(report, item, call)
    return report


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Emulator:
    """AWS on this machine."""
    EVIDENCE.aws = emulator
    return emulator


@pytest.fixture(scope="session")
def recorded(aws: Emulator) -> Recorded:
    """Both functions' calls of AWS; tests that use them share a process (`xdist_group("recorded")`)."""
    return recording(aws)


@pytest.fixture
def commserve() -> Iterator[CommServe]:
    """A CommServe over TLS with a private CA."""
    with CommServe(job_seconds=3600) as server:
        yield server


@pytest.fixture
def server() -> Iterator[CommServe]:
    """A CommServe with the canary for its token, which records the tokens that it gets."""
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as running:
        yield running


@pytest.fixture
def world(aws: Emulator, commserve: CommServe) -> World:
    """The function's services in this process, real at the wire: AWS is the emulator, Commvault the simulator."""
    return World(aws, commserve)


@pytest.fixture
def timelines(aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Timeline]:
    """Makes a timeline with other settings. Commvault's clock is compared with the timeline's, as with one's own."""
    monotonic = lambda: time.monotonic()  # noqa: E731, PLW0108 (a test may replace it)
    monkeypatch.setattr(connection, "time", SimpleNamespace(time=commserve.clock.now, monotonic=monotonic))
    return partial(Timeline, aws, commserve)


@pytest.fixture
def timeline(timelines: Callable[..., Timeline]) -> Timeline:
    """A world whose time the test moves."""
    return timelines()


@pytest.fixture(autouse=True)
def no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Search what each test has logged at DEBUG, recorded, queued and published for every token there was."""
    World.made.clear()
    caplog.set_level(logging.DEBUG, ENVIRONMENT["POWERTOOLS_SERVICE_NAME"])
    yield
    records = caplog.get_records("call")
    logged = "\n".join(f"{record.getMessage()} {record.exc_text} {record.__dict__}" for record in records)
    for world in World.made:
        tokens = world.commserve.tokens
        queued = [world.messages_of(url) for url in (world.submissions, world.dead_letter_queue)]
        shown = logged + json.dumps([world.items(""), world.notifications(), queued], default=str)
        secrets = {tokens.access, tokens.refresh, *(secret for pair in tokens.earlier for secret in pair)}
        assert leaks(shown, secrets) == []
        assert leaks(f"{shown} {tokens.access}", secrets), "the search finds nothing"
