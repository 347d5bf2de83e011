"""A deployed stack: its name, a session of the account and region it is in, and its outputs."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

ROOT = Path(__file__).parent.parent
# The first is what `make deploy` writes and git ignores, the second the project's defaults.
SAMCONFIGS = (ROOT / "samconfig.local.toml", ROOT / "samconfig.toml")
# The AWS CLI and other SDKs read the first one too, the Python SDK only the second.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


class CannotRun(RuntimeError):
    """A command could not do its work; the message says why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """What a command needs to act on a stack; `session` makes clients of its account and region."""

    name: str
    session: boto3.Session
    outputs: Mapping[str, str]

    @classmethod
    def find(cls, name: str, region: str | None = None, profile: str | None = None) -> Self:
        """Describe the stack.

        Its region is the one given, else the environment's, else the one that the stack was deployed to from here, else
        that of the profile. Raises `CannotRun` where there is no such stack.
        """
        source = ""
        region = region or next(filter(None, map(os.environ.get, REGION_VARIABLES)), None)
        if region is None and (saved := saved_region(name)):
            region, source = saved.region, f" (the region in {saved.file})"
        session = boto3.Session(region_name=region, profile_name=profile)
        try:
            (stack,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in error.response["Error"]["Message"]:
                raise
            raise CannotRun(
                f"there is no such stack in {session.region_name}{source}. Check its name, or name another region or "
                "profile."
            ) from error
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        return cls(name, session, outputs)

    def output(self, name: str) -> str:
        """Return an output of the stack; raise `CannotRun` where it has none of that name."""
        try:
            return self.outputs[name]
        except KeyError:
            raise CannotRun(
                f"the stack has no output {name}: it was deployed from another template, or by an older version of "
                "this one. Update it with `make deploy`."
            ) from None


@dataclass(frozen=True, slots=True)
class SavedRegion:
    """A region that a file says a stack is deployed to."""

    region: str
    file: str


def saved_region(stack: str) -> SavedRegion | None:
    """Return the region in which SAM's configuration files have a stack, else the one for stacks that they do not name.

    Raises `CannotRun` where a file cannot be read, or has several regions for it.
    """
    deployments = {path.name: list(_deployments(path)) for path in SAMCONFIGS}
    for wanted in (stack, None):
        for file, entries in deployments.items():
            match sorted({region for name, region in entries if name == wanted}):
                case [region]:
                    return SavedRegion(region, file)
                case [_, *_] as regions:
                    names = " and ".join(regions)
                    raise CannotRun(f"{file} has it in {names}. Name one: --region, or REGION= with make.")
    return None


def _deployments(samconfig: Path) -> Iterator[tuple[str | None, str]]:
    """Yield name and region of the stack in each environment of a file, where it has a region.

    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-config.html
    """
    if not samconfig.exists():
        return
    try:
        document = tomllib.loads(samconfig.read_text())
    except tomllib.TOMLDecodeError as error:
        raise CannotRun(f"{samconfig.name} is not TOML: {error}. Correct it, or name the region: --region.") from None
    for environment in document.values():
        if not isinstance(environment, dict):  # such as the file's `version`
            continue
        parameters: dict[str, Any] = {}
        for command in ("global", "deploy"):
            match environment.get(command):
                case {"parameters": dict(own)}:
                    parameters |= own
        match parameters:
            case {"region": str(region)} if region:
                yield parameters.get("stack_name"), region
