"""Our reader while the files, their chunks and QFS's daemons change: every byte is checked against what it must be."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import CHUNK_HEADER, NODE, Driver, Kit, flip, node_environment

READS = 10_000
LONGEST_S = 150.0
ROUNDS = 2
IMPATIENT = "client.maxNumRetriesPerOp=3 client.retryDelaySec=1"
"""QFS's client tries for minutes when no copy of a chunk is left."""


class Nodes:
    """What happens to the chunks and daemons, beside what happens to the files; each method is one disturbance."""

    def __init__(self, cluster: QfsCluster) -> None:
        self.cluster = cluster
        self.chance = random.Random(1)
        self.done: Counter[str] = Counter()

    def damage_one_copy(self) -> None:
        """A bit of each block of a chunk that another node has, too."""
        files = {
            address: {file.name: file for file in self.cluster.chunk_files(address)}
            for address in self.cluster.addresses
        }
        copies = Counter(name for found in files.values() for name in found)
        here = [file for name, file in files[NODE].items() if copies[name] > 1]
        with suppress(FileNotFoundError, IndexError):  # deleted meanwhile
            file = self.chance.choice(here)
            for block in range(CHUNK_HEADER, file.stat().st_size - 65_536, 65_536):
                flip(file, block + self.chance.randrange(65_536))
            self.done["damage"] += 1

    def is_enough(self, found: dict[str, Any]) -> bool:
        """Whether as much was read as is asked for; by chance nobody may have read a damaged copy yet."""
        is_met = found["counters"]["doubts"].get("CHECKSUM", 0) > 0
        if not is_met:
            self.damage_one_copy()
        return is_met and bool(found["reads"] >= READS)

    def restart_server(self, address: str, number: signal.Signals) -> None:
        """Down and up again."""
        self.cluster.stop_server(address, number)
        time.sleep(1)
        self.cluster.start_server(address)
        self.cluster.wait(lambda: self.cluster.up_servers() == 3, "3 chunkservers")
        self.done["chunkserver restart"] += 1

    def restart_meta(self) -> None:
        """The metaserver, from its checkpoint and logs."""
        self.cluster.restart_meta()
        self.cluster.wait_for_servers(3)
        self.done["metaserver restart"] += 1

    def evacuate(self) -> None:
        """All chunks leave one directory of the node that reads; then it may be used again."""
        top = self.cluster.chunk_dirs(NODE)[0]
        (top / "evacuate").touch()
        with suppress(TimeoutError):
            self.cluster.wait(lambda: not any(file.parent == top for file in self.cluster.chunk_files(NODE)), "end", 8)
        for name in ("evacuate", "evacuate.done"):
            (top / name).unlink(missing_ok=True)
        self.done["evacuation"] += 1

    def round(self) -> Iterator[Callable[[], None]]:
        """Each disturbance once, damage after each."""
        for action in (
            lambda: self.restart_server(NODE, signal.SIGKILL),
            self.evacuate,
            self.restart_meta,
            lambda: self.restart_server("127.0.0.3", signal.SIGQUIT),
        ):
            yield action
            for _ in range(3):
                yield self.damage_one_copy


def test_ten_thousand_reads_while_everything_changes_give_no_wrong_byte(
    kit: Kit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with QfsCluster(kit.qfs_home, tmp_path / "qfs") as cluster:
        environment = node_environment(cluster) | {"QFS_CLIENT_CONFIG": IMPATIENT}
        driver = Driver(kit, tmp_path / "log", environment, "Disturbed", cluster.uri)
        nodes = Nodes(cluster)
        started = time.monotonic()
        try:
            driver("start")
            for _ in range(ROUNDS):
                for action in nodes.round():
                    if time.monotonic() - started < LONGEST_S:
                        action()
            cluster.wait(lambda: nodes.is_enough(json.loads(driver("progress"))), f"{READS} reads", LONGEST_S)
            found: dict[str, Any] = json.loads(driver("stop"))
        finally:
            driver.close()
    counters = found.pop("counters")
    with capsys.disabled():
        print(f"\n{time.monotonic() - started:.0f} s; nodes: {dict(nodes.done)}; files and reads: {found}; {counters}")
    assert found["reads"] >= READS
    assert (found["differing"], found["stale"]) == (0, 0), (tmp_path / "log").read_text(encoding="utf-8")[-3000:]
    assert "hanging" not in found
    assert set(nodes.done) == {"damage", "chunkserver restart", "metaserver restart", "evacuation"}
    for change in ("append", "overwrite", "rename", "recreate", "copies"):
        assert found[f"changes of kind {change}"] >= 3
    assert min(counters[kind] for kind in ("local", "remote", "fallback")) > 0
    assert counters["doubts"].get("CHECKSUM", 0) > 0
