"""plan/cluster/nodes.py: prep changes what differs, nothing else, and never marks a disk that may be the wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, NotebooksConfig, RegistryConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ExitCode
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.directories import wanted_directories
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.steps import Plan, Secret, ShellStep, Step, write_file
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import (
    CLUSTER_ID,
    INITIALISED,
    a_fresh_node,
    a_node,
    fresh_ca,
    prepared,
    with_path,
)
from tests.builders.plans import ALL, CLUSTER, planned


def whats(steps: tuple[Step, ...]) -> list[str]:
    return [step.what for step in steps]


def codes(plan: Plan) -> set[ExitCode]:
    return {problem.code for problem in plan.problems}


def test_a_step_that_was_done_does_not_say_that_the_thing_is_missing() -> None:
    new, old = (Step(node="node1", what="directory /x", why=why) for why in ("missing", "mode 755"))
    assert (new.planned, new.done) == ("directory /x: missing", "directory /x: was missing")
    assert old.planned == old.done == "directory /x: mode 755"


# --- what differs ---------------------------------------------------------------------------------


def test_a_prepared_cluster_gets_an_empty_plan() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER))
    assert plan == Plan(unchanged=ALL)


def test_only_the_node_whose_directory_has_the_wrong_owner_is_touched() -> None:
    odd = with_path(a_node("node2"), "/mnt/data/qfs/chunk", uid=0, gid=0)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert [(step.node, step.why) for step in plan.steps] == [("node2", "owner is 0:0, want 6700:6700")]
    assert plan.unchanged == ("node1", "node3")


def test_a_wrong_mode_is_corrected_and_named() -> None:
    odd = with_path(a_node("node3"), "/mnt/data/spark", mode=0o777)
    plan = planned(CLUSTER, prepared(CLUSTER, node3=odd))
    assert [(step.node, step.why) for step in plan.steps] == [("node3", "mode is 777, want 750")]


def test_only_the_named_nodes_are_planned() -> None:
    facts = {name: a_fresh_node(name) for name in ALL}
    plan = planned(CLUSTER, facts, only=("node1",), fresh=fresh_ca())
    assert {step.node for step in plan.steps} == {"node1"}


def test_a_fresh_machine_gets_its_user_directories_marker_and_trust_in_this_order() -> None:
    facts = prepared(CLUSTER, node2=a_fresh_node("node2"))
    plan = planned(CLUSTER, facts)
    assert whats(plan.of("node2")) == [
        "group spark (6700)",
        "user spark (6700)",
        "directory /mnt/data/qfs (6700:6700, 750)",
        "directory /mnt/data/qfs/chunk (6700:6700, 750)",
        "directory /mnt/data/qfs/logs (6700:6700, 750)",
        "directory /mnt/data/qfs/copies (6700:6700, 750)",
        "directory /mnt/data/spark (6700:6700, 750)",
        "marker /mnt/data/qfs/.cluster-id",
        "name /mnt/data/qfs/.cluster-name",
        "record /mnt/data/qfs/.cluster.json",
        "record /var/lib/sparkqfs/spark.qfs.json",
        "registry trust /etc/docker/certs.d/192.168.1.11:5000/ca.crt",
        "directory /mnt/data/sparkqfs (0:0, 700)",
        "copy of the secrets /mnt/data/sparkqfs/recovery.json",
    ]
    assert all(step.why == "missing" for step in plan.of("node2"))


def test_secrets_and_keys_are_made_on_the_manager_alone() -> None:
    plan = planned(CLUSTER, {name: a_fresh_node(name) for name in ALL}, fresh=fresh_ca())
    private = [step.node for step in plan.steps if step.what == "secrets of the cluster" or "key of" in step.what]
    assert private and set(private) == {"node1"}
    assert "directory /mnt/data/sparkqfs (0:0, 700)" in whats(plan.of("node1"))
    assert "directory /mnt/data/qfs/checkpoint (6700:6700, 750)" in whats(plan.of("node1"))
    assert not any("checkpoint" in what for what in whats(plan.of("node2")))
    assert "directory /mnt/data/spark-master (6700:6700, 750)" in whats(plan.of("node1"))
    assert not any("spark-master" in what for what in whats(plan.of("node2")))


def test_the_first_two_other_machines_get_a_directory_for_copies_of_the_metadata() -> None:
    names = ("node1", "node2", "node3", "node4")
    config = a_cluster(*names)
    plan = plan_prep(config, {name: a_fresh_node(name, config) for name in names}, fresh_ca(), only=names)
    made = {step.node for step in plan.steps if step.what.startswith("directory /mnt/data/qfs/copies ")}
    assert made == {"node2", "node3"}


def test_a_secret_that_an_earlier_version_did_not_make_is_added() -> None:
    old = ("jupyter_token", "spark_secret", "registry_password", "cluster_key")
    plan = planned(CLUSTER, prepared(CLUSTER, node1=a_node("node1", secret_names=old)), fresh=fresh_ca())
    (step,) = [step for step in plan.of("node1") if step.what == "secrets of the cluster"]
    assert step.why == "metadata_key missing"


def test_secrets_that_are_there_are_never_replaced() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER), fresh=fresh_ca())
    assert "secrets of the cluster" not in whats(plan.steps)


def test_a_new_ca_is_trusted_again_on_every_node() -> None:
    new = replace(fresh_ca(), ca_pem="another certificate\n")
    plan = planned(CLUSTER, prepared(CLUSTER), fresh=new)
    again = [(step.node, step.why) for step in plan.steps if step.what.startswith("registry trust")]
    assert again == [(name, "another certificate") for name in ALL]


def test_without_tls_no_machine_needs_a_certificate_but_every_engine_leave_for_plain_http() -> None:
    config = a_cluster(registry=RegistryConfig(tls=False))
    plan = planned(config, {name: a_fresh_node(name, config) for name in ALL}, fresh=fresh_ca())
    assert [step.node for step in plan.steps if step.what.startswith("plain HTTP")] == list(ALL)
    assert not any("trust" in what or "certificate" in what or "key of" in what for what in whats(plan.steps))


def test_every_disk_of_a_node_gets_its_directories_and_marker_but_logs_only_the_first() -> None:
    disks = (PurePosixPath("/d1"), PurePosixPath("/d2"))
    config = a_cluster(nodes=(a_node_config("node1", data_dirs=disks),))
    plan = planned(config, {"node1": a_fresh_node("node1", config)}, fresh=fresh_ca())
    found = whats(plan.steps)
    assert "marker /d1/qfs/.cluster-id" in found and "marker /d2/qfs/.cluster-id" in found
    assert any(what.startswith("directory /d2/qfs/chunk ") for what in found)
    assert any(what.startswith("directory /d1/qfs/logs ") for what in found)
    assert not any(what.startswith("directory /d2/qfs/logs ") for what in found)


def test_shared_storage_needs_no_qfs_directories_and_no_marker() -> None:
    storage = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/nfs")))
    config = a_cluster(storage=storage)
    plan = planned(config, {name: a_fresh_node(name, config) for name in ALL}, fresh=fresh_ca())
    assert not plan.problems
    assert not any("/qfs" in what or "marker" in what for what in whats(plan.steps))


def test_shared_notebooks_are_made_once_where_they_are_missing_and_never_changed() -> None:
    path = PurePosixPath("/mnt/nfs/notebooks")
    config = a_cluster(notebooks=NotebooksConfig(path=path, shared=True))
    plan = planned(config, prepared(config))
    assert [(step.node, step.why) for step in plan.steps] == [("node1", "missing")]
    theirs = with_path(a_node("node1", config), str(path), uid=1000, gid=1000, mode=0o777, empty=False)
    assert planned(config, prepared(config, node1=theirs)) == Plan(unchanged=ALL)


def test_shared_notebooks_belong_to_somebody_else() -> None:
    shared = NotebooksConfig(path=PurePosixPath("/mnt/nfs/notebooks"), shared=True)
    mine = NotebooksConfig(path=PurePosixPath("/srv/notebooks"))
    assert PurePosixPath("/mnt/nfs/notebooks") not in wanted_directories(a_cluster(notebooks=shared), CLUSTER.manager)
    assert PurePosixPath("/srv/notebooks") in wanted_directories(a_cluster(notebooks=mine), CLUSTER.manager)


# --- what stands against it -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "what", "setting"),
    [
        ({"user_by_name": ("spark", 1000)}, "user spark has number 1000 here, expected 6700", "owner.uid"),
        ({"user_by_id": ("mysql", 6700)}, "number 6700 belongs to user mysql here, expected spark", "owner.uid"),
        ({"group_by_name": ("spark", 50)}, "group spark has number 50 here, expected 6700", "owner.gid"),
        ({"group_by_id": ("staff", 6700)}, "number 6700 belongs to group staff here, expected spark", "owner.gid"),
    ],
)
def test_an_account_that_means_something_else_is_refused(fields: dict[str, Any], what: str, setting: str) -> None:
    odd = replace(a_fresh_node("node2"), **fields)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert [(p.node, p.what, p.config_path) for p in plan.problems] == [("node2", what, setting)]
    assert plan.steps == () and plan.unchanged == ("node1", "node3")


def test_a_symbolic_link_in_place_of_a_directory_is_refused() -> None:
    odd = with_path(a_node("node2"), "/mnt/data/qfs/chunk", kind="link", uid=0, gid=0, mode=0o777)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert [p.what for p in plan.problems] == ["/mnt/data/qfs/chunk is a symbolic link, expected a directory"]
    assert plan.of("node2") == ()


def test_a_data_directory_that_is_a_link_is_refused_before_anything_is_made_behind_it() -> None:
    odd = with_path(a_fresh_node("node2"), "/mnt/data", kind="link", uid=0, gid=0, mode=0o777)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert [(p.what, p.config_path) for p in plan.problems] == [
        ("/mnt/data is a symbolic link, expected a directory", "nodes.node2.data_dir")
    ]
    assert plan.of("node2") == ()


def test_a_data_directory_may_be_anybodys() -> None:
    odd = with_path(a_node("node2"), "/mnt/data", uid=1000, gid=1000, mode=0o755, empty=False)
    assert planned(CLUSTER, prepared(CLUSTER, node2=odd)) == Plan(unchanged=ALL)


def test_a_file_in_place_of_a_directory_is_refused() -> None:
    odd = with_path(a_node("node2"), "/mnt/data/spark", kind="file")
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert [p.what for p in plan.problems] == ["/mnt/data/spark is a file, expected a directory"]


def test_another_users_directory_with_something_in_it_is_left_alone() -> None:
    odd = with_path(a_node("node2"), "/mnt/data/spark", uid=1000, gid=1000, empty=False)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert [p.what for p in plan.problems] == ["/mnt/data/spark belongs to user number 1000 and is not empty"]
    assert "chown -R 6700:6700 /mnt/data/spark" in (plan.problems[0].hint or "")
    assert plan.of("node2") == ()


def foreign(path: str, uid: int, fact: NodeFacts, config: ClusterConfig = CLUSTER, **more: Any) -> Plan:
    """The plan when the manager has a directory of this user with something in it."""
    odd = with_path(fact, path, uid=uid, gid=uid, empty=False, **({"mode": 0o755} | more))
    others = prepared(config) if fact.disks[0].marker else {name: a_fresh_node(name, config) for name in ALL}
    return planned(config, {**others, "node1": odd})


@pytest.mark.parametrize("uid", [0, 1000])
def test_a_directory_that_hosts_yml_names_is_not_taken_from_root_or_from_a_user(uid: int) -> None:
    path = PurePosixPath("/srv/www")
    config = a_cluster(notebooks=NotebooksConfig(path=path))
    plan = foreign(str(path), uid, a_node("node1", config), config)
    owner = "root" if uid == 0 else "user number 1000"
    assert [(p.what, p.config_path) for p in plan.problems] == [
        (f"/srv/www belongs to {owner} and is not empty", "notebooks.path")
    ]
    assert plan.of("node1") == () and "another directory" in (plan.problems[0].hint or "")


def test_a_directory_of_the_shared_file_system_with_our_name_is_not_taken_from_root() -> None:
    storage = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt")))
    config = a_cluster(storage=storage)
    plan = foreign("/mnt/spark", 0, a_node("node1", config), config)
    assert [(p.what, p.config_path) for p in plan.problems] == [
        ("/mnt/spark belongs to root and is not empty", "storage.shared.path")
    ]


@pytest.mark.parametrize("path", ["/mnt/data/spark-master", "/mnt/data/metastore", "/mnt/data/metastore/qfs"])
def test_roots_directory_under_a_name_that_earlier_versions_did_not_use_is_not_taken(path: str) -> None:
    assert [p.what for p in foreign(path, 0, a_node("node1")).problems] == [f"{path} belongs to root and is not empty"]


@pytest.mark.parametrize("path", ["/mnt/data/spark", "/mnt/data/qfs/chunk", "/mnt/data/notebooks"])
def test_roots_directory_in_a_data_directory_is_taken_only_where_it_has_been_ours(path: str) -> None:
    assert [p.what for p in foreign(path, 0, a_fresh_node("node1")).problems][:1] == [
        f"{path} belongs to root and is not empty"
    ]
    plan = foreign(path, 0, a_node("node1"))
    assert not plan.problems
    assert [step.why for step in plan.of("node1")] == ["owner is 0:0, want 6700:6700"]


def test_an_empty_directory_of_root_is_taken() -> None:
    path = PurePosixPath("/srv/notebooks")
    config = a_cluster(notebooks=NotebooksConfig(path=path))
    odd = with_path(a_node("node1", config), str(path), uid=0, gid=0, mode=0o755, empty=True)
    plan = planned(config, prepared(config, node1=odd))
    assert not plan.problems and [step.why for step in plan.of("node1")] == ["owner is 0:0, want 6700:6700"]


PRIVATE = "/mnt/data/sparkqfs"


def test_the_directory_for_secrets_is_not_taken_from_anybody() -> None:
    for uid, who in ((0, "root"), (1000, "user number 1000"), (6700, "user number 6700")):
        plan = foreign(PRIVATE, uid, a_fresh_node("node1"))
        assert [p.what for p in plan.problems][:1] == [f"{PRIVATE} belongs to {who} and is not empty"]
        assert plan.of("node1") == ()
    assert foreign(PRIVATE, 1000, a_node("node1")).problems


def test_the_directory_for_secrets_is_ours_with_the_secrets_and_when_prep_was_broken_off() -> None:
    assert [s.why for s in foreign(PRIVATE, 6700, a_node("node1")).of("node1")][:1] == ["owner is 6700:6700, want 0:0"]
    begun = foreign(PRIVATE, 0, a_node("node1", has_secrets=False), mode=0o700)
    assert not begun.problems and "secrets of the cluster" in whats(begun.of("node1"))


def test_a_link_in_place_of_the_directory_for_secrets_is_refused() -> None:
    plan = foreign(PRIVATE, 0, a_node("node1"), kind="link")
    assert [p.what for p in plan.problems] == [f"{PRIVATE} is a symbolic link, expected a directory"]


def test_another_users_empty_directory_is_taken_over() -> None:
    odd = with_path(a_node("node2"), "/mnt/data/spark", uid=1000, gid=1000, empty=True)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd))
    assert not plan.problems
    assert [step.why for step in plan.of("node2")] == ["owner is 1000:1000, want 6700:6700"]


def test_a_fault_on_one_node_does_not_hold_up_the_others() -> None:
    odd = with_path(a_fresh_node("node2"), "/mnt/data/spark", kind="link")
    plan = planned(CLUSTER, prepared(CLUSTER, node2=odd, node3=a_fresh_node("node3")))
    assert plan.of("node2") == () and plan.of("node3") != ()


# --- the marker -----------------------------------------------------------------------------------


def test_a_fresh_cluster_gets_one_new_id_everywhere() -> None:
    plan = planned(CLUSTER, {name: a_fresh_node(name) for name in ALL}, fresh=fresh_ca())
    assert not plan.problems
    marked = [step for step in plan.steps if step.what.startswith("marker")]
    assert [step.node for step in marked] == list(ALL)
    assert len({step.lines for step in marked if isinstance(step, ShellStep)}) == 1


def test_a_second_prep_gives_a_new_node_the_managers_id_and_not_a_new_one() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node2=a_fresh_node("node2")))
    (step,) = [step for step in plan.steps if step.what.startswith("marker")]
    same = write_file(
        "node2",
        PurePosixPath("/mnt/data/qfs/.cluster-id"),
        CLUSTER_ID + "\n",
        uid=6700,
        gid=6700,
        mode=0o444,
        what=step.what,
        why=step.why,
    )
    assert step == same


def initialised(**changed: NodeFacts) -> dict[str, NodeFacts]:
    return prepared(CLUSTER, node1=a_node("node1", meta=INITIALISED), **changed)


def test_a_missing_marker_in_an_initialised_cluster_is_refused_because_the_disk_may_not_be_mounted() -> None:
    plan = planned(CLUSTER, initialised(node2=a_fresh_node("node2")))
    assert codes(plan) == {ExitCode.REFUSED}
    assert "is the disk at /mnt/data mounted?" in plan.problems[0].what
    assert "invoke prep --add node2" in (plan.problems[0].hint or "")
    assert plan.of("node2") == ()


def test_chunks_anywhere_are_a_cluster_that_holds_data_although_the_managers_metadata_is_gone() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node2=a_node("node2", blocks=3), node3=a_fresh_node("node3")))
    assert codes(plan) == {ExitCode.REFUSED} and plan.of("node3") == ()
    assert "is the disk at /mnt/data mounted?" in plan.problems[0].what


def test_a_node_that_is_named_as_new_joins_an_initialised_cluster() -> None:
    plan = planned(CLUSTER, initialised(node2=a_fresh_node("node2")), adopt=("node2",))
    assert not plan.problems
    assert "marker /mnt/data/qfs/.cluster-id" in whats(plan.of("node2"))


def test_naming_one_node_as_new_does_not_adopt_another() -> None:
    facts = initialised(node2=a_fresh_node("node2"), node3=a_fresh_node("node3"))
    plan = planned(CLUSTER, facts, adopt=("node2",))
    assert [p.node for p in plan.problems] == ["node3"]


@pytest.mark.parametrize("adopt", [(), ("node2",)])
def test_a_disk_of_another_cluster_is_never_touched(adopt: tuple[str, ...]) -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node2=a_node("node2", marker="another-id")), adopt=adopt)
    assert codes(plan) == {ExitCode.REFUSED}
    assert plan.problems[0].what == f"/mnt/data/qfs/.cluster-id says another-id, this cluster is {CLUSTER_ID}"
    assert plan.of("node2") == ()


@pytest.mark.parametrize("adopt", [(), ("node2",)])
def test_chunks_without_a_marker_are_refused(adopt: tuple[str, ...]) -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node2=a_node("node2", marker=None, blocks=12)), adopt=adopt)
    assert codes(plan) == {ExitCode.REFUSED} and [p.node for p in plan.problems] == ["node2"]


def test_a_manager_without_a_marker_is_refused_while_another_node_has_one() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node1=a_fresh_node("node1")), fresh=fresh_ca())
    assert codes(plan) == {ExitCode.REFUSED} and plan.steps == ()
    assert plan.problems[0].node == "node1" and "not mounted" in plan.problems[0].what


def test_a_manager_without_a_marker_is_refused_while_another_node_has_chunks() -> None:
    facts = {name: a_fresh_node(name) for name in ALL} | {"node3": a_node("node3", marker=None, blocks=1)}
    plan = planned(CLUSTER, facts, fresh=fresh_ca())
    assert codes(plan) == {ExitCode.REFUSED} and plan.steps == ()


def test_metadata_without_a_marker_is_refused() -> None:
    facts = prepared(CLUSTER, node1=a_node("node1", marker=None, meta=INITIALISED))
    plan = planned(CLUSTER, facts)
    assert codes(plan) == {ExitCode.REFUSED} and plan.steps == ()
    assert plan.problems[0].what == "/mnt/data/qfs holds a file system but no .cluster-id"


def test_without_the_manager_the_others_get_directories_but_neither_marker_nor_trust() -> None:
    facts = {"node2": a_fresh_node("node2"), "node3": a_node("node3")}
    plan = planned(CLUSTER, facts, fresh=fresh_ca())
    assert not plan.problems
    assert any(what.startswith("directory") for what in whats(plan.of("node2")))
    assert not any("marker" in what or "trust" in what for what in whats(plan.steps))


def test_no_node_gets_a_new_id_in_a_run_that_leaves_the_manager_out() -> None:
    plan = planned(CLUSTER, {name: a_fresh_node(name) for name in ALL}, fresh=fresh_ca(), only=("node2",))
    assert not any("marker" in what or "trust" in what for what in whats(plan.steps))


def test_no_node_gets_a_new_id_in_a_run_in_which_the_manager_is_refused() -> None:
    facts = {name: a_fresh_node(name) for name in ALL}
    facts["node1"] = replace(facts["node1"], user_by_name=("spark", 1000))
    plan = planned(CLUSTER, facts, fresh=fresh_ca())
    assert [p.node for p in plan.problems] == ["node1"]
    assert not any("marker" in what or "trust" in what for what in whats(plan.steps))


# --- secrets --------------------------------------------------------------------------------------


def test_no_secret_shows_in_the_text_of_a_plan_or_of_its_material() -> None:
    material = fresh_ca()
    plan = planned(CLUSTER, {name: a_fresh_node(name) for name in ALL}, fresh=material)
    for text in (repr(plan), str(plan), repr(material), *(f"{step}" for step in plan.steps)):
        for secret in ("fresh-secrets-value", "ca-key-value", "server-key-value"):
            assert secret not in text
    assert "cHJp" not in repr(plan) and "base64" not in repr(plan)  # nor encoded


def test_a_secret_is_a_text_that_shows_as_stars_but_keeps_its_value() -> None:
    secret = Secret("abc")
    assert repr(secret) == "***" and repr({"x": secret}) == "{'x': ***}"
    assert secret == "abc" and secret.encode() == b"abc"


# --- the script, run for real ---------------------------------------------------------------------


def test_no_node_gets_a_new_id_when_the_managers_engine_settings_cannot_be_read() -> None:
    config = a_cluster(registry=RegistryConfig(tls=False))
    facts = {name: a_fresh_node(name, config) for name in ALL}
    facts["node1"] = replace(facts["node1"], daemon_json="{broken")
    plan = planned(config, facts, fresh=fresh_ca())
    assert [problem.node for problem in plan.problems] == ["node1"]
    assert not any("marker" in what for what in whats(plan.steps))


def test_a_settings_file_of_an_engine_that_is_not_utf8_is_not_touched() -> None:
    config = a_cluster("node1", registry=RegistryConfig(tls=False))
    odd = replace(a_fresh_node("node1", config), daemon_json='{"labels": ["\ufffd"]}')
    plan = planned(config, {"node1": odd}, fresh=fresh_ca())
    assert ["cannot be read" in problem.what for problem in plan.problems] == [True] and plan.steps == ()


def test_a_shared_path_that_the_manager_has_not_mounted_is_not_made_by_prep() -> None:
    storage = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/nfs")))
    config = a_cluster(storage=storage)
    facts = {name: a_fresh_node(name, config) for name in ALL}
    facts["node1"] = with_path(facts["node1"], "/mnt/nfs", kind="missing")
    plan = planned(config, facts, fresh=fresh_ca())
    assert [(problem.node, problem.config_path) for problem in plan.problems] == [("node1", "storage.shared.path")]
    assert plan.of("node1") == ()
