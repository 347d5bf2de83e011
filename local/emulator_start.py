"""Starts the emulator with the two facts about a call that policies of queues and topics ask for, and it does not know.

It speaks plain HTTP, and takes every call for one by an account. On AWS the functions' calls come by TLS, and a service's
own are marked. `local.emulator` runs this file with the emulator's interpreter; nothing imports it.
"""

from typing import Any

from ministack.app import main
from ministack.core import iam_evaluator

_known = iam_evaluator._resolve_condition_key  # noqa: SLF001 - there is no other way in


def resolve(key: str, context: Any) -> Any:
    """Return the value of a condition's key."""
    match key.lower():
        case "aws:securetransport":
            return "true"
        case "aws:principalisawsservice":
            return str(context.principal_type == "Service").lower()
        case _:
            return _known(key, context)


iam_evaluator._resolve_condition_key = resolve  # noqa: SLF001

if __name__ == "__main__":
    main()
