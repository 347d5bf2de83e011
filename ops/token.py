"""`python -m ops.token STACK`: ask for a token, without echo, and store it in a deployed stack's secret.

The token goes from the terminal to Secrets Manager: it is on no command line, in no file and no shell history.
"""

import json
import sys
import warnings
from collections.abc import Sequence
from getpass import GetPassWarning, getpass

from ops.command import Exit, run
from ops.stack import CannotRun, DeployedStack

MAX_TOKEN = 8192
BEARER = "bearer "


def main(arguments: Sequence[str]) -> Exit:
    """Store a token for the stack that is named; return the exit status."""
    return run(token, "token", "Store an access and a refresh token, or a plain token, for a stack.", arguments)


def token(stack: DeployedStack) -> Exit:
    """Ask for the token and store it."""
    secret = stack.output("TokenSecretArn")
    access = ask("Access token, or a plain token: ")
    refresh = ask("Refresh token, empty for a plain token: ", may_be_empty=True)
    stack.session.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=value(access, refresh))
    kind = "an access and a refresh token" if refresh else "a plain token, which is never renewed"
    print(f"{stack.name}: the secret holds {kind}. Prove it: make check STACK={stack.name}")
    return Exit.OK


def value(access: str, refresh: str) -> str:
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
            answer = getpass(prompt).strip()
        except (GetPassWarning, EOFError):
            raise CannotRun("there is no terminal that a token can be entered on unseen. Nothing was stored.") from None
    if not answer and not may_be_empty:
        raise CannotRun("no token was entered. Nothing was stored.")
    if len(answer) > MAX_TOKEN or not (answer.isascii() and answer.isprintable()):
        raise CannotRun("what was entered has characters that no token has, or too many. Nothing was stored.")
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
