"""What QFS's syncs cost: directories and files made in a second, and bytes written, with them and without.

    .venv/bin/python bench/sync_price.py [--storage qfs|hdfs] [--rounds 3] [--names 2000] [--mib 512] [--on DIRECTORY]

The figures of docs/measured/syncs.md. Real daemons on loopback: a metaserver, two chunkservers, two copies. Their
data are in DIRECTORY, by default the system's for temporary files; every round runs both ways, with the syncs first
and second in turn. Clients are processes of QFS's own tool, each with one connection; files also through the class
that Spark uses, with the syncs and waiting for them at each close, or neither. QFS's tarball, a JDK and jars: as for
the tests.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.storage import shipped_syncs
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit, make_kit, node_environment
from tests.storage.shipped_syncs import CORE_SITE

NODES = ("127.0.0.2", "127.0.0.3")
CLIENTS = (1, 8)
OURS = "files of up to 100 kB through Spark's class, files/s"


def timed(cluster: QfsCluster, commands: list[tuple[str, ...]]) -> float:
    """Seconds until all of them, run at the same time, have ended. Raises CalledProcessError."""
    tool = (str(cluster.qfs_home / "bin" / "tools" / "qfs"), "-fs", cluster.uri, "-D", f"fs.createParams={len(NODES)}")
    start = time.monotonic()
    running = [subprocess.Popen((*tool, *command), env=cluster.environment) for command in commands]
    codes = [process.wait() for process in running]
    assert not any(codes), codes
    return time.monotonic() - start


def through_ours(kit: Kit, cluster: QfsCluster, files: int, *, waits: bool) -> float:
    """Files of up to 100 kB in a second, written one after the other by the class that Spark uses."""
    (cluster.home / "core-site.xml").write_text(CORE_SITE.format(waits="true" if waits else "false"), encoding="utf-8")
    words = ("Acknowledged", "write", cluster.uri, str(files), "100000")
    return in_a_second(("java", "-cp", f"{cluster.home}:{kit.class_path}", *words), node_environment(cluster))


def in_a_second(argv: tuple[str, ...], environment: Mapping[str, str] = os.environ) -> float:
    """Lines that a program writes, from the first to the last."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, env=environment, text=True, **streams) as writer:  # type: ignore[call-overload]
        times = [time.monotonic() for _ in writer.stdout]
    return (len(times) - 1) / (times[-1] - times[0])


def hdfs_samples(class_path: str, home: Path, is_off: bool) -> dict[str, float]:
    """The same program on a namenode and a datanode."""
    for name in ("name", "data"):
        (home / name).mkdir(parents=True)
    with HdfsCluster(class_path, home, home / "name", home / "data", shipped_syncs.hdfs(is_off=is_off)) as cluster:
        program = str(Path(shipped_syncs.__file__).parent / "java" / "Acknowledged.java")
        small = in_a_second(cluster.java(program, "write", cluster.uri, "100", "100000"))
        large = in_a_second(cluster.java(program, "write", cluster.uri, "6", str(64 << 20)))
    return {"files of up to 100 kB, files/s": small, "files of up to 67 MB, files in 100 s": large * 100}


def samples(cluster: QfsCluster, names: int, mib: int, local: Path) -> dict[str, float]:
    """One round: what → names or MB in a second."""
    found = {}
    for verb in ("mkdir", "touchz"):
        for clients in CLIENTS:
            paths = [[f"/{verb}-{clients}-{one}-{number}" for number in range(names)] for one in range(clients)]
            seconds = timed(cluster, [(f"-{verb}", *some) for some in paths])
            found[f"{verb}, {clients} at a time, names/s"] = names * clients / seconds
    for clients in (1, 2):
        seconds = timed(cluster, [("-put", str(local), f"/big-{clients}-{one}") for one in range(clients)])
        found[f"write, {clients} at a time, MB/s"] = mib * clients * 2**20 / 1e6 / seconds
    small = local.with_name("small")
    small.write_bytes(os.urandom(100_000))
    files = min(60, names)
    start = time.monotonic()
    for number in range(files):
        timed(cluster, [("-put", str(small), f"/small-{number}")])
    found["files of 100 kB, one after the other, files/s"] = files / (time.monotonic() - start)
    return found


def table(without: list[dict[str, float]], with_: list[dict[str, float]]) -> list[str]:
    """Medians with the least and the most; the ratio is the median of the rounds' own."""
    lines = ["| | without | with | with / without |", "|---|---|---|---|"]
    for what in without[0]:
        sides = [[one[what] for one in side] for side in (without, with_)]
        cells = [f"{statistics.median(side):,.0f} ({min(side):,.0f} to {max(side):,.0f})" for side in sides]
        ratio = statistics.median(after / before for before, after in zip(*sides, strict=True))
        lines.append(f"| {what} | {' | '.join(cells)} | {ratio:.2f} |")
    return lines


def measure_qfs(folder: Path, given: argparse.Namespace) -> Callable[[Path, bool], dict[str, float]]:
    """What runs one side of a round, in a directory of its own."""
    kit = make_kit(folder / "kit")
    local = folder / "big"
    local.write_bytes(os.urandom(2**20) * given.mib)

    def one(home: Path, is_off: bool) -> dict[str, float]:
        meta, chunk = shipped_syncs.meta(is_off=is_off), shipped_syncs.chunk(is_off=is_off)
        with QfsCluster(kit.qfs_home, home, addresses=NODES, meta_extra=meta, server_extra=chunk) as cluster:
            found = samples(cluster, given.names, given.mib, local)
            return found | {OURS: through_ours(kit, cluster, 200, waits=not is_off)}

    return one


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", choices=("qfs", "hdfs"), default="qfs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", type=int, default=2000, help="qfs: for each client")
    parser.add_argument("--mib", type=int, default=512, help="qfs")
    parser.add_argument("--on", type=Path, default=None)
    given = parser.parse_args()
    results: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="sync-price-", dir=given.on) as text:
        folder = Path(text)
        one = (
            measure_qfs(folder, given)
            if given.storage == "qfs"
            else partial(hdfs_samples, HdfsCluster.find_class_path())
        )
        for number in range(given.rounds):
            for is_off in ((True, False), (False, True))[number % 2]:
                results[is_off].append(one(folder / f"{number}-{is_off}", is_off))
    print("\n".join(table(results[True], results[False])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
