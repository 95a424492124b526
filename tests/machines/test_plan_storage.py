"""plan/storage: the shell lines that make the first directories, run for real against a stand-in for the file tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sparkqfs.config.model import StorageConfig
from sparkqfs.plan.storage import backend_of
from tests.builders.clusters import a_cluster

DIRECTORIES = ("/user", "/user/spark", "/tmp", "/history", "/history/spark-events", "/warehouse")
HDFS = """#!/bin/sh
# `hdfs dfs` on a local directory; every start is one line in calls.
root={root}
echo "$*" >> {root}.calls
shift
case $1 in
  -ls) shift 2; rc=0; for p in "$@"; do [ -d "$root$p" ] && echo "drwxr-xr-x - u g 0 now $p" || rc=1; done; exit $rc;;
  -mkdir) shift 2; for p in "$@"; do mkdir -p "$root$p"; done;;
  -chmod) mode=$2; shift 2; for p in "$@"; do chmod "$mode" "$root$p"; done;;
esac
"""


def prepare(folder: Path) -> tuple[list[str], list[str]]:
    """(lines printed, starts of the tool)."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    tool = folder / "hdfs"
    tool.write_text(HDFS.format(root=root))
    tool.chmod(0o755)
    calls = Path(f"{root}.calls")
    calls.unlink(missing_ok=True)
    _, lines = backend_of(a_cluster(storage=StorageConfig(kind="hdfs"))).prepare_commands(a_cluster())
    done = subprocess.run(
        ["sh", "-ec", "\n".join(lines)],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.splitlines(), calls.read_text().splitlines()


def test_hdfs_gets_its_directories_with_their_modes(tmp_path: Path) -> None:
    made, _ = prepare(tmp_path)
    assert made == [f"made {path}" for path in DIRECTORIES]
    modes = {
        path: (tmp_path / "root" / path).stat().st_mode & 0o7777
        for path in ("user/spark", "tmp", "history", "warehouse")
    }
    assert modes == {"user/spark": 0o750, "tmp": 0o1777, "history": 0o755, "warehouse": 0o770}


def test_hdfs_is_asked_once_when_nothing_is_missing(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert prepare(tmp_path) == ([], [f"dfs -ls -d {' '.join(DIRECTORIES)}"])


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "root" / "user" / "spark").chmod(0o700)
    (tmp_path / "root" / "tmp").rmdir()
    assert prepare(tmp_path)[0] == ["made /tmp"]
    assert (tmp_path / "root" / "user" / "spark").stat().st_mode & 0o7777 == 0o700
