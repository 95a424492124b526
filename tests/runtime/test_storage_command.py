"""`storage` and its short names as in a container: the standard library only, exit codes, both ways of starting."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from sparkqfs import topology
from sparkqfs.clients.context import make_context, tar_of
from tests.builders.clusters import a_cluster
from tests.paths import FILE_SERVER


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files as the Dockerfile lays them out, on a storage of plain files; a Python without site-packages."""
    top = tmp_path / "opt"
    with tar_of(make_context(a_cluster(), topology.WORKER_NODE, None)) as file, tarfile.open(fileobj=file) as tar:
        members = [member for member in tar if member.name.startswith(("sparkqfs/", "runtime/"))]
        tar.extractall(tmp_path / "context", members, filter="data")
    shutil.move(tmp_path / "context" / "runtime", top)
    shutil.move(tmp_path / "context" / "sparkqfs", top / "sparkqfs")
    for name in ("sls", "sput", "sget", "srm", "sdu"):
        (top / "bin" / name).symlink_to("storage")
    python = shlex.quote(sys.executable)
    (top / "bin" / "python3").write_text(f'#!/bin/sh\nexec {python} -S "$@"\n')
    (top / "bin" / "file-server").write_text(f'#!/bin/sh\nexec {python} -I {shlex.quote(str(FILE_SERVER))} "$@"\n')
    for path in (top / "bin").iterdir():
        path.chmod(0o755)
    (tmp_path / "storage").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "env").write_text(f"SPARKQFS_ROOT=file://{tmp_path}/storage\nNODE_IP=127.0.0.1\n")
    return top


def call(image: Path, name: str, *words: str, stdin: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    path = f"{image / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "SPARKQFS_RUN_DIR": str(image.parent / "run"), "LANG": "C.UTF-8", **more}
    argv = [str(image / "bin" / name), *words]
    return subprocess.run(argv, input=stdin, env=environment, capture_output=True, timeout=60, cwd=image.parent)


def test_the_short_names_do_what_the_tasks_do(image: Path) -> None:
    payload = os.urandom(300_000)
    (image.parent / "file").write_bytes(payload)
    assert b"file to /a/b: changed" in call(image, "sput", "file", "/a/b").stdout
    assert b"file to /a/b: unchanged" in call(image, "sput", "file", "/a/b").stdout
    assert call(image, "sls", "/a").stdout.endswith(b"/a/b\n")
    assert call(image, "sget", "/a/b", "-").stdout == payload
    assert b"300,000" in call(image, "sdu", "/a").stdout
    assert json.loads(call(image, "storage", "ls", "/a", "--json").stdout)["ls"]["bytes"] == 300_000
    assert call(image, "sput", "-", "/a/c", stdin=b"piped").returncode == 0
    assert call(image, "srm", "/a", "-r").returncode == 5
    assert call(image, "srm", "/a", "-r", "--yes").returncode == 0
    assert list((image.parent / "storage").iterdir()) == []


def test_exit_codes_are_the_tasks(image: Path) -> None:
    (image.parent / "file").write_bytes(b"one")
    assert call(image, "sls", "/none").returncode == 2
    assert call(image, "sput", "none", "/x").returncode == 2
    assert call(image, "sput").returncode == 2
    call(image, "sput", "file", "/x")
    (image.parent / "file").write_bytes(b"two")
    refused = call(image, "sput", "file", "/x")
    assert refused.returncode == 5 and b"--overwrite" in refused.stderr and b"Traceback" not in refused.stderr
    assert call(image, "srm", "/tmp", "--yes").returncode == 5
    missing = call(image, "sls", "/none", "--json")
    assert (missing.returncode, json.loads(missing.stdout)["exit_code"], missing.stderr) == (2, 2, b"")
    for word in ("--json", "--dry-run"):
        both = call(image, "sget", "/x", "-", word)
        assert (both.returncode, both.stdout) == (2, b"") and b"standard output" in both.stderr


def test_a_reader_of_a_list_that_has_enough_is_no_error(image: Path) -> None:
    for number in range(3000):
        (image.parent / "storage" / f"a-file-with-a-long-name-{number}").touch()
    environment = {"PATH": f"{image / 'bin'}:{os.environ['PATH']}", "SPARKQFS_RUN_DIR": str(image.parent / "run")}
    script = f"'{image / 'bin' / 'sls'}' / | head -n 1 | wc -l; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == ([b"1", b"0"], b"")


def test_a_reader_that_has_enough_ends_it_quietly_and_at_once(image: Path) -> None:
    (image.parent / "storage" / "big").write_bytes(os.urandom(5_000_000))
    sget, run = image / "bin" / "sget", image.parent / "run"
    script = f"'{sget}' /big - | head -c 10 | wc -c; echo ${{PIPESTATUS[0]}}"
    environment = {"PATH": f"{image / 'bin'}:{os.environ['PATH']}", "SPARKQFS_RUN_DIR": str(run), "LANG": "C.UTF-8"}
    started = time.monotonic()
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == ([b"10", b"0"], b"")
    assert time.monotonic() - started < 10  # as long as a server has that is to end by itself


def test_a_shell_that_has_the_environment_already_needs_no_file(image: Path) -> None:
    (image.parent / "run" / "env").unlink()
    assert call(image, "sls", "/").returncode == 75
    root = f"file://{image.parent}/storage"
    assert call(image, "sls", "/", SPARKQFS_ROOT=root, NODE_IP="127.0.0.1").stdout == b"/ is empty\n"


def test_a_full_disk_is_said_in_one_line_and_nobody_to_read_progress_stops_no_work(image: Path) -> None:
    (image.parent / "storage" / "here").write_bytes(b"one")
    (image.parent / "file").write_bytes(os.urandom(300_000))
    environment = {"PATH": f"{image / 'bin'}:{os.environ['PATH']}", "SPARKQFS_RUN_DIR": str(image.parent / "run")}

    def run(line: str) -> tuple[list[bytes], bytes]:
        """Its output, exit code last, and what it said on standard error."""
        words = f"cd {shlex.quote(str(image.parent))}; {line}; echo $?"
        done = subprocess.run(["bash", "-c", words], env=environment, capture_output=True, timeout=60)
        return done.stdout.split(), done.stderr

    full = b"standard output: No space left on device\n"
    for line in ("sls /", "sls / --json", "sls --help", "sdu /"):
        assert run(f"{line} >/dev/full") == ([b"1"], full), line
    code, said = run("sget /here - >/dev/full")
    assert code == [b"1"] and full.strip() in said and b"Traceback" not in said and b"ignored" not in said
    assert run("sls /none 2>/dev/full")[0] == [b"2"]
    for number, way in enumerate(("2>/dev/full", ">/dev/full 2>&1", "2>&-", ">&- 2>&-", "2>&1 | head -0")):
        run(f"sput file /copy{number} {way}")
        assert (image.parent / "storage" / f"copy{number}").stat().st_size == 300_000, way
