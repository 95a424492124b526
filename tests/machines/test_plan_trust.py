"""plan/cluster/trust.py: plain HTTP in the user's own daemon.json, as the real script writes it, a small engine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkqfs.config.model import RegistryConfig
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.trust import plan_trust
from sparkqfs.plan.steps import script_of
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_node

ADDRESS = "192.168.1.11:5000"
CONFIG = a_cluster(registry=RegistryConfig(tls=False))
ENGINE = """
import json, pathlib, signal, sys, time
home = pathlib.Path(sys.argv[1])
def load(*_):
    try:
        names = json.loads((home / "daemon.json").read_text())["insecure-registries"]
    except (OSError, ValueError, KeyError):
        return
    if "broken" not in sys.argv:
        (home / "loaded").write_text(json.dumps(names))
signal.signal(signal.SIGHUP, load)
(home / "ready").touch()
while True:
    time.sleep(60)
"""


def node(daemon_json: str | None = None, insecure: tuple[str, ...] = (), engine: str | None = "20.10.24") -> NodeFacts:
    fact = a_node("node2", CONFIG)
    return replace(fact, daemon_json=daemon_json, insecure_registries=insecure, engine_version=engine)


def script(fact: NodeFacts) -> str:
    """The script of the one step that is planned."""
    steps, problems = plan_trust(CONFIG, fact, None)
    assert len(steps) == 1 and not problems
    return script_of(tuple(steps))


# --- what is planned ------------------------------------------------------------------------------


@pytest.mark.parametrize("insecure", [(ADDRESS,), ("192.168.0.0/16",)])
def test_an_engine_that_accepts_plain_http_needs_nothing(insecure: tuple[str, ...]) -> None:
    assert plan_trust(CONFIG, node(insecure=insecure), None) == ([], [])


@pytest.mark.parametrize("text", ["{ no json", "[]", '"text"', '{"insecure-registries": "one"}'])
def test_a_file_that_cannot_be_read_is_a_problem_and_is_not_touched(text: str) -> None:
    steps, (problem,) = plan_trust(CONFIG, node(text), None)
    assert steps == []
    assert problem.node == "node2" and "/etc/docker/daemon.json" in problem.what
    assert ADDRESS in (problem.hint or "") and "nothing was changed" in (problem.hint or "")


def test_a_file_that_names_the_registry_waits_for_an_engine_to_read_it() -> None:
    text = json.dumps({"insecure-registries": [ADDRESS]})
    assert plan_trust(CONFIG, node(text, engine=None), None) == ([], [])
    (step,), _ = plan_trust(CONFIG, node(text), None)
    assert step.why == "the engine has not read it yet"


# --- what the script does -------------------------------------------------------------------------


class Machine:
    """Stands for /etc/docker, an engine that reads its file on SIGHUP, and `docker info`."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        self.file = home / "daemon.json"
        (home / "loaded").write_text("[]")
        (home / "bin").mkdir()
        for name, line in {
            "docker": f'cat "{home}/loaded"',
            "dockerd": '[ "$1" != --help ] || { echo "  --validate"; exit 0; }; ! grep -q wrong "$3"',
        }.items():
            (home / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
            (home / "bin" / name).chmod(0o755)
        self.engine = subprocess.Popen([sys.executable, "-c", ENGINE, str(home), *flags])
        (home / "docker.pid").write_text(f"{self.engine.pid}\n")
        deadline = time.monotonic() + 30
        while not (home / "ready").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def run(self, fact: NodeFacts) -> subprocess.CompletedProcess[str]:
        text = script(fact).replace("/etc/docker", str(self.home)).replace("/run/docker.pid", f"{self.home}/docker.pid")
        text = text.replace("/run/systemd/system", "/none").replace("-le 10", "-le 2")
        path = f"{self.home}/bin:/usr/bin:/bin"
        return subprocess.run(
            ["/bin/sh", "-s"], input=text, capture_output=True, text=True, env={"PATH": path}, timeout=30
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.engine.kill()
    made.engine.wait()


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose engine does not take the file in."""
    made = Machine(tmp_path, "broken")
    yield made
    made.engine.kill()
    made.engine.wait()


def test_a_file_is_made_where_there_is_none_and_the_engine_reads_it(machine: Machine) -> None:
    assert machine.run(node()).returncode == 0
    assert json.loads(machine.file.read_text()) == {"insecure-registries": [ADDRESS]}
    assert json.loads((machine.home / "loaded").read_text()) == [ADDRESS]


def test_all_other_keys_entries_and_the_mode_are_kept(machine: Machine) -> None:
    old = {"log-opts": {"max-size": "7m"}, "insecure-registries": ["other:5000"], "dns": ["192.0.2.1"]}
    machine.file.write_text(json.dumps(old))
    machine.file.chmod(0o600)
    done = machine.run(node(machine.file.read_text()))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(machine.file.read_text())
    assert found == {**old, "insecure-registries": ["other:5000", ADDRESS]}
    assert list(found) == list(old)
    assert machine.file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in machine.home.iterdir() if path.name.startswith("daemon")) == ["daemon.json"]


@pytest.mark.parametrize("old", [None, '{"debug": true}'])
def test_the_old_file_comes_back_when_the_engine_does_not_take_the_new_one(stubborn: Machine, old: str | None) -> None:
    if old is not None:
        stubborn.file.write_text(old)
    done = stubborn.run(node(old))
    assert done.returncode == 1 and "its log says why" in done.stderr
    assert (stubborn.file.read_text() if stubborn.file.exists() else None) == old


def test_a_file_that_the_engine_itself_finds_wrong_is_not_put_in_place(machine: Machine) -> None:
    old = '{"wrong-key": 1}'
    machine.file.write_text(old)
    assert machine.run(node(old)).returncode == 1
    assert machine.file.read_text() == old
