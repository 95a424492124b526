"""What the programs in the containers make of counters: sparkqfs_runtime.measuring."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders.locality import PLACEMENT, A, B, C
from tests.doubles.worker_programs import load


def a_snapshot(host: str, process: str = "1-1", local: int = 0, remote: int = 0, **more: Any) -> dict[str, Any]:
    """What one executor's reader says of itself."""
    plain = {"host": host, "process": f"{host}-{process}", "local": local, "remote": remote}
    return plain | {"fallback": 0, "doubts": {}} | more


def by_process(*snapshots: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["process"]: one for one in snapshots}


class ASpark:
    """A session of which nothing is asked but names of jobs."""

    def __init__(self) -> None:
        self.sparkContext = SimpleNamespace(setJobGroup=lambda *_words: None)


def counted(
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[dict[str, int], dict[str, Any] | None],
    after: tuple[dict[str, int], dict[str, Any] | None],
) -> dict[str, Any]:
    """The program's document for (bytes received, readers' snapshots) before and after one read of 1,000 bytes."""
    program = load(monkeypatch, "verify")
    received, readers = iter((before[0], after[0])), iter((before[1], after[1]))
    monkeypatch.setattr(program, "received", lambda *_: next(received))
    monkeypatch.setattr(program, "reader_snapshots", lambda *_: next(readers))
    monkeypatch.setattr(program, "reader_off", lambda *_: None)
    monkeypatch.setattr(program, "placement", lambda *_: PLACEMENT)
    monkeypatch.setattr(program.time, "sleep", lambda _seconds: None)
    scan = SimpleNamespace(facts=lambda _tasks: {}, read_by_host=lambda _tasks: {})
    monkeypatch.setattr(program, "Scan", lambda _frame: scan)
    task = {"host": A, "taskLocality": "NODE_LOCAL", "taskMetrics": {"inputMetrics": {"bytesRead": 1000}}}
    one = program.Measurement.__new__(program.Measurement)
    one.spark, one.options, one.cores = ASpark(), Namespace(reads=1), 3
    one.driver = SimpleNamespace(tasks=lambda _group: [task])
    one.executors, one.hosts, one.addresses = 3, [A, B, C], {}
    files = SimpleNamespace(listed=lambda: [(None, 1000)])
    document: dict[str, Any] = one.measure(files, "qfs:///t", "bytes", None, lambda _frame: (1, True), None)
    return document


START = ({A: 100, B: 100, C: 100}, by_process(a_snapshot(A), a_snapshot(B), a_snapshot(C)))
END = ({A: 105, B: 105, C: 105}, by_process(a_snapshot(A, local=900), a_snapshot(B, remote=100), a_snapshot(C)))


def test_counters_that_go_on_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch, START, END)
    assert (found["replaced"], found["received_total"]) == ([], 15)
    assert (found["reader"]["local_bytes"], found["reader"]["remote_bytes"]) == (900, 100)


@pytest.mark.parametrize(
    ("after", "replaced"),
    [
        (({A: 105, B: 105}, END[1]), [C]),
        (({A: 105, B: 105, "10.20.30.8": 4}, END[1]), [C, "10.20.30.8"]),
        (({A: 105, B: 105, C: 99}, END[1]), [C]),
        ((END[0], by_process(a_snapshot(A, local=900), a_snapshot(B), a_snapshot(C, "7-7"))), [C]),
        ((END[0], by_process(a_snapshot(A), a_snapshot(B), a_snapshot(C, local=-1))), [C]),
        ((END[0], by_process(a_snapshot(A), a_snapshot(B), a_snapshot(C), a_snapshot(C, "7-7"))), []),
    ],
)
def test_a_worker_whose_counters_began_anew_is_named(
    monkeypatch: pytest.MonkeyPatch, after: tuple[dict[str, int], dict[str, Any]], replaced: list[str]
) -> None:
    assert counted(monkeypatch, START, after)["replaced"] == replaced


