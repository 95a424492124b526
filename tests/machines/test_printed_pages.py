"""docs/commands.md and docs/errors.md are what the programs print: every task's help, and the commonest errors.

`pytest tests/machines/test_printed_pages.py --write-documents` writes them again.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sparkqfs.cli.guide import grouped
from tasks import ns
from tests.doubles.servers import make_key, sshd
from tests.paths import ROOT

HELP_PAGE = ROOT / "docs" / "commands.md"
ERRORS_PAGE = ROOT / "docs" / "errors.md"
WRITE = "pytest tests/machines/test_printed_pages.py --write-documents"
PRINTED = """\
import os, sys
os.environ.update(COLUMNS="100")
root, *names = sys.argv[1:]
sys.path.insert(0, root)
from sparkqfs.program import SparkqfsProgram
for name in names:
    print(f"\\x01{name}")
    sys.stdout.flush()
    words = ["sparkqfs", "--search-root", root, name, "--help"]
    sys.argv = words
    SparkqfsProgram(name="sparkqfs", binary="sparkqfs").run(words, exit=False)
    sys.stdout.flush()
"""
OURS = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"
HEAD = "<!-- Written by `{}`; change it there. -->\n# {}\n\nGoal: {}"
GOOD = "nodes:\n  node1: {{address: 127.0.0.1, port: {}}}\n"
LOGIN = "ssh: {{user: root, key: {}, known_hosts: known}}\n"


@dataclass(frozen=True)
class Case:
    """A command line of a user, what was meant, and what to do."""

    words: str
    why: str
    code: int
    files: dict[str, str] = field(default_factory=dict)
    """Name → content; `PORT` is a port that refuses connections, `SSHD` one of a real sshd, KEY a key it knows."""


DEAD = {"sparkqfs.yml": GOOD.format("PORT") + LOGIN.format("KEY")}
CASES = (
    Case("status", "There is no cluster file yet.", 2),
    Case(
        "up",
        "The sample was taken for a cluster.",
        2,
        {"hosts.yml": "nodes:\n  node1: {address: 192.0.2.11, manager: true}\n  node2: 192.0.2.12\n"},
    ),
    Case("statsu", "A task that does not exist.", 2),
    Case("up --yess", "A flag that does not exist.", 2),
    Case("put sales.csv", "Something that must be given is missing.", 2),
    Case("up --verbose=3", "A flag that takes no value got one.", 2, DEAD),
    Case(
        "plan",
        "A key of the cluster file is misspelt, and a size has no unit: all faults are named at once.",
        2,
        {
            "sparkqfs.yml": "nodes:\n  node1: {adress: 192.168.1.11, manager: true}\n"
            "  node2: {address: 192.168.1.12, memory: 20}\n"
        },
    ),
    Case(
        "plan",
        "A login was written where only an address goes.",
        2,
        {"sparkqfs.yml": "nodes:\n  node1: {address: 192.168.1.11, manager: true}\n  node2: pi@192.168.1.12\n"},
    ),
    Case(
        "plan",
        "Nobody is the manager.",
        2,
        {"sparkqfs.yml": "nodes:\n  node1: 192.168.1.11\n  node2: 192.168.1.12\n"},
    ),
    Case("plan", "The cluster file is no YAML.", 2, {"sparkqfs.yml": "nodes:\n  node1: {address: 192.168.1.11\n"}),
    Case("status", "Machines are off, or have another address or port.", 3, DEAD),
    Case(
        "status",
        "The key is not known to the machine.",
        3,
        {"sparkqfs.yml": GOOD.format("SSHD") + LOGIN.format("OTHER")},
    ),
    Case("put sales.csv /data", "A file of this computer is not there.", 2, DEAD),
    Case("submit count.py --cores many", "A value is not a number.", 2, DEAD | {"count.py": ""}),
    Case("submit count.py --executor-memory 2x", "A value is not a size.", 2, DEAD | {"count.py": ""}),
    Case(
        "submit count.py --master yarn", "A flag of spark-submit that has no meaning here.", 2, DEAD | {"count.py": ""}
    ),
    Case("submit count.py", "The program is not there.", 2, DEAD),
    Case("notebook ./mine.ipynb", "The notebook is not there.", 2, DEAD),
    Case("purge --erase other", "The name of another cluster, before data is erased.", 2, DEAD),
    Case("prep --only node7", "A node that the cluster file does not have.", 2, DEAD),
    Case("up --sudo-password-file nothing", "A file with a password is not there.", 2, DEAD),
    Case("verify --max-remote 2", "A share is above 1.", 2, DEAD),
)


def helps() -> dict[str, str]:
    """Task → what `--help` prints at a width of 100."""
    names = sorted(ns.task_names)
    done = subprocess.run(
        [sys.executable, "-c", PRINTED, str(ROOT), *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    parts = done.stdout.split("\x01")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].rstrip() for part in parts}


def help_page() -> str:
    found = helps()
    assert sorted(found) == sorted(ns.task_names)
    lines = [
        HEAD.format(
            WRITE, "All tasks and their flags", "every task, every flag with its default, on one page to search in."
        )
    ]
    for title, names in grouped(set(found)):
        lines.append(f"\n## {title}\n")
        lines += [f"### {name}\n\n```text\n{found[name]}\n```\n" for name in names]
    return "\n".join(lines)


def said(case: Case, folder: Path, told: dict[str, str]) -> str:
    """What the case prints on standard error, with names in place of what differs from run to run."""
    folder.mkdir()
    for name, content in case.files.items():
        for word, value in told.items():
            content = content.replace(word, value)
        (folder / name).write_text(content)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "INVOKE_", "SSH_"))}
    env |= {"PYTHONPATH": str(ROOT), "HOME": str(folder), "COLUMNS": "100"}
    argv = [sys.executable, "-c", OURS, *shlex.split(case.words)]
    done = subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == case.code, f"{case.words}: {done.returncode}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    text = done.stderr
    for word, value in sorted(told.items(), key=lambda one: -len(one[1])):
        text = text.replace(value, {"PORT": "22", "SSHD": "22", "KEY": "~/.ssh/id", "OTHER": "~/.ssh/id"}[word])
    return re.sub(r"\b\d+(\.\d+)? s\b", "N s", text.replace(str(folder), "~/mine")).rstrip()


def errors_page(folder: Path) -> str:
    """Both ports are held: one refuses as long as nobody listens, and no other process gets it."""
    with sshd(folder) as server, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        make_key(folder / "other")
        told = {
            "PORT": str(held.getsockname()[1]),
            "SSHD": str(server.port),
            "KEY": str(server.key),
            "OTHER": str(folder / "other"),
        }
        lines = [
            HEAD.format(
                WRITE, "The commonest errors", "the message that you have, what it comes from, and its exit code."
            ),
            "\nMore messages are at the end of each page, and in [troubleshooting.md](troubleshooting.md).\n",
        ]
        for number, case in enumerate(CASES):
            text = said(case, folder / f"case{number}", told)
            lines.append(f"## {case.why.rstrip('.')}\n")
            lines.append(f"Exit code {case.code}.\n\n```text\n$ sparkqfs {case.words}\n{text}\n```\n")
    return "\n".join(lines)


def compare(page: Path, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write_documents"):
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text, f"{page.name} differs from what is printed: {WRITE}"


def test_the_page_of_commands_is_what_help_prints(request: pytest.FixtureRequest) -> None:
    compare(HELP_PAGE, help_page(), request)


def test_the_page_of_errors_is_what_the_program_prints(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    compare(ERRORS_PAGE, errors_page(tmp_path), request)
