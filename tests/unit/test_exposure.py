"""What the template's resources let in, and what it does not make."""

import re

from tests.unit.template import TEMPLATE

LISTENERS = re.compile(r"AWS::(ApiGateway|AppSync|CloudFront|EC2|ElasticLoadBalancing|Lambda::Url|IoT)")
KEYS = re.compile(r"AWS::IAM::(User|Group|AccessKey)")


def test_nothing_listens_and_nobody_gets_a_key() -> None:
    resources = TEMPLATE["Resources"].values()
    kinds = {resource["Type"] for resource in resources}
    assert [kind for kind in kinds if LISTENERS.match(kind) or KEYS.match(kind)] == []
    functions = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Serverless::Function"]
    assert functions
    assert not [function for function in functions if "FunctionUrlConfig" in function]
    sources = {event["Type"] for function in functions for event in function.get("Events", {}).values()}
    assert sources <= {"SQS", "EventBridgeRule", "ScheduleV2"}
