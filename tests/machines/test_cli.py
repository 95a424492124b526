"""The command line as a user types it, in a process of its own: exit codes, messages, no tracebacks."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.servers import Sshd, closed_port, sshd
from tests.paths import DATA, ROOT

DEAD = """\
cluster: dead
nodes: {{node1: 127.0.0.1}}
ssh: {{port: {port}, user: root, known_hosts: known}}
timeouts: {{connect: 2s}}
"""


def call(folder: Path, program: list[str], arguments: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run in `folder` with nothing of this process's settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARKQFS_", "INVOKE_")) and k != "SSH_AUTH_SOCK"}
    return subprocess.run(
        [*program, "--search-root", str(ROOT), *arguments],
        cwd=folder,
        env={**clean, **env},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def invoke(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return call(folder, [sys.executable, "-m", "invoke"], list(arguments), **env)


def sparkqfs(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARKQFS_", "INVOKE_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**clean, **env},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


PROGRAMS = [invoke, sparkqfs]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with good, bad and dead cluster files."""
    (tmp_path / "dead.yml").write_text(DEAD.format(port=closed_port()))
    (tmp_path / "bad.yml").write_text("nodes: {node1: 192.168.1.11}\nssh:\n  port: 99999\n")
    return tmp_path


def together(folder: Path, *commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """Several command lines at the same time."""
    with ThreadPoolExecutor(max_workers=len(commands)) as pool:
        return list(pool.map(lambda command: invoke(folder, *command, SPARKQFS_HOSTS="dead.yml"), commands))


def plain(done: subprocess.CompletedProcess[str]) -> None:
    """No traceback and no control codes, whatever happened."""
    for text in (done.stdout, done.stderr):
        assert "Traceback" not in text and "\x1b" not in text


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_fault_in_the_cluster_file_is_one_line_with_its_place_and_exit_code_2(program: Any, folder: Path) -> None:
    done = program(folder, "doctor", "--hosts", "bad.yml")
    plain(done)
    faults = [line for line in done.stderr.splitlines() if line.startswith("bad.yml:3: ssh.port: ")]
    assert len(faults) == 1 and done.stdout == ""
    assert done.returncode == 2


def test_a_cluster_file_that_is_not_there_says_how_to_name_one(folder: Path) -> None:
    done = invoke(folder, "prep")
    plain(done)
    assert done.returncode == 2
    assert done.stderr.startswith("sparkqfs.yml: cannot be read") and "--hosts" in done.stderr


def test_the_cluster_file_can_be_named_in_the_environment_and_the_flag_wins(folder: Path) -> None:
    assert invoke(folder, "prep", SPARKQFS_HOSTS="bad.yml").stderr.startswith("bad.yml:3:")
    assert invoke(folder, "prep", "--hosts", "none.yml", SPARKQFS_HOSTS="bad.yml").stderr.startswith("none.yml:")


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_empty_home_counts_as_none(folder: Path, program: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = program(folder, "prep", "--hosts", "~/no-such-cluster.yml", HOME="")
    assert done.stderr.startswith(f"{pwd.getpwuid(os.getuid()).pw_dir}/no-such-cluster.yml: cannot be read")


def test_every_fifth_broken_cluster_file_is_told_with_its_place_before_any_machine_is_asked(folder: Path) -> None:
    files = sorted((DATA / "badconfig").glob("*.yml"))[::5]
    assert len(files) > 15
    with ThreadPoolExecutor(max_workers=4) as pool:
        for file, done in zip(
            files, pool.map(lambda file: invoke(folder, "prep", "--hosts", str(file)), files), strict=True
        ):
            plain(done)
            assert (done.returncode, done.stdout) == (2, ""), file
            assert all(line.startswith((f"{file}:", "  hint: ")) for line in done.stderr.splitlines()), done.stderr


def test_a_fault_in_json_is_one_document(folder: Path) -> None:
    done = invoke(folder, "status", "--json", "--hosts", "bad.yml")
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode == 2
    assert "ssh.port" in json.dumps(document["problems"])
    assert done.stderr == ""


TAIL = pytest.param(["logs", "--tail", "many"])


@pytest.mark.parametrize("arguments", [["no-such-task"], ["doctor", "--no-such-flag"], TAIL])
def test_a_wrong_command_line_is_exit_code_2_with_one_line(folder: Path, arguments: list[str]) -> None:
    done = sparkqfs(folder, *arguments)
    plain(done)
    assert done.returncode == 2 and 1 <= len(done.stderr.splitlines()) <= 3


def test_two_clusters_in_one_command_line_are_refused_before_anything_is_done(folder: Path) -> None:
    done = invoke(folder, "doctor", "--hosts", "dead.yml", "plan", "--hosts", "other.yml")
    plain(done)
    assert done.returncode == 2 and "one cluster at a time" in done.stderr and "[node1]" not in done.stderr


def test_the_cluster_named_for_the_last_task_counts_for_the_first_one_too(folder: Path) -> None:
    done = invoke(folder, "doctor", "plan", "--hosts", "bad.yml")
    plain(done)
    assert done.returncode == 2 and done.stderr.startswith("bad.yml:3:")


def test_a_node_that_the_cluster_file_has_not_is_named_with_those_it_has(folder: Path) -> None:
    done = invoke(folder, "prep", "--dry-run", "--only", "node9", "--hosts", "dead.yml")
    plain(done)
    assert done.returncode == 2 and "no node node9" in done.stderr and "nodes: node1" in done.stderr


@pytest.mark.parametrize(
    ("given", "code", "said"), [("", 2, "there is no terminal to ask at"), ("desktop\n", 3, "[node1]")]
)
def test_a_password_that_cannot_be_asked_for_is_read_from_standard_input(
    folder: Path, given: str, code: int, said: str
) -> None:
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "doctor", "--hosts", "dead.yml"]
    done = subprocess.run(
        [*command, "--sudo-password-file", "-"],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,  # no terminal to open
        check=False,
    )
    assert done.returncode == code and said in done.stderr
    assert "Warning" not in done.stderr and "defect" not in done.stderr


def test_a_value_that_cannot_be_is_exit_code_2(folder: Path) -> None:
    for done in together(
        folder,
        ["notebook", "x", "--param", "no-equals-sign"],
        ["notebook", "x", "--max-value", "ten"],
        ["prep", "--sudo-password-file", "none"],
    ):
        plain(done)
        assert done.returncode == 2 and done.args[-1] in done.stderr


# --- machines that do not answer ------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_doctor_names_a_machine_that_does_not_answer_with_exit_code_3(program: Any, folder: Path) -> None:
    done = program(folder, "doctor", "--hosts", "dead.yml")
    plain(done)
    assert done.returncode == 3
    assert any(line.startswith("[node1] cannot connect to 127.0.0.1:") for line in done.stderr.splitlines())
    assert done.stdout == "node1: see below\n"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_that_speaks_no_ssh_is_one_error_without_a_trace(folder: Path, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (folder / "dead.yml").write_text(DEAD.format(port=server.getsockname()[1]))

        def answer() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as peer:
                peer.sendall(said)
                peer.recv(100)
                stopping.wait(0 if said else 20)

        stopping = threading.Event()
        threading.Thread(target=answer, daemon=True).start()
        done = invoke(folder, "doctor", "--hosts", "dead.yml")
        stopping.set()
    plain(done)
    assert done.returncode == 3
    assert [line.split(" at ")[0] for line in done.stderr.splitlines() if line.startswith("[")] == [
        "[node1] what listens"
    ]


def test_every_task_on_a_dead_machine_gives_json_and_exit_code_3(folder: Path) -> None:
    tasks = ("prep", "deploy", "status", "down")
    for done in together(folder, *([task, "--hosts", "dead.yml", "--json"] for task in tasks)):
        plain(done)
        document = json.loads(done.stdout)
        assert document["exit_code"] == done.returncode == 3, done.args
        assert [problem["node"] for problem in document["problems"]] == ["node1"], done.args


def test_files_that_cannot_be_meant_are_refused_before_any_machine_is_asked(folder: Path) -> None:
    commands = {
        ("put", "none", "/x"): "none is not there",
        ("put", "dead.yml", "x"): "'x' is not a path",
        ("get", "shared:/x", "y"): "this cluster has no shared path",
        ("get", "/x", "-", "--json"): "standard output",
        ("ls", "file:///etc"): "another place on each machine",
        ("du", "/a/../b"): "is not a path",
    }
    for done, said in zip(together(folder, *map(list, commands)), commands.values(), strict=True):
        plain(done)
        assert done.returncode == 2 and said in done.stderr, done.args
        assert done.stdout == ""


def test_files_on_a_dead_machine_are_exit_code_3(folder: Path) -> None:
    tasks = (["put", "dead.yml", "/x"], ["get", "/x", "-"], ["ls", "/x"], ["rm", "/x", "--yes"], ["du", "/x"])
    for done in together(folder, *tasks):
        plain(done)
        assert (done.returncode, done.stdout) == (3, ""), done.args
        assert "[node1]" in done.stderr


# --- help -----------------------------------------------------------------------------------------


def test_the_tasks_are_listed_with_what_they_do(folder: Path) -> None:
    done = sparkqfs(folder, "--list")
    assert done.returncode == 0
    for name in ("prep", "swarm", "build", "push", "init-qfs", "deploy", "status", "purge", "local.up"):
        lines = [line.split() for line in done.stdout.splitlines() if line.split()[:1] == [name]]
        assert any(len(words) > 3 for words in lines), name


def test_the_help_of_a_task_explains_every_flag(folder: Path) -> None:
    done = invoke(folder, "--help", "prep")
    assert done.returncode == 0
    for flag in ("--hosts", "--only", "--add", "--dry-run", "--json", "--verbose", "--sudo-password-file"):
        assert flag in done.stdout


TWO_DEAD = """\
nodes:
  node1: {{address: 127.0.0.1, advertise: 192.0.2.1, manager: true}}
  node2: {{address: 127.0.0.2, advertise: 192.0.2.2}}
ssh: {{port: {port}, user: root, known_hosts: known}}
"""


@pytest.mark.parametrize("task", ["plan", "up", "doctor"])
def test_machines_that_do_not_answer_are_exit_code_3_and_each_is_named_once(folder: Path, task: str) -> None:
    (folder / "three.yml").write_text(TWO_DEAD.format(port=closed_port()))
    done = sparkqfs(folder, task, "--hosts", "three.yml")
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert [done.stderr.count(f"[{name}] cannot connect") for name in ("node1", "node2")] == [1, 1]
    assert task != "plan" or "plan is incomplete: 2 of 2 machines did not answer" in done.stdout


def test_a_wrong_node_or_name_is_told_with_the_files_name_before_a_machine_is_asked(folder: Path) -> None:
    (folder / "three.yml").write_text(TWO_DEAD.format(port=closed_port()))
    for words, said in (
        (["prep", "--only", "nodex"], "--only: no node nodex in three.yml"),
        (["purge", "--erase", "wrong"], "--erase wrong: this cluster is called spark"),
    ):
        done = sparkqfs(folder, *words, "--hosts", "three.yml")
        assert done.returncode == 2 and said in done.stderr and "cannot connect" not in done.stderr


# --- interrupted ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the cluster file of a machine whose engine does not answer; `pid` is the waiting client's."""
    folder = tmp_path_factory.mktemp("slow")
    docker = folder / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho $$ > {folder}/pid\nexec sleep 300\n")
    docker.chmod(0o755)
    with sshd(folder, f"SetEnv PATH={docker.parent}:/usr/sbin:/usr/bin:/sbin:/bin") as server:
        (folder / "hosts.yml").write_text(
            f"nodes: {{node1: 127.0.0.1}}\ndata_dir: {folder}/data\n"
            f"ssh: {{port: {server.port}, user: root, key: {server.key}, known_hosts: known}}\n"
        )
        yield folder


@pytest.mark.parametrize("flags", [(), ("--json",)])
@pytest.mark.parametrize("task", ["doctor", "prep"])
def test_an_interrupt_ends_both_sides_at_once_with_one_line_and_130(
    slow_machine: Path, task: str, flags: tuple[str, ...]
) -> None:
    (slow_machine / "pid").unlink(missing_ok=True)
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), task, "--hosts", "hosts.yml", *flags]
    env = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
    with subprocess.Popen(
        command, cwd=slow_machine, env=env, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, text=True
    ) as process:
        end = time.monotonic() + 30
        while not (slow_machine / "pid").exists() or not (slow_machine / "pid").read_text().strip():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        remote = int((slow_machine / "pid").read_text())
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - started < 30
    assert process.returncode == 130
    assert "Traceback" not in err
    if flags:
        assert json.loads(out)["exit_code"] == 130
    else:
        assert (out, err.splitlines()[-1]) == ("", "interrupted")
    while Path(f"/proc/{remote}").exists():
        assert time.monotonic() - started < 60, "the command on the machine goes on"
        time.sleep(0.05)


