"""The script that shapes a worker's link, on a real link between two network namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkqfs.jobs.measuring.bench_link import HANDLE, SCRIPT

ADDRESS = "10.99.0.2"
NETWORK_ID = "abcdefghij0123456789"
TOOLS = ("ip", "tc", "nsenter", "unshare")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
NETNS = "/var/run/docker/netns"
DOCKER = """#!/bin/sh
# What an engine says of the one container and the one network.
case $1 in inspect) echo {pid};; network) echo {network};; esac
"""
MOUNTED = r"""
set -e
mkdir -p {netns} && mount -t tmpfs none {netns}
touch {netns}/1-{short} && mount --bind /proc/{pid}/ns/net {netns}/1-{short}
shift_to=$1; shift
exec env PATH="$shift_to:$PATH" sh -c "$@"
"""


def can_make_namespaces() -> bool:
    return (
        os.geteuid() == 0
        and not MISSING
        and subprocess.run(["unshare", "-n", "-m", "true"], check=False).returncode == 0
    )


pytestmark = pytest.mark.skipif(
    not can_make_namespaces(), reason=f"needs root, namespaces and {', '.join(MISSING) or 'all of its tools'}"
)


@dataclass(frozen=True)
class Pair:
    """A container's network and the overlay's, each with one end of a link."""

    inside: int
    outside: int
    programs: Path

    def qdiscs(self, pid: int, device: str) -> str:
        words = ["nsenter", "-t", str(pid), "-n", "tc", "qdisc", "show", "dev", device, "root"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def both(self) -> list[str]:
        """First words of what is on both ends; empty for the kernel's own."""
        found = (self.qdiscs(self.inside, "eth0"), self.qdiscs(self.outside, "port"))
        return [" ".join(text.split()[1:3]) for text in found if "noqueue" not in text]

    def start(self, rate: int, address: str = ADDRESS, limit_s: int = 60) -> subprocess.Popen[str]:
        """The script, seen from a machine whose engine has this container."""
        mounts = MOUNTED.format(netns=NETNS, short=NETWORK_ID[:10], pid=self.outside)
        words = [SCRIPT, "sh", "container", address, "network", str(rate), "65536", str(limit_s), HANDLE]
        command = ["unshare", "-m", "sh", "-c", mounts, "sh", str(self.programs), *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        pids = []
        for _ in range(2):
            sleeper = stack.enter_context(subprocess.Popen(["unshare", "-n", "sleep", "300"]))
            stack.callback(sleeper.kill)
            pids.append(sleeper.pid)
        own = Path("/proc/self/ns/net").readlink()
        end = time.monotonic() + 30
        while any(Path(f"/proc/{pid}/ns/net").readlink() == own for pid in pids):
            assert time.monotonic() < end
            time.sleep(0.02)
        inside, outside = pids
        make = f"ip link add eth0 netns {inside} type veth peer name port netns {outside}"
        subprocess.run(make.split(), check=True)
        for pid, words in ((inside, f"ip addr add {ADDRESS}/24 dev eth0"), (inside, "ip link set eth0 up")):
            subprocess.run(["nsenter", "-t", str(pid), "-n", *words.split()], check=True)
        subprocess.run(["nsenter", "-t", str(outside), "-n", "ip", "link", "set", "port", "up"], check=True)
        (tmp_path / "docker").write_text(DOCKER.format(pid=inside, network=NETWORK_ID))
        (tmp_path / "docker").chmod(0o755)
        yield Pair(inside, outside, tmp_path)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_both_ends_are_shaped_until_standard_input_ends(pair: Pair) -> None:
    with pair.start(100_000_000) as process:
        assert first_line(process) == "shaped"
        assert pair.both() == [f"tbf {HANDLE}"] * 2
        assert "rate 100Mbit" in pair.qdiscs(pair.inside, "eth0")
        process.communicate(timeout=30)
    assert (process.returncode, pair.both()) == (0, [])


def test_both_ends_are_free_when_the_time_is_up(pair: Pair) -> None:
    with pair.start(100_000_000, limit_s=1) as process:
        assert first_line(process) == "shaped"
        process.wait(30)
    assert pair.both() == []


def test_what_a_killed_run_left_is_taken_away_by_the_next(pair: Pair) -> None:
    with pair.start(100_000_000) as process:
        assert first_line(process) == "shaped"
        process.kill()  # not even its shell can do anything now
    assert pair.both() == [f"tbf {HANDLE}"] * 2
    with pair.start(0) as process:
        process.communicate(timeout=30)
    assert (process.returncode, pair.both()) == (0, [])


def test_a_filter_of_somebody_else_is_left_alone(pair: Pair) -> None:
    words = "tc qdisc add dev eth0 root handle 77: tbf rate 1gbit burst 64kb latency 50ms"
    subprocess.run(["nsenter", "-t", str(pair.inside), "-n", *words.split()], check=True)
    with pair.start(0) as process:
        process.communicate(timeout=30)
    assert pair.both() == ["tbf 77:"]
    with pair.start(100_000_000) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 9 and "eth0" in said
    assert pair.both() == ["tbf 77:"]


def test_a_container_without_that_address_is_an_error_that_says_so(pair: Pair) -> None:
    with pair.start(100_000_000, address="10.99.0.3") as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 9 and "no interface with 10.99.0.3" in said
