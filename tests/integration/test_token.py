"""A token pair that expires: renewed by one run, stored before it is used, and no earlier pair is ever presented.

What crashes, other runs and the owner can do to a renewal by chance is in `tests/property/test_renewal.py`.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from rds_snap_backup.commvault.queries import JsonDocument
from rds_snap_backup.core.outcomes import Outcome, Rejected, Submitted, Unauthorized
from rds_snap_backup.credentials.tokens import TokenReport
from rds_snap_backup.problems import Problem
from tests.integration.pairs import RENEW, PairInSecret, failing
from tests.integration.timeline import DAY
from tests.integration.world import World, only
from tests.metrics import counted

OTHER_STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/test/2"
RENEWAL = "rds_snap_backup.credentials.renewal"


@pytest.fixture
def pair(world: World) -> PairInSecret:
    return PairInSecret(world)


def problem(outcome: Outcome) -> Problem:
    assert isinstance(outcome, Unauthorized), outcome
    return outcome.problem


def paths(pair: PairInSecret) -> list[str]:
    return [request.path for request in pair.commserve.requests]


def later(seconds: float = 900) -> Callable[[], float]:
    """Return a clock that is ahead: the secret was not written just now."""
    return lambda: time.time() + seconds


def test_an_expired_pair_is_renewed_stored_and_used(pair: PairInSecret, capsys: pytest.CaptureFixture[str]) -> None:
    pair.store({**pair.commserve.tokens.pair, "owner": {"team": "dba"}})
    pair.expire()
    sandbox = pair.sandbox()
    assert isinstance(pair.submit(sandbox), Submitted)
    assert pair.is_the_latest
    value = json.loads(pair.text)
    assert (value["renewedBy"], value["owner"]) == (pair.world.config.stack_arn, {"team": "dba"})
    assert 1700 < value["tokenExpiry"] - time.time() <= 1801
    assert 89 * DAY < value["renewableUntil"] - time.time() < 90 * DAY
    assert counted(capsys.readouterr().out) == {"TokenRenewed": 1}
    # It was presented as Commvault's documentation shows it.
    (renewal,) = pair.commserve.renewals
    assert (renewal.header("Authtoken"), bool(renewal.header("Authorization"))) == ("", True)
    assert isinstance(pair.submit(sandbox), Submitted)
    assert pair.commserve.tokens.renewals == 1


def test_a_pair_that_is_known_to_expire_is_renewed_before_anything_is_sent(pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() + 950)
    pair.expire()
    sandbox = pair.sandbox(later())
    sandbox.commvault.prepare(time.monotonic() + 38)
    assert paths(pair) == [RENEW]
    assert isinstance(pair.submit(sandbox), Submitted)
    assert paths(pair) == [RENEW, "/CreateTask"]


def test_a_cached_pair_is_not_renewed_once_the_owner_has_stored_another_one(pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() + 950)
    sandbox = pair.sandbox(later())
    assert sandbox.auth.unusable_secret() is None
    pair.issue()
    sandbox.commvault.prepare(time.monotonic() + 38)
    assert paths(pair) == []
    assert isinstance(pair.submit(sandbox), Submitted)


def test_a_pair_is_not_renewed_every_few_minutes(pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() + 50)
    assert isinstance(pair.submit(), Submitted)
    assert paths(pair) == ["/CreateTask"]


def test_a_pair_that_is_no_longer_renewable_is_not_presented_at_every_try(
    pair: PairInSecret, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.commserve.advance(15 * DAY)
    refused = problem(pair.submit())
    assert (refused.code, "Command Center" in refused.hint) == ("TOKEN_REFUSED", True)
    assert counted(capsys.readouterr().out) == {"TokenRefused": 1}
    assert problem(pair.submit()).code == "TOKEN_REFUSED"
    assert len(pair.commserve.renewals) == 1
    pair.issue()
    assert isinstance(pair.submit(), Submitted)


@pytest.mark.parametrize("status", [403, 401])
def test_some_servers_answer_403_for_an_expired_token(pair: PairInSecret, status: int) -> None:
    pair.commserve.fault("status", times=1, status=status, body='{"errorMessage": "Forbidden"}')
    sandbox = pair.sandbox()
    assert isinstance(pair.submit(sandbox), Submitted)
    # Now it is known when the token expires: this is about rights.
    pair.commserve.fault("forbidden")
    assert isinstance(pair.submit(sandbox), Rejected)
    assert pair.commserve.tokens.renewals == 1


@pytest.mark.parametrize(("theirs", "left"), [(OTHER_STACK, None), ("a-stack-of-1.x", -1), (OTHER_STACK, 30)])
def test_another_stack_does_not_renew_the_pair_and_every_error_says_so(
    pair: PairInSecret, theirs: str, left: int | None
) -> None:
    pair.issue(renewedBy=theirs, **({} if left is None else {"tokenExpiry": time.time() + 900 + left}))
    pair.expire()
    sandbox = pair.sandbox(later())
    # Also if there would be no time to renew, and when the client has asked before.
    for outcome in (pair.submit(sandbox), pair.submit(pair.sandbox(later()), 5), pair.submit(sandbox)):
        assert problem(outcome).code == "TOKEN_REFUSED"
        named = theirs if theirs == OTHER_STACK else "unknown"
        assert problem(outcome).message.endswith(f"renewed by another stack: {named}")
    assert not pair.commserve.renewals
    assert not pair.world.items("token")


def test_without_a_renewer_a_pair_is_used_and_never_written(pair: PairInSecret) -> None:
    world = World(pair.world.aws, pair.commserve, RENEW_TOKEN="false")
    pair = PairInSecret(world)
    issued, sandbox = pair.text, world.sandbox()
    assert isinstance(pair.submit(sandbox), Submitted)
    pair.expire()
    assert problem(pair.submit(sandbox)).code == "5"
    assert (pair.commserve.renewals, pair.text) == ([], issued)


# ---- AWS fails


@pytest.mark.parametrize(
    ("code", "expected"), [("AccessDeniedException", "TOKEN_REFUSED"), ("ThrottlingException", "TOKEN_RENEWING")]
)
def test_a_secret_that_cannot_be_written_is_found_before_anything_is_presented(
    pair: PairInSecret, code: str, expected: str
) -> None:
    pair.expire()
    found = problem(pair.submit(pair.sandbox(put_secret_value=failing(code))))
    assert (found.code, code in found.message, pair.commserve.renewals) == (expected, True, [])
    assert isinstance(pair.submit(), Submitted)


def test_a_new_pair_that_cannot_be_stored_is_an_error_and_not_used(
    pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"{RENEWAL}.MIN_SECONDS", 0)
    monkeypatch.setattr(f"{RENEWAL}.STORE_SECONDS", 2)
    pair.expire()
    before, puts = pair.text, list[str]()

    def only_once(put: Any, **call: Any) -> Any:
        puts.append(call["ClientRequestToken"])
        return put(**call) if len(puts) == 1 else failing("InternalServiceError")(put)

    assert problem(pair.submit(pair.sandbox(put_secret_value=only_once), 4)).code == "TOKEN_RENEWING"
    assert (len(puts) > 2, len(set(puts[1:]))) == (True, 1)
    assert counted(capsys.readouterr().out) == {"TokenNotStored": 1}
    assert (paths(pair), pair.text) == (["/CreateTask", RENEW], before)


def test_a_new_pair_that_cannot_be_made_current_is_an_error_at_each_try(
    pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"{RENEWAL}.MIN_SECONDS", 0)
    monkeypatch.setattr(f"{RENEWAL}.STORE_SECONDS", 0)
    pair.expire()
    for _ in range(2):
        sandbox = pair.sandbox(update_secret_version_stage=failing("AccessDeniedException"))
        assert problem(pair.submit(sandbox, 3)).code == "TOKEN_RENEWING"
    assert counted(capsys.readouterr().out) == {"TokenNotStored": 2}
    # The right to move the label is given back: the pair that was stored is used, and nothing is presented again.
    assert isinstance(pair.submit(), Submitted)
    assert len(pair.commserve.renewals) == 1


def test_a_pair_is_not_presented_by_a_run_that_has_lost_its_lease(pair: PairInSecret) -> None:
    pair.expire()
    world = pair.world

    def lose_lease(put: Any, **call: Any) -> Any:
        # The proof that the secret can be written takes so long that another run has taken the lease.
        world.aws.client("dynamodb").update_item(
            TableName=world.name,
            Key={"pk": {"S": "token"}},
            UpdateExpression="SET #owner = :other",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":other": {"S": "x"}},
        )
        return put(**call)

    assert problem(pair.submit(pair.sandbox(put_secret_value=lose_lease))).code == "TOKEN_RENEWING"
    assert not pair.commserve.renewals


# ---- The owner's values, and pairs from before


@pytest.mark.parametrize(
    ("at", "is_renewed", "theirs"),
    [
        ("get_secret_value", False, "pair"),
        ("put_secret_value", False, "plain"),
        ("put_secret_value", True, "pair"),
        ("update_secret_version_stage", True, "pair"),
        ("update_secret_version_stage", True, "empty"),
    ],
)
def test_a_value_that_the_owner_stores_meanwhile_wins(
    pair: PairInSecret, at: str, is_renewed: bool, theirs: str
) -> None:
    pair.expire()
    stored: list[Any] = []

    def owner_first(call: Any, **arguments: Any) -> Any:
        if (pair.commserve.renewals if is_renewed else pair.commserve.create_tasks) and not stored:
            stored.append({"plain": "QSDK owner-token", "empty": " "}.get(theirs) or json.dumps(pair.issue()))
            if theirs != "pair":
                pair.store(stored[0])
            if theirs == "plain":
                pair.commserve.token = stored[0]
        return call(**arguments)

    outcome = pair.submit(pair.sandbox(**{at: owner_first}))  # type: ignore[arg-type] # the name of a call
    assert [pair.text] == stored
    assert not pair.commserve.tokens.deleted
    assert isinstance(outcome, Unauthorized if theirs == "empty" else Submitted)


def test_a_renewal_that_was_cut_off_is_completed_unless_the_owner_stores_a_value(
    pair: PairInSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{RENEWAL}.LEASE_MARGIN_SECONDS", -3600)

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    def owner_first(call: Any, **arguments: Any) -> Any:
        pair.issue()
        return call(**arguments)

    pair.expire()
    with pytest.raises(Killed):
        pair.submit(pair.sandbox(update_secret_version_stage=kill))
    assert not pair.is_the_latest
    assert isinstance(pair.submit(pair.sandbox(update_secret_version_stage=owner_first)), Submitted)
    assert pair.is_the_latest
    assert len(pair.commserve.renewals) == 1
    assert "presented" not in only(pair.world.items("token"))


def test_an_earlier_pair_put_back_is_not_presented(pair: PairInSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = pair.text
    for _ in range(2):
        pair.expire()
        assert isinstance(pair.submit(), Submitted)
    pair.store(earlier)
    assert problem(pair.submit()).code == "TOKEN_RENEWING"  # a read may show the value from before
    monkeypatch.setattr(f"{RENEWAL}.SETTLING_SECONDS", 0)
    refused = problem(pair.submit())
    assert (refused.code, "renewed before" in refused.message) == ("TOKEN_REFUSED", True)
    assert not pair.commserve.tokens.deleted
    assert len(pair.commserve.renewals) == 2


def test_a_pair_that_another_run_has_just_renewed_is_used_though_it_seems_to_have_expired(pair: PairInSecret) -> None:
    pair.commserve.tokens.lifetime = 400
    pair.expire()
    reads: list[int] = []

    def renew_elsewhere(read: Any, **call: Any) -> Any:
        # The pair was refused, and the secret was read again: it still held the same one.
        reads.append(1)
        answer = read(**call)
        if len(reads) == 2:
            assert isinstance(pair.submit(), Submitted)
        return answer

    assert isinstance(pair.submit(pair.sandbox(later(500), get_secret_value=renew_elsewhere)), Submitted)
    assert (len(reads), pair.commserve.tokens.renewals) == (3, 1)
    assert pair.is_the_latest


def test_a_read_that_shows_the_pair_from_before_is_seen_through(pair: PairInSecret) -> None:
    stale = pair.client.get_secret_value(SecretId=pair.world.secret)
    pair.expire()
    assert isinstance(pair.submit(), Submitted)

    def stale_current(call: Any, **arguments: Any) -> Any:
        return call(**arguments) if "VersionId" in arguments else stale

    assert isinstance(pair.submit(pair.sandbox(get_secret_value=stale_current)), Submitted)
    assert pair.commserve.tokens.renewals == 1


def test_too_little_time_is_left_to_renew(pair: PairInSecret) -> None:
    pair.expire()
    sandbox = pair.sandbox()
    assert problem(pair.submit(sandbox, 20)).code == "TOKEN_RENEWING"
    assert not pair.commserve.renewals
    # The next run does not send the token that was refused; a short call in it may take the run's time to renew.
    pair.commserve.clear()
    sandbox.commvault.prepare(time.monotonic() + 38)
    assert isinstance(sandbox.commvault.get("/Client", time.monotonic() + 10), JsonDocument)
    assert paths(pair) == [RENEW, "/Client"]


def test_a_front_end_that_sleeps_is_asked_again(pair: PairInSecret) -> None:
    pair.expire()
    pair.commserve.fault("status", path=RENEW, status=503, body="")
    assert isinstance(pair.submit(), Submitted)
    assert paths(pair) == ["/CreateTask", RENEW, RENEW, "/CreateTask"]


# ---- The preflight's report


def test_the_report_writes_nothing_that_changes_the_secret(pair: PairInSecret) -> None:
    puts: list[Any] = []

    def put(call: Any, **arguments: Any) -> Any:
        puts.append(arguments["VersionStages"])
        pair.issue()  # The owner stores another value at the same moment: it stays the current one.
        return call(**arguments)

    report = pair.sandbox(put_secret_value=put).auth.report()
    assert isinstance(report, TokenReport)
    assert (report.is_pair, report.is_renewed, report.renewed_by, report.obstacle) == (True, True, "", None)
    assert abs(report.stored_at - time.time()) < DAY
    assert puts == [["RENEWED"]]
    assert pair.is_the_latest


def test_the_report_of_other_tokens(pair: PairInSecret) -> None:
    def report() -> TokenReport:
        found = pair.sandbox(put_secret_value=failing("AccessDeniedException")).auth.report()
        assert isinstance(found, TokenReport), found
        return found

    assert "AccessDeniedException" in str(report().obstacle)
    pair.issue(renewedBy=OTHER_STACK, renewableUntil=1950000000)
    theirs = report()
    assert (theirs.renewed_by, theirs.renewable_until, theirs.obstacle) == (OTHER_STACK, 1950000000, None)
    pair.store("QSDK plain")
    assert (report().is_pair, report().is_renewed) == (False, False)
    pair.store("{")
    assert isinstance(pair.sandbox().auth.report(), Problem)
