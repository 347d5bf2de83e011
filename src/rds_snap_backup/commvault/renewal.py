"""Renews the token pair in the secret: one run at a time, and the new pair is stored before it is used.

Commvault deletes every token of a chain when a pair other than the latest is presented. So a run takes a lease, reads
the secret past every cache, and records in the ledger which pair it is about to present and as which version of the
secret the new one will be stored. Whoever finds such a record of a run that was killed looks for that version first:
where it exists the renewal took place, and nothing is presented. Making it the current version is a compare-and-set, so
that a value which the secret's owner has stored meanwhile wins.

When a renewal is needed is decided in `credentials.py`.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.commvault.answers import LOGIN_REFUSED, HttpResponse, document_of, errors, text_of
from rds_snap_backup.commvault.connection import NoAnswer, NotSent
from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.commvault.lease import HeldLease, RenewalLease, RenewalState
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.secret import Secret, Version
from rds_snap_backup.commvault.token import Malformed, Pair, Token, read_token, successor
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.redaction import remember
from rds_snap_backup.untrusted import clean_text

# Of the time that is left to ask; the callers keep 12 s back, so this is 40 s before the end of a run.
MIN_SECONDS = 28.0
# Of that, for storing the new pair.
STORE_SECONDS = 10.0
# A holder of the lease is dead so long after the end of its run: its 12 s, and 30 s.
LEASE_MARGIN_SECONDS = 42.0
RETRY_SECONDS = 0.5
# A read right after a renewal may still show the pair from before.
SETTLING_SECONDS = 60.0
# A pair that Commvault refused to renew is not presented again for so long.
REFUSED_SECONDS = 600.0

NEW_PAIR = (
    "Create a new access token in Command Center and store it with its refresh token (`make token`); it is used at the "
    "next try, and no redeploy is needed."
)
WRITABLE = (
    "Let the functions write the secret: RenewToken, TokenSecretKmsKeyArn and the policies of secret and key decide it."
)
OWN_PAIR = "Create an access token of its own for each stack in Command Center, and store it with `make token`."


type Present = Callable[[Pair, float], HttpResponse | NotSent | NoAnswer]


def is_renewing(unauthorized: Unauthorized) -> bool:
    """Tell whether a renewal is under way or to be tried again, as opposed to a token that is refused."""
    return unauthorized.problem.code == "TOKEN_RENEWING"


@dataclass(frozen=True, repr=False)
class Attempt:
    """One renewal: the pair that is presented, the version it was read as, and the one the new pair is stored as."""

    pair: Pair
    version: Version
    new_version_id: str


class Renewer:
    """Renews for one stack."""

    def __init__(self, secret: Secret, lease: RenewalLease, stack: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._lease = lease
        self._stack = stack
        self._clock = clock

    def renew(self, stale: Pair, present: Present, deadline: float) -> Token | Unauthorized:
        """Return what takes the place of a pair that is refused or about to expire: usable, and stored.

        `present` sends a pair to Commvault. AWS failures do not raise: whatever waits for the token is deferred.
        """
        seconds = deadline - time.monotonic()
        if seconds < MIN_SECONDS:
            return _renewing("There is too little time left in this run to renew the token.")
        try:
            held = self._lease.take(seconds + LEASE_MARGIN_SECONDS)
            if held is None:
                return _renewing("Another run renews the token.")
        except (ClientError, BotoCoreError) as failure:
            return _failed(failure)
        try:
            result = self._renew(stale, held, present, deadline)
        except (ClientError, BotoCoreError) as failure:
            result = _failed(failure)
        _release(held)
        return result

    def unwritable(self) -> Unauthorized | None:
        """Return what keeps a renewed pair from being stored; None as well while another run renews the token."""
        held = self._lease.take(LEASE_MARGIN_SECONDS)
        if held is None:
            return None
        try:
            self._secret.check_writable(self._secret.current(past_cache=True))
        except ClientError as failure:
            return _unwritable(failure)
        finally:
            _release(held)
        return None

    def may_renew(self, pair: Pair) -> bool:
        """Return whether the pair is this stack's to renew."""
        return pair.renewed_by in {"", self._stack}

    def _renew(self, stale: Pair, held: HeldLease, present: Present, deadline: float) -> Token | Unauthorized:
        version = self._latest(held)
        match read_token(version.value):
            case Malformed(code, what):
                return Unauthorized(Problem(code, f"The secret {self._secret.arn} {what}.", NEW_PAIR))
            case Token(pair=None) as plain:
                return plain
            case Token(pair=Pair() as pair) as token:
                remember(token.secrets)
        if pair.fingerprint in held.state.renewed:
            return self._earlier(held.state)
        if pair.fingerprint != stale.fingerprint:
            # It is minutes old at most: where it seems to have expired, the clocks differ, and Commvault's is what counts.
            return token
        attempt = Attempt(pair, version, str(uuid.uuid4()))
        if problem := self._obstacle(attempt, held.state):
            return problem
        if not held.record(pair.fingerprint, version.id, attempt.new_version_id):
            return _renewing("Another run renews the token.")
        match self._present(pair, present, deadline - STORE_SECONDS):
            case Pair() as new:
                return self._store(new, attempt, held, deadline)
            case Unauthorized() as refused if not is_renewing(refused):
                held.mark_refused(pair.fingerprint)
                return self._of_owner(pair) or refused
            case renewing:
                return renewing

    def _latest(self, held: HeldLease) -> Version:
        """Return the current version, having completed what a run that was killed has left."""
        state = held.state
        if state.new_version_id and (stored := self._secret.version(state.new_version_id)):
            try:
                is_current = self._secret.make_current(stored, state.version_id)
            except (ClientError, BotoCoreError):
                self._not_current()
                raise
            held.mark_renewed(state.presented, stored.id)
            count("TokenRenewed", self._stack)
            logger.info("A renewal that was cut off is completed", version=stored.id, is_current=is_current)
            # What is known is not read again: a read right after a write may show the value from before.
            return stored if is_current else self._secret.current(past_cache=True)
        current = self._secret.current(past_cache=True)
        if state.stored_version_id not in {"", current.id}:
            stored = self._secret.version(state.stored_version_id)
            if stored and stored.is_current:
                return stored
        return current

    def _obstacle(self, attempt: Attempt, state: RenewalState) -> Unauthorized | None:
        """Return why the pair must not be presented."""
        pair = attempt.pair
        if not self.may_renew(pair):
            return refusal(f"The token is renewed by the stack {clean_text(pair.renewed_by)!r}.", OWN_PAIR)
        if pair.fingerprint == state.refused and self._clock() < state.refused_at + REFUSED_SECONDS:
            return refusal("Commvault has refused to renew the token.")
        if not state.stored_version_id:
            return self._cannot_write(pair)
        return None

    def _cannot_write(self, pair: Pair) -> Unauthorized | None:
        """Tell what keeps a value from being stored, before the first renewal makes the stored one void."""
        try:
            self._secret.put(str(uuid.uuid4()), pair.to_text())
        except ClientError as failure:
            return _unwritable(failure)
        return None

    def _earlier(self, state: RenewalState) -> Unauthorized:
        """Return what becomes of a pair that was renewed before: to present it would delete every token of its chain."""
        if self._clock() < state.renewed_at + SETTLING_SECONDS:
            return _renewing("The token has just been renewed.")
        return refusal("The secret holds a pair that was renewed before, and is void since.")

    def _present(self, pair: Pair, present: Present, deadline: float) -> Pair | Unauthorized:
        response = present(pair, deadline)
        if isinstance(response, HttpResponse) and response.status == 503:
            # Commvault's SaaS front end answers so to the first request after a quiet time.
            response = present(pair, deadline)
        if not isinstance(response, HttpResponse):
            return _renewing(response.problem.message)
        document, status = document_of(response), response.status
        if 200 <= status < 300 and (new := successor(pair, document, response.clock_ahead, self._stack)):
            remember(Token(new.header, new).secrets)
            return new
        error = next(errors(document), None)
        reason = error.message if error else text_of(document) or f"HTTP {status}"
        is_refused = 400 <= status < 500 and status not in {408, 429}
        if is_refused or (error and error.code in LOGIN_REFUSED):
            return refusal(f"Commvault refuses to renew the token: {reason}")
        return _renewing(f"Commvault did not renew the token: {reason}")

    def _store(self, new: Pair, attempt: Attempt, held: HeldLease, deadline: float) -> Token | Unauthorized:
        stored = _until(deadline, lambda: self._secret.put(attempt.new_version_id, new.to_text()))
        if stored is None:
            count("TokenNotStored", self._stack)
            logger.error("The renewed token could not be stored, and is lost", secret=self._secret.arn)
            return _renewing("The renewed token could not be stored.")
        is_current = _until(deadline, lambda: self._secret.make_current(stored, attempt.version.id))
        if is_current is None:
            self._not_current()
            return _renewing("The renewed token is stored, and not yet the secret's current value.")
        count("TokenRenewed", self._stack)
        logger.info("The token is renewed", version=stored.id, is_current=is_current)
        held.mark_renewed(attempt.pair.fingerprint, stored.id)
        if is_current:
            return Token(new.header, new)
        return self._of_owner(attempt.pair) or _renewing("The secret was changed while the token was being renewed.")

    def _not_current(self) -> None:
        """Count a pair that every run finds stored, and that none may use before it is the current one."""
        count("TokenNotStored", self._stack)
        logger.error("The renewed token is stored, but cannot be made the current value", secret=self._secret.arn)

    def _of_owner(self, old: Pair) -> Token | None:
        """Return the token that the secret's owner has stored while the old pair was being renewed, if it is usable."""
        match read_token(self._secret.current(past_cache=True).value):
            case Token() as token if token.pair is None or token.pair.fingerprint != old.fingerprint:
                remember(token.secrets)
                return token
            case _:
                return None


