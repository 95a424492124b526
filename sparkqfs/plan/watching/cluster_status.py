"""All that `status` has asked, as data. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs import topology
from sparkqfs.errors import Problem
from sparkqfs.facts.pages import AppFact, SparkFact, StorageFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.plan.storage.health import HealthFact
from sparkqfs.plan.watching.health import Stranger


def is_worker(service: str) -> bool:
    """True for the worker-node service of any class of machines."""
    return service == topology.WORKER_NODE or service.startswith(topology.WORKER_NODE + "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """What answered, and why the rest did not."""

    tasks: tuple[TaskFact, ...]
    deployed: bool
    spark: SparkFact | str
    storage: StorageFact | str | None
    """`None` where no daemon of ours keeps the data."""
    jupyter: str | None
    """Why Jupyter does not answer; `None` when it does."""
    urls: dict[str, str]
    history: tuple[AppFact, ...] | str = ()
    """The latest applications of the history server, or why it does not answer."""
    swarm: Problem | None = None
    """Why Swarm does not answer; `tasks` and `deployed` say nothing then."""
    health: HealthFact | None = None
    """What the storage says of missing data; `None` where its page does not answer or there is none."""
    identity: tuple[Problem, ...] = ()
    """What the manager's record of the cluster says against hosts.yml; docs/decisions/0033."""
    is_restoring: bool = False
    """A restore was begun and has not ended."""
    strangers: tuple[Stranger, ...] = ()
    """Machines that Swarm knows as the cluster's, and hosts.yml does not."""
    absent: tuple[str, ...] = ()
    """Machines of hosts.yml whose place another one has taken (`invoke restore --to`): nothing is expected of them."""
