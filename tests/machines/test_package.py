"""The wheel, installed into a directory of its own, without the clone: it has all that the tasks need.

The libraries are those of this Python, but its .pth files, which name the clone, are not read (`-S`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from sparkqfs import __version__
from sparkqfs.archives import files
from sparkqfs.tree import IS_INSTALLED, TREE
from tests.paths import ROOT

LIBRARIES = sysconfig.get_path("purelib")
TOP = ("docker", "runtime", "stack", "notebooks")
OURS = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"
CONTEXTS = """\
import json
from pathlib import Path
from sparkqfs import topology, tree
from sparkqfs.clients.context import StorageParts, make_context, packages_context, tar_of, templates
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.local.images import node_tag
node = NodeConfig(name="node1", address="192.168.1.11", advertise="192.168.1.11", manager=True)
config = ClusterConfig(file=Path("hosts.yml"), nodes=(node,))
parts = StorageParts("qfs 0")
found = {
    folder.name: make_context(config, folder.name, parts).digest for folder in sorted((tree.TREE / "docker").iterdir())
}
found |= {"packages": packages_context(config).digest, "templates": templates(), "node": node_tag("0", "bind")}
print(json.dumps({"package": str(tree.PACKAGE), "found": found}))
"""
PROBLEM = """\
from sparkqfs.errors import Problem
from sparkqfs.report.reporter import Reporter
Reporter().problems([Problem(what="it is missing", hint="`invoke up` makes it")])
"""
BUILD = """\
import json, pathlib, pytest, contextlib, sys
import sparkqfs
from tests.doubles.document_cases import CASES
from tests.doubles.documents import Place, emitted
with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
    place = Place(pathlib.Path(), patch, stack)
    print(json.dumps([sparkqfs.__file__, emitted("build", CASES["build"]["planned"], place)]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip would build it; a warning of any kind ends the build."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-W", "error", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "warning" not in (done.stdout + done.stderr).lower(), done
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip makes of it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", str(folder), str(wheel)], capture_output=True, timeout=120, check=True)
    return folder


def ran(
    folder: Path, here: Path, command: Sequence[str], *more: Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Python with the package of a folder, in an empty directory."""
    paths = [str(folder), LIBRARIES, *map(str, more)]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "INVOKE_", "PYTHON"))}
    env |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    python = [sys.executable, "-S", "-P", *command]
    return subprocess.run(python, cwd=here, env=env, capture_output=True, text=True, timeout=120, check=check)


def command(folder: Path, here: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The installed program `sparkqfs`."""
    return ran(folder, here, [str(folder / "bin" / "sparkqfs"), *words], check=check)


def contents(package: Path) -> dict[str, object]:
    """What the images are made from, and their digests, as a package sees them."""
    answer = json.loads(ran(package, package, ["-c", CONTEXTS]).stdout)
    assert answer["package"] == str(package / "sparkqfs")
    found: dict[str, object] = answer["found"]
    return found


def test_the_clone_is_not_taken_for_an_installed_wheel() -> None:
    assert not IS_INSTALLED and TREE == ROOT
    assert not (ROOT / "sparkqfs" / "_tree").exists()


def test_the_program_has_all_tasks_in_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    here = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()",
            "--list",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed = command(installed, tmp_path, "--list").stdout
    assert "backup.verify" in listed and listed == here.stdout
    assert command(installed, tmp_path, "--version").stdout == f"sparkqfs {__version__}\n"
    assert "--dry-run" in command(installed, tmp_path, "build", "--help").stdout
    assert list(tmp_path.iterdir()) == []


def test_pages_that_messages_name_are_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages == {path.name for path in (installed / "sparkqfs" / "_tree" / "docs").iterdir()}
    assert "\n  sparkqfs help docs/files.md\n" in command(installed, tmp_path, "put", "--help").stdout
    shown = command(installed, tmp_path, "help", "docs/files.md").stdout
    assert shown.startswith("# Files on the storage\n") and "sparkqfs put " in shown and "invoke put " not in shown
    wrong = command(installed, tmp_path, "help", "docs/decisions/0001-invoke-and-fabric.md", check=False)
    assert wrong.returncode == 2 and "the repository only" in wrong.stderr, wrong


def test_a_task_of_the_user_of_the_same_name_is_not_taken_for_ours(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("raise SystemExit('not ours')\n")
    assert "init-qfs" in command(installed, tmp_path, "--list").stdout


def test_a_missing_cluster_file_is_an_error_of_one_line_or_two(installed: Path, tmp_path: Path) -> None:
    done = command(installed, tmp_path, "build", "--dry-run", check=False)
    assert done.returncode == 2 and done.stderr.startswith("sparkqfs.yml: "), done


def test_the_images_have_the_same_tags_from_the_wheel_and_from_the_clone(installed: Path) -> None:
    of_the_wheel = contents(installed)
    assert len(of_the_wheel) >= 10
    assert of_the_wheel == contents(ROOT)


def test_an_installer_that_drops_modes_changes_no_tag(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)  # keeps no mode
    programs = tmp_path / "sparkqfs" / "_tree" / "runtime" / "bin"
    assert not [path for path in programs.iterdir() if os.access(path, os.X_OK)]
    assert contents(tmp_path) == contents(ROOT)


def test_modes_of_programs_are_in_the_wheel_and_are_those_of_git(installed: Path) -> None:
    tree = installed / "sparkqfs" / "_tree"
    for name in TOP:
        found = {path: mode for path, _, mode in files(tree / name, tree)}
        assert found and found == {path: mode for path, _, mode in files(ROOT / name, ROOT)}
        for path, mode in found.items():
            for top in (ROOT, tree):
                assert bool((top / path).stat().st_mode & 0o111) is (mode == 0o755), f"{top}: {path}"


def test_build_dry_run_finds_every_context(installed: Path, tmp_path: Path) -> None:
    done = ran(installed, tmp_path, ["-c", BUILD], ROOT)  # the clone comes last, for the doubles of the tests
    file, (code, document) = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed) and code == 0
    planned = {one["subject"]: one["state"] for one in document["outcomes"]}
    assert planned == dict.fromkeys(("worker-node", "qfs-master", "spark-master", "jupyter-server"), "planned")


def test_what_the_installed_program_says_names_commands_that_are_there(installed: Path, tmp_path: Path) -> None:
    """Here `invoke` would find no tasks; in the clone it does."""
    assert "`sparkqfs up`" in ran(installed, tmp_path, ["-c", PROBLEM]).stderr
    assert "`invoke up`" in ran(ROOT, tmp_path, ["-c", PROBLEM]).stderr


def test_the_wheel_has_nothing_beside_the_package(wheel: Path) -> None:
    """`pip` would put a `tasks.py` or a `docker` of the top level among everybody's libraries."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"sparkqfs", f"sparkqfs-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or "/." in name]
    sources = {path for path in (ROOT / "sparkqfs").rglob("*") if path.suffix in (".py", ".sh", ".json")}
    ours = {path.relative_to(ROOT).as_posix() for path in sources}
    top = {f"sparkqfs/_tree/{name}" for name in ("tasks.py", "hosts.yml")}
    assert ours | top == {
        name for name in names if name.startswith("sparkqfs/") and not is_in_a_folder_of_the_top(name)
    }


def is_in_a_folder_of_the_top(name: str) -> bool:
    return name.startswith(tuple(f"sparkqfs/_tree/{folder}/" for folder in (*TOP, "docs")))


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"sparkqfs-{__version__}.dist-info/METADATA"))


def test_the_metadata_are_whole(wheel: Path) -> None:
    said = metadata(wheel)
    assert (said["Name"], said["Version"], said["Requires-Python"]) == ("sparkqfs", __version__, ">=3.11")
    assert (said["License-Expression"], said["License-File"]) == ("Apache-2.0", "LICENSE")
    assert said["Summary"] and said["Keywords"] and said["Description-Content-Type"] == "text/markdown"
    assert "Operating System :: POSIX :: Linux" in said.get_all("Classifier", [])
    assert str(said.get_payload()).startswith("# sparkqfs\n")


def test_an_archive_of_the_sources_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path)]
    subprocess.run([*build, "--target", "sdist"], cwd=ROOT, capture_output=True, timeout=120, check=True)
    [sources] = tmp_path.iterdir()
    subprocess.run(["tar", "-xzf", str(sources), "-C", str(tmp_path)], timeout=60, check=True)
    [unpacked] = [path for path in tmp_path.iterdir() if path.is_dir()]
    subprocess.run([*build, "--target", "wheel"], cwd=unpacked, capture_output=True, timeout=120, check=True)
    [again] = tmp_path.glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()
