"""Gives names to directories of files that an earlier version, or another catalogue, left in the warehouse.

Usage: adopt-tables DATABASE NAME URI [DATABASE NAME URI]…: each directory becomes the table DATABASE.NAME where its
files are of one format that says its own columns. Files stay where they are, and stay when the table is dropped. Run
with the venv's Python, on one core of this container. The last line on stdout is one JSON document: a list with
`format` and `partitions`, or `why` not, for each. Exit code 0 whenever there is that document.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

EX_USAGE = 64
NAME = re.compile(r"[A-Za-z0-9_]{1,128}")
OWN_COLUMNS = {"parquet": "parquet", "orc": "orc", "json": "json"}
"""Ending of a file → Spark's name of the format: those whose files say what their columns are."""
PACKED = {"gz", "snappy", "zstd", "zst", "lz4", "bz2", "deflate"}
MOST_FILES = 10_000
"""Looked at of one directory."""
LOG_OF_DELTA = "_delta_log"
ON_ONE_CORE = {"spark.master": "local[1]", "spark.ui.enabled": "false", "spark.eventLog.enabled": "false"}
"""Of this container: no executor is waited for."""
UNFINISHED = "_temporary"
SUCCESS = "_SUCCESS"


class Verdict(NamedTuple):
    """What a directory's files are."""

    format: str
    """Empty where they make no table."""
    is_partitioned: bool
    why: str
    """Why not; empty where they do."""


def refused(why: str) -> Verdict:
    """No table."""
    return Verdict("", False, why)


def judge(files: Iterable[str]) -> Verdict:
    """Of the paths of files below a directory."""
    formats: Counter[str] = Counter()
    partitioned, names = set(), set()
    for path in files:
        parts = path.strip("/").split("/")
        names.update(parts)
        if any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in parts):
            continue  # Spark does not see it; `_day=1` is a partition
        formats[_ending(parts[-1])] += 1
        partitioned.add(bool(parts[:-1]) and all("=" in part for part in parts[:-1]))
        if parts[:-1] and not all("=" in part for part in parts[:-1]):
            return refused(f"it has directories in it that are no partitions: {parts[0]}")
    if LOG_OF_DELTA in names:
        return refused("it is a Delta table: CREATE TABLE … USING delta LOCATION … names it")
    if UNFINISHED in names and SUCCESS not in names:
        return refused("a write that has not ended left it, or is still writing")
    if not formats:
        return refused("no files of a table are in it")
    if len(formats) > 1 or len(partitioned) > 1:
        return refused(f"its files are of several kinds: {', '.join(sorted(one or 'no ending' for one in formats))}")
    (ending,) = formats
    if ending not in OWN_COLUMNS:
        what = f"files {ending}" if ending else "files without an ending"
        return refused(f"{what} do not say what their columns are: CREATE TABLE … USING … LOCATION … does")
    return Verdict(OWN_COLUMNS[ending], True in partitioned, "")


def _ending(name: str) -> str:
    parts = name.lower().split(".")[1:]
    while len(parts) > 1 and parts[-1] in PACKED:
        parts.pop()
    return parts[-1] if parts else ""


def files_below(spark: Any, uri: str) -> Iterator[str]:
    """Their paths below it, at most so many."""
    jvm = spark.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(uri)
    system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    top = str(system.makeQualified(path).toUri().getPath()).rstrip("/")
    for name in (LOG_OF_DELTA, UNFINISHED):  # whatever else is there, and however much
        if system.exists(jvm.org.apache.hadoop.fs.Path(path, name)):
            yield f"/{name}/"
    found, count = system.listFiles(path, True), 0
    while found.hasNext() and count < MOST_FILES:
        count += 1
        yield str(found.next().getPath().toUri().getPath())[len(top) :]


def quoted(name: str) -> str:
    """An identifier of SQL."""
    return f"`{name.replace('`', '``')}`"


def adopt(spark: Any, database: str, name: str, uri: str) -> dict[str, Any]:
    """One directory."""
    told: dict[str, Any] = {"database": database, "name": name, "uri": uri}
    if not NAME.fullmatch(name) or not NAME.fullmatch(database):
        return {**told, "why": "a table's name has letters without accents, digits and _ only: rename the directory"}
    found = judge(files_below(spark, uri))
    if found.why:
        return {**told, "why": found.why}
    table = f"{quoted(database)}.{quoted(name)}"
    if spark.catalog.databaseExists(database) and spark.catalog.tableExists(f"{database}.{name}"):
        return {**told, "why": "another table has this name"}
    spark.sql(f"CREATE DATABASE IF NOT EXISTS {quoted(database)}")
    spark.catalog.createTable(table, path=uri, source=found.format)
    partitions = 0
    if found.is_partitioned:
        spark.catalog.recoverPartitions(table)
        partitions = spark.sql(f"SHOW PARTITIONS {table}").count()
    return {**told, "format": found.format, "partitions": partitions}


def main(words: list[str]) -> int:
    """Exit code."""
    if not words or len(words) % 3:
        print(f"usage:{(__doc__ or '').partition('Usage:')[2].partition(chr(10) * 2)[0]}", file=sys.stderr)
        return EX_USAGE
    from sparkqfs_runtime.spark_session import start  # a wrong command line is told without Spark

    spark = start("adopt tables", ON_ONE_CORE)
    rows = []
    for number in range(0, len(words), 3):
        database, name, uri = words[number : number + 3]
        print(f"{database}.{name}: {uri}", file=sys.stderr, flush=True)
        try:
            rows.append(adopt(spark, database, name, uri))
        except Exception as error:  # noqa: BLE001 - one that Spark does not take must not hold up the others
            rows.append({"database": database, "name": name, "uri": uri, "why": str(error).splitlines()[0][:500]})
    spark.stop()
    print(json.dumps(rows))
    return 0
