"""Pure: what comes after Swarm has paused the update of a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sparkqfs.facts.swarm import TaskFact

ENGINES_FAULT = "starting container failed"
"""How Swarm's agent begins the error of a container that the engine could not start. One whose program ended, or did
not become healthy, is `task: non-zero exit`. Source: moby, daemon/cluster/executor/container/controller.go."""

Next = Literal["go on", "wait", "give up"]


def failed_starts(tasks: Sequence[TaskFact]) -> tuple[TaskFact, ...]:
    """Those that failed."""
    return tuple(task for task in tasks if task.state in ("failed", "rejected"))


def after_pause(tasks: Sequence[TaskFact]) -> Next:
    """Whether the update of a service goes on; `tasks` are those that were made since the deploy began, oldest first.

    It does where nothing failed but one start a machine, by the engine, and Swarm's own second try runs there: a task
    runs when it is healthy.
    """
    failures = failed_starts(tasks)
    nodes = [task.node for task in failures]
    is_engines = all(task.error.startswith(ENGINES_FAULT) for task in failures)
    if not failures or not is_engines or len(set(nodes)) < len(nodes):
        return "give up"
    running = {task.node for task in tasks if task.is_up}
    return "go on" if set(nodes) <= running else "wait"
