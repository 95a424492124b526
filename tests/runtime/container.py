"""A container's directories and environment, with small scripts in the place of the daemons."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.doubles.servers import closed_port
from tests.paths import PROGRAMS

KEY = "key-of-the-cluster"


SECRET = "secret-of-spark"


DAEMON = """\
#!{python}
import os, signal, sys, time
name = os.path.basename(sys.argv[0])
log = os.environ["FAKE_LOG"]
def note(text):
    with open(log, "a") as file:
        file.write(name + " " + text + "\\n")
def stop(number, frame):
    note("got " + signal.Signals(number).name)
    if os.environ.get("FAKE_STUBBORN") != name:
        sys.exit(0)
for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
    note(signal.Signals(number).name + " default " + str(signal.getsignal(number) == signal.SIG_DFL))
    signal.signal(number, stop)
note("blocked " + str(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))))
note("group " + str(os.getpgid(0) == os.getpid()))
daemon = (os.environ.get("SPARK_DAEMON_CLASSPATH", ""), os.environ.get("SPARK_DAEMON_JAVA_OPTS", ""))
note("daemon " + " ".join(filter(None, daemon)))
note("argv " + " ".join(sys.argv[1:]))
print("setting clusterKey", "{key}", flush=True)
note("started")
if os.environ.get("FAKE_DIES") == name:
    time.sleep(0.2)
    sys.exit(3)
while True:
    time.sleep(0.1)
"""


class Container:
    """Directories as in a container, and the environment that points to them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.run_dir = root / "run"
        self.mount = root / "data" / "qfs"
        self.chunks = self.mount / "chunk"
        self.etc = root / "etc"
        for path in (self.chunks, self.run_dir, self.etc, root / "secrets", root / "notebooks"):
            path.mkdir(parents=True)
        (self.mount / ".cluster-id").write_text("the-cluster\n")
        (root / "secrets" / "cluster-key").write_text(KEY + "\n")
        (root / "secrets" / "spark-secret").write_text(SECRET + "\n")
        (self.etc / "ChunkServer.prp").write_text(
            "chunkServer.hostname = @NODE_IP@\n"
            "chunkServer.clusterKey = @CLUSTER_KEY@\n"
            "chunkServer.chunkDir = @CHUNK_DIRS@\n"
        )
        (self.etc / "MetaServer.prp").write_text("metaServer.clusterKey = @CLUSTER_KEY@\n")
        (self.etc / "webui.conf").write_text(
            "[webserver]\nwebServer.docRoot = /nonexistent\n"
            f"webServer.metaserverHost = 127.0.0.1\nwebServer.metaserverPort = {closed_port()}\n"
        )
        (self.etc / "spark-defaults.conf").write_text("spark.authenticate true\n")
        (self.etc / "core-site.xml").write_text("<configuration/>\n")
        (self.etc / "hdfs-site.xml").write_text("@NODE_IP@ @NAMENODE@ @DATA_DIRS@\n")
        for program in ("qfs/bin/chunkserver", "qfs/bin/metaserver", "spark/bin/spark-class", "bin/java"):
            path = root / program
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(DAEMON.format(python=sys.executable, key=KEY))
            path.chmod(0o755)
        status_page = root / "qfs" / "webui" / "qfsstatus.py"
        status_page.parent.mkdir()
        status_page.write_text("import time\ntime.sleep(600)\n")
        self.environ = {
            "PATH": os.environ["PATH"],
            "FAKE_LOG": str(self.log),
            "QFS_HOME": str(root / "qfs"),
            "SPARK_HOME": str(root / "spark"),
            "SPARKQFS_STORAGE": "qfs",
            "SPARKQFS_CLUSTER_ID": "the-cluster",
            "SPARKQFS_CHUNK_DIRS": str(self.chunks),
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(self.etc),
            "SPARKQFS_RUN_DIR": str(self.run_dir),
            "SPARKQFS_SECRETS_DIR": str(root / "secrets"),
            "SPARKQFS_DATA_DIR": str(self.mount),
            "SPARKQFS_NOTEBOOKS_DIR": str(root / "notebooks"),
            "SPARK_WORKER_DIR": str(root / "work"),
            "SPARK_LOCAL_DIRS": str(root / "local"),
            "SPARK_WORKER_CORES": "2",
            "SPARK_WORKER_MEMORY": "1024m",
            "SPARKQFS_STOP_DEADLINE_S": "20",
        }

    def start(self, role: str, **environ: str) -> subprocess.Popen[str]:
        """The supervisor of a role, its stderr and the daemons' logs in one pipe."""
        return subprocess.Popen(
            [sys.executable, "-I", str(PROGRAMS / "supervise"), role],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def hdfs(self) -> dict[str, str]:
        """The environment that makes the same directories those of a cluster on HDFS."""
        return {
            "PATH": f"{self.root / 'bin'}:{self.environ['PATH']}",
            "HADOOP_HOME": str(self.root / "hadoop"),
            "SPARKQFS_STORAGE": "hdfs",
            "SPARKQFS_ROOT": "hdfs://hdfs-namenode:9820",
            "SPARKQFS_DATA_DIRS": str(self.chunks),
        }

    def notes(self) -> list[str]:
        """What the daemons wrote down."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, *lines: str) -> None:
        """Until the daemons have written these lines down."""
        end = time.monotonic() + 30
        while not set(lines) <= set(self.notes()):
            assert time.monotonic() < end, self.notes()
            time.sleep(0.02)
