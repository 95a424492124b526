"""What can become of a cluster's directories, a row each: what changed, what the tasks say, what is typed then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.builders.identity_changes import (
    D1,
    D2,
    OLDER,
    RECORDS,
    Change,
    addresses_swapped,
    combined,
    copies_kept,
    disk_copied,
    disk_moved,
    foreign,
    gone,
    joining,
    kind_is,
    managed_by,
    metadata_to,
    mounted_elsewhere,
    new_disk,
    new_manager,
    node_with,
    other_and_back,
    other_metadata,
    prepared_first,
    records,
    renamed,
    snapshot,
    swapped,
    third_disk,
    unmounted,
    with_dirs,
    without,
    without_blocks,
    without_metadata,
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One row. Words without a code mean that the task goes on."""

    name: str
    change: Change
    prep: str = ""
    """What prep says; empty: it goes on."""
    typed: str = ""
    """What the hint names to be typed."""
    deploy: int = 5
    """Its exit code."""
    status: str = ""
    """What status says while the stack runs; empty: it does not see this."""
    add: tuple[str, ...] = ()
    """With what prep was run in the first place."""
    answer: dict[str, Any] = field(default_factory=dict)
    """Prep's flags that are the answer; `undo`: hosts.yml as it was."""
    way: str = ""
    """Where that is more than one command; tests/unit/test_identity_ways_out.py goes it."""
    begins: bool = False
    """The answer asks for a new, empty file system."""
    new_disks: int = 0
    """Disks that are new and get their marker."""


