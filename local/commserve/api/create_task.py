"""`POST /CreateTask`: the RDS Snap Backup form, checked field by field; an extra or missing field is refused.

Commvault itself may accept more. The simulator is strict so that sending an undocumented field does not go unnoticed.
The answer does not give the reason for a refusal; `CommServe.refusals` keeps it.
"""

from typing import Any

from local.commserve.answers import Answer, bare_string, error
from local.commserve.catalogue import Subclient
from local.commserve.jobs import LEVEL_NAMES
from local.commserve.recorded import Recorded
from local.commserve.state import State

INVALID_ASSOCIATION = 4
NO_ASSOCIATIONS = 587204050
NO_SUBCLIENTS = 587207178
ROOT = "TMMsg_CreateTaskResp"

ASSOCIATION = {"clientName", "instanceName", "displayName", "_type_", "appName", "subclientName"}


class NotTheForm(ValueError):
    """The body is not the RDS Snap Backup form."""


def create_task(state: State, request: Recorded) -> Answer:
    """Start one job for each association that can be backed up; `State.unknown` says what becomes of the others."""
    try:
        associations, task_type, level = read_form(request.json)
    except NotTheForm as problem:
        state.refusals.append(str(problem))
        return bare_string()
    if not associations:
        return error(NO_ASSOCIATIONS, "No associations were given.", 500)
    found = [(association, _find(state, association)) for association in associations]
    subclients = [subclient for _, subclient in found if subclient is not None]
    unusable = [association for association, subclient in found if subclient is None]
    if not subclients or (unusable and state.unknown != "skip"):
        return _refused(state, unusable)
    with state.lock:
        if refusal := already_running(state, subclients):
            return refusal
        task = state.jobs.next_task()
        if task_type == "SCHEDULE":
            return Answer(value={"taskId": task}, root=ROOT)
        jobs = [state.jobs.add(subclient, level) for subclient in subclients]
    return Answer(value={"taskId": task, "jobIds": [job.id for job in jobs]}, root=ROOT)


def already_running(state: State, subclients: list[Subclient]) -> Answer | None:
    """Return the refusal of a request for subclients of which one has a job that has not ended, if it is refused."""
    if state.jobs.busy == "run" or not any(state.jobs.running(subclient) for subclient in subclients):
        return None
    return error(2, "Another backup is already running for the subclient.", 409)


def read_form(body: Any) -> tuple[list[dict[str, str]], str, str]:
    """Return associations, task type and backup level of a body that is exactly the form."""
    info = _only(_only(body, "body", "taskInfo")["taskInfo"], "taskInfo", "associations", "task", "subTasks")
    task_type = _one_of(_only(info["task"], "task", "taskType")["taskType"], "taskType", "IMMEDIATE", "SCHEDULE")
    match info["subTasks"]:
        case [entry]:
            subtask = _only(entry, "subTasks[0]", "subTask", "options")
        case other:
            raise NotTheForm(f"subTasks: exactly one is allowed, got {other!r}")
    kind = _only(subtask["subTask"], "subTask", "subTaskType", "operationType")
    for name in kind:
        _one_of(kind[name], name, "BACKUP")
    options = _only(subtask["options"], "options", "backupOpts", "commonOpts")
    level = _only(options["backupOpts"], "backupOpts", "backupLevel")["backupLevel"]
    notify = _only(options["commonOpts"], "commonOpts", "notifyUserOnJobCompletion")["notifyUserOnJobCompletion"]
    if not isinstance(notify, bool):
        raise NotTheForm(f"notifyUserOnJobCompletion: expected a boolean, got {notify!r}")
    if not isinstance(info["associations"], list):
        raise NotTheForm("associations: expected a list")
    associations = [
        _association(association, f"associations[{at}]") for at, association in enumerate(info["associations"])
    ]
    return associations, task_type, _one_of(level, "backupLevel", *LEVEL_NAMES)


def _association(value: Any, where: str) -> dict[str, str]:
    association: dict[str, str] = _only(value, where, *ASSOCIATION)
    for name, text in association.items():
        if not isinstance(text, str) or not text:
            raise NotTheForm(f"{where}.{name}: expected a text, got {text!r}")
    _one_of(association["_type_"], f"{where}._type_", "SUBCLIENT_ENTITY")
    _one_of(association["appName"], f"{where}.appName", "Cloud Apps")
    return association


def _only(value: Any, where: str, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise NotTheForm(f"{where}: expected exactly {sorted(names)}, got {value!r}")
    return value


def _one_of(value: Any, where: str, *allowed: str) -> str:
    if value not in allowed:
        raise NotTheForm(f"{where}: expected one of {allowed}, got {value!r}")
    return str(value)


def _find(state: State, association: dict[str, str]) -> Subclient | None:
    return state.catalogue.eligible(
        association["clientName"], association["instanceName"], association["subclientName"]
    )


def _refused(state: State, unusable: list[dict[str, str]]) -> Answer:
    if state.unknown == "task":
        return Answer(value={"taskId": state.jobs.next_task()}, root=ROOT)
    nobody = [
        association["clientName"]
        for association in unusable
        if not state.catalogue.has_client(association["clientName"])
    ]
    if nobody:
        message = f"Failed to get any subclient for given association [{', '.join(nobody)}]."
        return error(INVALID_ASSOCIATION, message, 201)
    return error(NO_SUBCLIENTS, "Failed to start backups as no eligible subclients were found. ", 500)
