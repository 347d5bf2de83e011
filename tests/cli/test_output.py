"""Nothing from outside reaches a terminal raw: one module prints, and it cleans each text."""

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

SOURCES = sorted(Path(output.__file__).parent.rglob("*.py"))
# With ruff's banned-api, which keeps streams and consoles of one's own out of all modules but `output`: calls that give a
# text to a prompt, a spinner or a stream as it is. A fleet's file is one.
RAW_CALL = re.compile(
    r"\binput\(|\.(writelines|out|log|rule|print_json)\(|\.ask\((?!.*console=)|(?<! file)\.write\((?!cleaned)"
    r"|(?<!import )(\.status|\bgetpass)\((?!cleaned|printable)"
)
RAW_LINES = [
    "input(x)",
    "console.status(x)",
    "console.log(x)",
    "Confirm.ask(x)",
    "getpass(x)",
    "stdout().file.write(x)",
]


def test_every_text_that_is_given_to_a_stream_is_cleaned() -> None:
    assert all(map(RAW_CALL.search, RAW_LINES))
    lines = [line for file in SOURCES for line in file.read_text().splitlines()]
    assert [line for line in lines if RAW_CALL.search(line)] == []
