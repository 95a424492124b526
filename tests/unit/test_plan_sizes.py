"""plan/sizes.py: executors that fit into what the machines have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.config.loading import load_config
from sparkqfs.config.model import NotebooksConfig, SparkConfig, StorageConfig
from sparkqfs.config.writing import dump_config
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.jobs.cluster import whole
from sparkqfs.jobs.session import Session
from sparkqfs.local.hosts_file import SMALL_MIB, sized_nodes
from sparkqfs.plan.services import single_services
from sparkqfs.plan.sizes import HEAP_MIN_MIB, Sizing, sizing, sizing_document, sizing_lines
from tests.builders.facts import a_node
from tests.builders.sizes import Machine, cluster, sized


def refused(*machines: Machine, **settings: Any) -> tuple[Problem, ...]:
    with pytest.raises(ClusterError) as caught:
        sized(*machines, **settings)
    return caught.value.problems


def used(found: Sizing) -> dict[str, tuple[int, int]]:
    """Executors and cores in use, by node."""
    return {name: (count, count * found.executor.cores) for name, count in found.counts.items()}


def spark(count: int = 2, **conf: str) -> SparkConfig:
    """`conf` are settings under `spark.executor.`."""
    settings = tuple((f"spark.executor.{key}", value) for key, value in conf.items())
    return SparkConfig(executors_per_worker=count, conf=settings)


# --- equal machines ---


@pytest.mark.parametrize(("count", "cores"), [(1, 8), (2, 4), (3, 2), (8, 1)])
def test_equal_machines_run_as_many_executors_as_are_set(count: int, cores: int) -> None:
    found = sized((8, 32768), (8, 32768), spark=spark(count))
    assert used(found) == {"node1": (count, count * cores), "node2": (count, count * cores)}


MACHINES = [
    [(1, 5120)],
    [(2, 6144), (1, 2048)],
    [(2, 6000), (1, 1968)],
    [(4, 8192), (4, 8192), (4, 8192)],
    [(16, 64000), (4, 8000), (4, 64000)],
    [(16, 8000), (4, 64000)],
    [(64, 262144), (64, 262144)],
    [(8, 16384), (2, 3072), (3, 5000)],
]


@pytest.mark.parametrize("machines", MACHINES, ids=str)
@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_what_is_shared_out_is_never_more_than_the_machine_has(machines: list[Machine], kind: Any) -> None:
    if kind == "hdfs":  # a datanode is a JVM
        machines = [(cores, mib + 512) for cores, mib in machines]
    found = sized(*machines, storage=StorageConfig(kind=kind, replication=1))
    executor = found.executor
    assert executor.heap_mib >= HEAP_MIN_MIB
    assert executor.memory_mib == executor.heap_mib + executor.overhead_mib + executor.python_mib
    for node, (cores, mib) in zip(found.nodes, machines, strict=True):
        count = found.counts[node.name]
        inside, outside = (sum(share.mib for share in shares) for shares in (node.inside, node.outside))
        assert count >= 1 and count * executor.cores <= cores
        assert count * executor.memory_mib + inside <= found.limit_mib(node)
        assert found.limit_mib(node) + outside <= mib


@pytest.mark.parametrize("machines", MACHINES, ids=str)
def test_outside_the_heap_there_is_room_for_the_jvm_and_for_python(machines: list[Machine]) -> None:
    # measured: a JVM with a heap of 480 MiB needs little more in all, one Python worker with pandas 150 MiB a core
    executor = sized(*machines, storage=StorageConfig(replication=1)).executor
    assert executor.overhead_mib >= max(224 + 32 * executor.cores, executor.heap_mib // 10)
    assert executor.python_mib >= max(192 * executor.cores, executor.memory_mib // 5)
    assert 64 <= executor.python_worker_mib < executor.python_mib // executor.cores


def test_machines_of_one_kind_get_one_limit_the_manager_too() -> None:
    found = sized((8, 16384), (8, 16384))
    assert len({found.limit_mib(node) for node in found.nodes}) == 1


# --- unequal machines ---


@pytest.mark.parametrize("machines", [[(2, 6144), (1, 2048)], [(2, 6000), (1, 1968)]])
def test_a_machine_of_one_core_and_2_gb_and_one_of_two_and_6_gb_are_both_used(machines: list[Machine]) -> None:
    assert used(sized(*machines)) == {"node1": (2, 2), "node2": (1, 1)}


def test_a_larger_machine_runs_more_executors_of_the_smaller_ones_size() -> None:
    assert used(sized((16, 64000), (4, 8000))) == {"node1": (8, 16), "node2": (2, 4)}


def test_cores_stay_idle_rather_than_that_executors_starve() -> None:
    found = sized((16, 8000), (4, 64000))
    assert used(found) == {"node1": (2, 4), "node2": (2, 4)}
    assert any("unused: 12 cores" in line for line in sizing_lines(found))


def test_fewer_executors_than_set_run_where_the_memory_is_too_little_for_more() -> None:
    found = sized((2, 5120), storage=StorageConfig(replication=1))
    assert used(found) == {"node1": (1, 2)}


# --- who takes what ---


def shares(found: Sizing, name: str) -> set[str]:
    return {share.what for share in (*found.of(name).outside, *found.of(name).inside)}


def test_the_manager_keeps_memory_for_what_runs_there_alone() -> None:
    config, facts = cluster((8, 16384), (8, 16384))
    found = sizing(config, facts)
    alone = shares(found, "node1") - shares(found, "node2")
    assert alone >= {"metaserver", "history server", "Spark master", "metastore", "Jupyter and a driver"}
    assert alone == {
        "registry",
        *(
            share.what
            for service in single_services(config)
            if service.place(config) == config.manager
            for share in service.shares(config, 16384)
        ),
    }
    assert {"system", "Spark worker", "chunkserver"} <= shares(found, "node2")


def test_what_may_run_anywhere_counts_everywhere() -> None:
    anywhere = sized((8, 16384), (8, 16384), notebooks=NotebooksConfig(shared=True))
    assert "Jupyter and a driver" in shares(anywhere, "node2")


def test_a_file_server_has_its_share_of_the_container_where_the_machine_has_room_for_it() -> None:
    found = sized((8, 16384), (4, 8192), (1, 2048))
    assert [("file server" in shares(found, node.name)) for node in found.nodes] == [True, True, False]
    large = found.of("node2")
    executors = found.counts["node2"] * found.executor.memory_mib
    assert found.limit_mib(large) == executors + 384 + 320 + 256
    assert "file server" not in shares(sized((8, 16384), nodes={0: {"daemons_memory_mib": 512}}), "node1")


def test_the_arithmetic_is_shown() -> None:
    found = sized((8, 16384), (8, 16384))
    node = found.of("node2")
    assert node.arithmetic == (
        "16384 MiB - system 1365 - copy of the metadata 16 - Spark worker 384 - chunkserver 320 "
        "- file server 256 = 14043 for executors"
    )
    assert node.arithmetic in "\n".join(sizing_lines(found))


@pytest.mark.parametrize(("before", "after"), [(16383, 16321), (16388, 16384), (2047, 2033)])
def test_a_few_mebibytes_more_or_less_after_a_new_kernel_change_no_worker(before: int, after: int) -> None:
    first, second = sized((8, 65536), (8, before)), sized((8, 65536), (8, after))
    assert first.executor == second.executor
    assert [first.limit_mib(node) for node in first.nodes] == [second.limit_mib(node) for node in second.nodes]


def test_the_arithmetic_says_from_what_it_was_rounded() -> None:
    assert sized((8, 16384), (8, 16001)).of("node2").arithmetic == (
        "16001 MiB, rounded 16000 - system 1333 - copy of the metadata 16 - Spark worker 384 - chunkserver 320 "
        "- file server 256 = 13691 for executors"
    )


def test_memory_that_is_set_may_take_what_rounding_leaves() -> None:
    most = 16447 - sized((8, 16447)).of("node1").reserved_mib
    assert sized((8, 16447), nodes={0: {"memory_mib": most}}).of("node1").memory_mib == most


def test_a_program_gets_every_figure() -> None:
    document: Any = sizing_document(sized((8, 16390)))
    [row] = document["nodes"]
    taken = sum(share["mib"] for share in (*row["outside"], *row["inside"]))
    assert row["rounded_mib"] - taken == row["memory_mib"]
    assert 0 <= row["machine_mib"] - row["rounded_mib"] < 64
    assert row["executors"] * document["executor"]["memory_mib"] + row["unused_mib"] == row["memory_mib"]


# --- what is set ---


def test_cores_and_memory_of_a_node_can_be_set() -> None:
    found = sized((8, 32768), nodes={0: {"cores": 4, "memory_mib": 4096}})
    assert (found.of("node1").cores, found.of("node1").memory_mib, used(found)) == (4, 4096, {"node1": (2, 4)})


@pytest.mark.parametrize(
    ("key", "what"),
    [("system_memory_mib", "system"), ("services_memory_mib", "services"), ("daemons_memory_mib", "daemons")],
)
def test_every_other_figure_can_be_set(key: str, what: str) -> None:
    node = sized((8, 32768), nodes={0: {key: 777}}).of("node1")
    assert [share.mib for share in (*node.outside, *node.inside) if share.what == what] == [777]
    assert node.memory_mib == 32768 - node.reserved_mib


def test_the_number_of_executors_of_a_node_can_be_set() -> None:
    found = sized((8, 32768), (8, 32768), nodes={1: {"executors": 4}})
    assert used(found) == {"node1": (4, 8), "node2": (4, 8)}
    found = sized((8, 32768), (8, 32768), nodes={1: {"executors": 1}})
    assert used(found) == {"node1": (2, 8), "node2": (1, 4)}


def test_memory_that_the_machine_does_not_have_is_refused_with_the_arithmetic() -> None:
    [problem] = refused((8, 16384), nodes={0: {"memory_mib": 16384}})
    assert problem.config_path == "nodes.node1.memory"
    assert "16384 MiB as set; 16384 MiB - system 1365 - metaserver 320" in problem.what
    most = sized((8, 16384)).of("node1").memory_mib
    assert 8192 < most < 12288 and f"set memory to {most}m or less" in (problem.hint or "")


def test_a_machine_without_room_for_one_executor_is_refused_with_the_arithmetic() -> None:
    [problem] = refused((8, 16384), (2, 1024))
    assert problem.node == "node2" and problem.config_path == "nodes.node2"
    assert "does not fit into 2 cores and 0 MiB; memory: 1024 MiB - system 320 -" in problem.what


def test_a_set_number_of_executors_without_the_cores_for_it_is_refused() -> None:
    [problem] = refused((8, 16384), (2, 8192), nodes={1: {"executors": 4}})
    assert problem.node == "node2" and problem.what.startswith("4 executors of 1 core and ")


# --- what spark.conf says ---


def test_the_users_executor_wins_and_workers_run_as_many_as_fit() -> None:
    found = sized((8, 32768), (4, 8192), spark=spark(cores="4", memory="3g"))
    assert (found.executor.cores, found.executor.heap_mib) == (4, 3072)
    assert used(found) == {"node1": (2, 8), "node2": (1, 4)}


def test_overhead_python_and_off_heap_memory_of_the_user_count() -> None:
    conf = (
        ("spark.executor.memoryOverhead", "1g"),
        ("spark.executor.pyspark.memory", "2048"),
        ("spark.memory.offHeap.enabled", "true"),
        ("spark.memory.offHeap.size", str(512 << 20)),
    )
    executor = sized((8, 32768), spark=SparkConfig(conf=conf)).executor
    assert (executor.overhead_mib, executor.python_mib) == (1024 + 512, 2048)


def test_an_executor_of_the_user_that_fits_nowhere_is_refused_instead_of_waited_for() -> None:
    [problem] = refused((8, 16384), spark=spark(memory="64g"))
    assert "an executor of 4 cores and " in problem.what and "does not fit" in problem.what


@pytest.mark.parametrize(("key", "value"), [("cores", "many"), ("memory", "4 gigs"), ("memoryOverhead", "x")])
def test_a_size_that_is_none_names_the_setting(key: str, value: str) -> None:
    more: dict[str, Any] = {key: value}
    [problem] = refused((8, 16384), spark=spark(**more))
    assert problem.config_path == f"spark.conf.spark.executor.{key}" and value in problem.what


def test_up_refuses_before_it_does_anything_what_cannot_fit() -> None:
    config, facts = cluster((8, 16384), nodes={0: {"memory_mib": 16384}})
    session = Session(config, clients=None, on_event=print, _facts=facts)  # type: ignore[arg-type]
    stages: list[str] = []
    with pytest.raises(ClusterError) as caught:
        whole.up(session, lambda name, _result, _seconds: stages.append(name))
    assert "does not fit" in caught.value.problems[0].what and stages == []


# --- CPUs ---


@pytest.mark.parametrize(("share", "cpus"), [(1.0, None), (0.75, 6.0), (0.5, 4.0)])
def test_a_share_of_the_cpus_limits_the_container_and_leaves_the_cores(share: float, cpus: float | None) -> None:
    found = sized((8, 16384), nodes={0: {"cpu_share": share}})
    assert found.of("node1").cpus == cpus and used(found) == {"node1": (2, 8)}


# --- what is not known ---


def test_a_machine_that_was_not_asked_is_taken_for_small() -> None:
    config, _ = cluster((8, 16384))
    found = sizing(config, {})
    assert used(found) == {"node1": (1, 1)} and "assumed" in found.of("node1").arithmetic


@pytest.mark.parametrize("total_mib", [3900, 6000, 7900, 8192, 16000, 64000])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_local_cluster_fits_on_a_computer_of_4_gb_and_more(tmp_path: Path, total_mib: int, count: int) -> None:
    addresses = {f"node{number + 1}": f"192.168.1.{11 + number}" for number in range(count)}
    driver = "512m" if total_mib < SMALL_MIB else "1g"
    file = tmp_path / "hosts.yml"
    spark_data = {"executors_per_worker": 1, "driver_memory": driver}
    file.write_text(dump_config({"nodes": sized_nodes(addresses, 4, total_mib), "spark": spark_data}))
    config = load_config(file, {})
    facts = {name: replace(a_node(name, config), cores=4, memory_mib=total_mib) for name in addresses}
    assert set(sizing(config, facts).counts.values()) == {1}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_nodes_of_a_local_cluster_run_one_executor_each(count: int) -> None:
    settings = {number: {"cores": 1, "memory_mib": 3072} for number in range(count)}
    found = sized(*[(2, 24000)] * count, nodes=settings, spark=spark(1), storage=StorageConfig(replication=1))
    assert used(found) == {f"node{number + 1}": (1, 1) for number in range(count)}
    assert found.executor.heap_mib > 2048 and found.limit_mib(found.of("node1")) == 3072 + 384 + 320 + 256
