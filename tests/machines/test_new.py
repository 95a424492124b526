"""`new` as it is typed: the file is written once and never replaced, and the machines are looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparkqfs.config.loading import load_config
from tests.doubles.servers import closed_port, sshd
from tests.paths import ROOT

PROGRAMS = {
    "sparkqfs": [
        sys.executable,
        "-c",
        "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()",
    ],
    "invoke": [sys.executable, "-m", "invoke", "--search-root", str(ROOT)],
}


def call(folder: Path, *words: str, program: str = "sparkqfs", **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "INVOKE_"))}
    done = subprocess.run(
        [*PROGRAMS[program], "new", *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "HOME": str(folder), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("program", PROGRAMS)
def test_any_number_of_machines_can_be_named_and_flags_be_anywhere(tmp_path: Path, program: str) -> None:
    words = ["pi@10.0.0.1", "10.0.0.2:2222", "--user", "pi", "nuc", "--dry-run", "--file=lab.yml", "10.0.0.4,10.0.0.5"]
    done = call(tmp_path, *words, program=program)
    assert done.returncode == 0 and done.stderr == "" and list(tmp_path.iterdir()) == []
    (tmp_path / "lab.yml").write_text(done.stdout)
    config = load_config(tmp_path / "lab.yml", {})
    assert [node.address for node in config.nodes] == ["10.0.0.1", "10.0.0.2", "nuc", "10.0.0.4", "10.0.0.5"]
    assert (config.ssh.user, config.nodes[1].port) == ("pi", 2222)


def test_the_file_stays_when_no_machine_answers_and_is_never_replaced(tmp_path: Path) -> None:
    word = f"root@127.0.0.1:{closed_port()}"
    done = call(tmp_path, word)
    assert done.returncode == 3 and "cluster file: sparkqfs.yml" in done.stderr and "refused" in done.stderr
    assert "sparkqfs.yml is written" in done.stdout and "`invoke doctor`" in done.stdout
    written = (tmp_path / "sparkqfs.yml").read_bytes()
    assert load_config(tmp_path / "sparkqfs.yml", {}).ssh.user == "root"
    for more in ([], ["--dry-run"]):
        again = call(tmp_path, "10.0.0.1", *more)
        assert again.returncode == 2 and "is there already" in again.stderr
    assert (tmp_path / "sparkqfs.yml").read_bytes() == written


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "sparkqfs.yml").symlink_to(tmp_path / "elsewhere")
    assert call(tmp_path, "10.0.0.1").returncode == 2 and not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["10.0.0.1", "10.0.0.1"], "named more than once"),
        (["10.0.0.1", "localhost"], "localhost: the other machines would look for it at themselves"),
        (["10.0.0.1", "127.0.1.1"], "127.0.1.1: the other machines would look for it at themselves"),
        (["10.0.0.1", "10.20.30.5"], "10.20.30.5 is in the overlay's subnet"),
        (["192.0.2.11"], "an address of the sample"),
        (["10.0.0.1", "--file", "none/x.yml"], "none/x.yml: cannot be written"),
        ([], "addresses"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_a_cluster_leaves_no_file(tmp_path: Path, words: list[str], said: str) -> None:
    for more in ([], ["--dry-run"]):
        done = call(tmp_path, *words, *more)
        assert done.returncode == 2 and said in done.stderr and list(tmp_path.iterdir()) == []
        assert done.stdout == "" and not re.search(r"sparkqfs\.yml:\d", done.stderr)


def test_a_machine_that_answers_is_looked_at(tmp_path: Path) -> None:
    """This computer, whose facts are real: what it lacks is told, and the next step is named with its file."""
    with sshd(tmp_path) as server:
        folder = tmp_path / "here"
        (folder / ".ssh").mkdir(parents=True)
        (folder / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  IdentityFile {server.key}\n")
        env = {"SPARKQFS_HOSTS": "other.yml"}
        done = call(folder, f"root@127.0.0.1:{server.port}", **env)
    assert done.returncode in (0, 1, 5) and "node1: " in done.stdout
    assert "`invoke up --hosts sparkqfs.yml`" in done.stdout
