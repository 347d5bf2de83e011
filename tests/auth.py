"""Authentication for tests that are not about the token."""

from dataclasses import dataclass

from rds_snap_backup.commvault.answers import Answer, HttpRequest
from rds_snap_backup.commvault.auth import Auth, Flow
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.redaction import remember


@dataclass(frozen=True)
class FixedToken(Auth):
    """Sends one token, which is never read, renewed or replaced."""

    token: str

    def send(self, request: HttpRequest) -> Flow[Answer | Unauthorized]:
        remember([self.token])
        return (yield request.with_header("Authtoken", self.token))
