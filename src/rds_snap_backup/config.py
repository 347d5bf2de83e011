"""The function's settings, read once from its environment. Not for anything that changes between events."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from rds_snap_backup.core.policy import HOUR, MINUTE, Policy


class ConfigError(Exception):
    """An environment variable is missing or not usable; the text names it."""


@dataclass(frozen=True)
class Config:
    """The stack's parameters, in the units of their names. An optional text that is not set is empty."""

    commvault_api_url: str
    token_secret_arn: str
    renew_token: bool
    targets_path: str
    ledger_table: str
    notifications_topic_arn: str
    alarm_topic_arn: str
    submissions_queue_url: str
    dead_letter_queue_url: str
    gather_minutes: int
    settle_minutes: int
    retry_hours: int
    retry_failed_jobs: int
    follow_hours: int
    first_retry_seconds: int
    first_poll_seconds: int
    reconcile_seconds: int
    ledger_days: int
    backup_max_age_hours: int
    is_default_scheduled: bool
    has_rds_events: bool
    ca_certificate_parameter: str
    # The stack's own account comes first. `*`: each account that the policies of the event buses admit.
    account_ids: tuple[str, ...]
    audit_members: tuple[str, ...]
    audit_regions: tuple[str, ...]
    # Not shown: a variable that was set by hand may hold a password.
    commvault_proxy: str = field(repr=False)
    stack_arn: str
    service: str
    # Known to the Audit function only: the product's version, the group of the stack's schedules, the bucket of reports.
    product_version: str
    schedule_group: str
    report_bucket: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; raise `ConfigError` for the first variable that is missing or not a number."""

        def text(name: str) -> str:
            value = environ.get(name, "")
            if not value:
                raise ConfigError(f"The environment variable {name} is not set: deploy the stack's template again.")
            return value

        def number(name: str) -> int:
            value = text(name)
            if not value.isdecimal():
                raise ConfigError(f"The environment variable {name} must be a whole number and is {value!r}.")
            return int(value)

        return cls(
            commvault_api_url=text("COMMVAULT_API_URL").rstrip("/"),
            token_secret_arn=text("TOKEN_SECRET_ARN"),
            renew_token=environ.get("RENEW_TOKEN") == "true",
            targets_path=text("TARGETS_PATH"),
            ledger_table=text("LEDGER_TABLE"),
            notifications_topic_arn=text("NOTIFICATIONS_TOPIC_ARN"),
            alarm_topic_arn=text("ALARM_TOPIC_ARN"),
            submissions_queue_url=text("SUBMISSIONS_QUEUE_URL"),
            dead_letter_queue_url=text("DEAD_LETTER_QUEUE_URL"),
            gather_minutes=number("GATHER_MINUTES"),
            settle_minutes=number("SETTLE_MINUTES"),
            retry_hours=number("RETRY_HOURS"),
            retry_failed_jobs=number("RETRY_FAILED_JOBS"),
            follow_hours=number("FOLLOW_HOURS"),
            first_retry_seconds=number("FIRST_RETRY_SECONDS"),
            first_poll_seconds=number("FIRST_POLL_SECONDS"),
            reconcile_seconds=number("RECONCILE_SECONDS"),
            ledger_days=number("LEDGER_DAYS"),
            backup_max_age_hours=number("BACKUP_MAX_AGE_HOURS"),
            is_default_scheduled=environ.get("DEFAULT_SCHEDULED") == "true",
            has_rds_events=environ.get("RDS_EVENTS") == "true",
            ca_certificate_parameter=environ.get("CA_CERTIFICATE_PARAMETER", ""),
            account_ids=tuple(text("ACCOUNT_IDS").split(",")),
            audit_members=tuple(filter(None, environ.get("AUDIT_MEMBERS", "").split(","))),
            audit_regions=tuple(filter(None, environ.get("AUDIT_REGIONS", "").split(","))),
            commvault_proxy=environ.get("COMMVAULT_PROXY", ""),
            stack_arn=text("STACK_ARN"),
            service=text("POWERTOOLS_SERVICE_NAME"),
            product_version=environ.get("PRODUCT_VERSION", ""),
            schedule_group=environ.get("SCHEDULE_GROUP", ""),
            report_bucket=environ.get("REPORT_BUCKET", ""),
        )

    @property
    def policy(self) -> Policy:
        """The settings that the core's rules need."""
        return Policy(
            gather_minutes=self.gather_minutes,
            retry_failed_jobs=self.retry_failed_jobs,
            settle_seconds=self.settle_minutes * MINUTE,
            retry_seconds=self.retry_hours * HOUR,
            follow_seconds=self.follow_hours * HOUR,
            first_retry_seconds=self.first_retry_seconds,
            first_poll_seconds=self.first_poll_seconds,
            reconcile_seconds=self.reconcile_seconds,
        )

    @property
    def own_account(self) -> str:
        """The stack's own account."""
        return self.account_ids[0]

    @property
    def admits_every_account(self) -> bool:
        """Whether the policies of the event buses decide whose RDS events count."""
        return "*" in self.account_ids

    @property
    def region(self) -> str:
        """The stack's region."""
        return self.stack_arn.split(":")[3]
