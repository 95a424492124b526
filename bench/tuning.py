"""Settings of Spark and the storage, each beside the cluster's defaults: the figures of docs/measured/tuning.md.

    .venv/bin/python bench/tuning.py --hosts hosts.yml --mib 384 --rounds 3 --repeats 2 --out tuning.json

Every setting gets Spark applications of its own, as most are read once; each does everything so many times. Rounds go
A B C, then C B A. This file is also the program that runs in the jupyter-server container.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SETTINGS: dict[str, dict[str, str]] = {
    "defaults": {},
    "locality.wait 0": {"spark.locality.wait": "0s"},
    "locality.wait 10s": {"spark.locality.wait": "10s"},
    "adaptive off": {"spark.sql.adaptive.enabled": "false"},
    "committer 2": {"spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2"},
    "row groups 64m": {"spark.hadoop.parquet.block.size": str(64 << 20)},
    "partitions 128m/4m": {
        "spark.sql.files.maxPartitionBytes": "128m",
        "spark.sql.files.openCostInBytes": "4m",
    },
    "replication 1": {"spark.hadoop.fs.qfs.createParams": "1", "spark.hadoop.dfs.replication": "1"},
    "replication 3": {"spark.hadoop.fs.qfs.createParams": "3", "spark.hadoop.dfs.replication": "3"},
    "upstream's reader": {"spark.hadoop.fs.qfs.localRead": "false"},
    "upstream's with read-ahead 4m": {
        "spark.hadoop.fs.qfs.localRead": "false",
        "spark.executorEnv.QFS_CLIENT_CONFIG": f"client.useOsResolver=1 client.defaultReadAheadSize={4 << 20}",
    },
    "write buffer 4m": {
        "spark.executorEnv.QFS_CLIENT_CONFIG": f"client.useOsResolver=1 client.defaultIoBufferSize={4 << 20}",
    },
    "shuffle not compressed": {"spark.shuffle.compress": "false", "spark.shuffle.spill.compress": "false"},
}
FILES = 6
ROW_BYTES = 1024


# --- in the jupyter-server container -------------------------------------------------------------------------------


def application(conf: dict[str, str], mib: int, repeats: int) -> list[dict[str, Any]]:
    """One Spark application: write, scan, aggregate, sort; seconds, and Spark's own sums over the tasks of each."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    builder = SparkSession.builder.appName("tuning").config("spark.ui.showConsoleProgress", "false")
    for key, value in conf.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    path = f"{os.environ['SPARKQFS_ROOT']}/tmp/sparkqfs-tuning"
    rows = mib * (1 << 20) // ROW_BYTES
    spark.range(0, 64, 1, 8).selectExpr("sha2(cast(id as string), 512)").collect()

    def table(count: int, parts: int) -> Any:
        texts = [F.sha2(F.concat(F.col("id").cast("string"), F.lit(str(n))), 512) for n in range(7)]
        return spark.range(0, count, 1, parts).select("id", F.concat(*texts).alias("text"))

    def write() -> None:
        table(rows, FILES).write.mode("overwrite").option("compression", "none").parquet(path)

    def scan() -> None:
        spark.read.parquet(path).agg(F.sum("id"), F.sum(F.crc32("text"))).collect()

    def aggregate() -> None:
        found = spark.read.parquet(path).groupBy(F.substring("text", 1, 4)).agg(F.count("*"), F.max("text"))
        found.write.format("noop").mode("overwrite").save()

    def sort() -> None:
        spark.read.parquet(path).orderBy("text").write.format("noop").mode("overwrite").save()

    found: list[dict[str, Any]] = []
    try:
        table(2048, 4).write.mode("overwrite").parquet(path)
        scan()
        for name, work in (("write", write), ("scan", scan), ("aggregate", aggregate), ("sort", sort)) * repeats:
            before = stages(spark)
            started = time.monotonic()
            work()
            seconds = time.monotonic() - started
            found.append({"operation": name, "seconds": seconds, **difference(before, stages(spark))})
        if not conf:
            found.append({"operation": "raw", "seconds": 0.0, **raw_speeds(spark)})
    finally:
        hadoop = spark.sparkContext._jvm.org.apache.hadoop.fs
        hadoop.Path(path).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).delete(hadoop.Path(path), True)
        spark.stop()
    return found


