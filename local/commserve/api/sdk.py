"""The undocumented endpoints that Commvault's own SDK calls, in the shapes that it reads."""

from collections.abc import Callable
from typing import Any

from local.commserve.answers import Answer, error
from local.commserve.api.create_task import already_running
from local.commserve.api.discovery import (
    CLOUD_APPS,
    client_entity,
    instance_properties,
    listing,
    number,
    subclient_entity,
)
from local.commserve.api.jobs import NO_SUCH_JOB, summary
from local.commserve.catalogue import Subclient
from local.commserve.job_book import USER
from local.commserve.jobs import LEVEL_NAMES
from local.commserve.recorded import Recorded
from local.commserve.state import State

AGENT = {"idaEntity": {"appName": "Cloud Apps", "applicationId": CLOUD_APPS}}


def hello(_state: State, _request: Recorded) -> Answer:
    """`GET /`: whether the service is up; does not need a token."""
    return Answer(value={"server": "Commvault WebServer"})


def who_am_i(_state: State, _request: Recorded) -> Answer:
    """`POST /WhoAmI`."""
    return Answer(value={"user": {"userName": USER, "userId": 3}}, root="CvEntities_ProcessingInstructionInfo")


def show_client(state: State, _request: Recorded, identifier: str) -> Answer:
    """`GET /Client/{id}`."""
    name = state.catalogue.client_name(int(identifier))
    return _one("clientProperties", _client_properties(name, int(identifier)) if name else None)


def list_agents(state: State, request: Recorded) -> Answer:
    """`GET /Agent?clientId=`."""
    client = number(request, "clientId")
    known = client is not None and state.catalogue.client_name(client) is not None
    return listing("agentProperties", [AGENT] if known else [], "App_GetAgentPropertiesResponse")


def show_instance(state: State, _request: Recorded, identifier: str) -> Answer:
    """`GET /Instance/{id}`."""
    found = next(
        (
            (names, instance_id)
            for names, instance_id in state.catalogue.instances.items()
            if instance_id == int(identifier)
        ),
        None,
    )
    if found is None:
        return _one("instanceProperties", None)
    return _one("instanceProperties", instance_properties(state, *found))


def list_backupsets(state: State, request: Recorded) -> Answer:
    """`GET /Backupset?clientId=&instanceId=`; each instance has one."""
    instance = number(request, "instanceId")
    found = {
        subclient.backupset_id: _backupset_properties(subclient)
        for subclient in state.catalogue.subclients(number(request, "clientId"))
        if instance in (None, subclient.instance_id)
    }
    return listing("backupsetProperties", list(found.values()), "App_GetBackupsetPropertiesResponse")


def show_backupset(state: State, _request: Recorded, identifier: str) -> Answer:
    """`GET /Backupset/{id}`."""
    found = next(
        (subclient for subclient in state.catalogue.subclients() if subclient.backupset_id == int(identifier)), None
    )
    return _one("backupsetProperties", _backupset_properties(found) if found else None)


def nothing(_state: State, _request: Recorded) -> Answer:
    """Return nothing of what the SDK also asks for: virtual machines, laptops, schedules."""
    return Answer(value={})


def back_up(state: State, request: Recorded, identifier: str) -> Answer:
    """`POST /Subclient/{id}/action/backup?backupLevel=`: how the SDK starts a backup."""
    subclient, level = state.catalogue.by_id(int(identifier)), request.query.get("backupLevel", "INCREMENTAL").upper()
    if subclient is None or level not in LEVEL_NAMES:
        return error(4, "Failed to get any subclient for given association", 201)
    with state.lock:
        if refusal := already_running(state, [subclient]):
            return refusal
        job = state.jobs.add(subclient, level, by="SDK")
        return Answer(value={"taskId": state.jobs.next_task(), "jobIds": [job.id]}, root="TMMsg_CreateTaskResp")


def job_details(state: State, request: Recorded) -> Answer:
    """`POST /JobDetails`."""
    identifier = request.json.get("jobId") if isinstance(request.json, dict) else None
    job = state.jobs.find(str(identifier))
    if job is None:
        return Answer(value={"error": {"errList": [{"errorCode": 1, "errLogMessage": NO_SUCH_JOB}]}})
    shown = summary(job)
    detail = {
        "generalInfo": {"subclient": shown["subclient"], "startTime": {"time": shown["jobStartTime"]}},
        "progressInfo": {"state": shown["status"], "reasonForJobDelay": shown["pendingReason"]},
    }
    return Answer(value={"job": {"jobDetail": detail}}, root="JobManager_JobDetailResponse")


def _one(name: str, properties: dict[str, Any] | None) -> Answer:
    return listing(name, [properties] if properties else [], "App_GetPropertiesResponse")


def _client_properties(name: str, identifier: int) -> dict[str, Any]:
    switched_on = [{"activityType": kind, "enableActivityType": True} for kind in (1, 2, 16)]
    system = {"Type": "Any", "SubType": "Cloud", "OsDisplayInfo": {"ProcessorType": "-", "OSName": "Cloud"}}
    return {
        "client": {
            "clientEntity": client_entity(name, identifier),
            "osInfo": system,
            "cvdPort": 0,
            "TimeZone": {"TimeZoneName": "Etc/UTC"},
            "versionInfo": {},
        },
        "clientProps": {
            "activityControl": dict.fromkeys(
                ("EnableDataRecovery", "EnableDataManagement", "EnableOnlineContentIndex"), True
            ),
            "clientActivityControl": {"activityControlOptions": switched_on},
            "EnableSnapBackups": True,
        },
    }


def _backupset_properties(subclient: Subclient) -> dict[str, Any]:
    entity = subclient_entity(subclient)
    return {
        "backupSetEntity": {key: value for key, value in entity.items() if not key.startswith("subclient")},
        "commonBackupSet": {"isDefaultBackupSet": True},
        "planEntity": {"planName": "rds-plan"},
    }


ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/", hello),
    ("POST", r"/WhoAmI", who_am_i),
    ("GET", r"/Client/(\d+)", show_client),
    ("GET", r"/Agent", list_agents),
    ("GET", r"/Instance/(\d+)", show_instance),
    ("GET", r"/Backupset", list_backupsets),
    ("GET", r"/Backupset/(\d+)", show_backupset),
    ("GET", r"/(?:Schedules|VSAClientAndClientGroupList)", nothing),
    ("POST", r"/Subclient/(\d+)/action/backup", back_up),
    ("POST", r"/JobDetails", job_details),
]
