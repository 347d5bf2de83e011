"""The processes of this machine by their ancestry, so that only those that one of ours has started are ever touched."""

import subprocess


def descendants(ancestor: int) -> dict[int, str]:
    """Return the processes that a process has started, directly or not, each with its command line."""
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    processes = {int(pid): (int(parent), " ".join(command)) for pid, parent, *command in rows}
    found: dict[int, str] = {}
    while more := {
        pid: command
        for pid, (parent, command) in processes.items()
        if (parent == ancestor or parent in found) and pid not in found
    }:
        found |= more
    return found