RAW_MIB = 256


def raw(_rows: Any) -> Any:
    """In one barrier task a node: MB/s of its disk, and of a plain connection from the second node to the first."""
    import pathlib
    import socket
    import tempfile
    import time

    from pyspark import BarrierTaskContext

    context = BarrierTaskContext.get()
    block, found = os.urandom(1 << 20), {}
    with tempfile.NamedTemporaryFile(dir=os.environ["SPARK_LOCAL_DIRS"].split(",")[0]) as file:
        started = time.monotonic()
        for _ in range(RAW_MIB):
            file.write(block)
        os.fsync(file.fileno())
        found["disk write"] = RAW_MIB * 1.048576 / (time.monotonic() - started)
        started = time.monotonic()
        with pathlib.Path(file.name).open("rb", buffering=0) as again:
            while again.read(1 << 20):
                pass
        found["page cache read"] = RAW_MIB * 1.048576 / (time.monotonic() - started)
    context.barrier()
    rank = context.partitionId()
    server = socket.create_server((os.environ["SPARK_LOCAL_IP"], 0)) if rank == 0 else None
    addresses = context.allGather(json.dumps(server.getsockname()[:2] if server else None))
    if server is not None:
        server.settimeout(60)
        connection = server.accept()[0]
        started, got = time.monotonic(), 0
        while piece := connection.recv(1 << 20):
            got += len(piece)
        found["link"] = got / 1e6 / (time.monotonic() - started)
    elif rank == 1:
        with socket.create_connection(tuple(json.loads(addresses[0])), timeout=60) as connection:
            for _ in range(RAW_MIB):
                connection.sendall(block)
    context.barrier()
    yield found


def raw_speeds(spark: Any) -> dict[str, float]:
    """Medians over the nodes, MB/s: what the machines do without Spark and without the storage."""
    executors = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    nodes = sum(1 for _ in executors) - 1
    if nodes < 2:
        return {}
    rows = spark.sparkContext.parallelize(range(nodes), nodes).barrier().mapPartitions(raw).collect()
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: statistics.median(row[name] for row in rows if name in row) for name in names}


def stages(spark: Any) -> dict[str, float]:
    """Sums over all stages so far, seconds and bytes."""
    no_quantiles = spark.sparkContext._gateway.new_array(spark.sparkContext._jvm.double, 0)
    found = spark.sparkContext._jsc.sc().statusStore().stageList(None, False, False, no_quantiles, [])
    sums = dict.fromkeys(("run_s", "cpu_s", "gc_s", "input_bytes", "output_bytes", "shuffle_bytes"), 0.0)
    for number in range(found.size()):
        stage = found.apply(number)
        sums["run_s"] += stage.executorRunTime() / 1e3
        sums["cpu_s"] += stage.executorCpuTime() / 1e9
        sums["gc_s"] += stage.jvmGcTime() / 1e3
        sums["input_bytes"] += stage.inputBytes()
        sums["output_bytes"] += stage.outputBytes()
        sums["shuffle_bytes"] += stage.shuffleWriteBytes()
    return sums


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What an operation added."""
    return {name: after[name] - before[name] for name in after}


def run_in_container(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """All rounds, an application of its own for each sample."""
    samples = []
    names = wanted["settings"]
    for turn in range(wanted["rounds"]):
        for name in names if turn % 2 == 0 else names[::-1]:
            words = [json.dumps({"conf": SETTINGS[name], "mib": wanted["mib"], "repeats": wanted["repeats"]})]
            done = subprocess.run(
                [sys.executable, "-c", os.environ["TUNING_PROGRAM"], "--application", *words],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                print(f"{name}: {done.stderr[-1500:]}", file=sys.stderr, flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            samples += [{"round": turn, "setting": name, **one} for one in found]
            seconds = ", ".join(f"{one['operation']} {one['seconds']:.1f} s" for one in found)
            print(f"round {turn + 1}: {name}: {seconds}", file=sys.stderr, flush=True)
    return samples


# --- on the control machine ----------------------------------------------------------------------------------------


def measure(hosts: Path, wanted: dict[str, Any], timeout_s: float) -> list[dict[str, Any]]:
    """Run this file in the jupyter-server container of the cluster."""
    from sparkqfs import topology
    from sparkqfs.clients.connect import open_clients
    from sparkqfs.config.loading import load_config
    from sparkqfs.jobs.cluster.deploy import exec_in
    from sparkqfs.jobs.session import Session

    config = load_config(hosts)
    program = Path(__file__).read_text(encoding="utf-8")
    argv = ["/usr/bin/env", f"TUNING_PROGRAM={program}", "/opt/venv/bin/python", "-c", program]
    with open_clients(config) as clients:
        session = Session(config, clients, lambda text: print(text, file=sys.stderr, flush=True))
        out = exec_in(session, topology.JUPYTER_SERVER, [*argv, "--container", json.dumps(wanted)], timeout_s=timeout_s)
    found: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
    return found


def warm(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what each application did for the first time, if it did it again: Java was still compiling then."""
    seen: set[tuple[int, str, str]] = set()
    found: list[dict[str, Any]] = []
    first: list[dict[str, Any]] = []
    for sample in samples:
        key = (sample["round"], sample["setting"], sample["operation"])
        (found if key in seen or sample["operation"] == "raw" else first).append(sample)
        seen.add(key)
    return found if any(sample["operation"] != "raw" for sample in found) else samples


