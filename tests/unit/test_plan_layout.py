"""plan/cluster/layout.py: what a layout survives, costs and keeps local."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparkqfs.config.model import ClusterConfig, SharedConfig, SparkConfig, StorageConfig, StorageKind
from sparkqfs.config.redundancy import Redundancy
from sparkqfs.facts.pages import StorageFact
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.cluster.layout import advised, incomplete, layout, layout_document, layout_line, layout_table
from sparkqfs.plan.watching.cluster_status import ClusterStatus
from tests.builders.clusters import a_cluster
from tests.paths import ROOT

SIX_THREE = Redundancy(1, 6, 3)


def cluster(nodes: int, kind: StorageKind = "qfs", replication: int | None = None, **conf: str) -> ClusterConfig:
    """So many nodes; `conf` is `createParams` of QFS."""
    names = tuple(f"node{number + 1}" for number in range(nodes))
    storage = StorageConfig(kind=kind, replication=replication or min(2, nodes))
    settings = tuple((f"spark.hadoop.fs.qfs.{key}", value) for key, value in conf.items())
    return a_cluster(*names, storage=storage, spark=SparkConfig(conf=settings))


@pytest.mark.parametrize(("copies", "nodes", "survives"), [(1, 1, 0), (1, 5, 0), (2, 2, 1), (2, 9, 1), (3, 3, 2)])
def test_of_plain_copies_all_but_one_may_be_lost(copies: int, nodes: int, survives: int) -> None:
    found = layout(Redundancy(copies), nodes)
    assert (found.survives, found.promises, found.holds) == (survives, copies - 1, True)
    assert (found.bytes_per_byte, found.local_share) == (float(copies), 1.0)


@pytest.mark.parametrize(
    ("nodes", "survives"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 2), (9, 3), (12, 3)]
)
def test_a_stripe_holds_its_promise_only_where_each_piece_has_its_own_node(nodes: int, survives: int) -> None:
    found = layout(SIX_THREE, nodes)
    assert (found.survives, found.holds) == (survives, nodes >= 9)
    assert found.promises == 3 and found.bytes_per_byte == 1.5


def test_of_a_stripe_a_task_finds_its_share_of_the_pieces_on_its_node() -> None:
    # measured on three nodes: 67 % of the bytes came over the network
    assert layout(SIX_THREE, 3).local_share == pytest.approx(1 / 3)
    assert layout(SIX_THREE, 9).local_share == pytest.approx(1 / 6)


@pytest.mark.parametrize(("nodes", "copies"), [(1, 1), (2, 2), (3, 2), (20, 2)])
def test_two_copies_are_advised_where_there_are_two_nodes(nodes: int, copies: int) -> None:
    assert advised(nodes) == Redundancy(copies)
    assert [row["name"] for row in layout_table(cluster(nodes)) if row["advised"]] == [f"replication {copies}"]


def test_the_line_says_what_is_survived_and_what_it_costs() -> None:
    assert layout_line(cluster(3)) == (
        "replication 2 on 3 nodes: survives the loss of 1 node, 2.0 bytes on disk a byte, all reads can be local; "
        "the names of files are on the manager, copied to node2 and node3"
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (cluster(1), "survives no loss of a node"),
        (cluster(3, replication=1), "advised: replication 2"),
        (cluster(2), "while a node is down, new files lack a copy"),
        (cluster(2, "hdfs"), "the names of files are on the manager, copied to node2"),
        (cluster(1, "hdfs"), "`invoke backup` makes their only copy"),
        (cluster(9, createParams="S"), "Reed-Solomon 6+3 on 9 nodes: survives the loss of 3 nodes, 1.5 bytes"),
        (cluster(9, createParams="S"), "17% of the reads local"),
        (cluster(3, createParams="1"), "replication 1 on 3 nodes"),
    ],
)
def test_the_line_says_what_is_special(config: ClusterConfig, words: str) -> None:
    assert words in layout_line(config)


def test_a_storage_of_others_has_no_layout_of_ours() -> None:
    config = a_cluster(storage=StorageConfig(kind="shared", shared=SharedConfig(path=Path("/mnt/nfs"))))  # type: ignore[arg-type]
    assert layout_document(config) is None and layout_table(config) == [] and incomplete(config, 0) is None
    assert "storage.replication does not count" in layout_line(config)


def test_stripes_are_offered_only_where_the_storage_has_them() -> None:
    kinds: tuple[StorageKind, ...] = ("qfs", "hdfs")
    names = {kind: {row["name"] for row in layout_table(cluster(3, kind))} for kind in kinds}
    assert names["qfs"] - names["hdfs"] == {"Reed-Solomon 6+3"}


@pytest.mark.parametrize(("up", "lacks"), [(3, None), (2, None), (1, "new files get 1 of 2 copies"), (0, "0 of 2")])
def test_with_fewer_servers_up_than_copies_new_files_lack_some(up: int, lacks: str | None) -> None:
    found = incomplete(cluster(3), up)
    assert found is None if lacks is None else lacks in (found or "")


def test_with_fewer_servers_up_than_pieces_some_lie_together() -> None:
    assert incomplete(cluster(9, createParams="S"), 8) == "new files get their 9 pieces on 8 chunkservers"


@pytest.mark.parametrize(("nodes", "told"), [(("10.0.0.2",), True), (("10.0.0.2", "10.0.0.3"), False)])
def test_status_says_that_new_files_cannot_get_all_copies(nodes: tuple[str, ...], told: bool) -> None:
    fact = StorageFact(
        up_hosts=nodes,
        down=1,
        total_bytes=1,
        used_bytes=0,
        free_bytes=1,
        recovering=False,
        files=0,
        blocks=0,
        replications_pending=0,
        file_system_id="1",
    )
    found = ClusterStatus(tasks=(), deployed=True, spark="no", storage=fact, jupyter=None, urls={})
    session = Session(cluster(3), clients=None, on_event=print)  # type: ignore[arg-type]
    lacking = [one for one in status.find_problems(session, found) if "new files get 1 of 2 copies" in one.what]
    assert [one.config_path for one in lacking] == (["storage.replication"] if told else [])


def test_the_page_has_the_figures_of_the_code() -> None:
    text = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+)(?: or more| to (\d+))? \| (\d|–) \| (\d|–) \| (\d|–) \| (\d) \|$", text, re.MULTILINE)
    assert len(rows) >= 6
    seen: set[int] = set()
    for first, last, *survived in rows:
        for nodes in range(int(first), int(last or first) + 1):
            seen.add(nodes)
            found = [layout(Redundancy(copies), nodes) for copies in (1, 2, 3)]
            expected = [str(one.survives) if one.holds else "–" for one in found]
            assert survived == [*expected, str(layout(SIX_THREE, nodes).survives)], nodes
    assert seen == set(range(1, 10))
