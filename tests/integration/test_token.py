"""A token pair that expires: renewed by one run, stored before it is used, and no earlier pair is ever presented."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.commvault.queries import JsonDocument
from rds_snap_backup.core.outcomes import Outcome, Rejected, Submitted, Unauthorized
from rds_snap_backup.credentials.tokens import TokenReport
from rds_snap_backup.problems import Problem
from tests.integration.pairs import DAY, RENEW, STACK, PairInSecret, TokenWorld, failing

METRICS = ("TokenRefused", "TokenRenewed", "TokenNotStored")
PAIR = {"accessToken", "refreshToken"}


@pytest.fixture
def world(aws: Emulator, commserve: CommServe) -> TokenWorld:
    return TokenWorld(aws, commserve)


@pytest.fixture
def pair(world: TokenWorld) -> PairInSecret:
    return world.pair


def metrics(text: str) -> dict[str, int]:
    return {name: count for name in METRICS if (count := text.count(f'"{name}":[1.0]'))}


def unauthorized(outcome: Outcome) -> Problem:
    assert isinstance(outcome, Unauthorized), outcome
    return outcome.problem


def paths(pair: PairInSecret) -> list[str]:
    return [request.path for request in pair.commserve.requests]


def later(seconds: float = 900) -> Callable[[], float]:
    """Return a clock that is ahead: the secret was not written just now."""
    return lambda: time.time() + seconds


def test_an_expired_pair_is_renewed_stored_and_used(
    world: TokenWorld, pair: PairInSecret, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.store({**pair.commserve.tokens.pair, "owner": {"team": "dba"}})
    pair.expire()
    sandbox = world.sandbox()
    assert isinstance(sandbox.submit(), Submitted)

    assert pair.is_the_latest
    value = pair.value
    assert (value["renewedBy"], value["owner"]) == (STACK, {"team": "dba"})
    assert 1700 < value["tokenExpiry"] - time.time() <= 1801
    assert 89 * DAY < value["renewableUntil"] - time.time() < 90 * DAY
    assert metrics(capsys.readouterr().out) == {"TokenRenewed": 1}
    assert not PAIR & {name for name in world.item if name in value}
    # It was presented as Commvault's documentation shows it.
    (renewal,) = pair.commserve.renewals
    assert renewal.header("Authtoken") == ""
    assert renewal.header("Authorization")
    assert isinstance(sandbox.submit(), Submitted)
    assert pair.commserve.tokens.renewals == 1


def test_a_pair_that_is_known_to_expire_is_renewed_before_anything_is_sent(
    world: TokenWorld, pair: PairInSecret
) -> None:
    pair.issue(tokenExpiry=time.time() + 950)
    pair.expire()
    sandbox = world.sandbox(later())
    sandbox.commvault.prepare(time.monotonic() + 38)
    assert paths(pair) == [RENEW]
    assert isinstance(sandbox.submit(), Submitted)
    assert paths(pair) == [RENEW, "/CreateTask"]
    assert pair.is_the_latest


def test_a_pair_is_not_renewed_every_few_minutes(world: TokenWorld, pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() + 50)
    for _ in range(2):
        assert isinstance(world.sandbox().submit(), Submitted)
    assert paths(pair) == ["/CreateTask"] * 2


@pytest.mark.parametrize("days", [13, 15])
def test_a_pair_is_renewed_until_two_weeks_after_its_expiry(
    world: TokenWorld, pair: PairInSecret, days: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.commserve.advance(days * DAY)
    outcome = world.sandbox().submit()
    counted = metrics(capsys.readouterr().out)
    if days == 13:
        assert isinstance(outcome, Submitted)
        assert counted == {"TokenRenewed": 1}
        return
    assert unauthorized(outcome).code == "TOKEN_REFUSED"
    assert "Command Center" in unauthorized(outcome).hint
    assert counted == {"TokenRefused": 1}
    # It is not presented at every try, and a new pair is used at the next one.
    assert unauthorized(world.sandbox().submit()).code == "TOKEN_REFUSED"
    assert len(pair.commserve.renewals) == 1
    pair.issue()
    assert isinstance(world.sandbox().submit(), Submitted)


@pytest.mark.parametrize("status", [403, 401])
def test_some_servers_answer_403_for_an_expired_token(world: TokenWorld, pair: PairInSecret, status: int) -> None:
    pair.commserve.fault("status", times=1, status=status, body='{"errorMessage": "Forbidden"}')
    sandbox = world.sandbox()
    assert isinstance(sandbox.submit(), Submitted)
    assert pair.commserve.tokens.renewals == 1
    # Now it is known when the token expires: this is about rights.
    pair.commserve.fault("forbidden")
    assert isinstance(sandbox.submit(), Rejected)
    assert pair.commserve.tokens.renewals == 1


def test_a_lost_renewal_breaks_the_chain_and_says_so(
    world: TokenWorld, pair: PairInSecret, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.expire()
    pair.commserve.fault("reset_after", path=RENEW)
    first, second = (unauthorized(world.sandbox().submit()) for _ in range(2))
    # Nobody has seen the new pair, so the old one is presented once more: it may not have arrived.
    assert (first.code, second.code) == ("TOKEN_RENEWING", "TOKEN_REFUSED")
    assert pair.commserve.tokens.deleted
    assert metrics(capsys.readouterr().out) == {"TokenRefused": 1}


# Another stack's pair.


@pytest.mark.parametrize(
    ("theirs", "expiry"), [(STACK[:-1] + "x", None), ("a-stack-of-1.x", -1), (STACK[:-1] + "x", 30)]
)
def test_another_stack_does_not_renew_the_pair_and_every_error_says_so(
    world: TokenWorld, pair: PairInSecret, theirs: str, expiry: int | None
) -> None:
    pair.issue(renewedBy=theirs, **({} if expiry is None else {"tokenExpiry": time.time() + 900 + expiry}))
    pair.expire()
    named = theirs if theirs.startswith("arn:") else "unknown"
    sandbox = world.sandbox(later())
    # Also if there would be no time to renew, and when the client has asked before.
    for problem in (
        unauthorized(sandbox.submit()),
        unauthorized(world.sandbox().submit(5)),
        unauthorized(sandbox.submit()),
    ):
        assert problem.code == "TOKEN_REFUSED"
        assert problem.message.endswith(f"renewed by another stack: {named}")
    assert not pair.commserve.renewals
    assert not world.item


def test_without_a_renewer_a_pair_is_used_and_never_written(world: TokenWorld, pair: PairInSecret) -> None:
    issued = pair.issue()
    sandbox = world.sandbox(renews=False)
    assert isinstance(sandbox.submit(), Submitted)
    pair.expire()
    assert unauthorized(sandbox.submit()).code == "5"
    assert not pair.commserve.renewals
    assert pair.value == issued


# AWS fails.


@pytest.mark.parametrize(
    ("code", "expected"), [("AccessDeniedException", "TOKEN_REFUSED"), ("ThrottlingException", "TOKEN_RENEWING")]
)
def test_a_secret_that_cannot_be_written_is_found_before_anything_is_presented(
    world: TokenWorld, pair: PairInSecret, code: str, expected: str
) -> None:
    pair.expire()
    problem = unauthorized(world.sandbox(put_secret_value=failing(code)).submit())
    assert problem.code == expected
    assert code in problem.message
    assert not pair.commserve.renewals
    assert isinstance(world.sandbox().submit(), Submitted)


def test_a_new_pair_that_cannot_be_stored_is_an_error_and_not_used(
    world: TokenWorld, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rds_snap_backup.credentials.renewal.MIN_SECONDS", 0)
    monkeypatch.setattr("rds_snap_backup.credentials.renewal.STORE_SECONDS", 2)
    pair.expire()
    puts: list[str] = []

    def only_once(put: Any, **call: Any) -> Any:
        puts.append(call["ClientRequestToken"])
        return put(**call) if len(puts) == 1 else failing("InternalServiceError")(put)

    assert unauthorized(world.sandbox(put_secret_value=only_once).submit(4)).code == "TOKEN_RENEWING"
    assert len(puts) > 2
    assert len(set(puts[1:])) == 1
    assert metrics(capsys.readouterr().out) == {"TokenNotStored": 1}
    assert paths(pair) == ["/CreateTask", RENEW]
    assert set(pair.value) == PAIR


def test_a_pair_is_not_presented_by_a_run_that_has_lost_its_lease(world: TokenWorld, pair: PairInSecret) -> None:
    pair.expire()

    def lose_lease(put: Any, **call: Any) -> Any:
        # The proof that the secret can be written takes so long that another run has taken the lease.
        update = {"Key": {"pk": {"S": "token"}}, "UpdateExpression": "SET #owner = :other"}
        names: Any = {
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":other": {"S": "x"}},
        }
        world.aws.client("dynamodb").update_item(TableName=world.name, **update, **names)
        return put(**call)

    assert unauthorized(world.sandbox(put_secret_value=lose_lease).submit()).code == "TOKEN_RENEWING"
    assert not pair.commserve.renewals


# The owner's values, and pairs from before.


@pytest.mark.parametrize(
    ("at", "theirs"),
    [
        ("get_secret_value", "pair"),
        ("put_secret_value", "plain"),
        ("update_secret_version_stage", "pair"),
        ("update_secret_version_stage", "empty"),
    ],
)
def test_a_value_that_the_owner_stores_meanwhile_wins(
    world: TokenWorld, pair: PairInSecret, at: str, theirs: str
) -> None:
    pair.expire()
    stored: list[Any] = []

    def owner_first(call: Any, **arguments: Any) -> Any:
        if pair.commserve.create_tasks and not stored:
            stored.append({"plain": "QSDK owner-token", "empty": " "}.get(theirs) or pair.issue())
            if theirs != "pair":
                pair.store(stored[0])
                pair.commserve.token = stored[0]
        return call(**arguments)

    outcome = world.sandbox(**{at: owner_first}).submit()  # type: ignore[arg-type] # the name of a call
    text = pair.client.get_secret_value(SecretId=world.secret)["SecretString"]
    assert text == (json.dumps(stored[0]) if theirs == "pair" else stored[0])
    assert not pair.commserve.tokens.deleted
    assert isinstance(outcome, Submitted if theirs in {"pair", "plain"} else Unauthorized)


@pytest.mark.parametrize("owner_stores", [False, True])
def test_a_renewal_that_was_cut_off_is_completed_unless_the_owner_stores_a_value(
    world: TokenWorld, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, owner_stores: bool
) -> None:
    monkeypatch.setattr("rds_snap_backup.credentials.renewal.LEASE_MARGIN_SECONDS", -3600)

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    def move(call: Any, **arguments: Any) -> Any:
        if owner_stores:
            pair.issue()
        return call(**arguments)

    pair.expire()
    with pytest.raises(Killed):
        world.sandbox(update_secret_version_stage=kill).submit()
    assert not pair.is_the_latest
    assert isinstance(world.sandbox(update_secret_version_stage=move).submit(), Submitted)
    assert pair.is_the_latest
    assert len(pair.commserve.renewals) == 1
    assert "presented" not in world.item


@pytest.mark.parametrize("back", [0, 1])
def test_an_earlier_pair_put_back_is_not_presented(
    world: TokenWorld, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, back: int
) -> None:
    earlier = []
    for _ in range(2):
        earlier.append(pair.commserve.tokens.pair)
        pair.expire()
        assert isinstance(world.sandbox().submit(), Submitted)
    pair.store(earlier[back])
    assert unauthorized(world.sandbox().submit()).code == "TOKEN_RENEWING"  # a read may show the value from before
    monkeypatch.setattr("rds_snap_backup.credentials.renewal.SETTLING_SECONDS", 0)
    problem = unauthorized(world.sandbox().submit())
    assert problem.code == "TOKEN_REFUSED"
    assert "renewed before" in problem.message
    assert not pair.commserve.tokens.deleted
    assert len(pair.commserve.renewals) == 2


# Time.


def test_too_little_time_is_left_to_renew(world: TokenWorld, pair: PairInSecret) -> None:
    pair.expire()
    sandbox = world.sandbox()
    assert unauthorized(sandbox.submit(20)).code == "TOKEN_RENEWING"
    assert not pair.commserve.renewals
    # The next run does not send the token that was refused; a short call in it may take the run's time to renew.
    pair.commserve.clear()
    sandbox.commvault.prepare(time.monotonic() + 38)
    assert isinstance(sandbox.commvault.get("/Client", time.monotonic() + 10), JsonDocument)
    assert paths(pair) == [RENEW, "/Client"]


# The preflight.


def test_the_report_writes_nothing_that_changes_the_secret(world: TokenWorld, pair: PairInSecret) -> None:
    puts: list[Any] = []

    def put(call: Any, **arguments: Any) -> Any:
        puts.append(arguments)
        # The owner stores another value at the same moment: it stays the current one.
        pair.issue()
        return call(**arguments)

    report = world.sandbox(put_secret_value=put).auth.report()
    assert isinstance(report, TokenReport)
    assert (report.is_pair, report.is_renewed, report.renewed_by, report.obstacle) == (True, True, "", None)
    assert abs(report.stored_at - time.time()) < DAY
    assert [arguments["VersionStages"] for arguments in puts] == [["RENEWED"]]
    assert pair.is_the_latest


def test_the_report_of_other_tokens(world: TokenWorld, pair: PairInSecret) -> None:
    denied = world.sandbox(put_secret_value=failing("AccessDeniedException")).auth.report()
    assert isinstance(denied, TokenReport)
    assert denied.obstacle
    assert "AccessDeniedException" in denied.obstacle.message
    pair.issue(renewedBy=STACK[:-1] + "x", renewableUntil=1950000000)
    world.calls.clear()
    theirs = world.sandbox().auth.report()
    assert isinstance(theirs, TokenReport)
    assert (theirs.renewed_by, theirs.renewable_until) == (STACK[:-1] + "x", 1950000000)
    assert set(world.calls) == {"get_secret_value"}
    pair.store("QSDK plain")
    plain = world.sandbox().auth.report()
    assert isinstance(plain, TokenReport)
    assert (plain.is_pair, plain.is_renewed) == (False, False)
    pair.store("{")
    assert isinstance(world.sandbox().auth.report(), Problem)


def test_a_front_end_that_sleeps_is_asked_again(world: TokenWorld, pair: PairInSecret) -> None:
    pair.expire()
    pair.commserve.fault("status", path=RENEW, status=503, body="")
    assert isinstance(world.sandbox().submit(), Submitted)
    assert paths(pair) == ["/CreateTask", RENEW, RENEW, "/CreateTask"]
    assert pair.is_the_latest


def test_a_pair_that_another_run_has_just_renewed_is_used_though_it_seems_to_have_expired(
    world: TokenWorld, pair: PairInSecret
) -> None:
    pair.commserve.tokens.lifetime = 400
    pair.expire()
    reads: list[int] = []

    def renew_elsewhere(read: Any, **call: Any) -> Any:
        # The pair was refused, and the secret was read again: it still held the same one.
        reads.append(1)
        answer = read(**call)
        if len(reads) == 2:
            assert isinstance(world.sandbox().submit(), Submitted)
        return answer

    assert isinstance(world.sandbox(later(500), get_secret_value=renew_elsewhere).submit(), Submitted)
    assert len(reads) == 3
    assert pair.commserve.tokens.renewals == 1
    assert pair.is_the_latest


def test_a_new_pair_that_cannot_be_made_current_is_an_error_at_each_try(
    world: TokenWorld, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rds_snap_backup.credentials.renewal.MIN_SECONDS", 0)
    monkeypatch.setattr("rds_snap_backup.credentials.renewal.STORE_SECONDS", 0)
    pair.expire()
    for _ in range(2):
        sandbox = world.sandbox(update_secret_version_stage=failing("AccessDeniedException"))
        assert unauthorized(sandbox.submit(3)).code == "TOKEN_RENEWING"
    assert metrics(capsys.readouterr().out) == {"TokenNotStored": 2}
    # The right to move the label is given back: the pair that was stored is used, and nothing is presented again.
    assert isinstance(world.sandbox().submit(), Submitted)
    assert len(pair.commserve.renewals) == 1


def test_a_read_that_shows_the_pair_from_before_is_seen_through(world: TokenWorld, pair: PairInSecret) -> None:
    stale = pair.client.get_secret_value(SecretId=world.secret)
    pair.expire()
    assert isinstance(world.sandbox().submit(), Submitted)

    def stale_current(call: Any, **arguments: Any) -> Any:
        return call(**arguments) if "VersionId" in arguments else stale

    assert isinstance(world.sandbox(get_secret_value=stale_current).submit(), Submitted)
    assert pair.commserve.tokens.renewals == 1
    assert pair.is_the_latest