def table(samples: list[dict[str, Any]]) -> list[str]:
    """Markdown tables: medians, least to most, and the ratio to the defaults; `~` where the two ranges overlap."""

    def seconds(setting: str, operation: str) -> list[float]:
        return [s["seconds"] for s in samples if (s["setting"], s["operation"]) == (setting, operation)]

    operations = list(dict.fromkeys(s["operation"] for s in samples if s["operation"] != "raw"))
    lines = [f"| Setting | {' | '.join(operations)} |", f"|---|{'---|' * len(operations)}"]
    for setting in dict.fromkeys(s["setting"] for s in samples):
        cells = []
        for operation in operations:
            mine, base = seconds(setting, operation), seconds("defaults", operation)
            text = f"{statistics.median(mine):.1f} s ({min(mine):.1f}–{max(mine):.1f})"
            if base and setting != "defaults":
                chance = "~" if max(mine) >= min(base) and max(base) >= min(mine) else ""
                text += f" {chance}{statistics.median(mine) / statistics.median(base):.2f}"
            cells.append(text)
        lines.append(f"| {setting} | {' | '.join(cells)} |")
    lines += ["", "| Of the defaults' task time | CPU | garbage collection | the rest |", "|---|---|---|---|"]
    for operation in operations:
        mine_all = [s for s in samples if (s["setting"], s["operation"]) == ("defaults", operation)]
        run = sum(s["run_s"] for s in mine_all) or 1.0
        cpu, gc = sum(s["cpu_s"] for s in mine_all) / run, sum(s["gc_s"] for s in mine_all) / run
        lines.append(f"| {operation} | {cpu:.0%} | {gc:.0%} | {max(0.0, 1 - cpu - gc):.0%} |")
    lines += ["", "| MB/s without Spark's work and without the storage | median | least to most |", "|---|---|---|"]
    raws = [s for s in samples if s["operation"] == "raw"]
    for name in ("disk write", "page cache read", "link"):
        if values := [s[name] for s in raws if name in s]:
            lines.append(f"| {name} | {statistics.median(values):,.0f} | {min(values):,.0f}–{max(values):,.0f} |")
    return lines


def main() -> int:
    """Exit code."""
    if sys.argv[1:2] == ["--application"]:
        given = json.loads(sys.argv[2])
        print(json.dumps(application(given["conf"], given["mib"], given["repeats"])))
        return 0
    if sys.argv[1:2] == ["--container"]:
        print(json.dumps(run_in_container(json.loads(sys.argv[2]))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, default=Path("hosts.yml"))
    parser.add_argument("--mib", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2, help="of everything in each application")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="comma-separated")
    parser.add_argument("--timeout", type=float, default=7200)
    parser.add_argument("--out", type=Path, default=Path("tuning.json"))
    given = parser.parse_args()
    names = given.settings.split(",")
    wanted = {"settings": names, "mib": given.mib, "rounds": given.rounds, "repeats": given.repeats}
    samples = measure(given.hosts, wanted, given.timeout)
    given.out.write_text(json.dumps(samples, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(warm(samples))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
