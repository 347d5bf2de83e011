"""Starts the emulator with what it lacks. `local.emulator` runs this file; nothing imports it.

Two facts about a call that policies of queues and topics ask for: it speaks plain HTTP, and takes every call for one by an
account. On AWS the functions' calls come by TLS, and a service's own are marked. Two kinds of resources, which deploy and are
not acted on: alarms on expressions, and saved queries. And storing a secret's version twice, which changes nothing on AWS,
metrics of an earlier time, the quotas of RDS, the resources that its lists are authorized for, databases and snapshots that were created earlier (at
the time in the tag `emulator:created`), all but the first page of schedules, the time zone
of a schedule in a template, and the indexes of a table that is restored to a point in time. And an update of a function, or a
sandbox that died, ends its idle sandboxes only: on AWS the runs that are under way go on.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import cloudwatch, dynamodb, lambda_svc, rds, scheduler, secretsmanager
from ministack.services.cloudformation import provisioners

_known = iam_evaluator._resolve_condition_key  # noqa: SLF001 (there is no other way in)
_resource = iam_actions.extract_resource_arn
_put_value = secretsmanager._put_secret_value  # noqa: SLF001 (no other way in)
_list_schedules = scheduler._list_schedules  # noqa: SLF001 (no other way in)
_release_worker = lambda_runtime.release_worker
_on_a_metric = provisioners._cw_metric_alarm_record  # noqa: SLF001 (no other way in)


# A tag of a database or a snapshot: when it was created, in ISO 8601.
CREATED = "emulator:created"
# Actions of RDS that create records, the records, the parameter with a record's name, and a record's times of creation.
CREATING: list[tuple[Any, ...]] = [
    ("CreateDBInstance", rds._instances, "DBInstanceIdentifier", "InstanceCreateTime"),  # noqa: SLF001
    ("CreateDBCluster", rds._clusters, "DBClusterIdentifier", "ClusterCreateTime"),  # noqa: SLF001
    (
        "CreateDBSnapshot",
        rds._snapshots,  # noqa: SLF001
        "DBSnapshotIdentifier",
        "SnapshotCreateTime",
        "OriginalSnapshotCreateTime",
    ),
    (
        "CreateDBClusterSnapshot",
        rds._db_cluster_snapshots,  # noqa: SLF001
        "DBClusterSnapshotIdentifier",
        "SnapshotCreateTime",
    ),
]


def resolve(key: str, context: Any) -> Any:
    """Return the value of a condition's key."""
    match key.lower():
        case "aws:securetransport":
            return "true"
        case "aws:principalisawsservice":
            return str(context.principal_type == "Service").lower()
        case _:
            return _known(key, context)


def alarm(name: str, properties: dict[str, Any]) -> Any:
    """Return the record of an alarm; one on an expression is kept as one on the first metric in it."""
    match properties:
        case {"Metrics": queries, **others}:
            stat = next(query["MetricStat"] for query in queries if "MetricStat" in query)
            return _on_a_metric(name, {**others, **stat["Metric"], "Statistic": stat["Stat"], "Period": stat["Period"]})
        case _:
            return _on_a_metric(name, properties)


