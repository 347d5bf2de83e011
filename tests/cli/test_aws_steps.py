"""The verification on AWS: its document has every step, and it acts on no stack or database that is in use."""

import pytest

from rds_snap_backup_cli.errors import CannotRun
from rds_snap_backup_cli.stack import DeployedStack, session_of
from tests.aws import standing
from tests.aws.steps import COUNTED, STEPS
from tests.aws.subject import Member, Subject
from tests.cli.wire import AwsWire
from tests.unit.documents import first_column
from tests.unit.template import TEMPLATE

MEMBER = "arn:aws:rds:eu-west-2:444455556666:db:verify-1"


@pytest.fixture
def stack(wire: AwsWire) -> DeployedStack:
    wire.no_stack(400, "ValidationError", "Stack with id prod-commserve does not exist")
    arn = "arn:aws:cloudformation:us-east-1:111122223333:stack/prod/1"
    return DeployedStack("prod", session_of("us-east-1", None), {"StackId": arn})


def given(stack: DeployedStack, url: str) -> DeployedStack:
    parameters = [{"ParameterKey": "CommvaultApiUrl", "ParameterValue": url}]
    return DeployedStack(stack.name, stack.session, {**stack.description, "Parameters": parameters})


def test_a_stack_that_could_start_a_backup_is_refused(stack: DeployedStack) -> None:
    assert Subject.of(given(stack, "https://192.0.2.1/commandcenter/api")).simulator == {}
    for url in ("https://commvault.example.com/commandcenter/api", "https://id.lambda-url.us-east-1.on.aws/api", ""):
        with pytest.raises(CannotRun, match="it is not made for this"):
            Subject.of(given(stack, url))


@pytest.mark.parametrize(
    "database",
    [
        MEMBER.replace("verify-1", "orders"),
        MEMBER.replace(":db:", ":cluster:"),
        "verify-1",
        "arn:aws:rds:us-east-1:111122223333:db:verify-1",
    ],
)
def test_no_database_in_use_is_restarted(stack: DeployedStack, database: str) -> None:
    assert Member.of(MEMBER, None, stack).name == "verify-1"
    with pytest.raises(CannotRun):
        Member.of(database, None, stack)


def test_the_outputs_are_the_templates() -> None:
    conditional = {name for name, output in TEMPLATE["Outputs"].items() if "Condition" in output}
    assert set(standing.OUTPUTS) >= set(TEMPLATE["Outputs"]) - conditional


def test_the_document_has_every_step() -> None:
    assert first_column("docs/verify-on-aws.md", "What it proves") == list(STEPS)
    assert first_column("docs/verify-on-aws.md", "Counting jobs") == list(COUNTED)
