"""The token that requests are sent with: read, cached, renewed before it expires, and replaced when it is refused.

The token is given to the one function that sends it, and never to a log, an exception or a message. How a pair is
renewed is `renewal.py`'s business; a client without a renewer uses a pair as it is.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.commvault.hints import NEW_TOKEN
from rds_snap_backup.commvault.outcomes import Rejected, Unauthorized
from rds_snap_backup.commvault.queries import QueryFailed
from rds_snap_backup.commvault.renewal import Present, Renewer, is_renewing
from rds_snap_backup.commvault.secret import Secret
from rds_snap_backup.commvault.token import Malformed, Pair, Token, read_token
from rds_snap_backup.observability import count
from rds_snap_backup.problems import Problem
from rds_snap_backup.redaction import remember
from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# A pair is renewed when this little is left to it, but not so soon after the secret was last written.
RENEW_BEFORE_SECONDS = 60
RENEW_EVERY_SECONDS = 600
# What a renewal came to a moment ago is not asked again.
SETTLED_SECONDS = 5


@dataclass(frozen=True)
class TokenReport:
    """What the preflight reports of a token. `renewed_by` names another stack that renews the pair."""

    is_pair: bool
    stored_at: float
    renewable_until: float | None
    is_renewed: bool
    renewed_by: str
    obstacle: Problem | None


class Credentials:
    """The token in one secret, used by one client of the stack `service`."""

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
        self._failure: tuple[str, float, Unauthorized] | None = None
        # The pair that was refused, and then not renewed because there was no time or another run was at it.
        self._unrenewed = ""

    def authorized[T](self, call: Callable[[str], T], present: Present, deadline: float) -> T | Unauthorized:
        """Return what `call` does with the token; `present` sends a pair to be renewed.

        Where the token is refused, or the secret holds none, the secret is read past its cache: a token that has
        changed is tried once more at once, and so is a pair that could be renewed.
        """
        token = self._ready(present, deadline)
        result = token if isinstance(token, Unauthorized) else call(token.header)
        if self._is_refused(result, token):
            match self._replacement(token, present, deadline):
                case Token() as other:
                    result = call(other.header)
                case Unauthorized() as unauthorized:
                    result = unauthorized
        if isinstance(result, Unauthorized) and not is_renewing(result):
            count("TokenRefused", self._service)
        return result

    def prepare(self, present: Present, deadline: float) -> None:
        """Renew a pair that is about to expire. Where that fails, the next call says why."""
        self._ready(present, deadline)

    def report(self) -> TokenReport | Problem:
        """Return what is known of the token as it is now, past the cache, and whether it can be renewed."""
        token = self.read(past_cache=True)
        if isinstance(token, Unauthorized):
            return token.problem
        pair, renewer = token.pair, self._renewer
        return TokenReport(
            is_pair=pair is not None,
            stored_at=self._secret.current().created,
            renewable_until=pair.renewable_until if pair else None,
            is_renewed=pair is not None and renewer is not None,
            renewed_by=pair.renewed_by if pair and renewer and not renewer.may_renew(pair) else "",
            obstacle=unwritable.problem if pair and renewer and (unwritable := renewer.unwritable()) else None,
        )

    def read(self, *, past_cache: bool = False) -> Token | Unauthorized:
        """Return the token in the secret."""
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

    def _ready(self, present: Present, deadline: float) -> Token | Unauthorized:
        """Return the token, renewed where it is about to expire; one that is still valid is used meanwhile."""
        token, now = self.read(), self._clock()
        if isinstance(token, Unauthorized) or self._renewer is None or token.pair is None:
            return token
        left = math.inf if token.pair.expiry is None else token.pair.expiry - now
        if token.pair.fingerprint == self._unrenewed:
            left = 0
        elif left > RENEW_BEFORE_SECONDS or now - self._secret.current().created < RENEW_EVERY_SECONDS:
            return token
        match self._renewed(token.pair, self._renewer, present, deadline, is_refused=left <= 0):
            case Unauthorized() if left > 0:
                return token
            case result:
                return result

    def _renewed(
        self, pair: Pair, renewer: Renewer, present: Present, deadline: float, *, is_refused: bool
    ) -> Token | Unauthorized:
        now = self._clock()
        match self._failure:
            case (pair.fingerprint, at, failure) if 0 <= now - at < SETTLED_SECONDS:
                return failure
        result = renewer.renew(pair, present, deadline)
        self._failure = (pair.fingerprint, now, result) if isinstance(result, Unauthorized) else None
        is_open = isinstance(result, Unauthorized) and is_renewing(result)
        self._unrenewed = pair.fingerprint if is_open and is_refused else ""
        return result

    def _replacement(
        self, refused: Token | Unauthorized, present: Present, deadline: float
    ) -> Token | Unauthorized | None:
        """Return what to use instead of a token that is refused, or why there is nothing; None: no more is known."""
        fresh = self.read(past_cache=True)
        if isinstance(fresh, Unauthorized):
            return None
        if isinstance(refused, Unauthorized) or fresh.header != refused.header:
            return fresh
        if fresh.pair is None or self._renewer is None:
            return None
        return self._renewed(fresh.pair, self._renewer, present, deadline, is_refused=True)

    def _is_refused(self, result: object, token: Token | Unauthorized) -> bool:
        match result:
            case Unauthorized() as unauthorized:
                return not is_renewing(unauthorized)
            case Rejected(Problem("HTTP_403")) | QueryFailed(Problem("HTTP_403")) if isinstance(token, Token):
                # Some servers answer so for an expired token; for one that has not expired it is about rights.
                pair = token.pair
                return pair is not None and (pair.expiry is None or pair.expiry <= self._clock())
            case _:
                return False

    def _unusable(self, code: str, what: str) -> Unauthorized:
        return Unauthorized(Problem(code, f"The secret {self._secret.arn} {what}.", NEW_TOKEN))


def ca_certificates(parameter: str, client: "SSMClient") -> str | None:
    """Return the PEM bundle in an SSM parameter, None where none is named; raise LookupError when it cannot be read."""
    if not parameter:
        return None
    try:
        return str(SSMProvider(boto3_client=client).get(parameter, decrypt=True))
    except GetParameterError as error:
        raise LookupError(f"CaCertificateParameter {parameter} cannot be read: {error}") from None
