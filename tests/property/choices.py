"""Chooses examples by a seed alone, for Hypothesis.

Its own choices also depend on the numbers in whatever modules of the project have been imported, so that which examples
it plays would depend on which tests ran before in the same process.
"""

import random
from typing import Any

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, PrimitiveProvider


def seeded(seed: int) -> str:
    """Return the name of a Hypothesis backend that makes the same even choices every time; shrinking is Hypothesis's."""

    class Seeded(PrimitiveProvider):
        def __init__(self, data: Any, /) -> None:
            super().__init__(data)
            self._random = random.Random(seed)

        def draw_boolean(self, p: float = 0.5) -> bool:
            return self._random.random() < p

        def draw_integer(self, min_value: int | None = None, max_value: int | None = None, **_hints: Any) -> int:
            assert min_value is not None
            assert max_value is not None
            return self._random.randint(min_value, max_value)

        def draw_float(self, **_bounds: Any) -> float:
            raise NotImplementedError

        def draw_string(self, *_alphabet: Any, **_sizes: Any) -> str:
            raise NotImplementedError

        def draw_bytes(self, *_sizes: Any, **_hints: Any) -> bytes:
            raise NotImplementedError

    name = f"seeded-{seed}"
    AVAILABLE_PROVIDERS[name] = Seeded
    return name
