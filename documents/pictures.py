"""`make pictures`: the pages of an audit and of a history in the documents, from fourteen days of a stack on this machine.

Chromium draws them. Each picture holds the SHA-256 of its page, by which a test finds that it is out of date.
"""

import hashlib
import logging
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from tests.support import ENVIRONMENT

os.environ.update(ENVIRONMENT)

from documents.fortnight import pages_of
from local.emulator import Emulator
from local.tools import ROOT

IMAGES = ROOT / "docs" / "images"
WIDTH = 1200
HEIGHTS = {"report": 1500, "history": 1080}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KEYWORD = b"page-sha256"


def main() -> int:
    """Make both pictures."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"No browser was found: install one of {', '.join(BROWSERS)}.", file=sys.stderr)
        return 1
    logging.disable(logging.CRITICAL)
    with Emulator() as aws:
        pages = pages_of(aws)
    for name, page in (("report", pages.report), ("history", pages.history)):
        draw(browser, page, IMAGES / f"{name}.png", HEIGHTS[name])
    return 0


def draw(browser: str, page: str, picture: Path, height: int) -> None:
    """Draw the top of a page, and write the page's hash into the picture."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.html"
        source.write_text(page)
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/user",
        ]
        size = [f"--window-size={WIDTH},{height}", f"--screenshot={picture}"]
        subprocess.run([browser, *flags, *size, source.as_uri()], check=True, capture_output=True, timeout=120)
    picture.write_bytes(with_hash(picture.read_bytes(), page))


def with_hash(png: bytes, page: str) -> bytes:
    """Return a PNG with the hash of its page as a text. https://www.w3.org/TR/png/#11tEXt"""
    chunk = b"tEXt" + KEYWORD + b"\0" + hashlib.sha256(page.encode()).hexdigest().encode()
    end = png.rindex(b"IEND") - 4
    return png[:end] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[end:]


def hash_in(png: bytes) -> str:
    """Return the hash of the page that a picture shows."""
    begin = png.index(KEYWORD) + len(KEYWORD) + 1
    return png[begin : begin + 64].decode()


if __name__ == "__main__":
    sys.exit(main())
