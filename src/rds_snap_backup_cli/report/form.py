"""The forms of a report or a history, and where it comes from and goes to."""

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer

from rds_snap_backup_cli.errors import CannotRun

S3 = "s3://"


class Form(StrEnum):
    """How it is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


CONTENT_TYPES = {
    Form.TABLE: "text/plain; charset=utf-8",
    Form.JSON: "application/json",
    Form.CSV: "text/csv; charset=utf-8",
    Form.HTML: "text/html; charset=utf-8",
}
AsForm = Annotated[
    Form | None, typer.Option("--format", help="html is one page. Default: what --out ends in, else table.")
]
Out = Annotated[str, typer.Option(metavar="FILE", help="A file or s3://BUCKET/KEY. Default: standard output.")]


def form_of(form: Form | None, out: str) -> Form:
    """Return the form that was asked for, else that of the file's ending."""
    ending = out.rpartition(".")[2].lower()
    return form or (Form(ending) if ending in {Form.JSON, Form.CSV, Form.HTML} else Form.TABLE)


def require_place(out: str) -> None:
    """Raise `CannotRun` if `out` names no file that can be written."""
    if out.startswith(S3):
        split(out)
    elif out and not Path(out).absolute().parent.is_dir():
        parent = Path(out).parent
        raise CannotRun(f"{out} cannot be written: there is no folder {parent}. Create it, or name another file.")
    elif out and Path(out).is_dir():
        raise CannotRun(f"{out} is a folder. Name a file in it.")


def split(address: str) -> tuple[str, str]:
    """Return bucket and key of an object's address. Raises `CannotRun`."""
    bucket, _, key = address.removeprefix(S3).partition("/")
    if not bucket or not key or key.endswith("/"):
        raise CannotRun(f"{address} names no object. Write s3://BUCKET/KEY.")
    return bucket, key


def write(session: Callable[[], boto3.Session], out: str, form: Form, show: Callable[[], None]) -> None:
    """Write what `show` prints to a file or, with the operator's own rights, to a bucket."""
    printed = StringIO(newline="")
    with redirect_stdout(printed):
        show()
    body = printed.getvalue().encode()
    if out.startswith(S3):
        bucket, key = split(out)
        session().client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType=CONTENT_TYPES[form])
        return
    try:
        Path(out).write_bytes(body)
    except OSError as error:
        raise CannotRun(f"{out} cannot be written: {error.strerror}. Name another file.") from None


def read(session: Callable[[], boto3.Session], source: str) -> dict[str, Any]:
    """Return the stored report at a file or an object's address. Raises `CannotRun` if it is none."""
    if source.startswith(S3):
        bucket, key = split(source)
        body: bytes = session().client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return parsed(body, source)
    try:
        return parsed(Path(source).read_bytes(), source)
    except OSError as error:
        raise CannotRun(f"{source} cannot be read: {error.strerror}. Name another file.") from None


def parsed(body: bytes, source: str) -> dict[str, Any]:
    """Return the report in a file's bytes. Raises `CannotRun` if they are none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"status": "audit", "databases": [*rows]} if all(isinstance(row, dict) for row in rows):
            return dict(answer)
        case _:
            raise CannotRun(f"{source} is no report: it must be the JSON that `report` or the daily audit wrote.")
