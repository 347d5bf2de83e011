"""Member accounts: their databases, quotas, undelivered events and snapshots, read through the role in each of them.

Members are read several at a time. A member that fails, or takes too long, never keeps another from being read.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from threading import Lock
from typing import Any

from botocore.config import Config as SdkConfig

from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Databases, Place, Quota, Resource, Snapshot, Wanted

AT_ONCE = 8
ALL_SECONDS = 150.0
MEMBER_SECONDS = 20.0
# The most that a call takes: two tries. No call begins with less time left.
CALL_SECONDS = 10.0
SDK = SdkConfig(connect_timeout=1, read_timeout=3.5, retries={"mode": "standard", "total_max_attempts": 2})
MAX_SESSION_NAME = 64
DEPLOY_MEMBER = (
    "Deploy member.yaml there with this stack's name and AuditRoleArn, or take the account out of AuditMembers; "
    "docs/fleet.md names the other causes, such as a service control policy."
)
NOT_REACHED = Problem(
    "OUT_OF_TIME", "There was no time left for it.", "Run the audit again. If it persists, list fewer members."
)
TOO_SLOW = Problem("OUT_OF_TIME", f"It took more than {MEMBER_SECONDS:.0f} s.", "Run the audit again.")


@dataclass(frozen=True)
class Listing:
    """What was read of a place. Each part is a problem if it could not be read; `waiting` counts undelivered events.

    `databases` reads more of it, None if its role cannot be assumed.
    """

    resources: list[Resource] | Problem
    quotas: list[Quota] | Problem
    waiting: int | Problem = 0
    databases: Databases | None = field(default=None, repr=False, compare=False)

    @classmethod
    def unread(cls, problem: Problem) -> "Listing":
        """Return the listing of a place of which nothing could be read."""
        return cls(problem, problem, problem)


@dataclass(frozen=True)
class Hub:
    """The stack that reads members. `sends_events`: members forward their RDS events to its bus."""

    stack: str
    partition: str
    region: str
    sends_events: bool


class Members:
    """All members of a hub. `make_client` is a boto3 session's `client`."""

    def __init__(self, hub: Hub, places: Iterable[Place], make_client: Callable[..., Any]) -> None:
        self.places = sorted(places)
        self._hub = hub
        self._make_client = make_client
        # Sessions are not safe to use from several threads; their clients are.
        self._lock = Lock()

    def read(self, seconds: float = ALL_SECONDS) -> dict[Place, Listing]:
        """Read all members in this time, and in ALL_SECONDS at most; never raises AWS errors."""
        if not self.places:
            return {}
        last_start = time.monotonic() + min(seconds, ALL_SECONDS) - MEMBER_SECONDS
        # The endpoint of the region: its credentials count in every region, and no other region is needed.
        sts_client = self._client("sts", self._hub.region)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(
                zip(self.places, pool.map(partial(self._read, sts_client, last_start), self.places), strict=True)
            )

    def _read(self, sts_client: Any, last_start: float, place: Place) -> Listing:
        now = time.monotonic()
        if now > last_start:
            return Listing.unread(NOT_REACHED)
        calls = _calls_until(now + MEMBER_SECONDS)
        login = self._assume(sts_client, place, calls)
        if isinstance(login, Problem):
            return Listing.unread(login)
        databases = self._databases(place, login)
        return Listing(
            calls.rows(databases.resources),
            calls.result(databases.quotas),
            calls.result(lambda: self._waiting(place, login)) if self._hub.sends_events else 0,
            databases,
        )

    def open(self, place: Place) -> Databases | Problem:
        """Return what reads one member."""
        calls = _calls_until(time.monotonic() + MEMBER_SECONDS)
        login = self._assume(self._client("sts", self._hub.region), place, calls)
        return login if isinstance(login, Problem) else self._databases(place, login)

    def _assume(self, sts_client: Any, place: Place, calls: Calls) -> dict[str, str] | Problem:
        role = f"arn:{self._hub.partition}:iam::{place.account}:role/{self._hub.stack}-audit-{place.region}"
        # CloudTrail can be searched by this name.
        session = f"{self._hub.stack}-audit"[:MAX_SESSION_NAME]
        wanted = {"RoleArn": role, "RoleSessionName": session, "DurationSeconds": 900}
        assumed = calls.result(lambda: sts_client.assume_role(**wanted))
        if isinstance(assumed, Problem):
            return assumed
        given = assumed["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def _databases(self, place: Place, login: dict[str, str]) -> Databases:
        return Databases(cache(partial(self._client, "rds", place.region, login)))

    def _waiting(self, place: Place, login: dict[str, str]) -> int:
        """Return the depth of the member's dead-letter queue; 0 if it has none because it forwards no events."""
        sqs_client = self._client("sqs", place.region, login)
        try:
            url = sqs_client.get_queue_url(QueueName=f"{self._hub.stack}-members-dead")["QueueUrl"]
        except sqs_client.exceptions.QueueDoesNotExist:
            return 0
        name = "ApproximateNumberOfMessages"
        return int(sqs_client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def _client(self, service: str, region: str, login: dict[str, str] | None = None) -> Any:
        with self._lock:
            return self._make_client(service, region_name=region, config=SDK, **(login or {}))


def read_snapshots(
    sources: Mapping[Place, Databases], wanted: Mapping[Place, Sequence[Wanted]], seconds: float
) -> dict[Place, list[Snapshot] | Problem]:
    """Read snapshots of several places at a time, in this time altogether; never raises AWS errors."""
    last_start = time.monotonic() + seconds - MEMBER_SECONDS

    def read(place: Place) -> list[Snapshot] | Problem:
        now = time.monotonic()
        if now > last_start:
            return NOT_REACHED
        calls = _calls_until(now + MEMBER_SECONDS)
        found: list[Snapshot] = []
        for each in wanted[place]:
            snapshots = calls.rows(lambda each=each: sources[place].snapshots(each))  # type: ignore[misc]
            if isinstance(snapshots, Problem):
                return snapshots
            found += snapshots
        return found

    if not wanted:
        return {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(read, wanted), strict=True))


def _calls_until(deadline: float) -> Calls:
    return Calls(lambda: deadline - time.monotonic(), CALL_SECONDS, TOO_SLOW, DEPLOY_MEMBER)
