"""The function's settings: each variable is read, and an error names it."""

from dataclasses import asdict, fields
from typing import Any

import pytest

from rds_snap_backup.config import Config, ConfigError
from tests.support import ENVIRONMENT

OTHER_NAMES = {
    "service": "POWERTOOLS_SERVICE_NAME",
    "is_default_scheduled": "DEFAULT_SCHEDULED",
    "has_rds_events": "RDS_EVENTS",
}
OPTIONAL = {"ca_certificate_parameter", "commvault_proxy", "audit_members", "audit_regions", "product_version"}
OPTIONAL |= {"schedule_group", "report_bucket"}
VARIABLES = {each.name: OTHER_NAMES.get(each.name, each.name.upper()) for each in fields(Config)}
KINDS = {each.name: each.type for each in fields(Config)}


def test_every_variable_is_read_into_its_own_field() -> None:
    environ: dict[str, str] = {}
    expected: dict[str, Any] = {}
    for number, (field, name) in enumerate(VARIABLES.items()):
        kind: Any = KINDS[field]
        environ[name] = {int: str(number), bool: "true"}.get(kind, f"value of {name}")
        expected[field] = {int: number, bool: True, str: environ[name]}.get(kind, (environ[name],))
    assert Config.from_env(environ) == Config(**expected)
    for field in (field for field in KINDS if KINDS[field] is bool):
        assert getattr(Config.from_env(environ | {VARIABLES[field]: "false"}), field) is False


def test_a_missing_variable_is_named_unless_it_is_optional() -> None:
    for field, name in VARIABLES.items():
        for environ in (ENVIRONMENT | {name: ""}, {k: v for k, v in ENVIRONMENT.items() if k != name}):
            if field in OPTIONAL or KINDS[field] is bool:
                assert not getattr(Config.from_env(environ), field)
                continue
            with pytest.raises(ConfigError, match=rf"\b{name}\b"):
                Config.from_env(environ)


@pytest.mark.parametrize("value", ["x", "-1", "1.5", " 1", "²"])
def test_a_variable_that_is_not_a_number_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match=r"GATHER_MINUTES must be a whole number and is "):
        Config.from_env({**ENVIRONMENT, "GATHER_MINUTES": value})


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_the_address_ends_without_a_slash_and_a_proxys_password_is_not_shown(slashes: str) -> None:
    url = "https://commserve.example/commandcenter/api"
    given = {"COMMVAULT_API_URL": url + slashes, "COMMVAULT_PROXY": "http://user:fake-password@proxy.example:3128"}
    config = Config.from_env(ENVIRONMENT | given)
    assert config.commvault_api_url == url
    assert "fake-password" not in f"{config} {config!r}"


def test_the_policy_has_each_setting_in_its_unit() -> None:
    given = {"SETTLE_MINUTES": "3", "RETRY_HOURS": "4", "FOLLOW_HOURS": "5", "FIRST_POLL_SECONDS": "7"}
    policy = asdict(Config.from_env(ENVIRONMENT | given | {"GATHER_MINUTES": "8", "RETRY_FAILED_JOBS": "2"}).policy)
    wanted = {"settle_seconds": 180, "retry_seconds": 4 * 3600, "follow_seconds": 5 * 3600, "gather_minutes": 8}
    wanted |= {"retry_failed_jobs": 2, "first_retry_seconds": 1, "first_poll_seconds": 7, "reconcile_seconds": 5}
    assert policy | wanted == policy
