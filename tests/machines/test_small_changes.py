"""What a change that people often make touches: each is kept as a patch that applies and works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.machines import changes
from tests.paths import ROOT

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
end = time.monotonic() + 30
while subprocess.run(health, stderr=subprocess.DEVNULL).returncode:
    assert time.monotonic() < end and first.poll() is None
    time.sleep(0.1)
with socket.create_connection(("127.0.0.1", 7007), 10) as link:
    link.sendall(b"hello\\n")
    assert link.recv(100) == b"hello\\n"
first.send_signal(signal.SIGTERM)
assert first.wait(30) == 0
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
FACT = """
import os, subprocess
from dataclasses import replace
from sparkqfs.checks.machines import check_nodes
from sparkqfs.facts.nodes import parse_node
from sparkqfs.gather.nodes import facts_arguments, facts_script
from tests.builders.clusters import a_cluster
from tests.builders.facts import prepared
config = a_cluster()
argv = ["sh", "-s", "--", *facts_arguments(config, config.manager, None)]
environment = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
answer = subprocess.run(argv, input=facts_script(None), env=environment, capture_output=True, text=True, check=True)
assert parse_node("node1", answer.stdout).kernel == os.uname().release
assert check_nodes(config, prepared(config)) == ()
facts = {name: replace(fact, kernel="4.19.0-26-amd64") for name, fact in prepared(config).items()}
found = {(one.node, one.what) for one in check_nodes(config, facts)}
assert ("node1", "its kernel 4.19.0-26-amd64 is too old") in found
"""
VALUE = """
from pathlib import Path
from sparkqfs.report.reporter import Reporter
from tests.doubles.servers import API, an_engine, body, closed_port, engine_machine, serve
from tests.doubles.stack_pages import look
node = {"ID": "n1", "Spec": {"Role": "manager"}, "Description": {"Engine": {"EngineVersion": "20.10.24"}}}
folder = Path("machine").resolve()
folder.mkdir()
with serve(an_engine() | {f"{API}/nodes": body([node])}) as port, engine_machine(folder, port) as server:
    result = look(server, folder, "shared", dict.fromkeys(("spark_ui", "jupyter", "history"), closed_port()))
assert result.document["engines"] == ["20.10.24"]
Reporter(as_json=False).result(result)
"""
PICTURE = "test_the_readmes_picture_shows_every_service"
ROWS = {
    "service": (SERVICE, ("code_pages", "plan_sizes", "sizing_page", "plan_stack", f"docs.py::{PICTURE}")),
    "backend": (BACKEND, ("plan_stack",)),
    "check": (CHECK, ("checks", "doctor_page")),
    "fact": (FACT, ("checks", "doctor_page", "facts")),
    "status": (STATUS, ("report", "status_document")),
    "value": (VALUE, ("facts", "report", "status_document")),
}
"""Change → what shows that it works, and the unit tests that know of such things."""
SHOWN = {"status": r"busy +25 % of the cores", "value": r"Engines +20\.10\.24"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of this tree."""
    changes.copy_tree(tmp_path)
    return tmp_path


def ran(tree: Path, *words: str) -> str:
    """What Python says with this tree's modules."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tree}:{tree}/runtime", "LANG": "C.UTF-8"}
    argv = [sys.executable, *words]
    done = subprocess.run(argv, cwd=tree, env=environment, capture_output=True, text=True, timeout=180, check=False)
    cannot = re.search(r"Skipped: (no sshd .*|sshd must run as root .*)", done.stderr)
    if done.returncode and cannot is not None:
        pytest.skip(cannot[1])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ROWS)
def test_a_change_applies_and_works_and_the_tests_that_know_of_it_pass(name: str, tree: Path) -> None:
    assert changes.apply(name, tree), f"`python -m tests.machines.changes {name}` shows what does not fit any more"
    shows, units = ROWS[name]
    of_this_tree = f"import sparkqfs; assert sparkqfs.__path__[0] == {str(tree / 'sparkqfs')!r}\n"
    out = ran(tree, "-c", of_this_tree + shows)
    assert re.search(SHOWN.get(name, ""), out)
    paths = [f"tests/unit/test_{unit}" if "::" in unit else f"tests/unit/test_{unit}.py" for unit in units]
    out = ran(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths)
    assert re.search(r"\d+ passed", out)


def test_contributing_names_the_files_of_each_change() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.partition("### What small changes touch")[2].partition("\n## ")[0]
    said = [set(re.findall(r"`([^`]+)`", line)) for line in section.splitlines() if line.startswith("| a ")]
    own = re.compile(r"(echo|dummy)\.py$")
    assert said == [{own.sub("NAME.py", file) for file in changes.files_of(name)} for name in changes.NAMES]
    assert list(ROWS) == list(changes.NAMES)


# --- how the patches are written again ------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of the patches, in place of the real one."""
    folder = tmp_path / "changes"
    shutil.copytree(changes.CHANGES, folder)
    monkeypatch.setattr(changes, "CHANGES", folder)
    return folder


def test_a_change_that_fits_is_written_again_with_its_place_in_the_files(kept: Path, tmp_path: Path) -> None:
    patch = kept / "status.patch"
    before = patch.read_text(encoding="utf-8")
    patch.write_text(re.sub(r"^@@ -\d+,(\d+) \+\d+,", r"@@ -1,\1 +1,", before, flags=re.MULTILINE), encoding="utf-8")
    assert changes.refresh("status", tmp_path / "tree")
    after = patch.read_text(encoding="utf-8")
    changed = re.compile(r"^[-+].*", re.MULTILINE)
    assert changed.findall(after) == changed.findall(before)
    source = (ROOT / "sparkqfs" / "report" / "reporter.py").read_text(encoding="utf-8").splitlines()
    number, first = re.findall(r"^@@ -(\d+),.*\n (.*)", after, re.MULTILINE)[-1]
    assert source[int(number) - 1] == first


def test_a_change_that_does_not_fit_is_finished_by_hand(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = (kept / "status.patch").read_text(encoding="utf-8").replace("cores_used", "cores_idle")
    (kept / "status.patch").write_text(strange, encoding="utf-8")
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(tmp_path / "tree"))
    assert changes.main(["status"]) == 1
    words = capsys.readouterr().out.split()[-2:]
    assert words == ["status", str(tmp_path / "tree")]
    assert [path.name for path in (tmp_path / "tree").rglob("*.rej")] == ["reporter.py.rej"]
    reporter = tmp_path / "tree" / "sparkqfs" / "report" / "reporter.py"
    reporter.write_text(reporter.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
    assert changes.main(words) == 0
    assert "+# by hand\n" in (kept / "status.patch").read_text(encoding="utf-8")
    assert changes.files_of("status") == {"docs/status.md", "sparkqfs/report/reporter.py"}
