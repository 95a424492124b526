"""The whole life of a cluster, through the command line, on real container machines.

Each storage has a local cluster of three nodes of its own. The whole life runs on QFS where its tarball is to be had,
else on HDFS; on the other what is marked `every_storage`, the short form, which must stand alone. The tests of a class
stand on each other, in the order in which they are written. The life on a shared directory: test_directory.py.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sparkqfs.clients.download import find_tarball
from sparkqfs.config.loading import load_config
from sparkqfs.plan.services import single_services
from tests.cluster.broken import Broken, Machines
from tests.cluster.browser import browser, why_not
from tests.cluster.doors import Doors
from tests.cluster.jar_program import make_jars
from tests.cluster.kept import Kept
from tests.cluster.life import (
    NAME,
    Cluster,
    Redeployed,
    files_there_and_back,
    on_node,
    run_small,
    table_twice_and_at_once,
    with_storage,
)
from tests.marks import takes_long
from tests.paths import ROOT

pytestmark = pytest.mark.cluster

METADATA = {"qfs": ("checkpoint", "logs"), "hdfs": ("name",)}


def on_node_bytes(number: int, *argv: str) -> bytes:
    """Standard output of a command on a container machine."""
    argv = ("docker", "exec", f"{NAME}-node{number}", *argv)
    return subprocess.run(argv, capture_output=True, timeout=120, check=True).stdout


def replace_metadata(top: str, kind: str, packed: bytes) -> None:
    """What is on the manager's disk instead of the storage's metadata; the stack is down."""
    folders = " ".join(METADATA[kind])
    script = f"cd {top} && rm -rf {folders} && tar --no-overwrite-dir -xf - && chown -R 6700:6700 {folders}"
    on_node(1, "sh", "-c", script, stdin=packed)


def lose_disk(number: int) -> None:
    """A machine with an empty disk, whose engine is in no swarm and has its images."""
    lost = "rm -rf /mnt/data/* /mnt/data/.[!.]* /var/lib/docker/swarm /etc/docker/certs.d"
    on_node(number, "sh", "-c", f"node-ctl stop-docker && {lost} && node-ctl start-docker")


def container_of(number: int, service: str) -> str:
    """The running container of a service on a node."""
    found = on_node(number, "docker", "ps", "-q", "--filter", f"label=com.docker.swarm.service.name={service}").split()
    assert found, f"no container of {service} on node {number}"
    return found[0]


def fetch(url: str) -> str:
    """A page, as a browser of the user would get it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as answer:
        return str(answer.read().decode())


@dataclass(frozen=True)
class Kind:
    """What differs between the storages, as a user of their tools sees it."""

    name: str
    init: str
    master: str
    top: str
    metadata: str
    begun: str
    """What an init that was killed may leave."""

    put: tuple[str, ...]
    cat: str
    has_reader: bool = False
    """Whether a reader of ours takes local copies from the disk, and counts."""

    server: str = ""
    """What the command line of the daemon that keeps data has in it."""
    put_striped: str = ""
    """Shell: standard input to a striped file in /tmp/striped."""
    remove_striped: str = ""
    put_once: tuple[str, ...] = ()
    """Standard input to a file of one copy."""
    lists_lost: str = ""
    """The storage's own command that does."""


QFS = Kind(
    "qfs",
    "init-qfs",
    "qfs-master",
    "qfs",
    "checkpoint",
    "checkpoint/chkpt.0.0.0.577DFBEAF3C2EC4F.tmp",
    ("qfs", "-put", "-"),
    "qcat",
    has_reader=True,
    server="/chunkserver",
    put_striped="qmkdir /tmp/striped; qfs -D fs.createParams=1,6,3,65536,2 -put - /tmp/striped/file",
    remove_striped="qfs -rmr -skipTrash /tmp/striped",
    put_once=("qfs", "-D", "fs.createParams=1", "-put", "-"),
    lists_lost="qfsfsck -m",
)
EC_ADMIN = (
    "ec() { java -cp /run/sparkqfs/hadoop:/opt/hadoop/etc:/opt/hadoop:'/opt/hadoop/lib/*' "
    'org.apache.hadoop.hdfs.tools.ECAdmin "$@"; }; '
)
HDFS = Kind(
    "hdfs",
    "init-storage",
    "hdfs-namenode",
    "hdfs",
    "name",
    "name/current/VERSION",
    ("hdfs", "dfs", "-put", "-"),
    "hcat",
    server="DataNode",
    put_striped=EC_ADMIN + "hmkdir /tmp/striped; ec -enablePolicy -policy XOR-2-1-1024k; "
    "ec -setPolicy -path /tmp/striped -policy XOR-2-1-1024k; hdfs dfs -put - /tmp/striped/file",
    remove_striped="hdfs dfs -rm -r /tmp/striped",
    put_once=("hdfs", "dfs", "-D", "dfs.replication=1", "-put", "-"),
    lists_lost="hdfs fsck / -list-corruptfileblocks",
)


class Storage(Machines):
    """A storage with daemons of ours; the classes below say what holds for every one, in the order of a life."""

    kind: Kind
    nodes = 3
    kept_as: str
    """Of the volumes that stay."""
    killed_at: tuple[tuple[str, str], ...] = ()
    """Tasks that are killed once they have said something, and then done again."""

    def in_master(self, *argv: str, stdin: bytes = b"") -> str:
        """Run a program in the container of the storage's master."""
        master = container_of(1, f"spark_{self.kind.master}")
        return on_node(1, "docker", "exec", "-i", master, "/opt/sparkqfs/bin/with-env", *argv, stdin=stdin)

    def shaped(self) -> list[int]:
        """Nodes whose worker-node container has a token bucket filter."""
        script = "nsenter -t $(docker inspect -f '{{.State.Pid}}' $1) -n tc qdisc show"
        shown = {
            number: on_node(number, "sh", "-c", script, "sh", container_of(number, "spark_worker-node"))
            for number in (1, 2, 3)
        }
        return [number for number, text in shown.items() if "qdisc tbf" in text]

    def on(self, number: int, *argv: str, stdin: bytes = b"") -> str:
        """Run a command on a machine."""
        return on_node(number, *argv, stdin=stdin)

    def worker_on(self, number: int) -> str:
        """The worker-node container of a machine."""
        return container_of(number, "spark_worker-node")


