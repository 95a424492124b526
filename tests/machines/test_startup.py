"""What a command line imports: lists, help and completion no library but Invoke, a wrong hosts.yml what reads it.

Each kind is tried in a process of its own, which then tells what it has loaded; bench/startup.py measures the time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import ns
from tests.doubles.command_lines import RUN_EACH
from tests.doubles.servers import closed_port
from tests.paths import ROOT

TASKS = sorted(ns.task_names)
SHORT = {alias for aliases in ns.task_names.values() for alias in aliases}
"""`backup` for `backup.make`."""
SHELLS = ("bash", "zsh", "fish")
FLOOR = {"invoke", "yaml"}
"""What `import invoke` loads: its own copy of PyYAML looks into the one that is installed."""
PROBE = (
    """\
import contextlib, io, json, pathlib, sys
at_first = set(sys.modules)
ends = []
"""
    + RUN_EACH
    + """\
loaded = {}
for module in set(sys.modules) - at_first:
    loaded[module] = str(getattr(sys.modules[module], "__file__", None) or "")
print(json.dumps([ends, loaded]))
"""
)


@dataclass(frozen=True)
class Ran:
    """What came of command lines: (exit code, standard output, standard error) of each, and the modules loaded."""

    ends: list[tuple[int, str, str]]
    libraries: set[str]
    ours: set[str]

    @property
    def codes(self) -> set[int]:
        return {code for code, _, _ in self.ends}


def ran(folder: Path, *lines: list[str], programs: tuple[str, ...] = ("sparkqfs", "invoke")) -> Ran:
    """Command lines of each program, one after the other in one process that runs in `folder`."""
    start = {"sparkqfs": ["sparkqfs"], "invoke": ["invoke", "--search-root", str(ROOT)]}
    commands = [[*start[program], *words] for program in programs for words in lines]
    prefixes = ("SPARKQFS_", "INVOKE_", "FORCE_COLOR", "TTY_", "SSH_AUTH_SOCK")
    env = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(commands)],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    ends, loaded = json.loads(done.stdout)
    installed = {one for one, file in loaded.items() if {"site-packages", "dist-packages"} & set(Path(file).parts)}
    return Ran(
        [(code, out, err) for code, out, err in ends],
        {one.partition(".")[0] for one in installed if not one.startswith("__editable__")} - {"sparkqfs"},
        {one.removeprefix("sparkqfs.") for one in loaded if one.startswith("sparkqfs.")},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a cluster file that has a fault, and one of a machine that refuses connections."""
    (tmp_path / "bad.yml").write_text("nodes: {node1: 192.168.1.11}\nssh: {port: 99999}\n")
    dead = f"nodes: {{node1: 127.0.0.1}}\nssh: {{port: {closed_port()}, user: root, known_hosts: known}}\n"
    (tmp_path / "dead.yml").write_text(dead)
    (tmp_path / "a.py").write_text("")
    return tmp_path


HELPFUL = {
    "lists": [["--list"], ["--list", "--list-format", "nested"], ["--list", "-F", "json"], ["--list", "local"]],
    "the program's help": [["--help"], ["-h"], []],
    "help behind each task": [[task, "--help"] for task in TASKS],
    "help before each task": [["--help", task] for task in TASKS],
    "completion": [["--complete", "--", "sparkqfs", *words] for words in ([], ["pr"], ["prep", "--"], ["prep", "-"])],
    "completion scripts": [["--print-completion-script", shell] for shell in SHELLS],
}


@pytest.mark.parametrize("kind", HELPFUL)
def test_help_of_every_kind_loads_no_library_but_invoke(folder: Path, kind: str) -> None:
    got = ran(folder, *HELPFUL[kind])
    assert got.codes == {0} and all(out for _, out, _ in got.ends)
    assert got.libraries <= FLOOR
    assert {one.partition(".")[0] for one in got.ours} <= {"cli", "errors", "program", "streams", "tree"}


def test_completion_knows_the_tasks_and_their_flags(folder: Path) -> None:
    words = (["pr"], ["bench.storage", "--"])
    got = ran(folder, *(["--complete", "--", "sparkqfs", *some] for some in words), programs=("sparkqfs",))
    tasks, flags = (set(out.split()) for _, out, _ in got.ends)
    assert tasks == {*TASKS, *SHORT}
    assert {"--hosts", "--dry-run", "--link"} <= flags


