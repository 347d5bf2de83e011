"""A token pair that expires: renewed by one run, stored before it is used, and no earlier pair is ever presented.

What crashes, other runs and the owner can do to a renewal by chance is in `test_renewal.py`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.queries import JsonDocument
from rds_snap_backup.core.outcomes import Outcome, Rejected, Submitted, Unauthorized
from rds_snap_backup.credentials.tokens import TokenReport
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from tests.property.model.kernel import Killed
from tests.property.world import World

REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders", "aws-prod"),))
OTHER_STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/test/2"
RENEW, LIFETIME, DAY = "/V4/AccessToken/Renew", 1800, 86400

type Hook = Callable[..., Any]


@pytest.fixture
def world() -> Iterator[World]:
    with World(has_pair=True).at_work() as world:
        yield world


def issue(world: World, **more: Any) -> None:
    """Store a new pair, as the secret's owner does."""
    world.secret.value = json.dumps({**json.loads(world.pair()), **more})


def expire(world: World) -> None:
    world.kernel.now += LIFETIME + 1


def prepare(world: World, services: Services, seconds: float = 38) -> float:
    deadline = world.kernel.now + seconds
    services.commvault.prepare(deadline)
    return deadline


def submit(world: World, services: Services | None = None, seconds: float = 38) -> Outcome:
    """Do a run that sends CreateTask, in a cold sandbox without another one."""
    services = services or world.services()
    return services.commvault.create_task(REQUEST, prepare(world, services, seconds))


def problem(outcome: Outcome) -> Problem:
    assert isinstance(outcome, Unauthorized), outcome
    return outcome.problem


def is_latest(world: World) -> bool:
    """Whether the secret holds Commvault's latest pair."""
    return bool(world.server.tokens.pair.items() <= json.loads(world.secret.value).items())


def paths(world: World) -> list[str]:
    return [request.path for request in world.server.requests]


@contextmanager
def hooked(world: World, **hooks: Hook) -> Iterator[None]:
    """Change calls of Secrets Manager: each hook gets the call, and its arguments."""
    for name, hook in hooks.items():
        setattr(world.secret, name, partial(hook, getattr(world.secret, name)))
    try:
        yield
    finally:
        for name in hooks:
            delattr(world.secret, name)


