"""jobs/swarm.py: a machine that works for another cluster stays with it."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from builders import a_cluster
from facts_builders import a_node

from sparkqfs.errors import ExitCode
from sparkqfs.jobs import swarm
from sparkqfs.jobs.base import Session

PLAIN = a_cluster(name="plain")


@dataclass
class Engine:
    """What the manager's engine says of a swarm whose nodes are labelled for `owner`."""

    owner: str | None
    stack: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()

    def nodes(self) -> list[dict[str, Any]]:
        labels = {"sparkqfs.cluster": self.owner} if self.owner else {}
        return [{"ID": f"id-{node.name}", "Spec": {"Labels": labels}} for node in PLAIN.nodes]

    def services(self, stack: str) -> list[dict[str, Any]]:
        return [{"ID": name} for name in self.stack if stack == self.owner]

    def labelled_services(self, label: str) -> list[dict[str, Any]]:
        return [{"ID": name} for name in self.drivers if label == f"sparkqfs.cluster={self.owner}"]


def a_session(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Session:
    """`plain` on machines that are in a swarm already; its registry runs."""
    monkeypatch.setattr(swarm, "registry_fault", lambda _session: None)
    state = {"swarm_state": "active", "swarm_cluster_id": "c1"}
    facts = {node.name: a_node(node.name, PLAIN, swarm_node_id=f"id-{node.name}", **state) for node in PLAIN.nodes}
    clients: Any = SimpleNamespace(engine=lambda: engine)
    return Session(PLAIN, clients, lambda _text: None, _facts=facts)


@pytest.mark.parametrize(("stack", "drivers"), [(("worker-node",), ()), ((), ("driver",))])
def test_machines_of_a_cluster_that_has_services_are_not_taken_from_it(
    monkeypatch: pytest.MonkeyPatch, stack: tuple[str, ...], drivers: tuple[str, ...]
) -> None:
    result = swarm.run(a_session(Engine("spark", stack, drivers), monkeypatch))
    assert result.exit_code == ExitCode.REFUSED and not result.outcomes
    assert [problem.node for problem in result.problems] == ["node1", "node2", "node3"]
    assert all("cluster spark" in one.what and "not for plain" in one.what and one.hint for one in result.problems)


@pytest.mark.parametrize("owner", ["spark", "plain", None])
def test_machines_without_services_of_another_cluster_are_labelled(
    monkeypatch: pytest.MonkeyPatch, owner: str | None
) -> None:
    made = swarm.plan(a_session(Engine(owner), monkeypatch))
    assert not made.problems
    assert [(step.what, step.why) for step in made.steps] == [("swarm labels", "differ")] * 3


def test_a_cluster_keeps_its_own_machines_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not swarm.plan(a_session(Engine("plain", ("worker-node",)), monkeypatch)).problems
