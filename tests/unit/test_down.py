"""jobs/cluster/down.py: what can be asked is taken down and waited for; what cannot is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.clients.parallel import Results, run_on
from sparkqfs.config.model import TimeoutsConfig
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem, UnreachableError
from sparkqfs.jobs.cluster.deploy import _finish_removal
from sparkqfs.jobs.cluster.down import down
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_cluster

CONFIG = a_cluster(timeouts=TimeoutsConfig(deploy_s=0.2))


@dataclass
class Swarm:
    """Three machines and a stack; `docker stack rm` on the manager ends what runs on those that answer."""

    silent: tuple[str, ...] = ()
    holds: str = ""
    """A machine whose containers do not end."""
    is_deployed: bool = True
    error: ClusterError | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def manager(self) -> Swarm:
        return self

    def run(self, argv: list[str], **_more: Any) -> Any:
        assert argv == ["docker", "stack", "rm", "spark"]
        self.is_deployed = False
        return SimpleNamespace(exit_code=0, last_lines=lambda _count: "")

    def on(self, names: tuple[str, ...], function: Callable[[str], Any]) -> Results[Any]:
        return run_on(names, function, limit=8)

    def engine(self, name: str = "node1") -> Any:
        return SimpleNamespace(
            info=lambda: {"Swarm": {"ControlAvailable": True}},
            services=lambda _stack: [{}] if self.is_deployed else [],
            networks=lambda _stack: [{}] if self.is_deployed else [],
            labelled_services=lambda _label: [],
            remove_unused=lambda _stack, _keep: [],
            containers=lambda _label: self.containers(name),
        )

    def containers(self, name: str) -> list[dict[str, Any]]:
        self.asked.append(name)
        if name in self.silent:
            problem = Problem(node=name, what="no answer within 10 s", code=ExitCode.UNREACHABLE)
            raise self.error or UnreachableError(problem)
        return [{}] if self.is_deployed or name == self.holds else []


def a_session(swarm: Swarm, **more: Any) -> Session:
    return Session(CONFIG, swarm, lambda _text: None, **more)  # type: ignore[arg-type]


def test_a_stack_is_removed_although_one_machine_is_dead_and_that_is_named() -> None:
    swarm = Swarm(silent=("node3",))
    result = down(a_session(swarm))
    assert not swarm.is_deployed
    assert [(one.subject, one.state) for one in result.outcomes] == [("stack spark", "changed")]
    assert [(one.node, one.code) for one in result.problems] == [("node3", ExitCode.UNREACHABLE)]
    assert "no answer within 10 s" in result.problems[0].what and result.problems[0].hint
    assert result.exit_code == 3
    assert swarm.asked.count("node3") == 1, "a dead machine is waited for once"


def test_a_machine_whose_engine_is_dead_counts_as_silent_too() -> None:
    swarm = Swarm(
        silent=("node2",), error=ClusterError(Problem(node="node2", what="the Docker Engine does not answer"))
    )
    assert down(a_session(swarm)).exit_code == 3 and not swarm.is_deployed


def test_the_machines_that_answer_are_waited_for() -> None:
    with pytest.raises(DeadlineError, match="1 containers left"):
        down(a_session(Swarm(silent=("node3",), holds="node2")))


def test_what_cannot_be_seen_is_not_called_gone() -> None:
    result = down(a_session(Swarm(silent=("node3",), is_deployed=False)))
    assert (result.outcomes[0].state, result.exit_code) == ("unchanged", 3)


@pytest.mark.parametrize(("is_deployed", "state"), [(True, "changed"), (False, "unchanged")])
def test_with_all_machines_there_is_no_problem(is_deployed: bool, state: str) -> None:
    result = down(a_session(Swarm(is_deployed=is_deployed)))
    assert (result.outcomes[0].state, result.exit_code) == (state, 0)


def test_a_trial_says_what_is_there_and_who_is_silent_and_removes_nothing() -> None:
    swarm = Swarm(silent=("node3",))
    result = down(a_session(swarm, dry_run=True))
    assert swarm.is_deployed and result.exit_code == 3
    assert result.outcomes[0].changes == ("1 services", "2 containers", "1 networks")


def test_a_deploy_does_not_go_on_over_what_cannot_be_seen() -> None:
    with pytest.raises(ClusterError, match=r"\[node3\] .* cannot be seen"):
        _finish_removal(a_session(Swarm(silent=("node3",))))