def failing(code: str) -> Hook:
    def fail(_call: Any, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutSecretValue")

    return fail


def test_an_expired_pair_is_renewed_stored_and_used(world: World) -> None:
    world.secret.value = json.dumps({**world.server.tokens.pair, "owner": {"team": "dba"}})
    expire(world)
    services = world.services()
    assert isinstance(submit(world, services), Submitted)
    assert is_latest(world)
    value = json.loads(world.secret.value)
    assert (value["renewedBy"], value["owner"]) == (world.config.stack_arn, {"team": "dba"})
    assert 1700 < value["tokenExpiry"] - world.kernel.now <= 1801
    assert 89 * DAY < value["renewableUntil"] - world.kernel.now < 90 * DAY
    assert world.kernel.counted == {"TokenRenewed": 1}
    # It was presented as Commvault's documentation shows it.
    (renewal,) = world.server.renewals
    assert (renewal.header("Authtoken"), bool(renewal.header("Authorization"))) == ("", True)
    assert isinstance(submit(world, services), Submitted)
    assert world.server.tokens.renewals == 1


@pytest.mark.parametrize(
    ("seconds", "is_replaced", "renewals"), [(950, False, [RENEW]), (950, True, []), (50, False, [])]
)
def test_a_cached_pair_that_expires_in_50_s_is_renewed_before_anything_is_sent_unless_its_value_is_new(
    world: World, seconds: int, is_replaced: bool, renewals: list[str]
) -> None:
    issue(world, tokenExpiry=world.kernel.now + seconds)
    world.kernel.now += seconds - 50
    services = world.services()
    assert services.auth.unusable_secret() is None
    if is_replaced:
        issue(world)
    prepare(world, services)
    assert paths(world) == renewals
    assert isinstance(submit(world, services), Submitted)
    assert paths(world) == [*renewals, "/CreateTask"]


def test_a_pair_that_is_no_longer_renewable_is_not_presented_at_every_try(world: World) -> None:
    world.kernel.now += 15 * DAY
    refused = problem(submit(world))
    assert (refused.code, "Command Center" in refused.hint) == ("TOKEN_REFUSED", True)
    assert world.kernel.counted == {"TokenRefused": 1}
    assert problem(submit(world)).code == "TOKEN_REFUSED"
    assert len(world.server.renewals) == 1
    issue(world)
    assert isinstance(submit(world), Submitted)


@pytest.mark.parametrize("status", [403, 401])
def test_some_servers_answer_403_for_an_expired_token(world: World, status: int) -> None:
    world.server.fault("status", times=1, status=status, body='{"errorMessage": "Forbidden"}')
    services = world.services()
    assert isinstance(submit(world, services), Submitted)
    # Now it is known when the token expires: this is about rights.
    world.server.fault("forbidden")
    assert isinstance(submit(world, services), Rejected)
    assert world.server.tokens.renewals == 1


@pytest.mark.parametrize(("theirs", "left"), [(OTHER_STACK, None), ("a-stack-of-1.x", -1), (OTHER_STACK, 30)])
def test_another_stack_does_not_renew_the_pair_and_every_error_says_so(
    world: World, theirs: str, left: int | None
) -> None:
    expiry = {} if left is None else {"tokenExpiry": world.kernel.now + LIFETIME + left}
    issue(world, renewedBy=theirs, **expiry)
    expire(world)
    services = world.services()
    # Also if there would be no time to renew, and when the client has asked before.
    for outcome in (submit(world, services), submit(world, seconds=5), submit(world, services)):
        assert problem(outcome).code == "TOKEN_REFUSED"
        named = theirs if theirs == OTHER_STACK else "unknown"
        assert problem(outcome).message.endswith(f"renewed by another stack: {named}")
    assert not world.server.renewals
    assert "token" not in world.dynamodb.items


def test_without_a_renewer_a_pair_is_used_and_never_written() -> None:
    with World(has_pair=True, renew_token=False).at_work() as world:
        issued, services = world.secret.value, world.services()
        assert isinstance(submit(world, services), Submitted)
        expire(world)
        assert problem(submit(world, services)).code == "5"
        assert (world.server.renewals, world.secret.value) == ([], issued)


# ---- AWS fails


@pytest.mark.parametrize(
    ("code", "expected"), [("AccessDeniedException", "TOKEN_REFUSED"), ("ThrottlingException", "TOKEN_RENEWING")]
)
def test_a_secret_that_cannot_be_written_is_found_before_anything_is_presented(
    world: World, code: str, expected: str
) -> None:
    expire(world)
    with hooked(world, put_secret_value=failing(code)):
        found = problem(submit(world))
    assert (found.code, code in found.message, world.server.renewals) == (expected, True, [])
    assert isinstance(submit(world), Submitted)


def test_a_new_pair_that_cannot_be_stored_is_an_error_and_not_used(world: World) -> None:
    expire(world)
    before, puts = world.secret.value, list[str]()

    def only_once(put: Any, **call: Any) -> Any:
        puts.append(call["ClientRequestToken"])
        return put(**call) if len(puts) == 1 else failing("InternalServiceError")(put)

    with hooked(world, put_secret_value=only_once):
        assert problem(submit(world)).code == "TOKEN_RENEWING"
    assert (len(puts) > 2, len(set(puts[1:]))) == (True, 1)
    assert world.kernel.counted == {"TokenNotStored": 1}
    assert (paths(world), world.secret.value) == (["/CreateTask", RENEW], before)


def test_a_new_pair_that_cannot_be_made_current_is_an_error_at_each_try(world: World) -> None:
    expire(world)
    with hooked(world, update_secret_version_stage=failing("AccessDeniedException")):
        for _ in range(2):
            assert problem(submit(world)).code == "TOKEN_RENEWING"
    assert world.kernel.counted == {"TokenNotStored": 2}
    # The right to move the label is given back: the pair that was stored is used, and nothing is presented again.
    assert isinstance(submit(world), Submitted)
    assert len(world.server.renewals) == 1


def test_a_pair_is_not_presented_by_a_run_that_has_lost_its_lease(world: World) -> None:
    expire(world)

    def lose_lease(put: Any, **call: Any) -> Any:
        # The proof that the secret can be written takes so long that another run has taken the lease.
        world.dynamodb.items["token"]["owner"] = {"S": "x"}
        return put(**call)

    with hooked(world, put_secret_value=lose_lease):
        assert problem(submit(world)).code == "TOKEN_RENEWING"
    assert not world.server.renewals


# ---- The owner's values, and pairs from before


@pytest.mark.parametrize(
    ("at", "is_renewed", "theirs"),
    [
        ("get_secret_value", False, "pair"),
        ("put_secret_value", False, "QSDK owner-token"),
        ("put_secret_value", True, "pair"),
        ("update_secret_version_stage", True, "pair"),
        ("update_secret_version_stage", True, " "),
    ],
)
def test_a_value_that_the_owner_stores_meanwhile_wins(world: World, at: str, is_renewed: bool, theirs: str) -> None:
    expire(world)
    stored: list[str] = []

    def owner_first(call: Any, **arguments: Any) -> Any:
        if (world.server.renewals if is_renewed else world.server.create_tasks) and not stored:
            stored.append(world.pair() if theirs == "pair" else theirs)
            world.secret.value = stored[0]
            if theirs.startswith("QSDK"):
                world.server.token = theirs
        return call(**arguments)

    with hooked(world, **{at: owner_first}):
        outcome = submit(world)
    assert [world.secret.value] == stored
    assert not world.server.tokens.deleted
    assert isinstance(outcome, Submitted if theirs.strip() else Unauthorized)


def test_a_renewal_that_was_cut_off_is_completed_unless_the_owner_stores_a_value(world: World) -> None:
    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    def owner_first(call: Any, **arguments: Any) -> Any:
        issue(world)
        return call(**arguments)

    expire(world)
    with pytest.raises(Killed), hooked(world, update_secret_version_stage=kill):
        submit(world)
    assert not is_latest(world)
    world.kernel.now += 90  # The lease is over.
    with hooked(world, update_secret_version_stage=owner_first):
        assert isinstance(submit(world), Submitted)
    assert is_latest(world)
    assert len(world.server.renewals) == 1
    assert "presented" not in world.dynamodb.items["token"]


def test_an_earlier_pair_put_back_is_not_presented(world: World) -> None:
    earlier = world.secret.value
    for _ in range(2):
        expire(world)
        assert isinstance(submit(world), Submitted)
    world.secret.value = earlier
    assert problem(submit(world)).code == "TOKEN_RENEWING"  # a read may show the value from before
    world.kernel.now += 61
    refused = problem(submit(world))
    assert (refused.code, "renewed before" in refused.message) == ("TOKEN_REFUSED", True)
    assert not world.server.tokens.deleted
    assert len(world.server.renewals) == 2


def test_a_pair_that_another_run_has_just_renewed_is_used_though_it_seems_to_have_expired(world: World) -> None:
    world.server.tokens.lifetime = 400
    expire(world)
    reads: list[int] = []
    is_elsewhere = False

    def renew_elsewhere(read: Any, **call: Any) -> Any:
        # The pair was refused, and the secret was read again: it still held the same one.
        nonlocal is_elsewhere
        answer = read(**call)
        if not is_elsewhere:
            reads.append(1)
            if len(reads) == 2:
                is_elsewhere = True
                assert isinstance(submit(world), Submitted)
                is_elsewhere = False
        return answer

    with hooked(world, get_secret_value=renew_elsewhere):
        assert isinstance(submit(world, world.services(skew=500)), Submitted)
    assert (len(reads), world.server.tokens.renewals) == (3, 1)
    assert is_latest(world)


def test_a_read_that_shows_the_pair_from_before_is_seen_through(world: World) -> None:
    stale = world.secret.get_secret_value()
    expire(world)
    assert isinstance(submit(world), Submitted)

    def stale_current(call: Any, **arguments: Any) -> Any:
        return call(**arguments) if "VersionId" in arguments else stale

    with hooked(world, get_secret_value=stale_current):
        assert isinstance(submit(world), Submitted)
    assert world.server.tokens.renewals == 1


def test_too_little_time_is_left_to_renew(world: World) -> None:
    expire(world)
    services = world.services()
    assert problem(submit(world, services, 20)).code == "TOKEN_RENEWING"
    assert not world.server.renewals
    # The next run does not send the token that was refused; a short call in it may take the run's time to renew.
    world.server.clear()
    prepare(world, services)
    assert isinstance(services.commvault.get("/Client", world.kernel.now + 10), JsonDocument)
    assert paths(world) == [RENEW, "/Client"]


def test_a_front_end_that_sleeps_is_asked_again(world: World) -> None:
    expire(world)
    world.server.fault("status", path=RENEW, status=503, body="")
    assert isinstance(submit(world), Submitted)
    assert paths(world) == ["/CreateTask", RENEW, RENEW, "/CreateTask"]


# ---- The preflight's report


def test_the_report_writes_nothing_that_changes_the_secret(world: World) -> None:
    puts: list[Any] = []

    def put(call: Any, **arguments: Any) -> Any:
        puts.append(arguments["VersionStages"])
        issue(world)  # The owner stores another value at the same moment: it stays the current one.
        return call(**arguments)

    with hooked(world, put_secret_value=put):
        report = world.services().auth.report()
    assert isinstance(report, TokenReport)
    assert (report.is_pair, report.is_renewed, report.renewed_by, report.obstacle) == (True, True, "", None)
    assert abs(report.stored_at - world.kernel.now) < DAY
    assert puts == [["RENEWED"]]
    assert is_latest(world)


def test_the_report_of_other_tokens(world: World) -> None:
    def report() -> TokenReport:
        with hooked(world, put_secret_value=failing("AccessDeniedException")):
            found = world.services().auth.report()
        assert isinstance(found, TokenReport), found
        return found

    assert "AccessDeniedException" in str(report().obstacle)
    issue(world, renewedBy=OTHER_STACK, renewableUntil=1950000000)
    theirs = report()
    assert (theirs.renewed_by, theirs.renewable_until, theirs.obstacle) == (OTHER_STACK, 1950000000, None)
    world.secret.value = "QSDK plain"
    assert (report().is_pair, report().is_renewed) == (False, False)
    world.secret.value = "{"
    assert isinstance(world.services().auth.report(), Problem)