def put_value(data: dict[str, Any]) -> Any:
    """Store a version of a secret; a version that exists with this value keeps its stages.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    _, secret = secretsmanager._resolve(data.get("SecretId"))  # noqa: SLF001 (no other way in)
    known = (secret or {}).get("Versions", {}).get(data.get("ClientRequestToken"))
    if known and known["SecretString"] == data.get("SecretString"):
        stages = known["Stages"]
        answer = _put_value(data)
        secret["Versions"] = {
            version: {**stored, "Stages": [stage for stage in stored["Stages"] if stage not in stages]}
            for version, stored in secret["Versions"].items()
        }
        secret["Versions"][data["ClientRequestToken"]]["Stages"] = stages
        return answer
    return _put_value(data)


def in_time_zone(act: Any) -> Any:
    """Return the handler of a schedule in CloudFormation that keeps its time zone, too."""

    def handle(*arguments: Any) -> Any:
        done = act(*arguments)
        properties = next(part for part in reversed(arguments) if isinstance(part, dict))
        schedule = scheduler._schedules[f"{properties.get('GroupName', 'default')}/{done[0]}"]  # noqa: SLF001 (no other way in)
        schedule["ScheduleExpressionTimezone"] = properties.get("ScheduleExpressionTimezone", "UTC")
        return done

    return handle


def create_query(logical_id: str, _properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    """Return the ID of a saved query; no log is searched here."""
    query_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{stack}/{logical_id}"))
    return query_id, {"QueryDefinitionId": query_id}


def resource(service: str, *request: Any) -> str:
    """Return the ARN of a request's resource; RDS's lists are authorized for all resources of their kind."""
    *_, parameters, region, account = request
    kinds = {
        "DescribeDBInstances": "db",
        "DescribeDBClusters": "cluster",
        "DescribeDBSnapshots": "snapshot",
        "DescribeDBClusterSnapshots": "cluster-snapshot",
    }
    kind = kinds.get(iam_actions._query_param(parameters, "Action") or "")  # noqa: SLF001 (no other way in)
    found = str(_resource(service, *request))
    return f"arn:aws:rds:{region}:{account}:{kind}:*" if (service, found) == ("rds", "*") and kind else found


def quotas(_parameters: dict[str, Any]) -> Any:
    """Return the quota of manual snapshots, of which a region has 100."""
    snapshots = rds._snapshots.values()  # noqa: SLF001 (no other way in)
    used = sum(snapshot["SnapshotType"] == "manual" for snapshot in snapshots)
    quota = f"<AccountQuotaName>ManualSnapshots</AccountQuotaName><Used>{used}</Used><Max>100</Max>"
    listed = f"<AccountQuotas><AccountQuota>{quota}</AccountQuota></AccountQuotas>"
    result = f"<DescribeAccountAttributesResult>{listed}</DescribeAccountAttributesResult>"
    return rds._xml(200, "DescribeAccountAttributesResponse", result)  # noqa: SLF001 (no other way in)


def dated(action: str, records: Any, name: str, *times: str) -> Callable[[Any], Any]:
    """Return an action of RDS that creates a record, at the time that its tag names."""
    create = rds._ACTION_MAP[action]  # noqa: SLF001 (no other way in)

    def create_dated(parameters: Any) -> Any:
        answer = create(parameters)
        tags = {tag["Key"]: tag["Value"] for tag in rds._parse_tags(parameters)}  # noqa: SLF001 (no other way in)
        record = records.get(rds._p(parameters, name))  # noqa: SLF001 (no other way in)
        if record and CREATED in tags:
            record.update(dict.fromkeys(times, tags[CREATED]))
        return answer

    return create_dated


def schedules(query: dict[str, str]) -> Any:
    """Return a page of schedules. A page has 100."""
    _, _, body = _list_schedules({**query, "MaxResults": "1000000"})
    listed, begin = json.loads(body)["Schedules"], int(query.get("NextToken", "0"))
    end = begin + 100
    more = {"NextToken": str(end)} if end < len(listed) else {}
    return scheduler._json_resp(200, {"Schedules": listed[begin:end], **more})  # noqa: SLF001 (no other way in)


def restore(data: dict[str, Any]) -> Any:
    """Restore a table to a point in time, which is now, with its indexes: from a backup, whose restoring has them."""
    backup = {"TableName": data["SourceTableName"], "BackupName": data["TargetTableName"]}
    _, _, body = dynamodb._create_backup(backup)  # noqa: SLF001 (no other way in)
    arn = json.loads(body)["BackupDetails"]["BackupArn"]
    return dynamodb._restore_table_from_backup({**data, "BackupArn": arn})  # noqa: SLF001 (no other way in)


def invalidate(
    function: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
) -> None:
    """Let no run begin in a function's present sandboxes, and end those that are idle."""
    wanted = (account, region, function, qualifier)
    with lambda_runtime._lock:  # noqa: SLF001 (no other way in)
        pools = lambda_runtime._workers  # noqa: SLF001 (no other way in)
        keys = [
            key
            for key in pools
            if all(value in {None, part} for value, part in zip(wanted, key.split(":"), strict=True))
        ]
        left = [worker for key in keys for worker in pools.pop(key)]
    lambda_runtime.kill_workers([worker for worker in left if not worker.in_use])


def release(worker: Any) -> None:
    """Give a sandbox back after its run, or end it if no run is to begin in it."""
    _release_worker(worker)
    with lambda_runtime._lock:  # noqa: SLF001 (no other way in)
        is_kept = any(worker in pool for pool in lambda_runtime._workers.values())  # noqa: SLF001 (no other way in)
    if worker is not None and not is_kept:
        lambda_runtime.kill_workers([worker])


cloudwatch._evict_old_metrics = lambda: None  # noqa: SLF001 (no other way in)
lambda_svc.invalidate_worker = invalidate
lambda_svc.release_worker = release
iam_evaluator._resolve_condition_key = resolve  # noqa: SLF001 (no other way in)
secretsmanager._put_secret_value = put_value  # noqa: SLF001 (no other way in)
provisioners._cw_metric_alarm_record = alarm  # noqa: SLF001 (no other way in)
iam_actions.extract_resource_arn = resource
dynamodb._restore_table_to_point_in_time = restore  # noqa: SLF001 (no other way in)
scheduler._list_schedules = schedules  # noqa: SLF001 (no other way in)
rds._ACTION_MAP |= {  # noqa: SLF001 (no other way in)
    "DescribeAccountAttributes": quotas,
    **{action: dated(action, *rest) for action, *rest in CREATING},
}
provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {  # noqa: SLF001 (no other way in)
    "create": create_query,
    "delete": lambda *_: None,
}
_schedule = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]  # noqa: SLF001 (no other way in)
_schedule |= {name: in_time_zone(_schedule[name]) for name in ("create", "update")}

if __name__ == "__main__":
    main()
