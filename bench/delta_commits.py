"""Commits to Delta tables by applications of Spark that are killed meanwhile, as are the storage's daemons.

    .venv/bin/python bench/delta_commits.py --python PYTHON [--storage qfs|hdfs] [--commits 300] [--applications 4]

The figures of docs/measured/commits.md. PYTHON is that of an environment with the pyspark of docker/worker-node's lock.
Real daemons on loopback, and applications in local mode with a JVM each. One of them is killed (SIGKILL) every few
seconds and started again; so is the metaserver or the namenode, and on QFS a chunkserver. At the end a session of its
own reads the tables: every acknowledged commit must be there once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.delta_application import EACH, is_update
from sparkqfs.clients.download import fetch_delta
from sparkqfs.config.model import SparkConfig, StorageConfig, StorageKind
from sparkqfs.plan.delta import spark_conf
from sparkqfs.plan.storage import backend_of
from tests.builders.clusters import a_cluster
from tests.paths import ROOT, RUNTIME
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import find_tarball, node_environment, unpack_programs

BUSY = 3
"""An application that has committed so often since its start may be killed: else none would get anywhere."""
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
READ = """\
import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
top = sys.argv[1]
rows = spark.sql(f"SELECT name, n, count(*) c FROM delta.`{top}/rows` GROUP BY name, n").collect()
counters = spark.sql(f"SELECT name, n FROM delta.`{top}/counters`").collect()
versions = {name: spark.sql(f"DESCRIBE HISTORY delta.`{top}/{name}`").count() for name in ("rows", "counters")}
print(json.dumps([[list(row) for row in rows], [list(row) for row in counters], versions]))
"""
MAKE = """\
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
top = sys.argv[1]
spark.sql(f"CREATE TABLE delta.`{top}/rows` (name STRING, n BIGINT) USING delta")
names = spark.createDataFrame([(name, 0) for name in sys.argv[2:]], "name STRING, n BIGINT").coalesce(1)
names.write.format("delta").save(f"{top}/counters")
"""


@dataclass
class Bench:
    """The storage, and what applications are started with."""

    python: str
    home: Path
    root: str
    environment: dict[str, str]
    daemons: Mapping[str, object]
    applications: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    began_at: dict[str, int] = field(default_factory=dict)
    """What was acknowledged when an application was started."""
    events: Counter[str] = field(default_factory=Counter)

    @property
    def top(self) -> str:
        """Of both tables."""
        return f"{self.root}/tables"

    def run(self, program: str, *words: str) -> str:
        """A program's output. Raises CalledProcessError."""
        argv = (self.python, "-c", program, self.top, *words)
        with (self.home / "session.log").open("ab") as log:
            return subprocess.run(
                argv, env=self.environment, check=True, stdout=subprocess.PIPE, stderr=log
            ).stdout.decode()

    def done(self, name: str) -> Path:
        """What an application says is acknowledged."""
        return self.home / f"{name}.done"

    def start(self, name: str, count: int) -> None:
        """An application, where its file ends."""
        program = str(ROOT / "bench" / "delta_application.py")
        argv = (self.python, program, self.top, name, str(count), str(self.done(name)))
        self.began_at[name] = self.acknowledged(name)
        with (self.home / f"{name}.log").open("ab") as log:
            self.applications[name] = subprocess.Popen(
                argv, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """The driver and its JVM at once."""
        if self.applications[name].poll() is None:
            os.killpg(self.applications[name].pid, 9)
            self.applications[name].wait()
            self.events["applications killed"] += 1

    def acknowledged(self, name: str) -> int:
        """How many commits an application has written down."""
        return len(self.done(name).read_text(encoding="utf-8").splitlines()) if self.done(name).exists() else 0


def compile_java(python: str, home: Path, qfs_jars: list[Path]) -> tuple[str, str]:
    """Class path of Spark's sessions, and SPARK_HOME."""
    code = "import pyspark; print(pyspark.__path__[0])"
    spark = Path(subprocess.run((python, "-c", code), check=True, capture_output=True, text=True).stdout.strip())
    delta = fetch_delta()
    ours = [*(RUNTIME / "java").rglob("*.java"), *(ROOT / "docker" / "delta").rglob("*.java")]
    jars = [*(spark / "jars").glob("*.jar"), *qfs_jars, *delta]
    classes = home / "classes"
    argv = ("javac", "-nowarn", "-cp", ":".join(map(str, jars)), "-d", str(classes), *map(str, ours))
    subprocess.run(argv, check=True)
    return ":".join(map(str, [classes, *qfs_jars, *delta])), str(spark)


def session_settings(kind: StorageKind, root: str, class_path: str) -> dict[str, str]:
    """As the stack sets them, for a JVM that is driver and executor."""
    config = a_cluster(storage=StorageConfig(kind=kind), spark=SparkConfig(delta=True))
    own = ("metaServer", "executorEnv", "sharedPrefixes", "fs.defaultFS")
    conf = {
        key: value for key, value in backend_of(config).spark_conf(config).items() if not any(w in key for w in own)
    }
    return {
        **conf,
        **spark_conf(config, 2),
        "spark.hadoop.fs.defaultFS": root,
        "spark.master": "local[1]",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": class_path,
        "spark.driver.extraJavaOptions": QUICK,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


@contextmanager
def bench(options: argparse.Namespace, home: Path) -> Iterator[Bench]:
    """Daemons that run, and empty tables."""
    tarball = find_tarball()
    assert tarball is not None, "no QFS tarball in the download cache"
    unpack_programs(tarball, home / "qfs")
    class_path, spark = compile_java(options.python, home, list((home / "qfs" / "lib").glob("*.jar")))

    def made(root: str, environment: Mapping[str, str], daemons: Mapping[str, object]) -> Bench:
        conf = home / "conf"
        conf.mkdir(exist_ok=True)
        lines = [f"{key} {value}" for key, value in session_settings(options.storage, root, class_path).items()]
        (conf / "spark-defaults.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        more = {"SPARK_HOME": spark, "SPARK_CONF_DIR": str(conf), "PYSPARK_PYTHON": options.python}
        return Bench(options.python, home, root, {**environment, **more}, daemons)

    if options.storage == "qfs":
        with QfsCluster(home / "qfs", home / "daemons") as qfs:
            yield made(qfs.uri, node_environment(qfs), {"metaserver": qfs, "chunkserver": qfs})
    else:
        for name in ("name", "data"):
            (home / name).mkdir()
        with HdfsCluster(HdfsCluster.find_class_path(), home, home / "name", home / "data", "true") as hdfs:
            yield made(hdfs.uri, os.environ, {"namenode": hdfs})


def disturb(one: Bench, what: str) -> None:
    """Kills a daemon and starts it again."""
    cluster = one.daemons[what]
    if isinstance(cluster, QfsCluster):
        if what == "metaserver":
            cluster.kill_meta()
        else:
            name = random.choice(cluster.addresses)
            cluster.stop_server(name, signal.SIGKILL)
            cluster.start_server(name)
    elif isinstance(cluster, HdfsCluster):
        cluster.restart_namenode()
    one.events[f"{what}s killed"] += 1


def run(one: Bench, options: argparse.Namespace) -> None:
    """Until all is acknowledged; kills go on meanwhile."""
    count = options.commits // options.applications
    names = [f"app{number}" for number in range(options.applications)]
    one.run(MAKE, *names)
    start = time.monotonic()
    for name in names:
        one.start(name, count)
    next_kill, next_daemon = start + options.kill_every, start + options.daemon_every
    while any(one.acknowledged(name) < count for name in names):
        time.sleep(0.5)
        now = time.monotonic()
        for name in names:
            code = one.applications[name].poll()
            if code is not None and one.acknowledged(name) < count:
                one.events["applications failed and started again"] += code != -9
                one.start(name, count)
        busy = [name for name in names if one.began_at[name] + BUSY <= one.acknowledged(name) < count - 1]
        if now > next_kill and busy:
            one.kill(random.choice(busy))
            next_kill = now + random.uniform(0.5, 1.5) * options.kill_every
        if now > next_daemon:
            disturb(one, random.choice(list(one.daemons)))
            next_daemon = now + random.uniform(0.5, 1.5) * options.daemon_every
            print(f"{now - start:.0f} s: {[one.acknowledged(name) for name in names]} {dict(one.events)}", flush=True)
        if now - start > options.limit:
            raise TimeoutError("not all commits within the limit")
    for application in one.applications.values():
        application.wait(120)
    one.events["seconds"] = round(time.monotonic() - start)


def result(one: Bench, options: argparse.Namespace) -> dict[str, object]:
    """What the tables have, against what was acknowledged."""
    count = options.commits // options.applications
    rows, counters, versions = json.loads(one.run(READ).splitlines()[-1])
    found = {(name, number): copies for name, number, copies in rows}
    wanted = {(f"app{app}", number) for app in range(options.applications) for number in range(count)}
    appends = {key for key in wanted if not is_update(key[1])}
    updates = dict(counters)
    per_application = count // EACH
    logs = [(one.home / f"app{app}.log").read_text(encoding="utf-8") for app in range(options.applications)]
    return {
        "acknowledged": sum(one.acknowledged(f"app{app}") for app in range(options.applications)),
        "lost appends": len(appends - set(found)),
        "double appends": sum(copies > 1 for copies in found.values()),
        "appends nobody made": len(set(found) - appends),
        "updates lost": sum(max(0, per_application - value) for value in updates.values()),
        "updates made twice": sum(max(0, value - per_application) for value in updates.values()),
        "conflicts that an application saw": sum(log.count("conflict\n") for log in logs),
        "versions": versions,
        **one.events,
    }


def main() -> None:
    """Prints what came of it; exit code 1 when a commit is lost or double."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--storage", choices=["qfs", "hdfs"], default="qfs")
    parser.add_argument("--commits", type=int, default=300)
    parser.add_argument("--applications", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=10, help="seconds, more or less")
    parser.add_argument("--daemon-every", type=float, default=30, help="seconds, more or less")
    parser.add_argument("--limit", type=float, default=3600, help="seconds")
    parser.add_argument("--on", type=Path, help="where the daemons' data and the logs go; they stay there")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(dir=options.on))
    with bench(options, home) as one:
        try:
            run(one, options)
            found = result(one, options)
        finally:
            for application in one.applications.values():
                if application.poll() is None:
                    os.killpg(application.pid, 9)
    print(json.dumps(found, indent=1))
    wrong = [key for key in found if "lost" in key or "double" in key or "twice" in key or "nobody" in key]
    raise SystemExit(any(found[key] for key in wrong))


if __name__ == "__main__":
    main()
