"""The bucket of reports: the full answer of each scheduled audit, which names the report before it."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from rds_snap_backup.config import Config
from rds_snap_backup.ledger.audits import ReportLink

# A report of that key exists, or another run writes it now.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class Reports:
    """The reports of one stack in a bucket; without a bucket's name none is kept. `client` makes the client when needed."""

    def __init__(self, config: Config, client: Callable[[], Any]) -> None:
        self.bucket = config.report_bucket
        self._prefix = f"rds-snap-backup/{config.own_account}/{config.region}/{config.service}"
        self._client = client

    def key(self, due: str | None, now: float) -> str:
        """Return the key of the report that was due at an ISO 8601 time; at `now` if that is not known."""
        try:
            at = datetime.fromisoformat(due or "")
        except ValueError:
            at = datetime.fromtimestamp(now, UTC)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        return f"{self._prefix}/{at:%Y/%m/%d/%Y-%m-%dT%H:%M:%SZ}.json"

    def write(self, key: str, body: bytes) -> ReportLink:
        """Write a report once; a report that exists is kept, and the link is to that one."""
        client = self._client()
        try:
            client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",  # Object Lock asks for a checksum.
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"].get("Code") not in EXISTS:
                raise
            body = client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return ReportLink(key, hashlib.sha256(body).hexdigest())

    def address(self, key: str | None) -> str | None:
        """Return a report's address; None of no report."""
        return f"s3://{self.bucket}/{key}" if key else None
