"""Our Java file server, compiled as in the image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.doubles.file_servers import World
from tests.paths import JAVA, RUNTIME
from tests.storage.qfs_reader import find_jars

SOURCES = RUNTIME / "java" / "sparkqfs" / "files"


def compiled(class_path: str, folder: Path) -> str:
    """The class path with our file server, compiled as in the image."""
    sources = [str(path) for path in (*sorted(SOURCES.glob("*.java")), JAVA / "OddFileSystem.java")]
    argv = ["javac", "-Xlint:all,-classfile,-path", "-Werror", "-cp", class_path, "-d", str(folder), *sources]
    subprocess.run(argv, check=True)
    return f"{folder}:{class_path}"


def java(class_path: str) -> list[str]:
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", class_path, "sparkqfs.files.FileServer"]


@pytest.fixture(scope="module")
def java_server(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if shutil.which("javac") is None:
        pytest.skip("no JDK (javac)")
    jars = ":".join(str(jar) for jar in find_jars())
    return java(compiled(jars, tmp_path_factory.mktemp("classes")))


def on_plain_files(java_server: list[str], folder: Path) -> World:
    folder.mkdir()
    return World(java_server, f"file://{folder}")