WRONG = [["no-such-task"], ["doctor", "--no-such-flag"], ["logs", "--tail", "many"], ["kill"], ["--no-such-flag"]]


def test_a_wrong_command_line_loads_no_library_but_invoke(folder: Path) -> None:
    got = ran(folder, *WRONG, programs=("sparkqfs",))
    assert got.codes == {2} and all(err for _, _, err in got.ends)
    assert got.libraries <= FLOOR


WITHOUT_A_TERMINAL = {"login"}
"""They end before they look for a cluster file."""
OF_A_CLUSTER = [
    task
    for task in TASKS
    if task not in WITHOUT_A_TERMINAL and any(argument.name == "hosts" for argument in ns[task].get_arguments())
]
WORDS = {"open": ["jupyter"]}
LAST = {"exec": ["--", "true"]}


def needed(task: str) -> list[str]:
    """A value for each argument that a task must have."""
    return WORDS.get(task) or ["x" for argument in ns[task].get_arguments() if argument.positional]


def only_reads(got: Ran) -> bool:
    """Nothing was loaded but what reads hosts.yml and says what is wrong."""
    rooms = {one.partition(".")[0] for one in got.ours}
    return got.libraries <= FLOOR and not rooms & {"clients", "gather", "jobs", "local", "report_terminal"}


def test_a_fault_in_the_cluster_file_of_any_task_loads_what_reads_the_file(folder: Path) -> None:
    assert len(OF_A_CLUSTER) > 25
    got = ran(folder, *([task, *needed(task), "--hosts", "bad.yml", *LAST.get(task, ())] for task in OF_A_CLUSTER))
    assert got.codes == {2} and only_reads(got)
    assert len({err for _, _, err in got.ends}) == 1
    assert got.ends[0][2].startswith("bad.yml:2: ssh.port: ")


VALUES = [
    ["status", "--hosts", "none.yml"],
    ["status", "--watch", "--hosts", "bad.yml"],
    ["up", "--json", "--dry-run", "--hosts", "bad.yml"],
    ["doctor", "--hosts", "bad.yml", "plan", "--hosts", "dead.yml"],
    ["prep", "--hosts", "dead.yml", "--sudo-password-file", "none"],
    ["top", "--interval", "0"],
    ["get", "/x", "-", "--json"],
    ["verify", "--max-remote", "2"],
    ["verify", "--report", "none/page.html"],
    ["bench.storage", "--rounds=-1"],
    ["bench.storage", "--link", "fast"],
    ["notebook", "x", "--param", "y"],
    ["notebook", "x", "--max-value", "ten"],
    ["submit", "a.py", "--cores", "many"],
    ["submit", "a.py", "--driver-memory", "2"],
]


def test_neither_does_a_value_that_cannot_be(folder: Path) -> None:
    got = ran(folder, *VALUES)
    assert [code for code, _, _ in got.ends] == [2] * len(VALUES) * 2
    assert only_reads(got)


def test_a_task_that_asks_a_machine_is_seen_to_load_more(folder: Path) -> None:
    got = ran(folder, ["status", "--hosts", "dead.yml"], programs=("sparkqfs",))
    assert got.codes == {3} and {"paramiko", "fabric", "rich"} <= got.libraries
    assert not only_reads(got)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_package_is_compiled_once_unless_python_is_told_to_write_nothing(tmp_path: Path, wanted: bool) -> None:
    shutil.copytree(ROOT / "sparkqfs", tmp_path / "sparkqfs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tmp_path)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "INVOKE_"))}
    env |= {} if wanted else {"PYTHONDONTWRITEBYTECODE": "1"}
    program = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"
    command = [sys.executable, "-c", program, "--list"]
    subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=True)
    sources = {file.stem for file in (tmp_path / "sparkqfs" / "cli").glob("*.py")}
    compiled = {file.name.split(".")[0] for file in tmp_path.rglob("*.pyc")}
    assert compiled >= sources if wanted else compiled == set()
