"""The table of changes of phase, and the code that decides by a phase."""

import ast
from typing import get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.core.outcomes import Outcome, Rejected
from rds_snap_backup.core.phases import CHANGES, OPEN, REOPENABLE, End, Out, Phase, Waiting, name_of
from tests.unit.core.world import BEGIN, WHY, World, X

OPEN_PHASES = {kind.__name__ for kind in get_args(Phase.__value__)} - {"Ended"}
ENDS = set(get_args(End.__value__))


def test_every_phase_and_end_is_reached_and_left_as_the_table_says() -> None:
    reached = {after for followers in CHANGES.values() for after in followers}
    assert reached == OPEN_PHASES | ENDS
    assert set(CHANGES) == OPEN_PHASES | REOPENABLE
    assert OPEN.isdisjoint(ENDS)


def test_a_change_that_is_not_in_the_table_is_refused(world: World) -> None:
    rejected = world.begin("A", X).run("A", Rejected(WHY)).backup("A")
    assert name_of(rejected.moved_to(Waiting(BEGIN), BEGIN).phase) == "Waiting"
    with pytest.raises(ValueError, match="rejected does not become Out"):
        rejected.moved_to(Out(1), BEGIN)


def test_mypy_names_each_match_that_lacks_a_phase_or_an_outcome() -> None:
    """A wildcard would hide what is new, so each such match ends in `assert_never`."""
    # `Unauthorized` also stands for an answer that a token never got.
    kinds = OPEN_PHASES | {"Ended"} | {kind.__name__ for kind in get_args(Outcome.__value__)} - {"Unauthorized"}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Match)):
            parts = [part for case in node.cases for part in ast.walk(case.pattern)]
            if kinds & {ast.unparse(part.cls) for part in parts if isinstance(part, ast.MatchClass)}:
                assert "assert_never" in ast.unparse(node.cases[-1]), f"{path}:{node.lineno} must end in assert_never"
