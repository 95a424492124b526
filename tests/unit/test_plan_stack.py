"""plan/stack.py: the stack file as Swarm will read it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from sparkqfs import topology
from sparkqfs.config.model import (
    BuildConfig,
    ClusterConfig,
    CopiesConfig,
    NotebooksConfig,
    PortsConfig,
    SharedConfig,
    SparkConfig,
    StorageConfig,
    StorageKind,
)
from sparkqfs.errors import ClusterError
from sparkqfs.plan.programs.fits import parse_defaults
from sparkqfs.plan.programs.properties import parse_properties
from sparkqfs.plan.services import single_services
from sparkqfs.plan.sizes import sizing
from sparkqfs.plan.stack import check_network, default_cores, node_labels
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import SECRETS, a_node, prepared
from tests.builders.stacks import IMAGES, SHARED, TEMPLATES, an_input, build, defaults, load, services

# --- the file -------------------------------------------------------------------------------------


EVERYTHING = {topology.WORKER_NODE, *(service.name for service in single_services(a_cluster()))}
ALONE = {name for name in EVERYTHING if not name.startswith(topology.METADATA_COPY)}


def test_no_service_has_gone() -> None:
    known = {"qfs-master", "spark-master", "worker-node", "jupyter-server", "history-server", "metastore"}
    known |= {"metadata-copy-1", "metadata-copy-2"}
    assert known <= EVERYTHING


def test_the_file_is_version_3_9_with_its_services_on_one_network() -> None:
    found = load()
    assert found["version"] == "3.9"
    assert set(found["services"]) == EVERYTHING
    network = found["networks"]["cluster_network"]
    assert network["driver"] == "overlay" and network["ipam"]["config"] == [{"subnet": "10.20.30.0/24"}]
    assert all(service["networks"] == ["cluster_network"] for service in found["services"].values())


def test_the_services_of_the_result_are_those_of_the_file() -> None:
    stack = build()
    assert set(stack.services) == set(yaml.safe_load(stack.text)["services"])


def test_every_service_is_reached_without_a_virtual_address_and_publishes_on_its_own_machine() -> None:
    for name, service in services().items():
        assert service["deploy"]["endpoint_mode"] == "dnsrr", name
        assert all(port["mode"] == "host" for port in service.get("ports", [])), name


def test_ports_are_published_as_configured() -> None:
    config = a_cluster(ports=PortsConfig(jupyter=17777, spark_ui=18080, app_ui=14040, qfs_ui=12050, history=11808))
    found = {
        (port["target"], port["published"])
        for service in services(config).values()
        for port in service.get("ports", [])
    }
    assert found >= {(7777, 17777), (8080, 18080), (4040, 14040), (20050, 12050), (18080, 11808)}
    assert found == {(port.inside, port.published(config)) for one in single_services(config) for port in one.ports}


def test_every_service_runs_only_on_machines_of_this_cluster() -> None:
    for service in services(a_cluster(name="lab")).values():
        assert "node.labels.sparkqfs.cluster == lab" in service["deploy"]["placement"]["constraints"]


def test_the_metaserver_stays_on_the_manager_by_name() -> None:
    config = a_cluster("alpha", "beta", nodes=(a_node_config("alpha", 1), a_node_config("beta", 0)))
    constraints = services(config)["qfs-master"]["deploy"]["placement"]["constraints"]
    assert "node.labels.sparkqfs.node == beta" in constraints


def test_jupyter_stays_with_its_notebooks_unless_they_are_everywhere() -> None:
    def pins(config: ClusterConfig) -> list[str]:
        constraints = services(config)["jupyter-server"]["deploy"]["placement"]["constraints"]
        return [line for line in constraints if "sparkqfs.node" in line]

    anywhere = NotebooksConfig(path=PurePosixPath("/mnt/nfs/notebooks"), shared=True)
    assert pins(a_cluster()) == ["node.labels.sparkqfs.node == node1"]
    assert pins(a_cluster(notebooks=anywhere)) == []


def test_every_service_has_a_private_tmpfs_for_its_run_files() -> None:
    for service in services().values():
        assert [v["target"] for v in service["volumes"] if v["type"] == "tmpfs"] == ["/run/sparkqfs"]


def test_every_service_is_asked_how_it_is() -> None:
    for service in services().values():
        assert service["healthcheck"]["test"][:2] == ["CMD", "/opt/sparkqfs/bin/health"]


# --- worker-node ----------------------------------------------------------------------------------


def binds(service: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Source, target and whether it may be written, of each bind mount."""
    return [
        (one["source"], one["target"], not one.get("read_only", False))
        for one in service["volumes"]
        if one["type"] == "bind"
    ]


