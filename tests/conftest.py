"""What every layer needs: the environment of a function, with fake credentials, before its modules are imported."""

import os
from collections.abc import Iterator

import pytest

from tests.support import ENVIRONMENT

os.environ.update(ENVIRONMENT)


@pytest.fixture(autouse=True)
def fake_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test may reach an AWS account, whatever the shell says."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield
