"""Answers whose rows exceed what Lambda returns: page by page, all of one reading."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Lambda's answers have at most 6 MB.
MAX_ANSWER = 5_000_000
KEPT_SECONDS = 600.0


@dataclass(frozen=True)
class Reading:
    """An answer: its rows by their name, and the rest of it, which every page has. A page has `room` characters of rows."""

    rest: Mapping[str, Any]
    name: str
    rows: Sequence[dict[str, Any]]
    room: int = MAX_ANSWER

    def page(self, number: int) -> dict[str, Any]:
        """Return the answer with one page of rows, the first is 1, and `pages`, their number if there are several."""
        pages = self.pages
        shown = {**self.rest, self.name: pages[number - 1] if number <= len(pages) else []}
        return shown | ({"pages": len(pages)} if len(pages) > 1 else {})

    @property
    def pages(self) -> list[list[dict[str, Any]]]:
        """The rows in pages."""
        pages: list[list[dict[str, Any]]] = [[]]
        left = self.room
        for row in self.rows:
            size = len(json.dumps(row)) + len(", ")
            if size > left and pages[-1]:
                pages.append([])
                left = self.room
            pages[-1].append(row)
            left -= size
        return pages


@dataclass
class Readings:
    """The last reading of several pages, for ten minutes: its next pages are of it. `clock` gives Unix seconds."""

    clock: Callable[[], float]
    _kept: tuple[object, float, Reading] | None = field(default=None, init=False)

    def answer(self, question: object, page: int, read: Callable[[], Reading]) -> dict[str, Any]:
        """Return a page of the kept reading of a question; the first page, and one of none that is kept, is read again."""
        now = self.clock()
        if page > 1 and self._kept and self._kept[0] == question and now < self._kept[1] + KEPT_SECONDS:
            return self._kept[2].page(page)
        self._kept = None
        reading = read()
        answer = reading.page(page)
        if "pages" in answer:
            self._kept = question, now, reading
        return answer
