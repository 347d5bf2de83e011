"""What a shell completes: the stacks of the account and region, and the targets of a stack.

A shell waits for it, and shows nothing else: a failure completes nothing.
"""

import os
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup_cli import stack as stacks
from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.stack import DeployedStack, session_of

# Of every stack of this product.
OUTPUTS = frozenset({"TargetsPath", "SubmissionsQueueUrl"})
QUICK = Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 1})


def silent(find: Callable[[typer.Context], Iterable[str]]) -> Callable[[typer.Context, str], list[str]]:
    """Complete with the names that begin with the incomplete word; with none if AWS does not answer."""

    @wraps(find)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return sorted(name for name in find(ctx) if name.startswith(incomplete))
        except (BotoCoreError, CannotRun, ClientError):
            return []

    del complete.__wrapped__  # Typer reads the signature.
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str, "return": list[str]}
    return complete


@silent
def stack_names(ctx: typer.Context) -> Iterable[str]:
    """Return the stacks; where the environment names one, its targets too for a command that takes a target."""
    pages = session(ctx).client("cloudformation", config=QUICK).get_paginator("describe_stacks").paginate()
    found = [
        stack["StackName"]
        for page in pages
        for stack in page["Stacks"]
        if {item["OutputKey"] for item in stack.get("Outputs", [])} >= OUTPUTS
    ]
    stack = os.environ.get("RDS_SNAP_BACKUP_STACK")
    takes_target = any(item.name == "target" and item.param_type_name == "argument" for item in ctx.command.params)
    return [*found, *(targets_of(ctx, stack) if stack and takes_target else [])]


@silent
def target_names(ctx: typer.Context) -> Iterable[str]:
    """Return the targets of the stack that the line names, else of the environment's."""
    # What stands before an option whose value is completed is not parsed.
    stack = ctx.params.get("stack_name") or next(iter(ctx.args), None) or os.environ.get("RDS_SNAP_BACKUP_STACK")
    return targets_of(ctx, stack) if stack else []


def targets_of(ctx: typer.Context, name: str) -> list[str]:
    """Return the names of a stack's targets."""
    stack = DeployedStack.find(name, session(ctx))
    return stacks.target_names(stack.session.client("ssm", config=QUICK), stack.output("TargetsPath"))


def session(ctx: typer.Context) -> Any:
    """Return a session of the region and profile that the line names."""
    return session_of(ctx.params.get("region"), ctx.params.get("profile"))
