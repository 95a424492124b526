"""What the rows of a drill say, and which faults a cluster can have."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.config.model import CopiesConfig, NodeConfig, StorageConfig
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.jobs.measuring import drill_load
from sparkqfs.jobs.measuring.drill_faults import counts_of, why_not
from sparkqfs.plan.measuring.drill import FAULTS, Answered, Look, choose, listed, planned, table
from sparkqfs.plan.steps import JobResult
from tests.builders.clusters import a_cluster
from tests.builders.drills import BY_NAME, a_row


def test_a_good_row_says_when_it_was_seen_and_when_all_was_well() -> None:
    made = a_row()
    assert (made.seen_s, made.healthy_s, made.longest_pause_s) == (2.0, 12.0, 4.0)
    assert made.problems == ()
    assert made.said == ("2 of 3 chunkservers are up", "recovering")
    assert made.document()["ok"] is True and made.document()["acknowledged_bytes"] == 120


def test_copies_that_are_still_made_are_not_well_although_the_exit_code_is_0() -> None:
    assert a_row(looks=(Look(1.0, 1, ("x",)), Look(2.0, 0, ("recovering",)))).healthy_s is None


def test_what_status_said_before_the_fault_does_not_count() -> None:
    made = a_row(looks=(Look(-5.0, 1, ("starting",)), Look(3.0, 0), Look(6.0, 0)))
    assert made.seen_s is None
    assert [problem.what for problem in made.problems] == ["storage-server: status never said that anything was wrong"]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"lost": (3,)}, "1 acknowledged files are lost"),
        ({"lost": (1, 2)}, "2 acknowledged files are lost"),
        ({"extra": {"damaged_kept": 2}}, "2 damaged blocks were not healed"),
        ({"extra": {"damaged_kept": 0, "not_read_again": True}}, "not all block files were read again"),
        ({"wrong_reads": 2}, "2 reads gave other bytes than were written"),
        ({"looks": (Look(1.0, 1, ("2 of 3 are up",)),)}, "status does not say that all is well: 2 of 3 are up"),
        ({"looks": ()}, "status never said that anything was wrong"),
        ({"answered": (Answered(1, "d", 1, -2.0),)}, "nothing was written after it"),
    ],
)
def test_what_must_not_be_is_a_problem(values: dict[str, Any], what: str) -> None:
    made = a_row(**values)
    assert any(problem.what.startswith(f"storage-server: {what}") for problem in made.problems)
    assert made.document()["ok"] is False


@pytest.mark.parametrize(
    ("change", "is_whole"),
    [({}, True), ({"ended": None}, False), ({"running": True, "ended": None}, False), ({"errors": 1}, False)],
)
def test_a_pass_that_was_cut_off_has_not_seen_all_damage(change: dict[str, Any], is_whole: bool) -> None:
    state = {"schema": 1, "running": False, "began": 1.0, "ended": 2.0, "damaged": 3, "kept": 0, "errors": 0} | change
    counts = counts_of(json.dumps(state))
    assert (counts["damaged"], counts["kept"], counts["is_whole"]) == (3, 0, is_whole)


def test_names_of_the_last_five_seconds_may_be_lost_with_the_manager_and_with_nothing_else() -> None:
    assert a_row("manager-lost", lost=(1, 2)).problems == ()
    older = tuple(Answered(number, "d", 10, float(number * 4 - 12)) for number in range(1, 13))
    assert a_row("manager-lost", lost=(1,), answered=older).problems != ()
    assert a_row("manager-lost", lost=(12,)).problems != (), "written after all was over"
    assert a_row("manager-killed", lost=(2,)).problems != ()


def test_a_pause_that_lasts_until_the_end_counts_and_one_before_the_fault_does_not() -> None:
    answered = (Answered(1, "d", 1, -30.0), Answered(2, "d", 1, -1.0), Answered(3, "d", 1, 2.0))
    assert a_row(answered=answered).longest_pause_s == 38.0


def test_faults_are_chosen_by_name_in_the_tables_order() -> None:
    chosen = choose(("network-cut", "storage-server"), has_machines=True)
    assert [fault.name for fault in chosen] == ["storage-server", "network-cut"]
    assert choose((), has_machines=True) == FAULTS
    assert all(not fault.is_local for fault in choose((), has_machines=False))


def test_a_fault_that_there_is_not_or_that_needs_machines_is_refused() -> None:
    with pytest.raises(ConfigError, match="no fault nothing"):
        choose(("nothing", "network-cut"), has_machines=True)
    with pytest.raises(ConfigError, match="network-cut: only on a cluster made by local"):
        choose(("storage-server", "network-cut"), has_machines=False)


def test_the_list_and_the_table_name_every_fault() -> None:
    assert [line.split()[0] for line in listed().text.splitlines()] == list(BY_NAME)
    lines = table([a_row(), a_row("network-cut", looks=())]).splitlines()
    assert lines[1].split()[:4] == ["storage-server", "node2", "2.0", "s"]
    assert "never" in lines[2]


def test_what_has_no_second_copy_is_not_broken() -> None:
    services = {"qfs-master", "spark-master", "metadata-copy-1"}

    def reasons(**values: Any) -> dict[str, str | None]:
        return {fault.name: why_not(fault, a_cluster(**values), services) for fault in FAULTS}

    usual = reasons()
    assert {name for name, why in usual.items() if why} == {
        f"{name}-container" for name in ("worker-node", "history-server", "jupyter-server", "metastore")
    }
    alone = reasons(nodes=(NodeConfig(name="node1", address="10.0.0.1", advertise="10.0.0.1", manager=True),))
    assert (
        alone["older-metadata"]
        == alone["manager-lost"]
        == "nobody keeps a copy of the metadata: it could not be restored"
    )
    once = reasons(storage=StorageConfig(replication=1))
    assert once["bits-flipped"] == once["manager-lost"] == "blocks have one copy: they could not be made again"
    assert once["storage-server"] is None
    uncopied = reasons(storage=StorageConfig(copies=CopiesConfig(nodes=0)))
    assert uncopied["older-metadata"] is not None and uncopied["bits-flipped"] is None
    assert reasons(storage=StorageConfig(kind="shared"))["storage-master-container"] is not None


def test_older_metadata_that_was_taken_and_damage_that_stays_are_problems() -> None:
    taken = a_row("older-metadata", extra={"older_taken": True})
    assert [problem.what for problem in taken.problems] == ["older-metadata: the older metadata was taken"]
    unseen = {"looks": (Look(1.0, 0), Look(9.0, 0))}
    assert a_row("bits-flipped", **unseen).problems == ()
    assert a_row("bits-flipped", extra={"damaged_kept": 2}, **unseen).problems != ()


def test_a_plan_says_what_would_be_done_and_what_is_left_out() -> None:
    made = planned(a_cluster(), FAULTS[:2], [{"fault": "metastore-container", "why": "the cluster has no metastore"}])
    assert made.outcomes[0].state == "planned" and len(made.outcomes[0].changes) == 2
    assert made.notes == ("left out: metastore-container: the cluster has no metastore",)


def test_a_look_that_is_not_well_reads_the_cluster_file_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another node may be the manager by now, and the one of before, which answers again, knows nothing of it."""
    monkeypatch.setattr(drill_load, "LOOK_S", 0.0)
    managers = iter(["node1", "node1", "node2"])
    looked: list[str] = []

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        name = next(managers)
        yield SimpleNamespace(again=lambda: name)

    def look(name: str) -> JobResult:
        looked.append(name)
        if looked.count("node2") == 3:
            load._over.set()
        problems = (Problem(what="the stack is not deployed"),) if name == "node1" else ()
        return JobResult(task="status", problems=problems, document={"state": "healthy"})

    load = drill_load.Load(opened, "/tmp/x")
    monkeypatch.setattr("sparkqfs.jobs.watching.status.run", look)
    watching = threading.Thread(target=load._watch, daemon=True)
    watching.start()
    watching.join(20)
    assert looked == ["node1", "node1", "node2", "node2", "node2"], "a good one keeps its connection"
