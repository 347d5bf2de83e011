"""The exit statuses, and what a failure prints: one line that says what to do."""

import re
from enum import IntEnum

from botocore import exceptions as sdk

from rds_snap_backup.redaction import redact
from rds_snap_backup.untrusted import ERRNO


class Exit(IntEnum):
    """The exit statuses of every command."""

    OK = 0
    FINDINGS = 1
    COULD_NOT_RUN = 2
    INTERRUPTED = 130


class CannotRun(RuntimeError):
    """A command cannot do its work. The message says why and what to do, in one line."""


SIGN_IN = "Sign in again (`aws sso login`, or new keys), or name another profile."
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
BAD_CREDENTIALS = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ]
)
# In the SDK's words, which a function's answer quotes, too.
NO_TABLE = re.compile(
    r"\(ResourceNotFoundException\) when calling the (?:BatchGetItem|Query|TransactWriteItems|UpdateItem) operation"
)
NO_LEDGER = (
    "the stack's ledger does not exist: its table was deleted. Restore it (docs/operations.md, Restore the ledger)."
)
ACCESS_DENIED = {"AccessDenied", "AccessDeniedException", "KMSAccessDeniedException"}


def in_one_line(error: Exception) -> str:
    """Return in one line what went wrong and what to do about it."""
    match error:
        case sdk.ClientError() if error_code(error) in BAD_CREDENTIALS:
            text = f"AWS does not accept the credentials ({error_code(error)}). {SIGN_IN}"
        case sdk.ClientError() if error_code(error) in ACCESS_DENIED:
            text = f"{error_message(error)} Ask for that permission, or name another profile."
        case sdk.ClientError() if NO_TABLE.search(str(error)):
            text = NO_LEDGER
        case sdk.ClientError():
            text = f"{error.operation_name} failed ({error_code(error)}): {error_message(error)}"
        case sdk.NoRegionError():
            text = "no region is configured. Name one with --region."
        case sdk.ProfileNotFound():
            text = f"{error}. `aws configure list-profiles` lists the profiles."
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError() | sdk.CredentialRetrievalError():
            text = f"{error}. {SIGN_IN}"
        case sdk.TokenRetrievalError() | sdk.SSOError() | sdk.LoginError():
            text = f"{error} {SIGN_IN}"
        case sdk.ConnectionError() | sdk.HTTPClientError():
            text = f"{error} Check the network and the region's name."
        case OSError():
            text = file_problem(error)
        case _:
            text = str(error)
    return redact(" ".join(ERRNO.sub("", text).split()))


def file_problem(error: OSError) -> str:
    """Return a sentence about a file that cannot be used, or about another failure of the system."""
    name = error.filename or "this machine"
    match error:
        case FileNotFoundError():
            return f"there is no {name}. Check the path."
        case PermissionError():
            return f"{name} may not be read or written. Check its permissions."
        case IsADirectoryError() | NotADirectoryError():
            return (
                f"{name} is {'a folder' if isinstance(error, IsADirectoryError) else 'no folder'}. Name another path."
            )
        case _:
            return f"{name}: {error.strerror or error}."


def error_code(error: sdk.ClientError) -> str:
    """Return the code of an AWS error."""
    return error.response["Error"].get("Code", "no code")


def error_message(error: sdk.ClientError) -> str:
    """Return the message of an AWS error as a sentence."""
    return error.response["Error"].get("Message", "").rstrip(".") + "."