class Beginning(Storage):
    """From bare machines to work that is done."""

    def test_doctor_finds_nothing_wrong(self, cluster: Cluster) -> None:
        ran = cluster.ok("doctor", "--json")
        assert set(ran.states().values()) == {"ok"}

    def test_the_plan_of_bare_machines_shows_every_stage(self, cluster: Cluster) -> None:
        planned = [name for name, state in cluster.ok("plan", "--json").states().items() if state == "planned"]
        images = ("worker-node", self.kind.master, "spark-master", "jupyter-server")
        machines = [f"prep: node{number}" for number in (1, 2, 3)]
        assert planned[:3] == machines and planned[-2:] == ["init-storage: file system of spark", "deploy: stack spark"]
        assert {f"push: {name}" for name in images} <= set(planned)
        assert self.kind.top not in on_node(1, "ls", "/mnt/data").split()

    def test_a_dry_run_of_prep_changes_nothing(self, cluster: Cluster) -> None:
        assert set(cluster.ok("prep", "--dry-run", "--json").states().values()) == {"planned"}
        assert self.kind.top not in on_node(1, "ls", "/mnt/data").split()

    def test_prep_goes_on_without_a_machine_that_is_down_and_names_it(self, cluster: Cluster) -> None:
        on_node(3, "/usr/local/bin/node-ctl", "stop-sshd")
        try:
            ran = cluster.run("prep", "--json")
        finally:
            on_node(3, "/usr/local/bin/node-ctl", "start-sshd")
        assert ran.code == 3
        assert ran.states() == {"node1": "changed", "node2": "changed", "node3": "failed"}
        assert [problem["node"] for problem in ran.json["problems"]] == ["node3"]

    def test_prep_does_only_what_is_left_and_then_nothing(self, cluster: Cluster) -> None:
        second = {one["subject"]: one["changes"] for one in cluster.ok("prep", "--json").json["outcomes"]}
        # a new id waits until every machine was asked, and the name with it
        top = f"/mnt/data/{self.kind.top}"
        marker = [f"marker {top}/.cluster-id: was missing", f"name {top}/.cluster-name: was missing"]
        memory = f"/var/lib/sparkqfs/spark.{self.kind.top}.json"
        record = [f"record {path}: was missing" for path in (f"{top}/.cluster.json", memory)]
        private = f"record /mnt/data/sparkqfs/spark.{self.kind.top}.json: was missing"
        first, other = second["node1"], second["node2"]
        assert first == [*marker, private, *record]
        assert other[:2] == marker and other[-2:] == record  # the record is the last
        copy = "/mnt/data/sparkqfs/recovery.json"  # it has the id
        assert other[-3] == f"copy of the secrets {copy}: was missing" and len(other) <= 6
        assert len(second["node3"]) >= 3
        assert set(cluster.ok("prep", "--json").states().values()) == {"unchanged"}

    def test_the_stack_file_can_be_seen_before_any_image_exists(self, cluster: Cluster) -> None:
        stack = yaml.safe_load(cluster.ok("deploy", "--dry-run").out)
        names = {one.name for one in single_services(load_config(cluster.hosts))}
        assert self.kind.master in names and set(stack["services"]) == {*names, "worker-node"}

    def test_deploy_before_init_is_refused_with_a_hint(self, cluster: Cluster, kept: Kept) -> None:
        cluster.ok("swarm")
        kept.seed("/mnt/data", "spark")
        for task, said in self.killed_at:
            assert cluster.ended(task, said=said, sent=signal.SIGKILL) == -signal.SIGKILL
            cluster.ok(task, timeout_s=2400)
        cluster.ok("build", "push", timeout_s=2400)
        kept.has_built()
        ran = cluster.run("deploy")
        assert ran.code == 1
        assert "[node1]" in ran.err and f"invoke {self.kind.init}" in ran.err

    def test_what_a_killed_init_left_is_no_file_system_and_up_makes_one(self, cluster: Cluster) -> None:
        left = f"/mnt/data/{self.kind.top}/{self.kind.begun}"
        folder, _, _ = left.rpartition("/")
        on_node(1, "install", "-d", "-o", "6700", "-g", "6700", "-m", "750", folder)
        on_node(1, "install", "-o", "6700", "-g", "6700", "/dev/null", left)
        ran = cluster.run("deploy")  # the next test is `up`
        assert ran.code == 1 and f"invoke {self.kind.init}" in ran.err
        (why,) = cluster.ok(self.kind.init, "--dry-run", "--json").json["outcomes"]
        assert why["changes"] == ["undo an init that did not end", "create"]

    @pytest.mark.every_storage
    def test_up_brings_the_cluster_to_work_and_then_has_nothing_to_do(self, cluster: Cluster) -> None:
        first = cluster.ok("up", "--json", timeout_s=2400)
        changed = [stage["stage"] for stage in first.json["stages"] if stage["changed"]]
        assert changed[-2:] == ["init-storage", "deploy"]
        second = cluster.ok("up", "--json")
        assert not any(stage["changed"] for stage in second.json["stages"])

    def test_the_plan_shows_what_little_is_left_to_do(self, cluster: Cluster) -> None:
        assert set(cluster.ok("plan", "--json").states().values()) == {"unchanged"}
        on_node(3, "chmod", "0700", f"/mnt/data/{self.kind.top}")
        states = cluster.ok("plan", "--json").states()
        assert [name for name, state in states.items() if state != "unchanged"] == ["prep: node3"]
        cluster.ok("prep")

    def test_init_refuses_an_initialised_cluster(self, cluster: Cluster) -> None:
        ran = cluster.run(self.kind.init, "--yes")
        assert ran.code == 5
        assert "file-system id" in ran.err and "bytes" in ran.err and "`invoke deploy`" in ran.err

    @pytest.mark.every_storage
    def test_status_sees_workers_and_data_servers_under_the_same_addresses(self, cluster: Cluster) -> None:
        found = cluster.ok("status", "--json").json
        assert found["state"] == "healthy"
        assert found["spark"]["workers_alive"] == found["storage"]["servers_up"] == 3
        assert found["spark"]["worker_hosts"] == found["storage"]["server_hosts"]
        checked = cluster.ok("fsck", "--json").json
        assert (checked["lost_files"], checked["partial"], checked["nodes_away"]) == (0, "", [])
        assert [scrub["error"] for scrub in checked["scrub"]] in ([], [""] * 3)

    def test_top_sees_every_machine(self, cluster: Cluster) -> None:
        nodes = cluster.ok("top", "--once", "--json").json["nodes"]
        assert set(nodes) == {"node1", "node2", "node3"}
        assert all(0 < node["memory_used_bytes"] < node["memory_bytes"] and node["cpu"] > 0 for node in nodes.values())

    def test_logs_of_a_service_that_is_not_there_name_those_that_are(self, cluster: Cluster) -> None:
        ran = cluster.run("logs", "--service", "nope")
        names = sorted(one.name for one in single_services(load_config(cluster.hosts)))
        assert ran.code == 1 and f"services: {', '.join(names)}" in ran.err

    def test_logs_of_all_machines_are_in_the_order_of_time(self, cluster: Cluster) -> None:
        found = cluster.ok("logs", "--service", "worker-node", "--tail", "3", "--json").json["logs"]
        assert [(one["node"], len(one["lines"])) for one in found] == [("node1", 3), ("node2", 3), ("node3", 3)]

    def test_the_history_says_who_brought_the_cluster_up(self, cluster: Cluster) -> None:
        found = cluster.ok("history", "--limit", "500", "--json").json["history"]
        assert any(run["ended"] and run["code"] == 0 and "@" in run["who"] for run in found)
        assert {run["cluster"] for run in found} == {load_config(cluster.hosts).name}
        assert not {run["task"] for run in found} & {"status", "history", "logs", "ls"}

    def test_what_clean_would_remove_is_counted_and_stays(self, cluster: Cluster) -> None:
        found = cluster.ok("clean", "--all", "--dry-run", "--json").json["clean"]
        assert found["bytes"] == sum(place["bytes"] for place in found["places"])
        assert cluster.ok("clean", "--all", "--dry-run", "--json").json["clean"] == found

    def test_the_notebook_counts_primes_from_a_table_on_the_storage(self, cluster: Cluster) -> None:
        ran = cluster.ok("notebook", "primes", "--max-value", "1_000_000", "--json")
        result = ran.json["result"]
        assert result["count"] == 78498
        assert result["matches"] is True
        assert result["path"].startswith(f"{self.kind.name}://")
        assert all(Path(cluster.hosts.parent / name).stat().st_size > 0 for name in ran.json["files"])
        assert {"sieve", "save", "reload", "aggregate", "trial"} == set(result["seconds"])
        if self.kind.has_reader:
            assert result["local_share"] > 0.9

    @pytest.mark.every_storage
    def test_verify_reads_back_what_it_wrote_and_counts_the_network(self, cluster: Cluster) -> None:
        words = ("--mib", "96", "--files", "12", "--reads", "3", "--report", "local.html")
        found = cluster.ok("verify", *words, "--json").json
        assert found["sum_ok"] is True
        assert found["rows"] == found["expected_rows"]
        assert set(found["received_bytes"]) == set(found["hosts"])
        assert found["tasks"].get("NODE_LOCAL", 0) > 0
        assert set(found["placement"]["bytes_by_host"]) <= set(found["nodes"]) == set(found["hosts"])
        assert found["placement"]["copies"] == {"2": found["placement"]["blocks"]}
        assert "<svg" in (cluster.hosts.parent / "local.html").read_text(encoding="utf-8")
        assert found["verdict"]["state"] == "local"
        if self.kind.has_reader:
            reader = found["reader"]
            assert reader["local_bytes"] > 0.9 * (reader["local_bytes"] + reader["remote_bytes"]), reader
            assert (reader["fallback_bytes"], reader["fallbacks"]) == (0, {})

    def test_verify_reads_what_is_there_and_leaves_it(self, cluster: Cluster) -> None:
        payload = os.urandom(3 << 20)
        self.in_master(*self.kind.put, "/tmp/any.bin", stdin=payload)
        found = cluster.ok("verify", "--path", "/tmp/any.bin", "--max-remote", "1", "--min-local", "0", "--json").json
        assert (found["format"], found["files"], found["bytes_read"]) == ("bytes", 1, len(payload))
        assert found["verdict"]["state"] in ("local", "too little data")
        kept = self.in_master("sh", "-c", f"{self.kind.cat} /tmp/any.bin | sha256sum")
        assert kept.split()[0] == hashlib.sha256(payload).hexdigest()
        assert cluster.run("verify", "--path", "/tmp/nothing-here").code == 2

    @pytest.mark.every_storage
    def test_files_go_to_the_storage_and_back(self, cluster: Cluster) -> None:
        files_there_and_back(cluster)
        text = self.in_master("/opt/sparkqfs/bin/sls", "/tmp/files", "-R")
        assert [line.split()[-1] for line in text.splitlines()] == [
            "/tmp/files/a",
            "/tmp/files/sub",
            "/tmp/files/sub/b",
        ]
        master = container_of(1, f"spark_{self.kind.master}")
        on_node(
            1, "docker", "exec", "-i", master, "/opt/sparkqfs/bin/sput", "-", "/tmp/files/in", stdin=b"from a shell"
        )
        assert cluster.ok("get", "/tmp/files/in", "-").out == "from a shell"
        assert cluster.run("rm", "/tmp/files").code == 5
        cluster.ok("rm", "/tmp/files", "--recursive", "--yes")
        assert cluster.run("ls", "/tmp/files").code == 2

    @pytest.mark.every_storage
    def test_a_backup_of_the_running_storage_opens_and_has_every_name(self, cluster: Cluster) -> None:
        made = cluster.ok("backup", "--json").json
        assert (made["source"], made["secrets_from"], made["lacks"]) == ("master", "node1", [])
        found = cluster.ok("backup.verify", "--depth", "3", "--json").json
        assert (found["backup"], found["ok"], found["depth"]) == (made["backup"], True, 3)
        listed = cluster.ok("backup.list", "--json").json
        assert [one["backup"] for one in listed["backups"] if one["verified"]] == [made["backup"]]
        assert {one["node"]: len(one["histories"]) for one in listed["copies"]} == {"node2": 1, "node3": 1}

    @pytest.mark.second_storage
    def test_a_table_goes_to_the_shared_directory_and_back(self, cluster: Cluster) -> None:
        table, shared = "/tmp/table", f"shared:/primes-{self.kind.name}"
        written = cluster.hosts.with_name("table")
        written.mkdir()
        for number in range(4):
            (written / f"part-{number}.parquet").write_bytes(os.urandom(1 << 16))
        cluster.ok("put", str(written), table)
        there = cluster.ok("copy", table, shared, "--json").json["copy"]
        assert there["copied"] == there["files"] > 0
        back = cluster.ok("copy", shared, "/tmp/primes", "--json").json["copy"]
        assert (back["copied"], back["copied_bytes"]) == (there["files"], there["copied_bytes"])
        on_node(1, "sh", "-c", f"set -- /mnt/shared/spark/primes-{self.kind.name}/*.parquet; echo x >> $1")
        differs = cluster.run("copy", shared, "/tmp/primes", "--json")
        found = differs.json["copy"]
        assert (differs.code, found["copied"], found["unchanged"]) == (5, 0, there["files"] - 1)


