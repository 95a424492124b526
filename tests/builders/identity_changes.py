"""What can become of a cluster's machines and of hosts.yml: each changes a world and gives the new hosts.yml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.worlds import Machine, World, a_grown_world, prep, put_blocks, world_of
from tests.builders.worlds import init as init_world

D1, D2, D3 = "/mnt/d1", "/mnt/d2", "/mnt/d3"
Change = Callable[[World, ClusterConfig], ClusterConfig]


def a_config(**overrides: Any) -> ClusterConfig:
    """Three nodes with two disks each."""
    dirs = (PurePosixPath(D1), PurePosixPath(D2))
    nodes = tuple(a_node_config(f"node{number + 1}", number, data_dirs=dirs) for number in range(3))
    return a_cluster(**({"nodes": nodes} | overrides))


def nodes_with(config: ClusterConfig, node: str, /, **changes: Any) -> ClusterConfig:
    """The same with one node changed."""
    if "data_dirs" in changes:
        changes["data_dirs"] = tuple(map(PurePosixPath, changes["data_dirs"]))
    return replace(config, nodes=tuple(replace(one, **changes) if one.name == node else one for one in config.nodes))


def unmounted(name: str, *paths: str) -> Change:
    """Disks of a node that are not mounted."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        for path in paths:
            world.shelf.append(world.at(config, name).disks.pop(path))
        return config

    return change


def combined(*changes: Change) -> Change:
    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        for one in changes:
            config = one(world, config)
        return config

    return change


def node_with(node: str, /, **changes: Any) -> Change:
    return lambda _world, config: nodes_with(config, node, **changes)


def with_dirs(*paths: str) -> Change:
    """Other data directories for all nodes."""

    def change(_world: World, config: ClusterConfig) -> ClusterConfig:
        for node in config.nodes:
            config = nodes_with(config, node.name, data_dirs=paths)
        return config

    return change


def without(name: str) -> Change:
    return lambda _world, config: replace(config, nodes=tuple(one for one in config.nodes if one.name != name))


def managed_by(name: str) -> Change:
    def change(_world: World, config: ClusterConfig) -> ClusterConfig:
        return replace(config, nodes=tuple(replace(one, manager=one.name == name) for one in config.nodes))

    return change


def swapped(one: str, other: str, path: str) -> Change:
    """The disks of two nodes, each in the other's place."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        first, second = world.at(config, one).disks, world.at(config, other).disks
        first[path], second[path] = second[path], first[path]
        return config

    return change


def addresses_swapped(world: World, config: ClusterConfig) -> ClusterConfig:
    two, three = config.node("node2"), config.node("node3")
    config = nodes_with(config, "node2", address=three.address, advertise=three.address)
    return nodes_with(config, "node3", address=two.address, advertise=two.address)


def copies_kept(node: str, path: str) -> Change:
    """A node that keeps copies of the metadata, on that disk."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        world.at(config, node).write(f"{path}/qfs/copies/000001/about.json", "{}")
        return config

    return change


def disk_moved(world: World, config: ClusterConfig) -> ClusterConfig:
    """node2's second disk is now a third of node3."""
    world.at(config, "node3").disks[D3] = world.at(config, "node2").disks.pop(D2)
    config = nodes_with(config, "node2", data_dirs=(D1,))
    return nodes_with(config, "node3", data_dirs=(D1, D2, D3))


def mounted_elsewhere(world: World, config: ClusterConfig) -> ClusterConfig:
    """All disks under other paths, hosts.yml too."""
    for machine in world.machines.values():
        machine.disks = {path.replace("/mnt/d", "/srv/d"): files for path, files in machine.disks.items()}
    return with_dirs("/srv/d1", "/srv/d2")(world, config)


def kind_is(kind: str) -> Change:
    def change(_world: World, config: ClusterConfig) -> ClusterConfig:
        shared = SharedConfig(path=PurePosixPath("/mnt/nfs") if kind == "shared" else None)
        return replace(config, storage=StorageConfig(kind=kind, shared=shared))  # type: ignore[arg-type]

    return change


