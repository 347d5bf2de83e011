"""The function's settings: each variable is read, and an error names it."""

from dataclasses import fields

import pytest

from rds_snap_backup.config import Config, ConfigError
from tests.support import ENVIRONMENT

NUMBERS = (
    "COOL_DOWN_MINUTES",
    "RETRY_HOURS",
    "FIRST_RETRY_SECONDS",
    "RECONCILE_SECONDS",
    "FOLLOW_HOURS",
    "FIRST_POLL_SECONDS",
    "LEDGER_DAYS",
    "BACKUP_MAX_AGE_HOURS",
)
TEXTS = (
    "COMMVAULT_API_URL",
    "TOKEN_SECRET_ARN",
    "TARGETS_PATH",
    "LEDGER_TABLE",
    "NOTIFICATIONS_TOPIC_ARN",
    "SUBMISSIONS_QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
    "ACCOUNT_IDS",
    "POWERTOOLS_SERVICE_NAME",
)
OPTIONAL = ("JOBS_QUEUE_URL", "CA_CERTIFICATE_PARAMETER", "COMMVAULT_PROXY")


def test_every_variable_is_read_into_its_own_field() -> None:
    texts = {name: f"value of {name}" for name in (*TEXTS, *OPTIONAL)}
    numbers = {name: str(number) for number, name in enumerate(NUMBERS)}
    config = Config.from_env({**texts, **numbers})
    for name in (*TEXTS, *OPTIONAL):
        field = "service" if name == "POWERTOOLS_SERVICE_NAME" else name.lower()
        value = f"value of {name}"
        assert getattr(config, field) == (frozenset({value}) if name == "ACCOUNT_IDS" else value)
    for number, name in enumerate(NUMBERS):
        assert getattr(config, name.lower()) == number
    assert config.renew_token is False
    assert Config.from_env({**texts, **numbers, "RENEW_TOKEN": "true"}).renew_token is True
    assert len(fields(Config)) == len(texts) + len(numbers) + len(["renew_token", "is_default_scheduled"])


@pytest.mark.parametrize("name", [*TEXTS, *NUMBERS])
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_missing_variable_is_named(name: str, is_empty: bool) -> None:
    environ = {**ENVIRONMENT, name: ""} if is_empty else {k: v for k, v in ENVIRONMENT.items() if k != name}
    with pytest.raises(ConfigError, match=rf"\b{name}\b"):
        Config.from_env(environ)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["x", "-1", "1.5", " 1", "1e3", "0x10", "²"])
def test_a_variable_that_is_not_a_number_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} must be a whole number and is "):
        Config.from_env({**ENVIRONMENT, name: value})


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_may_be_left_out_is_empty(name: str) -> None:
    environ = {key: value for key, value in ENVIRONMENT.items() if key != name}
    assert getattr(Config.from_env(environ), name.lower()) == ""


@pytest.mark.parametrize(("state", "is_scheduled"), [("ENABLED", True), ("DISABLED", False)])
def test_default_is_scheduled_while_its_schedule_is_enabled(state: str, is_scheduled: bool) -> None:
    assert Config.from_env({**ENVIRONMENT, "SCHEDULE_STATE": state}).is_default_scheduled is is_scheduled


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_slash_at_the_end_of_the_address_does_not_matter(slashes: str) -> None:
    url = "https://commserve.example/commandcenter/api"
    assert Config.from_env({**ENVIRONMENT, "COMMVAULT_API_URL": url + slashes}).commvault_api_url == url


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_TABLE", "another-table")
    assert Config.from_env().ledger_table == "another-table"


def test_a_proxys_password_that_was_set_by_hand_is_not_shown() -> None:
    config = Config.from_env({**ENVIRONMENT, "COMMVAULT_PROXY": "http://user:fake-password@proxy.example:3128"})
    assert "fake-password" not in f"{config} {config!r}"
