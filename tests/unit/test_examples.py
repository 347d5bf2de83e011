"""The examples and costs: key policies, endpoints, sizes and deployments are what template, code and prices say."""

import ast
import re

from benchmarks import standing
from benchmarks.prices import PRICES
from local.package import CODE
from rds_snap_backup.messaging.notifications import JOB_ENDS, PROBLEMS
from tests.iam import decide
from tests.unit.documents import read, rows, samples, section
from tests.unit.template import CHAT, EVENTS_OUT, PSEUDO, TEMPLATE, Resolved

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


def test_the_example_of_a_key_policy_admits_who_uses_the_key() -> None:
    stack, *_ = samples("docs/operations.md", "Key policies")
    services = [statement for statement in stack["Statement"] if "Service" in statement["Principal"]]

    def use(action: str, service: str, account: str) -> str:
        return decide(services, f"kms:{action}", KEY, {"aws:SourceAccount": account}, service)

    named = set(re.findall(r"[a-z]+\.amazonaws\.com", TEMPLATE["Parameters"]["KmsKeyArn"]["Description"]))
    assert named == {"cloudwatch.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"}
    for service in named:
        for action in ("Decrypt", "GenerateDataKey"):
            assert use(action, service, ACCOUNT) == "Allow"
        # The calls of EventBridge and SNS bear no source; those of alarms do.
        assert (use("Decrypt", service, "9") == "Nothing") is service.startswith("cloudwatch")
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:rds-snap-backup-BackupLogs-0A1B2C"
    for action in ("Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKey", "DescribeKey"):
        context = {"kms:EncryptionContext:aws:logs:arn": group}
        assert decide(services, f"kms:{action}", KEY, context, f"logs.{REGION}.amazonaws.com") == "Allow"


def test_the_endpoints_of_a_closed_vpc_are_the_services_that_the_code_calls() -> None:
    called = set(re.findall(r'^    "([a-z0-9]+)": \{', read("src/trim.py"), re.MULTILINE))
    text = section("docs/operations.md", "A closed VPC")
    endpoints = set(re.findall(r"`com\.amazonaws\.REGION\.([a-z0-9]+)`", text))
    assert {"cloudwatch" if name == "monitoring" else name for name in endpoints} == called


# ---- Costs of a stack that stands by

COSTS = "docs/reference.md", "Costs"


def number(cell: str) -> float:
    """Return the number in a cell, in dollars where it is an amount."""
    found = re.search(r"[\d,]+(\.\d+)?", cell)
    assert found, cell
    return float(found[0].replace(",", "")) / (1_000_000 if "a million" in cell else 1)


def test_each_row_is_counted_from_the_template_and_the_last_is_their_sum() -> None:
    *counted, total = rows(*COSTS)
    for item, row in zip(standing.items(), counted, strict=True):
        assert abs(number(row[1]) - item.count) <= (0.005 if item.count < 1 else 0.5), row
        assert abs(number(row[2]) - item.price) <= item.price / 1e6, row
        assert row[3] == f"${item.month:.2f}"
    assert total[3] == f"**${standing.month():.2f}**"
    text, without = section(*COSTS).replace("\n", " "), standing.month(CreateDashboard="false")
    assert f"{standing.month() - without:.2f}" == "3.00"
    assert f"without the dashboard ${without:.2f}" in text
    price = PRICES["Systems Manager advanced parameter-month"]
    assert f"such as one of 25 associations with long names, is ${price:.2f} a month" in text


# ---- Terraform and CDK


def test_the_examples_pass_the_required_parameters_and_read_outputs_of_the_stack() -> None:
    (cdk,) = re.findall(r"```python\n(.*?)```", section("docs/infrastructure-as-code.md", "CDK"), re.DOTALL)
    keywords = [node for node in ast.walk(ast.parse(cdk)) if isinstance(node, ast.keyword)]
    (given,) = [keyword.value for keyword in keywords if keyword.arg == "parameters"]
    parameters = TEMPLATE["Parameters"] | CODE
    required = {name for name, parameter in parameters.items() if "Default" not in parameter}
    terraform = "".join(read(f"examples/terraform/{name}.tf") for name in ("main", "fleet", "outputs"))
    (block,) = re.findall(r"parameters = merge\(var\.parameters, \{\n(.*?)\}\)", terraform, re.DOTALL)
    for passed in (re.findall(r"'(\w+)':", ast.unparse(given)), re.findall(r"^ +(\w+) +=", block, re.MULTILINE)):
        assert required <= {*passed} <= parameters.keys()
    for outputs in (re.findall(r'get_output\("(\w+)"\)', cdk), re.findall(r'outputs\["(\w+)"\]', terraform)):
        assert {*outputs} <= TEMPLATE["Outputs"].keys()
        assert outputs
    path = TEMPLATE["Outputs"]["TargetsPath"]["Value"]["Fn::Sub"].replace("AWS::StackName", "var.stack_name")
    assert f'"{path}${{each.key}}"' in terraform


# ---- Events out, and chat


def test_the_shown_event_is_that_of_the_pipe_and_of_the_pattern() -> None:
    event, pattern = samples("examples/events-out/README.md")
    assert all(event[name] in pattern[name] for name in ("source", "detail-type"))
    pipe = Resolved({"EventBusName": "bus"}, EVENTS_OUT).resources["Pipe"]["Properties"]["TargetParameters"]
    put = {"Source": event["source"], "DetailType": event["detail-type"]}
    assert put.items() <= pipe["EventBridgeEventBusParameters"].items()
    assert pipe["InputTemplate"] == "<$.body>"


def test_chat_shows_every_status_of_a_problem_once() -> None:
    rules = Resolved({}, CHAT).of_type("AWS::Events::Rule")
    shown = {name: set(rule["EventPattern"]["detail"]["status"]) for name, rule in rules.items()}
    assert shown == {"JobProblems": PROBLEMS & JOB_ENDS, "Others": PROBLEMS - JOB_ENDS | {"audit"}}
