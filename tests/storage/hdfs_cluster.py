"""A namenode and a datanode on loopback, as plain processes with the settings of stack/."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
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
        while not self._has_datanode():
            if time.monotonic() > end:
                raise TimeoutError("no datanode in time")
            time.sleep(0.2)

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

    def http_port(self, daemon: str = "namenode") -> int:
        """Of a daemon's pages."""
        return self.port_of(f"{daemon}.http.address")

    def port_of(self, setting: str) -> int:
        """A setting without `dfs.`, for example `datanode.ipc.address`."""
        text = (self.home / "conf" / "hdfs-site.xml").read_text(encoding="utf-8")
        found = re.search(rf"{setting}</name><value>127\.0\.0\.1:(\d+)", text)
        assert found is not None
        return int(found[1])

    def _has_datanode(self) -> bool:
        """As the namenode's page says: a JVM that asks would cost as much as a daemon's start."""
        page = f"http://127.0.0.1:{self.http_port()}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
        try:
            with urllib.request.urlopen(page, timeout=10) as answer:
                beans = json.load(answer)["beans"]
        except OSError:
            return False
        return any(bean["NumLiveDataNodes"] == 1 for bean in beans)

    def java(self, *words: str) -> tuple[str, ...]:
        """A command line with the cluster's settings."""
        return ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", self.class_path, *words)