WORD_COUNT = """\
import sys

import counted
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("words").getOrCreate()
rows = int(sys.argv[1])
lines = spark.range(rows).selectExpr("'w' || (id % 1000) || ' every ' || repeat('f', 50) AS value")
lines.write.mode("overwrite").text(sys.argv[2])
words = spark.read.text(sys.argv[2]).selectExpr("explode(split(value, ' ')) AS word").groupBy("word").count()
found = {row["word"]: row["count"] for row in words.collect()}
print(found["every"], all(found[f"w{n}"] == counted.times(rows, n) for n in range(1000)), sys.argv[3], flush=True)
print("counted", file=sys.stderr)
sys.exit(int(sys.argv[4]))
"""
DELTA = """\
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
for text in (
    "CREATE OR REPLACE TABLE books USING delta AS SELECT 1 AS id, 3 AS sold UNION ALL SELECT 2, 5",
    "UPDATE books SET sold = sold + 1 WHERE id = 1",
    "DELETE FROM books WHERE id = 2",
    "MERGE INTO books USING (SELECT 1 AS id, 9 AS sold UNION ALL SELECT 3, 7) AS new ON books.id = new.id "
    "WHEN MATCHED THEN UPDATE SET sold = books.sold + new.sold WHEN NOT MATCHED THEN INSERT *",
    "VACUUM books",
):
    spark.sql(text).collect()
print(*(tuple(row) for row in DeltaTable.forName(spark, "books").toDF().orderBy("id").collect()))
print(spark.sql("SELECT * FROM books VERSION AS OF 0").count())
try:
    spark.range(3).write.format("delta").save("file:///tmp/books")
except Exception as error:
    print("cannot be in file:" in str(error))
"""
COUNTED = "def times(rows, rest):\n    return len(range(rest, rows, 1000))\n"
TALKER_LINES = 600_000
TALKER = f"for number in range({TALKER_LINES}): print('%015d' % number)\n"
"""Five times `logs.program`."""
SLEEPER = """\
import time

from pyspark.sql import SparkSession

print(SparkSession.builder.appName("sleeper").getOrCreate().range(10).count(), flush=True)
time.sleep(600)
"""


