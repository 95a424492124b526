"""How worker-node's image gets its packages: locks, the recipe that checks them, Spark without a wheel."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import platform
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sparkqfs import topology
from sparkqfs.clients.context import RECIPES, make_context
from tests.builders.clusters import a_cluster
from tests.paths import ROOT

DOCKER = ROOT / "docker"
WORKER = DOCKER / topology.WORKER_NODE
RECIPE = (WORKER / "Dockerfile").read_text(encoding="utf-8")
LOCKS = sorted(DOCKER.glob("*/*.lock"))
TOP = "pyspark-9.8.7"
METADATA = "Metadata-Version: 2.4\nName: pyspark\nVersion: 9.8.7\nRequires-Dist: py4j<0.11\n"
FILES = {
    "LICENSE": "",
    "PKG-INFO": METADATA,
    "README.md": "",
    "setup.py": "raise SystemExit('setup.py was run')",
    "deps/bin/spark-submit": "#!/usr/bin/env bash\n",
    "deps/bin/spark-submit.cmd": "rem\n",
    "deps/data/sample.txt": "1",
    "deps/examples/pi.py": "",
    "deps/jars/spark-core_2.13.jar": "core",
    "deps/licenses/LICENSE-xz.txt": "",
    "deps/sbin/spark-daemon.sh": "#!/usr/bin/env bash\n",
    "lib/pyspark.zip": "",
    "pyspark.egg-info/SOURCES.txt": "",
    "pyspark.egg-info/top_level.txt": "pyspark\n",
    "pyspark/__init__.py": "answer = 42\n",
    "pyspark/find_spark_home.py": "#!/usr/bin/env python3\nimport sys\n",
    "pyspark/sql/py.typed": "",
    "pyspark/sql/template.py": "this is {not} Python\n",
}
EXECUTABLE = ("deps/bin/spark-submit", "deps/sbin/spark-daemon.sh", "pyspark/find_spark_home.py")
BYTE_CODE = re.compile(r"__pycache__/(\w+)\.cpython-\d+\.pyc$")


def program_of_the_recipe(name: str) -> Any:
    """As a module."""
    spec = importlib.util.spec_from_file_location(name, WORKER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program() -> Any:
    return program_of_the_recipe("install_spark")


@pytest.fixture(scope="module")
def archiving() -> Any:
    return program_of_the_recipe("class_archive")


def archive(folder: Path, files: Mapping[str, str]) -> Path:
    path = folder / f"{TOP}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{TOP}/{name}")
            info.size = len(text.encode())
            info.mode = 0o755 if name in EXECUTABLE else 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def all_files(program: Any) -> dict[str, str]:
    """With a jar for every pattern of those that are left out on this machine."""
    patterns = program.unwanted_jars(platform.machine() == "aarch64")
    return {**FILES, **{f"deps/jars/{pattern.replace('*', 'any')}": "" for pattern in patterns}}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment without pip, as the recipe makes it."""
    venv.create(tmp_path / "venv", symlinks=True)
    return tmp_path / "venv"


