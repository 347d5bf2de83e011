"""A token pair between crashes, its owner, and runs at one time: no older pair is presented while a newer one is stored.

Chance decides: at every call of AWS or Commvault the run may be killed, the call may fail or its answer may be lost, and
meanwhile another sandbox may do a whole run or the owner may store a pair.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.outcomes import Submitted
from rds_snap_backup.targets import Association, BackupRequest
from tests.property.model.kernel import Kernel, Killed, Run
from tests.property.seeds import ARE_FEW, play_each
from tests.property.world import World

EXAMPLES, RUNS = 200, 25
RESERVE_SECONDS = 12.0
REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders", "aws-prod"),))


class Chance(Kernel):
    """A kernel in which chance decides what befalls an effect, and what another sandbox or the owner does meanwhile."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random, self.is_calm = Random(seed), False
        self.seen: Counter[str] = Counter()
        self.world = World(has_pair=True, kernel=self)
        # No submission is recorded here.
        self.world.wire.observe = lambda _run, _request: None
        self.world.server.clock_offset = self.random.choice((-60.0, 0.0, 60.0))
        self.idle = [self.world.services() for _ in range(3)]

    def fault(self, _kind: str, names: Sequence[str]) -> str:
        is_lucky = self.is_calm or self.current is None or self.random.random() >= 0.1
        return "" if is_lucky else self.random.choice(names)

    def begin_effect(self) -> None:
        super().begin_effect()
        self.now += self.random.choice((0, 0, 0.5))
        match None if self.is_calm or self.current is None else self.random.randrange(60):
            case 0:
                self.store()
            case 1 | 2 | 3 | 4:
                self.run()

    def store(self) -> None:
        """Issue a pair, and store it as the current value, as the owner does."""
        self.seen["owner"] += 1
        self.world.secret.value = self.world.pair()

    def run(self) -> bool:
        """Do a run of a sandbox that has none; return whether its request was accepted."""
        if not self.idle:
            return False
        services = self.idle.pop(self.random.randrange(len(self.idle)))
        outer, self.current = self.current, Run(started=self.now)
        is_accepted = False
        try:
            is_accepted = self._submit(services)
        except Killed:
            self.seen["killed"] += 1
            services = self.world.services()
        finally:
            self.idle.append(services)
            self.current = outer
        self.world.check_token()
        return is_accepted

    def _submit(self, services: Services) -> bool:
        deadline = self.now + self.seconds_left() - RESERVE_SECONDS
        services.commvault.prepare(deadline)
        return isinstance(services.commvault.create_task(REQUEST, deadline), Submitted)


def play(seed: int) -> Counter[str]:
    chance = Chance(seed)
    with chance.world.at_work() as world:
        for _ in range(RUNS):
            chance.run()
            chance.now += chance.random.choice((0, 1, 30, 120, 900, 1900))
        # What is stored is used once nothing goes wrong any more, and a pair of the owner's in any case.
        chance.is_calm = True
        chance.now += 700
        chance.seen["renewed"] += world.server.tokens.renewals
        if world.has_latest_pair and not world.server.tokens.deleted:
            chance.seen["known"] += 1
            assert any(chance.run() for _ in range(9)), "the latest pair is stored and not used"
        chance.store()
        chance.now += 3
        assert any(chance.run() for _ in range(9)), "the owner's pair is not used"
    return chance.seen


def test_no_older_pair_is_presented_while_a_newer_one_is_stored() -> None:
    seen = play_each(play, EXAMPLES)
    assert ARE_FEW or min(seen["renewed"], seen["owner"], seen["killed"]) > EXAMPLES, seen
    assert ARE_FEW or seen["known"] > EXAMPLES / 2, seen
