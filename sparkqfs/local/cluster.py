"""A cluster of container "machines" on this computer's Docker Engine, each with an sshd and an engine of its own.

It is to this project what kind is to Kubernetes: `local_up` writes a hosts file with which every other command works.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from docker.client import DockerClient
from docker.credentials.errors import StoreError
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from sparkqfs.config.model import StorageKind
from sparkqfs.errors import ClusterError, ConfigError, Problem, RefusedError, UnreachableError
from sparkqfs.local.hosts_file import (
    STATE_ROOT,
    StateDirectory,
    check_hosts_file,
    hosts_data,
    remove_hosts_file,
    state_directory,
    write_hosts_file,
)
from sparkqfs.local.images import BASE, Deadline, ensure_base, ensure_node_image, node_tag
from sparkqfs.local.machines import (
    COUNT_LABEL,
    LABEL,
    NODE_LABEL,
    OVERLAY_LABEL,
    SHARED_MOUNTS,
    NodeSpec,
    create_node,
    load_image,
    make_network,
    make_volume,
    network_subnet,
    node_specs,
    put_files,
    shared_mount_of,
    start_node,
    wait_for_node,
)

DEFAULT_FILE = Path("hosts.local.yml")
MAX_NODES = 32
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """One container node. `state` is the engine's word for it, or `missing`."""

    name: str
    address: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCluster:
    """A local cluster as it was found."""

    name: str
    file: Path
    nodes: tuple[LocalNode, ...]


def local_up(
    *,
    name: str = "local",
    nodes: int = 3,
    file: Path = DEFAULT_FILE,
    storage: str = "qfs",
    shared_mount: str | None = None,
    base: str | None = None,
    on_event: Callable[[str], None],
    timeout_s: float = 600,
) -> LocalCluster:
    """Bring up a cluster of container nodes and write its hosts file; what is there already is kept or started again.

    `shared_mount` is what all nodes have at /mnt/shared: `glusterfs` (the default for storage `shared`) is a file
    system over the nodes, `bind` (the default for others) a directory of this computer, enough for a smoke test.
    Raises `ConfigError` for arguments that make no sense, `RefusedError` if the file is not this cluster's or another
    run is busy with it, `UnreachableError` without an engine, `DeadlineError` after `timeout_s`, else `ClusterError`.
    What a failed call has made is removed again.
    """
    mount = shared_mount or ("glusterfs" if storage == "shared" else "bind")
    _check_arguments(name, nodes, storage, mount)
    deadline = Deadline(timeout_s)
    with connected() as engine, _lock(name):
        check_hosts_file(file, name)
        changes: list[str] = []

        def tell(event: str) -> None:
            changes.append(event)
            on_event(event)

        with ExitStack() as undo:
            undo.callback(deadline.cancel)
            network = _have_network(engine, name, nodes, mount, undo, tell)
            specs = node_specs(name, nodes, network)
            state = _have_keys(engine, name, specs, undo)
            base_id = ensure_base(engine, base, tell, deadline)
            containers = _have_containers(engine, specs, base_id, state, undo, tell, deadline)
            _bring_up(specs, containers, base_id, tell, deadline)
            state.write_known_hosts({spec.node: spec.address for spec in specs})
            content = hosts_data(
                addresses={spec.node: spec.address for spec in specs},
                state=state,
                storage=storage,
                overlay=network.attrs["Labels"][OVERLAY_LABEL],
                base=BASE,
                environment=os.environ,
            )
            outcome = write_hosts_file(file, name, content)
            if outcome not in ("unchanged", "kept with your changes"):
                tell(f"{file}: {outcome}")
            if storage == "shared" and mount == "bind":
                on_event("/mnt/shared is one directory of this computer: a smoke test, no shared file system")
            undo.pop_all()
        if not changes:
            on_event("unchanged")
        found = _status(engine, name, file)
        if found is None:
            raise ClusterError(Problem(what=f"the local cluster {name!r} was removed while it came up"))
        return found


def local_down(*, name: str = "local", file: Path = DEFAULT_FILE, on_event: Callable[[str], None]) -> bool:
    """Remove a local cluster: its containers, networks, volumes, keys and hosts file, and nothing else.

    Its data goes with it. False if there was nothing to remove.
    """
    _check_arguments(name)
    with connected() as engine, _lock(name):
        mine = {"label": f"{LABEL}={name}"}
        containers = engine.containers.list(all=True, filters=mine, ignore_removed=True)
        removed = bool(containers)
        with ThreadPoolExecutor(max_workers=MAX_NODES) as pool:
            list(pool.map(_remove_container, containers))
        for network in engine.networks.list(filters=mine):
            removed = True
            _absent_is_fine(network.remove)
        for volume in engine.volumes.list(filters=mine):
            removed = True
            _absent_is_fine(volume.remove)
        removed |= state_directory(name).remove()
        removed |= remove_hosts_file(file, name)
    on_event(f"local cluster {name!r}: {'removed' if removed else 'there is none'}")
    return removed


