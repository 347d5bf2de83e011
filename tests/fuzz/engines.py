"""Runs harnesses, each in a process of its own, and reads what the engine reports of it."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local.tools import ROOT
from tests.fuzz.worker import KEEP_GOING

type Engine = Literal["atheris", "hypothesis"]

HERE = Path(__file__).parent
TARGETS = tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py")))
# Corpora that are there for another reason.
BESIDE = {"events": [ROOT / "events"], "unwrap": [ROOT / "events"]}
FOUND = ROOT / "build" / "fuzz"
# What only a wall clock ends: code that never gives control back to Python. The machine may be busy.
HANGS_SECONDS = 60
MAX_INPUT = 5000  # No file of a corpus is longer: libFuzzer would cut it off.
COVERED = re.compile(r"cov: (\d+) ft: (\d+)")
NOISE = re.compile(r"^(?:INFO: Instrumenting|WARNING: Failed to find function) .*\n", re.MULTILINE)
RUNS = re.compile(r"^(?:Done|#)(\d+)\s+DONE|^Done (\d+) runs", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Result:
    """What a harness has met; `failure` is empty where every input kept the promises."""

    target: str
    engine: Engine
    inputs: int
    seconds: float
    covered: int
    features: int
    failure: str

    def __str__(self) -> str:
        coverage = f"coverage {self.covered}, {self.features} features" if self.covered else "coverage not measured"
        return f"{self.target}: {self.inputs} inputs, {coverage}, {self.seconds:.1f} s by {self.engine}"


def default_engine() -> Engine:
    """Return atheris where it is installed: it has wheels for Linux on x86_64 alone."""
    return "atheris" if importlib.util.find_spec("atheris") else "hypothesis"


def run(
    target: str,
    runs: int,
    *,
    seed: int = 1,
    engine: Engine | None = None,
    seconds: int = 0,
    found: Path | None = None,
    keep_going: bool = False,
) -> Result:
    """Run a target, or another harness by its `module:function`.

    At most `seconds` where they are given. What increases coverage, and what fails, is written to `found`. With
    `keep_going` one input of each different failure, instead of the first failure alone.
    """
    engine = engine or default_engine()
    corpora = [folder for folder in (HERE / "corpus" / target, *BESIDE.get(target, ())) if folder.is_dir()]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        new = (found or Path(temporary)) / target.replace(":", ".")
        (new / "corpus").mkdir(parents=True, exist_ok=True)
        flags = [str(folder) for folder in (new / "corpus", *corpora)]
        if engine == "atheris":
            flags += [f"-dict={HERE / 'tokens.dict'}", f"-artifact_prefix={new}/", f"-timeout={HANGS_SECONDS}"]
            # Long inputs from the start; and the harness limits its memory itself.
            flags += ["-len_control=0", f"-max_len={MAX_INPUT}", "-rss_limit_mb=0"]
            flags += [f"-max_total_time={seconds}"] if seconds else []
        spec = target if ":" in target else f"tests.fuzz.targets.{target}:fuzz"
        command = [sys.executable, "-m", "tests.fuzz.worker", spec, engine, str(runs), str(seed), *flags]
        environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **({KEEP_GOING: str(new)} if keep_going else {})}
        begun = time.time()
        process = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        kept = [path for path in new.iterdir() if path.is_file() and path.stat().st_mtime >= begun - 1]
        return _result(target, engine, process, time.time() - begun, kept)


def _result(
    target: str, engine: Engine, process: subprocess.CompletedProcess[str], seconds: float, kept: list[Path]
) -> Result:
    said = NOISE.sub("", process.stderr)
    done = RUNS.search(said)
    covered = COVERED.findall(said)
    failure = ""
    if process.returncode or not done or kept:
        inputs = [f"{path}:\n  {path.read_bytes()[:2000]!r}" for path in kept]
        failure = "\n".join([said[-8000:], *inputs])
    count = int(next(filter(None, done.groups()))) if done else 0
    coverage, features = covered[-1] if covered else (0, 0)
    return Result(target, engine, count, seconds, int(coverage), int(features), failure)
