"""A quiet cluster stays quiet: an hour on container machines of its own, no alarm and no lost connection.

`./test --all soak` runs it. SPARKQFS_SOAK_S is the length in seconds, one hour unless set.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from sparkqfs.clients.download import find_tarball
from sparkqfs.config.loading import load_config
from sparkqfs.local.cluster import local_down, local_up
from tests.cluster.leftovers import remove_leftovers

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = f"soak-{os.getpid()}"
NODES = 3
LENGTH_S = float(os.environ.get("SPARKQFS_SOAK_S") or 3600)
POLL_S = 5.0
LOST = (
    "inactivity timeout",
    "receive timeout",
    "heartbeat timed out",
    "heartbeat error",
    "communication error",
    "Lost heartbeat",
    "Removing a node",
    "Lost contact",
    "Connection to master failed",
    "Disconnected from Spark cluster",
)
"""What the daemons of QFS, HDFS and Spark write when one of them gives another one up."""


@dataclass
class Quiet:
    """The cluster, and what was seen of it."""

    hosts: Path
    looks: int = 0
    alarms: list[str] = field(default_factory=list)

    def invoke(self, *words: str, timeout_s: float = 1200) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]
        env = {**os.environ, "SPARKQFS_HOSTS": str(self.hosts)}
        cwd = self.hosts.parent
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)

    def look(self) -> bool:
        """One look; an alarm is kept with its time and its problems."""
        ran = self.invoke("status", "--json", timeout_s=120)
        self.looks += 1
        if ran.returncode:
            try:
                problems = [problem["what"] for problem in json.loads(ran.stdout)["problems"]]
            except (ValueError, KeyError):
                problems = [ran.stderr[-500:]]
            self.alarms.append(f"{time.strftime('%H:%M:%S')} exit {ran.returncode}: {problems}")
        return ran.returncode == 0


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    file = tmp_path_factory.mktemp("soak") / "hosts.yml"
    remove_leftovers(file.parent)
    try:
        local_up(name=NAME, nodes=NODES, file=file, on_event=lambda _text: None)
        if find_tarball(load_config(file), platform.machine()) is None:
            file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"storage": {"kind": "hdfs"}}))
        cluster = Quiet(file)
        ran = cluster.invoke("up", "--yes", timeout_s=2400)
        assert ran.returncode == 0, ran.stderr[-3000:]
        yield cluster
    finally:
        local_down(name=NAME, file=file, on_event=lambda _text: None)


def on_node(number: int, *argv: str) -> str:
    """Both outputs of a command on a container machine."""
    command = ["docker", "exec", f"{NAME}-node{number}", *argv]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=True)
    return done.stdout.decode(errors="replace")


def containers() -> set[tuple[int, str]]:
    """Node and id of every container of the stack."""
    label = "label=com.docker.stack.namespace"
    return {
        (number, name)
        for number in range(1, NODES + 1)
        for name in on_node(number, "docker", "ps", "-q", "--filter", label).split()
    }


def lost_connections(found: set[tuple[int, str]], since_s: float) -> list[str]:
    """Lines of the daemons' logs that tell of one, since a moment of this computer's clock."""
    since = f"{since_s:.0f}"
    return [
        f"node{number}: {line}"
        for number, name in sorted(found)
        for line in on_node(number, "docker", "logs", "--since", since, name).splitlines()
        if any(word in line for word in LOST)
    ]


def test_a_quiet_cluster_loses_no_connection_and_raises_no_alarm(quiet: Quiet) -> None:
    end = time.monotonic() + 240
    while not quiet.look():
        assert time.monotonic() < end, quiet.alarms[-1]
        time.sleep(POLL_S)
    quiet.looks, quiet.alarms, began, running = 0, [], time.time(), containers()
    end = time.monotonic() + LENGTH_S
    while (now := time.monotonic()) < end:
        quiet.look()
        time.sleep(max(0.0, now + POLL_S - time.monotonic()))
    lost = lost_connections(running, began)
    print(f"{quiet.looks} looks in {LENGTH_S:.0f} s, {len(quiet.alarms)} alarms, {len(lost)} connections lost")
    assert quiet.looks >= LENGTH_S / POLL_S / 4  # a slow computer looks less often, but it looks
    assert (quiet.alarms, lost) == ([], [])
    assert containers() == running
