"""The Authtoken and the private CA: read, cached, and read again when Commvault refuses the token.

The token is handed to the one function that sends it, and never to a log, an exception or a message.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from rds_snap_backup.commvault.hints import NEW_TOKEN
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.problems import Problem

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

CACHE_SECONDS = 300


class Credentials:
    """The token in one secret: a plain text, or JSON with `token`."""

    def __init__(self, secret_arn: str, client: "SecretsManagerClient") -> None:
        self._secret_arn = secret_arn
        self._secrets = SecretsProvider(boto3_client=client)

    def authorized[T](self, call: Callable[[str], T]) -> T | Unauthorized:
        """Return what `call` does with the token.

        Where that is `Unauthorized`, or the secret holds no token, the secret is read past its cache, and a token that
        has changed is tried once more at once.
        """
        token = self._token()
        result = token if isinstance(token, Unauthorized) else call(token)
        if isinstance(result, Unauthorized):
            fresh = self._token(past_cache=True)
            if not isinstance(fresh, Unauthorized) and fresh != token:
                return call(fresh)
        return result

    def unusable(self) -> Problem | None:
        """Return what is wrong with the secret as it is now, past its cache; None where it holds a token."""
        token = self._token(past_cache=True)
        return token.problem if isinstance(token, Unauthorized) else None

    def _token(self, *, past_cache: bool = False) -> str | Unauthorized:
        try:
            secret = self._secrets.get(self._secret_arn, max_age=CACHE_SECONDS, force_fetch=past_cache)
        except GetParameterError as error:
            # The SDK's error names the secret and the reason, and never holds a value.
            return self._unusable("SECRET_UNREADABLE", f"cannot be read, or has no value yet ({error})")
        return self._read(secret if isinstance(secret, str) else "")

    def _read(self, secret: str) -> str | Unauthorized:
        # A header can hold no line break, and a secret that was filled from a file often ends in one.
        token = secret.strip()
        if token.startswith("{"):
            try:
                document = json.loads(token)
            except ValueError:
                return self._unusable("SECRET_WITHOUT_TOKEN", "begins like JSON and cannot be parsed")
            token = document.get("token")
            if not isinstance(token, str):
                return self._unusable("SECRET_WITHOUT_TOKEN", 'is JSON without a text "token"')
            token = token.strip()
        if not token:
            return self._unusable("SECRET_EMPTY", "is empty")
        if not (token.isascii() and token.isprintable()):
            return self._unusable("SECRET_WITHOUT_TOKEN", "has characters that no HTTP header can hold")
        return token

    def _unusable(self, code: str, what: str) -> Unauthorized:
        return Unauthorized(Problem(code, f"The secret {self._secret_arn} {what}.", NEW_TOKEN))


def ca_certificates(parameter: str, client: "SSMClient") -> str | None:
    """Return the PEM bundle in an SSM parameter, None where none is named; raise LookupError when it cannot be read."""
    if not parameter:
        return None
    try:
        return str(SSMProvider(boto3_client=client).get(parameter, decrypt=True))
    except GetParameterError as error:
        raise LookupError(f"CaCertificateParameter {parameter} cannot be read: {error}") from None
