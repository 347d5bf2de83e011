"""The page: valid, self-contained, complete, and nothing from outside is more than a text in it."""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import boto3
import pytest
from tinyhtml5.parser import HTMLParser

from rds_snap_backup.untrusted import clean_text
from rds_snap_backup_cli.report.content import Content
from rds_snap_backup_cli.report.page import html_of
from rds_snap_backup_cli.stack import DeployedStack
from tests.cli import sample

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title></svg><script>",
    "&lt;b&gt;&#60;b&#62;",
    "{{ 7 * 7 }}{% include 'page.css' %}",
    "--><b>]]>",
    "\u202egnp.exe\u2066",
    "\x00\x1b[2J\n\ud800",
]
FETCHING = {"link", "img", "image", "iframe", "object", "embed", "form", "base", "a", "svg"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a browser reads it."""

    text: str
    errors: list[Any]
    root: Any

    def all(self, tag: str, css_class: str = "") -> list[Any]:
        """Return the elements of a kind and class."""
        return [
            element for element in self.root.iter(tag) if not css_class or css_class in element.get("class", "").split()
        ]

    def section(self, name: str) -> Any:
        """Return the section that is headed by the element with that ID."""
        (found,) = (element for element in self.all("section") if element.get("aria-labelledby") == name)
        return found

    def rows(self, section: str) -> list[list[str]]:
        """Return the texts of the cells of a section's table."""
        return [[words(cell) for cell in row] for row in self.section(section).find("table/tbody")]


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def page(answer: dict[str, Any], name: str = "") -> Page:
    """Return the page of a stack `prod`, or of one whose names are all `name`."""
    arn = f"arn:aws:cloudformation:{name or 'eu-central-1'}:{name or '111122223333'}:stack/prod/1"
    description = {"StackId": arn, "Outputs": [{"OutputKey": "Version", "OutputValue": name or "2.0.0"}]}
    stack = DeployedStack(name or "prod", boto3.Session(), description)
    text = html_of(stack, Content.read(answer), sample.NOW)
    parser = HTMLParser(namespace_html_elements=False)
    return Page(text, parser.errors, parser.parse(text))


@pytest.mark.parametrize("answer", [sample.answer(), sample.answer([], [])])
def test_the_page_is_valid_fetches_nothing_and_runs_its_own_script_only(answer: dict[str, Any]) -> None:
    report = page(answer)
    assert report.text.startswith("<!DOCTYPE html>\n")
    assert report.errors == []
    ids = [element.get("id") for element in report.root.iter() if element.get("id")]
    assert {element.get("aria-labelledby") for element in report.all("section")} == set(ids)
    (policy,) = (meta for meta in report.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    (script,) = report.all("script")
    script_hash = b64encode(sha256(script.text.encode()).digest()).decode()
    assert policy.get("content") == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'"
    )
    order = [element.tag for element in report.root.find("head")]
    assert order.index("style") > 1  # the policy, in front of all that it is about
    assert not {str(element.tag) for element in report.root.iter()} & FETCHING
    names = {str(name) for element in report.root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or name in {"src", "href", "style", "action", "data"}]
    assert not re.search(r"url\(|@import|@font-face", report.all("style")[0].text)
    assert "://" not in report.text


def hostile_page(name: str) -> Page:
    """Return a page on which everything that comes from outside is `name`."""
    texts = dict.fromkeys(("arn", "verdict", "subclient", "jobId", "by", "reason"), name)
    finding = sample.finding(name.replace("_", ""), name, name, database=name, account=name, region=name)
    answer = sample.answer([], [finding]) | {"databases": [sample.database("a", "new", "1") | texts]}
    return page(answer, name)


def structure(report: Page) -> list[tuple[str, list[str]]]:
    """Return what a page consists of, apart from texts and values."""
    return [(str(element.tag), sorted(map(str, element.attrib))) for element in report.root.iter()]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_a_text_and_nothing_else(name: str) -> None:
    report = hostile_page(name)
    assert structure(report) == structure(hostile_page("harmless"))
    names = [words(element) for element in report.all("bdi")]
    assert names.count(clean_text(name)) > 5
    report.text.encode()  # a surrogate is not left in it
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00\x1b]", report.text)


def test_everything_is_on_it() -> None:
    report = page(sample.answer())
    facts = {words(each.find("dt")): words(each.find("dd")) for each in report.all("dl")[0]}
    assert facts == {
        "Stack": "prod",
        "Account": "111122223333",
        "Region": "eu-central-1",
        "Accounts and regions": "2",
        "Calls to Commvault": "14",
        "Audited (UTC)": "2026-03-31 06:00",
        "rds-snap-backup": "2.0.0",
    }
    assert words(report.all("p", "result")[0]) == "2 findings"
    assert [words(each) for each in report.all("li", "bad")] == ["1 stale", "1 uncovered"]
    assert report.rows("findings") == [
        ["DATABASE_UNCOVERED", "111122223333", "eu-central-1", "web-sessions", "No association.", "Name it."],
        ["BACKUP_STALE", "none", "none", "billing", "77 hours old.", "Look for the cause."],
    ]
    databases = report.rows("databases")
    assert databases[0] == [
        "orders cluster",
        "111122223333",
        "eu-central-1",
        "aws-prod / orders / default",
        "2026-03-31 02:09 job 2291, by this stack",
        "protected",
        "It is protected.",
    ]
    assert databases[2][3:] == ["none", "none", "uncovered", "No association names it."]
    verdicts, accounts = ([words(option) for option in select] for select in report.all("select"))
    assert verdicts == ["all", "protected", "stale", "uncovered", "excluded"]
    assert accounts == ["all", "111122223333", "444455556666"]
    assert "3 submissions; backups: 2 completed, 1 failed;" in words(report.root.find("body"))
    empty = page(sample.answer([], []))
    assert words(empty.all("p", "result")[0]) == "No findings"
    assert "no database" in words(empty.section("databases"))
