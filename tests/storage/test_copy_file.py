"""What an executor does for one file of `invoke copy --overwrite`: its Java class on plain files with moods."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.doubles.file_servers import World
from tests.paths import JAVA, RUNTIME
from tests.storage.file_servers import SOURCES
from tests.storage.qfs_reader import find_jars

COPY = RUNTIME / "java" / "sparkqfs" / "copy" / "Copy.java"
PROGRAM = Path(__file__).parent / "copy" / "sparkqfs" / "copy" / "CopyOnce.java"
HALTED = 9


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("javac") is None:
        pytest.skip("no JDK (javac)")
    jars, classes = ":".join(map(str, find_jars())), tmp_path_factory.mktemp("classes")
    sources = map(str, (*sorted(SOURCES.glob("*.java")), COPY, PROGRAM, JAVA / "OddFileSystem.java"))
    subprocess.run(
        ("javac", "-Xlint:all,-classfile,-path", "-Werror", "-cp", jars, "-d", str(classes), *sources), check=True
    )
    return f"{classes}:{jars}"


class Place:
    """A file `new` that is to be copied over another one, `target/x`."""

    def __init__(self, class_path: str, top: Path) -> None:
        self._class_path, self._top = class_path, top
        self.target = top / "target"
        self.target.mkdir()
        (top / "new").write_bytes(b"the new bytes")
        (self.target / "x").write_bytes(b"old")

    def copied(self, *, end: float, **moods: bool) -> subprocess.CompletedProcess[str]:
        settings = [f"fs.odd.{name}={str(value).lower()}" for name, value in moods.items()]
        places = [f"file://{self._top / 'new'}", f"file://{self.target / 'x'}", str(int(end))]
        words = [*places, "fs.file.impl=OddFileSystem", *settings]
        java = ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", self._class_path)
        argv = (*java, "sparkqfs.copy.CopyOnce", *words)
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.target.iterdir()}


@pytest.fixture
def place(class_path: str, tmp_path: Path) -> Place:
    return Place(class_path, tmp_path)


def test_a_file_is_replaced_in_one_step_where_the_storage_has_it(place: Place) -> None:
    done = place.copied(end=time.time(), halts=True)
    assert done.stdout.startswith("copied\t13\t") and place.files() == {"x": b"the new bytes"}
    assert place.copied(end=time.time(), halts=True).stdout.startswith("unchanged\t13\t")


def test_the_old_file_has_its_name_again_after_a_copy_that_failed_between_two_steps(place: Place) -> None:
    done = place.copied(end=time.time(), replaces=False, throws=True)
    assert done.returncode == 1 and "the connection broke" in done.stderr
    assert place.files() == {"x": b"old"}


def test_what_a_killed_executor_leaves_is_known_to_whoever_puts_a_file_there_next(
    place: Place, class_path: str, tmp_path: Path
) -> None:
    assert place.copied(end=1, replaces=False, halts=True).returncode == HALTED
    names = sorted(place.files())
    assert [name[:16] for name in names] == [".sparkqfs-old-1-", ".sparkqfs-part-1"], names
    server = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", class_path, "sparkqfs.files.FileServer"]
    (tmp_path / "y").write_bytes(b"other")
    assert World(server, f"file://{place.target}").put(tmp_path / "y", "/y").problems == ()
    assert place.files() == {"x": b"old", "y": b"other"}
