"""Renews the token pair in the secret: one run at a time, and the new pair is stored before it is used.

Commvault deletes every token of a chain when a pair other than the latest is presented. So a run takes a lease, reads
the secret past every cache, and records in the ledger which pair it is about to present and as which version of the
secret the new one will be stored. A successor of a run that was killed looks for that version first: if it exists, the
renewal took place, and nothing is presented. Making it the current version is a compare-and-set, so that a value which
the secret's owner has stored meanwhile wins.

`tokens.py` decides when a renewal is needed.
"""

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.commvault.answers import JSON, LOGIN_REFUSED, Answer, HttpRequest, HttpResponse
from rds_snap_backup.commvault.auth import Flow
from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.credentials.pair import Malformed, Pair, Token, read_token, successor
from rds_snap_backup.credentials.secret import Secret, Version
from rds_snap_backup.ledger.token import HeldLease, RenewalState, TokenLease
from rds_snap_backup.observability import count, logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.redaction import remember
from rds_snap_backup.untrusted import clean_text

# Of the time that is left for requests; the callers keep 12 s back, so this is 40 s before the end of a run.
MIN_SECONDS = 28.0
# Of that, for storing the new pair.
STORE_SECONDS = 10.0
# A holder of the lease is dead this long after its deadline: the 12 s until the end of its run, and 30 s.
LEASE_MARGIN_SECONDS = 42.0
RETRY_SECONDS = 0.5
# A read right after a renewal may still show the pair from before.
SETTLING_SECONDS = 60.0
# A pair that Commvault refused to renew is not presented again for this long.
REFUSED_SECONDS = 600.0
# A longer refusal, or one with more tokens, is not quoted.
MAX_SEARCHED = 64 * 1024
MAX_TOKENS = 8
# A member named like a token and its value, also of JSON within JSON; or an attribute of XML, or of a form.
NAMED_TOKEN = re.compile(
    r"""(\w*token\w*)(?:\\*["']\s*:\s*\\*["']([^"'\\]{8,})|=\\*["']?([^\s"'\\&<>]{8,}))""", re.IGNORECASE
)
NO_TOKENS = ("name", "id", "type", "timestamp")

NEW_PAIR = (
    "Create a new access token in Command Center and store it with its refresh token (`rds-snap-backup token STACK`); it "
    "is used at the next try, and no redeploy is needed."
)
WRITABLE = (
    "Let the functions write the secret: RenewToken, TokenSecretKmsKeyArn and the policies of secret and key decide it."
)
OWN_PAIR = (
    "Create a separate access token for each stack in Command Center, and store it with `rds-snap-backup token STACK`."
)


def is_renewing(unauthorized: Unauthorized) -> bool:
    """Return whether a renewal is under way or to be tried again, as opposed to a token that is refused."""
    return unauthorized.problem.code == "TOKEN_RENEWING"


@dataclass(frozen=True, repr=False)
class Renewal:
    """One renewal: the pair that is presented, the version it was read as, and the one the new pair is stored as."""

    pair: Pair
    version: Version
    new_version_id: str


