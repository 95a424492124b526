"""What we answer "done" for is on the disk: the order of syncs and renames in the system calls of real processes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.jobs.programs.drivers import MARK_SCRIPT
from sparkqfs.jobs.programs.submit import SEND_SCRIPT
from sparkqfs.plan.programs.apps import FOLDER
from sparkqfs.plan.steps import make_directory, script_of, write_file
from tests.doubles.traces import calls
from tests.paths import RUNTIME

PROGRAMS = {
    "a file that get brings": (
        "from sparkqfs.files.local import Part\n"
        "part = Part(Path('target/x'), lambda _: None); part.write(b'a')\n"
        f"part.finish('{hashlib.sha256(b'a').hexdigest()}', overwrite=False); part.close()",
        r"fsync \.sparkqfs-part-\w+ rename x fsync target",
    ),
    "a result": ("durable.write_file(Path('target/x'), b'a')", "fsync x fsync target"),
    "a file of the local cluster": (
        "durable.replace_file(Path('target/x'), b'a', 0o600)",
        r"fsync \.x\.part rename x fsync target",
    ),
    "a downloaded file": (
        "Path('target/part').write_bytes(b'a'); durable.name_file(Path('target/part'), Path('target/x'))",
        "fsync part rename x fsync target",
    ),
    "a host key": ("durable.append(Path('target/x'), 'a')", "fsync x fsync target"),
    "directories": ("durable.make_directories(Path('target/a/b'))", "fsync target fsync a"),
    "a program's end": (
        "Path('target/stdout').touch()\n"
        f"import sys; sys.path.append({str(RUNTIME)!r})\n"
        "from sparkqfs_runtime.supervise.driver import keep_end; keep_end(Path('target'), 3, 'ended')",
        r"fsync stdout fsync \.exit\.part rename exit fsync target",
    ),
    "a new file system": (
        "Path('target/logs').mkdir(); Path('target/logs/log').touch()\n"
        f"import sys; sys.path.append({str(RUNTIME)!r})\n"
        "from sparkqfs_runtime.supervise.disks import sync_tree; sync_tree(Path('target'))",
        "fsync target fsync log fsync logs",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_file_of_ours_is_synced_before_its_name_and_its_name_before_the_answer(name: str, tmp_path: Path) -> None:
    program, wanted = PROGRAMS[name]
    (tmp_path / "target").mkdir()
    text = f"from pathlib import Path\nfrom sparkqfs import durable\n{program}\n"
    found = calls(tmp_path / "trace", [sys.executable, "-c", text], cwd=tmp_path)
    assert re.fullmatch(wanted, " ".join(found)), found


def test_a_marker_or_a_secret_on_a_node(tmp_path: Path) -> None:
    path = PurePosixPath(tmp_path) / ".cluster-id"
    step = write_file("node1", path, "id\n", uid=0, gid=0, mode=0o444, what="marker", why="missing")
    script = script_of((step,)).replace("chown ", ": ")
    found = calls(tmp_path / "trace", ["sh", "-c", script])
    assert found[:3] == ["fsync .cluster-id.new", "rename .cluster-id", f"fsync {tmp_path.name}"]


def test_directories_on_a_node_down_from_the_first_that_was_missing(tmp_path: Path) -> None:
    path = PurePosixPath(tmp_path) / "disk" / "qfs" / "chunk"
    step = make_directory("node1", path, uid=0, gid=0, mode=0o750, why="missing")
    found = calls(tmp_path / "trace", ["sh", "-c", script_of((step,)).replace("chown ", ": ")])
    assert {f"fsync {name}" for name in ("chunk", "qfs", "disk", tmp_path.name)} <= set(found)


def test_a_script_ends_when_the_marker_cannot_be_named(tmp_path: Path) -> None:
    """A list of commands with `&&` would hide that from `set -e`."""
    (tmp_path / "marker").mkdir()
    (tmp_path / "marker" / "marker.new").mkdir()
    path = PurePosixPath(tmp_path) / "marker"
    step = write_file("node1", path, "id\n", uid=0, gid=0, mode=0o444, what="marker", why="missing")
    script = script_of((step,)).replace("chown ", ": ")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "done" not in done.stdout


def test_what_a_submission_consists_of(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text("{}")
    parcel = subprocess.run(("tar", "-C", str(tmp_path), "-cf", "-", "app.json"), check=True, capture_output=True)
    found = calls(tmp_path / "trace", ["sh", "-c", SEND_SCRIPT, "sh", "s"], cwd=tmp_path, input=parcel.stdout)
    assert {f"fsync {name}" for name in ("app.json", "s", FOLDER.rsplit("/", 1)[-1], tmp_path.name)} <= set(found)


def test_the_end_that_kill_writes_down(tmp_path: Path) -> None:
    (tmp_path / FOLDER / "s").mkdir(parents=True)
    found = calls(tmp_path / "trace", ["sh", "-c", MARK_SCRIPT, "sh", "s", "143 stopped"], cwd=tmp_path)
    assert found == ["fsync exit", "fsync s"]
    assert (tmp_path / FOLDER / "s" / "exit").read_text() == "143 stopped\n"
