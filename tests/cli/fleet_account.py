"""An account that holds targets, schedules and the ledger of a stack, at the wire; it dies with a process that is killed."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rds_snap_backup_cli.fleet.stored import Mark, digest
from tests.cli.wire import Answer, AwsWire

PATH = "/rds-snap-backup/prod/targets/"
FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:prod-backup"
OUTPUTS = {
    "AuditFunctionName": "prod-audit",
    "BackupFunctionArn": FUNCTION,
    "DeadLetterQueueArn": "arn:aws:sqs:eu-central-1:111122223333:dead-letters",
    "LedgerTableName": "ledger",
    "ScheduleGroupName": "backups",
    "SchedulerRoleArn": "arn:aws:iam::111122223333:role/scheduler",
    "TargetsPath": PATH,
}
NIGHTLY = {"expression": "cron(0 3 * * ? *)", "timezone": "UTC"}
WRITES = ("PutParameter", "DeleteParameter", "CreateSchedule", "UpdateSchedule", "DeleteSchedule")
PAGES = {"GetParametersByPath": 10, "DescribeParameters": 50, "ListSchedules": 100}

type Asked = Mapping[str, Any]


def association(instance: str, **more: Any) -> dict[str, Any]:
    return {"clientName": "aws-prod", "instanceName": instance, "subclientName": "default", **more}


def document(*instances: str, **more: Any) -> dict[str, Any]:
    return {"associations": [association(instance) for instance in instances], **more}


def write_fleet(folder: Path, targets: Mapping[str, Any], name: str = "prod") -> str:
    """Write a fleet's files, a text as it is, and return the directory."""
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for old in (folder / "targets").iterdir():
        old.unlink()
    (folder / "fleet.yaml").write_text(f"name: {name}\n")
    for target, content in targets.items():
        text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)
        (folder / "targets" / f"{target}.json").write_text(text)
    return str(folder)


