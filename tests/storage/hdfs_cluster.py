"""A namenode and a datanode on loopback, as plain processes with the settings of stack/."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from types import TracebackType

from sparkqfs.clients.context import HADOOP_LOCK
from sparkqfs.clients.download import fetch_jars
from tests.paths import JAVA, STACK
from tests.storage.qfs_cluster import free_port

DEADLINE_S = 120.0
NODE = "127.0.0.1"
NAMENODE, DATANODE = "namenode.NameNode", "datanode.DataNode"


class HdfsCluster:
    """Use as a context manager; `sync_on_close` is `dfs.datanode.synconclose`."""

    def __init__(self, class_path: str, home: Path, name_disk: Path, data_disk: Path, sync_on_close: str) -> None:
        self.home, self.port = home, free_port()
        conf = home / "conf"
        conf.mkdir()
        data = data_disk / "data"
        data.mkdir()
        text = (STACK / "hdfs-site.xml").read_text(encoding="utf-8")
        # The ports first, the shipped ones being taken where a cluster runs on this machine.
        text = re.sub(r"(127\.0\.0\.1|@NODE_IP@):98\d\d", lambda found: f"{found[1]}:{free_port()}", text)
        text = re.sub(r"(synconclose</name><value>)\w+", rf"\g<1>{sync_on_close}", text)
        for old, new in {
            "${replication}": "1",
            "${min_datanodes}": "1",
            "${scan_bytes}": "8388608",
            "$$": "$",
            "@NAMENODE@": f"{NODE}:{self.port}",
            "@NODE_IP@": NODE,
            "@DATA_DIRS@": f"file://{data}",
            "file:///data/hdfs/name": f"file://{name_disk}/name",
        }.items():
            text = text.replace(old, new)
        (conf / "hdfs-site.xml").write_text(text, encoding="utf-8")
        core = (STACK / "core-site.xml").read_text(encoding="utf-8")
        core = core.replace("${root}", self.uri).replace("/tmp/hadoop", str(home / "tmp"))
        (conf / "core-site.xml").write_text(core, encoding="utf-8")
        self.class_path = f"{conf}:{class_path}"
        self.processes: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def find_class_path() -> str:
        """Hadoop's servers, from the download cache or Maven Central. Raises `ClusterError`."""
        return ":".join(map(str, fetch_jars(HADOOP_LOCK, offline=None, on_progress=lambda _done, _total: None)))

    @property
    def uri(self) -> str:
        """The file system's root."""
        return f"hdfs://{NODE}:{self.port}"

    def __enter__(self) -> HdfsCluster:
        argv = self.java("org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-nonInteractive")
        subprocess.run(argv, check=True, capture_output=True, timeout=DEADLINE_S)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Both daemons, until the file system can be asked and has its datanode."""
        for name in (NAMENODE, DATANODE):
            self.processes.append(self._started(name))
        end = time.monotonic() + DEADLINE_S
        while "Live datanodes (1)" not in self._report():
            if time.monotonic() > end:
                raise TimeoutError("no datanode in time")
            time.sleep(0.5)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(self.java(f"org.apache.hadoop.hdfs.server.{name}"), stdout=log, stderr=log)

    def restart_namenode(self) -> None:
        """Ends it by force and starts it with what it has written; nobody waits for it."""
        self.processes[0].kill()
        self.processes[0].wait()
        self.processes[0] = self._started(NAMENODE)

    def kill(self) -> None:
        """By force, as when the power goes."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()

    def files(self, what: str, count: int, largest: int) -> list[str]:
        """The lines of tests/storage/java/Acknowledged.java."""
        argv = self.java(str(JAVA / "Acknowledged.java"), what, self.uri, str(count), str(largest))
        answer = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
        return answer.stdout.split()

    def _report(self) -> str:
        argv = self.java("org.apache.hadoop.hdfs.tools.DFSAdmin", "-report")
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=DEADLINE_S).stdout

    def java(self, *words: str) -> tuple[str, ...]:
        """A command line with the cluster's settings."""
        return ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", self.class_path, *words)