def test_worker_node_runs_on_every_machine_with_its_chunks_and_sparks_directory() -> None:
    worker = services()["worker-node"]
    assert worker["deploy"]["mode"] == "global"
    assert binds(worker) == [
        ("/mnt/data/qfs/.cluster-id", "/data/qfs/.cluster-id", False),
        ("/mnt/data/qfs/chunk", "/data/qfs/chunk", True),
        ("/mnt/data/spark", "/data/spark", True),
    ]


DISKS = (PurePosixPath("/d1"), PurePosixPath("/d2"))
METADATA = {
    "qfs": ("/d1/qfs/checkpoint", "/d1/qfs/logs"),
    "hdfs": ("/d1/hdfs/name",),
    "shared": (),
}
"""Where the names are on the manager, by storage."""


def two_disks_each(kind: StorageKind) -> ClusterConfig:
    """Unequal machines, so that there are several services of workers."""
    nodes = tuple(a_node_config(f"node{i + 1}", i, data_dirs=DISKS, executors=1 + i % 2) for i in range(3))
    storage = StorageConfig(kind=kind, shared=SharedConfig(path=PurePosixPath("/mnt/nfs")))
    return a_cluster(nodes=nodes, storage=storage)


@pytest.mark.parametrize(("kind", "parts"), [("qfs", ("qfs", "chunk")), ("hdfs", ("hdfs", "data"))])
def test_a_worker_gets_of_every_disk_its_blocks_and_the_marker_that_it_cannot_change(
    kind: StorageKind, parts: tuple[str, str]
) -> None:
    top, blocks = parts
    found = services(two_disks_each(kind))
    workers = [service for name, service in found.items() if name.startswith("worker-node")]
    assert len(workers) == 2
    for worker in workers:
        assert binds(worker) == [
            (f"/d1/{top}/.cluster-id", f"/data/{top}/.cluster-id", False),
            (f"/d1/{top}/{blocks}", f"/data/{top}/{blocks}", True),
            (f"/d2/{top}/.cluster-id", f"/data/{top}1/.cluster-id", False),
            (f"/d2/{top}/{blocks}", f"/data/{top}1/{blocks}", True),
            ("/mnt/nfs/spark", "/data/shared", True),
            ("/d1/spark", "/data/spark", True),
        ]
        listed = worker["environment"]["SPARKQFS_CHUNK_DIRS" if kind == "qfs" else "SPARKQFS_DATA_DIRS"]
        assert listed.split() == [target for _, target, _ in binds(worker) if target.endswith(f"/{blocks}")]


@pytest.mark.parametrize("kind", ["qfs", "hdfs", "shared"])
def test_nobody_but_the_master_sees_the_names_and_nobody_the_secrets_of_the_manager(kind: StorageKind) -> None:
    for name, service in services(two_disks_each(kind)).items():
        hidden = ["/d1/sparkqfs", *(METADATA[kind] if name not in ("qfs-master", "hdfs-namenode") else ())]
        for source, _, _ in binds(service):
            for path in map(PurePosixPath, hidden):
                apart = not path.is_relative_to(source) and not PurePosixPath(source).is_relative_to(path)
                assert apart, f"{name} mounts {source}, and {path} with it"


def test_machines_with_other_limits_get_a_service_of_their_own() -> None:
    nodes = (a_node_config("node1", 0), a_node_config("node2", 1), a_node_config("node3", 2, executors=1))
    config = a_cluster(nodes=nodes)
    found = services(config)
    workers = {name: service for name, service in found.items() if name.startswith("worker-node")}
    assert set(workers) == {"worker-node-1", "worker-node-2"}
    labels = node_labels(config, prepared(config))
    classes = {line for service in workers.values() for line in service["deploy"]["placement"]["constraints"]}
    assert {f"node.labels.sparkqfs.class == {labels[n]['sparkqfs.class']}" for n in ("node1", "node3")} <= classes
    assert labels["node1"]["sparkqfs.class"] == labels["node2"]["sparkqfs.class"] != labels["node3"]["sparkqfs.class"]


