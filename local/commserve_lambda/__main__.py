"""`python -m local.commserve_lambda`: writes what its template deploys to build/commserve."""

import shutil
from pathlib import Path

from local.tools import ROOT

HERE = Path(__file__).parent


def pack(to: Path) -> Path:
    """Write template, function and layer to a new folder, and return the function's."""
    shutil.rmtree(to, ignore_errors=True)
    function, layer = to / "function", to / "layer"
    for package in ("commserve", HERE.name):
        shutil.copytree(
            HERE.parent / package, function / "local" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    # The package's own imports need what Lambda does not have, and the handler does not use.
    (function / "local/commserve/__init__.py").write_text("")
    layer.mkdir()
    shutil.copy(HERE / "cut-short", layer)
    shutil.copy(HERE / "template.yaml", to)
    return function


if __name__ == "__main__":
    print(pack(ROOT / "build/commserve").parent)
