"""How the product's work grows: with a target's associations, with the targets a trigger selects, with the ledger."""

import statistics
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import warm
from tests.benchmarks.packages import Package
from tests.benchmarks.place import Place
from tests.benchmarks.sandbox import Sandbox, replays

ASSOCIATIONS = (1, 10, 50, 100)
TARGETS = (1, 10, 100, 500)
ITEMS = (1, 100, 1_000, 10_000)
DATABASE = "arn:aws:rds:us-east-1:000000000000:db:orders-db"
FAN_OUTS = 3
IGNORED = {"source": "aws.rds", "detail-type": "RDS DB Snapshot Event", "detail": {}}


@dataclass(frozen=True, slots=True)
class Size:
    """One size: milliseconds of CPU and wall time of the product and of the floor, AWS calls and bytes sent."""

    size: int
    cpu: float
    floor_cpu: float
    wall: float
    floor_wall: float
    calls: int
    bytes: int


def associations(place: Place, packages: Mapping[str, Package], batches: int) -> list[Size]:
    """A warm backup of a target with more and more associations."""
    sizes = []
    for count in ASSOCIATIONS:
        name = f"with-{count}"
        place.target(name, count)
        ours, bare, calls = warm.measure(place, packages, batches, name)
        sizes.append(_size(count, ours, bare, calls))
    return sizes


def targets(place: Place, packages: Mapping[str, Package], *, rds: bool) -> list[Size]:
    """A trigger that selects more and more targets, whose list is not cached: by an RDS event, or by `*`."""
    sizes, have = [], 0
    path = f"fan-out-by-{'event' if rds else 'name'}"
    environment = place.environment | {"TARGETS_PATH": f"/{place.name}/{path}/"}
    for count in TARGETS:
        for number in range(have, count):
            place.target(f"many-{number:03}", under=path, databases=["orders-*"], coolDownMinutes=0)
        have = count
        ours, bare = warm.Pace(), warm.Pace()
        for _ in range(FAN_OUTS):
            # New sandboxes each time, since targets are cached for a minute; the first events make the connections.
            with Sandbox(packages["product"], place, environment) as product:
                recorded = _event(rds=rds)
                calls = product.record(recorded)
            with (
                Sandbox(packages["product"], place, environment) as product,
                Sandbox(packages["floor"], place) as floor,
            ):
                product.run([IGNORED])
                floor.run([{"calls": []}])
                ours.add(product.run([_event(rds=rds)]))
                bare.add(floor.run(replays(calls, recorded, 1)))
        sizes.append(_size(count, ours, bare, calls))
    place.aws.client("sqs").purge_queue(QueueUrl=place.submissions)
    return sizes


def ledger(place: Place, packages: Mapping[str, Package], batches: int) -> list[Size]:
    """A warm backup while the ledger holds more and more items."""
    sizes, have = [], 0
    for count in ITEMS:
        _fill(place, count - have)
        have = count
        ours, bare, calls = warm.measure(place, packages, batches)
        sizes.append(_size(count, ours, bare, calls))
    return sizes


def _size(size: int, ours: warm.Pace, bare: warm.Pace, calls: Sequence[Any]) -> Size:
    series = (ours.cpu, bare.cpu, ours.wall, bare.wall)
    cpu, floor_cpu, wall, floor_wall = (statistics.median(one) * 1000 for one in series)
    in_aws = [call for call in calls if call[0] != "http"]
    return Size(size, cpu, floor_cpu, wall, floor_wall, len(in_aws), sum(len(str(call[2])) for call in calls))


def _event(*, rds: bool) -> dict[str, Any]:
    if not rds:
        return {"target": "*", "requestId": str(uuid.uuid4())}
    detail = {
        "EventID": "RDS-EVENT-0043",
        "SourceArn": DATABASE,
        "SourceType": "DB_INSTANCE",
        "Date": str(uuid.uuid4()),
    }
    return {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "detail": detail}


def _fill(place: Place, count: int) -> None:
    """Put closed submissions and their jobs in the ledger, as backups leave them."""
    client = place.aws.client("dynamodb")
    for first in range(0, count, 25):
        items = [
            {
                "pk": {"S": f"submission#other#{uuid.uuid4()}"},
                "status": {"S": "submitted"},
                "notification": {"S": "x" * 600},
            }
            for _ in range(min(25, count - first))
        ]
        client.batch_write_item(RequestItems={place.name: [{"PutRequest": {"Item": item}} for item in items]})
