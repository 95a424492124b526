"""Scratch directories: each container its own, and only those of containers that are gone are removed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.paths import RUNTIME
from tests.runtime.container import Container

SHUFFLE = """\
#!{python}
import os, pathlib, sys, time
here = pathlib.Path(os.environ["SPARK_LOCAL_DIRS"])
for name in ("spark-1/executor-2/blockmgr-3/0c", "blockmgr-4/1d"):
    (here / name).mkdir(parents=True)
    (here / name / "shuffle_0_0_0.data").write_bytes(b"x" * 100_000)
(here / "closed").mkdir(mode=0o500)
(here / "link").symlink_to(os.environ["FAKE_OUTSIDE"])
print("shuffles", os.getpid(), here, flush=True)
time.sleep(600)
"""


class Node:
    """A machine with the directory that its containers share."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.local = container.root / "local"
        self.outside = container.root / "outside"
        self.outside.mkdir()
        (self.outside / "precious").write_text("kept")
        program = container.root / "spark" / "bin" / "spark-class"
        program.write_text(SHUFFLE.format(python=sys.executable))
        self.environ = {"SPARKQFS_STORAGE": "shared", "SPARKQFS_CLUSTER_ID": "", "FAKE_OUTSIDE": str(self.outside)}

    def start(self) -> tuple[subprocess.Popen[str], int, Path]:
        """A worker in a shuffle: its supervisor, the daemon's pid, its scratch directory."""
        process = self.container.start("worker-node", **self.environ)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("shuffles"):
                _, pid, place = line.split()
                return process, int(pid), Path(place)
        raise AssertionError(f"the worker ended with {process.wait()}")

    def names(self) -> set[str]:
        """What is in the directory."""
        return {path.name for path in self.local.iterdir()}


def kill(process: subprocess.Popen[str], daemon: int) -> None:
    """As the kernel ends a container: PID 1 and, for that, all others."""
    process.kill()
    os.kill(daemon, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(Container(tmp_path))


@contextlib.contextmanager
def running(node: Node) -> Iterator[Path]:
    """A container that runs meanwhile; its scratch directory."""
    process, daemon, place = node.start()
    try:
        yield place
    finally:
        kill(process, daemon)


def test_a_worker_killed_ten_times_in_a_shuffle_leaves_nothing_and_a_living_one_keeps_its_own(node: Node) -> None:
    with running(node) as mine:
        places = set()
        for _ in range(10):
            process, daemon, place = node.start()
            kill(process, daemon)
            places.add(place)
        assert len(places) == 10, "each container has a directory of its own"
        process, daemon, place = node.start()
        until(lambda: node.names() == {mine.name, place.name})
        assert (mine / "spark-1/executor-2/blockmgr-3/0c/shuffle_0_0_0.data").stat().st_size == 100_000
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()
        assert node.names() == {mine.name}, "one that is stopped takes its own away itself"
    assert (node.outside / "precious").read_text() == "kept"


def test_what_a_dead_container_left_goes_while_another_one_runs(node: Node) -> None:
    node.environ["SPARKQFS_TIDY_S"] = "0.2"
    with running(node) as mine:
        process, daemon, _ = node.start()
        kill(process, daemon)
        until(lambda: node.names() == {mine.name})


def test_a_disk_that_a_dead_container_has_filled_is_freed_before_the_start(node: Node, tmp_path: Path) -> None:
    node.local.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nr_inodes=40", "tmpfs", node.local], capture_output=True
    ).returncode:
        pytest.skip("no mounts here")
    try:
        process, daemon, place = node.start()
        kill(process, daemon)
        with contextlib.suppress(OSError):
            for number in range(100):
                (place / f"{number}").touch()
        with pytest.raises(OSError, match="No space left"):
            (node.local / "new").mkdir()
        with running(node) as mine:
            until(lambda: node.names() == {mine.name})
    finally:
        subprocess.run(["umount", "--lazy", node.local], check=True)


def test_what_is_not_ours_stays(node: Node) -> None:
    node.local.mkdir()
    for name in ("blockmgr-of-an-earlier-version", "spark-1", "file"):
        (node.local / name).mkdir()
    with running(node) as mine:
        until(lambda: (mine / "spark-1").is_dir())
        time.sleep(0.3)
        assert node.names() == {"blockmgr-of-an-earlier-version", "spark-1", "file", mine.name}


def test_a_lock_is_seen_through_another_mount_and_ends_with_the_process(tmp_path: Path) -> None:
    """As two containers see it: the directory mounted elsewhere, in a namespace of its own."""
    program = """
import pathlib, sys, time
sys.path.append(sys.argv[1])
from sparkqfs_runtime import scratch
print(*scratch.enter([pathlib.Path(sys.argv[2])], "worker"), flush=True)
time.sleep(600)
"""
    inside = tmp_path / "inside"
    (tmp_path / "local").mkdir()
    inside.mkdir()
    shell = f'mount --bind {tmp_path}/local {inside} && exec {sys.executable} -I -c "$1" {RUNTIME} {inside}'
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", program]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stderr is not None
    with holder.stdout, holder.stderr:
        place = holder.stdout.readline().strip()
        if not place:
            pytest.skip(f"no mounts here: {holder.stderr.read().strip()}")
        look = f"import pathlib, sys; sys.path.append('{RUNTIME}'); from sparkqfs_runtime import scratch"
        look += f"; print(scratch.tidy(pathlib.Path('{tmp_path}/local')))"

        def tidied() -> str:
            return subprocess.run([sys.executable, "-I", "-c", look], capture_output=True, text=True, check=True).stdout

        assert tidied() == "[]\n"
        holder.kill()
        holder.wait()
        assert tidied() == f"['{Path(place).name}']\n"
        assert list((tmp_path / "local").iterdir()) == []
