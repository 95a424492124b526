"""The machines of a local cluster switched off and on, cut off, and destroyed: what a drill does to them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.local.cluster import connected, local_up
from sparkqfs.local.hosts_file import move_manager
from sparkqfs.local.images import BASE, Deadline
from sparkqfs.local.machines import (
    LABEL,
    NODE_LABEL,
    NodeSpec,
    load_image,
    node_specs,
    shared_mount_of,
    start_node,
    wait_for_node,
)

START_S = 180.0
DEVICE = "eth0"
"""The network device of a node, as the engine makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMachines:
    """The nodes of one local cluster, by their names in the hosts file."""

    engine: Any
    cluster: str
    specs: dict[str, NodeSpec]
    file: Path
    storage: str
    on_event: Callable[[str], None]

    def kill(self, name: str) -> None:
        """As if its plug were pulled; what the disk was given stays."""
        with _engine_errors(name):
            container = self._container(name)
            if container.status == "running":
                container.kill()

    def start(self, name: str) -> None:
        """Switch it on, and wait for sshd and the engine."""
        with _engine_errors(name):
            start_node(self._container(name))
            wait_for_node(self._container(name), self.specs[name], Deadline(START_S))

    def freeze(self, name: str) -> None:
        """No process of it runs."""
        with _engine_errors(name):
            self._container(name).pause()

    def thaw(self, name: str) -> None:
        """They go on."""
        with _engine_errors(name):
            container = self._container(name)
            if container.status == "paused":
                container.unpause()

    def cut(self, name: str) -> None:
        """Nothing comes in by its network device, and nothing goes out, by rules in its own network namespace."""
        with _engine_errors(name):
            for rule in _rules("-I"):
                self._run(name, ["iptables", "-w", *rule])

    def join(self, name: str) -> None:
        """The network is there again; a rule that was not made is no fault."""
        with _engine_errors(name):
            for rule in _rules("-D"):
                with contextlib.suppress(ClusterError):
                    self._run(name, ["iptables", "-w", *rule])

    def kill_engine(self, name: str) -> None:
        """Signal 9; the node starts a new one, as systemd would."""
        with _engine_errors(name):
            self._run(name, ["pkill", "--ns", "1", "--nslist", "pid", "-9", "-x", "dockerd"])

    def destroy(self, name: str) -> None:
        """The machine and all its disks are no more."""
        with _engine_errors(name):
            self._container(name).remove(force=True, v=True)
            for volume in self.specs[name].volumes:
                if volume.startswith(f"{self.specs[name].container}-"):
                    with contextlib.suppress(NotFound):
                        self.engine.volumes.get(volume).remove(force=True)

    def replace(self, name: str) -> None:
        """An empty machine of the same name and address."""
        with _engine_errors(name):
            network = self.engine.networks.list(filters={"label": f"{LABEL}={self.cluster}"})[0]
            self.on_event(f"[{name}] a new, empty machine")
            local_up(
                name=self.cluster,
                nodes=len(self.specs),
                file=self.file,
                storage=self.storage,
                shared_mount=shared_mount_of(network),
                on_event=lambda _text: None,
            )

    def give_base(self, name: str) -> None:
        """The base image, which only the first manager has: where there is no registry, nobody else could build."""
        with _engine_errors(name):
            image = self.engine.images.get(BASE)
            load_image(self._container(name), self.specs[name], BASE, str(image.id), Deadline(START_S))

    def name_manager(self, name: str) -> None:
        """In the hosts file."""
        with _engine_errors(name):
            move_manager(self.file, self.cluster, name)

    def _container(self, name: str) -> Any:
        container = self.engine.containers.get(self.specs[name].container)
        container.reload()
        return container

    def _run(self, name: str, argv: list[str]) -> None:
        done = self._container(name).exec_run(argv)
        if done.exit_code:
            said = done.output.decode(errors="replace").strip()
            raise ClusterError(Problem(node=name, what=f"{' '.join(argv)}: {said}"))


@contextlib.contextmanager
def _engine_errors(name: str) -> Iterator[None]:
    """What this computer's engine says of a machine, as our error."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise ClusterError(Problem(node=name, what=f"this computer's Docker Engine: {error}")) from error


def _rules(action: str) -> tuple[list[str], ...]:
    return tuple(
        [action, chain, flag, DEVICE, "-j", "DROP"]
        for chain, flag in (("INPUT", "-i"), ("OUTPUT", "-o"), ("FORWARD", "-i"), ("FORWARD", "-o"))
    )


@contextlib.contextmanager
def local_machines(
    config: ClusterConfig, file: Path, on_event: Callable[[str], None]
) -> Iterator[LocalMachines | None]:
    """The machines of the local cluster that this hosts file was written for; `None` for any other cluster."""
    name = cluster_of(file)
    if name is None:
        yield None
        return
    with connected() as engine:
        networks = engine.networks.list(filters={"label": f"{LABEL}={name}"})
        mine = {"label": f"{LABEL}={name}"}
        containers = engine.containers.list(all=True, filters=mine, ignore_removed=True) if networks else []
        specs = {spec.node: spec for spec in node_specs(name, len(containers), networks[0])} if networks else {}
        labelled = {item.labels.get(NODE_LABEL) for item in containers}
        ours = {node.name: str(node.address) for node in config.nodes}
        if not specs or labelled != set(ours) or ours != {node: spec.address for node, spec in specs.items()}:
            yield None
            return
        yield LocalMachines(
            engine=engine,
            cluster=name,
            specs=specs,
            file=file,
            storage=config.storage.kind,
            on_event=on_event,
        )


def cluster_of(file: Path) -> str | None:
    """The local cluster whose hosts file this is."""
    with contextlib.suppress(OSError, UnicodeDecodeError), file.open(encoding="utf-8") as lines:
        words = lines.readline().split("'")
        if len(words) > 2 and words[0].startswith("# Written by `local.up`"):
            return words[1]
    return None
