"""Copies a file or a tree between file systems, file by file in the executors, verified. Run with the venv's Python.

Usage: copy-files FROM TO [--overwrite] [--dry-run]: two URIs; TO is the new name of what FROM is. Progress goes to
stderr; the last line on stdout is one JSON document, with `problem` when nothing could be tried, `error` on failure.
Exit code 0 whenever there is that document.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from sparkqfs.files.places import OURS
from sparkqfs_runtime.attended import UNTIL
from sparkqfs_runtime.spark_session import start

UDF = "copy_file"
MOST_S = 86400
"""Of a copy that nobody has given a time."""
TASKS_PER_CORE = 4
PROGRESS_S = 5.0


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


class Tree:
    """Files and directories below a path, through Hadoop's file system of its URI."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        jvm = spark.sparkContext._jvm
        assert jvm is not None
        self.jvm = jvm
        path = jvm.org.apache.hadoop.fs.Path(uri)
        self.system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
        self.path = self.system.makeQualified(path)
        self.uri = str(self.path.toString()).rstrip("/")
        self.links = 0
        """Symbolic links that `walk` has left out."""

    def status(self) -> Any:
        """What is there, `None` for nothing."""
        return self.system.getFileStatus(self.path) if self.system.exists(self.path) else None

    def walk(self) -> Iterator[tuple[str, int]]:
        """(path below the root with a leading slash, bytes or -1 for a directory); the root itself is ("", …)."""
        root = self.system.getFileStatus(self.path)
        if root.isFile():
            yield "", int(root.getLen())
            return
        todo = [self.path]
        yield "", -1
        while todo:
            for item in self.system.listStatus(todo.pop()):
                name = str(item.getPath().toString())[len(self.uri) :]
                if name.rpartition("/")[2].startswith(OURS):
                    continue  # in the making, or left by what was broken off
                where = item.getPath().toUri()
                if where.getScheme() == "file" and Path(where.getPath()).is_symlink():
                    self.links += 1
                    continue
                yield name, -1 if item.isDirectory() else int(item.getLen())
                if item.isDirectory():
                    todo.append(item.getPath())

    def make_directory(self, name: str) -> None:
        """Below the root; there already is fine."""
        path = self.jvm.org.apache.hadoop.fs.Path(self.uri + name)
        self.jvm.sparkqfs.files.Disk.makeDirectories(self.system, path)
        self._sweep(path)

    def sweep_above(self) -> None:
        """Where the root is to be a file."""
        self._sweep(self.path.getParent())

    def _sweep(self, path: Any) -> None:
        """Of a directory that is not there, or not ours, nothing is removed."""
        with contextlib.suppress(Py4JJavaError):
            self.jvm.sparkqfs.files.Part.sweep(self.system, path)


def watch(spark: SparkSession, done: threading.Event, files: int) -> None:
    """Says how far it is, until `done`."""
    tracker = spark.sparkContext.statusTracker()
    last = ""
    while not done.wait(PROGRESS_S):
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        text = ", ".join(f"{one.numCompletedTasks} of {one.numTasks} parts" for one in stages if one)
        if text and text != last:
            say(f"{files} files: {text} done")
            last = text


def first_line(error: Py4JJavaError) -> str:
    """What the JVM said, without its stack."""
    return str(error.java_exception.toString()).splitlines()[0]


def check_places(source: Tree, target: Tree) -> str | None:
    """Why nothing can be copied from the one to the other."""
    if source.status() is None:
        return f"{source.uri} is not there"
    if source.uri == target.uri:
        return f"{source.uri} and {target.uri} are the same place"
    if target.uri.startswith(source.uri + "/") or source.uri.startswith(target.uri + "/"):
        return f"{source.uri} and {target.uri}: one lies in the other"
    return None


def copy(spark: SparkSession, source: Tree, target: Tree, options: argparse.Namespace) -> dict[str, Any]:
    """Everything below `source`; the document of the last line."""
    found = list(source.walk())
    files = sorted(((name, size) for name, size in found if size >= 0), key=lambda item: -item[1])
    total = sum(size for _, size in files)
    result: dict[str, Any] = {
        "schema": 1,
        "from": source.uri,
        "to": target.uri,
        "files": len(files),
        "bytes": total,
        "copied": 0,
        "copied_bytes": 0,
        "unchanged": 0,
        "differs": [],
        "failed": [],
        "links": source.links,
    }
    say(f"{len(files)} files, {total:,} bytes")
    if options.dry_run:
        return result
    for name in sorted(name for name, size in found if size < 0):
        try:
            target.make_directory(name)
        except Py4JJavaError as error:
            result["failed"].append({"file": source.uri + name, "why": first_line(error)})
    if not files:
        return result
    if len(found) == len(files):  # one, without a directory
        target.sweep_above()
    spark.udf.registerJavaFunction(UDF, "sparkqfs.copy.CopyFile", "string")
    cores = max(1, spark.sparkContext.defaultParallelism)
    rows = [(source.uri + name, target.uri + name) for name, _ in files]
    flag = "true" if options.overwrite else "false"
    until = int(os.environ.get(UNTIL) or time.time() + MOST_S)
    table = spark.createDataFrame(rows, "source string, target string")
    parts = table.repartition(min(len(rows), TASKS_PER_CORE * cores))
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(spark, done, len(files)), daemon=True)
    watcher.start()
    started = time.monotonic()
    try:
        answers = parts.selectExpr("source", f"{UDF}(source, target, {flag}, {until}L) as answer").collect()
    finally:
        done.set()
        watcher.join()
    for row in answers:
        state, size, _, message = row["answer"].split("\t", 3)
        if state == "copied":
            result["copied"] += 1
            result["copied_bytes"] += int(size)
        elif state == "unchanged":
            result["unchanged"] += 1
        else:
            result[state].append({"file": row["source"], "why": message})
    result["seconds"] = round(time.monotonic() - started, 3)
    return result


def main(argv: list[str]) -> int:
    """Exit code; see the top."""
    parser = argparse.ArgumentParser(prog="copy-files", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")
    parser.add_argument("--overwrite", action="store_true", help="replace files that differ")
    parser.add_argument("--dry-run", action="store_true", help="only count")
    options = parser.parse_args(argv)
    spark = start("sparkqfs-copy", {})
    try:
        source, target = Tree(spark, options.source), Tree(spark, options.target)
        why = check_places(source, target)
        result = {"problem": why} if why is not None else copy(spark, source, target, options)
    except Py4JJavaError as error:
        result = {"error": first_line(error)}
    finally:
        spark.stop()
    print(json.dumps(result), flush=True)
    return 0
