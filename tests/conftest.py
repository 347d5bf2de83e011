"""What every layer needs: the environment of a function, with fake credentials, before its modules are imported."""

import os

import pytest

from tests.support import ENVIRONMENT

os.environ.update(ENVIRONMENT)


@pytest.fixture(autouse=True)
def fake_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may reach an AWS account, whatever the shell says."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