def prepared_first(kind: str) -> Change:
    """Before QFS was begun, prep had run with another kind."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        other, first = kind_is(kind)(world, config), world_of(config)
        plan, _ = prep(first, other)
        assert not plan.problems
        for machine, old in zip(world.machines.values(), first.machines.values(), strict=True):
            for path in old.names(""):
                if machine.read(path) is None:
                    machine.write(path, str(old.read(path)))
        return other

    return change


def other_and_back(world: World, config: ClusterConfig) -> ClusterConfig:
    """HDFS was begun beside QFS, and used; then the kind is changed back."""
    other = kind_is("hdfs")(world, config)
    plan, _ = prep(world, other, here=True)
    assert not plan.problems
    init_world(world, other, "BP-1")
    put_blocks(world, other)
    return config


def snapshot(name: str, *, grown: bool) -> Change:
    """A node's whole machine as it was; `grown`: since then a node has joined."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        old = world.again()
        if grown:
            node = a_node_config("node4", 3, manager=False, data_dirs=(PurePosixPath(D1),))
            config = replace(config, nodes=(*config.nodes, node))
            world.at(config, "node4").disks[D1] = {}
            plan, _ = prep(world, config, add=("node4",))
            assert not plan.problems
            world.at(config, "node4").write(f"{D1}/qfs/chunk/2.2.2", "block of node4")
        world.machines[config.node(name).address] = old.at(config, name)
        return config

    return change


def foreign(name: str, path: str) -> Change:
    """A disk of a cluster of another id and the same name."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        other = a_grown_world(config)
        files = dict(other.at(config, name).disks[path])
        files["qfs/.cluster-id"] = "99999999-0000-0000-0000-00000000beef\n"
        files["qfs/.cluster.json"] = files["qfs/.cluster.json"].replace("000000000000", "00000000beef")
        world.shelf.append(world.at(config, name).disks[path])
        world.at(config, name).disks[path] = files
        return config

    return change


def disk_copied(world: World, config: ClusterConfig) -> ClusterConfig:
    """A disk of node2 was copied, and the copy is in hosts.yml too."""
    disks = world.at(config, "node2").disks
    disks[D3] = dict(disks[D2])
    return nodes_with(config, "node2", data_dirs=(D1, D2, D3))


def records(change_text: Callable[[str], str | None], *places: str) -> Change:
    """Every copy whose path ends like this becomes something else, or goes."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        for node in config.nodes:
            machine = world.at(config, node.name)
            for path in machine.names(""):
                if path.endswith(places):
                    files, name = machine._of(path)
                    text = change_text(files.pop(name))
                    if text is not None:
                        files[name] = text
        return config

    return change


def gone(_text: str) -> None:
    return None


RECORDS = (".cluster.json", ".qfs.json")
OLDER = records(gone, *RECORDS)


def without_blocks(world: World, config: ClusterConfig) -> ClusterConfig:
    """No file was written yet."""
    for machine in world.machines.values():
        for files in machine.disks.values():
            for name in [name for name in files if "chunk" in name]:
                del files[name]
    return config


def without_metadata(world: World, config: ClusterConfig) -> ClusterConfig:
    files = world.at(config, "node1").disks[D1]
    world.shelf.append({name: files.pop(name) for name in list(files) if "checkpoint" in name})
    return config


def other_metadata(world: World, config: ClusterConfig) -> ClusterConfig:
    without_metadata(world, config)
    world.at(config, "node1").write(f"{D1}/qfs/checkpoint/chkpt.0.0.9", "4711")
    return config


def metadata_to(name: str, path: str, *, copied: bool = False) -> Change:
    """The metadata is put on another disk; `copied`: it is still on the old one, too."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        files = world.at(config, "node1").disks[D1]
        for file in [file for file in files if "checkpoint" in file]:
            world.at(config, name).disks[path][file] = files[file] if copied else files.pop(file)
        return config

    return change


def joining(*dirs: str) -> Change:
    """A new machine is in hosts.yml."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        node = a_node_config("node4", 3, manager=False, data_dirs=tuple(map(PurePosixPath, dirs)))
        world.machines[node.address] = Machine(disks={path: {} for path in dirs})
        return replace(config, nodes=(*config.nodes, node))

    return change


def new_manager(*dirs: str) -> Change:
    """node1 is gone for good, and a new machine with empty disks is to be the manager."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        node = a_node_config("node4", 3, manager=True, data_dirs=tuple(map(PurePosixPath, dirs)))
        world.shelf += world.machines.pop(config.node("node1").address).disks.values()
        world.machines[node.address] = Machine(disks={path: {} for path in dirs})
        return replace(config, nodes=(node, *(one for one in config.nodes if one.name != "node1")))

    return change


def new_disk(name: str, path: str) -> Change:
    """A disk is dead, and there is a new one at its place."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        disks = world.at(config, name).disks
        world.shelf.append(disks[path])
        disks[path] = {}
        return config

    return change


def third_disk(name: str) -> Change:
    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        world.at(config, name).disks[D3] = {}
        return nodes_with(config, name, data_dirs=(D1, D2, D3))

    return change


def renamed(old: str, new: str) -> Change:
    return node_with(old, name=new)
