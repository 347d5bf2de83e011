"""The systems that a sandbox of the Audit function works with."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Self

from botocore.config import Config as SdkConfig

from rds_snap_backup.audit.estate import home_of, members_of
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.metric_sums import MetricSums
from rds_snap_backup.audit.pages import Readings
from rds_snap_backup.audit.proving import Prover
from rds_snap_backup.audit.reports import Reports
from rds_snap_backup.audit.schedules import Schedules
from rds_snap_backup.bootstrap import SDK, Clients, Services, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.audits import Audits
from rds_snap_backup.rds.databases import Databases
from rds_snap_backup.rds.members import Members

# A report of thousands of databases is some megabytes.
PATIENT = SDK.merge(SdkConfig(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}))


@dataclass(frozen=True)
class Auditor:
    """The systems; clients that not every question needs are made when they are first needed."""

    services: Services
    databases: Databases
    members: Members
    audits: Audits
    readings: Readings
    prover: Prover
    schedules: Schedules
    sums: MetricSums
    reports: Reports

    @classmethod
    def make(cls, config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Self:
        """Build it."""
        services = bootstrap(config, clients, clock)
        audits = Audits(services.table, config.ledger_days, clock)
        databases, members = Databases(clients.rds), members_of(config, clients.client)
        prover = Prover(services, databases, members, home_of(config))
        schedules = Schedules(config.schedule_group, cache(partial(clients.client, "scheduler", config=SDK)))
        sums = MetricSums(config.service, cache(partial(clients.client, "cloudwatch", config=PATIENT)))
        reports = Reports(config, cache(partial(clients.client, "s3", config=PATIENT)))
        return cls(services, databases, members, audits, Readings(clock), prover, schedules, sums, reports)

    def metered(self) -> Metered:
        """Return a client of Commvault whose calls are limited to those of one audit."""
        return Metered(self.services.commvault, self.services.config.commvault_api_url)
