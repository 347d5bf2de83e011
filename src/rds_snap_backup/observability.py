"""Metrics and logs, by Powertools. A metric is written at once, so that what a run had counted survives its being killed."""

import logging
from typing import Literal

import urllib3
from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "RdsSnapBackup"

type MetricName = Literal[
    "BackupSubmitted",
    "BackupJoined",
    "BackupRejected",
    "SubmissionDeferred",
    "SubmissionReconciled",
    "SubmissionAbandoned",
    "EventRefused",
    "EventIgnored",
    "TokenRefused",
    "TokenRenewed",
    "TokenNotStored",
    "BackupCompleted",
    "BackupRetried",
    "BackupFailed",
    "JobLost",
    "SubmissionThrottled",
    "ThrottledSeconds",
    "CommvaultUnreachable",
    "AuditFinding",
    "AuditCompleted",
]

logger = Logger()

# At DEBUG the SDK logs whole answers, a secret's value among them; no log level may bring that out.
for name in ("boto3", "botocore"):
    logging.getLogger(name).setLevel(logging.INFO)

# urllib3 only warns, never of what fails, and quotes what it warns of: a server may have put the token there.
logging.getLogger("urllib3").setLevel(logging.ERROR)
urllib3.disable_warnings()


def count(name: MetricName, service: str, number: int = 1) -> None:
    """Count one, or some, under the only dimension: `service`, the stack's name."""
    with single_metric(
        name=name, unit=MetricUnit.Count, value=number, namespace=NAMESPACE, default_dimensions={"service": service}
    ):
        pass
