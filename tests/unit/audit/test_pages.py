"""Answers of several pages: all of one reading, which is kept for ten minutes."""

import json
from collections.abc import Callable
from itertools import count

from rds_snap_backup.audit.pages import Reading, Readings

ROWS = [{"row": number} for number in range(10)]
ROOM = 3 * (len(json.dumps(ROWS[0])) + 2)


def test_rows_are_given_page_by_page() -> None:
    reading = Reading({"ok": False}, "rows", ROWS, ROOM)
    pages = [reading.page(number) for number in range(1, 6)]
    assert [row for page in pages for row in page["rows"]] == ROWS
    assert [len(page["rows"]) for page in pages] == [3, 3, 3, 1, 0]
    assert {(page["ok"], page["pages"]) for page in pages} == {(False, 4)}
    assert Reading({}, "rows", [], ROOM).page(1) == {"rows": []}


def test_the_next_pages_are_of_the_kept_reading() -> None:
    now, number = [0.0], count(1)
    readings = Readings(lambda: now[0])

    def reading(rows: int = 10) -> Callable[[], Reading]:
        return lambda: Reading({"reading": next(number)}, "rows", ROWS[:rows], ROOM)

    assert [readings.answer("audit", page, reading())["reading"] for page in (1, 2, 3)] == [1, 1, 1]
    assert readings.answer("audit", 1, reading())["reading"] == 2, "the first page is read again"
    assert readings.answer("inventory", 2, reading())["reading"] == 3, "another question"
    now[0] += 600
    assert readings.answer("inventory", 2, reading())["reading"] == 4, "too old"
    readings.answer("check", 1, reading(1))
    assert readings.answer("check", 2, reading(1)) == {"reading": 6, "rows": []}, "one page is not kept"