UNDO = {"undo": True}
HERE = {"here": True}
MOUNTED = "is missing although the cluster is initialised"
METADATA_ELSEWHERE = "the file system's metadata is in /mnt/d1 on node1"
WHERE = "has its file system's metadata on node1 in /mnt/d1"
SHAPES = (
    Shape(name="nothing changed", change=combined(), deploy=0),
    Shape(
        name="the manager's data_dir in another order",
        change=node_with("node1", data_dirs=(D2, D1)),
        prep=METADATA_ELSEWHERE,
        typed="write /mnt/d1 first in `data_dir` of node1",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same, and a disk of node3 is not mounted",
        change=combined(node_with("node1", data_dirs=(D2, D1)), unmounted("node3", D2)),
        prep=METADATA_ELSEWHERE,
        typed="write /mnt/d1 first",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same in a cluster of an earlier version",
        change=combined(OLDER, node_with("node1", data_dirs=(D2, D1)), unmounted("node3", D2)),
        prep=METADATA_ELSEWHERE,
        typed="write /mnt/d1 first",
        answer=UNDO,
    ),
    Shape(
        name="the metadata was moved to another node, which is the manager now",
        change=combined(metadata_to("node2", D1), managed_by("node2")),
        prep="the file system's metadata is in /mnt/d1 on node1, as it is written down, and is not there",
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=HERE,
    ),
    Shape(
        name="the same, and the old metadata is there too",
        change=combined(metadata_to("node2", D1, copied=True), managed_by("node2")),
        prep=f"{METADATA_ELSEWHERE}; hosts.yml says /mnt/d1 on node2, where there is some too",
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=HERE,
    ),
    Shape(
        name="the metadata was moved to another disk of the manager, which is the first now",
        change=combined(metadata_to("node1", D2), node_with("node1", data_dirs=(D2, D1))),
        prep="the file system's metadata is in /mnt/d1 on node1, as it is written down, and is not there",
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=HERE,
    ),
    Shape(
        name="the manager is gone for good, and a new machine is the manager",
        change=new_manager(D1, D2),
        prep="has its file system's metadata on node1 in /mnt/d1; hosts.yml says node4 and /mnt/d1",
        typed="`invoke prep --here spark` makes /mnt/d1 on node4 the one for the metadata",
        way="`--here spark`, the metadata from a copy, `--forget node1`",
    ),
    Shape(
        name="the metadata directory is gone, and so is a node",
        change=combined(without_metadata, without("node3")),
        prep="cluster spark has a file system (id 7), and its metadata is not in /mnt/d1",
        typed="or put the metadata back from a copy",
        way="`--forget node3`, the metadata from a copy",
        status="hosts.yml does not have node3",
    ),
    Shape(name="a worker's data_dir in another order", change=node_with("node2", data_dirs=(D2, D1)), deploy=0),
    Shape(
        name="the same, and the worker keeps copies of the metadata",
        change=combined(copies_kept("node2", D1), node_with("node2", data_dirs=(D2, D1))),
        prep="the copies of the metadata that node2 keeps are in /mnt/d1/qfs/copies",
        typed="write /mnt/d1 first in `data_dir` of node2",
        answer=UNDO,
    ),
    Shape(
        name="the metadata directory is gone, and a disk of node3 is not mounted",
        change=combined(without_metadata, unmounted("node3", D2)),
        prep="cluster spark has a file system (id 7), and its metadata is not in /mnt/d1",
        typed="or put the metadata back from a copy",
    ),
    Shape(
        name="metadata of another file system in its place",
        change=other_metadata,
        prep="the metadata in /mnt/d1 is of file system 4711, this cluster's is 7",
        typed="put back the metadata that belongs there",
        status="is of file system 4711",
    ),
    Shape(
        name="a disk of node3 is not mounted",
        change=unmounted("node3", D2),
        prep=MOUNTED,
        typed="`invoke prep --add node3:/mnt/d2`",
        deploy=1,
    ),
    Shape(
        name="the manager's first disk is not mounted",
        change=unmounted("node1", D1),
        prep="/mnt/d1 has no .cluster-id, and cluster spark",
        typed="mount the disk that belongs at /mnt/d1",
    ),
    Shape(
        name="no disk of any machine is mounted",
        change=combined(*(unmounted(f"node{number}", D1, D2) for number in (1, 2, 3))),
        prep="/mnt/d1 has no .cluster-id, and cluster spark",
        typed="mount the disk that belongs at /mnt/d1",
    ),
    Shape(
        name="`--add node2` for a new disk, another disk of node2 is not mounted",
        change=combined(third_disk("node2"), unmounted("node2", D2)),
        add=("node2",),
        prep="--add node2: 2 of its disks are not the cluster's",
        typed="`invoke prep --add node2:/mnt/d2` or `invoke prep --add node2:/mnt/d3`",
        deploy=1,
    ),
    Shape(
        name="`--add node2:/mnt/d3` for a new disk, another disk of node2 is not mounted",
        change=combined(third_disk("node2"), unmounted("node2", D2)),
        add=("node2:/mnt/d3",),
        prep=MOUNTED,
        typed="`invoke prep --add node2:/mnt/d2`",
        new_disks=1,
        deploy=1,
    ),
    Shape(
        name="`--add node2:2` for a new third disk",
        change=third_disk("node2"),
        add=("node2:2",),
        new_disks=1,
        deploy=1,
    ),
    Shape(
        name="a new node with two disks",
        change=joining(D1, D2),
        prep=MOUNTED,
        typed="`invoke prep --add node4:/mnt/d1,node4:/mnt/d2`",
        deploy=1,
        answer={"add": ("node4:/mnt/d1", "node4:/mnt/d2")},
        new_disks=2,
    ),
    Shape(
        name="a new disk in place of a dead one",
        change=new_disk("node2", D1),
        prep=MOUNTED,
        typed="`invoke prep --add node2:/mnt/d1`",
        deploy=1,
        answer={"add": ("node2:/mnt/d1",)},
        new_disks=1,
    ),
    Shape(
        name="data_dir mistyped for all nodes",
        change=with_dirs("/mnt/x1", "/mnt/x2"),
        prep=WHERE,
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same, and a new cluster was meant",
        change=with_dirs("/mnt/x1", "/mnt/x2"),
        prep=WHERE,
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=HERE,
        begins=True,
        new_disks=6,
    ),
    Shape(
        name="data_dir mistyped for one worker",
        change=node_with("node2", data_dirs=("/mnt/x1", D2)),
        prep="/mnt/x1/qfs/.cluster-id is missing",
        typed="this node's disk was in /mnt/d1: set `data_dir` back",
        deploy=1,
        answer=UNDO,
    ),
    Shape(
        name="data_dir mistyped for the manager",
        change=node_with("node1", data_dirs=("/mnt/x1", "/mnt/x2")),
        prep=WHERE,
        typed="set `data_dir` of node1 back",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(name="all disks mounted under other paths, hosts.yml too", change=mounted_elsewhere, deploy=0),
    Shape(
        name="a node taken out of hosts.yml",
        change=without("node3"),
        prep="hosts.yml does not have node3, which is a part of the cluster and has data in /mnt/d1, /mnt/d2",
        typed="`invoke prep --forget node3`",
        status="hosts.yml does not have node3",
        answer={"forget": ("node3",)},
    ),
    Shape(
        name="a disk taken out of data_dir",
        change=node_with("node2", data_dirs=(D1,)),
        prep="hosts.yml does not have /mnt/d2 of node2",
        typed="`invoke prep --forget node2:/mnt/d2`",
        status="hosts.yml does not have /mnt/d2 of node2",
        answer={"forget": ("node2:/mnt/d2",)},
    ),
    Shape(
        name="storage.kind changed",
        change=kind_is("hdfs"),
        prep="cluster spark keeps its files in qfs (/mnt/d1 on node1); hosts.yml says hdfs, which has none",
        typed="set storage.kind back to qfs",
        status="keeps its files in qfs",
        answer=UNDO,
    ),
    Shape(
        name="the same, and an empty HDFS was meant",
        change=kind_is("hdfs"),
        prep="cluster spark keeps its files in qfs",
        typed="`invoke prep --here spark`",
        status="keeps its files in qfs",
        answer=HERE,
        begins=True,
        new_disks=6,
    ),
    Shape(
        name="storage.kind changed to shared",
        change=kind_is("shared"),
        prep="cluster spark keeps its files in qfs",
        typed="set storage.kind back to qfs",
        status="keeps its files in qfs",
        answer=UNDO,
    ),
    Shape(
        name="storage.kind changed to one that was prepared once and never used",
        change=prepared_first("hdfs"),
        prep="cluster spark keeps its files in qfs",
        typed="set storage.kind back to qfs",
        status="keeps its files in qfs",
        answer=UNDO,
    ),
    Shape(name="storage.kind changed, used, and changed back", change=other_and_back, deploy=0),
    Shape(
        name="another manager named in a second file",
        change=managed_by("node2"),
        prep=METADATA_ELSEWHERE,
        typed="set `manager: true` for node1",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same, and the second file does not have the manager",
        change=combined(without("node1"), managed_by("node2")),
        prep="/mnt/d1 is not the disk with the metadata: that is disk 0 of node1",
        typed="set `manager: true` for node1",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same in a cluster of an earlier version",
        change=combined(OLDER, managed_by("node2")),
        prep=METADATA_ELSEWHERE,
        typed="set `manager: true` for node1",
        answer=UNDO,
    ),
    Shape(
        name="a node renamed",
        change=renamed("node2", "rack1"),
        prep="/mnt/d1 is disk 0 of node2, /mnt/d2 is disk 1 of node2, and hosts.yml has no node2",
        typed="`invoke prep --add rack1`",
        status="hosts.yml does not have node2",
        answer={"add": ("rack1",)},
    ),
    Shape(
        name="the manager renamed",
        change=renamed("node1", "head"),
        prep="/mnt/d1 is disk 0 of node1, /mnt/d2 is disk 1 of node1, and hosts.yml has no node1",
        typed="`invoke prep --add head`",
        status="hosts.yml does not have node1",
        answer={"add": ("head",)},
    ),
    Shape(
        name="a disk moved to another node",
        change=disk_moved,
        prep="/mnt/d3 is disk 1 of node2",
        typed="`invoke prep --add node3:/mnt/d3`",
        status="hosts.yml does not have /mnt/d2 of node2",
        answer={"add": ("node3:/mnt/d3",)},
    ),
    Shape(
        name="two nodes' disks swapped",
        change=swapped("node2", "node3", D1),
        prep="/mnt/d1 is disk 0 of node3",
        typed="`invoke prep --add node2:/mnt/d1`",
        answer={"add": ("node2:/mnt/d1", "node3:/mnt/d1")},
    ),
    Shape(
        name="the manager's first disk and a worker's swapped",
        change=swapped("node1", "node3", D1),
        prep="the file system's metadata is in /mnt/d1 on node3; hosts.yml says /mnt/d1 on node1",
        typed="set `manager: true` for node3",
    ),
    Shape(
        name="two nodes' addresses swapped in hosts.yml",
        change=addresses_swapped,
        prep="/mnt/d1 is disk 0 of node3, /mnt/d2 is disk 1 of node3",
        typed="`invoke prep --add node2:/mnt/d1,node2:/mnt/d2`",
        answer=UNDO,
    ),
    Shape(
        name="a snapshot of the manager from before a node joined",
        change=snapshot("node1", grown=True),
        prep="the manager's record is older",
        typed="bring the newer disks back",
    ),
    Shape(name="a snapshot of a worker from before a node joined", change=snapshot("node2", grown=True), deploy=0),
    Shape(
        name="a snapshot of a worker since which no disk came or went",
        change=snapshot("node2", grown=False),
        deploy=0,
    ),
    Shape(
        name="a disk of another cluster in a worker",
        change=foreign("node2", D1),
        prep="/mnt/d1/qfs/.cluster-id says 99999999-0000-0000-0000-00000000beef, this cluster is",
        typed="this disk belongs to another cluster; it is not touched",
        deploy=1,
    ),
    Shape(
        name="a disk of another cluster as the manager's first",
        change=foreign("node1", D1),
        prep="this machine remembers cluster spark as 99999999-0000-0000-0000-000000000000",
        typed="put the one that belongs at /mnt/d1 on node1 back",
        status="this machine remembers cluster spark as 99999999-0000-0000-0000-000000000000",
    ),
    Shape(
        name="a copy of a disk next to it",
        change=disk_copied,
        prep="/mnt/d2 says that it is disk 1 of node2, and so does /mnt/d3 on node2",
        typed="take the copy out of `data_dir`",
        answer=UNDO,
    ),
    Shape(
        name="systems installed again: no machine remembers",
        change=records(gone, "lib/sparkqfs/spark.qfs.json"),
        deploy=0,
    ),
    Shape(name="the copies on the disks are gone", change=records(gone, ".cluster.json"), deploy=0),
    Shape(name="all copies are gone, as in a cluster of an earlier version", change=OLDER, deploy=0),
    Shape(
        name="a cluster of an earlier version, and a disk is not mounted",
        change=combined(OLDER, unmounted("node3", D2)),
        prep=MOUNTED,
        typed="`invoke prep --add node3:/mnt/d2`",
        deploy=1,
    ),
    Shape(
        name="copies on the disks are cut off",
        change=records(lambda text: text[:90], ".cluster.json"),
        deploy=0,
        status="/mnt/d1/qfs/.cluster.json cannot be read",
    ),
    Shape(
        name="copies are 200,000 brackets",
        change=records(lambda _: "[" * 200_000, "lib/sparkqfs/spark.qfs.json"),
        deploy=0,
        status="/var/lib/sparkqfs/spark.qfs.json cannot be read",
    ),
    Shape(
        name="all copies are cut off, and a disk is not mounted",
        change=combined(records(lambda text: text[:90], *RECORDS), unmounted("node3", D2)),
        prep=MOUNTED,
        typed="`invoke prep --add node3:/mnt/d2`",
        status="cannot be read: it is not a record of a cluster, or it is damaged",
        deploy=1,
    ),
    Shape(
        name="all copies are cut off, and the metadata directory is gone",
        change=combined(records(lambda text: text[:90], *RECORDS), without_blocks, without_metadata),
        prep=".json cannot be read: it is not a record of a cluster, or it is damaged; it may say where the data",
        typed="`invoke prep --here spark`",
        status="cannot be read: it is not a record of a cluster, or it is damaged",
    ),
    Shape(
        name="a newer version has written the copies",
        change=records(lambda text: text.replace('"schema": 1', '"schema": 2'), *RECORDS),
        prep="a newer version has written it (schema 2)",
        typed="use that version, or a newer one",
        status="a newer version has written it",
    ),
)
"""The facts of a cluster of three nodes with two disks each, files in it, and one thing changed."""
