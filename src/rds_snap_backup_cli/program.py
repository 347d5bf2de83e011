"""The program `rds-snap-backup`: how a command is declared, the options that all share, and how each ends."""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import Parameter
from threading import Timer
from typing import Annotated, Any, get_args

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.models import ArgumentInfo

from rds_snap_backup_cli import VERSION
from rds_snap_backup_cli.completion import stack_names, target_names
from rds_snap_backup_cli.errors import CannotRun, Exit, in_one_line
from rds_snap_backup_cli.output import (
    Format,
    Paragraphs,
    Row,
    Show,
    agreed,
    drop_stdout,
    escape_unencodable,
    flush,
    printable,
    stderr,
    stdout,
    write_rows,
)
from rds_snap_backup_cli.stack import DeployedStack, session_of

STACK_VARIABLE = "RDS_SNAP_BACKUP_STACK"
UNTOUCHED = "Nothing was changed."
SLOW_SECONDS = 1.0

app = typer.Typer(
    name="rds-snap-backup",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

type Command = Callable[..., Exit]
Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help='A target, or "*" for all.', show_default=False, autocompletion=target_names),
]


@dataclass(frozen=True)
class Call:
    """One call of a command: the values of the options that all commands share, and in `done` what it has done so far."""

    stack_name: str = ""
    region: str | None = None
    profile: str | None = None
    quiet: bool = False
    format: Format = Format.TABLE
    yes: bool = False
    done: list[str] = field(default_factory=list)

    def session(self) -> boto3.Session:
        """Return a session of the account and region."""
        return session_of(self.region, self.profile)

    def stack(self) -> DeployedStack:
        """Return the stack. Raises `CannotRun` if there is none, `typer.BadParameter` if none is named."""
        if not self.stack_name:
            raise typer.BadParameter(f"STACK must be given. {STACK_VARIABLE} can name the stack.")
        with self.progress("Reading the stack"):
            return DeployedStack.find(self.stack_name, self.session())

    def next_command(self, name: str) -> str:
        """Return the text of another command for the same stack."""
        options = {"region": self.region, "profile": self.profile}
        given = [f"--{option} {value}" for option, value in options.items() if value]
        return " ".join(["rds-snap-backup", name, self.stack_name, *given])

    @property
    def is_table(self) -> bool:
        """Whether rows are printed for people."""
        return self.format is Format.TABLE

    def did(self, text: str) -> None:
        """Note in a sentence what has been done, for a person who interrupts the command from now on."""
        self.done[:] = [text]

    def agrees(self, question: str) -> bool:
        """Ask a person, unless `--yes` was given. Raises `CannotRun` if there is no terminal."""
        answer = self.yes or agreed(question)
        if answer is None:
            raise CannotRun("there is no terminal to ask on. Nothing was done: use --yes.")
        return answer

    def say(self, text: str) -> None:
        """Print a note to standard error."""
        if not self.quiet:
            stderr().say(text)

    def show(self, columns: Mapping[str, str], rows: Sequence[Row], **shows: Show) -> None:
        """Print rows to standard output."""
        write_rows(self.format, columns, rows, shows)

    def explain(self, paragraphs: Paragraphs) -> None:
        """Print paragraphs below a table; the rows of other formats have the same facts."""
        if self.is_table and paragraphs.items:
            stdout().print(paragraphs, soft_wrap=False)

    def conclude(self, text: str, style: str = "") -> None:
        """Print a command's last line: below a table to standard output, else as a note."""
        if self.is_table:
            stdout().say(text, style)
        else:
            self.say(text)

    @contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Tell a person that something takes its time: on a terminal at once, else in a line after a second."""
        console = stderr()
        if self.quiet:
            yield
        elif console.is_terminal:
            with console.status(printable(text)):
                yield
        else:
            timer = Timer(SLOW_SECONDS, console.say, [f"{text} ..."])
            timer.daemon = True
            timer.start()
            try:
                yield
            finally:
                timer.cancel()


def shared(name: str, kind: Any, default: Any, info: Any) -> Parameter:
    """Return a parameter that all commands share."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


STACK = shared(
    "stack_name",
    str,
    "",
    typer.Argument(
        metavar="STACK",
        help=f"The stack's name. Default: ${STACK_VARIABLE}",
        show_default=False,
        autocompletion=stack_names,
    ),
)
ROWS = shared("format", Format, Format.TABLE, typer.Option("--format", help="How rows are printed."))
AWS = (
    shared("region", str | None, None, typer.Option("--region", help="Default: AWS_REGION, else the profile's.")),
    shared("profile", str | None, None, typer.Option("--profile", help="A profile of the AWS configuration.")),
)
YES = shared("yes", bool, False, typer.Option("--yes", help="Do not ask."))
QUIET = shared("quiet", bool, False, typer.Option("--quiet", "-q", help="Print results and errors only."))


