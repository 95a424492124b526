"""Installs pyspark into a fresh virtual environment from its source archive, whose hash pip has checked.

pip would unpack the archive, copy it, compress it to a wheel and unpack that. Here each file goes straight to where the
wheel has it (setup.py of pyspark 4.1.4); what a standalone cluster never loads is left out.
Usage: install_spark.py pyspark-4.1.4.tar.gz /opt/venv
"""

from __future__ import annotations

import base64
import compileall
import csv
import hashlib
import importlib.util
import platform
import shutil
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

# Other cluster managers, command lines of Hive's, the Scala shell of Spark Connect, QUIC.
JARS = (
    "connect-repl/*",
    "spark-kubernetes_*", "kubernetes-*", "vertx-*", "zjsonpatch-*",
    "spark-yarn_*",
    "hive-beeline-*", "hive-cli-*",
    "netty-codec-native-quic-*",
    "netty-*-osx-*", "netty-*-windows-*", "netty-*-linux-riscv64*",
)  # fmt: skip
NATIVE = (".so", ".dll", ".jnilib", ".dylib", ".lib")
LIBRARIES = ("rocksdbjni-*.jar", "zstd-jni-*.jar", "snappy-java-*.jar", "lz4-java-*.jar", "leveldbjni-all-*.jar")
"""Jars with native code for many systems; each entry's name or folder says for which."""
PLACES = {
    "deps/jars/": "pyspark/jars/",
    "deps/bin/": "pyspark/bin/",
    "deps/sbin/": "pyspark/sbin/",
    "deps/licenses/": "pyspark/licenses/",
    "lib/": "pyspark/python/lib/",
    "pyspark/": "pyspark/",
    "LICENSE": "@/licenses/LICENSE",
    "NOTICE": "@/licenses/NOTICE",
    "PKG-INFO": "@/METADATA",
    "pyspark.egg-info/top_level.txt": "@/top_level.txt",
}
"""What a path in the archive begins with → the same in site-packages; `@` is the folder of the metadata."""
LEFT_OUT = ("deps/examples/", "deps/data/", "pyspark.egg-info/", "setup.py", "setup.cfg", "MANIFEST.in", "README.md")
SCRIPTS = ("pyspark/bin/", "pyspark/find_spark_home.py")
"""What is also a command of the virtual environment."""
WHEEL = "Wheel-Version: 1.0\nGenerator: sparkqfs\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def place_of(path: str) -> str | None:
    """Where a file of the archive goes; `None` where it is left out.

    Raises `ValueError` for a path that this program does not know: then Spark's archive has changed.
    """
    if ".." in path.split("/"):
        raise ValueError(f"{path} leads out of the archive")
    for begin, place in PLACES.items():
        if path == begin or (begin.endswith("/") and path.startswith(begin)):
            return place + path.removeprefix(begin)
    if path.startswith(LEFT_OUT):
        return None
    raise ValueError(f"{path} has no place: look at PLACES and at the archive's setup.py again")


def unwanted_jars(arm: bool) -> tuple[str, ...]:
    """Patterns of the jars that are left out on this processor."""
    return (*JARS, "netty-*-linux-x86_64*" if arm else "netty-*-linux-aarch_64*")


def unpack(archive: Path, packages: Path, arm: bool) -> list[Path]:
    """Write the archive's files into site-packages; their paths.

    Raises `ValueError` for a link, a file without a place or a pattern that matches nothing: then Spark has changed.
    """
    unwanted = dict.fromkeys(unwanted_jars(arm), 0)
    written: list[Path] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                raise ValueError(f"{member.name} is not a file: look at the archive again")
            top, _, path = member.name.partition("/")
            place = place_of(path)
            if place is None:
                continue
            matches = [pattern for pattern in unwanted if fnmatch(place.removeprefix("pyspark/jars/"), pattern)]
            for pattern in matches:
                unwanted[pattern] += 1
            if not matches:
                inside = f"{top}.dist-info/{place[2:]}" if place.startswith("@/") else place
                target = packages / inside
                write(content, target, executable=bool(member.mode & 0o100) and target.suffix != ".py")
                written.append(target)
    for pattern, count in unwanted.items():
        if not count:
            raise ValueError(f"no jar matches {pattern}: look at the list again")
    return written


