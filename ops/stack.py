"""A deployed stack: its name, a session of the account and region it is in, and its outputs."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import boto3
from botocore.exceptions import ClientError

SAMCONFIG = Path(__file__).parent.parent / "samconfig.toml"


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
        """Describe the stack. The region is the one given, else the SDK's own, else the one that `sam deploy` saved."""
        session = boto3.Session(region_name=region, profile_name=profile)
        if session.region_name is None and (saved := saved_region(SAMCONFIG)):
            session = boto3.Session(region_name=saved, profile_name=profile)
        try:
            (stack,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in error.response["Error"]["Message"]:
                raise
            raise CannotRun(
                f"there is no such stack in {session.region_name}. Check its name, or name another region or profile."
            ) from error
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        return cls(name, session, outputs)

    def output(self, name: str) -> str:
        """Return an output of the stack."""
        try:
            return self.outputs[name]
        except KeyError:
            raise CannotRun(
                f"the stack has no output {name}: it was deployed from another template, or by an older version of "
                "this one. Update it with `make deploy`."
            ) from None


def saved_region(samconfig: Path) -> str | None:
    """Return the region that `sam deploy --guided` saved, if any."""
    if not samconfig.exists():
        return None
    try:
        default = tomllib.loads(samconfig.read_text()).get("default", {})
    except tomllib.TOMLDecodeError as error:
        raise CannotRun(f"{samconfig.name} is not TOML: {error}. Correct it, or name the region: --region.") from None
    places = (default.get(command, {}).get("parameters", {}) for command in ("deploy", "global"))
    return next((place["region"] for place in places if place.get("region")), None)
