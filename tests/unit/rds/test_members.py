"""Members: whose role is assumed and how, and none that fails or takes too long keeps another from being read."""

import time
from collections import Counter
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rds_snap_backup.problems import Problem
from rds_snap_backup.rds import members as module
from rds_snap_backup.rds.databases import Databases, Place, Wanted
from rds_snap_backup.rds.members import Hub, Listing, Members, read_snapshots

PLACES = [Place(f"{number:012}", "eu-west-1") for number in range(20)]
HUB = Hub("backups", "aws-us-gov", "us-gov-west-1", sends_events=True)
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AnyCall")


class Sdk:
    """A session of the SDK whose accounts are all alike. `denied` cannot be assumed, `slow` takes that many seconds."""

    def __init__(self, denied: str = "", slow: str = "") -> None:
        self.denied, self.slow = denied, slow
        self.made: Counter[str] = Counter()
        self.assumed: list[dict[str, Any]] = []
        self.now = 0.0
        self.exceptions = SimpleNamespace(QueueDoesNotExist=KeyError)
        self.gate: Barrier | None = None
        self.inside, self.most_inside = set[str](), 0

    def client(self, service: str, region_name: str, **given: Any) -> Any:
        self.made[f"{service} {region_name} {given.get('aws_session_token', '')}".strip()] += 1
        return self

    def assume_role(self, **given: Any) -> Any:
        self.assumed.append(given)
        account = given["RoleArn"].split(":")[4]
        if self.gate:
            self.inside.add(account)
            self.most_inside = max(self.most_inside, len(self.inside))
            self.gate.wait(10)
            self.inside.discard(account)
        if account == self.slow:
            self.now += 11
        if account == self.denied:
            raise DENIED
        return {"Credentials": {"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": account}}

    def get_paginator(self, _operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [{"DBClusters": [], "DBInstances": []}])

    def describe_account_attributes(self) -> Any:
        return {"AccountQuotas": [{"AccountQuotaName": "ManualSnapshots", "Used": 1, "Max": 100}]}

    def get_queue_url(self, QueueName: str) -> Any:  # noqa: N803 # the SDK's name
        self.made["queue"] += 1
        if QueueName != "backups-members-dead":
            raise KeyError
        return {"QueueUrl": "url"}

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": "2"}}


def test_each_role_is_assumed_at_the_regional_endpoint_under_a_name_that_can_be_searched_for() -> None:
    sdk = Sdk()
    (listing,) = Members(HUB, [Place("111122223333", "us-gov-east-1")], sdk.client).read().values()
    (given,) = sdk.assumed
    assert given["RoleArn"] == "arn:aws-us-gov:iam::111122223333:role/backups-audit-us-gov-east-1"
    assert given["RoleSessionName"] == "backups-audit"
    used = [f"{service} us-gov-east-1 111122223333" for service in ("rds", "sqs")]
    assert sdk.made == {"sts us-gov-west-1": 1, **dict.fromkeys(used, 1), "queue": 1}
    assert listing.waiting == 2


def test_without_forwarded_events_no_queue_is_read() -> None:
    sdk = Sdk()
    (listing,) = Members(Hub("backups", "aws", "x", sends_events=False), PLACES[:1], sdk.client).read().values()
    assert (listing.waiting, sdk.made["queue"]) == (0, 0)
    (listing,) = Members(Hub("other", "aws", "x", sends_events=True), PLACES[:1], sdk.client).read().values()
    assert listing.waiting == 0  # It has no queue.


def test_members_are_read_eight_at_a_time() -> None:
    sdk = Sdk()
    sdk.gate = Barrier(8)  # It opens when eight are there.
    read = Members(HUB, PLACES[:16], sdk.client).read()
    assert {listing.waiting for listing in read.values()} == {2}
    assert sdk.most_inside == 8


def test_a_member_that_fails_hides_no_other() -> None:
    read = Members(HUB, PLACES, Sdk(denied=PLACES[3].account).client).read()
    failed = {place: listing.resources for place, listing in read.items() if isinstance(listing.resources, Problem)}
    assert failed.keys() == {PLACES[3]}
    assert "AccessDenied" in failed[PLACES[3]].message


def test_members_have_their_time_each_and_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = Sdk(slow=PLACES[0].account)
    monkeypatch.setattr(time, "monotonic", lambda: sdk.now)
    for seconds, problem in ((100, module.TOO_SLOW), (19, module.NOT_REACHED)):
        (listing,) = Members(HUB, PLACES[:1], sdk.client).read(seconds).values()
        assert listing == Listing.unread(problem)
    assert Members(HUB, [], sdk.client).read() == {}


def test_snapshots_of_places_are_read_and_one_that_fails_hides_no_other() -> None:
    def source(place: Place) -> Databases:
        def paginate(**_: Any) -> Any:
            if place == PLACES[1]:
                raise DENIED
            yield {"DBSnapshots": [{"DBSnapshotIdentifier": name} for name in "ab"]}

        client: Any = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=paginate))
        return Databases(lambda: client)

    sources = {place: source(place) for place in PLACES}
    wanted = {place: [Wanted("instance", "name", frozenset({"s"}))] for place in sources}
    found = read_snapshots(sources, wanted, 100)
    assert {place for place, each in found.items() if isinstance(each, Problem)} == {PLACES[1]}
    assert {len(each) for each in found.values() if not isinstance(each, Problem)} == {2}
    assert set(read_snapshots(sources, wanted, 19).values()) == {module.NOT_REACHED}
    assert read_snapshots(sources, {}, 100) == {}
