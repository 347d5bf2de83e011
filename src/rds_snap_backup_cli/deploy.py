"""`deploy`: a command of a checkout. It asks what a first deployment must know, builds, and deploys with SAM.

The answers are kept in `samconfig.NAME.toml`, one file for each stack, which git ignores.
"""

import re
import subprocess  # nosec B404 # it starts SAM
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer
from tomlkit.exceptions import TOMLKitError

from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.expressions import skip_warning
from rds_snap_backup_cli.output import stderr
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.questions import EMAIL, EXPRESSIONS, OFF, TIMEZONE, ask, questions_of, value_problem

ROOT = Path(__file__).parents[2]
DEFAULT_STACK = "rds-snap-backup"
DEFAULT_CONFIG = "local"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
HEAD = (
    "A stack that this checkout deploys; git ignores this file. Add or change parameters below, as docs/reference.md lists",
    "them, and deploy again. A parameter that is not here keeps the value that the stack has, at first its default.",
)
BUILD_LINES = 20

Config = Annotated[str, typer.Option(help="The file samconfig.NAME.toml: one for each stack.")]
Guided = Annotated[bool, typer.Option("--guided", help="Let SAM ask for every parameter.")]


@dataclass(frozen=True)
class Deployment:
    """Where a stack is deployed to, and its parameters; `file` may not exist yet."""

    file: Path
    stack: str = ""
    region: str = ""
    profile: str = ""
    account: str = ""
    parameters: Mapping[str, str] | None = None

    def named_for(self, call: Call) -> "Deployment":
        """Return it with what the call names. Raises `CannotRun` if the file says something else."""
        return replace(
            self,
            stack=self._agreed("stack", self.stack, call.stack_name),
            region=self._agreed("region", self.region, call.region),
            profile=self._agreed("profile", self.profile, call.profile),
        )

    def _agreed(self, name: str, saved: str, given: str | None) -> str:
        if saved and given and saved != given:
            raise CannotRun(
                f"{self.file.name} deploys with the {name} {saved}, and {given} was given. Keep another stack in a file of "
                "another name: --config NAME."
            )
        return given or saved


@command("deploy", "deploy prod --config prod --region eu-west-1 --profile backup", needs_stack=False)
def deploy(call: Call, config: Config = DEFAULT_CONFIG, guided: Guided = False) -> Exit:
    """Deploy this checkout. The first time it asks the essential parameters, and keeps the answers.

    Account, region and stack are printed first, and CloudFormation's changes are shown before they are made.
    """
    deployment = read(config).named_for(call)
    deployment = located(deployment, call)
    call.say(
        f"Account {deployment.account}, region {deployment.region}, stack {deployment.stack} ({deployment.file.name})"
    )
    if deployment.parameters is None:
        try:
            answers = {} if guided else ask(questions_of(ROOT / "template.yaml"), stderr())
        except (EOFError, KeyboardInterrupt):
            stderr().print()
            raise CannotRun("not all questions were answered. Nothing was written.") from None
        deployment = replace(deployment, parameters=answers)
        deployment.file.write_text(to_toml(deployment))
        call.say(f"Written to {deployment.file.name}. Change it there; the next deployment does not ask.")
    for warning in warnings_of(deployment.parameters or {}):
        call.say(f"Warning: {warning}")
    with call.progress("Building the functions"):
        build()
    call.say("Built the functions.")
    options = ["--region", deployment.region, *(["--profile", deployment.profile] if deployment.profile else [])]
    call.did("CloudFormation goes on with a deployment that has begun: look at the stack's events.")
    done = sam("deploy", "--config-file", deployment.file.name, *options, *(["--guided"] if guided else []))
    if done.returncode:
        raise CannotRun("SAM did not deploy the stack. Its output above says why.")
    next_call = Call(deployment.stack, deployment.region, deployment.profile)
    call.conclude(f"Deployed. Next: {next_call.next_command('token')}, then {next_call.next_command('check')}")
    return Exit.OK


