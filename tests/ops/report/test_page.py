"""The page: valid, self-contained, complete, and nothing from outside is more than a text in it."""

import re
from itertools import pairwise

import boto3
import pytest
from tinyhtml5.parser import HTMLParser

from ops.report.page import Facts
from ops.report.timeline import MARKS
from ops.stack import DeployedStack
from tests.ops.report import sample
from tests.ops.report.pages import SVG, Page, page, words

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title></svg><script>",
    "&lt;b&gt;&#60;b&#62;",
    "{{ 7 * 7 }}{% include 'page.css' %}",
    "--><b>]]>",
    "javascript:alert(1)",
    "=HYPERLINK(1)",
    "\u202egnp.exe\u2066",
    "ש" * 20,
    "x" * 200,
    "\x00\x1b[2J\n\ud800",
]
EMPTY = sample.clean() | {"databases": [], "targets": []}
PAGES = [page(), page(items=sample.month()), page(sample.clean()), page(EMPTY, unreadable=2)]


# ---- A page for any browser, without a network


@pytest.mark.parametrize("one", PAGES)
def test_the_page_is_valid(one: Page) -> None:
    assert one.text.startswith("<!DOCTYPE html>\n")
    assert one.errors == []
    assert one.root.get("lang") == "en"
    ids = [element.get("id") for element in one.root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    refers = [name for element in one.root.iter() for name in element.get("aria-labelledby", "").split()]
    assert refers
    assert set(refers) <= set(ids)
    levels = [int(element.tag[1]) for element in one.root.iter() if re.fullmatch(r"h\d", str(element.tag))]
    assert levels[0] == 1
    assert all(after <= before + 1 and after > 1 for before, after in pairwise(levels))


def test_a_page_that_is_not_valid_is_found() -> None:
    parser = HTMLParser(namespace_html_elements=False)
    parser.parse(PAGES[0].text.replace("</section>", "", 1))
    assert parser.errors


@pytest.mark.parametrize("one", PAGES)
def test_nothing_is_fetched_and_nothing_runs(one: Page) -> None:
    (policy,) = (meta for meta in one.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'"
    order = [element.tag for element in one.root.find("head")]
    assert order.index("style") > 1  # the policy, in front of all that it is about
    tags = {str(element.tag).removeprefix(SVG) for element in one.root.iter()}
    assert not tags & {
        "script",
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "a",
        "foreignObject",
    }
    for element in one.root.iter():
        for name, value in element.attrib.items():
            plain = str(name).rpartition("}")[2]
            assert not plain.startswith("on")
            assert plain not in {"src", "srcset", "style", "action", "data", "background", "poster"}
            assert plain != "href" or value.startswith("#")
    (style,) = one.all("style")
    assert not re.search(r"url\(|@import|@font-face|expression|image-set", style.text)
    assert "://" not in one.text.replace("http://www.w3.org/2000/svg", "")


def test_what_is_drawn_exists() -> None:
    one = page(items=sample.month())
    drawn = {use.get("href") for use in one.all(f"{SVG}use")}
    defined = {f"#{element.get('id')}" for element in one.all(f"{SVG}defs")[0]}
    assert drawn == defined == {f"#{shape}" for shape in (*MARKS.values(), "days")}


@pytest.mark.parametrize("query", ["prefers-color-scheme: dark", "max-width: 44rem", "@media print"])
def test_the_page_has_a_style_for(query: str) -> None:
    assert query in page().all("style")[0].text


# ---- Hostile names


def hostile_page(name: str) -> Page:
    """Return a page on which everything that comes from outside is `name`."""
    database = sample.database(name, name, engine=name, targets=[(name, name)])
    database |= {"lastCompleted": sample.completed(1, name, name), "newestSnapshot": sample.snapshot(name, 1)}
    answer = sample.answer() | {
        "databases": [database],
        "targets": [sample.target(name, name, days=1, job=name)],
        "findings": [sample.finding(name.replace("_", ""), name, name, target=name, database=name)],
    }
    items = [sample.item(name, status, sample.NOW, name, reason=name) for status in ("completed", "failed")]
    outputs = {"NotificationsTopicArn": f"arn:aws:sns:{name}:{name}:{name}", "Version": name}
    return page(answer, items, facts=Facts.of(DeployedStack(name, boto3.Session(), outputs), sample.NOW))


def structure(one: Page) -> list[tuple[str, list[str]]]:
    """Return what a page consists of, apart from texts and values."""
    return [(str(element.tag), sorted(map(str, element.attrib))) for element in one.root.iter()]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_a_text_and_nothing_else(name: str) -> None:
    one = hostile_page(name)
    assert structure(one) == structure(hostile_page("harmless"))
    assert "script" not in {element.tag for element in one.root.iter()}
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)
    names = [words(element) for element in one.all("bdi")]
    assert names.count(" ".join(shown.split())) > 8
    one.text.encode()  # a surrogate is not left in it
    assert not re.search(
        r"[\u202a-\u202e\u2066-\u2069\x00\x1b]", "".join(element.text or "" for element in one.all("bdi"))
    )


# ---- What it says


def test_it_says_what_it_is_about() -> None:
    one = page()
    facts = {words(each.find("dt")): words(each.find("dd")) for each in one.all("dl")[0]}
    assert facts == {
        "Stack": "prod",
        "Account": "111122223333",
        "Region": "eu-central-1",
        "Audited (UTC)": "2026-03-31 06:00",
        "rds-snap-backup": "1.1.0",
    }
    assert words(one.all("p", "result")[0]) == "2 findings"
    assert [words(each) for each in one.all("ul", "counts")[0]] == [
        "5 databases",
        "3 covered",
        "1 uncovered",
        "1 excluded",
        "4 targets",
        "1 stale targets",
        "0 stuck submissions",
    ]
    assert [words(each) for each in one.all("li", "bad")] == ["1 uncovered", "1 stale targets"]


def test_every_finding_database_and_target_is_on_it() -> None:
    answer = sample.answer()
    one = page(answer)
    assert one.rows("findings") == [
        [each["code"], each["target"] or each["database"], each["message"], each["hint"]] for each in answer["findings"]
    ]
    databases = one.rows("databases")
    assert databases[0] == [
        "orders-main cluster",
        "aurora-postgresql",
        "orders by tag",
        "2026-03-31 02:09 job 2291 of orders",
        "2026-03-31 02:24 sp-orders-main-2291",
        "covered",
    ]
    assert databases[3] == ["web-sessions", "mysql", "none", "none", "none", "uncovered"]
    assert len(databases) == len(answer["databases"])
    targets = one.rows("targets")
    assert targets[2] == ["billing", "2026-03-31 01:55", "2026-03-28 01:12 job 2240", "26 h", "stale"]
    assert targets[3][3:] == ["not asked", "exempt"]
    assert len(targets) == len(answer["targets"])


def test_without_findings_it_says_so() -> None:
    one = page(sample.clean())
    assert words(one.all("p", "result")[0]) == "No findings"
    assert "good" in one.all("p", "result")[0].get("class")
    assert "nothing that needs attention" in words(one.section("findings"))


def test_an_empty_account_has_a_page() -> None:
    one = page(EMPTY)
    for name, text in (
        ("databases", "no database"),
        ("targets", "no target"),
        ("timeline", "neither a target nor a job"),
    ):
        assert text in words(one.section(name))
