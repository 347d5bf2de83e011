"""Plays tests that chance decides, seed by seed. PROPERTY_EXAMPLES and PROPERTY_SEED choose others than the usual seeds."""

import os
from collections import Counter
from collections.abc import Callable

# Of fewer seeds than usual not everything has to happen.
ARE_FEW = int(os.environ.get("PROPERTY_EXAMPLES", "120")) < 120
FIRST = int(os.environ.get("PROPERTY_SEED", "0"))


def play_each(play: Callable[[int], Counter[str]], number: int, first: int = FIRST) -> Counter[str]:
    """Play a number of seeds; return what happened in all of them. An error says how to repeat its seed."""
    seen: Counter[str] = Counter()
    for seed in range(first, first + int(os.environ.get("PROPERTY_EXAMPLES", number))):
        try:
            seen += play(seed)
        except BaseException as broken:
            broken.add_note(f"PROPERTY_SEED={seed} PROPERTY_EXAMPLES=1")
            raise
    return seen