def refusal(message: str, hint: str = NEW_PAIR) -> Unauthorized:
    """Return what a token that cannot be used comes to."""
    return Unauthorized(Problem("TOKEN_REFUSED", message, hint))


def _failed(failure: Exception) -> Unauthorized:
    logger.exception("An AWS call failed; the token is not renewed")
    return _renewing(f"The token could not be renewed: {clean_text(str(failure))}")


def _unwritable(failure: ClientError) -> Unauthorized:
    """Return what a failure to write comes to; raise it where it says nothing of the right to write."""
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if status >= 500 or "Throttl" in failure.response["Error"]["Code"]:
        raise failure
    reason = clean_text(str(failure))
    return refusal(f"The secret cannot be written, so the token is not renewed: {reason}", WRITABLE)


def _renewing(message: str) -> Unauthorized:
    return Unauthorized(Problem("TOKEN_RENEWING", message, PERSISTS))


def _release(held: HeldLease) -> None:
    try:
        held.release()
    except (ClientError, BotoCoreError):
        # The lease ends by itself, and the next run finds what was stored.
        logger.exception("The end of the renewal could not be recorded")


def _until[T](deadline: float, call: Callable[[], T]) -> T | None:
    """Return what `call` does, tried until the deadline; None where AWS has failed until then."""
    while True:
        try:
            return call()
        except (ClientError, BotoCoreError) as failure:
            logger.warning("The secret could not be written", error=clean_text(str(failure)))
            if time.monotonic() + RETRY_SECONDS >= deadline:
                return None
            time.sleep(RETRY_SECONDS)
