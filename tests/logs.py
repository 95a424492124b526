"""The logs of all containers on the machines of a cluster test."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

LINES = 5000
"""Of one container."""


def output_of(*argv: str) -> bytes:
    """Both outputs of a command; what went wrong, instead of them, when it did not end well in time."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n".encode()
    return done.stdout


def machines_of(process: int) -> list[str]:
    """Container machines that tests of this process have made."""
    ran = output_of("docker", "ps", "-a", "--filter", "label=sparkqfs.local", "--format", "{{.Names}}")
    return [name for name in ran.decode().split() if re.search(rf"-{process}-", name)]


def keep_logs(folder: Path, machines: list[str]) -> int:
    """The machines' own logs, those of the containers on them, and what the swarm says; the number of files."""
    shutil.rmtree(folder, ignore_errors=True)
    for machine in machines:
        inside = ("docker", "exec", machine, "docker")
        place = folder / machine
        place.mkdir(parents=True)
        (place / "machine.log").write_bytes(output_of("docker", "logs", "--tail", str(LINES), machine))
        (place / "containers.txt").write_bytes(output_of(*inside, "ps", "-a", "--no-trunc"))
        for name in output_of(*inside, "ps", "-a", "--format", "{{.Names}}").decode(errors="replace").split():
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                logs = output_of(*inside, "logs", "--timestamps", "--tail", str(LINES), name)
                (place / f"{name}.log").write_bytes(logs)
    return sum(path.is_file() for path in folder.rglob("*"))
