"""Builds the services from the configuration: the one place that knows boto3. One session serves all clients."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config as SdkConfig
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.credentials import Credentials, ca_certificates
from rds_snap_backup.commvault.renewal import Renewer
from rds_snap_backup.commvault.secret import Secret
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.completions import Completions
from rds_snap_backup.ledger.history import History
from rds_snap_backup.ledger.submissions import Ledger
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.ledger.token import TokenLease
from rds_snap_backup.messaging.batches import Consumer
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

# What the SDK raises when AWS fails; Powertools wraps some of it.
AWS_FAILURES = (ClientError, BotoCoreError, GetParameterError)

# AWS calls are short, and a run must end before its function's timeout: three tries of at most 3 s each.
SDK = SdkConfig(
    connect_timeout=2,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    # A fixed one: the SDK builds its own for every call, which is a tenth of a warm run's CPU time.
    user_agent="rds-snap-backup",
)


@dataclass(frozen=True)
class Clients:
    """The SDK's clients. `sqs` makes its own when it is first needed: a submission that succeeds at once sends no message.

    So does `rds`, which the audit alone asks.
    """

    dynamodb: "DynamoDBClient"
    rds: "Callable[[], RDSClient]"
    secretsmanager: "SecretsManagerClient"
    sns: "SNSClient"
    sqs: "Callable[[], SQSClient]"
    ssm: "SSMClient"

    @classmethod
    def make(cls) -> "Clients":
        """Make all of them from one session."""
        session = boto3.Session()
        return cls(
            dynamodb=session.client("dynamodb", config=SDK),
            # A page of a hundred databases takes longer than other answers.
            rds=cache(lambda: session.client("rds", config=SDK.merge(SdkConfig(read_timeout=5)))),
            secretsmanager=session.client("secretsmanager", config=SDK),
            sns=session.client("sns", config=SDK),
            sqs=cache(partial(session.client, "sqs", config=SDK)),
            ssm=session.client("ssm", config=SDK),
        )


@dataclass(frozen=True)
class Services:
    """Everything that a run works with. `clock` gives Unix seconds."""

    config: Config
    targets: Targets
    commvault: Commvault
    ledger: Ledger
    completions: Completions
    history: History
    notifications: Notifications
    queues: Queues
    submissions: Consumer
    clock: Callable[[], float]


def bootstrap(config: Config, clients: Clients, clock: Callable[[], float] = time.time) -> Services:
    """Build the services."""
    table = Table(config.ledger_table, clients.dynamodb)
    secret = Secret(config.token_secret_arn, clients.secretsmanager, clock)
    ttl_seconds = config.ledger_days * 86400
    renewer = Renewer(secret, TokenLease(table, clock), config.service, clock) if config.renew_token else None
    return Services(
        config=config,
        targets=Targets(config.targets_path, clients.ssm),
        commvault=Commvault(
            config.commvault_api_url,
            partial(ca_certificates, config.ca_certificate_parameter, clients.ssm),
            Credentials(secret, config.service, renewer, clock),
            config.commvault_proxy,
        ),
        ledger=Ledger(table, config.retry_hours * 3600, ttl_seconds, clock),
        completions=Completions(table, ttl_seconds, clock),
        history=History(table, ttl_seconds, clock),
        notifications=Notifications(config.notifications_topic_arn, clients.sns),
        queues=Queues(config.submissions_queue_url, config.dead_letter_queue_url, clients.sqs),
        submissions=Consumer(config.submissions_queue_url, clients.sqs),
        clock=clock,
    )
