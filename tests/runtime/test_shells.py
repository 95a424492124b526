"""The environment of shells in the containers, with real shells; tests/cluster asks them in real containers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.paths import ROOT

OURS = "/opt/sparkqfs/bin:/opt/venv/bin:/usr/bin:/bin"
KINDS = {
    "bash -c": (["bash", "-c"], "BASH_ENV"),
    "bash -ic": (["bash", "--rcfile", "@FILE@", "-ic"], ""),
    "bash -lc": (["bash", "-lc"], "profile"),
    "bash -lic": (["bash", "-lic"], "profile"),
    "sh -ic": (["sh", "-ic"], "ENV"),
    "sh -lc": (["sh", "-lc"], "profile"),
}
"""Kind → how it is started, and by which way it finds the file."""


class Shells:
    """The file as it is in an image, and what a supervisor wrote."""

    def __init__(self, root: Path) -> None:
        self.home, self.run_dir = root / "home", root / "run"
        self.home.mkdir()
        self.run_dir.mkdir()
        self.file = root / "environment"
        self.file.write_text((ROOT / "runtime" / "shell" / "environment").read_text().replace("@PATH@", OURS))
        self.env = self.run_dir / "env"
        self.env.write_text(f"NODE_IP=10.0.1.5\nPATH={OURS}\nSPARK_CONF_DIR='/run/the conf'\n")

    def ask(self, kind: str, script: str, **environ: str) -> list[str]:
        """What the lines of a script print in a shell that starts with the PATH that Debian's /etc/profile sets."""
        argv, way = KINDS[kind]
        start = {"HOME": str(self.home), "SPARKQFS_RUN_DIR": str(self.run_dir), "PATH": "/usr/bin:/bin", "TERM": "dumb"}
        if way == "profile":
            (self.home / ".profile").write_text(f". {self.file}\n")
        elif way:
            start[way] = str(self.file)
        words = [word.replace("@FILE@", str(self.file)) for word in argv]
        done = subprocess.run(
            [*words, script], env={**start, **environ}, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def shells(tmp_path: Path) -> Shells:
    return Shells(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_shell_knows_what_the_supervisor_worked_out(shells: Shells, kind: str) -> None:
    found = shells.ask(kind, 'set -u; echo "$NODE_IP"; echo "$SPARK_CONF_DIR"; echo "$PATH"; env')
    assert found[:2] == ["10.0.1.5", "/run/the conf"]
    assert found[2].startswith("/opt/sparkqfs/bin:/opt/venv/bin:")
    assert "SPARK_CONF_DIR=/run/the conf" in found[3:], "programs get it too"


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_supervisor_is_done_a_shell_starts_all_the_same(shells: Shells, kind: str) -> None:
    shells.env.unlink()
    (path,) = shells.ask(kind, 'echo "$PATH"')
    assert path.startswith("/opt/sparkqfs/bin:")


@pytest.mark.parametrize("kind", KINDS)
def test_what_somebody_has_set_stays_once_the_environment_is_loaded(shells: Shells, kind: str) -> None:
    assert shells.ask(kind, 'echo "$SPARK_CONF_DIR"', NODE_IP="10.0.1.5", SPARK_CONF_DIR="/mine") == ["/mine"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("bash")])
def test_strict_shells_start_too(shells: Shells, kind: str) -> None:
    assert shells.ask(kind, "echo on", SHELLOPTS="errexit:nounset:pipefail") == ["on"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("kind", KINDS)
def test_root_runs_nothing_that_a_user_s_program_could_have_written(shells: Shells, kind: str) -> None:
    shells.env.write_text(f"touch {shells.home}/run-as-root\nNODE_IP=10.0.1.5\n")
    os.chown(shells.env, 6700, 6700)
    assert shells.ask(kind, 'echo "${NODE_IP:-none}"') == ["none"]
    assert not (shells.home / "run-as-root").exists()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "i" in kind.split("-")[1]])
def test_the_prompt_names_the_user_and_the_role(shells: Shells, kind: str) -> None:
    (prompt,) = shells.ask(kind, 'printf "%s\\n" "$PS1"')
    role = Path("/proc/1/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[-1].decode().split(" ")[-1]
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert prompt == f"{user}@{role}:" + ("\\w\\$ " if kind.startswith("bash") else "$PWD$ ")


def test_the_image_tells_every_kind_of_shell_of_the_file() -> None:
    text = (ROOT / "docker" / "worker-node" / "Dockerfile").read_text()
    for line in ("BASH_ENV=/opt/sparkqfs/shell/environment", " ENV=/opt/sparkqfs/shell/environment"):
        assert re.search(rf"{line}( |$)", text, re.MULTILINE)
    assert "/etc/profile.d/sparkqfs.sh" in text and ">> /etc/bash.bashrc" in text
