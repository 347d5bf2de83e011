"""Members: whose role is assumed and how, eight at a time, and none that takes too long keeps another from being read."""

import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rds_snap_backup.problems import Problem
from rds_snap_backup.rds import members as module
from rds_snap_backup.rds.databases import Databases, Place, Snapshot, Wanted
from rds_snap_backup.rds.members import Hub, Listing, Members, read_snapshots

PLACES = [Place(f"{number:012}", "eu-west-1") for number in range(200)]
HUB = Hub("backups", "aws-us-gov", "us-gov-west-1", sends_events=True)


class Sdk:
    """A session of the SDK whose accounts are all alike. `denied` cannot be assumed, `slow` takes that many seconds."""

    def __init__(self, denied: str = "", slow: str = "") -> None:
        self.denied, self.slow = denied, slow
        self.made: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.assumed: list[dict[str, Any]] = []
        self.now = 0.0
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self.exceptions = SimpleNamespace(QueueDoesNotExist=KeyError)

    def client(self, service: str, region_name: str, **given: Any) -> Any:
        self.made[f"{service} {region_name} {given.get('aws_session_token', '')}".strip()] += 1
        return self

    def assume_role(self, **given: Any) -> Any:
        with self._lock:
            self.assumed.append(given)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        account = given["RoleArn"].split(":")[4]
        if account == self.slow:
            self.now += 11
        if account == self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")
        return {"Credentials": {"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": account}}

    def get_paginator(self, operation: str) -> Any:
        self.calls[operation] += 1
        return SimpleNamespace(paginate=lambda **_: [{"DBClusters": [], "DBInstances": []}])

    def describe_account_attributes(self) -> Any:
        self.calls["describe_account_attributes"] += 1
        return {"AccountQuotas": [{"AccountQuotaName": "ManualSnapshots", "Used": 1, "Max": 100}]}

    def get_queue_url(self, QueueName: str) -> Any:  # noqa: N803 # the SDK's name
        self.calls["get_queue_url"] += 1
        if QueueName != "backups-members-dead":
            raise KeyError
        return {"QueueUrl": "url"}

    def get_queue_attributes(self, **_: Any) -> Any:
        self.calls["get_queue_attributes"] += 1
        with self._lock:
            self.at_once -= 1
        return {"Attributes": {"ApproximateNumberOfMessages": "2"}}


def test_each_role_is_assumed_at_the_regional_endpoint_under_a_name_that_can_be_searched_for() -> None:
    sdk = Sdk()
    Members(HUB, [Place("111122223333", "us-gov-east-1")], sdk.client).read()
    (given,) = sdk.assumed
    assert given["RoleArn"] == "arn:aws-us-gov:iam::111122223333:role/backups-audit-us-gov-east-1"
    assert given["RoleSessionName"] == "backups-audit"
    assert sdk.made == {
        "sts us-gov-west-1": 1,
        "rds us-gov-east-1 111122223333": 1,
        "sqs us-gov-east-1 111122223333": 1,
    }


def test_without_forwarded_events_no_queue_is_read() -> None:
    sdk = Sdk()
    (listing,) = Members(Hub("backups", "aws", "x", sends_events=False), PLACES[:1], sdk.client).read().values()
    assert (listing.waiting, sdk.calls["get_queue_url"]) == (0, 0)
    (listing,) = Members(Hub("other", "aws", "x", sends_events=True), PLACES[:1], sdk.client).read().values()
    assert listing.waiting == 0  # It has no queue.


def test_a_member_that_fails_hides_no_other() -> None:
    read = Members(HUB, PLACES[:20], Sdk(denied=PLACES[3].account).client).read()
    failed = {place: listing.resources for place, listing in read.items() if isinstance(listing.resources, Problem)}
    assert failed.keys() == {PLACES[3]}
    assert "AccessDenied" in failed[PLACES[3]].message


def test_members_have_their_time_each_and_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = Sdk(slow=PLACES[0].account)
    monkeypatch.setattr(time, "monotonic", lambda: sdk.now)
    (listing,) = Members(HUB, PLACES[:1], sdk.client).read().values()
    assert listing == Listing.unread(module.TOO_SLOW)
    (listing,) = Members(HUB, PLACES[:1], sdk.client).read(19).values()
    assert listing == Listing.unread(module.NOT_REACHED)
    assert Members(HUB, [], sdk.client).read() == {}


def test_snapshots_of_places_are_read_several_at_a_time_and_one_that_fails_hides_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def source(account: str) -> Databases:
        def snapshots(_wanted: Wanted) -> Any:
            if account == PLACES[1].account:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeDBSnapshots")
            yield from (Snapshot("instance", f"{account}-{number}", "", "", "", 0, True) for number in range(2))

        client: Any = None
        databases = Databases(lambda: client)
        monkeypatch.setattr(databases, "snapshots", snapshots)
        return databases

    sources = {place: source(place.account) for place in PLACES[:20]}
    wanted = {place: [Wanted("instance", "name", frozenset({"s"}))] for place in sources}
    found = read_snapshots(sources, wanted, 100)
    problems = {place: each for place, each in found.items() if isinstance(each, Problem)}
    assert problems.keys() == {PLACES[1]}
    assert {len(each) for each in found.values() if not isinstance(each, Problem)} == {2}
    assert set(read_snapshots(sources, wanted, 19).values()) == {module.NOT_REACHED}
    assert read_snapshots(sources, {}, 100) == {}
