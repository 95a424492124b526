"""What deploy makes of an update that Swarm has paused: one failed start by the engine is no reason to stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.errors import ClusterError
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster import deploy
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.updates import after_pause
from tests.builders.clusters import a_cluster

SINCE = "2026-01-01T12:00:00"
BUSY = "starting container failed: unable to remount dir as readonly: device or resource busy"
BROKEN = "task: non-zero exit (1)"
UNHEALTHY = "task: non-zero exit (143): dockerexec: unhealthy container"
NO_DISK = "invalid mount config for type bind: bind source path does not exist: /mnt/data/qfs/chunk"


def a_task(node: str, state: str, error: str = "", at: str = "12:00:05") -> TaskFact:
    return TaskFact(
        service="worker-node",
        node=node,
        state=state,
        desired="running" if state in ("running", "starting") else "shutdown",
        error=error,
        container_id="",
        created=f"2026-01-01T{at}",
    )


@pytest.mark.parametrize(
    ("tasks", "step"),
    [
        ([a_task("node1", "failed", BUSY), a_task("node1", "running")], "go on"),
        ([a_task("node1", "failed", BUSY), a_task("node1", "starting")], "wait"),
        ([a_task("node1", "failed", BUSY)], "wait"),
        ([a_task("node1", "failed", BUSY), a_task("node2", "running")], "wait"),
        ([a_task("node1", "failed", BUSY), a_task("node1", "failed", BUSY), a_task("node1", "running")], "give up"),
        ([a_task("node1", "failed", BROKEN), a_task("node1", "running")], "give up"),
        ([a_task("node1", "failed", UNHEALTHY), a_task("node1", "running")], "give up"),
        ([a_task("node1", "rejected", NO_DISK)], "give up"),
        ([a_task("node1", "running")], "give up"),
        (
            [
                a_task("node1", "failed", BUSY),
                a_task("node1", "running"),
                a_task("node2", "failed", BUSY),
                a_task("node2", "running"),
            ],
            "go on",
        ),
    ],
)
def test_only_a_start_that_the_engine_failed_once_and_then_did_is_passed_over(tasks: list[TaskFact], step: str) -> None:
    assert after_pause(tasks) == step


class Swarm:
    """A paused update of worker-node, and its tasks as Swarm's API gives them."""

    def __init__(self) -> None:
        self.state = "paused"
        self.found: list[TaskFact] = []
        self.deployed = 0

    def services(self, _stack: str) -> list[dict[str, Any]]:
        status = {"State": self.state, "Message": "update paused due to failure of task x"}
        return [{"ID": "s1", "Spec": {"Name": "spark_worker-node"}, "UpdateStatus": status}]

    def tasks(self, _stack: str) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> Swarm:
    made = Swarm()

    def again(_session: Session, _stack: Any) -> None:
        made.deployed += 1

    monkeypatch.setattr(deploy, "gather_tasks", lambda _config, _clients: tuple(made.found))
    monkeypatch.setattr(deploy, "_stack_deploy", again)
    return made


def look(swarm: Swarm, resumed: set[tuple[TaskFact, ...]], said: list[str]) -> str | None:
    clients: Any = SimpleNamespace(engine=lambda: swarm)
    stack: Any = None
    return deploy._not_updated(Session(a_cluster(), clients, said.append), stack, SINCE, resumed)


def test_the_update_waits_for_swarms_own_try_and_goes_on_once(swarm: Swarm) -> None:
    resumed: set[tuple[TaskFact, ...]] = set()
    said: list[str] = []
    swarm.found = [a_task("node1", "failed", BUSY), a_task("node1", "starting")]
    assert look(swarm, resumed, said) == (
        "spark_worker-node: the engine of node1 could not start it; Swarm tries again"
    )
    assert swarm.deployed == 0 and said == []
    swarm.found = [a_task("node1", "failed", BUSY), a_task("node1", "running")]
    assert look(swarm, resumed, said) == "spark_worker-node: updating"
    assert swarm.deployed == 1
    assert said == ["[node1] the engine could not start worker-node at first; now it runs: the update goes on"]
    with pytest.raises(ClusterError, match="Swarm has paused the update"):  # paused still, by nothing new
        look(swarm, resumed, said)
    swarm.found += [a_task("node2", "failed", BUSY), a_task("node2", "running")]
    assert look(swarm, resumed, said) == "spark_worker-node: updating" and swarm.deployed == 2


@pytest.mark.parametrize("error", [BROKEN, UNHEALTHY, NO_DISK])
def test_what_is_really_broken_stops_at_the_first_machine(swarm: Swarm, error: str) -> None:
    swarm.found = [a_task("node1", "failed", error)]
    with pytest.raises(ClusterError) as caught:
        look(swarm, set(), [])
    assert [problem.node for problem in caught.value.problems] == ["node1", None] and swarm.deployed == 0


def test_a_failure_from_before_the_deploy_is_no_excuse(swarm: Swarm) -> None:
    swarm.found = [a_task("node1", "failed", BUSY, at="11:00:00"), a_task("node1", "running")]
    with pytest.raises(ClusterError, match="Swarm has paused the update"):
        look(swarm, set(), [])
