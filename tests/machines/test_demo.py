"""./demo and setup.sh with stand-ins for everything that they start."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

SAY = '#!/bin/sh\necho "{name} $*" >> "$CALLS"\n'


class Place:
    """A directory with the scripts, an environment that is up to date, and programs that note how they are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sparkqfs"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("demo", "test", "setup.sh", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder / name)
        stamp = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        (self.folder / ".venv" / ".stamp").write_text(stamp)
        self.program(self.folder / ".venv" / "bin" / "pip", "#!/bin/sh\n")
        self.program(self.folder / ".venv" / "bin" / "sparkqfs", SAY.format(name="sparkqfs"))
        self.fetching(0, 0)
        for name in (
            "docker",
            "dockerd",
            "setsid",
            "systemctl",
            "apt-get",
        ):  # nothing real is ever installed or started
            self.program(self.bin / name, SAY.format(name=name))
        (self.bin / "python3").symlink_to(sys.executable)

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def fetching(self, qfs: int, hdfs: int) -> None:
        """The exit codes of the downloads."""
        text = SAY.format(name="fetch $SPARKQFS_QFS_TARBALL") + f'case "$*" in *hdfs) exit {hdfs};; esac; exit {qfs}\n'
        self.program(self.folder / ".venv" / "bin" / "python", text)

    def run(
        self, *arguments: str, cwd: Path | None = None, script: str = "demo", **env: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SPARKQFS_")}
        return subprocess.run(
            [str(self.folder / script), *arguments],
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


@pytest.mark.parametrize(("storage", "fetched"), [("qfs", ["qfs"]), ("hdfs", ["hdfs"]), ("shared", [])])
def test_a_storage_that_was_chosen_is_the_one_that_is_used(place: Place, storage: str, fetched: list[str]) -> None:
    done = place.run(STORAGE=storage)
    assert done.returncode == 0 and storage_of(place) == storage
    assert [call.split()[-1] for call in place.called("fetch")] == fetched
    assert "WITHOUT QFS" not in done.stdout and "!!" not in done.stdout


@pytest.mark.parametrize("storage", ["qfs", "hdfs"])
def test_a_storage_that_was_chosen_is_never_replaced(place: Place, storage: str) -> None:
    place.fetching(3, 3)
    done = place.run(STORAGE=storage)
    assert done.returncode == 3 and place.called("sparkqfs") == []
    assert "failed at" in done.stdout


@pytest.mark.parametrize("kind", ["qfs", "hdfs", "shared"])
def test_a_demo_that_is_there_keeps_its_storage(place: Place, kind: str) -> None:
    line = "" if kind == "qfs" else f"storage:\n  kind: {kind}\n"
    (place.folder / "hosts.demo.yml").write_text(f"nodes:\n  node1: 192.168.1.11\n{line}")
    again = place.run()
    assert again.returncode == 0 and storage_of(place) == kind and "WITHOUT QFS" not in again.stdout
    other = "hdfs" if kind == "qfs" else "qfs"
    done = place.run(STORAGE=other)
    assert done.returncode == 2 and f"has the storage {kind}: ./demo --down first" in done.stderr
    assert place.run("--down", STORAGE="nonsense").returncode == 0


def test_a_storage_that_does_not_exist_is_a_wrong_command_line(place: Place) -> None:
    done = place.run(STORAGE="ceph")
    assert done.returncode == 2 and not place.calls.exists()
    assert done.stderr == "STORAGE is 'ceph': qfs, hdfs or shared\n"


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


def test_each_download_has_its_own_line_with_its_time(place: Place) -> None:
    place.fetching(3, 0)
    lines = place.run().stdout.splitlines()
    assert any("QFS's tarball (exit 3)" in line for line in lines)
    assert any(line.endswith(" s  Hadoop's jars") for line in lines)


# --- ./demo --down --------------------------------------------------------------------------------


def test_down_without_an_engine_installs_and_starts_nothing(place: Place) -> None:
    place.program(place.bin / "docker", "#!/bin/sh\nexit 1\n")
    done = place.run("--down")
    assert done.returncode == 0 and "nothing was removed" in done.stdout
    assert not place.calls.exists()


def test_down_says_that_a_cluster_is_left_when_its_engine_does_not_answer(place: Place) -> None:
    place.program(place.bin / "docker", "#!/bin/sh\nexit 1\n")
    (place.folder / "hosts.demo.yml").write_text("")
    done = place.run("--down")
    assert done.returncode == 2 and "./demo --down again" in done.stderr


def test_down_removes_the_cluster_and_says_what_stays(place: Place) -> None:
    text = SAY.format(name="docker") + "case $1 in images) echo sparkqfs-local/node:1234;; esac\n"
    place.program(place.bin / "docker", text)
    done = place.run("--down")
    assert done.returncode == 0 and place.called("sparkqfs") == ["local.down --name demo --file hosts.demo.yml"]
    assert "docker rmi sparkqfs-local/node:1234" in done.stdout


def test_down_passes_a_failure_on(place: Place) -> None:
    place.program(place.folder / ".venv" / "bin" / "sparkqfs", "#!/bin/sh\nexit 5\n")
    assert place.run("--down").returncode == 5


# --- setup.sh -------------------------------------------------------------------------------------

TOOLS = ("bash", "sh", "sha256sum", "cut", "cat", "sleep", "grep", "rm", "dirname", "readlink", "env")


class Computer:
    """setup.sh on a computer with nothing but the programs that a test names, for a user who is not root."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.bin = place.folder.parent / "few"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.has("id", 'case "$1" in -u) echo 1000;; *) echo ann;; esac')
        self.has("ssh-keygen")

    def has(self, name: str, text: str = "exit 0") -> None:
        (self.bin / name).unlink(missing_ok=True)
        self.place.program(self.bin / name, f"#!{shutil.which('sh')}\n{text}\n")

    def does(self, function: str, *, systemd: bool = False) -> subprocess.CompletedProcess[str]:
        script = f". ./setup.sh\nhas_systemd() {{ {'true' if systemd else 'false'}; }}\n{function}"
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.place.folder,
            env={"PATH": str(self.bin), "CALLS": str(self.place.calls)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )


@pytest.fixture
def computer(place: Place) -> Computer:
    return Computer(place)


REFUSED = 'echo "Got permission denied while trying to connect to the Docker daemon socket" >&2; exit 1'
NO_DAEMON = 'echo "Cannot connect to the Docker daemon. Is the docker daemon running?" >&2; exit 1'


def test_an_engine_that_answers_is_enough(computer: Computer) -> None:
    computer.has("docker")
    assert computer.does("setup_engine").returncode == 0


def test_without_an_engine_a_user_is_told_what_to_install(computer: Computer) -> None:
    done = computer.does("setup_engine")
    assert done.returncode == 2
    assert "sudo apt-get install docker.io" in done.stderr and "sudo usermod -aG docker ann" in done.stderr


@pytest.mark.parametrize("systemd", [True, False])
def test_a_user_who_may_not_use_the_engine_is_told_so(computer: Computer, systemd: bool) -> None:
    computer.has("docker", REFUSED)
    computer.has("dockerd")
    done = computer.does("setup_engine", systemd=systemd)
    assert done.returncode == 2
    assert "sudo usermod -aG docker ann" in done.stderr and "log in again" in done.stderr
    assert "start" not in done.stderr


@pytest.mark.parametrize(
    ("systemd", "told"), [(True, "sudo systemctl start docker"), (False, "sudo service docker start")]
)
def test_a_user_whose_engine_does_not_run_is_told_how_to_start_it_and_does_not_wait(
    computer: Computer, systemd: bool, told: str
) -> None:
    computer.has("docker", NO_DAEMON)
    computer.has("dockerd")
    computer.has("sleep", "exit 1")
    done = computer.does("set -e; setup_engine", systemd=systemd)
    assert done.returncode == 2 and told in done.stderr and "usermod" not in done.stderr


def test_an_old_python_is_named_with_where_a_newer_one_is(computer: Computer) -> None:
    computer.has("python3", 'case "$2" in *exit*) exit 1;; *) echo 3.10.12;; esac')
    done = computer.does("setup_python")
    assert done.returncode == 2
    for words in ("3.10.12", "Debian 12", "Ubuntu 24.04", "sudo apt-get install python3.11 python3.11-venv"):
        assert words in done.stderr


def test_a_newer_python_beside_an_old_one_is_used(computer: Computer) -> None:
    computer.has("python3", "exit 1")
    computer.has("python3.12", 'echo "python3.12 $*" >> "$CALLS"; mkdir -p .venv/bin')
    (computer.bin / "mkdir").symlink_to(str(shutil.which("mkdir")))
    (computer.place.folder / ".venv" / "bin" / "pip").unlink()  # as in one that broke off while it was made
    assert computer.does("setup_python").returncode == 0
    assert any("-m venv --clear .venv" in call for call in computer.place.called("python3.12"))


@pytest.mark.parametrize(("missing", "package"), [("python3", "python3-venv"), ("ssh-keygen", "openssh-client")])
def test_a_user_is_told_which_package_is_missing(computer: Computer, missing: str, package: str) -> None:
    computer.has("python3")
    (computer.bin / missing).unlink()
    done = computer.does("setup_python")
    assert done.returncode == 2 and "sudo apt-get install" in done.stderr and package in done.stderr


def calls_of_test(
    tmp_path: Path, *arguments: str, ends: str = "exit 0"
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """`./test`, and how it called pytest; `ends` is what pytest does then."""
    place = Place(tmp_path)
    for name in ("ruff", "mypy"):
        place.program(place.folder / ".venv" / "bin" / name, "#!/bin/sh\n")
    for name in ("nproc", "shellcheck", "javac", "chromium", "chromedriver", "sshd"):
        place.program(place.bin / name, "#!/bin/sh\necho 2\n")
    place.program(place.folder / ".venv" / "bin" / "python", SAY.format(name="python") + ends + "\n")
    done = place.run(*arguments, script="test")
    calls = place.calls.read_text().splitlines() if place.calls.exists() else []
    return done, [line.removeprefix("python -m pytest ") for line in calls if line.startswith("python ")]


COMMON = "-p tests.outcomes --durations=40 -n 4 --dist loadscope"
PARTS = [f"-p tests.outcomes --durations=40 --part {part}" for part in ("qfs", "hdfs", "shared", "soak")]


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        ((), [COMMON]),
        (("-k", "two words"), [f"{COMMON} -k two words"]),
        (("--all", "hdfs"), [PARTS[1]]),
        (("--all", "soak", "-x"), [f"{PARTS[3]} -x"]),
        (("--all",), [COMMON, *PARTS]),
        (("--all", "-x"), [f"{call} -x" for call in (COMMON, *PARTS)]),
    ],
)
def test_all_of_the_tests_can_be_run_part_by_part(tmp_path: Path, arguments: tuple[str, ...], calls: list[str]) -> None:
    done, called = calls_of_test(tmp_path, *arguments)
    assert (done.returncode, called) == (0, calls), done.stderr


def test_one_part_that_fails_does_not_hold_up_the_others_and_is_the_exit_code(tmp_path: Path) -> None:
    done, called = calls_of_test(tmp_path, "--all", ends='case "$*" in *hdfs*) exit 1;; esac; exit 0')
    assert (done.returncode, called) == (1, [COMMON, *PARTS])


ONCE_MORE = "python -m tests.once_more"
SAYS = "mkdir -p results; echo UNSTEADY: one >results/unsteady.txt; exit 0"


@pytest.mark.parametrize(
    ("arguments", "ends", "code", "more"),
    [
        ((), "exit 0", 0, []),
        ((), f'case "$*" in *once_more) {SAYS};; esac; exit 1', 0, [ONCE_MORE]),
        ((), "exit 1", 1, [ONCE_MORE]),
        ((), "exit 2", 2, []),
        (("-x",), "exit 1", 1, []),
        (("--all",), f'case "$*" in *once_more) {SAYS};; *--part*) exit 0;; esac; exit 1', 0, [ONCE_MORE]),
        (("--all", "hdfs"), "exit 1", 1, []),
    ],
)
def test_what_failed_among_all_tests_is_tried_once_more(
    tmp_path: Path, arguments: tuple[str, ...], ends: str, code: int, more: list[str]
) -> None:
    done, called = calls_of_test(tmp_path, *arguments, ends=ends)
    assert (done.returncode, [call for call in called if "once_more" in call]) == (code, more)
    assert done.stdout.endswith("\nUNSTEADY: one\n") is bool(more and code == 0), "it is the last line"


def test_a_part_that_does_not_exist_is_a_wrong_command_line(tmp_path: Path) -> None:
    done, called = calls_of_test(tmp_path, "--all", "nfs")
    assert (done.returncode, called) == (2, [])
    assert "--all [qfs | hdfs | shared | soak]" in done.stderr
