"""A deployed stack: its name, a session of its account and region, its outputs and its targets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.exceptions import ClientError

from rds_snap_backup.triggers import ALL, TARGET_NAME
from rds_snap_backup.untrusted import whole_number
from rds_snap_backup_cli import VERSION
from rds_snap_backup_cli.errors import CannotRun, error_message

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# The AWS CLI and other SDKs read the first one too, the Python SDK only the second.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


def session_of(region: str | None, profile: str | None) -> boto3.Session:
    """Return a session; its region is the one given, else the environment's, else the profile's."""
    region = region or next(filter(None, map(os.environ.get, REGION_VARIABLES)), None)
    return boto3.Session(region_name=region, profile_name=profile)


@dataclass(frozen=True)
class DeployedStack:
    """A stack of a version that this command understands."""

    name: str
    session: boto3.Session
    description: Mapping[str, Any]

    @classmethod
    def find(cls, name: str, session: boto3.Session) -> Self:
        """Describe the stack. Raises `CannotRun` if there is none, or its version is another one."""
        try:
            (description,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in error_message(error):
                raise
            raise CannotRun(
                f"there is no such stack in {session.region_name}. Check its name, or name another region or profile."
            ) from None
        # The name may have been given as an ARN.
        stack = cls(description["StackName"], session, description)
        require_version(stack.outputs.get("Version", ""))
        return stack

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs by name."""
        return {item["OutputKey"]: item["OutputValue"] for item in self.description.get("Outputs", [])}

    def output(self, name: str) -> str:
        """Return an output. Raises `CannotRun` if the stack has none of that name."""
        try:
            return self.outputs[name]
        except KeyError:
            raise CannotRun(f"the stack has no output {name}. Update it to version {VERSION}.") from None

    @property
    def region(self) -> str:
        """The stack's region, from its ARN."""
        return self._arn[3]

    @property
    def account(self) -> str:
        """The stack's account, from its ARN."""
        return self._arn[4]

    @property
    def place(self) -> str:
        """The stack's name, account and region in words."""
        return f"{self.name} (account {self.account}, {self.region})"

    def require_target(self, target: str) -> None:
        """Raise `CannotRun` unless the stack has this target; `*` is all of them."""
        if target == ALL:
            return
        if not TARGET_NAME.fullmatch(target):
            raise CannotRun(
                f'{target!r} is not a valid target name: 1 to 64 letters, digits, "_", "." or "-", or "*" for all.'
            )
        path, ssm = self.output("TargetsPath"), self.session.client("ssm")
        try:
            ssm.get_parameter(Name=path + target)
        except ssm.exceptions.ParameterNotFound:
            meant = get_close_matches(target, target_names(ssm, path), n=1)
            hint = f"Did you mean {meant[0]}?" if meant else f"Store its document in the SSM parameter {path}{target}."
            raise CannotRun(f"there is no target {target}, and nothing was sent. {hint}") from None

    @cached_property
    def _arn(self) -> list[str]:
        """`arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/ID`."""
        return [*str(self.description["StackId"]).split(":"), *[""] * 5]


def target_names(ssm: "SSMClient", path: str) -> list[str]:
    """Return the names of the targets that are stored under a path; none where they must not be listed."""
    try:
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
        return [row["Name"].removeprefix(path) for page in pages for row in page["Parameters"]]
    except ClientError:
        return []


def require_version(version: str) -> None:
    """Raise `CannotRun` unless a stack of this version has this command's major version."""
    ours = int(VERSION.partition(".")[0])
    theirs = whole_number(version.partition(".")[0], 0)
    if theirs is None:
        raise CannotRun(
            f"the stack has no output Version: it is not a stack of rds-snap-backup, or too old for {VERSION} of this command. "
            "Check its name."
        )
    if theirs < ours:
        raise CannotRun(f"the stack's version {version} is too old for {VERSION} of this command. Update the stack.")
    if theirs > ours:
        raise CannotRun(
            f"the stack's version {version} is too new for {VERSION} of this command. Install the command's version "
            f"{version}."
        )