class Account:
    """`hook` is called before each write with its name and target. `kill_at` is the number of the last write."""

    def __init__(self, wire: AwsWire) -> None:
        self.wire = wire
        self.parameters: dict[str, dict[str, Any]] = {}
        self.versions: dict[tuple[str, int], dict[str, Any]] = {}
        self.schedules: dict[str, dict[str, Any]] = {}
        self.lease: Any = None
        self.writes: list[str] = []
        self.hook: Callable[[str, str], None] = lambda _operation, _target: None
        self.kill_at: tuple[int, bool] | None = None  # after how many writes, and whether the next one is still made
        self.is_dead = False
        self.inventory: Any = {"ok": True, "inventory": [], "unread": [], "counts": {}}
        wire.stack(**OUTPUTS)
        for name in (*WRITES, *PAGES, "GetParameter", "GetSchedule", "UpdateItem", "Invoke"):
            wire.answers[name] = self._answering(name)

    def _answering(self, operation: str) -> Callable[[Asked], Answer]:
        method = getattr(self, f"_{operation}")

        def answer(asked: Asked) -> Answer:
            if operation in WRITES and not self.is_dead:
                target = str(asked["Name"]).removeprefix(PATH)
                self.hook(operation, target)
                if self.kill_at and len(self.writes) == self.kill_at[0]:
                    self.is_dead = True
                    if not self.kill_at[1]:
                        return failure("AccessDeniedException")
                    method(asked)
                else:
                    self.writes.append(f"{operation} {target}")
            if self.is_dead:
                return failure("AccessDeniedException")
            found = method(asked)
            return found if isinstance(found, tuple) else (200, json.dumps(found))

        return answer

    def revive(self) -> None:
        """A later process: the lease of the dead one has ended."""
        self.is_dead, self.kill_at, self.lease = False, None, None
        self.writes.clear()

    # ---- What a test puts there

    def put(self, name: str, content: Mapping[str, Any] | str, fleet: str | None = "prod", **more: Any) -> None:
        """Store a document as `apply` does, or by hand if there is no fleet."""
        marked = content if fleet is None or isinstance(content, str) else {**content, "fleet": fleet}
        text = marked if isinstance(marked, str) else json.dumps(marked)
        description = str(Mark(fleet, digest(marked))) if fleet else ""
        row = {"Value": text, "Version": 1, "Description": description, "Tier": "Standard"}
        self.parameters[PATH + name] = row | more

    def edit(self, name: str, **fields: Any) -> None:
        """Edit a document by hand."""
        row = self.parameters[PATH + name]
        row |= {"Value": json.dumps(json.loads(row["Value"]) | fields), "Version": row["Version"] + 1}
        self.versions[PATH + name, row["Version"]] = row

    def schedule(self, target: str, fleet: str | None = "prod", arn: str = FUNCTION, **when: str) -> None:
        """Make a target's schedule as `apply` does, or by hand if there is no fleet."""
        content = NIGHTLY | when
        self._CreateSchedule(
            {
                "Name": f"prod-{target}",
                "ScheduleExpression": content["expression"],
                "ScheduleExpressionTimezone": content["timezone"],
                "Description": str(Mark(fleet, digest(content))) if fleet else "",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": arn, "RoleArn": "role", "Input": json.dumps({"target": target})},
            }
        )

    @property
    def is_leased(self) -> bool:
        """Whether an apply holds the lease."""
        return float(self.lease["lease"]["N"]) >= time.time()

    @property
    def content(self) -> dict[str, Any]:
        """What is stored: documents with their marks, and when each schedule is due."""
        documents = {
            name.removeprefix(PATH): (json.loads(row["Value"]), row["Description"])
            for name, row in self.parameters.items()
        }
        fields = ("ScheduleExpression", "ScheduleExpressionTimezone", "Description")
        schedules = {name: tuple(row.get(field) for field in fields) for name, row in self.schedules.items()}
        return documents | schedules

    @property
    def dangling(self) -> set[str]:
        """The targets that schedules name and that do not exist."""
        named = {json.loads(row["Target"]["Input"])["target"] for row in self.schedules.values()}
        return named - {name.removeprefix(PATH) for name in self.parameters}

    # ---- SSM

    def _GetParametersByPath(self, asked: Asked) -> Any:  # noqa: N802
        rows = [{"Name": name, **row} for name, row in sorted(self.parameters.items())]
        return page("GetParametersByPath", "Parameters", rows, asked)

    def _DescribeParameters(self, asked: Asked) -> Any:  # noqa: N802
        assert asked["ParameterFilters"] == [{"Key": "Path", "Option": "OneLevel", "Values": [PATH.rstrip("/")]}]
        rows = [{"Name": name, **row, "LastModifiedUser": "jane"} for name, row in sorted(self.parameters.items())]
        return page("DescribeParameters", "Parameters", rows, asked)

    def _GetParameter(self, asked: Asked) -> Any:  # noqa: N802
        name, _, version = asked["Name"].partition(":")
        row = self.versions[name, int(version)] if version else self.parameters.get(name)
        return {"Parameter": row} if row else failure("ParameterNotFound")

    def _PutParameter(self, asked: Asked) -> Any:  # noqa: N802
        old = self.parameters.get(asked["Name"])
        if old and not asked["Overwrite"]:
            return failure("ParameterAlreadyExists")
        row = {field: asked[field] for field in ("Value", "Description", "Tier")}
        self.parameters[asked["Name"]] = row | {"Version": old["Version"] + 1 if old else 1}
        version = self.parameters[asked["Name"]]["Version"]
        self.versions[asked["Name"], version] = self.parameters[asked["Name"]]
        return {"Version": version}

    def _DeleteParameter(self, asked: Asked) -> Any:  # noqa: N802
        return {} if self.parameters.pop(asked["Name"], None) else failure("ParameterNotFound")

    # ---- Scheduler

    def _ListSchedules(self, asked: Asked) -> Any:  # noqa: N802
        assert asked["ScheduleGroup"] == "backups"
        return page("ListSchedules", "Schedules", [{"Name": name} for name in sorted(self.schedules)], asked)

    def _GetSchedule(self, asked: Asked) -> Any:  # noqa: N802
        return self.schedules.get(asked["Name"]) or failure("ResourceNotFoundException", 404)

    def _CreateSchedule(self, asked: Asked) -> Any:  # noqa: N802
        if asked["Name"] in self.schedules:
            return failure("ConflictException", 409)
        return self._UpdateSchedule(asked)

    def _UpdateSchedule(self, asked: Asked) -> Any:  # noqa: N802
        kept = {name: value for name, value in asked.items() if name not in {"ClientToken", "groupName"}}
        changes = self.schedules.get(asked["Name"], {}).get("LastModificationDate", 0)
        self.schedules[asked["Name"]] = {"State": "ENABLED"} | kept | {"LastModificationDate": changes + 1}
        return {"ScheduleArn": "arn"}

    def _DeleteSchedule(self, asked: Asked) -> Any:  # noqa: N802
        return {} if self.schedules.pop(asked["Name"], None) else failure("ResourceNotFoundException", 404)

    # ---- The ledger's lease

    def _UpdateItem(self, asked: Asked) -> Any:  # noqa: N802
        assert asked["Key"] == {"pk": {"S": "fleet#prod"}}
        values = asked["ExpressionAttributeValues"]
        held, owner = self.lease, values[":owner"]
        if asked["ConditionExpression"] == "#owner = :owner":
            is_met = held is not None and held["owner"] == owner
        else:
            assert asked["ConditionExpression"] == "attribute_not_exists(#lease) OR #lease < :now"
            is_met = held is None or float(held["lease"]["N"]) < float(values[":now"]["N"])
        if not is_met:
            body = {"__type": "ConditionalCheckFailedException", "message": ""} | ({"Item": held} if held else {})
            return 400, json.dumps(body), {}
        self.lease = {"owner": owner, "lease": values[":lease"], "expiresAt": values[":expiresAt"]}
        return {}

    # ---- The Audit function

    def _Invoke(self, asked: Asked) -> Any:  # noqa: N802
        assert asked["inventory"] is True
        return self.inventory


def page(operation: str, name: str, rows: list[Any], asked: Asked) -> dict[str, Any]:
    begin, size = int(asked.get("NextToken", 0)), PAGES[operation]
    more = {"NextToken": str(begin + size)} if begin + size < len(rows) else {}
    return {name: rows[begin : begin + size], **more}


def failure(code: str, status: int = 400) -> Answer:
    return status, json.dumps({"__type": code, "message": f"This is {code}."}), {"X-Amzn-ErrorType": code}
