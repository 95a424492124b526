"""Proof of locality: reads through Spark, counts tasks per locality level and received bytes, asks where blocks are.

Run in the jupyter-server container: with-env /opt/venv/bin/python /opt/sparkqfs/bin/verify, with --path URI for a table
that is written, read and deleted, or with --data URI for what is there, which is only read. Progress goes to stderr;
stdout gets one line of JSON, with `problem` in it when there is nothing to measure. Received bytes are those of the
interface that carries the cluster's traffic, in every executor's container, between just before and just after the
reads: what a container fetches from itself does not cross that interface. `bytes_read` is the files' size times the
reads (every byte is needed); `bytes_read_by_spark` is Spark's own count, which knows nothing of some file systems'
vectored reads.

Exit codes: 0 measured (`sum_ok` says whether the data came back whole), 1 failed, 2 wrong arguments, 4 no executors in
time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import BarrierTaskContext
from pyspark.cloudpickle import register_pickle_by_value
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from sparkqfs.topology import SPARK_UI_PORT  # nothing of our modules: this one goes to executors with all its names

SCHEMA = "id long, value double, text string"
TEXT_BYTES = 1008
ROW_BYTES = TEXT_BYTES + 16
BATCH_ROWS = 8192
OURS = "sparkqfs-verify"
"""A path that exists is overwritten only where its last part begins so."""
EXECUTOR_DEADLINE_S = 90.0
REST_DEADLINE_S = 60.0
REST_ANSWER_S = 60.0
"""On a machine that is busy with starting executors the first answer takes its time."""
CALM_S = 2.0
MOST_FILES = 4000
"""More are not asked for their blocks one by one: an even sample of so many is."""
MOST_PARTITIONS = 10_000
"""More are not looked into, an even sample of so many is."""
LONGEST_LINE = 1 << 16
"""Of what has longer lines, or none, the rest of a line is read and thrown away."""
EVERY_TASK = {
    "spark.ui.retainedTasks": "1000000",
    "spark.ui.retainedJobs": "10000",
    "spark.ui.retainedStages": "10000",
}
"""Every task of every read is looked at."""
PARQUET_MAGIC = int.from_bytes(b"PAR1", "big")
NO_PLACE = "localhost"
"""What Hadoop says of a file system that knows no places."""
ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8)


OUR_CLASSES = "sparkqfs.fs."
"""Where the Hadoop file system of runtime/java is."""
READER_KEYS = ("local", "remote", "fallback")
"""Where the reader of runtime/java takes bytes from, as it calls them."""


def say(text: str) -> None:
    """Progress."""
    print(f"verify: {text}", file=sys.stderr, flush=True)


def get_json(url: str) -> Any:
    """One answer of a web service inside the cluster. Raises OSError, ValueError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=REST_ANSWER_S) as answer:
        return json.load(answer)


# --- in the executors ------------------------------------------------------------------------------------------------


