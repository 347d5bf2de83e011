"""The schedules of the stack's group: a target of a schedule's name must have recent backups."""

from collections.abc import Callable, Iterator
from typing import Any


class Schedules:
    """The schedules in one group, in none where the group's name is empty. `client` makes the client when it is needed."""

    def __init__(self, group: str, client: Callable[[], Any]) -> None:
        self._group = group
        self._client = client

    def names(self) -> Iterator[str]:
        """Yield the schedules' names, page by page."""
        if not self._group:
            return
        for page in self._client().get_paginator("list_schedules").paginate(GroupName=self._group):
            for row in page["Schedules"]:
                yield row["Name"]
