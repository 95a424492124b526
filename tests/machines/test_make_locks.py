"""docs/make_locks.py over a small tree: what it finds without a network, what it makes with doubles of its tools."""

from __future__ import annotations

import hashlib
import os
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

NAMED = ("sparkqfs/topology.py", "docker/worker-node/install_spark.py", "docs/delta.md", "README.md")
WORKER, JUPYTER, DELTA = "docker/worker-node", "docker/jupyter-server", "docker/delta"
HASH = "0" * 64
COMPILER = """\
#!/bin/sh
# pip-compile: the newest that may be, in a format like its own.
while [ $# -gt 1 ]; do case $1 in --output-file) out=$2; shift;; esac; shift; done
hash=$(printf %064d 7)
printf '# unsafe\\n\\n' > "$out"
cat "$1" below.txt 2>/dev/null >> "$ASKED"
[ ! -e "$BROKEN" ] || { echo "no matching distribution" >&2; exit 2; }
for name in NAMES; do printf '%s \\\\\\n    --hash=sha256:%s\\n' "$name" "$hash"; done >> "$out"
"""
MAVEN = """\
#!/bin/sh
[ ! -e "$BROKEN" ] || { echo "Could not resolve dependencies" >&2; exit 1; }
grep -q '<project' pom.xml || exit 1
for name in delta-storage delta-spark_4.1_2.13; do
  jar=io/delta/$name/4.4.0/$name-4.4.0.jar
  mkdir -p "${jar%/*}"; printf '%s' "$jar" > "$jar"
done
"""


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_locks.py"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What the program looks at, copied."""
    root = tmp_path / "tree"
    for name in (*NAMED, *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docker/*/*.lock"))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for path in ROOT.glob("docker/*/*.pom.xml"):
        shutil.copy(path, root / path.relative_to(ROOT))
    return root


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Programs in the place of pip-compile and mvn; what pip-compile gives is said by the test."""

    def make(*names: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in (("pip-compile", COMPILER.replace("NAMES", " ".join(names))), ("mvn", MAVEN)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setenv("PIP_COMPILE", str(folder / "pip-compile"))
        monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
        monkeypatch.setenv("BROKEN", str(tmp_path / "broken"))

    return make


def test_the_locks_of_the_product_fit(script: dict[str, Any]) -> None:
    assert script["check"](ROOT) == []


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        (f"{WORKER}/requirements.lock", r"\npyspark==4.1.4 ", "\npyspark==4.1.3 ", "is asked for, and 4.1.3 is there"),
        (f"{WORKER}/requirements.lock", r"\npy4j==\S+ \\\n.*", "\npy4j>=1", "not a version with hashes: py4j>=1"),
        (f"{WORKER}/requirements.lock", r" matplotlib\n", " matplotlib seaborn\n", "seaborn is asked for and"),
        (f"{JUPYTER}/requirements.lock", r"\npackaging==\S+", "\npackaging==1.0", "packaging is 1.0 here and"),
        (f"{JUPYTER}/requirements.lock", r" From: .*", "", "no line `From:`"),
        (f"{DELTA}/requirements.lock", r"\Z", f"py4j==1 \\\n    --hash=sha256:{HASH}\n", "py4j is in docker/"),
        (f"{WORKER}/build-tools.lock", r"\Z", f"pip==1 \\\n    --hash=sha256:{HASH}\n", "pip is there twice"),
        (f"{WORKER}/hadoop.lock", r"\A(.*\n)(.*\n)", r"\2\1", "not in order"),
        (f"{DELTA}/delta.lock", r"\A.{8}", "zzzzzzzz", "line 1: expected a SHA-256 and a path"),
        (f"{DELTA}/delta.pom.xml", r"<delta.version>4.4.0", "<delta.version>4.5.0", "expected '<delta.version>4.4.0<'"),
        ("sparkqfs/topology.py", r'SPARK_VERSION = "4.1.4"', 'SPARK_VERSION = "4.2.0"', "README.md: expected 'Spark"),
        ("sparkqfs/topology.py", r'HADOOP_VERSION = "3.5.0"', 'HADOOP_VERSION = "3.6.0"', "hadoop.lock: expected"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_found(
    script: dict[str, Any], tree: Path, path: str, before: str, after: str, said: str
) -> None:
    text = (tree / path).read_text()
    changed = re.sub(before, after if after.startswith("\\") else lambda _: after, text, count=1)
    assert changed != text
    (tree / path).write_text(changed)
    assert any(said in fault for fault in script["check"](tree)), script["check"](tree)


def test_a_lock_that_nobody_renews_is_found(script: dict[str, Any], tree: Path) -> None:
    (tree / "docker" / "delta" / "more.lock").write_text("")
    (tree / "docker" / "worker-node" / "build-tools.lock").unlink()
    faults = script["check"](tree)
    assert "docker/delta/more.lock: not in LOCKS of docs/make_locks.py" in faults
    assert "docker/worker-node/build-tools.lock: missing" in faults


def test_a_lock_of_pip_is_made_from_its_own_line_on_what_is_below_it(
    script: dict[str, Any], tree: Path, tools: Callable[..., None], tmp_path: Path
) -> None:
    tools("delta-spark==4.4.0", "importlib-metadata==9.0", "py4j==0.1", "zipp==4.1.2")
    changes = script["write"](tree, ["delta"])
    asked = (tmp_path / "asked").read_text()
    assert "-c below.txt\ndelta-spark==4.4.0\n" in asked and "\npyspark==4.1.4\n" in asked
    path = tree / "docker" / "delta" / "requirements.lock"
    assert path.read_text().startswith("# Delta's Python package") and "py4j" not in path.read_text()
    assert "docker/delta/requirements.lock: + importlib-metadata==9.0" in changes
    assert script["check"](tree) == []


def test_a_lock_of_jars_is_what_maven_gives(script: dict[str, Any], tree: Path, tools: Callable[..., None]) -> None:
    tools()
    changes = script["write"](tree, ["delta-jars"])
    lines = (tree / "docker" / "delta" / "delta.lock").read_text().splitlines()
    paths = [line[66:] for line in lines]
    assert paths == sorted(paths) and len(paths) == 2
    assert all(line[:64] == hashlib.sha256(line[66:].encode()).hexdigest() for line in lines)
    assert any("delta-kernel-api" in change for change in changes)
    assert script["check"](tree) == []


@pytest.mark.parametrize("name", ["build-tools", "delta-jars"])
def test_nothing_is_replaced_when_a_tool_fails_and_its_words_are_said(
    script: dict[str, Any], tree: Path, tools: Callable[..., None], tmp_path: Path, name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    tools("pip==1", "setuptools==2")
    (tmp_path / "broken").touch()
    before = {path: path.read_bytes() for path in tree.rglob("*.lock")}
    assert script["main"](["--write", name], tree) == 1
    said = capsys.readouterr().err
    assert "no matching distribution" in said or "Could not resolve dependencies" in said
    assert before == {path: path.read_bytes() for path in tree.rglob("*.lock")}


def test_a_machine_without_maven_is_told_what_it_needs(
    script: dict[str, Any], tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert script["main"](["--write"], tree) == 1
    assert "mvn is not there: apt-get install maven" in capsys.readouterr().err


def test_a_name_that_is_no_locks_is_refused(script: dict[str, Any], tree: Path) -> None:
    with pytest.raises(SystemExit):
        script["main"](["--write", "nothing"], tree)
    with pytest.raises(SystemExit):
        script["main"]([], tree)
