"""A world of its own for each test of the core."""

import pytest

from tests.unit.core.world import World


@pytest.fixture
def world() -> World:
    return World()
