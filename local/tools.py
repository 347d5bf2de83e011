"""The development tools that need an environment of their own, because their pins conflict, each as its lock has it.

`tools/NAME.in` pins a tool, and `tools/NAME.txt` (`make lock`) everything that is installed for it, by hash. Its environment
is made only of the lock, under `.tools/NAME/`, when it is first needed and when the lock has changed.

Used as a module by the tests and the demo, and as a command by the Makefile: `python -m local.tools sam --version`.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "tools"


class ToolError(RuntimeError):
    """An environment cannot be made as its lock has it; the message is uv's."""


def command(name: str, *arguments: str) -> list[str]:
    """Return the command line that runs the locked tool `name` (`sam`, `ministack`, …) with `arguments`."""
    return [str(environment(LOCKS / f"{name}.txt") / "bin" / name), *arguments]


def environment(lock: Path, home: Path = ROOT / ".tools") -> Path:
    """Return the virtual environment that holds what `lock` has and nothing else; make it where it is missing.

    Any number of processes may ask at once: it appears complete, or not at all.
    """
    made = home / lock.stem / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    # A link to the interpreter: an environment whose interpreter was removed counts as missing.
    if not (made / "bin" / "python").exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with locked(home / "lock"):
            if not (made / "bin" / "python").exists():
                _make(made, lock)
    return made


def _make(made: Path, lock: Path) -> None:
    for old in made.parent.iterdir():
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        fresh = f"{folder}/fresh"
        create = ["venv", "--relocatable", "--python", sys.executable, fresh]
        # A source distribution would fetch what builds it, by no hash.
        install = ["pip", "sync", "--require-hashes", "--only-binary", ":all:", "--python", fresh, str(lock)]
        for step in (create, install):
            done = subprocess.run([uv(), "--quiet", *step], capture_output=True, text=True, check=False)
            if done.returncode:
                raise ToolError(f"{lock.name} cannot be installed:\n{done.stderr}")
        Path(fresh).rename(made)


def uv() -> str:
    """Return the path of uv. `uv run` names itself in UV; outside of it, uv is on the PATH or where `make` puts it."""
    return os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold a lock against others, in this process and elsewhere: two makers of one folder would undo each other."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        line = command(*sys.argv[1:])
    except ToolError as error:
        sys.exit(str(error))
    os.environ["UV"] = uv()  # for the build, which installs with it
    os.execv(line[0], line)
