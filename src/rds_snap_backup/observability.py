"""Metrics and logs, by Powertools. A metric is written at once, so that a run which is killed has told so far."""

from typing import Literal

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
    "BackupCompleted",
    "BackupFailed",
    "JobLost",
]

logger = Logger()


def count(name: MetricName, service: str) -> None:
    """Count one, under the only dimension: `service`, the stack's name."""
    with single_metric(
        name=name, unit=MetricUnit.Count, value=1, namespace=NAMESPACE, default_dimensions={"service": service}
    ):
        pass