class Renewer:
    """Renews for the stack `stack_arn`, whose metrics have the name `service`."""

    def __init__(
        self, secret: Secret, lease: TokenLease, stack_arn: str, service: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret
        self._lease = lease
        self._stack_arn = stack_arn
        self._service = service
        self._clock = clock

    def renew(self, stale: Pair, deadline: float) -> Flow[Token | Unauthorized]:
        """Return the successor of a pair that is refused or about to expire: usable, and stored.

        AWS failures do not raise: they are a renewal to be tried again.
        """
        if refused := self.refusal(stale):
            return refused
        seconds = deadline - time.monotonic()
        if seconds < MIN_SECONDS:
            return _renewing("There is too little time left in this run to renew the token.")
        try:
            held = self._lease.take(seconds + LEASE_MARGIN_SECONDS)
        except (ClientError, BotoCoreError) as failure:
            return _failed(failure)
        if held is None:
            return _renewing("Another run renews the token.")
        try:
            result = yield from self._renew(stale, held, deadline)
        except (ClientError, BotoCoreError) as failure:
            result = _failed(failure)
        _release(held)
        return result

    def refusal(self, pair: Pair) -> Unauthorized | None:
        """Return why the pair is not this stack's to renew, None if it is."""
        if pair.renewed_by in {"", self._stack_arn}:
            return None
        return _refusal(f"The token is renewed by another stack: {clean_text(pair.renewed_by)}", OWN_PAIR)

    def try_to_write(self) -> Problem | None:
        """Write the secret's current version again; return why a renewed pair could not be stored.

        None as well while another run renews the token.
        """
        held = self._lease.take(LEASE_MARGIN_SECONDS)
        if held is None:
            return None
        try:
            self._secret.write_again(self._secret.current(past_cache=True))
        except ClientError as failure:
            return _unwritable(failure).problem
        finally:
            _release(held)
        return None

    def _renew(self, stale: Pair, held: HeldLease, deadline: float) -> Flow[Token | Unauthorized]:
        version = self._latest(held)
        match read_token(version.value):
            case Malformed(code, what):
                return Unauthorized(Problem(code, f"The secret {self._secret.arn} {what}.", NEW_PAIR))
            case Token(pair=None) as plain:
                return plain
            case Token(pair=Pair() as pair) as token:
                remember(token.secrets)
        if pair.fingerprint in held.state.renewed:
            return self._renewed_before(held.state)
        if pair.fingerprint != stale.fingerprint:
            # It is minutes old at most: where it seems to have expired, the clocks differ, and Commvault's is what counts.
            return token
        if pair.fingerprint == held.state.refused and self._clock() < held.state.refused_at + REFUSED_SECONDS:
            return _refusal("Commvault has refused to renew the token.")
        if not held.state.stored_version_id and (unwritable := self._try_first_write(pair)):
            return unwritable
        attempt = Renewal(pair, version, str(uuid.uuid4()))
        if not held.record(pair.fingerprint, version.id, attempt.new_version_id):
            return _renewing("Another run renews the token.")
        answer = yield from _present(pair, deadline - STORE_SECONDS)
        match self._successor(pair, answer):
            case Pair() as new:
                return self._store(new, attempt, held, deadline)
            case Unauthorized() as refused if not is_renewing(refused):
                held.mark_refused(pair.fingerprint)
                return self._owners(pair) or refused
            case renewing:
                return renewing

    def _latest(self, held: HeldLease) -> Version:
        """Return the current version; complete the renewal of a run that was killed."""
        state = held.state
        if state.new_version_id and (stored := self._secret.version(state.new_version_id)):
            try:
                is_current = self._secret.make_current(stored, state.version_id)
            except (ClientError, BotoCoreError):
                self._not_current()
                raise
            held.mark_renewed(state.presented, stored.id)
            count("TokenRenewed", self._service)
            logger.info("A renewal that was cut off is completed", version=stored.id, is_current=is_current)
            # What is known is not read again: a read right after a write may show the value from before.
            return stored if is_current else self._secret.current(past_cache=True)
        current = self._secret.current(past_cache=True)
        if state.stored_version_id not in {"", current.id}:
            stored = self._secret.version(state.stored_version_id)
            if stored and stored.is_current:
                return stored
        return current

    def _try_first_write(self, pair: Pair) -> Unauthorized | None:
        """Store the pair as another version, before its first renewal voids it; return why that is not allowed."""
        try:
            self._secret.put(str(uuid.uuid4()), pair.to_text())
        except ClientError as failure:
            return _unwritable(failure)
        return None

    def _renewed_before(self, state: RenewalState) -> Unauthorized:
        """Refuse a pair that was renewed before: to present it would delete every token of its chain."""
        if self._clock() < state.renewed_at + SETTLING_SECONDS:
            return _renewing("The token has just been renewed.")
        return _refusal("The secret holds a pair that was renewed before, and is void since.")

    def _successor(self, pair: Pair, answer: Answer) -> Pair | Unauthorized:
        """Return the pair in the answer to a renewal, or why there is none."""
        if not isinstance(answer, HttpResponse):
            return _renewing(answer.problem.message)
        if answer.is_success and (new := successor(pair, answer.document, answer.clock_ahead, self._stack_arn)):
            remember(Token(new.header, new).secrets)
            return new
        reason = _reason(answer)
        is_refused = 400 <= answer.status < 500 and answer.status not in {408, 429}
        if is_refused or (answer.error and answer.error.code in LOGIN_REFUSED):
            return _refusal(f"Commvault refuses to renew the token: {reason}")
        return _renewing(f"Commvault did not renew the token: {reason}")

    def _store(self, new: Pair, attempt: Renewal, held: HeldLease, deadline: float) -> Token | Unauthorized:
        stored = _until(deadline, lambda: self._secret.put(attempt.new_version_id, new.to_text()))
        if stored is None:
            count("TokenNotStored", self._service)
            logger.error("The renewed token could not be stored, and is lost", secret=self._secret.arn)
            return _renewing("The renewed token could not be stored.")
        is_current = _until(deadline, lambda: self._secret.make_current(stored, attempt.version.id))
        if is_current is None:
            self._not_current()
            return _renewing("The renewed token is stored, and not yet the secret's current value.")
        count("TokenRenewed", self._service)
        logger.info("The token is renewed", version=stored.id, is_current=is_current)
        held.mark_renewed(attempt.pair.fingerprint, stored.id)
        if is_current:
            return Token(new.header, new)
        return self._owners(attempt.pair) or _renewing("The secret was changed while the token was being renewed.")

    def _not_current(self) -> None:
        """Count a pair that is stored and cannot be used before it is the current one."""
        count("TokenNotStored", self._service)
        logger.error("The renewed token is stored, but cannot be made the current value", secret=self._secret.arn)

    def _owners(self, old: Pair) -> Token | None:
        """Return the token that the secret's owner has stored while the old pair was being renewed, if it is usable."""
        match read_token(self._secret.current(past_cache=True).value):
            case Token() as token if token.pair is None or token.pair.fingerprint != old.fingerprint:
                remember(token.secrets)
                return token
            case _:
                return None


def _present(pair: Pair, deadline: float) -> Flow[Answer]:
    """Send a pair to be renewed (https://documentation.commvault.com, "Renewing an Access Token")."""
    body = json.dumps({"accessToken": pair.access, "refreshToken": pair.refresh}).encode()
    headers = {"Authorization": pair.header, **JSON}
    request = HttpRequest("POST", "/V4/AccessToken/Renew", headers, deadline, body)
    answer = yield request
    if isinstance(answer, HttpResponse) and answer.status == 503:
        # Commvault's SaaS front end answers so to the first request after a quiet time.
        answer = yield request
    return answer


def _reason(response: HttpResponse) -> str:
    """Return why there is no new pair. A success may hold one in an unknown form: none of its text is quoted."""
    if not response.is_success:
        tokens = _tokens_in(response)
        if tokens is not None:
            remember(tokens)  # before any text is read from the response
            return (response.error.message if response.error else response.text) or f"HTTP {response.status}"
    code = f", error {response.error.code}" if response.error else ""
    return f"HTTP {response.status}{code}"


def _tokens_in(response: HttpResponse) -> set[str] | None:
    """Return every value that is named like a token, None if there is too much to search or to remember."""
    body = response.body or b""
    if len(body) > MAX_SEARCHED:
        return None
    texts = [body.decode("utf-8", "replace"), json.dumps(response.document, ensure_ascii=False)]
    found = {
        json_value or value
        for text in texts
        for name, json_value, value in NAMED_TOKEN.findall(text)
        if not name.lower().endswith(NO_TOKENS)
    }
    return found if len(found) <= MAX_TOKENS else None


def _failed(failure: Exception) -> Unauthorized:
    logger.exception("An AWS call failed; the token is not renewed")
    return _renewing(f"The token could not be renewed: {clean_text(str(failure))}")


def _unwritable(failure: ClientError) -> Unauthorized:
    """Return the refusal for a secret that must not be written; raise any other failure."""
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if status >= 500 or "Throttl" in failure.response["Error"]["Code"]:
        raise failure
    reason = clean_text(str(failure))
    return _refusal(f"The secret cannot be written, so the token is not renewed: {reason}", WRITABLE)


def _refusal(message: str, hint: str = NEW_PAIR) -> Unauthorized:
    return Unauthorized(Problem("TOKEN_REFUSED", message, hint))


def _renewing(message: str) -> Unauthorized:
    return Unauthorized(Problem("TOKEN_RENEWING", message, PERSISTS))


def _release(held: HeldLease) -> None:
    try:
        held.release()
    except (ClientError, BotoCoreError):
        # The lease ends by itself, and the next run finds what was stored.
        logger.exception("The end of the renewal could not be recorded")


def _until[T](deadline: float, call: Callable[[], T]) -> T | None:
    """Call until it succeeds or the deadline has come; None if AWS has failed until then."""
    while True:
        try:
            return call()
        except (ClientError, BotoCoreError) as failure:
            logger.warning("The secret could not be written", error=clean_text(str(failure)))
            if time.monotonic() + RETRY_SECONDS >= deadline:
                return None
            time.sleep(RETRY_SECONDS)
