"""Whether commits of Delta tables are safe on a storage: races for one name, and applications of Spark that are killed.

    .venv/bin/python bench/commits.py race [--storage qfs|hdfs|file] [--rounds 20000] [--writers 8] [--rename upstream]
                                          [--kill-every SECONDS]

The figures of docs/measured/commits.md. Real daemons on loopback: a metaserver and three chunkservers, or a namenode
and a datanode; or a directory of this machine. Writers are processes of their own, each with its own client; all rename
a file of theirs to the next name at the same moment, through the class that Delta asks (FileContext). With --kill-every
the metaserver or the namenode is killed and started again so often: a writer whose answer was lost asks again. QFS's
tarball, a JDK and jars: as for the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.storage.commit_race import race, settings, writers
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit, make_kit, node_environment

UPSTREAM = {"fs.AbstractFileSystem.qfs.impl": "com.quantcast.qfs.hadoop.Qfs"}
STEP = 500


@dataclass(frozen=True)
class Storage:
    """What writers are told of it."""

    root: str
    conf: Mapping[str, str]
    environment: Mapping[str, str]
    kill: Callable[[], None]
    """Of the metaserver or the namenode, which comes back."""


@contextlib.contextmanager
def storage(kind: str, kit: Kit, home: Path) -> Iterator[Storage]:
    """Daemons that run, or a directory of this machine."""
    if kind == "qfs":
        with QfsCluster(kit.qfs_home, home / "qfs") as qfs:
            yield Storage(qfs.uri, settings("qfs"), node_environment(qfs), qfs.kill_meta)
    elif kind == "hdfs":
        for name in ("name", "data"):
            (home / name).mkdir()
        with HdfsCluster(HdfsCluster.find_class_path(), home, home / "name", home / "data", "true") as hdfs:
            yield Storage(hdfs.uri, settings("hdfs"), os.environ, hdfs.restart_namenode)
    else:
        (home / "file").mkdir()
        yield Storage(f"file://{home / 'file'}", {}, os.environ, lambda: None)


@contextlib.contextmanager
def killing(found: Storage, every_s: float) -> Iterator[list[float]]:
    """The times of the kills, while the body runs."""
    times: list[float] = []
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(every_s):
            found.kill()
            times.append(time.monotonic())

    thread = threading.Thread(target=run, daemon=True)
    if every_s:
        thread.start()
    try:
        yield times
    finally:
        is_over.set()
        if every_s:
            thread.join()


def races(options: argparse.Namespace, home: Path) -> None:
    """Rounds in steps, as they end."""
    kit = make_kit(home / "kit")
    with storage(options.storage, kit, home) as found:
        conf = {**found.conf, **(UPSTREAM if options.rename == "upstream" else {})}
        started = writers(found.root, options.writers, kit.class_path, conf, found.environment, home)
        with started as running, killing(found, options.kill_every) as kills:
            start, done = time.monotonic(), 0
            total: dict[str, int] = {}
            while done < options.rounds:
                step = min(STEP, options.rounds - done)
                for outcome, count in race(running, f"/log-{done}", step).items():
                    total[outcome] = total.get(outcome, 0) + count
                done += step
                print(f"{done} rounds, {time.monotonic() - start:.0f} s, {len(kills)} kills: {total}", flush=True)


def main() -> None:
    """Prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["race"])
    parser.add_argument("--storage", choices=["qfs", "hdfs", "file"], default="qfs")
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--rename", choices=["ours", "upstream"], default="ours")
    parser.add_argument("--kill-every", type=float, default=0, help="seconds")
    parser.add_argument("--on", type=Path, help="where the daemons' data go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.on) as home:
        races(options, Path(home))


if __name__ == "__main__":
    main()
