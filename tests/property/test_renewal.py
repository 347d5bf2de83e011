"""A token pair between crashes, its owner, and runs at one time: no older pair is presented while a newer one is stored.

Each example is a world of its own, which its seed determines. At every call of AWS or Commvault the run may be killed, the
call may fail or its answer may be lost, and meanwhile another sandbox may do a whole run or the owner may store a pair.
"""

import json
import os
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rds_snap_backup.commvault.answers import Answer, HttpRequest, HttpResponse, NoAnswer
from rds_snap_backup.commvault.auth import Flow
from rds_snap_backup.credentials.renewal import Renewer
from rds_snap_backup.credentials.secret import Secret
from rds_snap_backup.credentials.tokens import TokenAuth
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.ledger.token import TokenLease
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from tests.property.model.tokens import Chain

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "400"))
STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/test/1"
RUN_SECONDS, RESERVE_SECONDS = 50.0, 12.0
STALE_SECONDS = 2.0
RUNS = 25


class Killed(BaseException):
    """The sandbox is gone."""


class World:
    """Secrets Manager and DynamoDB with one item each, Commvault, and a few sandboxes. Time is made up."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.now = 1_790_000_000.0
        self.end = 0.0
        self.is_calm = False
        self.chain: Chain = Chain(
            self, self.random.choice((-60.0, 0.0, 60.0)), lambda: map(first, self.versions.values())
        )
        self.versions: dict[str, tuple[str, float]] = {}
        self.current, self.before, self.moved_at = "", "", 0.0
        self.item: dict[str, Any] = {}
        self.owner_stores()
        self.sandboxes = [self.sandbox() for _ in range(3)]

    def fail(self, message: str) -> NoReturn:
        raise AssertionError(message)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def owner_stores(self) -> None:
        """Issue a pair, and store it as the current value."""
        self._move(str(uuid.UUID(int=self.random.getrandbits(128))), self.chain.issue())

    def sandbox(self) -> TokenAuth:
        secret = Secret("arn", self, self.time)  # type: ignore[arg-type] # the calls below
        lease = TokenLease(Table("ledger", self), self.time)  # type: ignore[arg-type]
        return TokenAuth(secret, "test", Renewer(secret, lease, STACK, "test", self.time), self.time)

    def run(self) -> bool:
        """Do a run of a sandbox that has none; return whether its request was accepted."""
        auth = self.sandboxes.pop(self.random.randrange(len(self.sandboxes)))
        outer_end, self.end = self.end, self.now + RUN_SECONDS
        deadline = self.end - RESERVE_SECONDS
        try:
            self._drive(auth.prepare(deadline))
            answer = self._drive(auth.send(HttpRequest("POST", "/CreateTask", {}, deadline)))
        except Killed:
            self.seen["killed"] += 1
            auth = self.sandbox()
            return False
        finally:
            self.sandboxes.append(auth)
            self.end = outer_end
        return isinstance(answer, HttpResponse) and answer.status == 200

    def effect[T](self, act: Callable[[], T]) -> T:
        """Make a call, or let something go wrong."""
        self.now += self.random.choice((0.02, 0.02, 0.5))
        if self.now > self.end:
            raise Killed
        match None if self.is_calm else self.random.randrange(40):
            case 0:
                raise Killed
            case 1:
                act()
                raise Killed
            case 2:
                raise EndpointConnectionError(endpoint_url="AWS")
            case 3:
                act()
                raise EndpointConnectionError(endpoint_url="AWS")
            case 4:
                self.now += 26
            case 5:
                self.seen["owner"] += 1
                self.owner_stores()
            case 6 | 7 | 8 | 9 if self.sandboxes:
                self.seen["meanwhile"] += 1
                self.run()
        if self.now > self.end:
            raise Killed
        return act()

    # Commvault.

    def _drive[T](self, flow: Flow[T]) -> T:
        try:
            request = next(flow)
            while True:
                request = flow.send(self._answer(request))
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, request: HttpRequest) -> Answer:
        try:
            return self.effect(lambda: self._reply(request))
        except EndpointConnectionError:
            return NoAnswer(Problem("NO_ANSWER", "", ""))

    def _reply(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/CreateTask":
            accepted = self.chain.accepts(request.headers["Authtoken"])
            return HttpResponse(200 if accepted else 401, {}, b"{}")
        if not self.is_calm and self.random.randrange(20) == 0:
            return HttpResponse(503, {}, b"")
        pair = json.loads(request.body or b"")
        status, document, headers = self.chain.renew(pair["accessToken"], pair["refreshToken"])
        return HttpResponse(status, headers, json.dumps(document).encode(), self.chain.ahead)

    # Secrets Manager: a read right after a change may show the value from before.

    def get_secret_value(self, **request: Any) -> Any:
        def act() -> Any:
            is_stale = self.now < self.moved_at + STALE_SECONDS and self.random.randrange(3) == 0
            version = request.get("VersionId") or (self.before if is_stale else self.current)
            if version not in self.versions:
                raise refused("ResourceNotFoundException")
            value, created = self.versions[version]
            stages = ["AWSCURRENT"] if version == self.current else []
            date = datetime.fromtimestamp(created, UTC)
            return {"SecretString": value, "VersionId": version, "VersionStages": stages, "CreatedDate": date}

        return self.effect(act)

    def put_secret_value(self, **request: Any) -> None:
        assert request["VersionStages"] == ["RENEWED"]
        version = request["ClientRequestToken"]
        self.effect(lambda: self.versions.setdefault(version, (request["SecretString"], self.now)))

    def update_secret_version_stage(self, **request: Any) -> None:
        def act() -> None:
            if self.current != request["RemoveFromVersionId"]:
                raise refused("InvalidParameterException")
            self._move(request["MoveToVersionId"])

        self.effect(act)

    def _move(self, version: str, value: str | None = None) -> None:
        if value is not None:
            self.versions[version] = value, self.now
        self.before, self.current, self.moved_at = self.current or version, version, self.now

    # DynamoDB.

    def batch_get_item(self, **_: Any) -> Any:
        rows = [{**self.item, "pk": {"S": "token"}}] if self.item else []
        return self.effect(lambda: {"Responses": {"ledger": rows}})

    def update_item(self, **call: Any) -> None:
        names, values = call["ExpressionAttributeNames"], call["ExpressionAttributeValues"]

        def act() -> None:
            match call["ConditionExpression"]:
                case "#owner = :owner":
                    holds = self.item.get("owner") == values[":owner"]
                case "attribute_not_exists(#lease) OR #lease <= :now":
                    lease = self.item.get("lease")
                    holds = lease is None or float(lease["N"]) <= float(values[":now"]["N"])
                case other:
                    raise NotImplementedError(other)
            if not holds:
                error = refused("ConditionalCheckFailedException")
                error.response["Item"] = self.item  # type: ignore[typeddict-unknown-key]
                raise error
            sets, _, removals = call["UpdateExpression"].partition(" REMOVE ")
            self.item = {
                **self.item,
                **{names[name]: values[value] for name, value in re.findall(r"(#\w+) = (:\w+)", sets)},
            }
            for name in re.findall(r"#\w+", removals):
                self.item.pop(names[name], None)

        self.effect(act)


def first(pair: tuple[str, float]) -> str:
    return pair[0]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "call")


def play(seed: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    world = World(seed)
    clock: Any = SimpleNamespace(time=world.time, monotonic=world.time, sleep=world.sleep)
    for module in ("credentials.renewal", "ledger.table"):
        monkeypatch.setattr(f"rds_snap_backup.{module}.time", clock)
    for _ in range(RUNS):
        world.run()
        world.now += world.random.choice((0, 1, 30, 120, 900, 1900))
    # What is stored is used once nothing goes wrong any more, and a pair of the owner's in any case.
    world.is_calm = True
    world.now += 700
    if world.chain.is_known:
        world.seen["known"] += 1
        assert any(world.run() for _ in range(9)), "the latest pair is stored and not used"
    world.owner_stores()
    world.now += 3
    assert any(world.run() for _ in range(9)), "the owner's pair is not used"
    return world.seen


def test_no_older_pair_is_presented_while_a_newer_one_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    level = logger.log_level
    logger.setLevel("CRITICAL")
    for seed in range(EXAMPLES):
        try:
            seen += play(seed, monkeypatch)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    logger.setLevel(level)
    assert seen["renewed"] > EXAMPLES
    assert seen["owner"] > EXAMPLES
    assert seen["known"] > EXAMPLES / 2
    assert seen["killed"] > EXAMPLES
