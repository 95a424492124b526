"""Container machines of earlier test runs that did not come to remove them, as after a second Ctrl-C."""

from __future__ import annotations

import fcntl
import re
import subprocess
import tempfile
from pathlib import Path

from sparkqfs.local.cluster import local_down

NAME = re.compile(r"(?:life|shared|soak|t)-(\d+)(?:-x)?")
"""Of the machines that tests make; the number is the process's."""
TURN = Path(tempfile.gettempdir()) / "sparkqfs-leftovers.lock"
"""Processes of one run begin at the same time: one removes, and the others find nothing then."""


def remove_leftovers(folder: Path) -> None:
    """Those of processes that are no more. `folder` is an empty directory."""
    with TURN.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for name in _names():
            found = NAME.fullmatch(name)
            if found and not Path(f"/proc/{found[1]}").exists():
                local_down(name=name, file=folder / "hosts.yml", on_event=lambda _text: None)


def _names() -> list[str]:
    label = '{{.Label "sparkqfs.local"}}'
    names = set()
    for kind in (["ps", "-a"], ["volume", "ls"], ["network", "ls"]):
        argv = ["docker", *kind, "--filter", "label=sparkqfs.local", "--format", label]
        names |= set(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.split())
    return sorted(names)
