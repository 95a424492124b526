"""Measures storages against each other: the same writes, scans, aggregations and sorts, in alternating order.

Run in the jupyter-server container: with-env /opt/venv/bin/python /opt/sparkqfs/bin/bench-storage SPEC, where SPEC is a
JSON object: `mib`, `files`, `rounds`, `tables` (name, uri, settings, is_counted), `variants` (name, table, settings).
Settings are Hadoop's, for one table's write or one variant's reads. Each `uri` is ours: overwritten and deleted; its
parent's name must begin with `sparkqfs-bench`. Progress goes to stderr; stdout gets one line of JSON.

A sample is one operation of one variant in one round: seconds, bytes received and CPU seconds of all worker containers
from just before to just after it; `replaced` names the hosts whose counters did not go on. `nothing` is a sample of no
operation: what the measuring itself costs.

Exit codes: 0 measured (each sample's `is_right` says whether the data came back whole), 1 failed, 2 wrong arguments,
4 no executors in time.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark import BarrierTaskContext
from pyspark.cloudpickle import register_pickle_by_value
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from sparkqfs_runtime.measuring import verify
from sparkqfs_runtime.spark_session import ALL_EXECUTORS, start

OURS = "sparkqfs-bench"
GROUPS = 1000
WARM_ROWS = 8192
SETTLE_S = 0.5
"""Between an operation and its sample: counters of the network, and of processes that are just ending."""
DISK_DEADLINE_S = 60.0
CLOSE = "java_method('org.apache.hadoop.fs.FileSystem', 'closeAll') AS done"
READER = "java_method('sparkqfs.fs.ReadCounters', 'snapshot') AS reader"
COUNTED = "address string, received long, seconds double, source string, reader string"


def say(text: str) -> None:
    """Progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


# --- in the executors ------------------------------------------------------------------------------------------------


def cpu_seconds() -> tuple[float, str]:
    """(CPU seconds that this container has used, where they are counted)."""
    group = Path("/sys/fs/cgroup")
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
    unified = next((path for number, _, path in own if number == "0"), None)
    if unified == "/" and (group / "cpu.stat").is_file():
        for line in (group / "cpu.stat").read_text(encoding="ascii").splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6, "cgroup v2"
    for name in ("cpuacct", "cpu,cpuacct"):
        usage = group / name / "cpuacct.usage"
        if usage.is_file():
            return int(usage.read_text(encoding="ascii")) / 1e9, "cgroup v1"
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            ticks += sum(int(field) for field in fields[11:15])  # utime, stime, and those of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK"), "processes"


def disk_bytes() -> int:
    """Bytes on disk of the storage's blocks in this container."""
    names = f"{os.environ.get('SPARKQFS_CHUNK_DIRS', '')} {os.environ.get('SPARKQFS_DATA_DIRS', '')}".split()
    total = 0
    for name in names:
        for directory, _, files in os.walk(name):
            for file in files:
                try:
                    total += (Path(directory) / file).lstat().st_blocks * 512
                except OSError:
                    continue  # moved or deleted in the meantime
    return total


