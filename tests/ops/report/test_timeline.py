"""The timeline on the page, and the list of what did not complete below it."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from ops.report.timeline import DAYS, MARKS
from tests.ops.report import sample
from tests.ops.report.pages import SVG, Page, page, words


def strips(one: Page) -> dict[str, Any]:
    """Return the drawing of each target."""
    return {words(strip.find("span")): strip.find(f"{SVG}svg") for strip in one.all("div", "strip")}


def marks(svg: Any) -> Iterator[tuple[str, str, float, float]]:
    """Yield the marks of a strip: shape, title and place."""
    for group in svg.iter(f"{SVG}g"):
        use = group.find(f"{SVG}use")
        assert group.get("class") == f"mark {use.get('href')[1:]}"
        yield use.get("href")[1:], group.find(f"{SVG}title").text, float(use.get("x").rstrip("%")), float(use.get("y"))


def test_each_target_has_a_strip_and_so_has_one_that_is_gone() -> None:
    one = page(items=[sample.item("gone", "completed", sample.NOW, "1")])
    assert list(strips(one)) == [each["name"] for each in sample.answer()["targets"]] + ["gone"]
    for name, svg in strips(one).items():
        assert svg.get("role") == "img"
        title, description = svg[0], svg[1]
        assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
        assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert title.text == f"Backups of {name} by day"
        assert description.text == (
            "Jobs: 1 completed. The last one that completed started on 2026-03-31."
            if name == "gone"
            else "No job ended."
        )


@pytest.mark.parametrize(("status", "shape"), MARKS.items())
def test_an_end_has_its_shape(status: str, shape: str) -> None:
    ((drawn, title, _, _),) = marks(strips(page(items=[sample.item("orders", status, sample.NOW, "7")]))["orders"])
    assert (drawn, title) == (shape, f"2026-03-31: {status.replace('_', ' ')}, job 7")


def test_an_end_that_is_not_known_yet_is_drawn_as_unclear() -> None:
    ((drawn, title, _, _),) = marks(strips(page(items=[sample.item("orders", "paused", sample.NOW, "7")]))["orders"])
    assert (drawn, title) == ("lost", "2026-03-31: paused, job 7")


def test_days_lie_side_by_side_and_ends_of_a_day_above_each_other() -> None:
    days = [sample.item("orders", "completed", sample.NOW - timedelta(days=day), str(day)) for day in range(DAYS)]
    worse = [
        sample.item("orders", status, sample.NOW, status) for status in ("lost", "failed", "completed_with_errors")
    ]
    drawn = list(marks(strips(page(items=[*worse, *days]))["orders"]))
    places = sorted({x for _, _, x, _ in drawn})
    assert len(places) == DAYS
    assert 0 < places[0] < places[-1] < 100
    assert len({round(after - before, 1) for before, after in pairwise(places)}) == 1
    today = [(shape, y) for shape, _, x, y in drawn if x == places[-1]]
    assert [shape for shape, _ in sorted(today, key=lambda one: one[1])] == ["completed", "errors", "failed", "lost"]
    assert len({y for _, y in today}) == 4
    assert {y for _, _, x, y in drawn if x != places[-1]} == {20.0}


def test_many_jobs_of_a_day_are_one_mark_that_names_some() -> None:
    jobs = [sample.item("orders", "completed", sample.NOW, str(number)) for number in range(80)]
    ((_, title, _, _),) = marks(strips(page(items=jobs))["orders"])
    assert title == "2026-03-31: completed, job 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 70 more"


def test_the_axis_names_days_of_the_window() -> None:
    (axis,) = page().all("div", "axis")
    assert [text.text for text in axis.iter(f"{SVG}text")] == ["03 Mar", "10 Mar", "17 Mar", "24 Mar", "31 Mar"]
    assert "from 2026-03-02 to 2026-03-31" in page().text


def test_what_did_not_complete_is_listed_newest_first() -> None:
    rows = page(items=sample.month()).rows("troubles")
    assert [row[0] for row in rows] == ["2292", "2276", "2262", "2203", "2132"]
    assert rows[0] == ["2292", "2026-03-31 02:00", "billing", "lost", "Job 2292 has not ended within 24 h."]
    assert rows[3][3:] == ["completed with errors", "One snapshot could not be tagged."]
    assert 'id="troubles"' not in page().text


def test_a_long_list_of_troubles_is_counted() -> None:
    items = [sample.item("orders", "failed", sample.NOW - timedelta(minutes=each), str(each)) for each in range(103)]
    one = page(items=items)
    assert [row[0] for row in one.rows("troubles")] == [str(each) for each in range(100)]
    assert words(one.section("troubles")).endswith("3 older ones are left out.")


def test_ends_that_could_not_be_read_are_counted() -> None:
    assert "2 recorded ends could not be read" in words(page(unreadable=2).section("timeline"))
    assert "could not be read" not in page().text
