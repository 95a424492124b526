"""The table of where the cluster tests' time goes."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import pytest

from tests import phases


@pytest.mark.parametrize(
    ("event", "phase"),
    [
        ("   1.2s [worker-node] building", phases.BUILD),
        ("  31.0s Hadoop's jars: 10 of 40 MiB", phases.BUILD),
        ("   0.4s [qfs-master] pushing", phases.PUSH),
        ("   0.4s == push", phases.PUSH),
        ("   3.0s [node1] starting the registry on port 5000", phases.SWARM),
        ("   3.0s [node2] swarm labels", phases.SWARM),
        ("   4.1s [node1] deploying stack spark", phases.READY),
        ("   5.0s waiting: images are loaded on node1, node2", phases.PULL),
        ("   9.0s waiting: starting: spark-master", phases.READY),
        ("   9.0s waiting: 2 of 3 Spark workers registered", phases.READY),
        ("   0.9s [node1] removing stack spark", phases.END),
        ("   2.1s waiting: 3 containers, 1 networks left", phases.END),
        ("   2.1s Step 3/9 : RUN true", None),
        ("  12.0s [worker-node] Step 3/9 : RUN pip install", None),
    ],
)
def test_an_event_says_what_a_task_does_from_then_on(event: str, phase: str | None) -> None:
    assert phases.phase_of(event) == phase


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[collections.defaultdict[str, float]]:
    """Seconds of this test alone, none of which are this run's, by a clock that is read at 0, 2, 33 and 40."""
    clock, seconds = iter([0.0, 2.0, 33.0, 40.0]), collections.defaultdict[str, float](float)
    with monkeypatch.context() as patch:
        patch.setattr(phases, "monotonic", lambda: next(clock))
        patch.setattr(phases, "seconds", seconds)
        yield seconds


def test_a_tasks_seconds_go_to_what_it_said_before(counted: collections.defaultdict[str, float]) -> None:
    watch = phases.Watch(["build", "push"])
    assert "building" in watch.heard("  2.0s [worker-node] building")
    watch.heard("  9.0s [worker-node] Step 1/2")  # reads no clock: it goes on
    watch.heard(" 33.0s [worker-node] pushing")
    watch.end()
    already: collections.defaultdict[str, float] = collections.defaultdict(float)
    assert phases.taken(already) == {phases.LOOK: 2.0, phases.BUILD: 31.0, phases.PUSH: 7.0}
    assert phases.taken(already) == {}
    counted.clear()


def test_a_block_is_counted_as_one_phase_whatever_runs_in_it(counted: collections.defaultdict[str, float]) -> None:
    with phases.counted_as(phases.READY):
        phases.Watch(["status"]).end()
    assert counted == {phases.READY: 40.0}
    counted.clear()


def test_the_table_has_a_row_for_what_took_time_and_sums() -> None:
    lines = phases.table({"Qfs": {phases.BUILD: 60.4, phases.PUSH: 0.2}, "others": {phases.TESTS: 100.0}})
    cells = [line.rsplit(None, 2) for line in lines]
    assert cells == [
        ["seconds", "Qfs", "others"],
        [phases.BUILD, "60", "0"],
        [phases.TESTS, "0", "100"],
        ["together", "61", "100"],
    ]
