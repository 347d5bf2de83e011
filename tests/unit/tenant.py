"""A CommServe in memory and a client of it, in a time that passes only with their calls."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from local.commserve.catalogue import Clients
from rds_snap_backup.commvault.client import Commvault
from tests.auth import FixedToken
from tests.property.model.kernel import START, Kernel
from tests.property.model.line import Wire, commserve
from tests.property.wire import in_charge

HOUR = 3600.0


class Tenant:
    """A CommServe whose jobs take ten hours, and a client of it."""

    def __init__(self, clients: Clients, now: float = START) -> None:
        self.kernel = Kernel(now=now)
        self.server = commserve(self.kernel, clients, 10 * HOUR)
        self.wire = Wire(self.kernel, self.server)
        self.commvault = Commvault("https://commvault.test", lambda: None, FixedToken(self.server.token))

    @contextmanager
    def at_work(self, page: int) -> Iterator[Self]:
        """Put it in charge of the product's modules, with lists of jobs in pages of this length."""
        with in_charge(self.wire, page=page):
            yield self

    @property
    def calls(self) -> Counter[str]:
        """The calls so far, by their paths without IDs and names: a list of jobs is `/Job`, one of them `/Job/`."""
        return Counter(re.sub(r"\d+$|\(.*", "", request.path) for request in self.server.requests)