def test_every_node_is_labelled_with_cluster_and_name() -> None:
    labels = build().labels
    assert {name: (found["sparkqfs.cluster"], found["sparkqfs.node"]) for name, found in labels.items()} == {
        name: ("spark", name) for name in ("node1", "node2", "node3")
    }


def test_only_a_share_of_the_cpu_limits_the_container() -> None:
    def limits(share: float) -> dict[str, str]:
        nodes = (a_node_config("node1", 0, cpu_share=share),)
        found = services(a_cluster("node1", nodes=nodes))["worker-node"]["deploy"]["resources"]["limits"]
        assert isinstance(found, dict)
        return found

    assert "cpus" not in limits(1.0)
    assert limits(0.75)["cpus"] == "6.0"  # of 8 cores


# --- executors ------------------------------------------------------------------------------------


def test_every_worker_offers_room_for_exactly_its_executors() -> None:
    node = a_node_config("node1", 0, cores=8, memory_mib=12288)
    config = a_cluster("node1", nodes=(node,), spark=SparkConfig(executors_per_worker=3))
    facts = {"node1": replace(a_node("node1", config), memory_mib=32768)}
    size = sizing(config, facts)
    stack = build(config, facts=facts)
    worker = yaml.safe_load(stack.text)["services"]["worker-node"]
    heap = size.executor.heap_mib
    assert worker["environment"]["SPARK_WORKER_CORES"] == "6"
    assert worker["environment"]["SPARK_WORKER_MEMORY"] == f"{3 * heap}m"
    assert worker["deploy"]["resources"]["limits"]["memory"] == f"{size.limit_mib(size.of('node1'))}M"
    assert "spark.executor.cores                           2\n" in defaults(stack)
    assert f"spark.executor.memory                          {heap}m\n" in defaults(stack)


def test_unequal_machines_offer_as_many_executors_as_each_has_room_for() -> None:
    config = a_cluster("node1", "node2")
    facts = {
        "node1": replace(a_node("node1", config), cores=2, memory_mib=6144),
        "node2": replace(a_node("node2", config), cores=1, memory_mib=2048),
    }
    found = services(config, facts=facts)
    workers = [service["environment"] for name, service in found.items() if name.startswith("worker-node")]
    assert sorted(worker["SPARK_WORKER_CORES"] for worker in workers) == ["1", "2"]


@pytest.mark.parametrize("network", ["overlay", "host"])
def test_the_spark_masters_state_is_on_the_managers_disk_where_no_user_program_comes(network: Any) -> None:
    found = services(a_cluster("node1", "node2", network=network))
    master = found["spark-master"]
    assert "node.labels.sparkqfs.node == node1" in master["deploy"]["placement"]["constraints"]
    mounts = {volume["target"]: volume.get("source") for volume in master["volumes"]}
    assert mounts["/data/spark-master"] == "/mnt/data/spark-master" and "/data/spark" not in mounts
    # it is read as Java objects: nobody else may write it, not through a directory above it either
    for name, service in found.items():
        sources = [PurePosixPath(one["source"]) for one in service["volumes"] if one["type"] == "bind"]
        seen = [one for one in sources if PurePosixPath("/mnt/data/spark-master").is_relative_to(one)]
        assert bool(seen) is (name == "spark-master")


def test_the_spark_master_knows_which_service_it_is_and_comes_back_soon() -> None:
    found = services()
    master = found["spark-master"]
    assert master["environment"]["SPARKQFS_SERVICE"] == "{{.Service.ID}}"
    assert not any("SPARKQFS_SERVICE" in one["environment"] for name, one in found.items() if name != "spark-master")
    seconds = {
        name: (
            int(one["deploy"]["restart_policy"]["delay"].rstrip("s")),
            int(one["healthcheck"]["interval"].rstrip("s")),
        )
        for name, one in found.items()
    }
    assert sum(seconds["spark-master"]) <= 5  # of the 20 that it may be away
    for name, one in found.items():  # as long as before until an unhealthy container ends
        assert one["healthcheck"]["retries"] * seconds[name][1] == 60


