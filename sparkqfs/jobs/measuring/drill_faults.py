"""How each fault of a drill is made, and how it is undone."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from sparkqfs import topology
from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.cluster import deploy, down, prep, restore, whole
from sparkqfs.jobs.cluster.restore_look import Wishes
from sparkqfs.jobs.measuring.drill_load import Load
from sparkqfs.jobs.session import Session, cluster_lock
from sparkqfs.plan.measuring.drill import FAULTS, Fault
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.watching.cluster_status import is_worker
from sparkqfs.remote import script

OF_DATA = ("bits-flipped", "older-metadata", "manager-lost")
SIGNAL_S = 60.0
MOST_FLIPS = 20
SCRUB_S = 300.0
SCRUB_STATE = "/tmp/sparkqfs-drill-scrub.json"
"""In the container."""
OLDER_WRITES_S = 5.0
"""Writing goes on for so long after the metadata was copied, so that the copy is older."""


class Machines(Protocol):
    """Machines that can be switched off from here, by name; see `sparkqfs.local.power`."""

    def kill(self, name: str) -> None:
        """Off."""

    def start(self, name: str) -> None:
        """On."""

    def freeze(self, name: str) -> None:
        """No process runs."""

    def thaw(self, name: str) -> None:
        """They go on."""

    def cut(self, name: str) -> None:
        """No network."""

    def join(self, name: str) -> None:
        """The network again."""

    def kill_engine(self, name: str) -> None:
        """Signal 9 to its engine."""

    def destroy(self, name: str) -> None:
        """With its disks."""

    def replace(self, name: str) -> None:
        """An empty one."""

    def give_base(self, name: str) -> None:
        """What images are built from."""

    def name_manager(self, name: str) -> None:
        """In hosts.yml."""


class OpenAs(Protocol):
    """A session of its own; with another manager than hosts.yml has, where one is named."""

    def __call__(self, manager: str | None = None) -> AbstractContextManager[Session]: ...


@dataclass(kw_only=True)
class Scene:
    """What a fault has to do with."""

    open_session: OpenAs
    fault: Fault
    load: Load
    machines: Machines | None
    config: ClusterConfig
    chance: random.Random
    on_event: Callable[[str], None]
    node: str = ""
    """Where it was done, for the report."""
    extra: dict[str, object] = field(default_factory=dict)
    """More of the row's document."""

    @property
    def power(self) -> Machines:
        """The machines, for the faults that need them."""
        assert self.machines is not None
        return self.machines

    def choose_node(self) -> str:
        """One that is not the manager, where there is one."""
        others = [node.name for node in self.config.nodes if not node.manager]
        self.node = self.chance.choice(others or [self.config.manager.name])
        return self.node

    def strike(self) -> None:
        """The fault begins now."""
        self.load.began = time.monotonic()
        self.on_event(f"{self.fault.name} on {self.node}")

    def hold(self) -> None:
        """As long as it lasts."""
        time.sleep(max(0.0, self.load.began + self.fault.hold_s - time.monotonic()))


def do(scene: Scene) -> None:
    """From its beginning to the moment when it is undone. Raises `ClusterError` when it cannot be done."""
    actions[scene.fault.name](scene)


def why_not(fault: Fault, config: ClusterConfig, services: set[str]) -> str | None:
    """Why this cluster cannot have the fault, or could not come back from it."""
    name = fault.name.removesuffix("-container")
    if name in ("storage-server", "storage-master", *OF_DATA) and backend_of(config).layout is None:
        return "the storage has no data servers of ours"
    if name in ("older-metadata", "manager-lost") and not copy_nodes(config):
        return "nobody keeps a copy of the metadata: it could not be restored"
    if name in ("bits-flipped", "manager-lost") and (config.storage.replication < 2 or len(config.nodes) < 2):
        return "blocks have one copy: they could not be made again"
    if name != fault.name and name != "storage-master":
        found = any(service == name or service.startswith(f"{name}-") for service in services)
        return None if found else f"the cluster has no {name}"
    return None


# -- in containers ----------------------------------------------------------------------------------------------------

SPARK = {"spark-worker": "deploy.worker.Worker", "spark-master": "deploy.master.Master"}
"""Fault → a word of the daemon's command line."""
SERVICES = {"storage-server": topology.WORKER_NODE, "spark-worker": topology.WORKER_NODE}


