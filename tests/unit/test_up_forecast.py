"""What `up` says of its time before it begins."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.jobs.cluster import whole


@pytest.mark.parametrize(
    ("is_prepared", "tags", "said"),
    [
        (False, [], "takes 10 to 30 minutes"),
        (True, [], "takes 10 to 30 minutes"),
        (True, [["10.0.0.1:5000/spark/registry:1"], None, ["worker-node"]], "takes 10 to 30 minutes"),
        (
            True,
            [["10.0.0.1:5000/spark/registry:1"], ["x", "10.0.0.1:5000/spark/worker-node:1"]],
            "takes about a minute",
        ),
        (True, ClusterError(Problem(what="no answer")), "takes 10 to 30 minutes"),
    ],
)
def test_a_first_run_is_one_before_which_no_image_was_built(is_prepared: bool, tags: Any, said: str) -> None:
    def images(label: str) -> list[dict[str, Any]]:
        assert label == "sparkqfs.cluster=spark"
        if isinstance(tags, ClusterError):
            raise tags
        return [{"RepoTags": names} for names in tags]

    manager = NodeFacts(name="node1")
    if is_prepared:
        manager = replace(manager, has_secrets=True, swarm_state="active")
    session: Any = SimpleNamespace(
        config=SimpleNamespace(name="spark"),
        manager_facts=lambda: manager,
        clients=SimpleNamespace(engine=lambda: SimpleNamespace(labelled_images=images)),
    )
    assert whole._how_long(session).startswith(said)
