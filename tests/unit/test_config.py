"""The function's settings: each variable is read, and an error names it."""

from dataclasses import fields

import pytest

from rds_snap_backup.config import Config, ConfigError
from tests.support import ENVIRONMENT

NUMBERS = (
    "GATHER_MINUTES",
    "SETTLE_MINUTES",
    "RETRY_HOURS",
    "RETRY_FAILED_JOBS",
    "FOLLOW_HOURS",
    "FIRST_RETRY_SECONDS",
    "FIRST_POLL_SECONDS",
    "RECONCILE_SECONDS",
    "LEDGER_DAYS",
    "BACKUP_MAX_AGE_HOURS",
)
TEXTS = (
    "COMMVAULT_API_URL",
    "TOKEN_SECRET_ARN",
    "TARGETS_PATH",
    "LEDGER_TABLE",
    "NOTIFICATIONS_TOPIC_ARN",
    "ALARM_TOPIC_ARN",
    "SUBMISSIONS_QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
    "ACCOUNT_IDS",
    "STACK_ARN",
    "POWERTOOLS_SERVICE_NAME",
)
OPTIONAL = (
    "CA_CERTIFICATE_PARAMETER",
    "COMMVAULT_PROXY",
    "AUDIT_MEMBERS",
    "AUDIT_REGIONS",
    "PRODUCT_VERSION",
    "SCHEDULE_GROUP",
    "REPORT_BUCKET",
)
LISTS = {"ACCOUNT_IDS", "AUDIT_MEMBERS", "AUDIT_REGIONS"}
SWITCHES = {"RENEW_TOKEN": "renew_token", "DEFAULT_SCHEDULED": "is_default_scheduled", "RDS_EVENTS": "has_rds_events"}


def test_every_variable_is_read_into_its_own_field() -> None:
    texts = {name: f"value of {name}" for name in (*TEXTS, *OPTIONAL)}
    numbers = {name: str(number) for number, name in enumerate(NUMBERS)}
    config = Config.from_env({**texts, **numbers})
    for name in (*TEXTS, *OPTIONAL):
        field = "service" if name == "POWERTOOLS_SERVICE_NAME" else name.lower()
        value = f"value of {name}"
        assert getattr(config, field) == ((value,) if name in LISTS else value)
    for number, name in enumerate(NUMBERS):
        assert getattr(config, name.lower()) == number
    for name, field in SWITCHES.items():
        assert getattr(config, field) is False
        assert getattr(Config.from_env({**texts, **numbers, name: "true"}), field) is True
    assert len(fields(Config)) == len(texts) + len(numbers) + len(SWITCHES)


@pytest.mark.parametrize("name", [*TEXTS, *NUMBERS])
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_missing_variable_is_named(name: str, is_empty: bool) -> None:
    environ = {**ENVIRONMENT, name: ""} if is_empty else {k: v for k, v in ENVIRONMENT.items() if k != name}
    with pytest.raises(ConfigError, match=rf"\b{name}\b"):
        Config.from_env(environ)


@pytest.mark.parametrize("value", ["x", "-1", "1.5", " 1", "²"])
def test_a_variable_that_is_not_a_number_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match=r"GATHER_MINUTES must be a whole number and is "):
        Config.from_env({**ENVIRONMENT, "GATHER_MINUTES": value})


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_slash_at_the_end_of_the_address_does_not_matter(slashes: str) -> None:
    url = "https://commserve.example/commandcenter/api"
    assert Config.from_env({**ENVIRONMENT, "COMMVAULT_API_URL": url + slashes}).commvault_api_url == url


def test_a_proxys_password_that_was_set_by_hand_is_not_shown() -> None:
    config = Config.from_env({**ENVIRONMENT, "COMMVAULT_PROXY": "http://user:fake-password@proxy.example:3128"})
    assert "fake-password" not in f"{config} {config!r}"
