"""The mutations, read from the lists of this folder: each puts a wrong text in the place of a right one.

A list has rooms, `## FILE · TESTS`, and in each its mutations: a line `# NAME · TEST`, the lines of the right text after
`-`, and those of the wrong one after `+`, with their indentation. `TEST` must fail.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutation:
    """A wrong text in the place of a right one in the file `path`; `test` must fail."""

    name: str
    path: str
    right: str
    wrong: str
    test: str

    def applied_to(self, text: str) -> str:
        """Return the text with the mutation; raise ValueError unless what it replaces is there exactly once."""
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.path} has its text {text.count(self.right)} times, not once")
        return text.replace(self.right, self.wrong)


def _read(path: Path) -> Iterator[Mutation]:
    place = tests = ""
    for is_blank, block in groupby(path.read_text().splitlines(), lambda line: not line):
        if is_blank:
            continue
        head, *lines = block
        if head.startswith("## "):
            place, tests = head.removeprefix("## ").split(" · ")
        else:
            name, test = head.removeprefix("# ").split(" · ")
            right, wrong = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
            yield Mutation(name, place, right, wrong, f"{tests}::{test}")


MUTATIONS = tuple(mutation for path in sorted(Path(__file__).parent.glob("*.txt")) for mutation in _read(path))
