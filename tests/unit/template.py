"""The template as CloudFormation would see it: read with its short tags, and resolved for given parameters.

Only what the template uses is known here. Resource attributes resolve to `Resource.Attribute`, references to `Resource`,
unless the parameters say what they are.
"""

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

import yaml

from local.tools import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Region": "eu-west-1",
    "AWS::Partition": "aws",
    "AWS::StackName": "backups",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/backups/1",
}
NOTHING = object()


class _Loader(yaml.CSafeLoader):
    """Reads `!Ref x` as `{"Ref": x}` and `!Sub x` as `{"Fn::Sub": x}`."""


def _tag(loader: _Loader, tag: str, node: Any) -> dict[str, Any]:
    kinds: dict[Any, Any] = {yaml.SequenceNode: loader.construct_sequence, yaml.MappingNode: loader.construct_mapping}
    read = kinds.get(type(node))
    value: Any = read(node, deep=True) if read else loader.construct_scalar(node)
    if tag == "GetAtt":
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tag)
EXAMPLES = ("examples/chat/template.yaml", "examples/events-out/template.yaml", "examples/fleet/roles.yaml")
TEMPLATE, MEMBER, CHAT, EVENTS_OUT, FLEET_ROLES = (
    yaml.load((ROOT / name).read_text(), Loader=_Loader)  # a CSafeLoader
    for name in ("template.yaml", "member.yaml", *EXAMPLES)
)


def rule_arn(name: str, bus: str = "default") -> str:
    """Return the ARN of an EventBridge rule, which names the bus unless that is the default one."""
    path = name if bus == "default" else f"{bus}/{name}"
    return f"arn:aws:events:{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}:rule/{path}"


@dataclass
class Resolved:
    """The template with parameters: `resources` and `outputs` hold only those whose condition is true."""

    parameters: dict[str, Any] = field(default_factory=dict)
    template: dict[str, Any] = field(default_factory=lambda: TEMPLATE)

    def __post_init__(self) -> None:
        """Take defaults for what is not given."""
        required = {name: f"some-{name}" for name in self.template["Parameters"]}
        defaults = {name: part["Default"] for name, part in self.template["Parameters"].items() if "Default" in part}
        self.parameters = PSEUDO | required | defaults | self.parameters
        self.parameters.setdefault("RdsEvents.Arn", rule_arn("rds-events"))
        self.parameters.setdefault("MembersEvents.Arn", rule_arn("members-events", "backups-members"))
        self.resources = self._existing(self.template["Resources"])
        self.outputs = self._existing(self.template["Outputs"])

    def _existing(self, parts: dict[str, Any]) -> dict[str, Any]:
        chosen = {name: part for name, part in parts.items() if self.holds(part.get("Condition"))}
        return {name: self.resolve(part) for name, part in chosen.items()}

    def holds(self, condition: str | None) -> bool:
        """Tell whether a named condition holds; no name always does."""
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))

    def resolve(self, part: Any) -> Any:
        """Resolve every intrinsic function in `part`."""
        match part:
            case {"Ref": "AWS::NoValue"}:
                return NOTHING
            case {"Ref": name}:
                return self.parameters.get(name, name)
            case {"Condition": str(name)} if len(part) == 1:
                return self.holds(name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self.parameters.get(f"{name}.{attribute}", f"{name}.{attribute}")
            case {"Fn::If": [condition, then, otherwise]}:
                return self.resolve(then if self.holds(condition) else otherwise)
            case {"Fn::Equals": [left, right]}:
                return str(self.resolve(left)) == str(self.resolve(right))
            case {"Fn::Not": [value]}:
                return not self.resolve(value)
            case {"Fn::And": values}:
                return all(map(self.resolve, values))
            case {"Fn::Or": values}:
                return any(map(self.resolve, values))
            case {"Fn::Contains": [values, value]}:
                return self.resolve(value) in self.resolve(values)
            case {"Fn::FindInMap": [name, *keys]}:
                found = self.template["Mappings"][name]
                for key in keys:
                    found = found[self.resolve(key)]
                return found
            case {"Fn::Split": [separator, text]}:
                return self.resolve(text).split(separator)
            case {"Fn::Select": [index, values]}:
                return self.resolve(values)[int(index)]
            case {"Fn::Join": [separator, values]}:
                return separator.join(self.resolve(values))
            case {"Fn::Sub": [text, names]}:
                return self._substitute(text, self.resolve(names))
            case {"Fn::Sub": text}:
                return self._substitute(text, {})
            case dict():
                resolved = {key: self.resolve(value) for key, value in part.items()}
                return {key: value for key, value in resolved.items() if value is not NOTHING}
            case list():
                return [value for value in map(self.resolve, part) if value is not NOTHING]
            case _:
                return part

    def _substitute(self, text: str, names: dict[str, Any]) -> str:
        known = self.parameters | names
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(known.get(found[1], found[1])), text)

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return the properties of all resources of a type, by logical id."""
        found = {name: part for name, part in self.resources.items() if part["Type"] == kind}
        return {name: part.get("Properties", {}) for name, part in found.items()}

    def variables_of(self, function: str) -> dict[str, str]:
        """Return a function's environment variables: those of both functions, and its own."""
        own = self.resources[function]["Properties"]["Environment"]["Variables"]
        shared = self.resolve(self.template["Globals"])["Function"]["Environment"]["Variables"]
        return {name: str(value) for name, value in {**shared, **own}.items()}

    def policies_of(self, function: str) -> dict[str, list[dict[str, Any]]]:
        """Return the statements that a function's role has, by the logical id of the role or the policy."""
        role = self.resources[function]["Properties"]["Role"].partition(".")[0]
        own = self.resources[role]["Properties"]
        attached = {name: self.resources[name]["Properties"]["PolicyDocument"] for name in own["ManagedPolicyArns"]}
        inline = [statement for policy in own["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
        return {role: inline, **{name: document["Statement"] for name, document in attached.items()}}
