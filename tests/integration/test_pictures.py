"""Fourteen days with faults of each kind, and the pictures of their pages in the documents."""

import hashlib
import logging

import pytest

from documents.fortnight import Pages, pages_of
from documents.pictures import IMAGES, hash_in
from local.emulator import Emulator


@pytest.fixture(scope="module")
def pages() -> Pages:
    """The pages, of an AWS that no other test uses."""
    logging.disable(logging.INFO)
    with Emulator() as aws:
        made = pages_of(aws)
    logging.disable(logging.NOTSET)
    return made


@pytest.mark.parametrize("name", ["report", "history"])
def test_a_picture_shows_what_the_product_prints(pages: Pages, name: str) -> None:
    page = hashlib.sha256(getattr(pages, name).encode()).hexdigest()
    assert hash_in((IMAGES / f"{name}.png").read_bytes()) == page, "Make the pictures again: make pictures"


def test_the_fortnight_had_every_kind_of_day(pages: Pages) -> None:
    assert pages.problems == [], "the chain holds"
    for verdict in ("uncovered", "stale", "ambiguous", "unreadable", "new", "protected", "excluded"):
        assert f'<path class="{verdict}"' in pages.history
    assert pages.message.startswith("BACKUP_STALE: Look at the group's last job")
