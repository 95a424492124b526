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
        ({**RUNNING, "StartedAt": "2026-11-30T00:58:12.36Z"}, "same", "it ended a moment ago"),
        ({**RUNNING, "StartedAt": "2026-11-30T00:57:53.36Z"}, "same", None),
    ],
)
def test_a_registry_that_does_not_serve_is_started_again(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, bool] | None, label: str, why: str | None
) -> None:
    monkeypatch.setattr(swarm, "_registry_reference", lambda _session: "image")
    monkeypatch.setattr(swarm, "_registry_digest", lambda _session, _reference: "same")
    found: dict[str, Any] | None = None
    if state is not None:
        again = 3 if "StartedAt" in state else 0
        found = {"State": state, "RestartCount": again, "Config": {"Labels": {"sparkqfs.config": label}}}
    info = {"SystemTime": "2026-11-30T01:58:13.5+01:00"}
    engine = SimpleNamespace(container=lambda _name: found, info=lambda: info)
    clients: Any = SimpleNamespace(engine=lambda: engine)
    config = a_cluster()
    session = Session(config, clients, lambda _text: None, _facts=prepared(config))
    assert swarm.registry_fault(session) == why
