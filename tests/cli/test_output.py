"""Nothing from outside reaches a terminal raw: one module prints, and it cleans each text."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rds_snap_backup_cli import output, program
from rds_snap_backup_cli.output import (
    Format,
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
ROW = [{"name": HOSTILE}]
COLUMNS = {"name": "Name"}


def progress(text: str) -> None:
    with Call().progress(text):
        pass


@pytest.mark.parametrize(
    "write",
    [
        lambda: stdout().print(HOSTILE, style="red", soft_wrap=True),
        lambda: stderr().print(HOSTILE),
        lambda: stderr().print(printable(HOSTILE)),
        lambda: Call().say(HOSTILE),
        lambda: Call().conclude(HOSTILE, "red"),
        lambda: Call(format=Format.JSON).conclude(HOSTILE),
        lambda: progress(HOSTILE),
        lambda: program.attempt(lambda: (_ for _ in ()).throw(RuntimeError(HOSTILE)), Call(HOSTILE)),
        lambda: Call().explain(findings_to_text([(HOSTILE, HOSTILE, HOSTILE)])),
        lambda: stdout().print(rows_to_table(COLUMNS, ROW, {"name": str})),
        *(lambda form=form: write_rows(form, COLUMNS, ROW, {"name": str}) for form in Format),
        lambda: write_text(HOSTILE),
    ],
)
def test_no_stream_gets_a_control_character(
    write: Callable[[], object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which shows progress, too
    write()
    said = "".join(capsys.readouterr())
    assert "one" in said
    assert "[red]" in said, "markup was parsed"
    # Rich's own: colours, and what a spinner does with the cursor.
    assert not [mark for mark in RAW if mark in re.sub(r"\x1b\[[?\d;]*[A-Za-z]|\r", "", said)]


def test_a_prompt_is_clean(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda: "y")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert Call().agrees(HOSTILE)
    assert "[red]one" in (said := capsys.readouterr().err)
    assert not [mark for mark in RAW if mark in said]


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
    rows = [WIDE, WIDE | {"target": "billing"}]
    stdout().print(rows_to_table({name: name.title() for name in WIDE}, rows, {}))
    stdout().print(findings_to_text([("BACKUP_STALE", WIDE["why"] or "", "Look at the group's last job.")]))
    out = capsys.readouterr().out
    for word in re.split(r"[\s|/:]+", f"{WIDE['group']} {ARN} {WIDE['why']}"):
        assert word in out
    assert max(map(len, out.splitlines())) <= width
    assert "Account" not in out, "both rows have the same"
    assert "Empty" not in out
    assert ("┃" in out) is (width >= 80), "a table, or paragraphs where its words do not fit"


def test_findings_with_one_hint_say_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    stdout().print(findings_to_text([("A", "one.", "Do it."), ("B", "two.", "Do it."), ("C", "three.", "Wait.")]))
    assert capsys.readouterr().out.split("\n") == [
        "A",
        "  one.",
        "B",
        "  two.",
        "  What to do: Do it.",
        "C",
        "  three.",
        "  What to do: Wait.",
        "",
    ]


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


@pytest.mark.parametrize(
    "line",
    [
        "print(x)",
        "sys.stderr.write(x)",
        "from sys import stdout",
        "import rich",
        "from rich import print",
        "from rich.console import Console",
        "typer.echo(x)",
        "console.status(x)",
        "console.log(x)",
        "Confirm.ask(x)",
        "getpass(x)",
        "stdout().file.write(x)",
    ],
)
def test_a_raw_print_is_found(line: str) -> None:
    assert raw_prints(ast.parse(line))