def write(content: IO[bytes], target: Path, executable: bool) -> None:
    """A new file, readable by all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
    target.chmod(0o755 if executable else 0o644)


def ours(name: str, arm: bool) -> bool:
    """Whether a native library in a jar is for Linux with glibc on this processor."""
    lower = name.lower()
    if "linux" not in lower or "musl" in lower:
        return False
    if arm:
        return "aarch64" in lower
    return any(mark in lower for mark in ("amd64", "x86_64", "linux64.", "linux64/"))


def thin(jar: Path, arm: bool) -> None:
    """Rewrites a jar without other systems' libraries; keeps it whole where none for this system is recognised."""
    with zipfile.ZipFile(jar) as old:
        native = [item for item in old.infolist() if item.filename.lower().endswith(NATIVE)]
        kept = [item for item in native if ours(item.filename, arm)]
        if not kept or len(kept) == len(native):
            return
        dropped = {item.filename for item in native} - {item.filename for item in kept}
        temporary = jar.with_suffix(".new")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as new:
            for item in old.infolist():
                if item.filename not in dropped:
                    new.writestr(item, old.read(item))
    temporary.replace(jar)
    jar.chmod(0o644)


def commands(packages: Path, written: list[Path], venv: Path) -> list[Path]:
    """Copies of the scripts in the environment's bin, Python's with its interpreter; their paths."""
    made: list[Path] = []
    for script in written:
        if not script.relative_to(packages).as_posix().startswith(SCRIPTS):
            continue
        content = script.read_bytes()
        first, _, rest = content.partition(b"\n")
        if first.startswith(b"#!") and b"python" in first:
            content = f"#!{venv}/bin/python3\n".encode() + rest
        target = venv / "bin" / script.name
        with target.open("xb") as out:
            out.write(content)
        target.chmod(0o755)
        made.append(target)
    return made


def compiled(packages: Path, written: list[Path]) -> list[Path]:
    """Byte code of every module, which no container may write later; the paths of what could be compiled."""
    compileall.compile_dir(packages / "pyspark", quiet=2, workers=0)
    caches = [Path(importlib.util.cache_from_source(str(path))) for path in written if path.suffix == ".py"]
    return [cache for cache in caches if cache.is_file()]


def record_line(packages: Path, path: Path) -> tuple[str, str, str]:
    """A file's line of RECORD: path, hash, bytes; byte code has no hash (packaging.python.org, recording projects)."""
    name = path.relative_to(packages).as_posix() if path.is_relative_to(packages) else f"../../../bin/{path.name}"
    if path.suffix == ".pyc":
        return name, "", ""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return name, "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), str(path.stat().st_size)


def describe(packages: Path, folder: Path, files: list[Path]) -> None:
    """The rest of the metadata, by which pip finds the package, and removes all of it for another version."""
    for name, text in (("INSTALLER", "sparkqfs\n"), ("REQUESTED", ""), ("WHEEL", WHEEL)):
        (folder / name).write_text(text, encoding="utf-8")
        files.append(folder / name)
    record = folder / "RECORD"
    lines = [record_line(packages, path) for path in sorted(files)]
    with record.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([*lines, (record.relative_to(packages).as_posix(), "", "")])


def main(archive: Path, venv: Path) -> None:
    """All of it."""
    packages = next(venv.glob("lib/python3*/site-packages"))
    arm = platform.machine() == "aarch64"
    files = unpack(archive, packages, arm)
    for jar in files:
        if any(jar.match(pattern) for pattern in LIBRARIES):
            thin(jar, arm)
    files += commands(packages, files, venv)
    files += compiled(packages, files)
    (metadata,) = packages.glob("pyspark-*.dist-info")
    describe(packages, metadata, files)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except ValueError as error:
        sys.exit(f"install_spark.py: {error}")
