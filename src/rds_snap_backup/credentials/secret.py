"""The secret in Secrets Manager: read and cached, and given a new version that becomes the current one.

`make_current` is a compare-and-set: AWS moves the label AWSCURRENT only from the version that is said to have it
(https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueResponseTypeDef

CACHE_SECONDS = 300
CURRENT, RENEWED = "AWSCURRENT", "RENEWED"


@dataclass(frozen=True, repr=False)
class Version:
    """A value of the secret. `created` is Unix seconds."""

    id: str
    value: str
    created: float
    stages: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether it was the current version when it was read."""
        return CURRENT in self.stages


class Secret:
    """One secret. Its methods raise the SDK's errors, which never hold a value."""

    def __init__(self, arn: str, client: "SecretsManagerClient", clock: Callable[[], float] = time.time) -> None:
        self.arn = arn
        self._client = client
        self._clock = clock
        self._cached: tuple[float, Version] | None = None

    def current(self, *, past_cache: bool = False) -> Version:
        """Return the current version, read at most five minutes ago; `past_cache`: read now."""
        now = self._clock()
        if self._cached is None or past_cache or not 0 <= now - self._cached[0] < CACHE_SECONDS:
            self._cached = None
            self._cached = now, _version(self._client.get_secret_value(SecretId=self.arn))
        return self._cached[1]

    def version(self, version_id: str) -> Version | None:
        """Read the version of an ID, None if it does not exist."""
        try:
            version = _version(self._client.get_secret_value(SecretId=self.arn, VersionId=version_id))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        if version.is_current:
            self._cached = self._clock(), version
        return version

    def put(self, version_id: str, value: str) -> Version:
        """Store a value as a version that is not yet the current one. Doing so again changes nothing."""
        self._client.put_secret_value(
            SecretId=self.arn, ClientRequestToken=version_id, SecretString=value, VersionStages=[RENEWED]
        )
        return Version(version_id, value, self._clock(), (RENEWED,))

    def write_again(self, version: Version) -> None:
        """Store a version under its own ID, which changes nothing: it raises if writing is not allowed.

        AWS ignores a repeated value of the same ID
        (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html). The only label that is
        passed is `RENEWED`: `AWSCURRENT` may have moved since the version was read, and must not move back.
        """
        self.put(version.id, version.value)

    def make_current(self, version: Version, instead_of: str) -> bool:
        """Make a version the current one if `instead_of` still is; return whether it is the current one now."""
        try:
            self._client.update_secret_version_stage(
                SecretId=self.arn, VersionStage=CURRENT, MoveToVersionId=version.id, RemoveFromVersionId=instead_of
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidParameterException":
                raise
            # Another value has become the current one; or this very call took effect before, and its answer was lost.
            return self.current(past_cache=True).id == version.id
        self._cached = self._clock(), version
        return True


def _version(answer: "GetSecretValueResponseTypeDef") -> Version:
    created = answer.get("CreatedDate")
    return Version(
        answer.get("VersionId", ""),
        answer.get("SecretString", ""),
        created.timestamp() if created else 0.0,
        tuple(answer.get("VersionStages", [])),
    )
