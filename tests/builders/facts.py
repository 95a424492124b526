"""Builders of facts: a machine on which nothing is wrong and prep has nothing left to do, unless a test says so."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import DiskFact, MetaFact, NodeFacts, PathFact, RecoveryFact
from sparkqfs.facts.record import ClusterRecord, DiskName, RecordFact
from sparkqfs.plan.cluster.directories import wanted_directories
from sparkqfs.plan.cluster.nodes import FreshMaterial
from sparkqfs.plan.cluster.recovery import recovery_path, state_of
from sparkqfs.plan.steps import Secret
from tests.builders.clusters import a_cluster

CLUSTER_ID = "11111111-2222-3333-4444-555555555555"
FRESH_ID = "99999999-8888-7777-6666-000000000000"
CA_PEM = "-----BEGIN CERTIFICATE-----\nZm9yIHRlc3Rz\n-----END CERTIFICATE-----\n"
SECRETS = {
    "jupyter_token": "jupyter-token-value",
    "spark_secret": "spark-secret-value",
    "registry_password": "registry-password-value",
    "cluster_key": "cluster-key-value",
    "metadata_key": "key-of-the-copies",
}


MATERIAL = hashlib.sha256(b"the manager's root-only files").hexdigest()


def fresh(**overrides: Any) -> FreshMaterial:
    """Material as jobs.prep makes it on a cluster whose manager has a CA."""
    values: dict[str, Any] = {
        "cluster_id": FRESH_ID,
        "secrets": Secret("fresh-secrets-value"),
        "ca_pem": CA_PEM,
        "ca_is_new": False,
    }
    return FreshMaterial(**(values | overrides))


def fresh_ca() -> FreshMaterial:
    """Material of a first prep."""
    return fresh(
        ca_is_new=True, ca_key=Secret("ca-key-value"), server_pem="server-pem", server_key=Secret("server-key-value")
    )


def a_node(
    name: str, config: ClusterConfig | None = None, *, marker: str | None = CLUSTER_ID, **more: Any
) -> NodeFacts:
    """A prepared machine of `config`. `more` are fields of NodeFacts; `blocks` goes into every disk."""
    config = config or a_cluster()
    node = config.node(name)
    owner = config.owner
    blocks = more.pop("blocks", 0)
    paths = {
        path: PathFact(path=path, kind="directory", uid=owner.uid, gid=owner.gid, mode=0o750)
        for path in wanted_directories(config, node)
    }
    keeps_copy = node in copy_nodes(config) and marker is not None
    copy = recovery_path(config, name)
    if node.manager or keeps_copy:
        paths[copy.parent] = PathFact(path=copy.parent, kind="directory", uid=0, gid=0, mode=0o700, empty=False)
    if keeps_copy:
        paths[copy] = PathFact(path=copy, kind="file", uid=0, gid=0, mode=0o600)
    values: dict[str, Any] = {
        "name": name,
        "hostname": name,
        "architecture": "x86_64",
        "cores": 8,
        "memory_mib": 16384,
        "engine_version": "20.10.24+dfsg1",
        "user_by_name": (owner.user, owner.uid),
        "user_by_id": (owner.user, owner.uid),
        "group_by_name": (owner.group, owner.gid),
        "group_by_id": (owner.group, owner.gid),
        "paths": paths,
        "disks": tuple(
            DiskFact(
                path=disk,
                marker=marker,
                cluster=config.name if marker is not None else None,
                free_bytes=100 << 30,
                total_bytes=200 << 30,
                has_blocks=blocks > 0,
                blocks=blocks,
                block_bytes=blocks << 20,
            )
            for disk in node.data_dirs
        ),
        "trusted_ca": hashlib.sha256(CA_PEM.encode()).hexdigest(),
        "containers": (),
        "ca_pem": CA_PEM if node.manager else None,
        "insecure_registries": ("127.0.0.0/8", *([] if config.registry.tls else [config.registry_address])),
        "has_secrets": node.manager,
        "material": MATERIAL if node.manager else None,
        "recovery": a_copy(config, marker) if keeps_copy and marker is not None else None,
    }
    if marker is not None and "records" not in more:
        values["records"] = copies_on(config, name, a_record(config, id=marker))
    return NodeFacts(**(values | more))


def a_copy(config: ClusterConfig | None = None, cluster_id: str = CLUSTER_ID, **changes: Any) -> RecoveryFact:
    """What a node says of its copy of the manager's secrets: it is up to date, unless a test says otherwise."""
    config = config or a_cluster()
    state = state_of(config, cluster_id, MATERIAL)
    values: dict[str, Any] = {
        "cluster": config.name,
        "cluster_id": cluster_id,
        "storage": config.storage.kind,
        "written": 7,
        "material": MATERIAL,
        "state": state,
        "whole": True,
    }
    return RecoveryFact(**(values | changes))


def a_record(config: ClusterConfig, **overrides: Any) -> ClusterRecord:
    """What is written down of a cluster in which no file system was made yet."""
    has_disks = config.storage.kind != "shared"
    disks = {DiskName(node.name, at): path for node in config.nodes for at, path in enumerate(node.data_dirs)}
    values: dict[str, Any] = {
        "cluster": config.name,
        "id": CLUSTER_ID if has_disks else "",
        "storage": config.storage.kind,
        "metadata": DiskName(config.manager.name, 0),
        "disks": disks if has_disks else {},
        "shared_path": None if has_disks else config.shared_directory,
    }
    return ClusterRecord(**(values | overrides))


def copies_on(config: ClusterConfig, name: str, record: ClusterRecord) -> tuple[RecordFact, ...]:
    """The copies of a record on a machine, in all of their places."""
    node = config.node(name)
    folders = [PurePosixPath("/var/lib"), *([node.data_dirs[0]] if node.manager else [])]
    places = [folder / "sparkqfs" / f"{config.name}.{config.storage.kind}.json" for folder in folders]
    found = [RecordFact(path=path, record=record, node=name) for path in places]
    for at, disk in enumerate(node.data_dirs if config.storage.kind != "shared" else ()):
        path = disk / config.storage.kind / ".cluster.json"
        found.append(RecordFact(path=path, record=record, node=name, disk=DiskName(name, at)))
    return tuple(found)


def a_fresh_node(name: str, config: ClusterConfig | None = None) -> NodeFacts:
    """A machine that prep has never seen."""
    config = config or a_cluster()
    empty = a_node(name, config, marker=None, paths={}, trusted_ca=None, ca_pem=None, has_secrets=False, material=None)
    empty = replace(empty, insecure_registries=("127.0.0.0/8",))
    return replace(empty, user_by_name=None, user_by_id=None, group_by_name=None, group_by_id=None)


def prepared(config: ClusterConfig, **changed: NodeFacts) -> dict[str, NodeFacts]:
    """Facts of a cluster that is prepared; `changed` replaces some."""
    return {node.name: changed.get(node.name) or a_node(node.name, config) for node in config.nodes}


def with_path(fact: NodeFacts, path: str, **changes: Any) -> NodeFacts:
    """The same machine with one path different."""
    where = PurePosixPath(path)
    found = fact.paths.get(where) or PathFact(path=where, kind="directory")
    return replace(fact, paths={**fact.paths, where: replace(found, **changes)})


INITIALISED = MetaFact(checkpoints=1, logs=1, latest=True, file_system_id="7")
