"""jobs/cluster/swarm.py: a machine that works for another cluster stays with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, ExitCode
from sparkqfs.jobs.cluster import swarm
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.restore import ABSENT_LABEL
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_node

PLAIN = a_cluster(name="plain")


@dataclass
class Engine:
    """What the manager's engine says of a swarm whose nodes are labelled for `owner`."""

    owner: str | None
    stack: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()

    labelled: dict[str, dict[str, str]] = field(default_factory=dict)

    def nodes(self) -> list[dict[str, Any]]:
        labels = {"sparkqfs.cluster": self.owner} if self.owner else {}
        return [{"ID": f"id-{node.name}", "Spec": {"Labels": labels}} for node in PLAIN.nodes]

    def label_node(self, node_id: str, labels: dict[str, str]) -> None:
        self.labelled[node_id] = labels

    def services(self, stack: str) -> list[dict[str, Any]]:
        return [{"ID": name} for name in self.stack if stack == self.owner]

    def labelled_services(self, label: str) -> list[dict[str, Any]]:
        return [{"ID": name} for name in self.drivers if label == f"sparkqfs.cluster={self.owner}"]


def a_session(engine: Engine, monkeypatch: pytest.MonkeyPatch, **other: dict[str, str]) -> Session:
    """`plain` on machines that are in a swarm already; its registry runs."""
    monkeypatch.setattr(swarm, "registry_fault", lambda _session: None)
    facts = {}
    for node in PLAIN.nodes:
        state = {"swarm_state": "active", "swarm_node_id": f"id-{node.name}"}
        if node.manager:
            state["swarm_cluster_id"] = "c1"
        facts[node.name] = a_node(node.name, PLAIN, **(state | other.get(node.name, {})))
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


def test_a_deploy_takes_no_machine_from_a_cluster_that_has_services(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine("spark", ("worker-node",))
    with pytest.raises(ClusterError) as refused:
        swarm.check_members(a_session(engine, monkeypatch))
    assert refused.value.exit_code == ExitCode.REFUSED and "works for cluster spark" in str(refused.value)


def test_a_deploy_names_a_machine_that_is_in_no_swarm_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = a_session(Engine("plain"), monkeypatch, node3={"swarm_state": "inactive", "swarm_node_id": ""})
    with pytest.raises(ClusterError) as refused:
        swarm.check_members(session)
    (problem,) = refused.value.problems
    assert problem.node == "node3" and "in no swarm" in problem.what and "`invoke swarm`" in str(problem.hint)


def test_labels_are_set_where_they_differ_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None)
    session = a_session(engine, monkeypatch)
    assert swarm.set_labels(session, swarm.check_members(session)) == ("node1", "node2", "node3")
    assert {labels["sparkqfs.cluster"] for labels in engine.labelled.values()} == {"plain"}
    monkeypatch.setattr(
        engine, "nodes", lambda: [{"ID": key, "Spec": {"Labels": labels}} for key, labels in engine.labelled.items()]
    )
    assert swarm.set_labels(session, swarm.check_members(session)) == ()


def test_a_machine_that_is_back_is_not_expected_to_be_absent_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None)
    session = a_session(engine, monkeypatch)
    swarm.set_labels(session, swarm.check_members(session))
    for absent, stays in (("node2", False), ("gone", True)):
        engine.labelled["id-node1"][ABSENT_LABEL] = absent
        monkeypatch.setattr(
            engine,
            "nodes",
            lambda: [{"ID": key, "Spec": {"Labels": dict(one)}} for key, one in engine.labelled.items()],
        )
        swarm.set_labels(session, swarm.check_members(session))
        assert (ABSENT_LABEL in engine.labelled["id-node1"]) is stays