AGAIN = """\
import time
from pathlib import Path

runs = Path("runs")
before = runs.read_text() if runs.exists() else ""
runs.write_text(before + "x")
print("run", len(before) + 1, flush=True)
if not before:
    time.sleep(600)
"""
"""Its container is killed in the first run."""


SQUARES = """\
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("squares.py").getOrCreate()
spark.range(10).count()
print("begun", flush=True)


def slow(n):
    time.sleep(1)
    return n * n


print(spark.sparkContext.parallelize(range(90), 90).map(slow).sum())
"""


@functools.cache  # the tarball's checksum takes its time
def has_qfs() -> bool:
    """Whether QFS's tarball is to be had, and so all of its tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hosts.yml"
        file.write_text("nodes: {node1: 192.168.1.11}\n")
        return find_tarball(load_config(file), platform.machine()) is not None


@pytest.fixture(scope="class", autouse=True)
def _no_machines_without_qfs(request: pytest.FixtureRequest) -> None:
    """None are made for tests that cannot run."""
    if getattr(request.cls, "kind", None) is QFS and not has_qfs():
        pytest.skip("no QFS tarball: set SPARKQFS_QFS_TARBALL, or put it into the cache (docs/qfs-tarball.md)")


def is_whole(request: pytest.FixtureRequest) -> bool:
    """Whether the storage of the test's class has its whole life here."""
    return request.config.getoption("part") is not None or request.cls.kind is (QFS if has_qfs() else HDFS)


@pytest.fixture(autouse=True)
def _whole_life_on_one_storage(request: pytest.FixtureRequest) -> None:
    """All of it on one storage: that of `./test --all PART`, else QFS where its tarball is, else HDFS.

    Without a part `Redeployed` runs on the shared directory alone, and `second_storage` on HDFS alone.
    """
    kind = getattr(request.cls, "kind", None)
    if kind is None or request.node.get_closest_marker("every_storage") or request.config.getoption("part"):
        return
    if request.node.get_closest_marker("second_storage"):
        if kind is not HDFS:
            pytest.skip(f"runs on hdfs here: ./test --all {kind.name} runs it on {kind.name} too")
        return
    if request.function.__qualname__.startswith(Redeployed.__name__):
        pytest.skip(f"runs on the shared directory: ./test --all {kind.name} runs it on {kind.name} too")
    if not is_whole(request):
        first = QFS if kind is HDFS else HDFS
        pytest.skip(f"runs on {first.name} here: ./test --all {kind.name} runs it on {kind.name} too")


class Notebooks(Storage):
    """The notebooks that use what a data-local storage has."""

    @pytest.mark.long
    def test_the_locality_notebook_reads_with_our_reader_and_without_where_there_is_one(self, cluster: Cluster) -> None:
        result = run_small(cluster, "locality")
        if self.kind.has_reader:
            on, off = result["runs"]["reader on"], result["runs"]["reader off"]
            assert on["received_share"] < off["received_share"]
        else:
            assert set(result["runs"]) == {self.kind.name}
            assert f"storage {self.kind.name} has no switch for local reads: read once" in result["summary"]

    def test_the_stream_notebook_goes_on_from_a_checkpoint_on_the_storage(self, cluster: Cluster) -> None:
        result = run_small(cluster, "stream")
        assert (result["rows"], result["windows"]) == ([1800, 1800, 0], 15)
        assert result["path"].startswith(f"{self.kind.name}://")


