"""Proof of locality: writes a table, reads it back through Spark, counts tasks per locality level and received bytes.

Run in the jupyter-server container: with-env /opt/venv/bin/python /opt/sparkqfs/bin/verify --path URI. Progress goes to
stderr; stdout gets one line of JSON. Received bytes are those of the interface that carries the cluster's traffic, in
every executor's container, between just before and just after the reads: what a container fetches from itself does not
cross that interface. `bytes_read` is the table's size times the reads (the sums need every byte); `bytes_read_by_spark`
is Spark's own count, which knows nothing of some file systems' vectored reads.

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import BarrierTaskContext
from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

SCHEMA = "id long, value double, text string"
TEXT_BYTES = 1008
ROW_BYTES = TEXT_BYTES + 16
BATCH_ROWS = 8192
OURS = "sparkqfs-verify"
"""A path that exists is overwritten only where its last part begins so."""
EXECUTOR_DEADLINE_S = 90.0
REST_DEADLINE_S = 20.0
CALM_S = 2.0
ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8)


def say(text: str) -> None:
    """Progress."""
    print(f"verify: {text}", file=sys.stderr, flush=True)


def get_json(url: str) -> Any:
    """One answer of a web service inside the cluster. Raises OSError, ValueError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
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
        F.sum("value").alias("value"),
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

    def scan_tasks(self, group: str) -> list[dict[str, Any]]:
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
                        if attempt["inputRecords"] == 0:
                            continue
                        number = attempt["attemptId"]
                        listed = get_json(f"{self.base}/stages/{stage}/{number}/taskList?length=1000000")
                        good = [task for task in listed if task["status"] == "SUCCESS"]
                        settled &= len(good) >= attempt["numTasks"]
                        tasks += good
                if settled and tasks:
                    return tasks
            time.sleep(0.3)
        raise TimeoutError(f"the driver's REST service shows no finished scan of {group}")


def granted_cores(spark: SparkSession) -> tuple[int | None, str]:
    """(cores that the master has given this application, or None; who else holds cores)."""
    master = re.match(r"spark://([^:,/]+)", os.environ.get("SPARK_MASTER_URL") or spark.sparkContext.master)
    if master is None:
        return None, ""
    try:
        found = get_json(f"http://{master[1]}:{os.environ.get('SPARKQFS_SPARK_UI_PORT') or '8080'}/json/")
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
        cores = sum(item["totalCores"] for item in driver.executors())
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


def received(spark: SparkSession, cores: int) -> dict[str, int]:
    """Bytes received so far, by executor host. Several executors of one container show the same counter."""
    answers = spark.sparkContext.parallelize(range(cores), cores).barrier().mapPartitions(count_in_barrier).collect()
    return {address: count for address, _, count in answers}


class Files:
    """The table's directory, through Hadoop's file system of its URI."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        jvm = spark.sparkContext._jvm
        assert jvm is not None
        self.path = jvm.org.apache.hadoop.fs.Path(uri)
        self.system = self.path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())

    def exists(self) -> bool:
        """Whether there is something."""
        return bool(self.system.exists(self.path))

    def sizes(self) -> list[int]:
        """Bytes of each data file."""
        found = self.system.listStatus(self.path)
        return [int(item.getLen()) for item in found if item.getPath().getName().startswith("part-")]

    def delete(self) -> None:
        """All of it, without a trash."""
        self.system.delete(self.path, True)


def measure(spark: SparkSession, options: argparse.Namespace) -> dict[str, Any]:
    """Writes, reads, counts. The result is the document of the last line."""
    driver = Driver(spark)
    say(f"application {spark.sparkContext.applicationId}: waiting for executors")
    cores = wait_for_executors(spark, driver)
    found = driver.executors()
    hosts = sorted({item["hostPort"].rpartition(":")[0] for item in found})
    say(f"{len(found)} executors with {cores} cores on {', '.join(hosts)}; warming up")
    spark.range(0, 200_000, 1, 2 * cores).selectExpr(
        "id", "id * 0.5 as value", "repeat(cast(id as string), 20) as text"
    ).agg(*sums()).collect()
    received(spark, cores)

    files = Files(spark, options.path)
    rows = options.rows if options.rows is not None else max(1, options.mib * (1 << 20) // ROW_BYTES)
    if files.exists() and not options.path.rstrip("/").rpartition("/")[2].startswith(OURS):
        raise FileExistsError(f"{options.path} exists and its last part does not begin with {OURS}: not overwritten")
    try:
        say(f"writing {rows:,} rows of {ROW_BYTES} bytes in {options.files} files to {options.path}")
        written = Observation("written")
        table = spark.range(0, options.files, 1, options.files).mapInArrow(make_rows(rows, options.files), SCHEMA)
        started = time.monotonic()
        observed = table.observe(written, *sums())
        observed.write.mode("overwrite").option("compression", "none").parquet(options.path)
        write_seconds = time.monotonic() - started
        expected = written.get
        sizes = files.sizes()
        size = sum(sizes)
        say(f"wrote {size:,} bytes in {len(sizes)} files in {write_seconds:.1f} s")

        time.sleep(1.0)
        before = received(spark, cores)
        seconds = []
        good = True
        for number in range(options.reads):
            spark.sparkContext.setJobGroup(f"verify-read-{number}", f"read {number + 1} of {options.reads}")
            started = time.monotonic()
            back = spark.read.schema(SCHEMA).parquet(options.path).agg(*sums()).collect()[0].asDict()
            seconds.append(time.monotonic() - started)
            good &= back == expected
            say(
                f"read {number + 1} of {options.reads}: {seconds[-1]:.1f} s{'' if back == expected else ', WRONG SUMS'}"
            )
        spark.sparkContext.setJobGroup("verify", "received bytes")
        after = received(spark, cores)

        tasks = [task for number in range(options.reads) for task in driver.scan_tasks(f"verify-read-{number}")]
        by_host = {host: after[host] - before[host] for host in sorted(after) if host in before}
        total = sum(by_host.values())
        return {
            "schema": 1,
            "path": options.path,
            "rows": int(back["rows"]),
            "expected_rows": rows,
            "sum_ok": good and int(back["id"] or 0) == rows * (rows - 1) // 2,
            "files": len(sizes),
            "reads": options.reads,
            "bytes_read": size * options.reads,
            "bytes_read_by_spark": sum(task["taskMetrics"]["inputMetrics"]["bytesRead"] for task in tasks),
            "bytes_written": size,
            "write_seconds": round(write_seconds, 3),
            "read_seconds": round(sum(seconds), 3),
            "tasks": dict(sorted(Counter(task["taskLocality"] for task in tasks).items())),
            "tasks_by_host": dict(sorted(Counter(task["host"] for task in tasks).items())),
            "received_bytes": by_host,
            "received_total": total,
            "remote_share": round(total / (size * options.reads), 4) if size else 0.0,
            "executors": len(found),
            "hosts": hosts,
        }
    finally:
        if not options.keep:
            files.delete()


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="verify", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--path", required=True, metavar="URI", help="the table; overwritten and deleted")
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
    options = parse(argv)
    spark = (
        SparkSession.builder.appName("sparkqfs-verify")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.scheduler.minRegisteredResourcesRatio", "1.0")
        .config("spark.scheduler.maxRegisteredResourcesWaitingTime", "60s")
        .config("spark.barrier.sync.timeout", "120")
        .config("spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures", "4")
        .config("spark.dynamicAllocation.enabled", "false")
        .config("spark.speculation", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    try:
        result = measure(spark, options)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
