"""Times the modules of one import, by wall time, and prints them as JSON: run by `imports.py` in a bare interpreter.

Only modules that are really loaded are timed, once each. CPython's own profile (`-X importtime`) also times every import
statement that finds its module loaded, and so shows modules that compile regular expressions as many times as dear.
"""

import importlib
import json
import sys
import time
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from typing import Any

OWN: dict[str, float] = {}
TOTAL: dict[str, float] = {}
INNER: list[float] = [0.0]


def timed(loader: Any) -> None:
    """Time a loader's modules: what each took, and what it took without the modules that it loaded first."""
    load = loader.exec_module

    def exec_module(self: Any, module: Any) -> None:
        INNER.append(0.0)
        began = time.perf_counter()
        try:
            load(self, module)
        finally:
            taken = time.perf_counter() - began
            TOTAL[module.__name__] = taken
            OWN[module.__name__] = taken - INNER.pop()
            INNER[-1] += taken

    loader.exec_module = exec_module


timed(SourceFileLoader)
timed(ExtensionFileLoader)
importlib.import_module(sys.argv[1])
print(json.dumps({name: [own, TOTAL[name]] for name, own in OWN.items()}))