# --- on a machine that answers --------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sshd]]:
    """A directory with a cluster file for an SSH server of our own; the lock it leaves is removed."""
    folder = tmp_path_factory.mktemp("machine")
    name = f"test-{os.getpid()}"
    with sshd(folder) as server:
        (folder / "hosts.yml").write_text(
            f"cluster: {name}\nnodes: {{node1: 127.0.0.1}}\ndata_dir: {folder}/data\n"
            f"ssh: {{port: {server.port}, user: root, key: {server.key}, known_hosts: known}}\n"
        )
        yield folder, server
    for lock in Path("/run/lock").glob("sparkqfs-*.lock"):
        if lock.stem in (f"sparkqfs-{name}", f"sparkqfs-{folder}/data".replace("/", "+")):
            lock.unlink()


def test_purge_without_the_clusters_name_is_refused_and_says_what_to_type(machine: tuple[Path, Sshd]) -> None:
    folder, _ = machine
    done = invoke(folder, "purge")
    plain(done)
    assert done.returncode == 5
    assert f"invoke purge --erase test-{os.getpid()}" in done.stderr


def test_purge_with_another_name_erases_nothing_and_is_bad_input(machine: tuple[Path, Sshd]) -> None:
    folder, _ = machine
    done = invoke(folder, "purge", "--erase", "spark")
    plain(done)
    assert done.returncode == 2 and "nothing was erased" in done.stderr