def test_a_machine_that_is_too_small_is_an_error() -> None:
    nodes = (a_node_config("node1", 0), a_node_config("node2", 1, memory_mib=512))
    with pytest.raises(ClusterError):
        build(a_cluster("node1", "node2", nodes=nodes))


def test_the_users_spark_settings_come_last_and_win() -> None:
    config = a_cluster(spark=SparkConfig(conf=(("spark.sql.shuffle.partitions", "7"),)))
    assert defaults(build(config)).endswith("spark.sql.shuffle.partitions 7\n")


@pytest.mark.parametrize("value", [r"(?i)secret|\bkey\d+", "ends in one\\", "=x", ": x", "a=b:c", "#x", "ü !", r"C:\u"])
def test_java_and_our_own_readers_see_the_value_that_the_user_has_written(value: str) -> None:
    conf = (("spark.redaction.regex", value), ("spark.after", "1"))
    text = defaults(build(a_cluster(spark=SparkConfig(conf=conf))))
    for read in (parse_properties, parse_defaults):
        found = read(text)
        assert (found["spark.redaction.regex"], found["spark.after"]) == (value, "1")


def test_packages_for_all_may_have_blanks_between_them() -> None:
    conf = (("spark.jars.packages", "org.x:y:1, org.x:z:2"),)
    assert defaults(build(a_cluster(spark=SparkConfig(conf=conf)))).endswith(
        "spark.jars.packages org.x:y:1,org.x:z:2\n"
    )


# --- secrets, names, digest -----------------------------------------------------------------------


def test_no_secret_is_in_the_file_in_a_config_or_in_the_text_of_the_result() -> None:
    stack = build()
    for secret in SECRETS.values():
        assert secret not in stack.text and secret not in repr(stack)
        assert all(secret not in text for text in stack.configs.values())


def test_no_secret_is_in_the_text_of_the_input() -> None:
    assert SECRETS["spark_secret"] not in repr(an_input())


def test_secrets_belong_to_the_service_user_alone() -> None:
    for service in services().values():
        assert all((s["uid"], s["gid"], s["mode"]) == ("6700", "6700", 0o400) for s in service["secrets"])


def test_each_secret_goes_only_to_the_services_that_need_it() -> None:
    found = [(one["source"], name) for name, service in services().items() for one in service["secrets"]]
    assert sorted(found) == [
        ("cluster-key", "qfs-master"),
        ("cluster-key", "worker-node"),
        ("jupyter-token", "jupyter-server"),
        ("metadata-key", "metadata-copy-1"),
        ("metadata-key", "metadata-copy-2"),
        ("metadata-key", "qfs-master"),
        ("spark-secret", "jupyter-server"),
        ("spark-secret", "spark-master"),
        ("spark-secret", "worker-node"),
    ]


def test_what_the_file_names_is_what_is_to_be_made() -> None:
    stack = build()
    found = yaml.safe_load(stack.text)
    assert {item["name"] for item in found["configs"].values()} == set(stack.configs)
    assert {item["name"] for item in found["secrets"].values()} == set(stack.secrets)
    for service in found["services"].values():
        assert {c["source"] for c in service["configs"]} <= set(found["configs"])
        assert {s["source"] for s in service["secrets"]} <= set(found["secrets"])


def test_the_same_input_gives_the_same_text_and_digest() -> None:
    assert build() == build()


def test_another_secret_changes_its_name_and_the_digest() -> None:
    one, other = build(), build(secrets=SECRETS | {"jupyter_token": "another"})
    assert len(set(one.secrets) - set(other.secrets)) == 1
    assert one.digest != other.digest and one.configs == other.configs


def test_another_setting_changes_its_configs_name_and_the_digest() -> None:
    one = build()
    other = build(a_cluster(spark=SparkConfig(conf=(("spark.x", "1"),))))
    assert len(set(one.configs) - set(other.configs)) == 1
    assert one.digest != other.digest and one.secrets == other.secrets