def command(
    *examples: str,
    rows: bool = False,
    asks: bool = False,
    needs_stack: bool = True,
    instead: str = "",
    is_offline: bool = False,
) -> Callable[[Command], Command]:
    """Make a function the command of its name. Its first parameter is the `Call`.

    With `rows`, `--format` is an option; with `asks`, `--yes`. The option `instead` stands for the optional arguments.

    An offline command has neither the argument STACK nor the options of AWS.
    """

    def register(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        arguments = [item for item in own if is_argument(item)]
        options = [item for item in own if not is_argument(item)]
        # A stack that is left out moves the other arguments to the front, so all are optional to the parser.
        optional = [argument.replace(kind=Parameter.KEYWORD_ONLY, default="") for argument in arguments]
        keyword = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options]
        shown = [*([ROWS] if rows else []), *([YES] if asks else [])]
        parameters = [STACK, *optional, *keyword, *shown, *AWS, QUIET]
        if is_offline:
            parameters = [*(argument.replace(kind=Parameter.KEYWORD_ONLY) for argument in own), *shown, QUIET]

        def run(**values: Any) -> None:
            if not is_offline:
                names = ["stack_name", *(argument.name for argument in arguments)]
                needed = len([item for item in arguments if item.default is Parameter.empty]) + needs_stack
                expected = needed if values.get(instead) else len(names)
                values |= placed(names, [values.pop(name) for name in names], needed, expected)
            call = Call(**{name: values.pop(name) for name in Call.__annotations__ if name in values})
            if status := attempt(lambda: function(call, **values), call):
                raise typer.Exit(status)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = function.__doc__
        epilog = "\n\n".join(["Examples:", *(f"$ rds-snap-backup {example}" for example in examples)])
        app.command(function.__name__, epilog=epilog if examples else None)(run)
        return function

    return register


def is_argument(parameter: Parameter) -> bool:
    """Tell whether a command's parameter is an argument and no option."""
    return any(isinstance(arg, ArgumentInfo) for arg in get_args(parameter.annotation))


def placed(names: Sequence[str], values: Sequence[str], needed: int, expected: int) -> dict[str, str]:
    """Return the arguments by name. The environment names the stack unless all that are expected are given.

    The first `needed` must be given.
    """
    given = [value for value in values if value]
    if needed - 1 <= len(given) < expected and (stack := os.environ.get(STACK_VARIABLE)):
        given.insert(0, stack)
    if len(given) < needed:
        missing = " ".join(name.removesuffix("_name").upper() for name in names[:needed])
        raise typer.BadParameter(f"{missing} must be given. {STACK_VARIABLE} can name the stack.")
    return dict(zip(names, [*given, *[""] * (len(names) - len(given))], strict=True))


def attempt(run: Callable[[], Exit], call: Call) -> Exit:
    """Run a command, and print one line if it cannot be done."""
    status = Exit.COULD_NOT_RUN
    try:
        done = run()
        flush()
    except BrokenPipeError:
        drop_stdout()
        reason = "the program that reads the output has ended, and the rest was not printed."
    except (CannotRun, BotoCoreError, ClientError, OSError) as error:
        reason = in_one_line(error)
    except KeyboardInterrupt:
        status, reason = Exit.INTERRUPTED, f"interrupted. {done_by(call)}"
    except EOFError:
        reason = f"the input has ended. {done_by(call)}"
    except typer.BadParameter:
        raise
    except Exception as error:  # noqa: BLE001 # a person at a terminal never reads a traceback
        reason = f"this is a mistake in {VERSION} of the command. Report it: {type(error).__name__}: {error}"
    else:
        return done
    stderr().say(f"{call.stack_name or app.info.name}: {reason}")
    return status


def done_by(call: Call) -> str:
    """Return what a command has done so far."""
    return " ".join(call.done) or UNTOUCHED


def print_version(wanted: bool) -> None:
    """Print the version and exit."""

    def show() -> Exit:
        stdout().print(VERSION)
        return Exit.OK

    if wanted:
        raise typer.Exit(attempt(show, Call()))


@app.callback()
def describe(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True)] = False,  # noqa: ARG001 # its callback reads it
) -> None:
    """Watch and operate a deployed stack of rds-snap-backup.

    Exit status: 0 done; 1 findings or a failed backup; 2 usage, access, or the command could not run;
    130 interrupted.
    """
    escape_unencodable()
