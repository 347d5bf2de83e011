"""Names and small shapes that several layers of tests share."""

import time
import uuid
from dataclasses import dataclass, field

REGION = "us-east-1"
ACCOUNT = "000000000000"

# What the template gives to the function, with values that reach nothing.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "COMMVAULT_API_URL": "https://127.0.0.1:9/commandcenter/api",
    "TOKEN_SECRET_ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:token",
    "RENEW_TOKEN": "true",
    "TARGETS_PATH": "/rds-snap-backup/test/targets/",
    "LEDGER_TABLE": "ledger",
    "NOTIFICATIONS_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:notifications",
    "SUBMISSIONS_QUEUE_URL": f"http://127.0.0.1:9/{ACCOUNT}/submissions",
    "JOBS_QUEUE_URL": f"http://127.0.0.1:9/{ACCOUNT}/jobs",
    "DEAD_LETTER_QUEUE_URL": f"http://127.0.0.1:9/{ACCOUNT}/dead-letters",
    "COOL_DOWN_MINUTES": "15",
    "RETRY_HOURS": "6",
    "FIRST_RETRY_SECONDS": "1",
    "RECONCILE_SECONDS": "5",
    "FOLLOW_HOURS": "24",
    "FIRST_POLL_SECONDS": "1",
    "BACKUP_MAX_AGE_HOURS": "26",
    "SCHEDULE_STATE": "DISABLED",
    "LEDGER_DAYS": "90",
    "CA_CERTIFICATE_PARAMETER": "",
    "ACCOUNT_IDS": f"{ACCOUNT},111122223333",
    "COMMVAULT_PROXY": "",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "RdsSnapBackup",
}


@dataclass(frozen=True, slots=True)
class Context:
    """A Lambda context: the attributes that the function and Powertools read."""

    seconds: float = 50.0
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_name: str = "submit"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:submit"
    started: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function would be killed."""
        return int((self.started + self.seconds - time.monotonic()) * 1000)
