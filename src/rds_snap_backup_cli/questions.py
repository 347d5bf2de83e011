"""What a first deployment is asked: the parameters that the template calls essential, by the template's own rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml
from rich.prompt import InvalidResponse, PromptBase
from rich.text import Text

from rds_snap_backup_cli.expressions import expression_problem, timezone_problem
from rds_snap_backup_cli.output import Output

ESSENTIAL = "Essential"
# Of the default target: the name without which there is none, those that it requires, and what matters only with it.
CLIENT = "ClientName"
REQUIRED_WITH_CLIENT = ("InstanceName", "SubclientName")
USED_WITH_CLIENT = (*REQUIRED_WITH_CLIENT, "Databases", "ScheduleExpression")
EMAIL = "NotificationEmail"
USED_WITH_EMAIL = "NotificationLevel"
EXPRESSIONS = ("ScheduleExpression", "AuditScheduleExpression")
TIMEZONE = "ScheduleTimezone"
OFF = frozenset({"", "off"})


@dataclass(frozen=True)
class Question:
    """A question; its answer matches `pattern`. Without a `default` it must be answered."""

    name: str
    about: str
    pattern: str
    rule: str
    default: str | None

    @classmethod
    def of(cls, name: str, parameter: Mapping[str, Any]) -> Self:
        """Return the question for a parameter of the template."""
        allowed = "|".join(re.escape(str(value)) for value in parameter.get("AllowedValues", ()))
        pattern = parameter.get("AllowedPattern") or allowed or ".*"
        default = str(parameter["Default"]) if "Default" in parameter else None
        return cls(name, parameter["Description"], pattern, parameter["ConstraintDescription"], default)

    def required(self) -> Self:
        """Return the question without a default; its answer must not be empty."""
        return replace(self, pattern=f"(?=.){self.pattern}", rule=f"must not be empty, and {self.rule}", default=None)

    def problem(self, answer: str) -> str | None:
        """Return why the answer is not valid, None if it is."""
        if not re.fullmatch(self.pattern, answer):
            return f"{self.name} {self.rule}"
        return value_problem(self.name, answer)


def value_problem(name: str, value: str) -> str | None:
    """Return why EventBridge would refuse the value of a schedule's parameter, None if it would not."""
    if name in EXPRESSIONS and value not in OFF:
        return expression_problem(value)
    return timezone_problem(value) if name == TIMEZONE else None


class Prompt(PromptBase[str]):
    """Asks until the answer is valid."""

    response_type = str
    question: Question

    def process_response(self, value: str) -> str:
        """Return a valid answer."""
        if problem := self.question.problem(value.strip()):
            raise InvalidResponse(Text(f"  {problem}", "red"))
        return value.strip()


class Loader(yaml.SafeLoader):
    """Reads the template without the meaning of CloudFormation's short tags."""


Loader.add_multi_constructor("!", lambda *_: None)


def questions_of(template: Path) -> list[Question]:
    """Return a question for each parameter that the template calls essential."""
    document = Loader(template.read_text()).get_single_data()
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    (names,) = (group["Parameters"] for group in groups if group["Label"]["default"] == ESSENTIAL)
    return [Question.of(name, document["Parameters"][name]) for name in names]


def ask(questions: Sequence[Question], console: Output) -> dict[str, str]:
    """Ask one question after the other; return the answers by name."""
    console.print("Enter accepts the value in parentheses. Nothing is deployed yet.\n")
    answers: dict[str, str] = {}
    for asked in questions:
        question = asked
        is_unused = question.name in USED_WITH_CLIENT and not answers[CLIENT]
        if is_unused or (question.name == USED_WITH_EMAIL and answers[EMAIL] in OFF):
            answers[question.name] = question.default or ""
            continue
        if question.name in REQUIRED_WITH_CLIENT:
            question = question.required()
        console.print(Text(question.about, "dim"))
        prompt = Prompt(Text(question.name, "bold"), console=console)
        prompt.question = question
        answers[question.name] = str(prompt(default=... if question.default is None else question.default))
    return answers
