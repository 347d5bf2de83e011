"""Builds the services from the configuration: the one place that knows boto3. One session serves all clients."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as SdkConfig
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.trust import ca_certificates
from rds_snap_backup.config import Config
from rds_snap_backup.credentials.renewal import Renewer
from rds_snap_backup.credentials.secret import Secret
from rds_snap_backup.credentials.tokens import TokenAuth
from rds_snap_backup.ledger.submissions import Submissions
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.ledger.token import TokenLease
from rds_snap_backup.messaging.notifications import Notifications
from rds_snap_backup.messaging.queues import Queues
from rds_snap_backup.targets import Targets

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

# What the SDK raises when AWS fails.
AWS_FAILURES = (ClientError, BotoCoreError)

# AWS calls are short, and a run must end before its function's timeout: three tries of at most 3 s each.
SDK = SdkConfig(
    connect_timeout=2,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    # A fixed one: the SDK builds its own for every call, which is a tenth of a warm run's CPU time.
    user_agent="rds-snap-backup",
)
# The status of a database is worth one short try: without it the backup only waits a little.
ONE_TRY = SdkConfig(retries={"mode": "standard", "total_max_attempts": 1})


@dataclass(frozen=True)
class Clients:
    """The SDK's clients. Those that few runs need are made when they are first used."""

    dynamodb: "DynamoDBClient"
    secretsmanager: "SecretsManagerClient"
    sns: "SNSClient"
    sqs: "Callable[[], SQSClient]"
    ssm: "SSMClient"
    rds: "Callable[[], RDSClient]"
    # Makes clients of other accounts and regions.
    client: Callable[..., Any] = field(default_factory=lambda: boto3.Session().client)

    @classmethod
    def make(cls) -> "Clients":
        """Make all of them from one session."""
        session = boto3.Session()
        return cls(
            dynamodb=session.client("dynamodb", config=SDK),
            secretsmanager=session.client("secretsmanager", config=SDK),
            sns=session.client("sns", config=SDK),
            sqs=cache(partial(session.client, "sqs", config=SDK)),
            ssm=session.client("ssm", config=SDK),
            rds=cache(lambda: session.client("rds", config=SDK.merge(ONE_TRY))),
            client=session.client,
        )


@dataclass(frozen=True)
class Services:
    """The systems that both functions work with. `clock` gives Unix seconds."""

    config: Config
    targets: Targets
    auth: TokenAuth
    commvault: Commvault
    table: Table
    submissions: Submissions
    notifications: Notifications
    queues: Queues
    clock: Callable[[], float]


def bootstrap(config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Services:
    """Build the services."""
    table = Table(config.ledger_table, clients.dynamodb)
    secret = Secret(config.token_secret_arn, clients.secretsmanager, clock)
    renewer = (
        Renewer(secret, TokenLease(table, clock), config.stack_arn, config.service, clock)
        if config.renew_token
        else None
    )
    auth = TokenAuth(secret, config.service, renewer, clock)
    certificates = partial(ca_certificates, config.ca_certificate_parameter, clients.ssm)
    return Services(
        config=config,
        targets=Targets(config.targets_path, clients.ssm),
        auth=auth,
        commvault=Commvault(config.commvault_api_url, certificates, auth, config.commvault_proxy),
        table=table,
        submissions=Submissions(table, config.ledger_days, clock),
        notifications=Notifications(config.notifications_topic_arn, clients.sns),
        queues=Queues(config.submissions_queue_url, config.dead_letter_queue_url, clients.sqs),
        clock=clock,
    )
