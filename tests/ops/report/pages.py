"""Pages of the report as a browser reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinyhtml5.parser import HTMLParser

from ops.report.audit import Audit
from ops.report.history import End, History
from ops.report.page import Facts, html_of
from tests.ops.report import sample

FACTS = Facts("prod", "111122223333", "eu-central-1", "1.1.0", sample.NOW)
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a browser reads it."""

    text: str
    errors: list[Any]
    root: Any

    def all(self, tag: str, css_class: str = "") -> list[Any]:
        """Return the elements of a kind and class."""
        return [one for one in self.root.iter(tag) if not css_class or css_class in one.get("class", "").split()]

    def section(self, name: str) -> Any:
        """Return the section that is headed by the element with that ID."""
        (found,) = (one for one in self.all("section") if one.get("aria-labelledby") == name)
        return found

    def rows(self, section: str) -> list[list[str]]:
        """Return the texts of the cells of a section's table."""
        return [[words(cell) for cell in row] for row in self.section(section).find("table/tbody")]


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def page(
    answer: dict[str, Any] | None = None,
    items: Iterable[dict[str, Any]] = (),
    *,
    facts: Facts = FACTS,
    unreadable: int = 0,
) -> Page:
    ends = sorted((End.read(one) for one in items), key=lambda end: end.at)
    text = html_of(facts, Audit.read(answer or sample.answer()), History(tuple(ends), unreadable))
    parser = HTMLParser(namespace_html_elements=False)
    return Page(text, parser.errors, parser.parse(text))
