"""`python -m ops.answers FILE`: ask what a first deployment must know, and write a configuration file of SAM with it.

`sam deploy --guided` asks for every parameter of the template. This asks for those that the template calls essential, by
the template's own rules, and leaves all others to their defaults. It deploys nothing.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import boto3
import tomlkit
import yaml
from rich.console import Console
from rich.prompt import InvalidResponse, PromptBase
from rich.text import Text

from ops.command import Exit
from ops.stack import ROOT

ESSENTIAL = "Essential"
# Of the default target: the name without which there is none, those that it requires, and what matters only with it.
CLIENT = "ClientName"
REQUIRED_WITH_CLIENT = ("InstanceName", "SubclientName")
USED_WITH_CLIENT = (*REQUIRED_WITH_CLIENT, "ScheduleExpression")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
STACK_NAME = "[A-Za-z][A-Za-z0-9-]{0,127}"
REGION = "[a-z]+(-[a-z]+)+-[0-9]+"
HEAD = (
    "What this checkout deploys; git ignores this file. Add or change parameters below, as docs/reference.md lists them,",
    "and run `make deploy` again. A parameter that is not here keeps the value that the stack has, at first its default.",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question; its answer matches `pattern`. There is no answer by default where `default` is None."""

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


class Prompt(PromptBase[str]):
    """Asks until the answer is valid."""

    response_type = str
    question: Question

    def process_response(self, value: str) -> str:
        """Return a valid answer."""
        if not re.fullmatch(self.question.pattern, value.strip()):
            raise InvalidResponse(Text(f"  {self.question.name} {self.question.rule}", "red"))
        return value.strip()


def main(arguments: Sequence[str]) -> Exit:
    """Ask, and write the file that is named; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ops.answers", description="Ask what a first deployment must know.")
    parser.add_argument("file", type=Path, help="where to write the answers, in the format of samconfig.toml")
    file: Path = parser.parse_args(arguments).file
    defaults = tomlkit.parse((ROOT / "samconfig.toml").read_text())
    questions = [*stack_questions(defaults), *parameter_questions(ROOT / "template.yaml")]
    try:
        answers = ask(questions, Console())
    except (EOFError, KeyboardInterrupt):
        print(f"\n{file}: not all questions were answered, so nothing was written.", file=sys.stderr)
        return Exit.COULD_NOT_RUN
    file.write_text(configuration(defaults, answers))
    print(f"\nWritten to {file}. Change it there; `make deploy` does not ask again.")
    return Exit.OK


def stack_questions(defaults: Mapping[str, Any]) -> list[Question]:
    """Return what is asked of the stack itself."""
    name = defaults["default"]["global"]["parameters"]["stack_name"]
    region = boto3.Session().region_name
    return [
        Question("stack_name", "Name of the stack", STACK_NAME, "must be 1 to 128 letters, digits or hyphens", name),
        Question("region", "Region to deploy to", REGION, "must be a region's name, such as eu-west-1", region),
    ]


def parameter_questions(template: Path) -> list[Question]:
    """Return a question for each parameter that the template calls essential."""
    document = _Loader(template.read_text()).get_single_data()
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    (names,) = (group["Parameters"] for group in groups if group["Label"]["default"] == ESSENTIAL)
    return [Question.of(name, document["Parameters"][name]) for name in names]


def ask(questions: Sequence[Question], console: Console) -> dict[str, str]:
    """Ask one question after the other; return the answers by name."""
    console.print("Enter accepts what is in parentheses. Nothing is deployed yet.\n")
    answers: dict[str, str] = {}
    for asked in questions:
        question = asked
        if question.name in USED_WITH_CLIENT and not answers[CLIENT]:
            answers[question.name] = question.default or ""
            continue
        if question.name in REQUIRED_WITH_CLIENT:
            question = question.required()
        console.print(Text(question.about, "dim"))
        prompt = Prompt(Text(question.name, "bold"), console=console)
        prompt.question = question
        answers[question.name] = str(prompt(default=... if question.default is None else question.default))
    return answers


def configuration(defaults: tomlkit.TOMLDocument, answers: Mapping[str, str]) -> str:
    """Return the project's configuration with the answers; those of parameters begin with a capital letter."""
    document = tomlkit.document()
    for line in HEAD:
        document.add(tomlkit.comment(line))
    for key, value in defaults.items():
        document.add(key, value)
    deploy: Any = document["default"]["deploy"]["parameters"]
    deploy |= {name: answer for name, answer in answers.items() if not name[0].isupper()}
    deploy["parameter_overrides"] = {name: answer for name, answer in answers.items() if name[0].isupper()}
    return tomlkit.dumps(document)


class _Loader(yaml.SafeLoader):
    """Reads the template; what CloudFormation's short tags say does not matter here."""


_Loader.add_multi_constructor("!", lambda *_: None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
