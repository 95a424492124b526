"""What a change that people often make touches: each is kept as a patch that applies and works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import DATA, ROOT

CHANGES = DATA / "changes"
SERVICE = """
import os, signal, socket, subprocess, sys, time
from dataclasses import replace
from sparkqfs.checks.machines import check_nodes
from tests.unit.test_plan_stack import services
from tests.builders.clusters import a_cluster
from tests.builders.facts import prepared
from sparkqfs.plan.cluster.images import stack_images
from sparkqfs.plan.sizes import sizing
found = services()["echo"]
assert found["command"] == ["/opt/sparkqfs/bin/supervise", "echo"]
assert found["healthcheck"]["test"] == ["CMD", "/opt/sparkqfs/bin/health", "port", "7007"]
assert "echo" not in {image.name for image in stack_images(a_cluster())}
size = sizing(a_cluster(), prepared(a_cluster())).nodes[0]
assert ("echo", 32) in {(share.what, share.mib) for share in size.outside}
on_host = a_cluster(network="host")
facts = {name: replace(fact, swarm_state="inactive", ports=(7007,)) for name, fact in prepared(on_host).items()}
assert [(one.node, one.what) for one in check_nodes(on_host, facts)] == [("node1", "port 7007 is taken there")]
run = os.path.join(os.getcwd(), "run")
environment = {**os.environ, "SPARKQFS_STORAGE": "shared", "SPARKQFS_RUN_DIR": run}
health = [sys.executable, "runtime/bin/health", "port", "7007"]
assert subprocess.run(health, stderr=subprocess.DEVNULL).returncode == 1
first = subprocess.Popen([sys.executable, "runtime/bin/supervise", "echo"], env=environment)
end = time.monotonic() + 20
while subprocess.run(health, stderr=subprocess.DEVNULL).returncode:
    assert time.monotonic() < end and first.poll() is None
    time.sleep(0.1)
with socket.create_connection(("127.0.0.1", 7007), 10) as link:
    link.sendall(b"hello\\n")
    assert link.recv(100) == b"hello\\n"
first.send_signal(signal.SIGTERM)
assert first.wait(20) == 0
"""
BACKEND = """
import os, pathlib
from sparkqfs.config.loading import load_config
from sparkqfs.plan.storage import backend_of
from tests.unit.test_plan_stack import services
from sparkqfs_runtime.supervise import storage
from sparkqfs_runtime.supervise.setup import Setup
file = pathlib.Path("mine.yml")
file.write_text("nodes: {node1: 192.168.1.11}\\nstorage: {kind: dummy}\\n")
config = load_config(file, env={})
assert backend_of(config).root_uri(config) == "file:///tmp/dummy"
found = services(config)
assert found["spark-master"]["environment"]["SPARKQFS_STORAGE"] == "dummy"
assert storage.of(Setup({"SPARKQFS_STORAGE": "dummy"})).first_service == "spark-master"
"""
CHECK = """
from dataclasses import replace
from sparkqfs.checks.machines import check_nodes
from tests.builders.clusters import a_cluster
from tests.builders.facts import prepared
config = a_cluster()
facts = {name: replace(fact, memory_mib=1024) for name, fact in prepared(config).items()}
assert {(one.node, one.what) for one in check_nodes(config, facts)} >= {("node1", "it has 1024 MiB of memory")}
"""
STATUS = """
from sparkqfs.plan.steps import JobResult
from sparkqfs.report.reporter import Reporter
spark = {"answers": True, "workers_alive": 3, "workers_expected": 3, "cores_used": 3, "cores": 12, "running": [],
         "memory_used_mib": 1, "memory_mib": 2}
storage = {"kind": "qfs", "answers": False, "error": ""}
document = {"cluster": "spark", "state": "healthy", "spark": spark, "storage": storage, "urls": {}}
Reporter(as_json=False).result(JobResult(task="status", document=document))
"""
ROWS = {
    "service": (
        SERVICE,
        {
            "sparkqfs/plan/services/echo.py",
            "sparkqfs/plan/services/__init__.py",
            "runtime/sparkqfs_runtime/supervise/echo.py",
            "runtime/sparkqfs_runtime/roles.py",
        },
    ),
    "backend": (
        BACKEND,
        {
            "sparkqfs/config/model.py",
            "sparkqfs/plan/storage/dummy.py",
            "sparkqfs/plan/storage/__init__.py",
            "runtime/sparkqfs_runtime/supervise/storage/dummy.py",
            "runtime/sparkqfs_runtime/supervise/storage/__init__.py",
        },
    ),
    "check": (CHECK, {"sparkqfs/checks/machines.py"}),
    "status": (STATUS, {"sparkqfs/report/reporter.py"}),
}
"""Change → what shows that it works, and the files that it touches."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of this tree that a change of code may need."""
    for name in ("sparkqfs", "runtime", "tests", "stack"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "java", "failed"))
    return tmp_path


@pytest.mark.parametrize("name", ROWS)
def test_a_change_applies_and_works_and_touches_only_its_files(name: str, tree: Path) -> None:
    patch = CHANGES / f"{name}.patch"
    shows, files = ROWS[name]
    assert set(re.findall(r"^\+\+\+ b/(.+)$", patch.read_text(encoding="utf-8"), re.MULTILINE)) == files
    # One line of context is enough: a neighbouring line that changed is no reason to fail.
    subprocess.run(["git", "apply", "-C1", str(patch)], cwd=tree, check=True, timeout=60)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tree}:{tree}/runtime", "LANG": "C.UTF-8"}
    of_this_tree = f"import sparkqfs; assert sparkqfs.__path__[0] == {str(tree / 'sparkqfs')!r}\n"
    argv = [sys.executable, "-c", of_this_tree + shows]
    ran = subprocess.run(argv, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    if name == "status":
        assert re.search(r"busy +25 % of the cores", ran.stdout)


def test_contributing_names_the_files_of_each_change() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.partition("### What small changes touch")[2].partition("\n## ")[0]
    said = [set(re.findall(r"`([^`]+)`", line)) for line in section.splitlines() if line.startswith("| a ")]
    own = re.compile(r"(echo|dummy)\.py$")
    assert said == [{own.sub("NAME.py", file) for file in files} for _, files in ROWS.values()]
