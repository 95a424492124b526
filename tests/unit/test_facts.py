"""facts/nodes.py, facts/pages.py, facts/swarm.py: what is read from recorded answers."""

from __future__ import annotations

import json

import pytest

from sparkqfs.facts.nodes import parse_node, parse_shared_path
from sparkqfs.facts.pages import parse_hdfs, parse_qfs, parse_spark
from sparkqfs.facts.swarm import parse_swarm_nodes, parse_tasks
from tests.doubles.servers import payload

# --- directories ----------------------------------------------------------------------------------


# --- answers that are not as they should be -------------------------------------------------------


def test_an_answer_without_its_last_line_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        parse_node("node1", "hostname\talpha\ncores\t8\n")


@pytest.mark.parametrize("line", ["path\t/x\tdirectory", "cores\tmany", "swarm\t{", "disk\t/x", "meta\t1"])
def test_a_line_of_another_shape_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        parse_node("node1", f"{line}\nend\n")


def test_words_of_a_login_banner_among_the_answer_do_no_harm() -> None:
    assert parse_node("node1", "Welcome!\n\nhostname\talpha\nend\n").hostname == "alpha"


def test_ports_are_numbers_each_once() -> None:
    assert parse_node("node1", "port\t22\nport\t22\nport\t80\nport\t*\nend\n").ports == (22, 80)


# --- recorded answers of the daemons --------------------------------------------------------------


def test_a_spark_4_1_master_says_who_is_alive() -> None:
    fact = parse_spark(json.loads(payload("spark-4.1-master.json")))
    assert fact.alive_hosts == ("10.20.30.4", "10.20.30.5") and fact.dead == 1
    assert (fact.cores, fact.cores_used, fact.memory_mib, fact.memory_used_mib) == (16, 8, 24576, 12288)
    assert fact.applications == ("Pi [monte carlo]",) and fact.status == "ALIVE"


def test_a_qfs_2_2_status_server_says_which_chunkservers_are_up() -> None:
    fact = parse_qfs(json.loads(payload("qfs-2.2-meta.json")))
    assert fact.up_hosts == ("10.20.30.4", "10.20.30.5") and fact.down == 1
    assert (fact.total_bytes, fact.used_bytes, fact.free_bytes) == (200 << 30, 2 << 30, 190 << 30)
    assert (fact.files, fact.blocks, fact.replications_pending) == (9, 23, 7)
    assert not fact.recovering and fact.file_system_id == "4611686018427387905"


@pytest.mark.parametrize(("value", "recovering"), [(True, True), ("1", True), (1, True), (False, False), ("0", False)])
def test_recovery_is_read_however_it_is_written(value: object, recovering: bool) -> None:
    assert parse_qfs({"systemInfo": {"isInRecovery": value}}).recovering is recovering


def test_a_number_that_the_metaserver_does_not_know_counts_as_none() -> None:
    fact = parse_qfs({"systemInfo": {"replicationBacklog": -1, "pendingReplication": -1, "freeFsSpace": -1}})
    assert (fact.replications_pending, fact.free_bytes, fact.up_hosts) == (0, 0, ())


@pytest.mark.parametrize("body", [None, [], {}, "text", {"workers": []}, {"status": "ALIVE"}])
def test_another_page_is_not_taken_for_the_spark_master(body: object) -> None:
    with pytest.raises(ValueError, match="Spark master"):
        parse_spark(body)


@pytest.mark.parametrize("body", [None, [], {}, "text", {"systemInfo": []}])
def test_another_page_is_not_taken_for_the_qfs_status_server(body: object) -> None:
    with pytest.raises(ValueError, match="QFS status server"):
        parse_qfs(body)


def test_the_engine_says_its_swarms_nodes_with_and_without_labels() -> None:
    one, two = parse_swarm_nodes(json.loads(payload("engine-1.41-nodes.json")))
    assert (one.hostname, one.address, one.state, one.is_manager) == ("alpha", "192.168.1.11", "ready", True)
    assert one.labels == {"sparkqfs.cluster": "spark", "sparkqfs.node": "node1"}
    assert (two.state, two.availability, two.is_manager, two.labels) == ("down", "drain", False, {})


def test_the_engine_says_its_tasks_oldest_first_with_errors_and_addresses() -> None:
    raw = json.loads(payload("engine-1.41-tasks.json"))
    old, new, pending = parse_tasks(raw, {"svc-worker": "worker-node"}, {"24ifsmvkjbyhk": "node1"})
    assert (old.service, old.node, old.state, old.error) == (
        "worker-node",
        "node1",
        "failed",
        "task: non-zero exit (1)",
    )
    assert (new.state, new.desired, new.container_id, new.addresses) == (
        "running",
        "running",
        "abc123",
        ("10.20.30.5",),
    )
    assert (pending.service, pending.node, pending.container_id) == ("?", "", "")
    assert pending.error.startswith("no suitable node")


def test_a_task_whose_directory_is_missing_asks_for_the_disk() -> None:
    said = 'invalid mount config for type "bind": bind source path does not exist: /mnt/data/qfs/.cluster-id'
    (task,) = parse_tasks([{"Status": {"State": "rejected", "Err": said}}], {}, {})
    assert task.error == f"{said}: is the disk mounted on this machine?"


def test_a_shared_path_says_what_it_is_on_and_whether_the_token_is_seen() -> None:
    fact = parse_shared_path("mount\tnfs4 server:/export/my\\x20data\nstate\tseen\t\nend\n")
    assert (fact.state, fact.why, fact.mount) == ("seen", "", "nfs4 on server:/export/my\\x20data")


def test_a_shared_path_that_cannot_be_looked_at_says_why() -> None:
    fact = parse_shared_path("state\tunusable\tTransport endpoint is not connected\nend\n")
    assert (fact.state, fact.why, fact.mount) == ("unusable", "Transport endpoint is not connected", "unknown")


@pytest.mark.parametrize("text", ["", "mount\tnfs4 server:/\n", "end\n", "state\nend\n"])
def test_an_answer_about_a_shared_path_that_is_cut_off_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError):
        parse_shared_path(text)


def test_a_hadoop_3_5_namenode_says_which_datanodes_are_up() -> None:
    fact = parse_hdfs(json.loads(payload("hadoop-3.5-namenode.json")))
    assert fact.up_hosts == ("10.20.30.2", "10.20.30.3", "10.20.30.4") and fact.down == 0
    assert (fact.files, fact.blocks, fact.replications_pending) == (15, 3, 0)
    assert fact.file_system_id.startswith("BP-") and 0 < fact.free_bytes < fact.total_bytes
    assert not fact.recovering


def test_safe_mode_is_recovery() -> None:
    answer = json.loads(payload("hadoop-3.5-namenode.json"))
    (info,) = [bean for bean in answer["beans"] if bean["name"].endswith("NameNodeInfo")]
    info["Safemode"] = "Safe mode is ON. The reported blocks 0 needs additional 3 blocks"
    assert parse_hdfs(answer).recovering


@pytest.mark.parametrize("body", [None, [], {}, {"beans": []}, {"beans": [{"name": "x"}]}])
def test_an_answer_that_is_no_namenodes_is_refused(body: object) -> None:
    with pytest.raises(ValueError, match="NameNodeInfo"):
        parse_hdfs(body)
