"""checks/machines.py: what doctor finds on the machines, and that it finds nothing on good ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs import topology
from sparkqfs.checks.machines import check_nodes, parse_version
from sparkqfs.config.between import published_ports
from sparkqfs.config.model import RegistryConfig, SparkConfig, StorageConfig
from sparkqfs.jobs.cluster import whole
from sparkqfs.jobs.session import Session
from sparkqfs.plan.services import ALL, single_services
from sparkqfs.plan.services.metadata_copy import metadata_copies
from sparkqfs.plan.services.worker_node import WorkerNode
from sparkqfs.plan.storage import backend_of
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_fresh_node, a_node, prepared
from tests.builders.stacks import SHARED

CLUSTER = a_cluster()
STORAGES = (StorageConfig(kind="qfs"), StorageConfig(kind="hdfs"), SHARED)


def found(name: str = "node2", **fields: Any) -> list[tuple[str | None, str]]:
    """(node, what) of every problem, when one node is different."""
    facts = prepared(CLUSTER, **{name: replace(a_node(name), **fields)})
    return [(problem.node, problem.what) for problem in check_nodes(CLUSTER, facts)]


def test_nothing_is_wrong_with_a_prepared_cluster() -> None:
    assert check_nodes(CLUSTER, prepared(CLUSTER)) == ()


def test_nothing_is_wrong_with_fresh_machines() -> None:
    assert check_nodes(CLUSTER, {name: a_fresh_node(name) for name in ("node1", "node2", "node3")}) == ()


def test_a_machine_without_an_engine_is_found() -> None:
    assert found(engine_version=None) == [("node2", "no Docker Engine answers")]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("27.5.1", (27, 5, 1)),
        ("28.0.0-rc.1", (28, 0, 0)),
        ("19.03.8-ce", (19, 3, 8)),
        ("dev", ()),
    ],
)
def test_engine_versions_are_read_as_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_an_engine_one_patch_too_old_is_found() -> None:
    assert found(engine_version="20.10.23") == [("node2", "Docker Engine 20.10.23 is too old: 20.10.24 or newer")]


@pytest.mark.parametrize("version", ["20.10.24", "20.10.24+dfsg1", "23.0.0", "100.0.1"])
def test_an_engine_that_is_new_enough_is_no_problem(version: str) -> None:
    assert found(engine_version=version) == []


@pytest.mark.parametrize(("skew", "shown"), [(12.4, "+12"), (-7.0, "-7"), (0.6, "+0.6")])
def test_a_clock_that_is_off_is_found_with_its_sign(skew: float, shown: str) -> None:
    assert found(clock_skew_s=skew) == [("node2", f"its clock is {shown} s off this machine's")]


def test_a_half_second_of_skew_is_no_problem() -> None:
    assert found(clock_skew_s=0.5) == [] and found(clock_skew_s=-0.5) == []


def test_a_full_disk_is_found_with_what_is_left() -> None:
    (disk,) = a_node("node2").disks
    assert found(disks=(replace(disk, free_bytes=3 << 29),)) == [("node2", "/mnt/data has 1.5 GiB free")]


@pytest.mark.parametrize("route", ["10.20.30.0/25", "10.0.0.0/8", "10.20.30.0/24"])
def test_a_subnet_that_a_machine_already_routes_is_found(route: str) -> None:
    assert found(routes=("172.17.0.0/16", route)) == [("node2", f"subnet 10.20.30.0/24 collides with {route} there")]


def test_other_routes_and_unreadable_ones_are_no_problem() -> None:
    assert found(routes=("172.17.0.0/16", "192.168.1.0/24", "nonsense/33")) == []


def test_nodes_of_different_architectures_are_found_once() -> None:
    assert found(architecture="aarch64") == [
        (None, "the nodes have different CPU architectures (node1: x86_64, node2: aarch64, node3: x86_64)")
    ]


def test_ports_that_something_else_has_on_the_manager_are_found_before_there_is_a_swarm() -> None:
    assert found("node1", ports=(22, 8080, 5000)) == [
        ("node1", "port 5000 is taken there"),
        ("node1", "port 8080 is taken there"),
    ]


def test_our_own_ports_are_no_problem_once_the_swarm_is_up() -> None:
    assert found("node1", ports=(8080, 2377), swarm_state="active") == []


def test_ports_of_what_swarm_may_put_on_any_node_are_found_everywhere() -> None:
    assert found("node2", ports=(2377, 5000, 7777, 7946, 8080, 18080)) == [
        ("node2", "port 7946 is taken there"),
    ]


def test_a_new_node_is_looked_at_while_the_others_are_a_swarm_already() -> None:
    facts = {name: replace(fact, swarm_state="active", ports=(7946, 8080)) for name, fact in prepared(CLUSTER).items()}
    facts["node3"] = replace(facts["node3"], swarm_state="inactive", ports=(7946,))
    assert [(one.node, one.what) for one in check_nodes(CLUSTER, facts)] == [("node3", "port 7946 is taken there")]


def test_jupyters_ports_are_looked_at_wherever_it_may_run() -> None:
    notebooks = replace(CLUSTER.notebooks, shared=True, path=PurePosixPath("/mnt/shared"))
    config = a_cluster(notebooks=notebooks)
    problems = check_nodes(config, prepared(config, node2=a_node("node2", config, ports=(4040, 7777, 18080))))
    assert [problem.what for problem in problems] == ["port 4040 is taken there", "port 7777 is taken there"]


@pytest.mark.parametrize(("network", "taken"), [("host", ["port 9083 is taken there"]), ("overlay", [])])
def test_the_metastores_port_is_looked_at_where_nothing_maps_it(network: str, taken: list[str]) -> None:
    config = a_cluster(network=network)
    facts = {name: replace(fact, swarm_state="inactive", ports=(9083,)) for name, fact in prepared(config).items()}
    assert [problem.what for problem in check_nodes(config, facts) if problem.node == "node1"] == taken
    assert not [problem for problem in check_nodes(config, facts) if problem.node == "node2"]


MANAGERS = {2377, 7946, 5000, 7777, 8080, 4040, 18080, 7077, 8881, 8081, 9083, 18081}
WORKERS = {7946, 8881, 8081}
COPY = {20100}


@pytest.mark.parametrize(
    ("storage", "on_manager", "on_worker"),
    [
        (StorageConfig(kind="qfs"), MANAGERS | {20050, 20000, 30000, 22000}, WORKERS | COPY | {22000}),
        (
            StorageConfig(kind="hdfs"),
            MANAGERS | {9870, 9820, 9871, 9866, 9867, 9864},
            WORKERS | COPY | {9866, 9867, 9864},
        ),
        (SHARED, MANAGERS, WORKERS),
    ],
)
def test_on_the_machines_network_every_port_of_what_may_run_there_is_looked_at(
    storage: StorageConfig, on_manager: set[int], on_worker: set[int]
) -> None:
    config = a_cluster(network="host", storage=storage)
    busy = {"swarm_state": "inactive", "ports": tuple(range(1, 65536))}
    facts = {name: replace(fact, **busy) for name, fact in prepared(config).items()}  # type: ignore[arg-type]
    looked_at = {name: {p.what for p in check_nodes(config, facts) if p.node == name} for name in ("node1", "node2")}
    said = [{f"port {port} is taken there" for port in ports} for ports in (on_manager, on_worker)]
    assert [looked_at["node1"], looked_at["node2"]] == said


def test_what_services_listen_on_is_what_settings_must_leave_alone() -> None:
    """hosts.yml is read below the services: topology has the ports for both."""
    backends = [backend_of(a_cluster(storage=storage)) for storage in STORAGES]
    listening = [WorkerNode.listens, *(service.listens for service in (*ALL, *metadata_copies(a_cluster())))]
    listening += [backend.server_listens for backend in backends]
    listening += [backend.master.listens for backend in backends if backend.master is not None]
    known = {*topology.FIXED_PORTS, *topology.INNER_PORTS}
    assert {port for ports in listening for port in ports} == known - {topology.SWARM_PORT, topology.SWARM_NODES_PORT}
    assert not set(topology.FIXED_PORTS) & set(topology.INNER_PORTS)


@pytest.mark.parametrize("storage", STORAGES)
def test_what_services_publish_is_what_settings_are_compared_with(storage: StorageConfig) -> None:
    config = a_cluster(storage=storage)
    published = {port.setting: port.published(config) for one in single_services(config) for port in one.ports}
    assert published == published_ports(config)


def test_the_metastores_port_may_be_somebody_elses_where_the_stack_has_none() -> None:
    conf = (("spark.hadoop.hive.metastore.uris", "thrift://192.168.1.11:9083"),)
    config = a_cluster(network="host", spark=SparkConfig(conf=conf))
    facts = {name: replace(fact, swarm_state="inactive", ports=(9083,)) for name, fact in prepared(config).items()}
    assert check_nodes(config, facts) == ()


@pytest.mark.parametrize("network", ["overlay", "host"])
def test_the_masters_page_is_not_looked_at_where_it_is_never_put(network: str) -> None:
    config = a_cluster(network=network)
    fact = a_node("node2", config, ports=(8080,))
    assert check_nodes(config, prepared(config, node2=fact)) == ()


def test_a_manager_that_does_not_trust_its_registry_is_found_once_there_is_a_ca() -> None:
    assert found("node1", trusted_ca=None) == [("node1", "its engine does not trust the registry")]


@pytest.mark.parametrize(("accepted", "faults"), [(("192.168.1.11:5000",), 0), (("192.168.0.0/16",), 0), ((), 1)])
def test_without_tls_an_engine_that_refuses_plain_http_is_found(accepted: tuple[str, ...], faults: int) -> None:
    config = a_cluster("node1", registry=RegistryConfig(tls=False))
    fact = replace(a_node("node1", config), trusted_ca=None, insecure_registries=accepted)
    problems = check_nodes(config, prepared(config, node1=fact))
    assert len(problems) == faults
    assert all("refuses plain HTTP" in problem.what and "invoke prep" in (problem.hint or "") for problem in problems)


def test_a_worker_that_does_not_trust_the_registry_is_found() -> None:
    assert found("node2", trusted_ca=None) == [("node2", "its engine does not trust the registry")]


def test_an_engine_that_trusts_the_registry_of_before_is_found() -> None:
    expected = [("node2", "its engine trusts another certificate of the registry")]
    assert found("node2", trusted_ca="0" * 64) == expected


def test_a_worker_is_looked_at_with_what_the_manager_says() -> None:
    config = a_cluster()
    facts = prepared(config, node2=replace(a_node("node2"), trusted_ca=None))
    session = Session(config, clients=None, on_event=print, _facts=facts)  # type: ignore[arg-type]
    result = whole.doctor(session, ("node2",))
    assert [(problem.node, problem.what) for problem in result.problems] == [
        ("node2", "its engine does not trust the registry")
    ]


def test_every_finding_says_what_mends_it() -> None:
    bad = replace(a_node("node1"), engine_version="1.0", clock_skew_s=99.0, routes=("10.0.0.0/8",), ports=(8080,))
    assert all(problem.hint for problem in check_nodes(CLUSTER, prepared(CLUSTER, node1=bad)))


def test_a_machine_that_was_not_reached_does_not_break_the_checks() -> None:
    facts = prepared(CLUSTER)
    del facts["node1"]
    assert check_nodes(CLUSTER, facts) == ()