@pytest.mark.parametrize(
    "more",
    [
        {"images": IMAGES | {"worker-node": "192.168.1.11:5000/spark/worker-node@sha256:" + "1" * 64}},
        {"cluster_id": "another-id"},
        {"templates": TEMPLATES | {"ChunkServer.prp": TEMPLATES["ChunkServer.prp"] + "x = 1\n"}},
    ],
)
def test_whatever_changes_what_runs_changes_the_digest(more: dict[str, Any]) -> None:
    assert build(**more).digest != build().digest


def test_every_service_carries_the_digest() -> None:
    stack = build()
    for service in yaml.safe_load(stack.text)["services"].values():
        assert service["deploy"]["labels"] == {"sparkqfs.stack": stack.digest}


def test_names_of_configs_and_secrets_fit_into_swarms_64_characters() -> None:
    stack = build(a_cluster(name="a" * 31))
    assert max(map(len, [*stack.configs, *stack.secrets])) <= 64


def test_templates_are_filled_in_completely() -> None:
    for name, text in build().configs.items():
        assert "${" not in text, name


# --- network ---


@pytest.mark.parametrize(("kind", "master"), [("qfs", "qfs-master"), ("hdfs", "hdfs-namenode")])
def test_on_the_machines_network_names_come_from_etc_hosts_and_pages_listen_on_the_users_ports(
    kind: StorageKind, master: str
) -> None:
    config = a_cluster(network="host", storage=StorageConfig(kind=kind), ports=PortsConfig(qfs_ui=1050, hdfs_ui=1050))
    document = yaml.safe_load(build(config).text)
    assert document["networks"] == {"cluster_network": {"external": True, "name": "host"}}
    found = document["services"]
    for service in found.values():
        assert "ports" not in service
        assert {"spark-master:192.168.1.11", f"{master}:192.168.1.11"} <= set(service["extra_hosts"])
    assert found[master]["environment"]["SPARKQFS_UI_PORT"] == "1050"
    assert found[master]["environment"]["SPARKQFS_SELF"] == master
    assert "SPARKQFS_SELF" not in found["worker-node"]["environment"]
    assert "node.labels.sparkqfs.node == node1" in found["spark-master"]["deploy"]["placement"]["constraints"]


# --- tables ---


@pytest.mark.parametrize(
    ("kind", "root"),
    [("qfs", "qfs://qfs-master:20000"), ("hdfs", "hdfs://hdfs-namenode:9820"), ("shared", "file:///data/shared")],
)
def test_tables_are_on_the_storage_and_their_names_in_one_catalogue(kind: StorageKind, root: str) -> None:
    stack = build(a_cluster(storage=StorageConfig(kind=kind, shared=SHARED.shared)))
    lines = dict(line.split(None, 1) for line in defaults(stack).splitlines() if line.startswith("spark."))
    assert lines["spark.sql.warehouse.dir"] == f"{root}/warehouse"
    assert lines["spark.sql.catalogImplementation"] == "hive"
    assert lines["spark.hadoop.hive.metastore.uris"] == "thrift://metastore:9083"


def test_the_catalogue_is_on_the_managers_disk_and_only_the_storages_master_reads_it_too() -> None:
    found = services()
    metastore = found.pop("metastore")
    place = ("/mnt/data/metastore/qfs", "/data/metastore")
    assert [(v["source"], v["target"]) for v in metastore["volumes"] if v["type"] == "bind"] == [place]
    assert "node.labels.sparkqfs.node == node1" in metastore["deploy"]["placement"]["constraints"]
    assert "ports" not in metastore and metastore["image"] == IMAGES["spark-master"]
    reader = found["qfs-master"]
    sent = next(v for v in reader["volumes"] if v["source"] == place[0])
    assert sent["read_only"] and reader["environment"]["SPARKQFS_CATALOGUE"] == sent["target"] == place[1]
    reader["volumes"].remove(sent)
    books = next(v for v in reader["volumes"] if v["target"] == "/data/notebooks")
    assert books["read_only"] and books["source"] == "/mnt/data/notebooks"
    mounted = [PurePosixPath(v["source"]) for one in found.values() for v in one["volumes"] if v["type"] == "bind"]
    assert mounted and not any(PurePosixPath(place[0]).is_relative_to(source) for source in mounted)