def count_in_barrier(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One row a task. Barrier tasks start together, one a core: so every executor is asked."""
    for batch in batches:
        BarrierTaskContext.get().barrier()
        address, _, received = verify.received_bytes()
        seconds, source = cpu_seconds()
        yield pa.RecordBatch.from_pydict(
            {
                "address": [address],
                "received": [received],
                "seconds": [seconds],
                "source": [source],
                "reader": batch.column("reader"),
            }
        )


def disk_in_barrier(_: Iterator[int]) -> Iterator[tuple[str, int]]:
    """`disk_bytes` of every executor."""
    BarrierTaskContext.get().barrier()
    yield os.environ["NODE_IP"], disk_bytes()


@dataclass(frozen=True)
class Counters:
    """What all executors have counted since they started."""

    workers: dict[str, tuple[int, float]]
    """Address → (bytes received, CPU seconds). Executors of one container say the same."""
    readers: dict[str, dict[str, Any]] | None
    """As `verify.reader_counters` takes them."""


# --- in the driver ---------------------------------------------------------------------------------------------------


def alternating(items: list[Any], turn: int) -> list[Any]:
    """A B C, then C B A: what comes first gains nothing on the whole."""
    return items if turn % 2 == 0 else items[::-1]


class Bench:
    """One application that measures everything: the executors are the same for all variants."""

    def __init__(self, spark: SparkSession, spec: dict[str, Any]) -> None:
        self.spark, self.spec = spark, spec
        self.driver = verify.Driver(spark)
        say(f"application {spark.sparkContext.applicationId}: waiting for executors")
        self.cores = verify.wait_for_executors(spark, self.driver)
        found = self.driver.executors()
        self.executors = len(found)
        self.hosts = sorted({item["hostPort"].rpartition(":")[0] for item in found})
        self.rows = max(1, spec["mib"] * (1 << 20) // verify.ROW_BYTES)
        self.tables = {table["name"]: table for table in spec["tables"]}
        self.samples: list[dict[str, Any]] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self.cpu_source = ""
        reader = str(spark.sparkContext._jsc.hadoopConfiguration().get("fs.qfs.impl") or "")
        self.has_reader = reader.startswith("sparkqfs.fs.")
        self.counted = self.count()
        """The last counters; nothing has run since."""
        say(f"{self.executors} executors with {self.cores} cores on {', '.join(self.hosts)}; warming up")
        self.expected = self.generated(self.rows).agg(*verify.sums()).collect()[0].asDict()
        if self.expected["id"] != self.rows * (self.rows - 1) // 2:
            raise RuntimeError("the rows that are made here have the wrong sums")

    def generated(self, rows: int) -> DataFrame:
        """A table, from no storage at all."""
        files = self.spec["files"]
        numbers = self.spark.range(0, files, 1, files)
        return numbers.mapInArrow(verify.make_rows(rows, files), verify.SCHEMA)

    def count(self, *columns: str) -> Counters:
        """All counters. `columns` are worked out by each executor before."""
        self.spark.sparkContext.setJobGroup("bench", "counters")
        reader = READER if self.has_reader else "'' AS reader"
        asked = self.spark.range(0, self.cores, 1, self.cores).selectExpr(*columns, reader)
        rows = asked.mapInArrow(count_in_barrier, COUNTED, barrier=True).collect()
        self.cpu_source = ", ".join(sorted({row["source"] for row in rows}))
        answers = [json.loads(row["reader"]) for row in rows if row["reader"]]
        readers = {answer["process"]: answer for answer in answers} if self.has_reader else None
        return Counters({row["address"]: (row["received"], row["seconds"]) for row in rows}, readers)

    def disk(self) -> int:
        """Bytes on disk of the storage's blocks, on all nodes."""
        context = self.spark.sparkContext
        context.setJobGroup("bench", "bytes on disk")
        answers = context.parallelize(range(self.cores), self.cores).barrier().mapPartitions(disk_in_barrier).collect()
        return sum(dict(answers).values())

    def use(self, settings: dict[str, str]) -> None:
        """From here on all file systems have these settings: those that are open keep theirs, so they are closed."""
        for name, value in settings.items():
            self.spark.conf.set(name, value)
        jvm = self.spark.sparkContext._jvm
        assert jvm is not None
        jvm.org.apache.hadoop.fs.FileSystem.closeAll()
        self.counted = self.count(CLOSE)

    def sample(self, turn: int, name: str, operation: str, run: Callable[[], bool]) -> None:
        """Runs one operation of a variant between two looks at the counters; the first one is there already."""
        before = self.counted
        group = f"bench-{len(self.samples)}"
        self.spark.sparkContext.setJobGroup(group, f"{name} {operation}")
        started = time.monotonic()
        right = run()
        seconds = time.monotonic() - started
        time.sleep(SETTLE_S)
        self.counted = after = self.count()
        replaced = verify.replaced_hosts(
            {host: count for host, (count, _) in before.workers.items()},
            {host: count for host, (count, _) in after.workers.items()},
            before.readers,
            after.readers,
        )
        grown = [
            (count - before.workers[host][0], cpu - before.workers[host][1])
            for host, (count, cpu) in after.workers.items()
            if host in before.workers
        ]
        sample = {
            "round": turn + 1,
            "variant": name,
            "operation": operation,
            "seconds": round(seconds, 3),
            "received_bytes": sum(count for count, _ in grown),
            "cpu_seconds": round(sum(cpu for _, cpu in grown), 3),
            "is_right": right,
            "replaced": replaced,
            "reader": verify.reader_counters(before.readers, after.readers),
        }
        if operation == "scan":
            levels = Counter(task["taskLocality"] for task in self.driver.tasks(group))
            sample["tasks"] = dict(sorted(levels.items()))
        self.samples.append(sample)
        wrong = "" if right else ", WRONG SUMS"
        say(f"round {turn + 1} of {self.spec['rounds']}: {name} {operation}: {seconds:.1f} s{wrong}")
        if replaced:
            say(f"a worker was replaced while measuring that: {', '.join(replaced)}; it does not count")

    def uri(self, table: dict[str, Any], turn: int) -> str:
        """Where a table of a round is. In the first round nothing is deleted: so its bytes on disk can be counted."""
        return f"{table['uri']}/round-{turn + 1}"

    def write(self, uri: str, rows: int) -> bool:
        """Makes the rows and writes them."""
        self.generated(rows).write.mode("overwrite").option("compression", "none").parquet(uri)
        return True  # the reads look at what is in it

    def warm_up(self) -> None:
        """Each operation and each variant once, with a small table: firsts are slow. Deleted after the last round."""
        for table in self.spec["tables"]:
            self.use(table["settings"])
            self.write(f"{table['uri']}/warm-up", WARM_ROWS)
        for number, variant in enumerate(self.spec["variants"]):
            self.use(variant["settings"])
            for operation, run in self.reads(f"{self.tables[variant['table']]['uri']}/warm-up").items():
                if number == 0 or operation == "scan":
                    run()

    def look(self, table: dict[str, Any], turn: int, before: int) -> None:
        """What the first round's table takes, and in how many copies."""
        files = verify.Files(self.spark, self.uri(table, turn))
        listed = files.listed()
        placed = verify.placement(files, listed)
        held, end = -1, time.monotonic() + DISK_DEADLINE_S
        while table["is_counted"] and time.monotonic() < end:
            now = self.disk()
            if now == held:
                break
            held = now
            time.sleep(2.0)
        self.facts[table["name"]] = {
            "bytes": sum(size for _, size in listed),
            "files": len(listed),
            "copies": placed["copies"],
            "striped_blocks": placed["striped_blocks"],
            "disk_bytes": max(0, held - before) if table["is_counted"] else None,
        }

    def reads(self, uri: str) -> dict[str, Callable[[], bool]]:
        """The operations that read, by name; each says whether all of the table came back."""

        def table() -> DataFrame:
            return self.spark.read.schema(verify.SCHEMA).parquet(uri)

        def scan() -> bool:
            return bool(table().agg(*verify.sums()).collect()[0].asDict() == self.expected)

        def aggregate() -> bool:
            found = table().groupBy((F.col("id") % GROUPS).alias("group")).agg(*verify.sums()).collect()
            return all(sum(row[name] for row in found) == value for name, value in self.expected.items())

        def sort() -> bool:
            seen = Observation()
            ordered = table().orderBy(F.xxhash64("id"))
            ordered.observe(seen, *verify.sums()).write.format("noop").mode("overwrite").save()
            return bool(seen.get == self.expected)

        return {"scan": scan, "aggregate": aggregate, "sort": sort}

    def round(self, turn: int) -> None:
        """Each table is written, each variant read, in the order of this round."""
        self.use({})
        self.sample(turn, "", "nothing", lambda: True)
        for table in alternating(self.spec["tables"], turn):
            writer = next(one["name"] for one in self.spec["variants"] if one["table"] == table["name"])
            before = self.disk() if turn == 0 and table["is_counted"] else 0
            self.use(table["settings"])
            uri = self.uri(table, turn)
            self.sample(turn, writer, "write", lambda uri=uri: self.write(uri, self.rows))  # type: ignore[misc]
            if turn == 0:
                self.look(table, turn, before)
        for variant in alternating(self.spec["variants"], turn):
            self.use(variant["settings"])
            for operation, run in self.reads(self.uri(self.tables[variant["table"]], turn)).items():
                self.sample(turn, variant["name"], operation, run)
        for table in self.spec["tables"]:
            verify.Files(self.spark, self.uri(table, turn)).delete()

    def clean(self) -> None:
        """Removes all that is ours."""
        for table in self.spec["tables"]:
            verify.Files(self.spark, table["uri"]).delete()

    def run(self) -> dict[str, Any]:
        """All rounds; the document of the last line."""
        self.clean()
        try:
            self.warm_up()
            for turn in range(self.spec["rounds"]):
                self.round(turn)
        finally:
            say("removing the tables")
            try:
                self.clean()
            except (Py4JError, OSError) as error:  # the JVM may have been ended before us
                say(f"what is left of the tables is removed by the next run: {error}")
        return {
            "rows": self.rows,
            "executors": self.executors,
            "cores": self.cores,
            "hosts": self.hosts,
            "spark": self.spark.version,
            "cpu_source": self.cpu_source,
            "tables": self.facts,
            "samples": self.samples,
        }


def read_spec(argv: list[str]) -> dict[str, Any]:
    """The one argument. Raises ValueError."""
    if len(argv) != 1:
        raise ValueError("one argument is wanted: the specification as JSON")
    spec: dict[str, Any] = json.loads(argv[0])
    for table in spec["tables"]:
        if not re.search(rf"/{OURS}[^/]*/[^/]+$", table["uri"]):
            raise ValueError(f"{table['uri']}: not in a directory whose name begins with {OURS}")
    return spec


def main(argv: list[str]) -> int:
    """Exit code; see the top."""
    try:
        spec = read_spec(argv)
    except (ValueError, KeyError) as error:
        say(str(error))
        return 2
    os.environ.setdefault("QFS_CLIENT_LOG_LEVEL", "NOTICE")  # a line for each file system that is opened
    for module in (verify, sys.modules[__name__]):  # not on the path of the executors' Python
        register_pickle_by_value(module)
    # An event log would be written to the storage, through a file system that we close.
    spark = start(OURS, ALL_EXECUTORS | {"spark.eventLog.enabled": "false"})
    try:
        result = Bench(spark, spec).run()
    except TimeoutError as error:
        say(str(error))
        return 4
    finally:
        spark.stop()
    print(json.dumps(result), flush=True)
    return 0
