"""The preflight against the CommServe simulator and emulated AWS: each thing that can be wrong, and its hint."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup.audit.estate import members_of
from rds_snap_backup.audit.findings import QUOTA_HINT
from rds_snap_backup.audit.preflight import check, quota_check
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault import inventory
from rds_snap_backup.rds.databases import Databases, Quota
from tests.integration.audit_support import AuditScene, unreachable
from tests.integration.world import ASSOCIATION, World, only

ALL = ("configuration", "secret", "reach", "token", "renewal", "targets", "listeners", "alarm_listeners")


def listened(aws: Emulator, commserve: CommServe, **settings: str) -> World:
    """Return a world in which somebody gets the alarms."""
    topic = aws.client("sns").create_topic(Name="alarms-of-preflight")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:ops")
    return World(aws, commserve, **{"ALARM_TOPIC_ARN": topic, **settings})


@pytest.fixture
def world(aws: Emulator, commserve: CommServe) -> World:
    return listened(aws, commserve)


def preflight(world: World, services: Services | None = None, seconds_left: Callable[[], float] = lambda: 50) -> Any:
    """Check, from a sandbox where nothing is cached unless one is given; nothing may be submitted or written by it."""

    def traces() -> Any:
        writes = [request for request in world.commserve.requests if request.method != "GET"]
        return writes, world.items(""), world.waiting(), world.notifications(), world.dead_letters()

    before = traces()
    answer = asked(world, services or world.sandbox(), seconds_left)
    assert traces() == before
    assert all(row["detail"] and bool(row["hint"]) is not row["ok"] for row in answer["checks"])
    assert answer["ok"] is all(row["ok"] for row in answer["checks"])
    assert world.commserve.token not in json.dumps(answer)
    return answer


def asked(world: World, services: Services, seconds_left: Callable[[], float] = lambda: 50, *target: str) -> Any:
    databases, members = Databases(lambda: world.client("rds")), members_of(world.config, world.client)
    return check(services, databases, members, seconds_left, *target).page(1)


def rows(answer: Any, name: str, target: str | None = None) -> list[dict[str, Any]]:
    return [row for row in answer["checks"] if row["name"] == name and target in {None, row["target"]}]


def failed(answer: Any) -> dict[str, str]:
    return {row["name"]: f"{row['detail']} | {row['hint']}" for row in answer["checks"] if not row["ok"]}


def calls(commserve: CommServe) -> list[str]:
    return [request.path for request in commserve.requests]


def association(**names: Any) -> dict[str, Any]:
    return {**ASSOCIATION, **names}


def test_all_is_well(world: World, commserve: CommServe) -> None:
    answer = preflight(world)
    assert answer["ok"] is True
    assert [row["name"] for row in answer["checks"]] == [*ALL, "document", "association", "events", "quota"]
    assert [row["name"] for row in answer["checks"] if row["target"] == "default"] == ["document", "association"]
    assert calls(commserve) == ["/Client", "/Instance", "/Subclient"]


API = "https://127.0.0.1:{port}/commandcenter/api"


@pytest.mark.parametrize(
    ("url", "ca", "requests", "expected"),
    [
        (API.replace("https", "http"), None, 0, ("begins with https://",)),
        (API.replace("center", "centre"), None, 1, ("https://HOST/commandcenter/api",)),
        (API.replace("port", "plain"), None, 0, ("does not speak TLS", "Check the port")),
        (API.replace("{port}", "9"), None, 0, ("cannot be reached: Connection refused", "security groups")),
        (API, "", 0, ("not trusted", "deploy with CaCertificateParameter")),
    ],
)
def test_an_address_that_is_not_the_apis_or_not_trusted(
    aws: Emulator, commserve: CommServe, *, url: str, ca: str | None, requests: int, expected: tuple[str, ...]
) -> None:
    settings = {} if ca is None else {"CA_CERTIFICATE_PARAMETER": ca}
    with CommServe(tls=False) as plain:
        settings["COMMVAULT_API_URL"] = url.format(port=commserve.port, plain=plain.port)
        answer = preflight(listened(aws, commserve, **settings))
        assert plain.requests == []
    assert set(failed(answer)) - {"configuration"} == {"reach", "token", "association"}
    assert all(text in " ".join(failed(answer).values()) for text in expected)
    assert len(commserve.requests) == requests


UNREACHED, UNSEEN = {"reach", "token", "association"}, {"token", "association"}


@pytest.mark.parametrize(
    "row",
    [
        ("not_found", {}, UNREACHED, ("not as the API does (HTTP 404)", "https://HOST/commandcenter/api")),
        *(
            ("status", {"status": 200, "body": body}, UNREACHED, ("(HTTP 200)", "https://HOST/commandcenter/api"))
            for body in ("<html/>", "[]")
        ),
        ("redirect", {}, UNREACHED, ("(HTTP 302)", "never followed with the token")),
        ("maintenance", {}, UNREACHED, ("maintenance page", "web server")),
        ("status", {"status": 502, "body": "<html/>"}, UNREACHED, ("(HTTP 502)", "web server")),
        ("close", {}, UNREACHED, ("no answer", "security groups")),
        ("unauthorized", {}, UNSEEN, ("refused: Access denied (5)", "SetTokenCommand")),
        ("forbidden", {}, UNSEEN, ("HTTP_403", "right to see")),
        ("status", {"status": 200, "body": '{"clientProperties": []}'}, UNSEEN, ("sees 0 clients", "right to see")),
    ],
)
def test_an_answer_that_is_not_what_is_asked_for(
    world: World, commserve: CommServe, row: tuple[str, dict[str, Any], set[str], tuple[str, str]]
) -> None:
    fault, parameters, names, expected = row
    commserve.fault(fault, None, "*", **parameters)
    found = failed(preflight(world))
    assert found.keys() == names
    assert all(text in found["reach" if names is UNREACHED else "token"] for text in expected)
    assert len(commserve.requests) == 1


def test_a_secret_without_a_token(world: World, commserve: CommServe) -> None:
    commserve.state.keep_tokens = True
    services = world.sandbox()
    world.set_token("   ")
    found = failed(preflight(world, services))
    world.set_token(commserve.token)
    # The route to Commvault is checked nevertheless: both can be fixed at once.
    assert found.keys() == {"secret", "token", "renewal", "association"}
    assert all(text in found["secret"] for text in ("is empty", "SetTokenCommand"))
    assert [request.header("Authtoken") for request in commserve.requests] == [""]
    assert preflight(world, services)["ok"] is True


@pytest.mark.parametrize(
    ("names", "detail", "hint"),
    [
        ({"clientName": "aws-prd"}, "no client 'aws-prd'", "Did you mean 'aws-prod'? Correct clientName"),
        ({"instanceName": "RSD"}, "no instance 'RSD'", "Did you mean 'RDS'? Correct instanceName"),
        ({"subclientName": "nigthly"}, "no subclient 'nigthly'", "Did you mean 'nightly'? Correct subclientName"),
        # There is one of this name, of another instance.
        ({"subclientName": "archive"}, "no subclient 'archive' of instance 'RDS'", "Correct subclientName"),
    ],
)
def test_a_misspelt_name(world: World, names: dict[str, str], detail: str, hint: str) -> None:
    world.commserve.extend({"aws-prod": {"RDS-2": ("archive",)}})
    world.target("orders", associations=[association(subclientName="billing-db"), association(**names)])
    answer = preflight(world)
    good, bad = rows(answer, "association", "orders")
    assert good["ok"] is True
    assert detail in bad["detail"]
    assert bad["hint"].startswith(hint)
    assert f"/{world.name}/targets/orders" in bad["hint"]
    assert set(failed(answer)) == {"association"}


def test_documents_that_are_not_valid_and_are_corrected(world: World) -> None:
    services, long = world.sandbox(), "n" * 65
    world.target_text("broken", "{")
    world.target(long)
    answer = preflight(world, services)
    assert set(failed(answer)) == {"document"}
    (broken,), (unselectable,) = rows(answer, "document", "broken"), rows(answer, "document", long)
    assert "targets/broken is not valid: the document must be JSON" in broken["detail"]
    assert "no trigger can select it" in unselectable["detail"]
    assert rows(answer, "association", "default")[0]["ok"] is True
    for name in ("broken", long):
        world.aws.client("ssm").delete_parameter(Name=f"/{world.name}/targets/{name}")
    assert preflight(world, services)["ok"] is True


def test_events_that_start_nothing(aws: Emulator, commserve: CommServe, world: World) -> None:
    world.target("default", databases=[])
    found = failed(preflight(world))
    assert set(found) == {"events"}
    assert found["events"].startswith("EVENTS_START_NOTHING: no target has databases")
    assert "RdsEventIds=off" in found["events"]
    world.target("own", associations=[association(subclientName="billing-db", databases=["billing-db"])])
    assert preflight(world)["ok"] is True
    world.target("own", associations=[association(subclientName="billing-db", databases=["b"])], enabled=False)
    assert set(failed(preflight(world))) == {"events"}
    # Neither where they are off, nor without targets.
    off = listened(aws, commserve, RDS_EVENTS="false")
    off.target("default", databases=[])
    assert preflight(off)["ok"] is True
    aws.client("ssm").delete_parameter(Name=f"/{off.name}/targets/default")
    assert preflight(off)["ok"] is True


def test_a_target_that_does_not_exist(world: World) -> None:
    answer = asked(world, world.sandbox(), lambda: 50, "nobody")
    (row,) = [row for row in answer["checks"] if row["target"]]
    assert (row["name"], row["target"], row["ok"]) == ("document", "nobody", False)
    assert f"/{world.name}/targets/nobody" in row["detail"]


def test_one_client_that_cannot_be_read_keeps_no_other_from_being_checked(world: World, commserve: CommServe) -> None:
    commserve.fault("forbidden", 1, "/Instance")
    world.target("sandbox", associations=[association(clientName="aws-test", subclientName="sandbox-db")])
    answer = preflight(world)
    assert "right to see" in rows(answer, "association", "default")[0]["hint"]
    assert rows(answer, "association", "sandbox")[0]["ok"] is True


def test_more_clients_than_are_read(world: World, commserve: CommServe) -> None:
    """A list that is too long is not read: clients that are used are asked for by name."""
    commserve.fault("huge", 1, "/Client", size=5 * 1024 * 1024)
    document = {"clientProperties": [{"client": {"clientEntity": {"clientId": 5, "clientName": "aws-prod"}}}]}
    commserve.fault("status", 1, "/Client/byName*aws-prod*", status=200, body=json.dumps(document))
    world.target("other", associations=[association(clientName="aws prd")])
    answer = preflight(world)
    assert "longer than 4 MiB" in rows(answer, "token")[0]["detail"]
    assert rows(answer, "association", "default")[0]["ok"] is True
    assert "no client 'aws prd'" in rows(answer, "association", "other")[0]["detail"]
    by_name = ["/Client/byName(clientName='aws-prod')", "/Client/byName(clientName='aws prd')"]
    assert sorted(calls(commserve)) == sorted(["/Client", *by_name, "/Instance", "/Subclient"])


def test_the_numbers_of_databases_and_snapshots_are_shown(
    aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = AuditScene(aws, commserve, monkeypatch)

    def shown() -> list[str]:
        checks = scene.invoke({"check": True})
        return [only(found)["detail"] for found in (rows(checks, "association", "default"), rows(checks, "quota"))]

    group = "Commvault has aws-prod / RDS / orders-db, which selects orders-db."
    assert shown()[0] == f"{group} Now that is 1 database: one snapshot of each."
    scene.daily(0)
    assert shown()[0] == f"{group} At the last audit that was 1 database: one snapshot of each."
    assert "of 100 (ManualSnapshots)" in shown()[1]
    assert shown()[1].endswith("One backup of the targets makes 1 in all regions.")
    scene.cold_start(rds=unreachable("rds"))
    assert "How many" not in shown()[1], "the quota cannot be read, either"
    for quota, hint in ((Quota("ManualSnapshots", 100, 100), QUOTA_HINT), (Quota("ManualSnapshots", 99, 100), None)):
        assert quota_check("eu-west-1", [quota], 1).hint == hint


def test_a_ledger_that_cannot_be_read(world: World) -> None:
    assert preflight(world, world.sandbox(dynamodb=unreachable("dynamodb")))["ok"] is True


def test_a_rate_limit(world: World, commserve: CommServe) -> None:
    commserve.rate_limit(reads=1)
    answer = preflight(world)
    assert set(failed(answer)) == {"association"}
    assert "rate limit has ended" in failed(answer)["association"]
    assert calls(commserve) == ["/Client", "/Instance"]


@pytest.mark.parametrize("seconds", [0.5, 12])
def test_no_time_at_all(world: World, commserve: CommServe, seconds: float) -> None:
    answer = preflight(world, seconds_left=lambda: seconds)
    assert {"secret", "token", "targets"} <= set(failed(answer))
    assert all("ot checked. The function's time ran out. | Check again." in text for text in failed(answer).values())
    assert len(commserve.requests) == (1 if seconds > inventory.CALL_SECONDS else 0)


def test_time_that_runs_out_on_the_way(world: World, commserve: CommServe) -> None:
    world.target("sandbox", associations=[association(clientName="aws-test", subclientName="sandbox-db")])
    answer = preflight(world, seconds_left=lambda: 50 if len(commserve.requests) < 3 else 14)
    assert rows(answer, "association", "default")[0]["ok"] is True
    assert set(failed(answer)) == {"association"}
    assert "aws-test / RDS / sandbox-db: not checked. The function's time ran out." in failed(answer)["association"]
    assert calls(commserve) == ["/Client", "/Instance", "/Subclient"]