@takes_long
class Benchmarks(Storage):
    """The same work on each form of the storage."""

    def test_the_benchmark_measures_every_form_over_a_slower_link_and_frees_it(self, cluster: Cluster) -> None:
        words = ("--mib", "8", "--rounds", "1", "--link", "100mbit", "--json")
        found = cluster.ok("bench.storage", *words).json
        copies = [int(name.rpartition("-")[2]) for name in found["tables"]]
        assert copies == [1, 2, 3]
        for table, count in zip(found["tables"].values(), copies, strict=True):
            assert list(table["copies"]) == [str(count)] and table["disk_bytes"] > 0.9 * count * table["bytes"]
        assert all(sample["is_right"] for sample in found["samples"])
        assert {one["variant"] for one in found["samples"]} == {"", *(one["name"] for one in found["variants"])}
        assert all(Path(cluster.hosts.parent / name).stat().st_size > 0 for name in found["files_saved"])
        assert self.shaped() == []
        alone = cluster.ok("bench.report", found["files_saved"][0], "--json").json
        assert alone["rows"] == found["rows"]

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
    def test_a_link_is_free_again_after_a_benchmark_that_was_broken_off(
        self, cluster: Cluster, sent: signal.Signals
    ) -> None:
        words = ("bench.storage", "--quick", "--link", "100mbit", "--verbose")
        assert cluster.ended(*words, said="waiting for executors", sent=sent) == (130 if sent == 2 else -sent)
        end = time.monotonic() + 30
        while self.shaped():
            assert time.monotonic() < end, "the link is still held"
            time.sleep(0.5)


@takes_long
class Programs(Storage):
    """Users' programs, their ends, and what is known of them afterwards."""

    words = "/tmp/words"

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, cluster: Cluster) -> Path:
        folder = cluster.hosts.parent
        for name, text in (
            ("words.py", WORD_COUNT),
            ("counted.py", COUNTED),
            ("sleeper.py", SLEEPER),
            ("talker.py", TALKER),
            ("again.py", AGAIN),
        ):
            (folder / name).write_text(text)
        (folder / "raises.py").write_text("raise RuntimeError('on purpose')\n")
        return folder

    def nothing_left(self, cluster: Cluster) -> None:
        spark = cluster.ok("status", "--json").json["spark"]
        assert (spark["running"], spark["cores_used"]) == ([], 0)
        assert on_node(1, "docker", "ps", "-q", "--filter", "label=sparkqfs.app") == ""

    @pytest.mark.parametrize("code", [0, 7])
    def test_a_word_count_is_right_and_its_exit_code_is_ours(self, cluster: Cluster, folder: Path, code: int) -> None:
        words = ("--", "2000000", self.words, "two words", str(code))
        ran = cluster.run("submit", "words.py", "--py-files", "counted.py", "--cores", "all", *words)
        assert (ran.code, ran.out) == (code, "2000000 True two words\n"), ran.err[-3000:]
        assert "counted\n" in ran.err
        self.nothing_left(cluster)

    def test_a_table_has_all_its_rows_for_every_program_whoever_wrote_it(self, cluster: Cluster, folder: Path) -> None:
        table_twice_and_at_once(cluster, folder)

    def test_a_delta_table_is_changed_by_its_name_and_by_the_next_program(self, cluster: Cluster, folder: Path) -> None:
        (folder / "books.py").write_text(DELTA)
        vacuumed, *found = cluster.ok("submit", "books.py").out.splitlines()
        assert vacuumed.startswith("Deleted 0 files") and found == ["(1, 13) (3, 7)", "2", "True"]
        ran = cluster.run("shell", stdin="print(spark.sql('UPDATE books SET sold = 0 WHERE id = 3').collect())\n")
        assert (ran.code, ran.out) == (0, "[Row(num_affected_rows=1)]\n"), ran.err[-3000:]

    def test_a_jar_runs_with_its_library_in_the_driver_and_in_the_executors(
        self, cluster: Cluster, folder: Path
    ) -> None:
        make_jars(folder)
        words = ("--class", "app.Main", "--jars", "lib.jar", "--", "two words", "5")
        ran = cluster.run("submit", "app.jar", *words)
        assert (ran.code, ran.out) == (5, "[[9900]] 4 two words\n"), ran.err[-3000:]

    def test_an_exception_is_exit_code_1_and_its_words_are_kept(self, cluster: Cluster, folder: Path) -> None:
        ran = cluster.run("submit", "raises.py", "--json")
        assert ran.code == 1 and "on purpose" in ran.err
        assert "on purpose" in cluster.ok("app.logs", ran.json["submission"]).out

    def test_much_output_is_followed_whole_and_kept_within_its_bound(self, cluster: Cluster, folder: Path) -> None:
        ran = cluster.run("submit", "talker.py", "--json")
        assert ran.code == 0, ran.err[-3000:]
        lines = [line for line in ran.err.splitlines() if re.fullmatch(r"\d{15}", line)]
        assert lines == [f"{number:015d}" for number in range(TALKER_LINES)]
        where = f"/mnt/data/spark/apps/{ran.json['submission']}"
        kept = int(on_node(1, "sh", "-c", f"cat {where}/stdout* | wc -c"))
        assert 1 << 20 < kept <= 2 << 20
        logs = cluster.ok("app.logs", ran.json["submission"], "--tail", "1", "--json").json["logs"]
        (said,) = [one for one in logs if one["file"] == "driver/stdout"]
        assert said["lines"] == lines[-1:] and said["gone_bytes"] == 16 * TALKER_LINES - kept

    def test_ctrl_c_ends_the_application_on_the_cluster(self, cluster: Cluster, folder: Path) -> None:
        assert cluster.ended("submit", "sleeper.py", said="application app-", sent=signal.SIGINT, within_s=40) == 130
        self.nothing_left(cluster)
        assert cluster.ok("apps", "--json").json["applications"][0]["state"] == "KILLED"

    def test_two_share_the_cores_and_one_is_killed_and_one_lost(self, cluster: Cluster, folder: Path) -> None:
        ids = [cluster.ok("submit", "sleeper.py", "--cores", "1", "--detach").out.strip() for _ in range(2)]
        end = time.monotonic() + 240
        while True:
            rows = cluster.ok("apps", "--json").json["applications"]
            cores = {row["submission"]: row["cores"] for row in rows if row["state"] == "RUNNING"}
            if set(cores) == set(ids) and all(cores.values()):
                break
            assert time.monotonic() < end, rows
            time.sleep(2)
        cluster.ok("kill", ids[0])
        assert cluster.ok("kill", ids[0], "--json").json["outcomes"][0]["state"] == "unchanged"
        while "driver/stdout: 10\n" not in cluster.ok("app.logs", ids[1]).out:
            assert time.monotonic() < end, "the other one counts nothing"
            time.sleep(2)
        (left,) = on_node(1, "docker", "ps", "-q", "--filter", f"label=sparkqfs.app={ids[1]}").split()
        on_node(1, "docker", "kill", left)
        ran = cluster.run("app.logs", ids[1], "--follow")
        assert ran.code == 1 and "was lost" in ran.err and ran.out == "10\n"
        states = {row["submission"]: row["state"] for row in cluster.ok("apps", "--json").json["applications"]}
        assert (states[ids[0]], states[ids[1]]) == ("KILLED", "LOST")
        self.nothing_left(cluster)

    def test_a_program_that_is_to_run_again_does_so_when_its_container_is_killed(
        self, cluster: Cluster, folder: Path
    ) -> None:
        submission = cluster.ok("submit", "again.py", "--restart", "--detach").out.strip()
        end = time.monotonic() + 120
        while "driver/stdout: run 1\n" not in cluster.ok("app.logs", submission).out:
            assert time.monotonic() < end, "it does not begin"
            time.sleep(1)
        (container,) = on_node(1, "docker", "ps", "-q", "--filter", f"label=sparkqfs.app={submission}").split()
        on_node(1, "docker", "kill", container)
        ran = cluster.run("app.logs", submission, "--follow")
        assert (ran.code, ran.out) == (0, "run 1\nrun 2\n"), ran.err[-3000:]
        assert "sparkqfs: run 2; of the one before: its container was lost\n" in ran.err
        (row,) = [one for one in cluster.ok("apps", "--json").json["applications"] if one["submission"] == submission]
        assert (row["state"], row["runs"], row["exit_code"]) == ("FINISHED", 2, 0)
        self.nothing_left(cluster)

    def test_an_application_goes_on_when_the_spark_master_is_killed(self, cluster: Cluster) -> None:
        program = cluster.hosts.parent / "squares.py"
        program.write_text(SQUARES)
        # with one failure allowed, an executor that is lost ends it
        words = ("--cores", "all", "--conf", "spark.task.maxFailures=1", "--detach")
        submission = cluster.ok("submit", str(program), *words).out.strip()
        end = time.monotonic() + 240
        while "begun" not in cluster.ok("app.logs", submission).out:
            assert time.monotonic() < end, "it does not begin"
            time.sleep(1)
        damage = 'for state in /mnt/data/spark-master/*/; do echo damaged >"${state}app_damaged"; done'
        on_node(1, "sh", "-c", damage)
        on_node(1, "docker", "kill", container_of(1, "spark_spark-master"))
        killed = time.monotonic()
        assert cluster.run("status", "--json").code == 1
        cluster.until_healthy(60)
        print(f"healthy {time.monotonic() - killed:.0f} s after the Spark master was killed")
        running = cluster.ok("status", "--json").json["spark"]["running"]
        assert [one["name"] for one in running] == ["squares.py"]
        ran = cluster.run("app.logs", submission, "--follow")
        assert (ran.code, ran.out.splitlines()[-1]) == (0, str(sum(n * n for n in range(90)))), ran.err[-3000:]
        self.nothing_left(cluster)

    def test_the_shell_runs_what_standard_input_gives(self, cluster: Cluster) -> None:
        ran = cluster.run("shell", stdin="print(spark.range(1000).count())\nraise SystemExit(3)\n")
        assert (ran.code, ran.out) == (3, "1000\n"), ran.err[-3000:]

    def test_the_history_and_the_table_are_there_after_down_and_deploy(self, cluster: Cluster) -> None:
        before = {row["id"] for row in cluster.ok("apps", "--last", "200", "--json").json["applications"]}
        cluster.ok("down")
        cluster.ok("deploy")
        rows = {row["id"]: row for row in cluster.ok("apps", "--last", "200", "--json").json["applications"]}
        assert before <= set(rows)
        ran = cluster.run("shell", stdin="print(spark.table('kept').count())\n")
        assert (ran.code, ran.out) == (0, "270000\n"), ran.err[-3000:]
        words = next(row for row in rows.values() if row["name"] == "words")
        assert "words" in fetch(words["link"])
        host = words["link"].partition("/history/")[0]
        executors = json.loads(fetch(f"{host}/api/v1/applications/{words['id']}/allexecutors"))
        links = [one["executorLogs"]["stderr"] for one in executors if one["executorLogs"]]
        assert links
        assert all("Spark Executor Command" in fetch(host + link) for link in links)
        if reason := why_not():
            pytest.skip(f"the pages were fetched; {reason}")
        with browser() as page:
            page.open(words["link"])
            page.wait_for("Completed Jobs")
            page.click("//a[normalize-space()='Executors']")
            page.click("//a[normalize-space()='stderr']")
            page.screenshot(ROOT / "results" / "history.png")
            page.wait_for("Spark Executor Command")


