"""The page: valid, self-contained, complete, and nothing from outside is more than a text in it."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import pytest
from tinyhtml5.parser import HTMLParser

from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.report.content import MEANINGS, Content, Verdict
from rds_snap_backup_cli.report.days import Stored, history_of
from rds_snap_backup_cli.report.page import html_of
from rds_snap_backup_cli.report.picture import SHAPES, page_of
from tests.cli import sample

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "&lt;b&gt;&#60;b&#62;",
    "\u202egnp.exe\u2066",
    "\x00\x1b[2J\n\ud800",
]
SVG = "{http://www.w3.org/2000/svg}"
FETCHING = {"link", "img", "image", "iframe", "object", "embed", "form", "base", "a", "svg"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a browser reads it."""

    text: str
    errors: list[Any]
    root: Any

    def all(self, path: str) -> list[Any]:
        """Return the elements of an XPath below the root."""
        return list(self.root.iterfind(f".//{path}"))

    def section(self, name: str) -> Any:
        """Return the section that is headed by the element with that ID."""
        (found,) = self.all(f"section[@aria-labelledby='{name}']")
        return found

    def rows(self, section: str) -> list[list[str]]:
        """Return the texts of the cells of a section's table."""
        return [list(map(words, row)) for row in self.section(section).find("table/tbody")]

    @property
    def policy(self) -> str:
        """What the page may fetch and run."""
        (meta,) = self.all("meta[@http-equiv='Content-Security-Policy']")
        return str(meta.get("content"))

    @property
    def structure(self) -> list[tuple[str, list[str]]]:
        """What the page consists of, apart from texts and values."""
        return [
            (str(element.tag), sorted(name for name in map(str, element.attrib) if element.get(name) != "wide"))
            for element in self.root.iter()
        ]


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def read(text: str) -> Page:
    """Return a page as a browser reads it."""
    parser = HTMLParser(namespace_html_elements=False)
    return Page(text, parser.errors, parser.parse(text))


def page(answer: dict[str, Any]) -> Page:
    """Return the page of an answer."""
    return read(html_of(Content.read(answer)))


@pytest.mark.parametrize("answer", [sample.answer(), sample.answer([], [])])
def test_the_page_is_valid_fetches_nothing_and_runs_its_own_script_only(answer: dict[str, Any]) -> None:
    report = page(answer)
    assert (report.errors, report.text.partition("\n")[0]) == ([], "<!DOCTYPE html>")
    ids = {element.get("id") for element in report.root.iter()} - {None}
    assert {element.get("aria-labelledby") for element in report.all("section")} == ids
    (script,) = report.all("script")
    script_hash = b64encode(sha256(script.text.encode()).digest()).decode()
    assert report.policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'"
    order = [element.tag for element in report.root.find("head")]
    assert order.index("style") > 1  # the policy, in front of all that it is about
    assert not {str(element.tag) for element in report.root.iter()} & FETCHING


def hostile_page(name: str) -> Page:
    """Return a page on which everything that comes from outside is `name`."""
    texts = dict.fromkeys(("arn", "verdict", "jobId", "by", "reason"), name)
    point = {"name": name, "createdAt": "2026-03-31T02:10:04Z", "snapshot": name}
    row = sample.database("a", "new", "1") | texts | {"groups": [name, name], "restorePoint": point}
    finding = sample.finding(name.replace("_", ""), name, name, database=name, account=name, region=name)
    answer = sample.answer([row], [finding], askedBy=name, report=name, lastRead=None)
    stack = f"arn:aws:cloudformation:{name}:{name}:stack/prod/1"
    answer["scope"] |= {"commvault": name, "version": name, "stack": stack}
    answer["scope"]["accounts"][0] |= {"account": name, "region": name, "role": name}
    answer["counts"] |= {"unreadable": 1}
    return page(answer)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_a_text_and_nothing_else(name: str) -> None:
    report = hostile_page(name)
    assert report.structure == hostile_page("harmless").structure
    assert list(map(words, report.all("bdi"))).count(clean_text(name)) > 5
    report.text.encode()  # a surrogate is not left in it
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00\x1b]", report.text)
    assert history(name).structure == history("harmless").structure


