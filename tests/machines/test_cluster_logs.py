"""What a failed cluster test leaves of its machines, with a stand-in for docker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.logs import keep_logs, machines_of

DOCKER = """\
#!/bin/sh
case "$*" in
    "ps -a --filter label=sparkqfs.local"*) printf 'life-12-node1\\nlife-12-node2\\nlife-123-node1\\nt-12-x-node1\\n' ;;
    "logs "*) echo "the machine ${4}" ;;
    *"ps -a --format"*) printf 'spark_worker.1\\n../../out\\n' ;;
    *"ps -a --no-trunc") echo table ;;
    *"logs --timestamps"*) echo "to standard error" >&2 ;;
    *) exit 9 ;;
esac
"""


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_the_machines_are_those_of_this_process() -> None:
    assert machines_of(12) == ["life-12-node1", "life-12-node2", "t-12-x-node1"]


def test_each_machine_has_a_folder_with_all_logs(tmp_path: Path) -> None:
    folder = tmp_path / "failed" / "test"
    folder.mkdir(parents=True)
    (folder / "older").touch()
    assert keep_logs(folder, ["life-12-node1", "life-12-node2"]) == 6
    found = {path.name: path.read_text() for path in (folder / "life-12-node2").iterdir()}
    assert found == {
        "machine.log": "the machine life-12-node2\n",
        "containers.txt": "table\n",
        "spark_worker.1.log": "to standard error\n",
    }
    assert not (tmp_path / "out.log").exists()
