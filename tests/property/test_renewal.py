"""A token pair between crashes, its owner, and runs at one time: no older pair is presented while a newer one is stored.

Chance decides: at every call of AWS or Commvault the run may be killed, the call may fail or its answer may be lost, and
meanwhile another sandbox may do a whole run or the owner may store a pair.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from botocore.exceptions import EndpointConnectionError

from local.commserve.answers import Answer as Reply
from local.commserve.api import routes
from rds_snap_backup.commvault.answers import Answer, HttpRequest, HttpResponse, NoAnswer
from rds_snap_backup.commvault.auth import Flow
from rds_snap_backup.credentials.renewal import Renewer
from rds_snap_backup.credentials.secret import Secret
from rds_snap_backup.credentials.tokens import TokenAuth
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.ledger.token import TokenLease
from rds_snap_backup.problems import Problem
from tests.property.model.aws import SecretsManager
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import AWS_FAULTS, Kernel, Killed, Run, Sandbox
from tests.property.model.line import Wire, commserve
from tests.property.model.sdk import clients
from tests.property.wire import in_charge

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "200"))
FIRST = int(os.environ.get("PROPERTY_SEED", "0"))
STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/test/1"
RESERVE_SECONDS = 12.0
RUNS = 25


class Chance(Kernel):
    """A kernel in which chance decides what befalls an effect; `run` is what another sandbox does meanwhile."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = Random(seed)
        self.is_calm = False
        self.place: Place

    def fault(self, _kind: str, names: Sequence[str]) -> str:
        if self.is_calm or self.current is None or self.random.randrange(len(AWS_FAULTS) + 34) >= len(AWS_FAULTS):
            return ""
        return self.random.choice(names)

    def begin_effect(self) -> None:
        super().begin_effect()
        self.now += self.random.choice((0, 0, 0.5))
        match None if self.is_calm or self.current is None else self.random.randrange(40):
            case 0:
                self.place.owner_stores()
            case 1 | 2 | 3 | 4:
                self.place.run()


class Place:
    """A secret, its lease, Commvault, and a few sandboxes."""

    def __init__(self, kernel: Chance) -> None:
        self.kernel, self.seen = kernel, Counter[str]()
        kernel.place = self
        self.server = commserve(kernel, {"aws-prod": {"RDS": ["orders"]}})
        self.server.clock_offset = kernel.random.choice((-60.0, 0.0, 60.0))
        self.wire = Wire(kernel, self.server)
        self.secret = SecretsManager(kernel, json.dumps(self.server.issue_pair()))
        self.clients = clients({"secretsmanager": self.secret, "dynamodb": DynamoDB(kernel)})
        self.sandboxes = [self.sandbox() for _ in range(3)]

    def sandbox(self) -> TokenAuth:
        time = self.kernel.time
        lease = TokenLease(Table("ledger", self.clients.dynamodb), time)
        secret = Secret("arn", self.clients.secretsmanager, time)
        return TokenAuth(secret, "test", Renewer(secret, lease, STACK, "test", time), time)

    def owner_stores(self) -> None:
        """Issue a pair, and store it as the current value."""
        self.seen["owner"] += 1
        self.secret.value = json.dumps(self.server.issue_pair())

    @property
    def is_known(self) -> bool:
        """Whether the latest pair is stored, and the chain not deleted."""
        pairs = [json.loads(value) for value, _ in self.secret.versions.values()]
        tokens = self.server.tokens
        return not tokens.deleted and any(tokens.pair.items() <= pair.items() for pair in pairs)

    def run(self) -> bool:
        """Do a run of a sandbox that has none; return whether its request was accepted."""
        if not self.sandboxes:
            return False
        kernel, auth = self.kernel, self.sandboxes.pop(self.kernel.random.randrange(len(self.sandboxes)))
        outer, kernel.current = kernel.current, Run(Sandbox(0), started=kernel.now)
        deadline = kernel.now + kernel.current.remaining_seconds(kernel.now) - RESERVE_SECONDS
        answer: Answer | object = None
        try:
            self._drive(auth.prepare(deadline))
            answer = self._drive(auth.send(HttpRequest("POST", "/CreateTask", {}, deadline)))
        except Killed:
            self.seen["killed"] += 1
            auth = self.sandbox()
        finally:
            self.sandboxes.append(auth)
            kernel.current = outer
        return isinstance(answer, HttpResponse) and answer.status != 401

    def _drive[T](self, flow: Flow[T]) -> T:
        try:
            request = next(flow)
            while True:
                request = flow.send(self._answer(request))
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, request: HttpRequest) -> Answer:
        with suppress(EndpointConnectionError):
            reply = self.kernel.effect("commvault", lambda: self._reply(request))
            body = reply.render(as_json=True)[1]
            return HttpResponse(reply.status, reply.headers, body, self.server.clock_offset)
        return NoAnswer(Problem("NO_ANSWER", "", ""))

    def _reply(self, request: HttpRequest) -> Reply:
        tokens, was_known = self.server.tokens, self.is_known
        recorded = self.wire.request(request.method, request.path, request.headers, request.body)
        reply = routes.answer(self.server.state, recorded)
        assert not (tokens.deleted and was_known), "an older pair was presented while a newer one is stored"
        return reply


def play(seed: int) -> Counter[str]:
    kernel = Chance(seed)
    place = Place(kernel)
    with in_charge(place.wire):
        for _ in range(RUNS):
            place.run()
            kernel.now += kernel.random.choice((0, 1, 30, 120, 900, 1900))
        # What is stored is used once nothing goes wrong any more, and a pair of the owner's in any case.
        kernel.is_calm = True
        kernel.now += 700
        place.seen["renewed"] += place.server.tokens.renewals
        if place.is_known:
            place.seen["known"] += 1
            assert any(place.run() for _ in range(9)), "the latest pair is stored and not used"
        place.owner_stores()
        kernel.now += 3
        assert any(place.run() for _ in range(9)), "the owner's pair is not used"
    return place.seen


def test_no_older_pair_is_presented_while_a_newer_one_is_stored() -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + EXAMPLES):
        try:
            seen += play(seed)
        except BaseException as broken:
            broken.add_note(f"PROPERTY_SEED={seed} PROPERTY_EXAMPLES=1")
            raise
    assert min(seen["renewed"], seen["owner"], seen["killed"]) > EXAMPLES
    assert seen["known"] > EXAMPLES / 2
