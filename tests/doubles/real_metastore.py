"""Hive's metastore with our classes as a plain process on loopback, and a session's side of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.clients.download import fetch_jars
from sparkqfs.errors import ClusterError
from tests.doubles.servers import closed_port
from tests.paths import PROGRAMS, RUNTIME

SOURCES = Path(__file__).parent / "java"
DEFAULTS = """\
spark.sql.warehouse.dir      file://{warehouse}
spark.hadoop.fs.defaultFS    file:///
"""
START_S = 180.0


def make_spark_home(top: Path) -> Path:
    """A directory with the jars that the metastore needs, as in Spark's; skips without a JDK or without the jars."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK (javac)")
    try:
        jars = fetch_jars(SOURCES / "metastore.lock", offline=None, on_progress=lambda _done, _total: None)
    except ClusterError as error:
        pytest.skip(f"no jars of the metastore: {error}")
    (top / "jars").mkdir(parents=True)
    for jar in jars:
        (top / "jars" / jar.name).symlink_to(jar)
    classes = top / "classes"
    sources = map(str, [*(RUNTIME / "java" / "sparkqfs" / "catalogue").glob("*.java"), *SOURCES.glob("*.java")])
    flags = ("-Xlint:all,-classfile,-path,-processing", "-Werror", "-cp", ":".join(map(str, jars)), "-d", str(classes))
    subprocess.run(("javac", *flags, *sources), check=True)
    with zipfile.ZipFile(top / "jars" / "sparkqfs.jar", "w") as archive:
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes))
    return top


def children(pid: int) -> list[int]:
    """Of a process that runs, with theirs."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(word) for word in text.split()]
    return [*(one for child in found for one in children(child)), *found]


class RealMetastore:
    """Its container's directories, with storage `shared`."""

    def __init__(self, root: Path, spark_home: Path) -> None:
        self.names, self.shared, self.port = root / "names", root / "shared", closed_port()
        for path in (root / "etc", root / "run", root / "secrets", self.names, self.shared / "warehouse"):
            path.mkdir(parents=True)
        self.copies, self.log = self.shared / ".catalogue", root / "log"
        (root / "etc" / "spark-defaults.conf").write_text(DEFAULTS.format(warehouse=self.shared / "warehouse"))
        self.environ = {
            "PATH": os.environ["PATH"],
            "SPARK_HOME": str(spark_home),
            "SPARK_DAEMON_MEMORY": "96m",
            "SPARKQFS_STORAGE": "shared",
            "SPARKQFS_ROOT": f"file://{self.shared}",
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(root / "etc"),
            "SPARKQFS_RUN_DIR": str(root / "run"),
            "SPARKQFS_SECRETS_DIR": str(root / "secrets"),
            "SPARKQFS_METASTORE_DIR": str(self.names),
            "SPARKQFS_METASTORE_PORT": str(self.port),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.session: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Until it answers."""
        argv = [sys.executable, "-I", str(PROGRAMS / "supervise"), "metastore"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=self.environ, stdout=log, stderr=log)
        end = time.monotonic() + START_S
        question = [sys.executable, "-I", str(PROGRAMS / "health"), "metastore"]
        while subprocess.run(question, env=self.environ, capture_output=True, timeout=30, check=False).returncode:
            assert time.monotonic() < end and self.process.poll() is None, self.said()
            time.sleep(0.2)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """As when the machine goes away."""
        if self.process is not None:
            for pid in [*children(self.process.pid), self.process.pid]:
                os.kill(pid, signal.SIGKILL)
        for process in (self.session, self.process):
            if process is not None:
                process.kill()
                process.wait()
        self.session = self.process = None

    def client(self) -> subprocess.Popen[str]:
        argv = [
            "java",
            "-Xmx64m",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{self.environ['SPARK_HOME']}/jars/*",
            "TableClient",
            str(self.port),
        ]
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )

    def do(self, *commands: str) -> list[str]:
        """What a session is told."""
        if self.session is None:
            self.session = self.client()
        assert self.session.stdin is not None and self.session.stdout is not None
        found = []
        for command in commands:
            self.session.stdin.write(command + "\n")
            self.session.stdin.flush()
            found.append(self.session.stdout.readline().strip())
        return found

    def tables(self) -> dict[str, Any]:
        """What `metadata-state tables` says, in its container."""
        argv = [sys.executable, "-I", str(PROGRAMS / "metadata-state"), "tables", "60"]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr + self.said()
        return dict(json.loads(done.stdout))