def read(config: str) -> Deployment:
    """Return the deployment of a configuration. Raises `CannotRun` if its file cannot be read, or is not valid."""
    if not NAME.fullmatch(config):
        raise CannotRun(
            f"{config!r} is not a valid name of a configuration: 1 to 64 letters, digits, hyphens or underscores."
        )
    file = ROOT / f"samconfig.{config}.toml"
    if not file.exists():
        return Deployment(file)
    try:
        document = tomlkit.parse(file.read_text()).unwrap()
        common = document["default"].get("global", {}).get("parameters", {})
        settings = common | document["default"]["deploy"]["parameters"]
        parameters = {name: str(value) for name, value in settings.get("parameter_overrides", {}).items()}
    except (TOMLKitError, LookupError, AttributeError, TypeError) as error:
        raise CannotRun(
            f"{file.name} is not as this command writes it: {error}. Correct it, or move it away."
        ) from None
    for name, value in parameters.items():
        if problem := value_problem(name, value):
            raise CannotRun(f"{file.name}: {name}: {problem}")
    names = ("stack_name", "region", "profile")
    stack, region, profile = (str(settings.get(name, "")) for name in names)
    return Deployment(file, stack, region, profile, str(document.get("account", "")), parameters)


def located(deployment: Deployment, call: Call) -> Deployment:
    """Return it with account, region and stack; asks AWS who the caller is, which proves the credentials."""
    session = replace(call, region=deployment.region or None, profile=deployment.profile or None).session()
    if not session.region_name:
        raise CannotRun("no region is configured. Name one with --region.")
    stack = deployment.stack or DEFAULT_STACK
    if not STACK_NAME.fullmatch(stack):
        raise CannotRun(
            f"{stack!r} is not a valid name of a stack: a letter, then up to 127 letters, digits or hyphens."
        )
    account = session.client("sts").get_caller_identity()["Account"]
    if deployment.account and deployment.account != account:
        raise CannotRun(
            f"{deployment.file.name} deploys to account {deployment.account}, and these credentials are of {account}. "
            "Name another profile, or another configuration: --config NAME."
        )
    return replace(deployment, stack=stack, region=session.region_name, account=account)


def warnings_of(parameters: Mapping[str, str]) -> Iterator[str]:
    """Yield what is valid and probably not meant."""
    if parameters.get(EMAIL, "") in OFF:
        yield f"{EMAIL} is empty: nobody gets a message when a backup fails. Subscribe to the topics, or name an address."
    timezone = parameters.get(TIMEZONE, "UTC")
    for name in EXPRESSIONS:
        expression = parameters.get(name, "")
        if expression not in OFF and (warning := skip_warning(expression, timezone)):
            yield f"{name}: {warning}"


def to_toml(deployment: Deployment) -> str:
    """Return the project's configuration with the deployment's values."""
    document = tomlkit.document()
    for line in HEAD:
        document.add(tomlkit.comment(line))
    document.add("account", tomlkit.item(deployment.account))
    for key, value in tomlkit.parse((ROOT / "samconfig.toml").read_text()).items():
        document.add(key, value)
    settings: Any = document["default"]["deploy"]["parameters"]
    names = {"stack_name": deployment.stack, "region": deployment.region, "profile": deployment.profile}
    settings |= {name: value for name, value in names.items() if value}
    settings["parameter_overrides"] = dict(deployment.parameters or {})
    return tomlkit.dumps(document)


def build() -> None:
    """Build the functions; SAM's output is shown only if it fails."""
    done = sam("build", capture_output=True, text=True)
    if done.returncode:
        lines = f"{done.stdout}{done.stderr}".strip().splitlines()[-BUILD_LINES:]
        stderr().print("\n".join(lines))
        raise CannotRun("the functions were not built. SAM's output above says why.")


def sam(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[Any]":
    """Run SAM as the checkout pins it."""
    line = [sys.executable, "-m", "local.tools", "sam", *arguments]
    return subprocess.run(line, cwd=ROOT, check=False, **options)  # noqa: S603 # nosec B603 # without a shell
