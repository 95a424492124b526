"""Commits to a Delta table whose writers are killed meanwhile, by Delta's own library: none is lost, none is double.

Needs Delta's jars of docker/delta and a part of Hadoop's, besides what the other tests of this folder need. The same
through Spark, with more of it: bench/delta_commits.py.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from sparkqfs.clients.context import HADOOP_LOCK
from sparkqfs.clients.download import fetch_delta, fetch_jars
from sparkqfs.errors import ClusterError
from tests.paths import JAVA
from tests.storage.commit_race import Writer, settings
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit, node_environment

WRITERS, EACH = 4, 12
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def class_path(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ours, Delta's library and its JSON parser, and the program that commits."""
    try:
        hadoop = fetch_jars(HADOOP_LOCK, offline=None, on_progress=lambda _done, _total: None)
        jars = [*fetch_delta(), *(jar for jar in hadoop if jar.name.startswith("jackson-"))]
    except ClusterError as error:
        pytest.skip(f"no jars: {error}")
    classes = tmp_path_factory.mktemp("delta")
    path = ":".join([kit.class_path, *map(str, jars)])
    program = str(JAVA.parent / "delta" / "Appends.java")
    subprocess.run(("javac", "-Xlint:all,-classfile,-path", "-Werror", "-cp", path, "-d", classes, program), check=True)
    return f"{classes}:{path}"


class Application:
    """A writer that is started again when it was killed, and sends again what was not acknowledged."""

    def __init__(self, table: str, name: str, class_path: str, environment: Mapping[str, str], home: Path) -> None:
        self._words = (table, name, class_path, settings("qfs"), environment, home / f"{name}.log", "Appends")
        self.writer = Writer(*self._words)
        self.done = 0
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        """All commits."""
        while self.done < EACH:
            try:
                self.answers[self.writer("append", self.done)] += 1
                self.done += 1
            except BrokenPipeError:
                self.writer.close()
                self.writer = Writer(*self._words)
                self.answers["killed"] += 1


def test_commits_of_killed_writers_are_there_once(class_path: str, cluster: QfsCluster, tmp_path: Path) -> None:
    environment = node_environment(cluster)
    writers = [
        Application(f"{cluster.uri}/delta", f"w{number}", class_path, environment, tmp_path)
        for number in range(WRITERS)
    ]
    assert writers[0].writer("make") == "done"
    threads = [threading.Thread(target=one.run, daemon=True) for one in writers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + DEADLINE_S

    def wait_for(commits: int) -> None:
        while sum(one.done for one in writers) < commits and time.monotonic() < end:
            time.sleep(0.02)

    left = list(writers)
    for commits in (8, 24):
        wait_for(commits)
        victim = min(left, key=lambda one: one.done)  # one that has not ended yet
        left.remove(victim)
        victim.writer.kill()
    cluster.kill_meta()
    for thread in threads:
        thread.join(max(1.0, end - time.monotonic()))
    found = writers[0].writer("files").split()
    for one in writers:
        one.writer.close()
    assert sum((one.answers for one in writers), Counter())["killed"] == 2, [one.answers for one in writers]
    assert sorted(found[1:]) == sorted(f"w{one}-{number}" for one in range(WRITERS) for number in range(EACH))
    assert found[0] == f"commits-{1 + WRITERS * EACH}"