def test_everything_is_on_it() -> None:
    answer = sample.answer(previous={"key": "before.json", "sha256": "0"}, report="s3://audits/this.json")
    report, facts = page(answer), Content.read(answer).facts
    assert {words(each.find("dt")): words(each.find("dd")) for each in report.all("dl")[0]} == facts
    assert (all(facts.values()), facts["Report before it"]) == (True, "before.json")
    assert list(map(words, report.all("li[@class='bad']"))) == ["1 uncovered", "1 stale"]
    home = ["111122223333", "eu-central-1"]
    assert report.rows("findings") == [
        ["DATABASE_UNCOVERED", *home, "web-sessions", "No group.", "Add it."],
        ["BACKUP_STALE", "none", "none", "billing", "77 hours old.", "Look for the cause."],
    ]
    uncovered, stale, protected, _ = report.rows("databases")
    assert uncovered[2:] == ["uncovered", "none", "none", "none", "No group."]
    assert stale[2:4] == ["stale", "2026-03-28 01:12 billing-9"]
    assert protected == [
        *("orders cluster", " ".join(home), "protected", "2026-03-31 02:10 orders-1"),
        "job 2291, by this stack 2026-03-31 02:09 to 2026-03-31 02:19",
        *("aws-prod / RDS / orders", "It is protected."),
    ]
    unread = ["444455556666", "us-east-1", "not read", "failed", "not read"]
    assert report.rows("accounts") == [[*home, "3", "own", "0"], unread]
    assert "backups: 184 submitted, 1 failed" in words(report.section("digest"))
    assert [text for text in MEANINGS.values() if text not in words(report.section("meanings"))] == []
    accounts = list(map(words, report.all("select")[1]))
    assert accounts == ["all", "111122223333", "444455556666"]
    empty = page(sample.answer([], []))
    assert "No findings" in map(words, empty.all("p"))
    assert "No database is shown" in words(empty.section("databases"))


# ---- The history


def history(name: str = "db") -> Page:
    """Return the page of a history with one database of a name."""
    days = [date(2026, 3, 27) + timedelta(days=number) for number in range(5)]
    rows = {
        0: sample.database("other", "protected", "1"),
        1: sample.database(name, "stale"),
        2: sample.database(name, "unreadable", arn=f"{sample.ARN}:*"),
        4: sample.database(name, "protected", "1"),
    }
    answers = {days[number]: sample.answer([row], time=f"{days[number]}T06:00:00Z") for number, row in rows.items()}
    stored = [Stored(f"{day:%Y/%m/%d}/x.json", json.dumps(answer).encode()) for day, answer in answers.items()]
    return read(page_of(history_of("prod", stored, None, days)))


def test_the_history_page_is_valid_without_a_script_and_reachable_by_keyboard() -> None:
    report = history()
    assert (report.errors, report.policy) == ([], "default-src 'none'; style-src 'unsafe-inline'")
    assert not {str(element.tag) for element in report.root.iter()} & {*FETCHING, "script"}
    (region,) = report.all("div[@role='region']")
    assert (region.get("tabindex"), bool(region.get("aria-label"))) == ("0", True)
    assert {element.get("aria-hidden") for element in report.all(f"{SVG}svg")} == {"true"}


def test_the_history_page_says_in_words_what_it_draws() -> None:
    report = history()
    in_words = {cells[0].split()[0]: cells[1] for cells in report.rows("words")}
    assert in_words["db"] == "no verdict 2026-03-27, stale 2026-03-28, unreadable 2026-03-29, no verdict 2026-03-30"
    (row,) = [row for row in report.section("days").iter("tr") if words(row).startswith("db")]
    assert list(map(words, row))[2:] == ["1 of 3 days", "68 h", "appeared 2026-03-28"]
    assert {path.get("class"): path.get("d") for path in row.iter(f"{SVG}path")} == {
        "stale": "M1 0h1v10h-1z",
        "unreadable": "M2 0h1v1h-1zM2 9h1v1h-1z",
        "protected": "M4 4h1v2h-1z",
    }
    assert len(set(SHAPES.values())) == len(Verdict), "two verdicts have one shape"
    assert "Days without a report: 2026-03-30." in words(report.root.find("body"))
