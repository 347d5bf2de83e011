"""The usual way: a Lambda function that starts a backup with `cvpysdk`, Commvault's own SDK, and publishes the job's id.

It is what the product is measured against, and no part of it. Retries are left to Lambda, as usual: what goes wrong is
raised. The target comes with the event.
"""

import json
import os
from typing import Any

import boto3
from cvpysdk.commcell import Commcell

SECRETS = boto3.client("secretsmanager")
SNS = boto3.client("sns")


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Back up the subclient that the event names."""
    token = SECRETS.get_secret_value(SecretId=os.environ["TOKEN_SECRET_ARN"])["SecretString"]
    commcell = Commcell(
        "localhost",
        authtoken=token,
        certificate_path=os.environ["CA_FILE"],
        web_service_url=os.environ["COMMVAULT_API_URL"],
    )
    instance = commcell.clients.get(event["client"]).agents.get("Cloud Apps").instances.get(event["instance"])
    job = instance.subclients.get(event["subclient"]).backup("Full")
    message = {"status": "submitted", "target": event["subclient"], "jobIds": [job.job_id]}
    SNS.publish(TopicArn=os.environ["NOTIFICATIONS_TOPIC_ARN"], Message=json.dumps(message))
    return message
