"""Searches texts for secrets, in whatever form they are given back."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

# A run of so many characters of a secret is a leak.
RUN = 12


def leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the runs of a secret that are in a text, in any form."""
    undone = [text, unquote(text), unquote(unquote(text))]
    undone += [re.sub(r"\\u00([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), form) for form in undone]
    undone += [form.replace("\\", "") for form in undone]
    runs = {secret[at : at + RUN] for secret in secrets for at in range(len(secret) - RUN + 1)}
    return sorted({run for run in runs for form in undone if run in form})