@pytest.mark.parametrize(
    "conf",
    [("spark.sql.catalogImplementation", "in-memory"), ("spark.hadoop.hive.metastore.uris", "thrift://mine:9083")],
)
def test_another_catalogue_of_the_users_stands_in_for_the_metastore(conf: tuple[str, str]) -> None:
    stack = build(a_cluster(spark=SparkConfig(conf=(conf,))))
    assert set(stack.services) == EVERYTHING - {"metastore"}
    assert "SPARKQFS_CATALOGUE" not in services(a_cluster(spark=SparkConfig(conf=(conf,))))["qfs-master"]["environment"]
    assert [line for line in defaults(stack).splitlines() if line.startswith(conf[0])][-1].split() == list(conf)


def test_on_the_machines_network_the_metastore_has_a_name() -> None:
    for service in services(a_cluster(network="host")).values():
        assert "metastore:192.168.1.11" in service["extra_hosts"]


# --- copies of the metadata -----------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "master", "top"), [("qfs", "qfs-master", "qfs"), ("hdfs", "hdfs-namenode", "hdfs")])
def test_two_other_machines_keep_the_metadata_where_no_users_program_comes(
    kind: StorageKind, master: str, top: str
) -> None:
    found = services(a_cluster("node1", "node2", "node3", "node4", storage=StorageConfig(kind=kind)))
    assert found[master]["environment"]["SPARKQFS_COPIES"] == "metadata-copy-1=node2 metadata-copy-2=node3"
    for number, node in ((1, "node2"), (2, "node3")):
        service = found[f"metadata-copy-{number}"]
        assert f"node.labels.sparkqfs.node == {node}" in service["deploy"]["placement"]["constraints"]
        assert service["command"] == ["/opt/sparkqfs/bin/supervise", "metadata-copy"]
        binds = {
            (v["source"], v["target"], v.get("read_only", False)) for v in service["volumes"] if v["type"] == "bind"
        }
        assert binds == {
            (f"/mnt/data/{top}/.cluster-id", f"/data/{top}/.cluster-id", True),
            (f"/mnt/data/{top}/copies", f"/data/{top}/copies", False),
        }
        assert service["environment"]["SPARKQFS_COPY_DAYS"] == "2 14 60"
    for name in ("worker-node", "jupyter-server", "spark-master"):
        sources = [v.get("source", "") for v in found[name]["volumes"]]
        assert not [source for source in sources if source in (f"/mnt/data/{top}", f"/mnt/data/{top}/copies")], name


def test_the_number_of_copies_and_how_long_they_are_kept_are_settings() -> None:
    copies = CopiesConfig(nodes=1, all_days=1, daily_days=3, weekly_days=0)
    found = services(a_cluster(storage=StorageConfig(copies=copies)))
    assert found["qfs-master"]["environment"]["SPARKQFS_COPIES"] == "metadata-copy-1=node2"
    assert found["metadata-copy-1"]["environment"]["SPARKQFS_COPY_DAYS"] == "1 3 0" and "metadata-copy-2" not in found


def test_on_the_machines_network_a_copys_name_leads_to_its_machine() -> None:
    found = services(a_cluster(network="host"))
    for service in found.values():
        assert {"metadata-copy-1:192.168.1.12", "metadata-copy-2:192.168.1.13"} <= set(service["extra_hosts"])
    assert found["metadata-copy-1"]["environment"]["SPARKQFS_SELF"] == "metadata-copy-1"


# --- storage --------------------------------------------------------------------------------------


def test_shared_storage_has_no_metaserver_and_no_chunkserver() -> None:
    stack = build(a_cluster(storage=SHARED))
    found = yaml.safe_load(stack.text)["services"]
    assert "qfs-master" not in found
    assert not any("Server-prp" in name for name in stack.configs)
    for name in ("worker-node", "spark-master", "jupyter-server"):
        assert ("/mnt/nfs/spark", "/data/shared") in [(v.get("source"), v["target"]) for v in found[name]["volumes"]]
    assert "qfs" not in defaults(stack) and "file:///data/shared/history/spark-events" in defaults(stack)


