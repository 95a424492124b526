"""Removes what a standalone cluster never loads from a fresh virtual environment. Usage: slim.py /opt/venv"""

from __future__ import annotations

import platform
import shutil
import sys
import zipfile
from pathlib import Path

# Other cluster managers, the Thrift server's client side, the Scala shell of Spark Connect, QUIC.
JARS = (
    "connect-repl",
    "spark-kubernetes_*", "kubernetes-*", "vertx-*", "zjsonpatch-*",
    "spark-yarn_*",
    "spark-hive-thriftserver_*", "hive-beeline-*", "hive-cli-*",
    "netty-codec-native-quic-*",
    "netty-*-osx-*", "netty-*-windows-*", "netty-*-linux-riscv64*",
)  # fmt: skip
PACKAGES = (
    "pyspark/examples", "pyspark/data", "pandas/tests", "pyarrow/tests", "pyarrow/include", "matplotlib/tests",
    "mpl_toolkits/*/tests",
)  # fmt: skip
NATIVE = (".so", ".dll", ".jnilib", ".dylib", ".lib")
LIBRARIES = ("rocksdbjni-*.jar", "zstd-jni-*.jar", "snappy-java-*.jar", "lz4-java-*.jar", "leveldbjni-all-*.jar")
"""Jars with native code for many systems; each entry's name or folder says for which."""


def remove(path: Path) -> None:
    """A file or a whole folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


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


def main(venv: Path) -> None:
    """All of it; fails when a pattern of JARS matches nothing, because then Spark has changed."""
    packages = next(venv.glob("lib/python3*/site-packages"))
    jars = packages / "pyspark" / "jars"
    arm = platform.machine() == "aarch64"
    foreign = "*-linux-x86_64*" if arm else "*-linux-aarch_64*"
    for pattern in (*JARS, f"netty-{foreign}"):
        found = list(jars.glob(pattern))
        if not found:
            sys.exit(f"slim.py: no jar matches {pattern}: look at the list again")
        for path in found:
            remove(path)
    for pattern in PACKAGES:
        for path in packages.glob(pattern):
            remove(path)
    for pattern in LIBRARIES:
        for jar in jars.glob(pattern):
            thin(jar, arm)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
