"""What a command keeps of its cluster."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.clients.ssh import Output
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.nodes import SECRET_NAMES
from tests.builders.clusters import a_cluster


def a_session(*files: dict[str, str]) -> Session:
    """A manager whose file of secrets is another one each time it is read."""
    left = list(files)

    def run(_argv: Any, **_more: Any) -> Output:
        return Output(exit_code=0, stdout=json.dumps(left.pop(0)), stderr="")

    clients: Any = SimpleNamespace(manager=SimpleNamespace(run=run))
    return Session(a_cluster(), clients, lambda _text: None)


ALL = dict.fromkeys(SECRET_NAMES, "x")
OLD = {name: value for name, value in ALL.items() if name != "metadata_key"}


def test_secrets_that_prep_has_added_in_the_same_command_are_read_again() -> None:
    session = a_session(OLD, ALL)
    assert session.secrets(complete=False) == OLD
    assert session.secrets() == ALL


def test_secrets_that_an_earlier_version_made_are_refused_with_the_task_that_adds_them() -> None:
    session = a_session(OLD, OLD)
    with pytest.raises(ClusterError) as failed:
        session.secrets()
    (problem,) = failed.value.problems
    assert "lack metadata_key" in problem.what and problem.hint == "run `invoke prep` first"


def test_secrets_are_read_once_when_they_are_whole() -> None:
    session = a_session(ALL)
    assert session.secrets() == session.secrets() == ALL
