"""Nothing from outside reaches a terminal raw: one module prints, and it cleans each text."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from rds_snap_backup_cli import output, program
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.output import (
    Format,
    Show,
    findings_to_text,
    printable,
    rows_to_table,
    stderr,
    stdout,
    write_rows,
    write_text,
)
from rds_snap_backup_cli.program import Call

# ESC with a window's title, C1's CSI, an override of direction, an isolate, a bell, a carriage return, and markup.
RAW = ("\x1b]0;owned\x07", "\x9b2J", "\u202e", "\u2066", "\r", "\x7f", "\ud800", "\u2028")
HOSTILE = "[red]one[/red] [/] " + "two".join(RAW)
TABLE: tuple[dict[str, str], list[dict[str, str]], dict[str, Show]] = (
    {"name": "Name"},
    [{"name": HOSTILE}],
    {"name": str},
)


def progress(text: str) -> None:
    with Call().progress(text):
        pass


def fail(text: str) -> Exit:
    raise CannotRun(text)


def prompt(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.input", lambda: "y")
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        assert Call().agrees(text)


WRITERS: list[Callable[[], object]] = [
    lambda: stdout().print(HOSTILE, style="red", soft_wrap=True),
    lambda: stderr().print(printable(HOSTILE)),
    lambda: stdout().print(Text(HOSTILE)),
    lambda: Call().say(HOSTILE),
    lambda: Call().conclude(HOSTILE, "red"),
    lambda: progress(HOSTILE),
    lambda: program.attempt(lambda: fail(HOSTILE), Call(HOSTILE)),
    lambda: Call().explain(findings_to_text([(HOSTILE, HOSTILE, HOSTILE)])),
    *(lambda form=form: write_rows(form, *TABLE) for form in Format),
    lambda: write_text(HOSTILE),
    lambda: prompt(HOSTILE),
]


@pytest.mark.parametrize("write", WRITERS)
def test_no_stream_gets_a_control_character(
    write: Callable[[], object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which shows progress, too
    write()
    said = "".join(capsys.readouterr())
    assert "[red]one" in said, "markup was parsed"
    # Rich's own: colours, and what a spinner does with the cursor.
    assert not [mark for mark in RAW if mark in re.sub(r"\x1b\[[?\d;]*[A-Za-z]|\r", "", said)]


# ---- Widths

ARN = "arn:aws:rds:eu-central-1:111122223333:db:orders-database-of-the-shop"
WIDE = {
    "target": "orders",
    "group": "aws-prod / RDS / orders-nightly",
    "account": "111122223333",
    "empty": None,
    "trigger": f"rds {ARN}|RDS-EVENT-0043|2026-12-01T03:00:00Z",
    "why": "Job 2291 of the group completed, and made no restore point of this database.",
}


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_width_cuts_a_word(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stdout().print(rows_to_table({name: name.title() for name in WIDE}, [WIDE, WIDE | {"target": "billing"}], {}))
    stdout().print(rows_to_table(dict.fromkeys("abcdefgh", "Word"), [dict.fromkeys("abcdefgh", "words")], {}))
    stdout().print(findings_to_text([("BACKUP_STALE", WIDE["why"] or "", "Look at the group's last job.")]))
    out = capsys.readouterr().out
    missing = [word for word in re.split(r"[\s|/:]+", f"{WIDE['group']} {ARN} {WIDE['why']}") if word not in out]
    assert (missing, max(map(len, out.splitlines())) <= width) == ([], True)
    assert not re.search("Account|Empty", out), "both rows have the same, or none has any"
    assert ("┃" in out) is (width >= 80), "a table, or paragraphs where its words do not fit"


def test_findings_with_one_hint_say_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    stdout().print(findings_to_text([("A", "one.", "Do it."), ("B", "two.", "Do it."), ("C", "three.", "Wait.")]))
    once = "A\n  one.\nB\n  two.\n  What to do: Do it.\nC\n  three.\n  What to do: Wait.\n"
    assert capsys.readouterr().out == once


# ---- Every call that prints

PRINTER = Path(output.__file__)
SOURCES = sorted(PRINTER.parent.rglob("*.py"))
# They have streams of their own. Rich's texts and prompts have none.
PRINTING = {"click", "getpass", "logging", "rich", "sys"}
HARMLESS = {"from rich.text import Text", "from getpass import GetPassWarning, getpass"}
PROMPTS = re.compile(r"from rich\.prompt import [\w, ]+")
CLEAN = re.compile(r"(cleaned|printable)\(")


def raw_prints(tree: ast.AST) -> list[str]:
    """Return what may print a text that `output` has not cleaned."""
    return [ast.unparse(node) for node in ast.walk(tree) if is_raw(node)]


def is_raw(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module=str(module)):
            text = ast.unparse(node)
            return module.split(".")[0] in PRINTING and text not in HARMLESS and not PROMPTS.fullmatch(text)
        case ast.Import(names=names):
            return any(name.name.split(".")[0] in PRINTING - {"sys"} for name in names)
        case ast.Attribute(value=ast.Name(id="sys"), attr=attr):
            return attr not in {"stdin", "executable"}
        case ast.Attribute(value=ast.Name(id="typer"), attr=attr):
            return attr in {"echo", "secho", "confirm", "prompt", "launch"}
        case ast.Name(id="print" | "input"):
            return True
        case ast.Call(func=ast.Name(id="getpass") | ast.Attribute(attr="status"), args=args):
            return not all(CLEAN.match(ast.unparse(item)) for item in args)
        case ast.Call(func=ast.Name(id="Prompt") | ast.Attribute(attr="ask"), keywords=keywords):
            return not any(item.arg == "console" for item in keywords)  # another than ours
        # Methods of our consoles that write as it is, and those of streams.
        case ast.Call(func=ast.Attribute(attr="write" | "writelines" | "out" | "log" | "rule" | "print_json")):
            return ast.unparse(node) != "file.write(text)"  # a fleet's file
        case _:
            return False


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PRINTER.parent)))
def test_every_print_is_cleaned(file: Path) -> None:
    found = raw_prints(ast.parse(file.read_text()))
    if file == PRINTER:
        assert {line for line in found if ".write(" in line} == {"sys.stdout.write(cleaned(text))"}
    else:
        assert found == []


RAW_LINES = """print(x)
sys.stderr.write(x)
from sys import stdout
import rich
from rich import print
from rich.console import Console
typer.echo(x)
console.status(x)
console.log(x)
Confirm.ask(x)
getpass(x)
stdout().file.write(x)"""


@pytest.mark.parametrize("line", RAW_LINES.splitlines())
def test_a_raw_print_is_found(line: str) -> None:
    assert raw_prints(ast.parse(line))
