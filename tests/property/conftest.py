"""A world in memory for each test."""

from collections.abc import Iterator

import pytest

from tests.property.world import World


@pytest.fixture
def world() -> Iterator[World]:
    with World().at_work() as world:
        yield world
