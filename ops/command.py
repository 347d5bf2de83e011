"""What the commands have in common: how a stack is named, what a failure prints, and the exit statuses.

Every command takes `STACK [--region REGION] [--profile PROFILE]`. A failure is one line on standard error that says what
to do, never a traceback.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from enum import IntEnum

from botocore import exceptions as sdk

from ops.stack import CannotRun, DeployedStack


class Exit(IntEnum):
    """The exit statuses of every command; `argparse` itself exits with 2 when it does not understand the arguments."""

    OK = 0
    FINDINGS = 1
    COULD_NOT_RUN = 2


SIGN_IN = "Sign in again (`aws sso login`, or new keys), or name another profile."
# Error codes of AWS services for credentials that they do not accept.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
ACCESS_DENIED = {"AccessDenied", "AccessDeniedException", "KMSAccessDeniedException"}


def run(command: Callable[[DeployedStack], Exit], name: str, about: str, arguments: Sequence[str]) -> Exit:
    """Find the stack that the arguments name, run `command` on it, and return the exit status."""
    return execute(command, parser(name, about).parse_args(arguments))


def execute(command: Callable[[DeployedStack], Exit], options: argparse.Namespace) -> Exit:
    """Do the same for a command that has added arguments to `parser` and parsed them."""
    try:
        return command(DeployedStack.find(options.stack, options.region, options.profile))
    except (CannotRun, sdk.BotoCoreError, sdk.ClientError) as error:
        print(f"{options.stack}: {explain(error)}", file=sys.stderr)
        return Exit.COULD_NOT_RUN
    except KeyboardInterrupt:
        print(f"{options.stack}: interrupted", file=sys.stderr)
        return Exit.COULD_NOT_RUN


def parser(name: str, about: str) -> argparse.ArgumentParser:
    """Return the parser of the arguments that every command takes."""
    made = argparse.ArgumentParser(prog=f"python -m ops.{name}", description=about)
    made.add_argument("stack", metavar="STACK", help="the stack's name")
    made.add_argument("--region", help="default: AWS_REGION, else where `make deploy` put it, else the profile's")
    made.add_argument("--profile", help="default: the AWS SDK's own")
    return made


def explain(error: CannotRun | sdk.BotoCoreError | sdk.ClientError) -> str:
    """Say in one line what went wrong and what to do about it."""
    match error:
        case sdk.ClientError() if _code(error) in BAD_CREDENTIALS:
            text = f"AWS does not accept the credentials ({_code(error)}). {SIGN_IN}"
        case sdk.ClientError() if _code(error) in ACCESS_DENIED:
            text = f"{_message(error)} Ask for that permission, or name another profile."
        case sdk.ClientError():
            text = f"{error.operation_name} failed ({_code(error)}): {_message(error)}"
        case sdk.NoRegionError():
            text = "no region is configured. Name one: --region, or REGION= with make."
        case sdk.ProfileNotFound():
            text = f"{error}. `aws configure list-profiles` shows those that exist."
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError() | sdk.CredentialRetrievalError():
            text = f"{error}. {SIGN_IN}"
        case sdk.TokenRetrievalError() | sdk.SSOError() | sdk.LoginError():
            text = f"{error} {SIGN_IN}"
        case sdk.ConnectionError() | sdk.HTTPClientError():
            text = f"{error} Check the network and the region's name."
        case _:
            text = str(error)
    return " ".join(text.split())


def _code(error: sdk.ClientError) -> str:
    return error.response["Error"].get("Code", "no code")


def _message(error: sdk.ClientError) -> str:
    return error.response["Error"].get("Message", "").rstrip(".") + "."
