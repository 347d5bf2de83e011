"""A simulator whose clock stands still and whose jobs take 100 seconds, and a client of it."""

from collections.abc import Iterator

import pytest

from local.commserve import CommServe
from tests.simulator.client import TOKEN, Wire


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=100) as running:
        running.frozen = True
        yield running


@pytest.fixture
def wire(server: CommServe) -> Wire:
    return Wire(server)
