"""The token that requests are sent with: read, cached, renewed before it expires, and replaced when it is refused.

`renewal.py` says how a pair is renewed. Without a renewer a pair is used as it is.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.commvault.answers import Answer, HttpRequest, HttpResponse
from rds_snap_backup.commvault.auth import Auth, Flow
from rds_snap_backup.commvault.hints import NEW_TOKEN
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.credentials.pair import Malformed, Pair, Token, read_token
from rds_snap_backup.credentials.renewal import Renewer, is_renewing
from rds_snap_backup.credentials.secret import Secret
from rds_snap_backup.observability import count
from rds_snap_backup.problems import Problem
from rds_snap_backup.redaction import remember
from rds_snap_backup.untrusted import clean_text

# A pair is renewed when it has this little time left, but not this soon after the secret was last written.
RENEW_BEFORE_SECONDS = 60
RENEW_EVERY_SECONDS = 600
# The failure of a renewal stands for this long, unless a run has more time than that.
SETTLED_SECONDS = 5


@dataclass(frozen=True)
class Failure:
    """The last renewal that failed: of which pair, when, with time until `deadline`, and why."""

    fingerprint: str
    at: float
    deadline: float
    reason: Unauthorized


NO_FAILURE = Failure("", 0.0, 0.0, Unauthorized(Problem("", "", "")))


@dataclass(frozen=True)
class TokenReport:
    """The facts about a token. `renewed_by` is the other stack that renews it, `obstacle` why it cannot be stored."""

    is_pair: bool
    stored_at: float
    renewable_until: float | None
    is_renewed: bool
    renewed_by: str
    obstacle: Problem | None


class TokenAuth(Auth):
    """Sends the token of one secret in the header `Authtoken`. `service` is the name of the stack's metrics."""

    def __init__(
        self,
        secret: Secret,
        service: str,
        renewer: Renewer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._service = service
        self._renewer = renewer
        self._clock = clock
        self._run_deadline = 0.0
        self._failure = NO_FAILURE
        # The pair that Commvault refused, if it was not renewed for lack of time or because another run did.
        self._unrenewed = ""

    def prepare(self, deadline: float) -> Flow[None]:
        """Renew a pair that is about to expire. If that fails, the next request says why."""
        self._run_deadline = deadline
        yield from self._ready(deadline)

    def send(self, request: HttpRequest) -> Flow[Answer | Unauthorized]:
        """Send one request with the token.

        If the token is refused, or the secret holds none, the secret is read past its cache: a token that has changed is
        tried once at once, and so is a pair that was renewed.
        """
        deadline = max(request.deadline, self._run_deadline)
        token = yield from self._ready(deadline)
        answer: Answer | Unauthorized = token if isinstance(token, Unauthorized) else (yield _signed(request, token))
        if self._is_refused(answer, token):
            match (yield from self._replacement(token, deadline)):
                case Token() as token:
                    answer = yield _signed(request, token)
                case Unauthorized() as unauthorized:
                    answer = unauthorized
        if isinstance(answer, HttpResponse) and answer.refuses_token and isinstance(token, Token):
            answer = self._stranger(token.pair) or answer
        if _is_unauthorized(answer):
            count("TokenRefused", self._service)
        return answer

    def report(self) -> TokenReport | Problem:
        """Return the facts about the token as it is now, past the cache. It writes the secret's value once more."""
        token = self._read(past_cache=True)
        if isinstance(token, Unauthorized):
            return token.problem
        pair, renewer = token.pair, self._renewer
        stranger = self._stranger(pair)
        return TokenReport(
            is_pair=pair is not None,
            stored_at=self._secret.current().created,
            renewable_until=pair.renewable_until if pair else None,
            is_renewed=pair is not None and renewer is not None,
            renewed_by=pair.renewed_by if pair and stranger else "",
            obstacle=renewer.try_to_write() if pair and renewer and not stranger else None,
        )

    def unusable_secret(self) -> Problem | None:
        """Return why the secret, as it is now, holds no token; None if it does."""
        token = self._read(past_cache=True)
        return token.problem if isinstance(token, Unauthorized) else None

    def _read(self, *, past_cache: bool = False) -> Token | Unauthorized:
        try:
            value = self._secret.current(past_cache=past_cache).value
        except (ClientError, BotoCoreError) as error:
            # The SDK's error names the secret and the reason, and never holds a value.
            return self._unusable(
                "SECRET_UNREADABLE", f"cannot be read, or has no value yet ({clean_text(str(error))})"
            )
        match read_token(value):
            case Malformed(code, what):
                return self._unusable(code, what)
            case Token() as token:
                remember(token.secrets)
                return token

    def _ready(self, deadline: float) -> Flow[Token | Unauthorized]:
        """Return the token, renewed if it is about to expire; if that fails, one that is still valid is used."""
        token, now = self._read(), self._clock()
        if isinstance(token, Unauthorized) or self._renewer is None or token.pair is None:
            return token
        left = math.inf if token.pair.expiry is None else token.pair.expiry - now
        if token.pair.fingerprint == self._unrenewed:
            left = 0
        elif left > RENEW_BEFORE_SECONDS or now - self._secret.current().created < RENEW_EVERY_SECONDS:
            return token
        renewed = yield from self._renewed(token.pair, self._renewer, deadline, is_refused=left <= 0)
        return token if isinstance(renewed, Unauthorized) and left > 0 else renewed

    def _renewed(
        self, pair: Pair, renewer: Renewer, deadline: float, *, is_refused: bool
    ) -> Flow[Token | Unauthorized]:
        now = self._clock()
        failure = self._failure
        has_more_time = deadline > failure.deadline + SETTLED_SECONDS
        if failure.fingerprint == pair.fingerprint and 0 <= now - failure.at < SETTLED_SECONDS and not has_more_time:
            return failure.reason
        result = yield from renewer.renew(pair, deadline)
        if isinstance(result, Unauthorized):
            self._failure = Failure(pair.fingerprint, now, deadline, result)
        is_open = isinstance(result, Unauthorized) and is_renewing(result)
        self._unrenewed = pair.fingerprint if is_open and is_refused else ""
        return result

    def _replacement(self, refused: Token | Unauthorized, deadline: float) -> Flow[Token | Unauthorized | None]:
        """Return a token instead of one that is refused, or why there is none; None: no more is known."""
        fresh = self._read(past_cache=True)
        if isinstance(fresh, Unauthorized):
            return None
        if isinstance(refused, Unauthorized):
            failure = self._failure
            is_same = fresh.pair is not None and fresh.pair.fingerprint == failure.fingerprint
            return None if is_same and refused is failure.reason else fresh
        if fresh.header != refused.header:
            return fresh
        if fresh.pair is None or self._renewer is None:
            return None
        return (yield from self._renewed(fresh.pair, self._renewer, deadline, is_refused=True))

    def _is_refused(self, answer: Answer | Unauthorized, token: Token | Unauthorized) -> bool:
        """Return whether another token may be accepted."""
        if isinstance(answer, HttpResponse) and answer.is_bare_403 and isinstance(token, Token):
            # Some servers answer so for an expired token; for one that has not expired it is about rights.
            return token.pair is not None and (token.pair.expiry is None or token.pair.expiry <= self._clock())
        return _is_unauthorized(answer)

    def _stranger(self, pair: Pair | None) -> Unauthorized | None:
        return self._renewer.refusal(pair) if pair and self._renewer else None

    def _unusable(self, code: str, what: str) -> Unauthorized:
        return Unauthorized(Problem(code, f"The secret {self._secret.arn} {what}.", NEW_TOKEN))


def _signed(request: HttpRequest, token: Token) -> HttpRequest:
    return request.with_header("Authtoken", token.header)


def _is_unauthorized(answer: Answer | Unauthorized) -> bool:
    match answer:
        case Unauthorized() as unauthorized:
            return not is_renewing(unauthorized)
        case HttpResponse() as response:
            return response.refuses_token
        case _:
            return False
