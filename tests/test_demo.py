"""./demo and setup.sh with stand-ins for everything that they start."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAY = '#!/bin/sh\necho "{name} $*" >> "$CALLS"\n'


class Place:
    """A directory with the scripts, an environment that is up to date, and programs that note how they are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sparkqfs"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("demo", "setup.sh", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder / name)
        stamp = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        (self.folder / ".venv" / ".stamp").write_text(stamp)
        self.program(self.folder / ".venv" / "bin" / "sparkqfs", SAY.format(name="sparkqfs"))
        self.fetching(0, 0)
        self.program(self.bin / "docker", SAY.format(name="docker"))
        (self.bin / "python3").symlink_to(sys.executable)

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def fetching(self, qfs: int, hdfs: int) -> None:
        """The exit codes of the downloads."""
        text = SAY.format(name="fetch $SPARKQFS_QFS_TARBALL") + f'case "$*" in *hdfs) exit {hdfs};; esac; exit {qfs}\n'
        self.program(self.folder / ".venv" / "bin" / "python", text)

    def run(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SPARKQFS_")}
        return subprocess.run(
            [str(self.folder / "demo"), *arguments],
            cwd=cwd or self.folder,
            env={**clean, "PATH": f"{self.bin}:{os.environ['PATH']}", "CALLS": str(self.calls), **env},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    def called(self, name: str) -> list[str]:
        """How a program was called."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def storage_of(place: Place) -> str:
    up = next(call for call in place.called("sparkqfs") if call.startswith("local.up"))
    return up.split("--storage ")[1].split()[0]


def test_the_demo_runs_on_qfs_where_its_tarball_is_to_be_had(place: Place) -> None:
    done = place.run()
    assert done.returncode == 0 and storage_of(place) == "qfs"
    assert "WITHOUT QFS" not in done.stdout


@pytest.mark.parametrize(("hdfs", "storage"), [(0, "hdfs"), (3, "shared")])
def test_what_cannot_be_had_is_replaced_and_that_is_said(place: Place, hdfs: int, storage: str) -> None:
    place.fetching(3, hdfs)
    done = place.run()
    assert done.returncode == 0 and storage_of(place) == storage
    assert "WITHOUT QFS" in done.stdout


@pytest.mark.parametrize(("qfs", "hdfs"), [(2, 0), (1, 0), (3, 2)])
def test_what_is_wrong_otherwise_ends_the_demo_before_anything_is_made(place: Place, qfs: int, hdfs: int) -> None:
    place.fetching(qfs, hdfs)
    done = place.run()
    assert done.returncode == (hdfs if qfs == 3 else qfs) and place.called("sparkqfs") == []
    assert "failed at" in done.stdout


def test_a_relative_tarball_is_looked_for_where_the_user_is(place: Place, tmp_path: Path) -> None:
    place.run(cwd=tmp_path, SPARKQFS_QFS_TARBALL="mine/qfs.tgz")
    assert place.called("fetch")[0].startswith(f"{tmp_path}/mine/qfs.tgz ")


@pytest.mark.parametrize("name", ["/else/where.tgz", "~/qfs.tgz"])
def test_another_tarballs_path_stays_as_it_is(place: Place, name: str) -> None:
    place.run(SPARKQFS_QFS_TARBALL=name)
    assert place.called("fetch")[0].startswith(f"{name} ")
