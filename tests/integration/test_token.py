"""A token pair that expires: renewed once whoever needs it, stored before it is used, and never an earlier one presented."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.commserve import CommServe
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import JsonDocument
from rds_snap_backup.commvault.renewal import is_renewing
from tests.integration.follow_support import Following
from tests.integration.pairs import DAY, RENEW, CountingClients, PairInSecret
from tests.integration.world import World

METRICS = ("TokenRefused", "TokenRenewed", "TokenNotStored")


@pytest.fixture
def pair(world: World) -> PairInSecret:
    found = PairInSecret(world)
    found.issue()
    return found


def trigger(number: int = 0) -> dict[str, Any]:
    return {"target": "default", "schedule": f"arn:aws:scheduler:::{uuid.uuid4()}", "time": "2026-01-31T02:00:00Z"}


def metrics(text: str) -> dict[str, int]:
    return {name: count for name in METRICS if (count := text.count(f'"{name}":[1.0]'))}


def statuses(answer: Any) -> list[str]:
    return [one["status"] for one in answer["submissions"]]


def test_an_expired_pair_is_renewed_stored_and_used(
    world: World, pair: PairInSecret, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.store({**pair.commserve.tokens.pair, "owner": {"team": "dba"}})
    pair.expire()
    answer = world.deliver(trigger())

    assert statuses(answer) == ["submitted"]
    assert pair.is_the_latest
    assert pair.commserve.tokens.renewals == 1
    value = pair.value
    assert (value["renewedBy"], value["owner"]) == ("test", {"team": "dba"})
    assert 1700 < value["tokenExpiry"] - time.time() <= 1801
    assert 89 * DAY < value["renewableUntil"] - time.time() < 90 * DAY
    assert metrics(capsys.readouterr().out) == {"TokenRenewed": 1}
    # It was presented as Commvault's documentation shows it.
    (renewal,) = pair.commserve.renewals
    assert renewal.header("Authtoken") == ""
    assert statuses(world.deliver(trigger())) == ["submitted"]
    assert pair.commserve.tokens.renewals == 1


def test_a_pair_that_is_known_to_expire_is_renewed_before_anything_is_sent(world: World, pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() + 50)
    pair.expire()
    services = world.sandbox(clock=lambda: time.time() + 900)  # the secret was not written just now
    assert statuses(world.deliver(trigger(), services)) == ["submitted"]

    assert [one.path for one in pair.commserve.requests] == [RENEW, "/CreateTask"]
    assert pair.is_the_latest


def test_a_pair_is_not_renewed_every_few_minutes_however_short_it_lives(world: World, pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() + 50)
    for _ in range(3):
        assert statuses(world.deliver(trigger())) == ["submitted"]

    assert [one.path for one in pair.commserve.requests] == ["/CreateTask"] * 3


def test_a_pair_that_another_run_has_just_renewed_is_used_whatever_this_clock_says_of_it(
    world: World, pair: PairInSecret
) -> None:
    pair.commserve.tokens.lifetime = 400
    pair.expire()
    counting = CountingClients(world, lambda: time.time() + 500)

    def renew_elsewhere(**_: Any) -> None:
        # The pair was refused, and the secret has been read again: it still held the same one.
        if counting.calls["GetSecretValue"] == 2:
            assert statuses(world.deliver(trigger())) == ["submitted"]

    counting.clients["secretsmanager"].meta.events.register("after-call", renew_elsewhere)
    assert statuses(world.deliver(trigger(), counting.services)) == ["submitted"]

    assert counting.calls["GetSecretValue"] == 3
    assert pair.commserve.tokens.renewals == 1
    assert pair.is_the_latest


def test_a_warm_backup_costs_what_it_costs_and_a_renewal_what_it_needs(
    world: World, pair: PairInSecret, record_property: Callable[[str, object], None]
) -> None:
    passed = [0]
    counting = CountingClients(world, lambda: time.time() + passed[0])
    world.deliver(trigger(), counting.services)
    for name in ("live", "expired, without a known expiry", "expired, as is known"):
        if name != "live":
            pair.expire()
        passed[0] += 1801 if "known" in name.split()[-1] else 0
        counting.calls.clear()
        world.commserve.clear()
        assert statuses(world.deliver(trigger(), counting.services)) == ["submitted"]
        requests = [one.path for one in world.commserve.requests]
        aws = " ".join(f"{name} {times}" for name, times in counting.calls.items())
        record_property(
            f"A warm backup, its pair {name}", f"{len(requests)} requests, {counting.calls.total()} calls: {aws}"
        )
        if name == "live":
            assert requests == ["/CreateTask"]
            assert counting.calls.total() == 4
        else:
            assert requests == ["/CreateTask", RENEW, "/CreateTask"][name.count("is known") :]
            # The first renewal proves that the secret can be written; one that begins with a refusal reads it twice.
            assert counting.calls.total() == (13 if "without" in name else 12)


def test_thirty_sandboxes_of_both_functions_meet_an_expired_pair(
    aws: Any, commserve: CommServe, record_property: Callable[[str, object], None]
) -> None:
    following = Following(aws, commserve)
    world, pair = following.world, PairInSecret(following.world)
    pair.issue()
    for number in range(20):
        world.target(f"target-{number}")
        following.put_job()
    pair.expire()
    barrier = threading.Barrier(30)

    def submit(number: int) -> str:
        services = world.sandbox()
        barrier.wait()
        return statuses(world.deliver(trigger() | {"target": f"target-{number}"}, services))[0]

    def look(number: int) -> str:
        # Their clock, as on AWS, is that of the others: not the simulator's, which is half an hour ahead by now.
        services = following.sandbox(time.time).services
        barrier.wait()
        return type(services.commvault.get(f"/Job/{1000 + number}", time.monotonic() + 35)).__name__

    with ThreadPoolExecutor(30) as pool:
        submitted = [pool.submit(submit, number) for number in range(20)]
        looked = [pool.submit(look, number) for number in range(10)]
        first = [one.result() for one in submitted]
    world.drain(within=60)

    record_property(
        "Twenty sandboxes of Submit and ten of Follow meet an expired pair",
        f"{commserve.tokens.renewals} renewal, {first.count('submitted')} submitted at once, "
        f"{len(commserve.create_tasks)} requests to CreateTask, looks: {sorted(one.result() for one in looked)}",
    )
    assert len(commserve.jobs) == 40
    assert set(first) <= {"submitted", "deferred"}
    assert commserve.tokens.renewals == 1
    assert commserve.tokens.refused == 0
    assert pair.is_the_latest
    assert len([one for one in world.notifications() if one["status"] == "submitted"]) == 20


@pytest.mark.parametrize("days", [13, 15])
def test_a_pair_is_renewed_until_two_weeks_after_its_expiry(
    world: World, pair: PairInSecret, days: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.commserve.advance(days * DAY)
    answer = world.deliver(trigger())

    counted = metrics(capsys.readouterr().out)
    if days == 13:
        assert statuses(answer) == ["submitted"]
        assert counted == {"TokenRenewed": 1}
        return
    (submission,) = answer["submissions"]
    assert (submission["status"], submission["error"]["code"]) == ("deferred", "TOKEN_REFUSED")
    assert "make token" in submission["error"]["hint"]
    assert counted == {"TokenRefused": 1}
    assert len(pair.commserve.renewals) == 1
    # A new pair is used at the next try.
    pair.issue()
    world.drain()
    assert len(pair.commserve.jobs) == 1


def test_a_refused_pair_is_not_presented_at_every_try(world: World, pair: PairInSecret) -> None:
    pair.commserve.advance(15 * DAY)
    for _ in range(3):
        world.deliver(trigger(), world.sandbox())

    assert len(pair.commserve.renewals) == 1


def test_a_job_of_five_hours_is_followed_with_a_token_of_half_an_hour(aws: Any, commserve: CommServe) -> None:
    following = Following(aws, commserve, FOLLOW_HOURS="24")
    pair = PairInSecret(following.world)
    pair.issue()
    commserve.job_seconds = 5 * 3600
    following.submit()
    following.run(5.5 * 3600)

    assert [one["status"] for one in following.ends()] == ["completed"]
    # The client compares Commvault's clock with the real one, which has not moved: it knows no expiry that is ahead.
    assert 9 <= commserve.tokens.renewals <= 20
    assert not commserve.tokens.deleted
    assert pair.is_the_latest


@pytest.mark.parametrize("status", [403, 401])
def test_some_servers_answer_403_for_an_expired_token(world: World, pair: PairInSecret, status: int) -> None:
    pair.commserve.fault("status", times=1, status=status, body='{"errorMessage": "Forbidden"}')
    assert statuses(world.deliver(trigger())) == ["submitted"]
    assert pair.commserve.tokens.renewals == 1
    # Now it is known when the token expires: this is about rights.
    pair.commserve.fault("forbidden")
    assert statuses(world.deliver(trigger())) == ["rejected"]
    assert pair.commserve.tokens.renewals == 1


def test_a_front_end_that_sleeps_is_asked_again(world: World, pair: PairInSecret) -> None:
    pair.issue(tokenExpiry=time.time() - 1)
    pair.commserve.requests.clear()
    assert isinstance(world.services.commvault.get("/Client", time.monotonic() + 30), JsonDocument)
    pair.expire()
    pair.commserve.front_end_sleeps_after = 600
    pair.commserve.advance(0)
    services = world.sandbox(clock=lambda: time.time() + 900)
    assert statuses(world.deliver(trigger(), services)) == ["submitted"]

    assert [one.path for one in pair.commserve.requests][-3:] == [RENEW, RENEW, "/CreateTask"]
    assert pair.is_the_latest


def test_a_slow_renewal_is_waited_for(world: World, pair: PairInSecret) -> None:
    pair.expire()
    pair.commserve.fault("slow", path=RENEW, seconds=3, after=True)

    assert statuses(world.deliver(trigger())) == ["submitted"]
    assert pair.is_the_latest


def test_a_lost_renewal_breaks_the_chain_and_says_so(
    world: World, pair: PairInSecret, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.expire()
    pair.commserve.fault("reset_after", path=RENEW)
    (first,) = world.deliver(trigger())["submissions"]
    (second,) = world.deliver(trigger(), world.sandbox())["submissions"]

    # Nobody has seen the new pair, so the old one is presented once more: it may not have arrived.
    assert (first["error"]["code"], second["error"]["code"]) == ("TOKEN_RENEWING", "TOKEN_REFUSED")
    assert pair.commserve.tokens.deleted
    assert metrics(capsys.readouterr().out) == {"TokenRefused": 1}


def test_a_renewal_that_did_not_arrive_is_repeated(world: World, pair: PairInSecret) -> None:
    pair.expire()
    pair.commserve.fault("reset_before", path=RENEW)
    (first,) = world.deliver(trigger())["submissions"]
    assert first["error"]["code"] == "TOKEN_RENEWING"
    world.drain()

    assert len(pair.commserve.jobs) == 1
    assert pair.is_the_latest


def test_another_stack_does_not_renew_the_pair(world: World, pair: PairInSecret) -> None:
    pair.issue(renewedBy="other-stack")
    pair.expire()
    (submission,) = world.deliver(trigger())["submissions"]

    assert submission["error"]["code"] == "TOKEN_REFUSED"
    assert "other-stack" in submission["error"]["message"]
    assert not pair.commserve.renewals


def test_without_renew_token_a_pair_is_used_and_never_written(aws: Any, commserve: CommServe) -> None:
    world = World(aws, commserve, RENEW_TOKEN="false")
    pair = PairInSecret(world)
    issued = pair.issue()
    assert statuses(world.deliver(trigger())) == ["submitted"]
    pair.expire()
    (submission,) = world.deliver(trigger())["submissions"]

    assert submission["error"]["code"] == "5"
    assert not commserve.renewals
    assert pair.value == issued


class Failing:
    """A client of Secrets Manager whose calls of some names fail, or first do something else."""

    def __init__(self, client: Any, **instead: Callable[..., Any]) -> None:
        self._client, self._instead = client, instead

    def __getattr__(self, name: str) -> Any:
        if name in self._instead:
            return lambda **call: self._instead[name](getattr(self._client, name), **call)
        return getattr(self._client, name)


def denied(call: Any, **_: Any) -> Any:
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutSecretValue")


def test_a_secret_that_cannot_be_written_is_found_before_anything_is_presented(
    world: World, pair: PairInSecret
) -> None:
    pair.expire()
    services = world.sandbox(secretsmanager=Failing(pair.client, put_secret_value=denied))
    (submission,) = world.deliver(trigger(), services)["submissions"]

    assert submission["error"]["code"] == "TOKEN_REFUSED"
    assert "AccessDeniedException" in submission["error"]["message"]
    assert not pair.commserve.renewals
    world.drain()
    assert len(pair.commserve.jobs) == 1


def test_a_new_pair_that_cannot_be_stored_is_an_error_and_not_used(
    world: World, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.renewal.MIN_SECONDS", 0)
    pair.expire()
    puts: list[str] = []

    def only_once(put: Any, **call: Any) -> Any:
        puts.append(call["ClientRequestToken"])
        return put(**call) if len(puts) == 1 else denied(put)

    services = world.sandbox(secretsmanager=Failing(pair.client, put_secret_value=only_once))
    began = time.monotonic()
    services.commvault.get("/Client", began + 13)

    assert 11 < time.monotonic() - began < 15
    assert len(puts) > 10
    assert metrics(capsys.readouterr().out) == {"TokenNotStored": 1}
    assert [one.path for one in pair.commserve.requests] == ["/Client", RENEW]
    assert set(pair.value) == {"accessToken", "refreshToken"}


def test_a_new_pair_that_cannot_be_made_current_is_an_error_at_each_try(
    world: World, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rds_snap_backup.commvault.renewal.MIN_SECONDS", 0)
    monkeypatch.setattr("rds_snap_backup.commvault.credentials.SETTLED_SECONDS", 0)
    pair.expire()
    services = world.sandbox(secretsmanager=Failing(pair.client, update_secret_version_stage=denied))
    for _ in range(2):
        services.commvault.get("/Client", time.monotonic() + 13)

    assert metrics(capsys.readouterr().out) == {"TokenNotStored": 2}
    assert len(pair.commserve.renewals) == 1
    # The right to move the label is given back: the pair that was stored is used, and nothing is presented again.
    assert statuses(world.deliver(trigger())) == ["submitted"]
    assert len(pair.commserve.renewals) == 1


def test_a_write_that_aws_throttles_is_not_a_refusal(world: World, pair: PairInSecret) -> None:
    pair.expire()
    throttled = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}

    def throttle(call: Any, **_: Any) -> Any:
        raise ClientError(throttled, "PutSecretValue")  # type: ignore[arg-type]

    services = world.sandbox(secretsmanager=Failing(pair.client, put_secret_value=throttle))
    (submission,) = world.deliver(trigger(), services)["submissions"]

    assert submission["error"]["code"] == "TOKEN_RENEWING"
    assert "Rate exceeded" in submission["error"]["message"]
    world.drain()
    assert len(pair.commserve.jobs) == 1


@pytest.mark.parametrize("fault", [{"status": 200}, {"status": 500}])
def test_a_renewal_that_is_refused_by_its_error_code_is_a_refusal(
    world: World, pair: PairInSecret, fault: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    pair.expire()
    pair.commserve.fault("error_top", code=5, message="Invalid session.", path=RENEW, **fault)
    (submission,) = world.deliver(trigger())["submissions"]

    assert submission["error"]["code"] == "TOKEN_REFUSED"
    assert "Invalid session." in submission["error"]["message"]
    assert metrics(capsys.readouterr().out)["TokenRefused"] == 1


@pytest.mark.parametrize("at", ["get_secret_value", "put_secret_value", "update_secret_version_stage"])
@pytest.mark.parametrize("theirs", ["pair", "plain", "malformed", "empty"])
def test_a_value_that_the_owner_stores_meanwhile_wins(world: World, pair: PairInSecret, at: str, theirs: str) -> None:
    pair.expire()
    plain = "QSDK owner-token"
    stored: list[Any] = []

    def owner_first(call: Any, **arguments: Any) -> Any:
        if pair.commserve.create_tasks and not stored:
            stored.append({"pair": None, "plain": plain, "malformed": "{", "empty": " "}[theirs])
            if theirs == "pair":
                stored[0] = pair.issue()
            else:
                pair.store(stored[0])
                if theirs == "plain":
                    pair.commserve.token = plain
        return call(**arguments)

    services = world.sandbox(secretsmanager=Failing(pair.client, **{at: owner_first}))
    (submission,) = world.deliver(trigger(), services)["submissions"]

    text = pair.client.get_secret_value(SecretId=world.secret)["SecretString"]
    assert text == (json.dumps(stored[0]) if theirs == "pair" else stored[0])
    assert not pair.commserve.tokens.deleted
    if theirs in {"pair", "plain"}:
        assert submission["status"] == "submitted"
        assert len(pair.commserve.create_tasks) <= 2
    else:
        assert submission["status"] == "deferred"
        pair.issue()
        world.drain()
    assert len(pair.commserve.jobs) == 1


def test_an_earlier_pair_put_back_is_not_presented(
    world: World, pair: PairInSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = pair.commserve.tokens.pair
    pair.expire()
    world.deliver(trigger())
    pair.store(old)
    services = world.sandbox()
    (submission,) = world.deliver(trigger(), services)["submissions"]
    assert submission["error"]["code"] == "TOKEN_RENEWING"  # a read may show the value from before
    monkeypatch.setattr("rds_snap_backup.commvault.renewal.SETTLING_SECONDS", 0)
    (submission,) = world.deliver(trigger(), world.sandbox())["submissions"]
    assert submission["error"]["code"] == "TOKEN_REFUSED"
    assert "renewed before" in submission["error"]["message"]

    assert not pair.commserve.tokens.deleted
    assert len(pair.commserve.renewals) == 1


def test_a_read_that_shows_the_pair_from_before_is_seen_through(world: World, pair: PairInSecret) -> None:
    stale = pair.client.get_secret_value(SecretId=world.secret)
    pair.expire()
    world.deliver(trigger())

    def stale_current(call: Any, **arguments: Any) -> Any:
        return call(**arguments) if "VersionId" in arguments else stale

    services = world.sandbox(secretsmanager=Failing(pair.client, get_secret_value=stale_current))
    assert statuses(world.deliver(trigger(), services)) == ["submitted"]
    assert pair.commserve.tokens.renewals == 1
    assert not pair.commserve.tokens.deleted
    assert pair.is_the_latest


def test_too_little_time_is_left_to_renew(world: World, pair: PairInSecret) -> None:
    pair.expire()
    result = world.services.commvault.get("/Client", time.monotonic() + 20)
    assert isinstance(result, Unauthorized)
    assert is_renewing(result)
    assert not pair.commserve.renewals
    # The next call does not ask with the token that was refused.
    pair.commserve.clear()
    assert isinstance(world.services.commvault.get("/Client", time.monotonic() + 35), Unauthorized | JsonDocument)