class Interrupted(Storage):
    """What an interrupt leaves behind."""

    @pytest.mark.parametrize(
        ("words", "said", "sent"),
        [
            (("notebook", "primes", "--max-value", "400_000_000"), "[primes] ", signal.SIGINT),
            (("verify", "--mib", "2000"), "executors", signal.SIGKILL),
        ],
    )
    def test_a_program_in_a_container_ends_with_the_task_that_started_it(
        self, cluster: Cluster, words: tuple[str, ...], said: str, sent: signal.Signals
    ) -> None:
        assert cluster.ended(*words, said=said, sent=sent) == (130 if sent == signal.SIGINT else -sent)
        end = time.monotonic() + 30
        while "opt/sparkqfs/bin/attended" in on_node(1, "ps", "-eo", "args"):
            assert time.monotonic() < end, "the program goes on"
            time.sleep(0.5)
        while cluster.ok("status", "--json").json["spark"]["cores_used"]:
            assert time.monotonic() < end, "the program keeps its cores"


class Ending(Storage):
    """Stops, failures, and the end of the data."""

    @staticmethod
    def until_copied(cluster: Cluster, since: float) -> None:
        """Until both copies of the metadata are younger than a moment, and have the catalogue of tables."""
        while True:
            looked = time.monotonic()
            copies = cluster.ok("status", "--json").json["storage"]["metadata_copies"]
            assert [copy["node"] for copy in copies] == ["node2", "node3"]
            ages = [copy["age_s"] for copy in copies]
            are_young = all(age is not None and looked - age > since for age in ages)
            if are_young and all((copy["catalogue"] or {}).get("is_kept") for copy in copies):
                return
            assert looked < since + 60, copies
            time.sleep(0.5)

    def test_files_survive_down_and_deploy(self, cluster: Cluster) -> None:
        payload = os.urandom(3 << 20)
        self.in_master(*self.kind.put, "/tmp/kept.bin", stdin=payload)
        checksum = ("sh", "-c", f"{self.kind.cat} /tmp/kept.bin | sha256sum")
        before = self.in_master(*checksum)
        assert before.split()[0] == hashlib.sha256(payload).hexdigest()
        assert cluster.ok("down", "--json").states() == {"stack spark": "changed"}
        for number in (1, 2, 3):
            assert on_node(number, "docker", "ps", "-aq", "--filter", "label=com.docker.stack.namespace=spark") == ""
        assert cluster.ok("down", "--json").states() == {"stack spark": "unchanged"}
        assert cluster.run("status").code == 1
        assert cluster.run(self.kind.init).code == 5
        cluster.ok("deploy")
        assert self.in_master(*checksum) == before

    @pytest.mark.every_storage
    def test_older_metadata_does_not_start_and_a_restore_brings_back_what_the_managers_disk_had(
        self, cluster: Cluster, kept: Kept
    ) -> None:
        top = f"/mnt/data/{self.kind.name}"
        older = on_node_bytes(1, "tar", "-C", top, "-cf", "-", *METADATA[self.kind.name])
        payload = os.urandom(1 << 20)
        self.in_master(*self.kind.put, "/tmp/newer.bin", stdin=payload)
        token = cluster.ok("token", "--json").json["token"]
        self.until_copied(cluster, time.monotonic())
        cluster.ok("down")
        replace_metadata(top, self.kind.name, older)
        refused = cluster.run("deploy")
        assert refused.code == 1 and "the metadata is older than its copy on node" in refused.err, refused.err[-2000:]
        kept.save_blobs()
        lose_disk(1)
        assert "invoke restore" in cluster.run("deploy").err
        nobody = cluster.run("restore")
        assert nobody.code == 5 and "--cluster spark" in nobody.err, nobody.err[-2000:]
        for stage in ("== put aside", "== swarm"):
            assert cluster.ended("restore", "--cluster", "spark", said=stage, sent=signal.SIGKILL) == -9
        kept.seed("/mnt/data", "spark")
        found = cluster.ok("restore", "--cluster", "spark", "--json").json
        print(f"restored in {found['seconds']} s: {found['stages']}")
        assert (found["lost_files"], found["nameless_blocks"], found["kept"]) == (0, 0, None)
        assert found["state"]["tables"] is not None and found["state"]["notebooks"] > 0
        sums = self.in_master("sh", "-c", f"{self.kind.cat} /tmp/newer.bin | sha256sum")
        assert sums.split()[0] == hashlib.sha256(payload).hexdigest()
        assert cluster.ok("token", "--json").json["token"] == token, "the secrets come from their copy"
        cluster.until_healthy()
        assert set(cluster.ok("up", "--json").states().values()) == {"unchanged"}

    @pytest.mark.every_storage
    def test_status_says_when_worker_nodes_are_killed_and_what_comes_after_them_reads_locally(
        self, cluster: Cluster
    ) -> None:
        tree = cluster.hosts.parent / "again"
        tree.mkdir(exist_ok=True)
        for number in range(6):
            (tree / f"{number}.bin").write_bytes(os.urandom(8 << 20))
        cluster.ok("put", "again", "/tmp/again")
        before = cluster.ok("status", "--json").json["storage"]["server_hosts"]
        on_node(2, "docker", "kill", container_of(2, "spark_worker-node"))
        started = time.monotonic()
        ran = cluster.run("status", "--json")
        assert time.monotonic() - started < 30
        assert ran.code == 1
        assert ran.json["state"] == "degraded"
        assert "node2" in {problem["node"] for problem in ran.json["problems"]}
        for number in (1, 3):
            on_node(number, "docker", "kill", container_of(number, "spark_worker-node"))
        killed = time.monotonic()
        cluster.until_healthy()
        healthy = time.monotonic()
        for number in (1, 2, 3):
            names = on_node(number, "ls", "/mnt/data/spark/local").split()
            assert len([name for name in names if name.startswith("scratch-worker-")]) == 1, (number, names)
        assert cluster.ok("status", "--json").json["storage"]["server_hosts"] != before
        found = cluster.ok("verify", "--path", "/tmp/again", "--reads", "2", "--json").json
        took = (
            f"healthy {healthy - killed:.0f} s after the last was killed, verified {time.monotonic() - healthy:.0f} s"
        )
        print(f"{took} later: {found['verdict']['text']}")
        assert (found["files"], found["bytes_read"]) == (6, 2 * 6 * (8 << 20))
        assert found["verdict"]["state"] in (("local",) if self.kind.has_reader else ("local", "too little data"))
        cluster.ok("rm", "/tmp/again", "--recursive", "--yes")

    def test_status_names_the_command_that_lists_files_whose_only_copy_is_gone(self, cluster: Cluster) -> None:
        size, header = 1_234_567, 16_384
        self.in_master(*self.kind.put_once, "/tmp/once.bin", stdin=os.urandom(size))
        found = f"find /mnt/data/{self.kind.top} -type f ( -size {size}c -o -size {size + header}c ) -print -delete"
        gone = [on_node(number, *found.split()) for number in (1, 2, 3)]
        assert "".join(gone).count("\n") == 1, gone
        try:
            self.in_master("sh", "-c", f"timeout 12 {self.kind.cat} /tmp/once.bin >/tmp/once.bin 2>&1 || true")
            end = time.monotonic() + 60
            while (ran := cluster.run("status", "--json")).code == 0 and time.monotonic() < end:
                time.sleep(1)
            assert (ran.code, ran.json["state"], ran.json["storage"]["lost_blocks"]) == (1, "degraded", 1)
            (problem,) = ran.json["problems"]
            ours, command = problem["hint"].split("`")[1:4:2]
            assert ours == "invoke fsck" and self.kind.lists_lost in command
            listed = cluster.run("fsck", "--json")
            assert listed.code == 1 and "/tmp/once.bin" in listed.out, listed.out
            # fsck ends with an error when there is something to list
            assert "/tmp/once.bin" in on_node(1, "sh", "-c", f"{command} || true")
        finally:
            cluster.ok("rm", "/tmp/once.bin", "--yes")
        cluster.until_healthy()

    def test_a_drill_that_kills_the_storages_master_loses_nothing_and_status_still_shows_spark(
        self, cluster: Cluster
    ) -> None:
        refused = cluster.run("drill", "--fault", "storage-master-container", "--cluster", "another", "--json")
        assert refused.code == 2 and "another" in refused.json["problems"][0]["what"], refused.out
        words = ("drill", "--fault", "storage-master-container", "--cluster", "spark", "--load", "2", "--json")
        with ThreadPoolExecutor(max_workers=1) as pool:
            drill = pool.submit(cluster.run, *words)
            while not drill.done() and (ran := cluster.run("status", "--json")).code == 0:
                time.sleep(0.2)
            ended = drill.result()
        assert ended.code == 0, ended.out + ended.err
        assert ran.code == 1 and ran.json["state"] == "degraded"
        assert ran.json["storage"]["answers"] is False or ran.json["storage"]["servers_up"] < 3
        assert ran.json["spark"]["answers"] is True
        (row,) = ended.json["rows"]
        assert row["ok"] and row["acknowledged"] > 20 and row["reads"] > 0
        assert (row["lost"], row["wrong_reads"], row["fsck_lost"]) == (0, 0, 0)
        assert 0 < row["seen_s"] < 20 < 180 > row["healthy_s"] > row["seen_s"]
        assert row["longest_pause_s"] > 1, "nothing can be acknowledged without a master"
        assert cluster.ok("ls", "/tmp/sparkqfs-drill", "--json").json["ls"]["entries"] == []

    @pytest.mark.every_storage
    def test_a_disk_that_is_not_mounted_stops_deploy_and_prep(self, cluster: Cluster) -> None:
        cluster.ok("down")
        top = f"/mnt/data/{self.kind.top}"
        on_node(3, "mv", top, "/mnt/data/away")
        try:
            deploy, prep = cluster.run("deploy"), cluster.run("prep")
        finally:
            on_node(3, "sh", "-c", f"rm -rf {top} && mv /mnt/data/away {top}")
        assert deploy.code == 1
        assert prep.code == 5
        assert "[node3]" in deploy.err and "[node3]" in prep.err
        assert set(cluster.ok("prep", "--json").states().values()) == {"unchanged"}

    @pytest.mark.second_storage
    def test_deploy_alone_brings_changed_sizes_to_their_machines(self, cluster: Cluster) -> None:
        cluster.ok("deploy")
        settings = yaml.safe_load(cluster.hosts.read_text())
        settings["nodes"]["node3"]["cpu_share"] = 0.8
        file = cluster.hosts.with_name(f"{self.kind.name}-uneven.yml")
        file.write_text(yaml.safe_dump(settings))
        uneven = Cluster(file, cluster.name)
        states = uneven.ok("deploy", "--json").states()
        assert (states["stack spark"], states["swarm labels"]) == ("changed", "changed")
        (worker,) = on_node(3, "docker", "ps", "-q", "--filter", "name=spark_worker-node").split()
        limit = on_node(3, "docker", "inspect", "-f", "{{.HostConfig.NanoCpus}}", worker)
        wanted = {row["node"]: row["limit_cpus"] for row in uneven.ok("plan", "--json").json["sizing"]["nodes"]}
        assert wanted["node1"] is None and int(limit) == round(1e9 * wanted["node3"])
        assert set(uneven.ok("deploy", "--json").states().values()) == {"unchanged"}

    @pytest.mark.second_storage
    def test_the_machines_own_network_does_as_well(self, cluster: Cluster) -> None:
        settings = yaml.safe_load(cluster.hosts.read_text()) | {"network": "host"}
        file = cluster.hosts.with_name(f"{self.kind.name}-host.yml")
        file.write_text(yaml.safe_dump(settings))
        on_host = Cluster(file, cluster.name)
        on_host.ok("deploy")
        found = on_host.ok("status", "--json").json
        machines = sorted(node["address"] for node in settings["nodes"].values())
        assert found["spark"]["worker_hosts"] == found["storage"]["server_hosts"] == machines
        assert on_host.ok("verify", "--mib", "96", "--files", "6", "--json").json["verdict"]["state"] == "local"
        assert set(on_host.ok("deploy", "--json").states().values()) == {"unchanged"}

    @pytest.mark.long
    def test_a_notebook_runs_on_the_machines_own_network(self, cluster: Cluster) -> None:
        on_host = Cluster(cluster.hosts.with_name(f"{self.kind.name}-host.yml"), cluster.name)
        result = on_host.ok("notebook", "primes", "--max-value", "100_000", "--json").json["result"]
        assert (result["count"], result["matches"]) == (9592, True)

    @pytest.mark.every_storage
    def test_purge_needs_the_clusters_name_and_then_erases(self, cluster: Cluster) -> None:
        cluster.ok("down")
        assert cluster.run("purge", "--yes").code == 5
        assert cluster.run("purge", "--erase", "other").code == 2
        other = Cluster(cluster.hosts.with_name("other.yml"), "other")
        other.hosts.write_text(yaml.safe_dump(yaml.safe_load(cluster.hosts.read_text()) | {"cluster": "other"}))
        for words in (("purge", "--erase", "other"), (self.kind.init, "--erase", "other"), ("prep",), ("swarm",)):
            ran = other.run(*words)
            assert ran.code == 5 and "says spark, other.yml says other" in ran.err
        assert on_node(1, "ls", f"/mnt/data/{self.kind.top}/{self.kind.metadata}") != ""
        saved = next(
            one
            for one in cluster.ok("purge", "--erase", "spark", "--json").json["outcomes"]
            if one["subject"] == "backup"
        )
        found = cluster.ok("backup.verify", "--backup", saved["changes"][0], "--json").json
        assert (found["ok"], found["depth"]) == (True, 2), "it opens; the storage did not run to be asked for its names"
        for number in (1, 2, 3):
            assert on_node(number, "find", f"/mnt/data/{self.kind.top}", "-mindepth", "1") == ""


class TestQfs(Ending, Broken, Redeployed, Interrupted, Programs, Benchmarks, Notebooks, Doors, Beginning):
    """Real QFS."""

    kind = QFS
    kept_as = ""
    killed_at = (("build", "[qfs-master] building"), ("push", "pushing"))

    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, machines: Path) -> Cluster:
        return Cluster(with_storage(machines, "qfs"), "spark")


class TestHdfs(Ending, Redeployed, Interrupted, Programs, Notebooks, Doors, Beginning):
    """Real HDFS."""

    kind = HDFS
    kept_as = "hdfs"
    killed_at = (("build", "[hdfs-namenode] building"), ("push", "pushing"))

    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, request: pytest.FixtureRequest, machines: Path, kept: Kept) -> Cluster:
        cluster = Cluster(with_storage(machines, "hdfs"), "spark")
        if not is_whole(request):  # else a test does it when it comes to it
            cluster.ok("prep")
            kept.seed("/mnt/data", "spark")
        return cluster

    @pytest.mark.every_storage
    def test_the_word_of_another_storage_is_refused(self, cluster: Cluster) -> None:
        ran = cluster.run("init-qfs")
        assert ran.code == 2 and "init-storage" in ran.err
