"""What machines are asked and say: the real script on this machine, in real directories."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.config.model import SharedConfig, StorageConfig, StorageKind
from sparkqfs.facts.nodes import ContainerFact, MetaFact, NodeFacts, PathFact, RecoveryFact, parse_node
from sparkqfs.gather.nodes import facts_arguments, facts_script, layout_arguments
from sparkqfs.plan.cluster.nodes import private_directory, wanted_directories
from sparkqfs.plan.cluster.recovery import MATERIAL, material_sum, recovery_text, state_of
from sparkqfs.plan.storage import backend_of
from tests.builders.clusters import a_cluster

SWARM = {"NodeID": "n1", "NodeAddr": "192.168.1.11", "LocalNodeState": "active", "Cluster": {"ID": "c1"}}


def ask(
    *disks: Path,
    manager: bool = False,
    notebooks: str = "",
    user: str = "root",
    uid: int = 0,
    tools: Path | None = None,
    storage: StorageKind = "qfs",
    counted: bool = False,
) -> NodeFacts:
    """What this machine answers, as prep would ask it; `tools` is a directory that goes before PATH."""
    path = f"{tools}:{os.environ['PATH']}" if tools else os.environ["PATH"]
    layout = backend_of(a_cluster(storage=StorageConfig(kind=storage))).layout
    arguments = [user, user, str(uid), str(uid), "192.0.2.1:5000", "yes" if manager else "no", notebooks]
    done = subprocess.run(
        ["/bin/sh", "-s", "--", *arguments, *layout_arguments(layout), "yes" if counted else "no", *map(str, disks)],
        input=facts_script(layout),
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PATH": path, "DOCKER_HOST": "tcp://127.0.0.1:1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return parse_node("node1", done.stdout)


def kind(facts: NodeFacts, path: Path) -> str:
    return facts.paths[PurePosixPath(path)].kind


def fake_docker(folder: Path, answer: str, code: int = 0) -> Path:
    """A `docker` that gives a recorded answer."""
    folder.mkdir()
    (folder / "answer").write_text(answer)
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\ncat "{folder}/answer"\nexit {code}\n')
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("shared", [None, "/mnt/shared"])
@pytest.mark.parametrize("storage", ["qfs", "hdfs", "shared"])
def test_every_directory_that_a_machine_must_have_is_asked_for(
    tmp_path: Path, storage: StorageKind, shared: str | None
) -> None:
    path = PurePosixPath(shared or "/mnt/shared") if shared or storage == "shared" else None
    config = a_cluster(storage=StorageConfig(kind=storage, shared=SharedConfig(path=path)))
    disks = tuple(PurePosixPath(tmp_path / name) for name in ("one", "two"))
    for node in config.nodes:
        node = replace(node, data_dirs=disks)
        config = replace(config, nodes=tuple(node if one.name == node.name else one for one in config.nodes))
        layout = backend_of(config).layout
        words = ["/bin/sh", "-s", "--", *facts_arguments(config, node, layout)]
        env = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
        done = subprocess.run(words, input=facts_script(layout), capture_output=True, text=True, timeout=30, env=env)
        wanted = {*disks, *wanted_directories(config, node), *([private_directory(config)] if node.manager else [])}
        assert wanted <= set(parse_node(node.name, done.stdout).paths)


def test_a_machine_says_what_it_is(tmp_path: Path) -> None:
    facts = ask(tmp_path)
    assert facts.name == "node1" and facts.hostname == os.uname().nodename
    assert facts.architecture == os.uname().machine
    assert facts.cores == os.cpu_count() and facts.memory_mib > 100 and facts.clock_s > 1.7e9


def test_an_account_is_found_by_name_and_by_number(tmp_path: Path) -> None:
    facts = ask(tmp_path)
    assert facts.user_by_name == facts.user_by_id == ("root", 0)
    assert facts.group_by_name == facts.group_by_id == ("root", 0)
    none = ask(tmp_path, user="no-such-user", uid=2147483000)
    assert (none.user_by_name, none.user_by_id, none.group_by_name, none.group_by_id) == (None, None, None, None)


def test_an_engine_in_a_swarm_says_its_version_and_swarm(tmp_path: Path) -> None:
    tools = fake_docker(tmp_path / "bin", "20.10.24+dfsg1\t" + json.dumps(SWARM) + "\n")
    facts = ask(tmp_path, tools=tools)
    assert facts.engine_version == "20.10.24+dfsg1" and facts.swarm_state == "active"
    assert (facts.swarm_node_id, facts.swarm_cluster_id, facts.swarm_address) == ("n1", "c1", "192.168.1.11")


def test_an_engine_says_to_which_registries_it_talks_plain_http(tmp_path: Path) -> None:
    registries = {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Secure": True}, "192.168.1.11:5000": {"Secure": False}},
    }
    answer = f"20.10.24\t{json.dumps(SWARM)}\t{json.dumps(registries)}\n"
    facts = ask(tmp_path, tools=fake_docker(tmp_path / "bin", answer))
    assert facts.swarm_state == "active"
    assert facts.insecure_registries == ("192.168.1.11:5000", "127.0.0.0/8")
    known = ("192.168.1.11:5000", "127.0.0.1:5000", "192.168.1.11:5001", "docker.io", "manager:5000")
    assert [facts.accepts_plain_http(registry) for registry in known] == [True, True, False, False, False]


@pytest.mark.parametrize(("answer", "code"), [("", 1), ("\tnull\n", 1), ("\t\n", 0), ("\t\tnull\n", 1)])
def test_an_engine_that_does_not_answer_is_no_engine(tmp_path: Path, answer: str, code: int) -> None:
    facts = ask(tmp_path, tools=fake_docker(tmp_path / "bin", answer, code))
    assert facts.engine_version is None and facts.swarm_state == "inactive"


def test_an_engine_says_what_runs_and_which_directories_that_has(tmp_path: Path) -> None:
    tools = fake_docker(tmp_path / "bin", f"20.10.24\t{json.dumps(SWARM)}\n")
    lines = "container\\tspark_qfs.1.x\\tspark\\t/mnt/data/qfs,volume,/mnt/data/spark\\ncontainer\\tmine\\t\\t\\n"
    with (tools / "docker").open("w") as program:
        program.write(f'#!/bin/sh\nif [ "$1" = ps ]; then printf "{lines}"; else cat "{tools}/answer"; fi\n')
    sources = (PurePosixPath("/mnt/data/qfs"), PurePosixPath("/mnt/data/spark"))
    assert ask(tmp_path, tools=tools).containers == (
        ContainerFact(name="spark_qfs.1.x", stack="spark", sources=sources),
        ContainerFact(name="mine", stack="", sources=()),
    )


def test_an_engine_that_does_not_list_its_containers_is_not_one_without_any(tmp_path: Path) -> None:
    tools = fake_docker(tmp_path / "bin", f"20.10.24\t{json.dumps(SWARM)}\n")
    program = tools / "docker"
    program.write_text(program.read_text().replace("\n", '\n[ "$1" != ps ] || exit 1\n', 1))
    assert ask(tmp_path, tools=tools).containers is None
    assert ask(tmp_path).containers is None


def test_a_disk_that_is_not_there_is_missing_and_its_space_is_that_of_the_nearest_parent(tmp_path: Path) -> None:
    facts = ask(tmp_path / "not" / "there")
    (disk,) = facts.disks
    assert kind(facts, tmp_path / "not" / "there") == "missing"
    assert (disk.marker, disk.has_blocks) == (None, False)
    assert 0 < disk.free_bytes <= disk.total_bytes


def test_directories_say_owner_mode_and_whether_they_are_empty(tmp_path: Path) -> None:
    (tmp_path / "qfs" / "chunk").mkdir(parents=True)
    (tmp_path / "qfs" / "chunk").chmod(0o1750)
    facts = ask(tmp_path)
    assert facts.paths[PurePosixPath(tmp_path / "qfs" / "chunk")] == PathFact(
        path=PurePosixPath(tmp_path / "qfs" / "chunk"),
        kind="directory",
        uid=os.getuid(),
        gid=os.getgid(),
        mode=0o1750,
        empty=True,
    )
    assert not facts.paths[PurePosixPath(tmp_path / "qfs")].empty


def test_a_hidden_file_is_enough_for_a_directory_not_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "spark").mkdir()
    (tmp_path / "spark" / ".hidden").touch()
    assert not ask(tmp_path).paths[PurePosixPath(tmp_path / "spark")].empty


def test_a_new_file_system_is_empty_with_its_lost_and_found(tmp_path: Path) -> None:
    (tmp_path / "spark" / "lost+found").mkdir(parents=True)
    assert ask(tmp_path).paths[PurePosixPath(tmp_path / "spark")].empty
    (tmp_path / "spark" / "lost-found").mkdir()
    assert not ask(tmp_path).paths[PurePosixPath(tmp_path / "spark")].empty


def test_a_link_a_file_and_a_pipe_are_told_apart_from_a_directory(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "spark").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "qfs").mkdir()
    (tmp_path / "qfs" / "chunk").touch()
    os.mkfifo(tmp_path / "qfs" / "logs")
    facts = ask(tmp_path)
    assert kind(facts, tmp_path / "spark") == "link"
    assert kind(facts, tmp_path / "qfs" / "chunk") == "file"
    assert kind(facts, tmp_path / "qfs" / "logs") == "other"


def test_a_path_with_a_space_is_one_path(tmp_path: Path) -> None:
    disk = tmp_path / "big disk"
    (disk / "qfs" / "chunk").mkdir(parents=True)
    facts = ask(disk, manager=True, notebooks=str(tmp_path / "my notebooks"))
    assert kind(facts, disk / "qfs" / "chunk") == "directory"
    assert kind(facts, tmp_path / "my notebooks") == "missing"
    assert facts.disks[0].path == PurePosixPath(disk)


def test_marker_and_chunks_of_every_disk_are_found(tmp_path: Path) -> None:
    one, two = tmp_path / "d1", tmp_path / "d2"
    for disk in (one, two):
        (disk / "qfs" / "chunk" / "lost+found").mkdir(parents=True)
    (one / "qfs" / ".cluster-id").write_text("11111111-2222\n")
    (one / "qfs" / "chunk" / "0-fsid-4611").touch()
    for name in ("10.11.1", "10.12.1", "lost+found/10.13.1"):
        (one / "qfs" / "chunk" / name).write_bytes(b"x" * 5000)
    asked, counted = ask(one, two), ask(one, two, counted=True)
    for facts in (asked, counted):
        assert [(disk.marker, disk.has_blocks) for disk in facts.disks] == [("11111111-2222", True), (None, False)]
    assert [(disk.blocks, disk.block_bytes) for disk in asked.disks] == [(0, 0), (0, 0)]
    assert [disk.blocks for disk in counted.disks] == [3, 0] and counted.disks[0].block_bytes >= 15000


def test_blocks_are_neither_counted_nor_measured_unless_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("du", "find"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\nexec /usr/bin/{name} "$@"\n')
        program.chmod(0o755)
    (tmp_path / "qfs" / "chunk").mkdir(parents=True)
    (tmp_path / "qfs" / "chunk" / "10.11.1").touch()
    assert ask(tmp_path, tools=tmp_path / "bin").disks[0].has_blocks
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("find ") and call.endswith("-print -quit")


@pytest.mark.parametrize(("storage", "directory"), [("qfs", "qfs"), ("hdfs", "hdfs"), ("shared", "spark")])
def test_the_clusters_name_lies_beside_its_id(tmp_path: Path, storage: StorageKind, directory: str) -> None:
    assert ask(tmp_path, storage=storage).disks[0].cluster is None
    (tmp_path / directory).mkdir()
    (tmp_path / directory / ".cluster-name").write_text("lab-2\n")
    assert ask(tmp_path, storage=storage).disks[0].cluster == "lab-2"


def test_a_marker_that_is_a_link_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "qfs").mkdir()
    (tmp_path / "other").write_text("11111111-2222\n")
    (tmp_path / "qfs" / ".cluster-id").symlink_to(tmp_path / "other")
    assert ask(tmp_path).disks[0].marker is None


def test_a_marker_cannot_carry_anything_but_an_id(tmp_path: Path) -> None:
    (tmp_path / "qfs").mkdir()
    (tmp_path / "qfs" / ".cluster-id").write_text("abc\tend\x1b[31m;$(id)\nsecond\n")
    assert ask(tmp_path).disks[0].marker == "abcend31mid"


def test_chunks_behind_a_linked_chunk_directory_are_counted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "10.11.1").write_bytes(b"x")
    (tmp_path / "qfs").mkdir()
    (tmp_path / "qfs" / "chunk").symlink_to(tmp_path / "elsewhere")
    assert ask(tmp_path).disks[0].has_blocks
    assert ask(tmp_path, counted=True).disks[0].blocks == 1


def metadata(disk: Path) -> None:
    """Checkpoint, log and link as the metaserver leaves them."""
    (disk / "qfs" / "checkpoint").mkdir(parents=True)
    (disk / "qfs" / "logs").mkdir()
    old, new = disk / "qfs" / "checkpoint" / "chkpt.0.0.1", disk / "qfs" / "checkpoint" / "chkpt.0.0.2"
    old.write_text("checkpoint/1\nfilesysteminfo/fsid/111/crtime/0\n")
    new.write_text("checkpoint/2\nversion/1\nfilesysteminfo/fsid/4611686018427387905/crtime/2026\n")
    os.utime(old, (1.0e9, 1.0e9))
    os.utime(new, (1767268800, 1767268800))
    os.link(new, disk / "qfs" / "checkpoint" / "latest")
    (disk / "qfs" / "logs" / "log.0.0.1").write_text("x")


def test_a_file_system_is_found_with_its_id_and_the_date_of_its_last_checkpoint(tmp_path: Path) -> None:
    metadata(tmp_path)
    meta = ask(tmp_path, manager=True).meta
    assert (meta.checkpoints, meta.logs, meta.latest) == (2, 1, True)
    assert meta.file_system_id == "4611686018427387905" and meta.date == "2026-01-01 12:00 UTC"
    assert meta.exists and meta.bytes > 0


def test_a_manager_without_metadata_has_no_file_system(tmp_path: Path) -> None:
    (tmp_path / "qfs" / "checkpoint").mkdir(parents=True)
    (tmp_path / "qfs" / "logs").mkdir()
    assert not ask(tmp_path, manager=True).meta.exists
    assert ask(tmp_path / "none", manager=True).meta == MetaFact()


@pytest.mark.parametrize("left", ["qfs/checkpoint/latest", "qfs/logs/log.0.0.7", "qfs/checkpoint/chkpt.0.0.1"])
def test_a_file_system_of_which_only_a_part_is_left_still_counts(tmp_path: Path, left: str) -> None:
    (tmp_path / left).parent.mkdir(parents=True)
    (tmp_path / left).touch()
    assert ask(tmp_path, manager=True).meta.exists


def test_a_dangling_link_to_the_last_checkpoint_counts_as_a_file_system(tmp_path: Path) -> None:
    (tmp_path / "qfs" / "checkpoint").mkdir(parents=True)
    (tmp_path / "qfs" / "checkpoint" / "latest").symlink_to("chkpt.gone")
    assert ask(tmp_path, manager=True).meta.exists


def test_a_namenodes_directory_is_a_file_system_and_only_block_files_are_data(tmp_path: Path) -> None:
    current = tmp_path / "hdfs" / "name" / "current"
    current.mkdir(parents=True)
    (current / "VERSION").write_text("namespaceID=17\nclusterID=c\nblockpoolID=BP-1-172.20.0.2-1700000000000\n")
    for name in ("fsimage_0000000000000000000", "fsimage_0000000000000000000.md5", "edits_inprogress_1"):
        (current / name).touch()
    blocks = tmp_path / "hdfs" / "data" / "current" / "BP-1" / "current" / "finalized" / "subdir0"
    blocks.mkdir(parents=True)
    for name in ("blk_1073741825", "blk_1073741825_1001.meta", "VERSION"):
        (blocks / name).write_bytes(b"x" * 5000)
    (tmp_path / "hdfs" / ".cluster-id").write_text("1111-2222\n")
    facts = ask(tmp_path, manager=True, storage="hdfs", counted=True)
    assert (facts.meta.checkpoints, facts.meta.logs, facts.meta.latest) == (1, 1, True)
    assert facts.meta.file_system_id == "BP-1-172.20.0.2-1700000000000" and facts.meta.date
    assert [(disk.marker, disk.blocks) for disk in facts.disks] == [("1111-2222", 1)]
    assert kind(facts, tmp_path / "hdfs" / "name") == "directory"


def test_a_storage_without_daemons_is_not_looked_for(tmp_path: Path) -> None:
    metadata(tmp_path)
    (tmp_path / "qfs" / ".cluster-id").write_text("1111-2222\n")
    facts = ask(tmp_path, manager=True, storage="shared")
    assert facts.meta == MetaFact()
    assert [(disk.marker, disk.has_blocks) for disk in facts.disks] == [(None, False)]


def test_a_worker_is_not_asked_for_metadata_or_secrets(tmp_path: Path) -> None:
    metadata(tmp_path)
    (tmp_path / "sparkqfs").mkdir()
    (tmp_path / "sparkqfs" / "secrets").touch()
    facts = ask(tmp_path)
    assert facts.meta == MetaFact() and not facts.has_secrets


def test_the_managers_certificate_comes_back_byte_for_byte_and_its_secrets_do_not(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n\nBBBB\n-----END CERTIFICATE-----\n"
    (tmp_path / "sparkqfs").mkdir()
    (tmp_path / "sparkqfs" / "ca.crt").write_text(pem)
    (tmp_path / "sparkqfs" / "secrets").write_text("top-secret")
    facts = ask(tmp_path, manager=True)
    assert facts.ca_pem == pem and facts.has_secrets
    assert hashlib.sha256((facts.ca_pem or "").encode()).hexdigest() == hashlib.sha256(pem.encode()).hexdigest()
    assert "top-secret" not in repr(facts)


ROOTS = {"secrets": '{"jupyter_token": "top-secret"}', "ca.key": "key\n"}
COPY = recovery_text(a_cluster(), "1111-2222", 17, ROOTS)


def a_copy_in(folder: Path, content: str) -> Path:
    (folder / "sparkqfs").mkdir()
    path = folder / "sparkqfs" / "recovery.json"
    path.write_text(content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("manager", [True, False])
def test_a_copy_of_the_secrets_says_whose_it_is_and_nothing_of_what_is_in_it(tmp_path: Path, manager: bool) -> None:
    path = a_copy_in(tmp_path, COPY)
    facts = ask(tmp_path, manager=manager)
    assert facts.recovery == RecoveryFact(
        cluster="spark",
        cluster_id="1111-2222",
        storage="qfs",
        written=17,
        material=material_sum(ROOTS),
        state=state_of(a_cluster(), "1111-2222", material_sum(ROOTS)),
        whole=True,
    )
    assert facts.paths[PurePosixPath(path)].mode == 0o600 and "top-secret" not in repr(facts)


DAMAGED = {
    "empty": "",
    "cut off": COPY[:-20],
    "not text": "\x00\x1b\x85\n" * 100,
    "a changed byte": COPY.replace("top-secret", "top-secreT"),
    "longer than any": COPY + " " * (1 << 20),
    "no sum": COPY.replace(' "sum"', ' "some"'),
    "tabs in words": COPY.replace('"spark"', '"sp\tark"').replace("17", '"9\tend"'),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_copy_of_the_secrets_is_told_from_a_whole_one(tmp_path: Path, content: str) -> None:
    a_copy_in(tmp_path, content)
    found = ask(tmp_path).recovery
    assert found is not None and not found.whole


def test_a_copy_behind_a_link_does_not_count(tmp_path: Path) -> None:
    path = a_copy_in(tmp_path, COPY)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    facts = ask(tmp_path)
    assert facts.recovery is None and kind(facts, path) == "link"
    assert ask(tmp_path / "none").recovery is None


@pytest.mark.parametrize("names", [tuple(MATERIAL), ("secrets",), ("secrets", "ca.key", "ca.crt")])
def test_the_manager_says_one_sum_of_its_root_only_files(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "sparkqfs").mkdir()
    assert ask(tmp_path, manager=True).material is None
    for name in names:
        (tmp_path / "sparkqfs" / name).write_text(f"what is in {name}\n")
    (tmp_path / "sparkqfs" / "registry.log").write_text("not one of them")
    assert ask(tmp_path, manager=True).material == material_sum({name: f"what is in {name}\n" for name in names})
    assert ask(tmp_path).material is None
