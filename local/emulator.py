"""AWS on this machine: the pinned emulator in a separate process, on a free loopback port.

It knows nothing of the product: `local.stack` deploys the product to it.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from local.processes import descendants
from local.tools import command

REGION = "us-east-1"
ACCOUNT = "000000000000"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
PORTS = range(20_000, 32_000)
STARTS_WITHIN = 120  # seconds; many may start at once, and the first start compiles it

# The last ones that this process was given: by the time that one leaves, its program has long been listening.
RESERVATIONS = deque[socket.socket](maxlen=200)

# All sandboxes of a test run take some hundred megabytes.
MIN_FREE_BYTES = 2 * 2**30


class EmulatorError(RuntimeError):
    """The emulator did not start; the message ends with its output."""


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that no other process on this machine is given for now.

    It lies below those that systems hand out by themselves (Linux from 32768, macOS from 49152), so that no connection
    gets it before the program that is to listen there. Until then the UDP port of the same number reserves it.
    """
    for port in random.SystemRandom().sample(PORTS, 100):
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        with socket.socket() as probe, suppress(OSError):
            reservation.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            RESERVATIONS.append(reservation)
            return port
        reservation.close()
    raise EmulatorError("No loopback port is free.")


class Emulator:
    """`with Emulator() as aws:` gives an empty AWS account; `aws.client("sqs")` a client of it."""

    def __init__(self, environment: dict[str, str] | None = None, *, log: Path | None = None) -> None:
        self._environment = environment or {}
        self._folder = tempfile.TemporaryDirectory(
            prefix="rds-snap-backup-aws-", dir=_memory(), ignore_cleanup_errors=True
        )
        self.log = log or Path(self._folder.name) / "emulator.log"
        self.port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        # The shell's AWS settings must reach neither the emulator nor the functions that it runs.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))}
        own = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "PERSIST_STATE": "0",
            "STATE_DIR": f"{self._folder.name}/state",
            "S3_DATA_DIR": f"{self._folder.name}/s3",
            "TMPDIR": self._folder.name,
            "AUTH": "true",  # the roles' policies are evaluated: what a function is not allowed to do fails here too
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
        }
        python = Path(*command("ministack")).with_name("python")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(python), "-P", str(Path(__file__).with_name("emulator_start.py"))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=inherited | CREDENTIALS | own | self._environment,
                start_new_session=True,
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
                with urllib.request.urlopen(f"{self.endpoint_url}/_ministack/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise EmulatorError(f"The AWS emulator did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """End the emulator and every process that it started."""
        process, self._process = self._process, None
        if process is not None:
            for ending in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, ending)
                    process.wait(timeout=5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        self._folder.cleanup()

    def sandboxes(self, function: str) -> list[int]:
        """Return the processes of a function's sandboxes in this emulator."""
        if self._process is None:
            return []
        theirs = f"ministack-lambda-{function}-"  # the folder of a sandbox; the emulator runs a worker in each
        commands = descendants(self._process.pid).items()
        return [pid for pid, command in commands if theirs in command and "_worker.py" in command]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make an AWS tool or SDK talk to the emulator."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_REGION": REGION}

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator, the same one each time; clients may be shared between threads."""
        if service not in self._clients:
            session = boto3.Session(
                aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            )
            patient = Config(read_timeout=70, max_pool_connections=50, retries={"total_max_attempts": 1})
            create: Any = session.client
            self._clients[service] = create(service, endpoint_url=self.endpoint_url, config=patient)
        return self._clients[service]


def _memory() -> str | None:
    """Return a folder in memory, if there is one with room: each sandbox unpacks nearly a thousand files."""
    folder = Path("/dev/shm")  # noqa: S108  # nosec B108 # a unique folder is made in it
    is_usable = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MIN_FREE_BYTES
    return str(folder) if is_usable else None
