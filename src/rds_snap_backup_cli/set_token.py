"""`token`: asks for a token without echo, and stores it in the stack's secret.

The token goes from the terminal to Secrets Manager: it is on no command line, in no file and no shell history.
"""

import json
import warnings
from getpass import GetPassWarning, getpass  # noqa: TID251 - it gets a cleaned prompt
from typing import TYPE_CHECKING, Annotated

import typer

from rds_snap_backup.redaction import remember
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.output import cleaned, counted
from rds_snap_backup_cli.program import Call, command

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_TOKEN = 8192
BEARER = "bearer "
CURRENT = "AWSCURRENT"

Revoked = Annotated[
    bool,
    typer.Option("--revoked", help="After a leak: make all other versions of the secret unreadable. Asks for nothing."),
]


@command("token prod", "token prod --revoked")
def token(call: Call, revoked: Revoked = False) -> Exit:
    """Ask for a token, unseen, and store it in the stack's secret.

    After a leak: delete the token in Command Center, store a new one, then run this again with --revoked.
    """
    stack = call.stack()
    client, secret = stack.session.client("secretsmanager"), stack.output("TokenSecretArn")
    if revoked:
        call.did("Some old versions may be unreadable by now. Run it again.")
        number = remove_labels(client, secret)
        call.conclude(f"{stack.place}: {counted(number, 'old version')} of the secret can no longer be read.")
        return Exit.OK
    access = ask("Access token, or a plain token: ")
    refresh = ask("Refresh token, empty for a plain token: ", may_be_empty=True)
    value = secret_value(access, refresh)
    # An error of AWS's may quote what was sent.
    remember([access, refresh, value])
    call.did("The token may have been stored.")
    client.put_secret_value(SecretId=secret, SecretString=value)
    kind = "an access and a refresh token" if refresh else "a plain token, which is never renewed"
    call.conclude(f"{stack.place}: the secret holds {kind}. Prove it: {call.next_command('check')}")
    return Exit.OK


def remove_labels(client: "SecretsManagerClient", secret: str) -> int:
    """Remove the labels of all versions but the current one; return the number of versions.

    Secrets Manager deletes versions without labels. https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
    """
    versions = client.describe_secret(SecretId=secret).get("VersionIdsToStages", {})
    old = {version: labels for version, labels in versions.items() if CURRENT not in labels}
    for version, labels in old.items():
        for label in labels:
            client.update_secret_version_stage(SecretId=secret, VersionStage=label, RemoveFromVersionId=version)
    return len(old)


def secret_value(access: str, refresh: str) -> str:
    """Return the secret's value."""
    if not refresh:
        return access
    if access.lower().startswith(BEARER):
        access = access[len(BEARER) :].strip()
    if access == refresh:
        raise CannotRun("the access token and the refresh token are the same. Nothing was stored.")
    return json.dumps({"accessToken": access, "refreshToken": refresh})


def ask(prompt: str, *, may_be_empty: bool = False) -> str:
    """Ask for one token on the terminal, without echo."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)
        try:
            answer = getpass(cleaned(prompt)).strip()
        except (GetPassWarning, EOFError):
            raise CannotRun("there is no terminal that hides a token. Nothing was stored.") from None
    if not answer and not may_be_empty:
        raise CannotRun("no token was entered. Nothing was stored.")
    if len(answer) > MAX_TOKEN or not (answer.isascii() and answer.isprintable()):
        raise CannotRun("the entry is too long, or has characters that no token has. Nothing was stored.")
    return answer
