"""Whatever befalls any one call of a submission's life, every trigger has one job for each of its groups, and its end is told.

Each scene is played once to find its effects, then once for each of them and each thing that can befall it.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.property.world import DATABASE, World, rds_event

type Scene = Callable[[World], None]


def a_schedule_for_three_groups(world: World) -> None:
    world.start("three")


def an_event_that_gathers(world: World) -> None:
    world.rds.statuses[DATABASE] = "available"
    world.call(rds_event(Tags={"rds-snap-backup:target": "three"}))


def two_triggers_for_one_group(world: World) -> None:
    world.start("one")
    world.start("one")


def a_job_that_fails_and_is_started_again(world: World) -> None:
    world.server.plan_jobs(ending="Failed")
    world.start("one")


def a_lost_answer(world: World) -> None:
    world.server.fault("reset_after")
    world.start("three")


def a_name_that_is_refused_and_corrected(world: World) -> None:
    world.server.refuse_subclient("aws-prod", "orders")
    world.start("one")
    world.server.refuse_subclient("aws-prod", "orders", is_refused=False)


def a_token_that_has_expired(world: World) -> None:
    world.secret.owner = world.pair
    world.kernel.now += 1800
    world.start("one")


def a_schedule_of_commvaults_own(world: World) -> None:
    world.start("plan")


SCENES: dict[Scene, dict[str, Any]] = {
    a_schedule_for_three_groups: {},
    an_event_that_gathers: {"gather_minutes": 5},
    two_triggers_for_one_group: {},
    a_job_that_fails_and_is_started_again: {"retry_failed_jobs": 1},
    a_lost_answer: {},
    a_name_that_is_refused_and_corrected: {},
    a_token_that_has_expired: {"has_pair": True},
    a_schedule_of_commvaults_own: {},
}
named = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)


def play(scene: Scene, *, cut: tuple[int, str] = (0, ""), is_twice: bool = False, hand_over: int = 0) -> World:
    """Play a scene to its end, redrive its dead letters with a copy of each, and check what is promised."""
    random.seed(1)  # For the product's jitter: the effects of a scene are the same each time.
    with World(reconcile_seconds=60, **{"job_seconds": 100.0} | SCENES[scene]).at_work() as world:
        world.kernel.cut, world.kernel.hand_over, world.is_twice = cut, hand_over, is_twice
        scene(world)
        world.drain()
        world.check()
        if not world.has_latest_pair or world.server.tokens.deleted:
            world.secret.value = world.pair()  # Its owner does what the alarm says.
        for letter in list(world.letters):
            world.redrive(letter, is_moved=False)
            world.redrive(letter)
        world.drain()
        world.check()
    return world


@named
def test_one_thing_goes_wrong(scene: Scene) -> None:
    plain = play(scene)
    assert plain.published("completed", "scheduled")
    for number, (kind, names) in enumerate(plain.kernel.made, start=1):
        for name in names:
            try:
                world = play(scene, cut=(number, name))
                assert world.records.keys() == plain.records.keys(), "a trigger was lost"
            except BaseException as broken:
                broken.add_note(f"play({scene.__name__}, cut=({number}, {name!r})), at {kind}")
                raise


@named
def test_all_is_delivered_twice_at_one_time(scene: Scene) -> None:
    plain = play(scene)
    for number in range(len(play(scene, is_twice=True).kernel.made)):
        try:
            world = play(scene, is_twice=True, hand_over=number + 1)
            assert len(world.server.jobs) == len(plain.server.jobs), "a job was started twice"
            assert world.records.keys() == plain.records.keys(), "a trigger was lost"
        except BaseException as broken:
            broken.add_note(f"play({scene.__name__}, is_twice=True, hand_over={number + 1})")
            raise
