"""The table of changes of phase."""

from typing import get_args

import pytest

from rds_snap_backup.core.outcomes import Rejected
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