@pytest.mark.parametrize("kind", ["name", "data directory"])
def test_a_run_that_finds_a_lock_taken_is_refused_and_names_the_holder(machine: tuple[Path, Sshd], kind: str) -> None:
    folder, _ = machine
    locked = f"test-{os.getpid()}" if kind == "name" else f"{folder}/data".replace("/", "+")
    lock = Path(f"/run/lock/sparkqfs-{locked}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("ann@laptop pid 7, deploy, since 12:00:00\n")
    with subprocess.Popen(["flock", str(lock), "sh", "-c", "echo locked; exec cat"], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"locked\n"
        done = invoke(folder, "purge", "--erase", f"test-{os.getpid()}")
        holder.stdin.close()
        holder.wait(30)
    plain(done)
    assert done.returncode == 5 and "ann@laptop pid 7, deploy" in done.stderr


def test_prep_as_a_trial_says_what_it_would_do_and_does_nothing(machine: tuple[Path, Sshd]) -> None:
    folder, _ = machine
    done = invoke(folder, "prep", "--dry-run", "--json")
    plain(done)
    document = json.loads(done.stdout)
    (outcome,) = document["outcomes"]
    assert (done.returncode, outcome["subject"], outcome["state"]) == (0, "node1", "planned")
    assert any("/data/qfs/chunk" in change and "missing" in change for change in outcome["changes"])
    assert not (folder / "data").exists()


def test_invokes_own_dry_run_counts_too(machine: tuple[Path, Sshd]) -> None:
    folder, _ = machine
    done = invoke(folder, "--dry", "prep")
    assert done.returncode == 0 and "node1: planned" in done.stdout
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit", "nothing.py"], "nothing.py: no such file on this computer"),
        (["submit", "dead.yml"], "not a program that Spark can run"),
        (["submit", "a.py", "--cores", "many"], "--cores many: a number from 1 on, or all"),
        (["submit", "a.py", "--driver-memory", "2"], "--driver-memory 2: 2 is 2 MiB, and Spark needs at least 450"),
        (["submit", "a.py", "--conf", "spark.cores.max=abc"], "--conf spark.cores.max=abc: must be 1 or more"),
        (["submit", "a.py", "--timeout", "5", "--detach"], "--timeout and --detach: nobody waits"),
        (["submit", "a.py", "--conf", "x=1"], "--conf x=1: expected spark.NAME=VALUE"),
    ],
)
def test_a_wrong_submit_is_told_before_any_machine_is_asked(folder: Path, words: list[str], said: str) -> None:
    (folder / "a.py").write_text("")
    done = invoke(folder, *words, SPARKQFS_HOSTS="dead.yml")
    assert done.returncode == 2 and said in done.stderr
    plain(done)


def test_what_follows_two_dashes_is_the_programs(folder: Path) -> None:
    (folder / "a.py").write_text("")
    words = ["submit", "a.py", "--dry-run", "--json", "--", "--hosts", "two words", "--json"]
    done = invoke(folder, *words, SPARKQFS_HOSTS="dead.yml")
    assert done.returncode == 0, done.stderr
    (planned,) = json.loads(done.stdout)["outcomes"]
    assert planned["changes"][-1].endswith("files/a.py --hosts 'two words' --json")


def test_a_program_that_cannot_be_sent_is_exit_code_3(folder: Path) -> None:
    (folder / "a.py").write_text("")
    done = invoke(folder, "submit", "a.py", SPARKQFS_HOSTS="dead.yml")
    assert done.returncode == 3
    plain(done)