def received_bytes() -> tuple[str, str, int]:
    """(address, interface, bytes received by this container on the interface that carries the cluster's traffic)."""
    import fcntl
    import socket
    import struct

    address = os.environ["NODE_IP"]
    counters = {}
    for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines()[2:]:
        name, _, numbers = line.partition(":")
        counters[name.strip()] = int(numbers.split()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for name, count in counters.items():
            try:
                answer = fcntl.ioctl(probe.fileno(), 0x8915, struct.pack("256s", name.encode()[:15]))  # SIOCGIFADDR
            except OSError:
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return address, name, count
    # A second address of an interface: better everything but loopback than nothing.
    return address, "all", sum(count for name, count in counters.items() if name != "lo")


def count_in_barrier(_: Iterator[int]) -> Iterator[tuple[str, str, int]]:
    """Barrier tasks start together, one a core: so every executor is asked."""
    BarrierTaskContext.get().barrier()
    yield received_bytes()


def answer_in_barrier(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What comes in, from every executor."""
    for batch in batches:
        BarrierTaskContext.get().barrier()
        yield batch


def make_rows(rows: int, files: int) -> Any:
    """The generator of one file: the same rows for the same arguments, in text that does not compress."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                random = np.random.default_rng(number)
                end = rows * (number + 1) // files
                for first in range(rows * number // files, end, BATCH_ROWS):
                    count = min(BATCH_ROWS, end - first)
                    ids = np.arange(first, first + count, dtype=np.int64)
                    letters = ALPHABET[random.integers(0, 64, count * TEXT_BYTES, dtype=np.uint8)]
                    offsets = np.arange(0, (count + 1) * TEXT_BYTES, TEXT_BYTES, dtype=np.int32)
                    text = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))
                    arrays = [pa.array(ids), pa.array(ids * 0.5), text]
                    yield pa.RecordBatch.from_arrays(arrays, names=["id", "value", "text"])

    return make


# --- in the driver ---------------------------------------------------------------------------------------------------


def sums() -> list[Any]:
    """Aggregates that need every byte of every column."""
    return [
        F.count("*").alias("rows"),
        F.sum("id").alias("id"),
        F.sum((F.col("value") * 2).cast("long")).alias("value"),  # halves: whole numbers add up the same in any order
        F.sum(F.crc32(F.col("text").cast("binary"))).alias("text"),
    ]


class Driver:
    """The application's own REST service."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        context = spark.sparkContext
        port = re.search(r":(\d+)$", context.uiWebUrl or "")
        if port is None:
            raise RuntimeError("the application has no web UI: spark.ui.enabled must be true")
        host = os.environ.get("NODE_IP") or "127.0.0.1"
        self.base = f"http://{host}:{port[1]}/api/v1/applications/{context.applicationId}"

    def executors(self) -> list[dict[str, Any]]:
        """Active executors, without the driver."""
        found = get_json(f"{self.base}/executors")
        return [item for item in found if item["id"] != "driver" and item["isActive"]]

    def tasks(self, group: str, *, all_stages: bool = False) -> list[dict[str, Any]]:
        """The successful tasks of a job group's stages that read files. Raises TimeoutError if they do not settle."""
        end = time.monotonic() + REST_DEADLINE_S
        while time.monotonic() < end:
            jobs = [job for job in get_json(f"{self.base}/jobs") if job.get("jobGroup") == group]
            if jobs and all(job["status"] == "SUCCEEDED" for job in jobs):
                tasks: list[dict[str, Any]] = []
                settled = True
                for stage in sorted({stage for job in jobs for stage in job["stageIds"]}):
                    for attempt in get_json(f"{self.base}/stages/{stage}"):
                        if attempt["status"] == "SKIPPED":
                            continue
                        settled &= attempt["status"] == "COMPLETE"
                        if not all_stages and attempt["inputRecords"] == 0 and attempt["inputBytes"] == 0:
                            continue
                        number = attempt["attemptId"]
                        listed = get_json(f"{self.base}/stages/{stage}/{number}/taskList?length=1000000")
                        good = [task for task in listed if task["status"] == "SUCCESS"]
                        settled &= len(good) >= attempt["numTasks"]
                        tasks += good
                if settled and tasks:
                    return tasks
            time.sleep(0.3)
        raise TimeoutError(f"the driver's REST service shows no finished tasks of {group}")


def granted_cores(spark: SparkSession) -> tuple[int | None, str]:
    """(cores that the master has given this application, or None; who else holds cores)."""
    master = re.match(r"spark://([^:,/]+)", os.environ.get("SPARK_MASTER_URL") or spark.sparkContext.master)
    if master is None:
        return None, ""
    try:
        port = os.environ.get("SPARKQFS_SPARK_UI_PORT") or SPARK_UI_PORT
        found = get_json(f"http://{master[1]}:{port}/json/")
    except (OSError, ValueError):
        return None, ""
    apps = {app["id"]: app for app in found["activeapps"]}
    mine = apps.pop(spark.sparkContext.applicationId, None)
    others = ", ".join(f"{app['name']} ({app['cores']} cores)" for app in apps.values() if app["cores"])
    return (None if mine is None else int(mine["cores"])), others


def wait_for_executors(spark: SparkSession, driver: Driver) -> int:
    """Cores of all executors, once every core that the master granted is there. Raises TimeoutError."""
    end = time.monotonic() + EXECUTOR_DEADLINE_S
    calm = time.monotonic()
    before = -1
    while True:
        now = time.monotonic()
        cores = sum(int(item["totalCores"]) for item in driver.executors())
        granted, others = granted_cores(spark)
        if cores != before:
            before, calm = cores, now
        # Executors that end at once are granted again and again: all granted ones must be there, and stay.
        if cores and now - calm >= CALM_S and (granted is None or cores >= granted):
            return cores
        if now >= end:
            if cores:
                say(f"going on with {cores} of {granted} cores after {EXECUTOR_DEADLINE_S:.0f} s")
                return cores
            held = f"; cores are held by {others}" if others else ""
            raise TimeoutError(f"no executor within {EXECUTOR_DEADLINE_S:.0f} s{held}")
        time.sleep(0.5)


def ask_executors(spark: SparkSession, cores: int) -> list[tuple[str, str, int]]:
    """`received_bytes` of every executor, one answer a core, in the order of the partitions."""
    tasks = spark.sparkContext.parallelize(range(cores), cores).barrier()
    answers: list[tuple[str, str, int]] = tasks.mapPartitions(count_in_barrier).collect()
    return answers


def received(spark: SparkSession, cores: int) -> dict[str, int]:
    """Bytes received so far, by container. Several executors of one container show the same counter."""
    return {address: count for address, _, count in ask_executors(spark, cores)}


class Files:
    """What is at a path, through Hadoop's file system of its URI."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        jvm = spark.sparkContext._jvm
        assert jvm is not None
        self.path = jvm.org.apache.hadoop.fs.Path(uri)
        settings = jvm.org.apache.hadoop.conf.Configuration(spark.sparkContext._jsc.hadoopConfiguration())
        settings.setBoolean("fs.qfs.allHosts", True)  # not only those that a scheduler is told of
        self.system = jvm.org.apache.hadoop.fs.FileSystem.newInstance(self.path.toUri(), settings)
        self.is_ours = str(self.system.getClass().getName()).startswith(OUR_CLASSES)

    def exists(self) -> bool:
        """Whether there is something."""
        return bool(self.system.exists(self.path))

    def listed(self) -> list[tuple[Any, int]]:
        """(Hadoop's FileStatus, bytes) of each data file below; names that Spark passes over are left out."""
        found = []
        todo = [self.system.getFileStatus(self.path)]
        while todo:
            status = todo.pop()
            if not status.isDirectory():
                found.append((status, int(status.getLen())))
                continue
            for item in self.system.listStatus(status.getPath()):
                name = item.getPath().getName()
                if not (name.startswith(".") or (name.startswith("_") and "=" not in name)):
                    todo.append(item)
        return found

    def is_parquet(self, status: Any) -> bool:
        """Whether a file begins as Parquet does."""
        if status.getLen() < 12:
            return False
        stream = self.system.open(status.getPath())
        try:
            return bool(stream.readInt() == PARQUET_MAGIC)
        finally:
            stream.close()

    def blocks(self, status: Any) -> list[tuple[int, list[str]]]:
        """(bytes, hosts) of each block of a file, none of one that is just deleted; one question to the file system."""
        found = []
        for block in self.system.getFileBlockLocations(status, 0, status.getLen()) or ():  # QFS's gives null for those
            _, length, *hosts = str(block.toString()).replace("(corrupt)", "").split(",")  # "offset,length,host,host"
            found.append((int(length), hosts))
        return found

    def is_striped(self, status: Any) -> bool | None:
        """Whether a host has a part of each block only; `None` where the file system does not know."""
        if self.is_ours:
            return bool(self.system.isStriped(status.getPath()))
        return True if status.isErasureCoded() else None

    def delete(self) -> None:
        """All of it, without a trash."""
        self.system.delete(self.path, True)


def evenly(items: list[Any], most: int) -> list[Any]:
    """All, or `most` of them over the whole length."""
    return items if len(items) <= most else [items[number * len(items) // most] for number in range(most)]


def placement(files: Files, listed: list[tuple[Any, int]]) -> dict[str, Any]:
    """Where the blocks are, as the file system says.

    `striped_blocks`: erasure-coded ones, whose hosts hold a part each. Where the file system does not say whether they
    are, many more hosts than copies do.
    """
    asked = evenly([item for item in listed if item[1]], MOST_FILES)  # QFS names one block of an empty file
    copies: Counter[int] = Counter()
    by_host: Counter[str] = Counter()
    blocks_by_host: Counter[str] = Counter()
    largest = striped = 0
    for status, _ in asked:
        blocks = files.blocks(status)
        if not blocks:
            continue
        coded, replication = files.is_striped(status), int(status.getReplication())
        for length, named in blocks:
            hosts = set(named) - {NO_PLACE}
            copies[len(hosts)] += 1
            largest = max(largest, length)
            many = len(named) > len(set(named)) or len(named) > max(1, replication) + 2
            striped += many if coded is None else coded
            by_host.update(dict.fromkeys(hosts, length))
            blocks_by_host.update(hosts)
    held = sum(by_host.values())
    return {
        "files": len(listed),
        "files_asked": len(asked),
        "bytes_asked": sum(size for _, size in asked),
        "blocks": sum(copies.values()),
        "largest_block_bytes": largest,
        "copies": {str(count): copies[count] for count in sorted(copies)},
        "striped_blocks": striped,
        "bytes_by_host": dict(sorted(by_host.items())),
        "blocks_by_host": dict(sorted(blocks_by_host.items())),
        "largest_host_share": round(max(by_host.values()) / held, 4) if held else 0.0,
    }


class Scan:
    """The partitions that Spark makes of a table's files."""

    def __init__(self, frame: DataFrame) -> None:
        settings = frame.sparkSession._jsparkSession.sessionState().conf()
        self.max_partition = int(settings.filesMaxPartitionBytes())
        self.open_cost = int(settings.filesOpenCostInBytes())
        partitions = list(frame._jdf.queryExecution().toRdd().partitions())
        asked = evenly(partitions, MOST_PARTITIONS)
        self.partitions, self.asked = len(partitions), len(asked)
        self.splits = self.files = self.mixed = 0
        self.sizes: dict[int, int] = {}
        self.near: dict[int, Counter[str]] = {}
        for partition in asked:
            names = set()
            size, near = 0, Counter[str]()
            for split in partition.files():
                names.add(split.urlEncodedPath())
                size += (length := int(split.length()))
                near.update(dict.fromkeys(split.locations(), length))
                self.splits += 1
            self.files += len(names)
            self.mixed += len(names) > 1
            self.sizes[int(partition.index())], self.near[int(partition.index())] = size, near

    def facts(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """`bytes_elsewhere`: what NODE_LOCAL tasks read that has no copy on their host, of `bytes_judged`."""
        judged = [task for task in tasks if task["taskLocality"] == "NODE_LOCAL" and task["partitionId"] in self.sizes]
        sizes = [self.sizes[task["partitionId"]] for task in judged]
        near = [self.near[task["partitionId"]][task["host"]] for task in judged]
        return {
            "partitions": self.partitions,
            "partitions_asked": self.asked,
            "partitions_placed": sum(bool(near.keys() - {NO_PLACE}) for near in self.near.values()),
            "splits": self.splits,
            "files_per_partition": round(self.files / self.asked, 2) if self.asked else 0.0,
            "mixed_partitions": self.mixed,
            "bytes_per_partition": sum(self.sizes.values()) // self.asked if self.asked else 0,
            "max_partition_bytes": self.max_partition,
            "open_cost_bytes": self.open_cost,
            "bytes_judged": sum(sizes),
            "bytes_elsewhere": sum(sizes) - sum(near),
        }

    def read_by_host(self, tasks: list[dict[str, Any]]) -> dict[str, int]:
        """Bytes that the tasks of each host read: the sizes of their partitions, or Spark's count."""
        found: Counter[str] = Counter()
        for task in tasks:
            counted = task["taskMetrics"]["inputMetrics"]["bytesRead"]
            found[task["host"]] += self.sizes.get(task["partitionId"], counted)
        return dict(sorted(found.items()))


def reader_off(spark: SparkSession, uri: str) -> str | None:
    """The setting, as `spark.conf` has it, that keeps our reader from reading local chunks; `None` without one."""
    if not uri.startswith("qfs:"):
        return None
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    reader = str(settings.get("fs.qfs.impl") or "")
    if not reader.startswith(OUR_CLASSES):
        return f"spark.hadoop.fs.qfs.impl={reader}"
    return None if settings.getBoolean("fs.qfs.localRead", True) else "spark.hadoop.fs.qfs.localRead=false"


def reader_snapshots(spark: SparkSession, uri: str, cores: int) -> dict[str, dict[str, Any]] | None:
    """What each executor's reader of ours has counted since its start, by process; `None` where there is none."""
    if not uri.startswith("qfs:") or reader_off(spark, uri) is not None:
        return None
    asked = spark.range(0, cores, 1, cores).selectExpr("java_method('sparkqfs.fs.ReadCounters', 'snapshot') AS answer")
    rows = asked.mapInArrow(answer_in_barrier, "answer string", barrier=True).collect()
    answers = [json.loads(row["answer"]) for row in rows]
    return {f"{answer['host']} {answer['process']}": answer for answer in answers}


def replaced_hosts(
    before: dict[str, int],
    after: dict[str, int],
    readers_before: dict[str, dict[str, Any]] | None,
    readers_after: dict[str, dict[str, Any]] | None,
) -> list[str]:
    """Hosts whose counters did not go on: their container, or an executor with its reader, was replaced.

    The first two are bytes received by host, the others `reader_snapshots`. An executor that is only new loses nothing.
    """
    found = before.keys() ^ after.keys()
    found |= {host for host in before.keys() & after.keys() if after[host] < before[host]}
    for process, old in (readers_before or {}).items():
        now = (readers_after or {}).get(process)
        if now is None or any(now[key] < old[key] for key in READER_KEYS):
            found.add(old["host"])
    return sorted(found)


def reader_counters(
    before: dict[str, dict[str, Any]] | None, after: dict[str, dict[str, Any]] | None
) -> dict[str, Any] | None:
    """What the readers took, from where and why, between two `reader_snapshots`.

    `local_by_host` and `sources` are by the host that read: bytes from its own disks, and from elsewhere by the host
    that has them, or by all that have, with commas, where it may have been any of these.
    """
    if before is None or after is None:
        return None
    nothing: dict[str, Any] = {"doubts": {}}
    pairs = [(before.get(process, nothing), now) for process, now in after.items()]
    fallbacks: Counter[str] = Counter()
    own: Counter[str] = Counter()
    sources: dict[str, Counter[str]] = {}
    for old, now in pairs:
        for reason, count in now["doubts"].items():
            fallbacks[reason] += count - old["doubts"].get(reason, 0)
        own[now["host"]] += now["local"] - old.get("local", 0)
        for owners, count in now.get("sources", {}).items():
            if more := count - old.get("sources", {}).get(owners, 0):
                sources.setdefault(now["host"], Counter())[",".join(sorted(owners.split(",")))] += more
    return {
        **{f"{key}_bytes": sum(now[key] - old.get(key, 0) for old, now in pairs) for key in READER_KEYS},
        "fallbacks": {reason: count for reason, count in sorted(fallbacks.items()) if count},
        "local_by_host": dict(sorted(own.items())),
        "sources": {host: dict(sorted(sources[host].items())) for host in sorted(sources)},
    }


class Measurement:
    """One application on the cluster: its executors, warmed up."""

    def __init__(self, spark: SparkSession, options: argparse.Namespace) -> None:
        self.spark, self.options = spark, options
        self.driver = Driver(spark)
        say(f"application {spark.sparkContext.applicationId}: waiting for executors")
        self.cores = wait_for_executors(spark, self.driver)
        found = self.driver.executors()
        self.executors = len(found)
        self.hosts = sorted({item["hostPort"].rpartition(":")[0] for item in found})
        say(f"{self.executors} executors with {self.cores} cores on {', '.join(self.hosts)}; warming up")
        spark.range(0, 200_000, 1, 2 * self.cores).selectExpr(
            "id", "id * 0.5 as value", "repeat(cast(id as string), 20) as text"
        ).agg(*sums()).collect()
        spark.sparkContext.setJobGroup("verify-addresses", "addresses")
        answers = ask_executors(spark, self.cores)
        asked = self.driver.tasks("verify-addresses", all_stages=True)
        # Executor's host as Spark calls it → its container's address, under which its storage knows it.
        self.addresses = {task["host"]: answers[task["partitionId"]][0] for task in asked}

    def table(self) -> dict[str, Any]:
        """Writes a table, reads it, deletes it."""
        spark, options = self.spark, self.options
        files = Files(spark, options.path)
        rows = options.rows if options.rows is not None else max(1, options.mib * (1 << 20) // ROW_BYTES)
        if files.exists() and not options.path.rstrip("/").rpartition("/")[2].startswith(OURS):
            raise FileExistsError(
                f"{options.path} exists and its last part does not begin with {OURS}: not overwritten"
            )
        try:
            say(f"writing {rows:,} rows of {ROW_BYTES} bytes in {options.files} files to {options.path}")
            written = Observation("written")
            table = spark.range(0, options.files, 1, options.files).mapInArrow(make_rows(rows, options.files), SCHEMA)
            started = time.monotonic()
            observed = table.observe(written, *sums())
            observed.write.mode("overwrite").option("compression", "none").parquet(options.path)
            write_seconds = time.monotonic() - started
            expected = written.get

            def read(frame: DataFrame) -> tuple[int, bool]:
                back = frame.agg(*sums()).collect()[0].asDict()
                return int(back["rows"]), back == expected and int(back["id"] or 0) == rows * (rows - 1) // 2

            frame = spark.read.schema(SCHEMA).parquet(options.path)
            return self.measure(files, options.path, "parquet", frame, read, (rows, write_seconds))
        finally:
            if not options.keep:
                files.delete()

    def data(self) -> dict[str, Any]:
        """Reads what is there: Parquet as Parquet, everything else byte by byte."""
        uri = self.options.data
        files = Files(self.spark, uri)
        largest = max(files.listed(), key=lambda item: item[1])
        kind = "parquet" if files.is_parquet(largest[0]) else "bytes"
        reader = self.spark.read.option("recursiveFileLookup", "true")
        if kind == "bytes":
            reader = reader.option("mapreduce.input.linerecordreader.line.maxlength", LONGEST_LINE)
        frame = reader.format("parquet" if kind == "parquet" else "text").load(uri)

        def read(frame: DataFrame) -> tuple[int, bool]:
            counted = Observation()
            frame.observe(counted, F.count(F.lit(1)).alias("rows")).write.format("noop").mode("overwrite").save()
            return int(counted.get["rows"]), True

        return self.measure(files, uri, kind, frame, read, None)

    def measure(
        self,
        files: Files,
        uri: str,
        kind: str,
        frame: DataFrame,
        read: Callable[[DataFrame], tuple[int, bool]],
        written: tuple[int, float] | None,
    ) -> dict[str, Any]:
        """Reads, counts; the document of the last line. `written`: (rows, seconds) of a table of ours."""
        spark, reads = self.spark, self.options.reads
        listed = files.listed()
        size = sum(length for _, length in listed)
        say(f"{size:,} bytes in {len(listed)} files; asking where they are")
        places = placement(files, listed)
        scan = Scan(frame)
        counted = reader_snapshots(spark, uri, self.cores)
        time.sleep(1.0)
        before = received(spark, self.cores)
        seconds = []
        good = True
        for number in range(reads):
            spark.sparkContext.setJobGroup(f"verify-read-{number}", f"read {number + 1} of {reads}")
            started = time.monotonic()
            rows, right = read(frame)
            seconds.append(time.monotonic() - started)
            good &= right
            say(f"read {number + 1} of {reads}: {seconds[-1]:.1f} s{'' if right else ', WRONG SUMS'}")
        spark.sparkContext.setJobGroup("verify", "received bytes")
        after = received(spark, self.cores)
        counted_after = reader_snapshots(spark, uri, self.cores)

        tasks = [task for number in range(reads) for task in self.driver.tasks(f"verify-read-{number}")]
        by_host = {host: after[host] - before[host] for host in sorted(after) if host in before}
        levels: dict[str, Counter[str]] = {}
        for task in tasks:
            levels.setdefault(task["host"], Counter())[task["taskLocality"]] += 1
        total = sum(by_host.values())
        return {
            "schema": 1,
            "path": uri,
            "format": kind,
            "rows": rows,
            "expected_rows": written[0] if written else None,
            "sum_ok": good if written else None,
            "files": len(listed),
            "average_file_bytes": size // len(listed),
            "reads": reads,
            "bytes_read": size * reads,
            "bytes_read_by_spark": sum(task["taskMetrics"]["inputMetrics"]["bytesRead"] for task in tasks),
            "bytes_written": size if written else None,
            "write_seconds": round(written[1], 3) if written else None,
            "read_seconds": round(sum(seconds), 3),
            "tasks": dict(sorted(Counter(task["taskLocality"] for task in tasks).items())),
            "tasks_by_host": dict(sorted(Counter(task["host"] for task in tasks).items())),
            "levels_by_host": {host: dict(sorted(levels[host].items())) for host in sorted(levels)},
            "read_by_host": scan.read_by_host(tasks),
            "received_bytes": by_host,
            "received_total": total,
            "remote_share": round(total / (size * reads), 4) if size else 0.0,
            "executors": self.executors,
            "hosts": self.hosts,
            "addresses": dict(sorted(self.addresses.items())),
            "placement": places,
            "scan": scan.facts(tasks),
            "replaced": replaced_hosts(before, after, counted, counted_after),
            "reader": reader_counters(counted, counted_after),
            "reader_off": reader_off(spark, uri),
        }


def nothing_at(spark: SparkSession, uri: str) -> str | None:
    """Why there is nothing to read, if so. The driver alone can say that: nobody needs to wait for executors."""
    files = Files(spark, uri)
    if not files.exists():
        return f"{uri} is not there"
    return None if any(length for _, length in files.listed()) else f"{uri} holds no bytes"


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="verify", description=__doc__.splitlines()[0] if __doc__ else None)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--path", metavar="URI", help="the table; overwritten and deleted")
    what.add_argument("--data", metavar="URI", help="a file or directory that is there; only read")
    parser.add_argument("--mib", type=int, default=256, help="size of the table (default 256)")
    parser.add_argument("--rows", type=int, help=f"rows of {ROW_BYTES} bytes, instead of --mib")
    parser.add_argument("--files", type=int, default=12, help="files to write (default 12)")
    parser.add_argument("--reads", type=int, default=3, help="times to read it (default 3)")
    parser.add_argument("--keep", action="store_true", help="leave the table there")
    options = parser.parse_args(argv)
    for name in ("mib", "rows", "files", "reads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be at least 1")
    return options


def main(argv: list[str]) -> int:
    """Exit code; see the top."""
    from sparkqfs_runtime.spark_session import ALL_EXECUTORS, start  # not a name of this module: see its imports

    options = parse(argv)
    register_pickle_by_value(sys.modules[__name__])  # not on the path of the executors' Python
    spark = start("sparkqfs-verify", ALL_EXECUTORS | EVERY_TASK)
    try:
        if options.data is not None and (why := nothing_at(spark, options.data)) is not None:
            print(json.dumps({"problem": why}), flush=True)
            return 0
        measurement = Measurement(spark, options)
        result = measurement.data() if options.data is not None else measurement.table()
    except TimeoutError as error:
        say(str(error))
        return 4
    except FileExistsError as error:
        say(str(error))
        return 2
    finally:
        spark.stop()
    print(json.dumps(result), flush=True)
    return 0
