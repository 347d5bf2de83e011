"""`ControlClient`: the controls of a simulator that runs in another process."""

import json
import ssl
from typing import Any
from urllib.parse import urlsplit

import urllib3

from local.commserve.control.endpoint import CONTROL


class ControlClient:
    """Controls a simulator by its URL; names and parameters are those of `control.endpoint`."""

    def __init__(self, url: str, ca_pem: str = "") -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}{CONTROL}"
        context = ssl.create_default_context(cadata=ca_pem) if ca_pem else None
        self._pool = urllib3.PoolManager(ssl_context=context, retries=urllib3.Retry(2, redirect=0), timeout=10)

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """Return the requests seen, of one path or all."""
        found: list[dict[str, Any]] = self._call("GET", "requests", fields={"path": path} if path else None)
        return found

    def create_tasks(self) -> list[dict[str, Any]]:
        """Return the requests to CreateTask."""
        return self.requests("/CreateTask")

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Return the jobs by id."""
        return {job["id"]: job for job in self._call("GET", "jobs")}

    def state(self) -> dict[str, Any]:
        """Return address, clock, settings and armed faults."""
        found: dict[str, Any] = self._call("GET", "state")
        return found

    def fault(self, name: str, times: int | None = 1, path: str = "/CreateTask", **parameters: Any) -> None:
        """Arm a fault."""
        self.post("fault", name=name, times=times, path=path, **parameters)

    def clear_faults(self) -> None:
        """Disarm every fault."""
        self.post("clear_faults")

    def clear(self) -> None:
        """Forget requests, jobs, plans, limits and faults."""
        self.post("clear")

    def post(self, control: str, /, **parameters: Any) -> Any:
        """Call any other control, such as `plan_jobs`, `end_job` or `set`."""
        return self._call("POST", control, body=json.dumps(parameters).encode())

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _call(self, method: str, name: str, **more: Any) -> Any:
        response = self._pool.request(method, self._base + name, **more)
        answer = response.json()
        if response.status != 200:
            raise ValueError(f"{name}: {answer['error']}")
        return answer
