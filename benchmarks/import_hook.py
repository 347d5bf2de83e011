"""Times the modules of one import, in CPU time, and prints them as JSON: run by `imports.py` in a bare interpreter.

Only modules that are really loaded are timed, once each. CPython's own profile (`-X importtime`) also times every import
statement that finds its module loaded, and so shows modules that compile regular expressions as many times as dear.
"""

import dataclasses
import importlib
import json
import sys
import time
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from typing import Any

CLASSES: dict[str, list[float]] = {}
OWN: dict[str, float] = {}
TOTAL: dict[str, float] = {}
INNER: list[float] = [0.0]


def timed(loader: Any) -> None:
    """Time a loader's modules: what each took, and what it took without the modules that it loaded first."""
    load = loader.exec_module

    def exec_module(self: Any, module: Any) -> None:
        INNER.append(0.0)
        began = time.process_time()
        try:
            load(self, module)
        finally:
            taken = time.process_time() - began
            TOTAL[module.__name__] = taken
            OWN[module.__name__] = taken - INNER.pop()
            INNER[-1] += taken

    loader.exec_module = exec_module


def timed_dataclass(cls: Any = None, /, **options: Any) -> Any:
    """Make a dataclass and note what that took: its methods are compiled each time, and no bytecode holds them."""

    def decorate(cls: Any) -> Any:
        began = time.process_time()
        made = make_dataclass(cls, **options)
        CLASSES.setdefault(cls.__module__, []).append(time.process_time() - began)
        return made

    return decorate if cls is None else decorate(cls)


make_dataclass: Any = dataclasses.dataclass
dataclasses.dataclass = timed_dataclass
timed(SourceFileLoader)
timed(ExtensionFileLoader)
importlib.import_module(sys.argv[1])
print(json.dumps({name: [own, TOTAL[name], CLASSES.get(name, [])] for name, own in OWN.items()}))
