"""Names and small shapes that several layers of tests share."""

import time
import uuid
from dataclasses import dataclass, field

REGION = "us-east-1"
ACCOUNT = "000000000000"

# What the template gives to the functions, with values that reach nothing.
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
    "ALARM_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
    "SUBMISSIONS_QUEUE_URL": f"http://127.0.0.1:9/{ACCOUNT}/submissions",
    "DEAD_LETTER_QUEUE_URL": f"http://127.0.0.1:9/{ACCOUNT}/dead-letters",
    "RDS_EVENT_IDS": "RDS-EVENT-0043",
    "GATHER_MINUTES": "0",
    "SETTLE_MINUTES": "60",
    "RETRY_HOURS": "6",
    "RETRY_FAILED_JOBS": "1",
    "FOLLOW_HOURS": "24",
    "FIRST_RETRY_SECONDS": "1",
    "FIRST_POLL_SECONDS": "1",
    "RECONCILE_SECONDS": "5",
    "LEDGER_DAYS": "90",
    "BACKUP_MAX_AGE_HOURS": "26",
    "DEFAULT_SCHEDULED": "false",
    "RDS_EVENTS": "true",
    "CA_CERTIFICATE_PARAMETER": "",
    "ACCOUNT_IDS": f"{ACCOUNT},111122223333",
    "COMMVAULT_PROXY": "",
    "STACK_ARN": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/test/1",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "RdsSnapBackup",
}


@dataclass(frozen=True, slots=True)
class Context:
    """A Lambda context: the attributes that the function and Powertools read."""

    seconds: float = 50.0
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_name: str = "backup"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:backup"
    started: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function would be killed."""
        return int((self.started + self.seconds - time.monotonic()) * 1000)