def _find(session: Session, scene: Scene, name: str) -> TaskFact:
    """A running container of a service, by chance where there are several; on no manager if that can be."""
    backend = session.backend
    if name == "storage-master":
        assert backend.master is not None
        name = backend.master.name
    service = SERVICES.get(name, name)
    tasks = [task for task in gather_tasks(session.config, session.clients) if task.is_up]
    found = [
        task
        for task in tasks
        if task.service == service
        or (service == topology.WORKER_NODE and is_worker(task.service))
        or (service == topology.METADATA_COPY and task.service.startswith(f"{service}-"))
    ]
    if not found:
        raise ClusterError(Problem(what=f"{service} is not running", hint="`invoke status` says why"))
    away = [task for task in found if task.node != session.config.manager.name]
    chosen = scene.chance.choice(away or found)
    scene.node = chosen.node
    return chosen


def kill_daemon(scene: Scene) -> None:
    """Signal 9 to one daemon."""
    name, backend = scene.fault.name, backend_of(scene.config)
    storage = {"storage-server": backend.server_process, "storage-master": backend.master_process}
    word = storage.get(name) or SPARK[name]
    with scene.open_session() as session:
        task = _find(session, scene, name)
        scene.strike()
        session.clients.node(task.node).script(script("kill_daemon"), task.container_id, word, timeout_s=SIGNAL_S)


def kill_container(scene: Scene) -> None:
    """All of a container at once."""
    with scene.open_session() as session:
        task = _find(session, scene, scene.fault.name.removesuffix("-container"))
        scene.strike()
        session.clients.node(task.node).run(["docker", "kill", "-s", "KILL", task.container_id], timeout_s=SIGNAL_S)


# -- machines ---------------------------------------------------------------------------------------------------------


def kill_engine(scene: Scene) -> None:
    """dockerd alone."""
    node = scene.choose_node()
    scene.strike()
    scene.power.kill_engine(node)


def kill_node(scene: Scene) -> None:
    """Off, and on again."""
    _off_and_on(scene, scene.choose_node())


def kill_manager(scene: Scene) -> None:
    """Its power is cut; its disks stay."""
    scene.node = scene.config.manager.name
    _off_and_on(scene, scene.node)


def kill_all(scene: Scene) -> None:
    """As in a power cut of the whole room."""
    scene.node = "all"
    _off_and_on(scene, *(node.name for node in scene.config.nodes))


def _off_and_on(scene: Scene, *names: str) -> None:
    power = scene.power
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        scene.strike()
        try:
            list(pool.map(power.kill, names))
            scene.hold()
        finally:
            list(pool.map(power.start, names))


def freeze(scene: Scene) -> None:
    """It says nothing, and then goes on as if nothing had been."""
    node = scene.choose_node()
    scene.strike()
    try:
        scene.power.freeze(node)
        scene.hold()
    finally:
        scene.power.thaw(node)


def cut(scene: Scene) -> None:
    """It works, and nobody hears it."""
    node = scene.choose_node()
    scene.strike()
    try:
        scene.power.cut(node)
        scene.hold()
    finally:
        scene.power.join(node)


# -- data -------------------------------------------------------------------------------------------------------------


def flip(scene: Scene) -> None:
    """In one copy of each block alone."""
    node = scene.config.node(scene.choose_node())
    with scene.open_session() as session:
        layout = _layout(session)
        places = [str(disk / layout.top / layout.blocks) for disk in node.data_dirs]
        scene.strike()
        recent = max(1, int(time.monotonic() - scene.load.started))  # this drill's own files, where nobody else writes
        words = (str(recent), str(MOST_FLIPS), layout.block_files, *places)
        said = session.clients.node(node.name).script(script("flip_bits"), *words, timeout_s=SIGNAL_S)
    flipped = said.stdout.count("flipped\t")
    if not flipped:
        raise ClusterError(Problem(node=node.name, what="no block was written there lately: nothing to flip"))
    scene.extra["flipped"] = flipped
    scene.load.read_all_on(node.name)
    with scene.open_session() as session:
        left = _scrub(session, node.name)
    if left is None:
        return
    scene.extra["damaged_after_reading"] = left["damaged"]
    scene.extra["damaged_kept"] = left["kept"]
    if not left["is_whole"]:
        scene.extra["not_read_again"] = True


def _scrub(session: Session, node: str) -> dict[str, int] | None:
    """A pass over all block files of a machine at once; `None` where the data servers make theirs by themselves."""
    tasks = gather_tasks(session.config, session.clients)
    task = next((one for one in tasks if is_worker(one.service) and one.is_up and one.node == node), None)
    if task is None:
        raise ClusterError(Problem(node=node, what="worker-node is not running", hint="`invoke status` says why"))
    words = session.backend.scrub_now(_address(session, task), SCRUB_STATE)
    if not words:
        return None
    client = session.clients.node(node)
    client.run(["docker", "exec", task.container_id, "rm", "-f", SCRUB_STATE], timeout_s=SIGNAL_S)
    command = [*deploy.in_container(task.container_id, SCRUB_S), *words]
    client.run(command, timeout_s=SCRUB_S + SIGNAL_S, check=False, attend=True)
    read = client.run(["docker", "exec", task.container_id, "cat", SCRUB_STATE], timeout_s=SIGNAL_S)
    return counts_of(read.stdout)


