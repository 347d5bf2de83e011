"""The faults that both ways of starting a backup meet, and what is counted after them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import EndpointConnectionError

from local.commserve import CommServe

type Publishing = Literal["works", "fails", "dies"]


class Killed(BaseException):
    """The function's process is gone: nothing in the function can catch that."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a trigger: `name` at the server, `publishing` at the topic, each only at the first try."""

    label: str
    name: str = ""
    publishing: Publishing = "works"
    deliveries: int = 1
    is_outage: bool = False

    def arm(self, server: CommServe, path: str) -> None:
        """Let it happen to the next request of `path`, or, in an outage, to all requests until it is cleared."""
        if self.is_outage:
            server.fault(self.name, times=None, path="*")
        elif self.name:
            server.fault(self.name, path=path)


FAULTS = (
    Fault("connection reset before the job is made", "reset_before"),
    Fault("connection reset after the job is made", "reset_after"),
    Fault("502 after the job is made", "bad_gateway_after"),
    Fault("answer cut short", "truncated"),
    Fault("maintenance for longer than Lambda's retries last", "maintenance", is_outage=True),
    Fault("event delivered twice", deliveries=2),
    Fault("SNS fails, once", publishing="fails"),
    Fault("killed between answer and publish", publishing="dies"),
)


class Topic:
    """An SNS client whose first `publish` may fail or kill; all else is the real client's."""

    def __init__(self, client: Any, publishing: Publishing) -> None:
        self._client = client
        self._publishing = publishing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def publish(self, **message: Any) -> Any:
        """Publish, or not."""
        publishing, self._publishing = self._publishing, "works"
        match publishing:
            case "dies":
                raise Killed
            case "fails":
                raise EndpointConnectionError(endpoint_url="https://sns.us-east-1.amazonaws.com/")
            case "works":
                return self._client.publish(**message)


@dataclass(frozen=True)
class Tally:
    """The outcome of some triggers, each of another group."""

    triggers: int = 0
    jobs: int = 0
    doubled: int = 0
    lost: int = 0
    unpublished: int = 0

    @classmethod
    def count(cls, groups: Iterable[str], server: CommServe, messages: Iterable[Mapping[str, Any]]) -> "Tally":
        """Count the jobs in the server against the triggers, and the messages against the jobs."""
        published = {str(job_id) for message in messages for job_id in message.get("jobIds", [])}
        per_group = dict.fromkeys(groups, 0)
        for job in server.jobs.values():
            per_group[job.group] += 1
        return cls(
            triggers=len(per_group),
            jobs=len(server.jobs),
            doubled=sum(count > 1 for count in per_group.values()),
            lost=sum(count == 0 for count in per_group.values()),
            unpublished=len(server.jobs.keys() - published),
        )

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.triggers + other.triggers,
            self.jobs + other.jobs,
            self.doubled + other.doubled,
            self.lost + other.lost,
            self.unpublished + other.unpublished,
        )
