"""A built function under the real Lambda Runtime Interface Emulator, with AWS's own runtime client.

It runs one package in one sandbox, as Lambda does: init, freeze-free reuse, and the death of the process at the function's
timeout. Events and AWS services are the caller's.
"""

import contextlib
import functools
import http.client
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.emulator import CREDENTIALS, REGION, free_port
from local.tools import LOCKS, environment

# The emulator's own figures: the "Init Duration" of its REPORT line is not the init's.
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
DURATION = re.compile(r"INVOKE RTDONE\(.* duration: ([0-9.]+)ms\)")
STARTS_WITHIN = 60  # seconds; many may start at once
INVOKE = "2015-03-31/functions/function/invocations"


class RuntimeStartError(RuntimeError):
    """The runtime emulator did not start; the message ends with its output."""


@dataclass(frozen=True, slots=True)
class Response:
    """The result of an invocation. `error` is Lambda's, or says that the sandbox was killed."""

    payload: Any
    error: str | None
    duration_ms: float | None
    init_ms: float | None  # of this invocation: None when the sandbox was warm


class Runtime:
    """`with Runtime(package, "module.handler", env) as function:` gives a sandbox; the first invocation is the cold one."""

    def __init__(self, package: Path, handler: str, environment: dict[str, str], *, timeout: int = 50) -> None:
        self.package = package
        self.handler = handler
        self.timeout = timeout
        self._environment = environment
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="rds-snap-backup-runtime-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "output.log"

    def __enter__(self) -> Self:
        own = {
            "AWS_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self.timeout),
            "LAMBDA_TASK_ROOT": str(self.package),
            "PYTHONPATH": f"{self.package}:{runtime_client()}",
            "PYTHONDONTWRITEBYTECODE": "1",  # the package is read-only on Lambda
            "PATH": os.environ["PATH"],
            "HOME": self._folder.name,
            "TZ": "UTC",
        }
        # The interpreter below the virtual environment, without site packages: what the package lacks is not there.
        python = [str(Path(sys.base_prefix) / "bin" / "python3.13"), "-S", "-m", "awslambdaric", self.handler]
        addresses = [
            f"--runtime-interface-emulator-address=127.0.0.1:{self._port}",
            f"--runtime-api-address=127.0.0.1:{free_port()}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(runtime_emulator()), *addresses, *python],
                cwd=self.package,
                env=own | CREDENTIALS | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Not a new session: Linux shares the CPU among sessions first, and each sandbox would weigh as much as
                # everything else that runs here, the CommServe that it talks to included.
                process_group=0,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=1):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeStartError(f"The Lambda runtime emulator did not start:\n{self.output}")

    def invoke(self, event: Any) -> Response:
        """Invoke the function and wait for its end, which can be its timeout or a kill."""
        seen = len(self.output)
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/{INVOKE}", json.dumps(event).encode())
        try:
            with urllib.request.urlopen(request, timeout=self.timeout + 30) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as died:
            return Response(None, died.read().decode() or str(died), None, None)
        except (OSError, http.client.HTTPException) as gone:
            return Response(None, f"Killed: {gone}", None, None)
        output = self._output_after(seen)
        duration, init = _number(DURATION, output), _number(INIT, output)
        try:
            payload = json.loads(text)
        except ValueError:
            return Response(None, text, duration, init)
        raised = isinstance(payload, dict) and "errorMessage" in payload
        error = f"{payload.get('errorType')}: {payload['errorMessage']}" if raised else None
        return Response(payload, error, duration, init)

    def _output_after(self, seen: int) -> str:
        """Return the invocation's output, whose last line can be written a little after the answer."""
        for _ in range(100):
            if "\nREPORT " in (output := self.output[seen:]):
                return output
            time.sleep(0.01)
        return self.output[seen:]

    @property
    def output(self) -> str:
        """Everything that the function, its runtime and the emulator wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def kill(self) -> None:
        """Kill the sandbox at once, as the loss of its host would; an invocation in progress returns an error."""
        if self._process is None or self._process.poll() is not None:
            return
        # The runtime has its own process group, and would outlive the emulator.
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        runtimes = [int(pid) for children in tasks for pid in children.read_text().split()]
        for pid in [self._process.pid, *runtimes]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End the sandbox and remove its output."""
        self.kill()
        self._process = None
        self._folder.cleanup()


def _number(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return float(found[1]) if found else None


@functools.cache
def runtime_emulator() -> Path:
    """Return the emulator's binary, which is part of the pinned SAM CLI."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    return _packages("sam") / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}"


@functools.cache
def runtime_client() -> Path:
    """Return the folder that holds Lambda's runtime client with what it needs, and only that."""
    return _packages("awslambdaric")


def _packages(tool: str) -> Path:
    return environment(LOCKS / f"{tool}.txt") / "lib" / "python3.13" / "site-packages"