def counts_of(state: str) -> dict[str, int]:
    """The numbers of a pass, and `is_whole`: it came to its end, and nothing was left out."""
    found = json.loads(state)
    is_whole = found["ended"] is not None and not found["running"] and not found["errors"]
    return {**{key: value for key, value in found.items() if isinstance(value, int)}, "is_whole": is_whole}


def _address(session: Session, task: TaskFact) -> str:
    """Of its data server: the machine's own without an overlay."""
    return task.addresses[0] if task.addresses else session.config.node(task.node).advertise


def older_metadata(scene: Scene) -> None:
    """The metadata of a while ago in the place of today's; what was there is what a restore brings back."""
    manager = scene.node = scene.config.manager.name
    with scene.open_session() as session:
        layout = _layout(session)
        top = session.config.manager.data_dirs[0] / layout.top
        words = (str(top), f"{top}/drill-{int(time.time())}", *layout.metadata)
        client = session.clients.node(manager)
        client.script(script("older_metadata"), "keep", *words, timeout_s=SIGNAL_S)
        time.sleep(OLDER_WRITES_S)
        scene.load.stop_files()
        with cluster_lock(session, "drill"):
            down.down(session)
        scene.strike()
        client.script(script("older_metadata"), "swap", *words, timeout_s=SIGNAL_S)
    try:
        _locked(scene, deploy.run)
        scene.extra["older_taken"] = True
    except ClusterError as error:
        scene.load.note(1, (f"deploy: {error.problems[0].what}",))
    restored = _restore(scene, manager, newest=True)
    if restored.problems:
        scene.extra["newer_metadata_kept"] = words[1]
    else:
        with scene.open_session() as session:
            session.clients.node(manager).run(["rm", "-rf", "--", words[1]], timeout_s=SIGNAL_S)
    scene.load.resume()


def lose_manager(scene: Scene) -> None:
    """The machine, its disks and its engine; the names come back on another node, the machine as an empty one."""
    old, new = scene.config.manager.name, scene.choose_node()
    scene.node = old
    scene.power.give_base(new)
    scene.strike()
    scene.power.destroy(old)
    scene.load.stop_files()
    result = _restore(scene, new)
    scene.extra |= {
        "new_manager": new,
        "restore_s": result.document.get("seconds"),
        "restore_stages_s": result.document.get("stages"),
        "restore_lost_files": result.document.get("lost_files"),
        "restore_nameless": result.document.get("nameless_blocks"),
    }
    scene.power.name_manager(new)
    scene.power.replace(old)
    _locked(scene, partial(prep.run, adopt=(old,)))
    _locked(scene, lambda session: whole.up(session, lambda _name, _result, _seconds: None))
    scene.load.resume()


def _layout(session: Session) -> StorageLayout:
    layout = session.backend.layout
    assert layout is not None, "is_possible says so"
    return layout


def _locked(scene: Scene, job: Callable[[Session], JobResult], manager: str | None = None) -> JobResult:
    """A job as its task does it. Raises `ClusterError` for its problems."""
    with scene.open_session(manager) as session, cluster_lock(session, "drill"):
        result = job(session)
    if result.problems:
        raise ClusterError(*result.problems)
    return result


def _restore(scene: Scene, manager: str, *, newest: bool = False) -> JobResult:
    """`invoke restore`; names that are gone are a problem of its own, so its result counts, not its exit code."""
    config = scene.config
    wishes = Wishes(old_manager=config.manager.name, name=config.name, newest=newest)
    with scene.open_session(manager) as session, cluster_lock(session, "restore"):
        return restore.run(session, wishes)


actions: dict[str, Callable[[Scene], None]] = {
    **dict.fromkeys(("storage-server", "storage-master", "spark-worker", "spark-master"), kill_daemon),
    **{fault.name: kill_container for fault in FAULTS if fault.name.endswith("-container")},
    "engine-killed": kill_engine,
    "node-killed": kill_node,
    "manager-killed": kill_manager,
    "node-frozen": freeze,
    "network-cut": cut,
    "all-nodes-off": kill_all,
    "bits-flipped": flip,
    "older-metadata": older_metadata,
    "manager-lost": lose_manager,
}
"""The fault's name → what does it."""