def local_status(*, name: str = "local", file: Path = DEFAULT_FILE) -> LocalCluster | None:
    """The local cluster of this name as it is; `None` if there is none."""
    _check_arguments(name)
    with connected() as engine:
        return _status(engine, name, file)


def _check_arguments(name: str, nodes: int = 1, storage: str = "qfs", mount: str = "bind") -> None:
    problems = []
    if not _NAME.fullmatch(name):
        problems.append(
            Problem(
                what=f"{name!r} cannot name a local cluster", hint="a letter, then letters, digits, hyphens: a-z 0-9 -"
            )
        )
    if not 1 <= nodes <= MAX_NODES:
        problems.append(Problem(what=f"{nodes} nodes: a local cluster has 1 to {MAX_NODES}"))
    kinds = get_args(StorageKind)
    if storage not in kinds:
        problems.append(Problem(what=f"no storage {storage!r} on a local cluster", hint=" or ".join(kinds)))
    if mount not in SHARED_MOUNTS:
        problems.append(Problem(what=f"no shared mount {mount!r} on a local cluster", hint=" or ".join(SHARED_MOUNTS)))
    if problems:
        raise ConfigError(*problems)


@contextmanager
def connected() -> Iterator[Any]:
    """The engine of this computer. Its own errors leave as ours."""
    try:
        engine = DockerClient.from_env(timeout=120)
        engine.ping()
    except (DockerException, OSError) as failure:
        is_forbidden = "permission denied" in str(failure).lower()
        hint = "does it run? `sudo systemctl start docker`"
        if is_forbidden:
            hint = "it runs, but this user may not use it: `sudo usermod -aG docker $USER`, then log in again"
        what = f"cannot reach this computer's Docker Engine: {failure}"
        raise UnreachableError(Problem(what=what, hint=hint)) from failure
    try:
        yield engine
    except APIError as failure:
        raise ClusterError(
            Problem(what=f"this computer's Docker Engine: {failure.explanation or failure}")
        ) from failure
    except StoreError as failure:
        what = f"the login store that ~/.docker/config.json names does not work: {failure}"
        raise ClusterError(Problem(what=what, hint="fix credsStore there, or remove it")) from failure
    except RequestException as failure:
        raise UnreachableError(Problem(what=f"lost this computer's Docker Engine: {failure}")) from failure
    finally:
        engine.close()


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """One run at a time for a cluster; the lock ends with the process."""
    path = STATE_ROOT.expanduser() / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise RefusedError(
                Problem(what=f"another run is busy with the local cluster {name!r}", hint=f"its lock is {path}")
            ) from busy
        try:
            yield
        finally:
            if not state_directory(name).path.exists():
                path.unlink(missing_ok=True)


def _have_network(engine: Any, name: str, count: int, mount: str, undo: ExitStack, tell: Callable[[str], None]) -> Any:
    found = engine.networks.list(filters={"label": f"{LABEL}={name}"})
    if not found:
        if engine.containers.list(all=True, filters={"label": f"{LABEL}={name}"}, ignore_removed=True):
            raise ClusterError(
                Problem(what=f"the network of the local cluster {name!r} is gone", hint="local.down, then local.up")
            )
        network = make_network(engine, name, count, mount)
        undo.callback(_absent_is_fine, network.remove)
        tell(f"network {network.name}: {network_subnet(network)}")
        return network
    network = found[0]
    network.reload()
    present = network.attrs["Labels"].get(COUNT_LABEL)
    if present != str(count):
        raise ClusterError(
            Problem(
                what=f"the local cluster {name!r} has {present} nodes, not {count}",
                hint="local.down first, or choose another name",
            )
        )
    if shared_mount_of(network) != mount:
        raise ClusterError(
            Problem(
                what=f"the local cluster {name!r} has {shared_mount_of(network)} at /mnt/shared, not {mount}",
                hint=f"--shared-mount {shared_mount_of(network)} keeps it; local.down first for {mount}",
            )
        )
    return network