def test_bytes_are_summed_by_who_read_them_and_who_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    program = load(monkeypatch, "verify")
    before = by_process(
        a_snapshot(A, local=50, remote=5, sources={B: 5}), a_snapshot(B, sources={}), a_snapshot(C, local=7)
    )
    after = by_process(
        a_snapshot(A, local=150, remote=25, sources={B: 15, f"{C},{B}": 10}),
        a_snapshot(A, "2-2", local=10, remote=8, sources={f"{B},{C}": 8}),
        a_snapshot(B, fallback=6, sources={f"{A},{B}": 6, C: 0}),
        a_snapshot(C, local=7),
    )
    found = program.reader_counters(before, after)
    assert found["sources"] == {A: {B: 10, f"{B},{C}": 18}, B: {f"{A},{B}": 6}}
    assert found["local_by_host"] == {A: 110, B: 0, C: 0}


def test_a_reader_that_does_not_know_owners_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch, START, END)["reader"]
    assert (found["sources"], found["local_by_host"]) == ({}, {A: 900, B: 0, C: 0})


def test_without_a_reader_of_ours_the_containers_alone_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch, (START[0], None), ({A: 105}, None))
    assert (found["replaced"], found["reader"]) == ([B, C], None)


@pytest.mark.parametrize(("last", "replaced"), [({A: (9, 1.0), B: (9, 1.0)}, []), ({A: (9, 1.0), C: (1, 0.1)}, [B, C])])
def test_a_sample_of_the_benchmark_names_them_too(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    last: dict[str, tuple[int, float]],
    replaced: list[str],
) -> None:
    program = load(monkeypatch, "bench_storage")
    monkeypatch.setattr(program, "SETTLE_S", 0)
    bench = program.Bench.__new__(program.Bench)
    bench.spark, bench.spec, bench.samples = ASpark(), {"rounds": 1}, []
    bench.counted = program.Counters({A: (5, 0.5), B: (5, 0.5)}, None)
    bench.count = lambda: program.Counters(last, None)
    bench.sample(0, "qfs-2", "write", lambda: True)
    assert bench.samples[0]["replaced"] == replaced
    assert ("a worker was replaced" in capsys.readouterr().err) is bool(replaced)


def a_partition(number: int, *locations: str) -> Any:
    """One of Spark's file partitions, of one split of 10 bytes."""
    split = SimpleNamespace(urlEncodedPath=lambda: f"f{number}", length=lambda: 10, locations=lambda: locations)
    return SimpleNamespace(files=lambda: [split], index=lambda: number)


def test_partitions_of_which_spark_was_told_a_place_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    program = load(monkeypatch, "verify")
    partitions = [a_partition(0, A, B), a_partition(1), a_partition(2, "localhost"), a_partition(3, C)]
    rdd = SimpleNamespace(partitions=lambda: partitions)
    conf = SimpleNamespace(filesMaxPartitionBytes=lambda: 64, filesOpenCostInBytes=lambda: 4)
    session = SimpleNamespace(_jsparkSession=SimpleNamespace(sessionState=lambda: SimpleNamespace(conf=lambda: conf)))
    plan = SimpleNamespace(queryExecution=lambda: SimpleNamespace(toRdd=lambda: rdd))
    facts = program.Scan(SimpleNamespace(sparkSession=session, _jdf=plan)).facts([])
    assert (facts["partitions"], facts["partitions_placed"]) == (4, 2)


def test_a_file_that_was_just_deleted_has_no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    program = load(monkeypatch, "verify")
    block = SimpleNamespace(toString=lambda: f"0,10,{A},{B}")
    locations, striped = iter(([block], None)), iter((False,))  # nobody can say whether the second one is striped
    files = program.Files.__new__(program.Files)
    files.is_ours = True
    files.system = SimpleNamespace(
        getFileBlockLocations=lambda *_: next(locations), isStriped=lambda _path: next(striped)
    )
    status = SimpleNamespace(getLen=lambda: 10, getReplication=lambda: 2, getPath=lambda: "f")
    placed = program.placement(files, [(status, 10), (status, 10)])
    assert (placed["files"], placed["blocks"], placed["bytes_by_host"]) == (2, 1, {A: 10, B: 10})