@pytest.mark.parametrize(("kind", "kept"), [("qfs", True), ("hdfs", True), ("shared", False)])
def test_partitions_do_not_mix_files_where_blocks_have_places(kind: StorageKind, kept: bool) -> None:
    text = defaults(build(a_cluster(storage=StorageConfig(kind=kind, shared=SHARED.shared))))
    assert ("spark.sql.files.openCostInBytes 64m\n" in text) is kept
    assert ("spark.sql.files.maxPartitionBytes 64m\n" in text) is kept


def test_qfs_storage_asks_for_plain_copies_and_half_of_the_chunkservers_before_it_starts() -> None:
    storage = StorageConfig(replication=3)
    stack = build(a_cluster("node1", "node2", "node3", "node4", "node5", storage=storage))
    assert "spark.hadoop.fs.qfs.createParams 3\n" in defaults(stack)
    (meta,) = [text for name, text in stack.configs.items() if "MetaServer" in name]
    assert "metaServer.minChunkservers = 3\n" in meta and "metaServer.rootDirUser = 6700\n" in meta
    assert "metaServer.createEmptyFs = 0\n" in meta


def test_a_cluster_of_one_machine_has_everything_on_it() -> None:
    found = services(a_cluster("node1"))
    assert set(found) == ALONE
    assert "SPARKQFS_COPIES" not in found["qfs-master"]["environment"]


@pytest.mark.parametrize(("executors", "nodes", "cores"), [(6, 3, 6), (3, 3, 6), (8, 2, 8), (7, 2, 8), (1, 1, 2)])
def test_an_application_gets_half_of_the_executors_and_leaves_no_node_out(
    executors: int, nodes: int, cores: int
) -> None:
    assert default_cores(2, executors, nodes) == cores


def network(*subnets: str, name: str = "spark_cluster_network") -> dict[str, object]:
    return {"Name": name, "IPAM": {"Config": [{"Subnet": subnet, "Gateway": "10.20.30.1"} for subnet in subnets]}}


def test_a_network_with_another_subnet_is_refused_and_its_own_is_named() -> None:
    with pytest.raises(ClusterError, match=r"10\.20\.30\.0/23, the cluster file says 10\.20\.30\.0/24") as caught:
        check_network(a_cluster(), [network("10.0.0.0/8", name="spark_other"), network("10.20.30.0/23")])
    assert "invoke down" in str(caught.value) and "subnet: 10.20.30.0/23" in str(caught.value)


@pytest.mark.parametrize("found", [[], [network("10.20.30.0/24")], [network()], [{"Name": "spark_cluster_network"}]])
def test_a_network_with_the_subnet_of_the_file_or_none_is_fine(found: list[dict[str, object]]) -> None:
    check_network(a_cluster(), found)
    check_network(a_cluster(network="host"), [network("10.20.30.0/23")])


def test_drivers_get_the_builds_proxy_and_certificates_and_nobody_else(tmp_path: Path) -> None:
    build_config = BuildConfig(proxy="http://me:hidden@proxy.example:3128", ca_certificates=(tmp_path / "ca.pem",))
    config = a_cluster(build=build_config)
    stack = build(config, certificates="PEM\n")
    (text,) = [text for name, text in stack.configs.items() if "downloads" in name]
    assert json.loads(text) == {"proxy": {"host": "proxy.example", "port": 3128}, "certificates": "PEM\n"}
    readers = [
        name
        for name, service in services(config, certificates="PEM\n").items()
        if any(one["source"] == "downloads.json" for one in service["configs"])
    ]
    assert readers == ["jupyter-server"]
    assert not any("downloads" in name for name in build().configs)


def test_packages_are_kept_on_the_managers_disk() -> None:
    assert "spark.jars.ivy /data/spark/ivy" in re.sub(" +", " ", defaults(build()))
    jupyter = services()["jupyter-server"]
    assert any(one["target"] == "/data/spark" and one["source"].endswith("/spark") for one in jupyter["volumes"])
