"""Why the registry's container is started again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.jobs.cluster import swarm
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_cluster
from tests.builders.facts import prepared

RUNNING = {"Running": True, "Restarting": False}


@pytest.mark.parametrize(
    ("state", "label", "why"),
    [
        (None, "", "there is none"),
        ({**RUNNING, "Running": False}, "same", "it is stopped"),
        # Docker calls one that it starts again and again running: its directory went with a disk
        ({**RUNNING, "Restarting": True}, "same", "it ends as soon as it is started"),
        (RUNNING, "other", "its settings differ"),
        (RUNNING, "same", None),
    ],
)
def test_a_registry_that_does_not_serve_is_started_again(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, bool] | None, label: str, why: str | None
) -> None:
    monkeypatch.setattr(swarm, "_registry_reference", lambda _session: "image")
    monkeypatch.setattr(swarm, "_registry_digest", lambda _session, _reference: "same")
    found = {"State": state, "Config": {"Labels": {"sparkqfs.config": label}}} if state is not None else None
    engine = SimpleNamespace(container=lambda _name: found)
    clients: Any = SimpleNamespace(engine=lambda: engine)
    config = a_cluster()
    session = Session(config, clients, lambda _text: None, _facts=prepared(config))
    assert swarm.registry_fault(session) == why