def packages_of(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages"))


def modes(folder: Path) -> dict[str, int]:
    """Every file below a folder → its permissions; byte code without Python's version."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {
        BYTE_CODE.sub(r"\1.pyc", path.relative_to(folder).as_posix()): path.stat().st_mode & 0o777 for path in paths
    }


def installed(environment: Path) -> importlib.metadata.Distribution:
    (found,) = importlib.metadata.distributions(path=[str(packages_of(environment))])
    return found


def test_spark_is_where_a_wheel_has_it_without_what_is_never_loaded(
    program: Any, environment: Path, tmp_path: Path
) -> None:
    before = set(modes(environment / "bin"))
    program.main(archive(tmp_path, all_files(program)), environment)
    scripts = modes(environment / "bin")
    assert {name: scripts[name] for name in set(scripts) - before} == dict.fromkeys(
        ("spark-submit", "spark-submit.cmd", "find_spark_home.py"), 0o755
    )
    first = (environment / "bin" / "find_spark_home.py").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"#!{environment}/bin/python3"
    metadata = ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL", "licenses/LICENSE", "top_level.txt")
    plain = (
        *(f"{TOP}.dist-info/{name}" for name in metadata),
        *(f"pyspark/{name}.py" for name in ("__init__", "find_spark_home", "sql/template")),
        *(f"pyspark/{name}.pyc" for name in ("__init__", "find_spark_home")),
        *("pyspark/bin/spark-submit.cmd", "pyspark/jars/spark-core_2.13.jar", "pyspark/licenses/LICENSE-xz.txt"),
        *("pyspark/python/lib/pyspark.zip", "pyspark/sql/py.typed"),
    )
    executable = ("pyspark/bin/spark-submit", "pyspark/sbin/spark-daemon.sh")
    assert modes(packages_of(environment)) == {**dict.fromkeys(plain, 0o644), **dict.fromkeys(executable, 0o755)}


def test_spark_is_known_with_its_requirements_and_the_hash_of_every_file(
    program: Any, environment: Path, tmp_path: Path
) -> None:
    files = all_files(program)
    program.main(archive(tmp_path, files), environment)
    spark = installed(environment)
    assert (spark.name, spark.version, spark.requires) == ("pyspark", "9.8.7", ["py4j<0.11"])
    checked = 0
    for path in spark.files or ():
        content = Path(str(path.locate())).read_bytes()
        if path.hash is not None:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (path.hash.mode, path.hash.value, path.size) == ("sha256", digest, len(content)), path
            checked += 1
    without = {Path(str(path)).suffix for path in spark.files or () if path.hash is None}
    assert checked > 15 and without == {"", ".pyc"}


def test_pip_finds_spark_and_removes_all_of_it_for_another_version(
    program: Any, environment: Path, tmp_path: Path
) -> None:
    before = set(modes(environment))
    program.main(archive(tmp_path, all_files(program)), environment)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(environment)]
    # What `pip freeze` says of the image fixes the versions of the user's packages.
    assert subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout == "pyspark==9.8.7\n"
    subprocess.run([*pip, "uninstall", "--yes", "pyspark"], check=True, capture_output=True)
    assert set(modes(environment)) == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"deps/R/sparkr.zip": ""}, "deps/R/sparkr.zip has no place"),
        ({"pyspark/../../bin/python3": ""}, "leads out of the archive"),
        ({}, "no jar matches connect-repl/*"),
    ],
)
def test_an_archive_that_has_changed_is_refused(
    program: Any, environment: Path, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        program.main(archive(tmp_path, {**FILES, **files}), environment)


def test_a_link_in_the_archive_is_refused(program: Any, environment: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{TOP}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo(f"{TOP}/deps/jars/spark.jar")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ValueError, match="is not a file"):
        program.main(path, environment)


@pytest.mark.parametrize(("arm", "kept"), [(False, "linux/amd64/libx.so"), (True, "linux/aarch64/libx.so")])
def test_a_jar_keeps_the_native_library_of_this_processor(program: Any, tmp_path: Path, arm: bool, kept: str) -> None:
    names = ("linux/amd64/libx.so", "linux/aarch64/libx.so", "linux-musl/aarch64/libx.so", "mac/libx.jnilib", "X.class")
    with zipfile.ZipFile(tmp_path / "x.jar", "w") as jar:
        for name in names:
            jar.writestr(name, name)
    program.thin(tmp_path / "x.jar", arm)
    with zipfile.ZipFile(tmp_path / "x.jar") as jar:
        assert {name: jar.read(name).decode() for name in jar.namelist()} == {kept: kept, "X.class": "X.class"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.relative_to(DOCKER).as_posix())
def test_every_line_of_a_lock_has_its_hash(lock: Path) -> None:
    lines = [line for line in lock.read_text(encoding="utf-8").replace("\\\n", "").splitlines() if line[:1] not in "#"]
    of_jars = lock.name in RECIPES
    pattern = r"[0-9a-f]{64}\s+\S+\.jar" if of_jars else r"[\w.-]+==[\w.]+(\s+--hash=sha256:[0-9a-f]{64})+"
    assert lines and [line for line in lines if line and not re.fullmatch(pattern, line)] == []


def test_pip_checks_the_hash_of_all_that_the_recipes_fetch() -> None:
    fetched = {
        f"{path.parent.name}: {command}"
        for path in DOCKER.glob("*/Dockerfile")
        for command in re.findall(
            r"(?:\bpip|-m pip) +((?:install|download) [^;]+);", path.read_text(encoding="utf-8").replace("\\\n", "")
        )
    }
    users = {command for command in fetched if command.startswith(f"{topology.PACKAGES}: ")}
    assert len(fetched - users) == 5 and [c for c in fetched - users if "--require-hashes" not in c] == []


def recipe_that_fetches_spark(folder: Path) -> str:
    """The two commands of the Dockerfile, with this Python's pip and a folder of the test."""
    found = re.search(r"    (sed -n .+requirements\.lock.+?pip download .+?);", RECIPE, re.DOTALL)
    assert found is not None
    text = found[1].replace("\\\n", "").replace("/opt/venv/bin/pip", f"{sys.executable} -m pip")
    return text.replace("/tmp/spark", str(folder / "spark"))


def fetch_spark(folder: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """Run them on a lock, with the archives of `folder` as the only index."""
    (folder / "requirements.lock").write_text(lock, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", recipe_that_fetches_spark(folder)],
        cwd=folder,
        env={**clean, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_archive_of_another_content_ends_the_build(tmp_path: Path) -> None:
    path = archive(tmp_path, FILES)
    digest = hashlib.sha256(path.read_bytes() + b"as it should be").hexdigest()
    refused = fetch_spark(
        tmp_path, f"py4j==1 \\\n    --hash=sha256:{'0' * 64}\npyspark==9.8.7 \\\n    --hash=sha256:{digest}\n"
    )
    assert refused.returncode != 0 and "DO NOT MATCH THE HASHES" in refused.stderr
    assert list(tmp_path.glob("spark/*")) == []


def test_of_the_lock_spark_alone_is_fetched_as_an_archive(tmp_path: Path) -> None:
    lock = (WORKER / "requirements.lock").read_text(encoding="utf-8")
    fetch_spark(tmp_path, lock)  # nothing to find
    (line,) = (tmp_path / "spark.lock").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    assert re.fullmatch(r"pyspark==[\d.]+\s+--hash=sha256:[0-9a-f]{64}", line)
    assert "--only-binary :all:" in RECIPE  # of the others none is built


def test_the_program_that_installs_spark_counts_for_the_image() -> None:
    assert "install_spark.py" in {name for name, *_ in make_context(a_cluster(), topology.WORKER_NODE, None).members}
    assert re.search(r"^COPY .*\binstall_spark\.py\b", RECIPE, re.MULTILINE)


def test_no_jdk_is_installed_to_compile_our_classes() -> None:
    assert "openjdk-17-jre-headless" in RECIPE and not re.search(r"install[^;]*-jdk", RECIPE)
    assert RECIPE.count("-Xlint:all") == RECIPE.count("-Werror") == 1


SUBMIT = """\
#!{python}
import os, sys
from pathlib import Path
settings = dict(word.split("=", 1) for word in sys.argv if word.startswith("spark."))
first = Path(settings["spark.driver.extraClassPath"])
assert sys.argv[-2].endswith("class_training.py") and Path(sys.argv[-1]).is_dir()
assert first.is_file() and os.environ["SPARK_CONF_DIR"].startswith(sys.argv[-1])
(to,) = [w.partition("=")[2] for w in settings["spark.driver.extraJavaOptions"].split() if "ArchiveClassesAtExit" in w]
print("what the program said")
{end}
Path(to).write_text("classes")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Spark of two jars without classes, whose spark-submit is a stand-in; java says where its main class is from."""
    (tmp_path / "spark" / "jars").mkdir(parents=True)
    for name in ("b.jar", "a.jar"):
        (tmp_path / "spark" / "jars" / name).touch()
    stand_in(tmp_path / "spark" / "bin" / "spark-submit", SUBMIT.format(python=sys.executable, end=""))
    java(tmp_path / "bin", "shared objects file (top)")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "spark"


def stand_in(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def java(folder: Path, source: str) -> None:
    line = f"[0.1s][info][class,load] org.apache.spark.deploy.SparkSubmit source: {source}"
    stand_in(folder / "java", f"#!/bin/sh\necho '{line}'\n")


def test_one_jar_names_all_others_in_the_order_of_their_names(archiving: Any, home: Path) -> None:
    names = [f"{'long-name-' * 5}{number:03}.jar" for number in range(40)]
    for name in reversed(names):
        (home / "jars" / name).touch()
    for _ in range(2):  # the jar does not name itself
        archiving.main(home)
        with zipfile.ZipFile(home / "jars" / "sparkqfs-first.jar") as jar:
            (inside,) = jar.namelist()
            lines = jar.read(inside).decode().split("\r\n")
        assert inside == "META-INF/MANIFEST.MF" and max(map(len, lines)) <= 70
        said = "\n".join(lines).replace("\n ", "").splitlines()
        assert said[:2] == ["Manifest-Version: 1.0", f"Class-Path: a.jar b.jar {' '.join(names)}"]
    found = {
        path.name: path.stat().st_mode & 0o777 for path in (home / "classes.jsa", home / "jars/sparkqfs-first.jar")
    }
    assert set(found.values()) == {0o644}


def test_an_archive_that_no_jvm_takes_ends_the_build(archiving: Any, home: Path) -> None:
    java(home.parent / "bin", "file:/opt/spark/jars/spark-core.jar")
    with pytest.raises(ValueError, match="SparkSubmit does not come out of"):
        archiving.main(home)


def test_a_program_that_fails_ends_the_build_with_its_last_lines(archiving: Any, home: Path) -> None:
    stand_in(home / "bin" / "spark-submit", SUBMIT.format(python=sys.executable, end="sys.exit(3)"))
    with pytest.raises(ValueError, match=r"what the program said\n.*spark-submit ended with 3"):
        archiving.main(home)
