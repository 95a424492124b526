"""What a service of the stack must say; one module here for each. The stack, sizing, status and docs loop over them."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.plan.cluster.ownership import WORK
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import Backend, shared_mounts

SPARK_SECRET = "spark-secret"
DEFAULTS = "spark-defaults.conf"
OWN_SCRATCH = "SPARKQFS_SCRATCH=own"
"""In the environment of containers that write into a directory of their own under spark/local."""

Mount = dict[str, object]


@dataclass(frozen=True, slots=True)
class Share:
    """One line of the arithmetic: who takes how much memory."""

    what: str
    mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon Swarm starts a container again, and how often it asks for its health; an unhealthy minute ends it."""

    restart_s: int = 5
    health_s: int = 10


USUAL = Pace()
QUICK = Pace(restart_s=1, health_s=4)
"""For what all wait for: until it is healthy again its name is in no DNS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that users reach."""

    inside: int
    """In the container."""
    setting: str = ""
    """Its key under `ports` in hosts.yml; empty where no setting moves it."""
    title: str = ""
    """Of the page, as `status` calls it; empty for one that it does not list."""

    def published(self, config: ClusterConfig) -> int:
        """Its number on the machine that runs the service."""
        return int(getattr(config.ports, self.setting)) if self.setting else self.inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a service may want to know of the cluster that it becomes a part of."""

    config: ClusterConfig
    manager_mib: int
    """Memory of the manager; 0 is unknown."""
    cores: int
    """Of all executors."""

    @property
    def backend(self) -> Backend:
        """The storage."""
        return backend_of(self.config)


class Service:
    """A service with one container. The defaults: a daemon on the manager that is a client of Spark and the storage.

    One that is not overrides `configs` and `mounts`: else it gets their settings files and the shared directory.
    """

    name: str
    image: str = ""
    """Service whose image it runs in, with a role of its own; empty when it has an image of its name: docker/NAME.

    Those images are built on worker-node's, which has all but Jupyter; that one on `build.base`, a Debian.
    """
    role: str = ""
    """Of the runtime, where it runs in another's image; empty when it has the service's name."""
    ports: tuple[Port, ...] = ()
    """The first one is that of its own page."""
    listens: tuple[int, ...] = ()
    """Its other ports, of topology.FIXED_PORTS or INNER_PORTS; on the machines' own network they are the machine's."""
    secrets: tuple[str, ...] = ()
    is_late: bool = False
    """It begins to work when deploy has made its directory on the storage."""
    is_called: bool = False
    """Other containers connect to it by its name."""
    pace: Pace = USUAL
    disks: int = 1
    """Data directories of its machines."""
    probe: tuple[str, ...] = ()
    """What `health` is asked; empty for a question of its own, under the service's name."""

    def is_in(self, config: ClusterConfig) -> bool:
        """Whether this cluster has it."""
        return True

    def place(self, config: ClusterConfig) -> NodeConfig:
        """The machine that runs it, unless it may move."""
        return config.manager

    def may_move(self, config: ClusterConfig) -> bool:
        """Whether Swarm may run it on any machine."""
        return False

    def configs(self, around: Surroundings) -> tuple[str, ...]:
        """Files of the stack that it reads."""
        return (DEFAULTS, *around.backend.client_configs)

    def mounts(self, around: Surroundings) -> list[Mount]:
        """Directories of the machine."""
        return shared_mounts(around.config)

    def environment(self, around: Surroundings) -> dict[str, str]:
        """Its own; nothing secret."""
        return {}

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        """Memory that a machine of so many MiB (0 is unknown) keeps for it where it may run."""
        return ()


def bind(source: object, target: str) -> Mount:
    """A directory of the machine."""
    return {"type": "bind", "source": str(source), "target": target}


def spark_mount(node: NodeConfig) -> Mount:
    """Spark's working directories on a machine's first disk."""
    return bind(node.data_dirs[0] / WORK, "/data/spark")