def _have_keys(engine: Any, name: str, specs: Sequence[NodeSpec], undo: ExitStack) -> StateDirectory:
    """Have the cluster's keys; nodes that run with others get the new ones."""
    state = state_directory(name)
    if not state.path.exists():
        undo.callback(state.remove)
    new = state.make([spec.node for spec in specs])
    for spec in specs:
        container = _container(engine, spec)
        if spec.node in new and container is not None:
            put_files(container, state.node_files(spec.node))
            if container.status == "running":
                container.exec_run(["node-ctl", "stop-sshd"])
                container.exec_run(["node-ctl", "start-sshd"])
    return state


def _have_containers(
    engine: Any,
    specs: Sequence[NodeSpec],
    base_id: str,
    state: StateDirectory,
    undo: ExitStack,
    tell: Callable[[str], None],
    deadline: Deadline,
) -> list[Any]:
    containers = []
    for spec in specs:
        container = _container(engine, spec)
        if container is None:
            image = ensure_node_image(engine, base_id, spec.shared_mount, tell, deadline)
            for volume in spec.volumes:
                if make_volume(engine, volume, spec.cluster):
                    undo.callback(_absent_is_fine, engine.volumes.get(volume).remove)
            container = create_node(engine, spec, image, [one.address for one in specs])
            undo.callback(_remove_container, container)
            put_files(container, state.node_files(spec.node))
            tell(f"[{spec.node}] created {spec.container} at {spec.address}")
        elif container.attrs["Config"]["Image"] != node_tag(base_id, spec.shared_mount):
            tell(f"[{spec.node}] runs an older node image; local.down and local.up renew it")
        containers.append(container)
    return containers


def _bring_up(
    specs: Sequence[NodeSpec], containers: Sequence[Any], base_id: str, tell: Callable[[str], None], deadline: Deadline
) -> None:
    """Start all nodes at once and wait for them; the first one, the manager, gets the base image for the builds."""

    def bring_up(spec: NodeSpec, container: Any) -> ClusterError | None:
        try:
            if start_node(container):
                tell(f"[{spec.node}] started")
            wait_for_node(container, spec, deadline)
            if spec is specs[0] and load_image(container, spec, BASE, base_id, deadline):
                tell(f"[{spec.node}] has {BASE}")
        except ClusterError as failure:
            return failure
        except APIError as failure:
            return ClusterError(Problem(node=spec.node, what=str(failure.explanation or failure)))
        return None

    with ThreadPoolExecutor(max_workers=len(specs)) as pool:
        running = [pool.submit(bring_up, spec, container) for spec, container in zip(specs, containers, strict=True)]
        try:
            failures = [failure for future in running if (failure := future.result()) is not None]
        except BaseException:
            deadline.cancel()  # or the pool would wait for the other nodes
            raise
    if failures:
        worst = max(failures, key=lambda failure: failure.exit_code)
        raise type(worst)(*(problem for failure in failures for problem in failure.problems))


def _status(engine: Any, name: str, file: Path) -> LocalCluster | None:
    mine = {"label": f"{LABEL}={name}"}
    listed = engine.containers.list(all=True, filters=mine, ignore_removed=True)
    states = {container.labels.get(NODE_LABEL, ""): container.status for container in listed}
    networks = engine.networks.list(filters=mine)
    if networks:
        count = int(networks[0].attrs["Labels"].get(COUNT_LABEL, len(states)))
        specs = node_specs(name, count, networks[0])
        nodes = [
            LocalNode(name=spec.node, address=spec.address, state=states.get(spec.node, "missing")) for spec in specs
        ]
    elif listed:
        nodes = [LocalNode(name=node, address="", state=state) for node, state in sorted(states.items())]
    else:
        return None
    return LocalCluster(name=name, file=file, nodes=tuple(nodes))


def _container(engine: Any, spec: NodeSpec) -> Any:
    """The node's container, or `None`. Raises `ClusterError` if its name belongs to somebody else's."""
    try:
        container = engine.containers.get(spec.container)
    except NotFound:
        return None
    if container.labels.get(LABEL) != spec.cluster:
        raise ClusterError(
            Problem(
                what=f"a container {spec.container} exists that is not of the local cluster {spec.cluster!r}",
                hint="choose another cluster name",
            )
        )
    return container


def _remove_container(container: Any) -> None:
    _absent_is_fine(lambda: container.remove(force=True, v=True))


def _absent_is_fine(remove: Callable[[], object]) -> None:
    with suppress(NotFound, ImageNotFound):
        remove()
