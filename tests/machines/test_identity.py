"""Main shapes of tests/builders/identity_shapes.py through the real prep: OpenSSH servers, shell scripts, directories.

Each machine is a mount namespace with its own /mnt, /var/lib, /etc and /run/lock: nothing is written on this computer.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import ClusterConfig, OwnerConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ClusterError, RefusedError
from sparkqfs.jobs.cluster import prep, record, whole
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.watching import record as remembered
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.watching.remembered import remembered_problems
from tests.builders.identity_changes import D1, D2, a_config, nodes_with
from tests.builders.identity_shapes import SHAPES, Shape
from tests.doubles.servers import Sshd, sshd

NAMES = ("node1", "node2", "node3")
OWN = {"mnt": "/mnt", "lib": "/var/lib", "etc": "/etc", "lock": "/run/lock"}
NAMESPACE = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
CHECKPOINT = "checkpoint/1\nfilesysteminfo/fsid/7/crtime/1\n"


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Three machines, their directories under `top`, and a copy of these from when all was well."""

    top: Path
    config: ClusterConfig

    def path(self, name: str, path: str) -> Path:
        """Where a path of a machine is on this computer."""
        part, own = next((part, own) for part, own in OWN.items() if path.startswith(own))
        return self.top / name / part / path[len(own) :].lstrip("/")

    def reset(self) -> None:
        """As when all was well."""
        shutil.rmtree(self.top / "shelf", ignore_errors=True)
        (self.top / "shelf").mkdir()
        for name in NAMES:
            for part in ("mnt", "lib"):
                there = self.top / name / part
                for entry in there.iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
                subprocess.run(["cp", "-a", f"{self.top}/well/{name}/{part}/.", there], check=True, timeout=30)

    def keep(self) -> None:
        """All is well now."""
        for name in NAMES:
            for part in ("mnt", "lib"):
                (self.top / "well" / name).mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", self.top / name / part, self.top / "well" / name], check=True, timeout=30)

    def data(self) -> list[str]:
        """Sums of all blocks and metadata, wherever they are now."""
        found = [path for name in (*NAMES, "shelf") for path in (self.top / name).rglob("qfs/c*/*") if path.is_file()]
        return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in found)

    def markers(self) -> list[str]:
        """All files that say which cluster a disk belongs to."""
        return sorted(str(path) for name in NAMES for path in (self.top / name / "mnt").rglob(".cluster-id"))


@contextlib.contextmanager
def a_session(config: ClusterConfig) -> Iterator[Session]:
    clients = Clients(config)
    try:
        yield Session(config, clients, lambda _text: None)
    finally:
        clients.close()


def run_prep(config: ClusterConfig, **words: Any) -> JobResult:
    with a_session(config) as session:
        return prep.run(session, **words)


def deploy_says(session: Session) -> int:
    """The exit code with which deploy would end before it starts anything; 0 when the identity is no reason."""
    try:
        check_cluster_name(session, session.all_facts())
    except ClusterError as error:
        return int(error.exit_code)
    return 0


def status_says(session: Session) -> list[str]:
    """What status finds in the manager's copies."""
    return [problem.what for problem in remembered_problems(session.config, remembered.ask(session), "7")]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A cluster with files, made by the real prep; the metadata and the blocks are the test's."""
    top = tmp_path_factory.mktemp("machines")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_machine(top, name)) for name in NAMES]
        shutil.copy(servers[0].key.with_suffix(".pub"), top / "node2" / "sshd" / "authorized_keys")
        shutil.copy(servers[0].key.with_suffix(".pub"), top / "node3" / "sshd" / "authorized_keys")
        config = servers[0].cluster(top / "known_hosts", nodes=a_config().nodes)
        owner = OwnerConfig(user="nobody", group="nogroup", uid=65534, gid=65534)
        config = replace(config, owner=owner)
        for name, server in zip(NAMES, servers, strict=True):
            config = nodes_with(config, name, address="127.0.0.1", advertise="127.0.0.1", port=server.port)
        made = Machines(top=top, config=config)
        assert not run_prep(config).problems
        made.path("node1", f"{D1}/qfs/checkpoint/chkpt.0.0.1").write_text(CHECKPOINT)
        made.path("node1", f"{D1}/qfs/checkpoint/latest").write_text(CHECKPOINT)
        for name in NAMES:
            for disk in (D1, D2):
                made.path(name, f"{disk}/qfs/chunk/1.1.1").write_text(f"block of {name}:{disk}")
        with a_session(config) as session:
            record.write(session)
        assert {outcome.state for outcome in run_prep(config).outcomes} == {"unchanged"}
        made.keep()
        yield made


@contextlib.contextmanager
def _machine(top: Path, name: str) -> Iterator[Sshd]:
    folder = top / name
    for part in (*OWN, "sshd"):
        (folder / part).mkdir(parents=True)
    subprocess.run(["cp", "-a", "/etc/.", folder / "etc"], check=True, timeout=60)
    mounts = "; ".join(f"mount --bind {folder}/{part} {own}" for part, own in OWN.items())
    with sshd(
        folder / "sshd", "SetEnv DOCKER_HOST=tcp://127.0.0.1:1", through=[*NAMESPACE, f'{mounts}; exec "$@"', "sh"]
    ) as one:
        yield one


Moved = Callable[[Machines], ClusterConfig]


def _shelved(machines: Machines, name: str, disk: str) -> None:
    machines.path(name, disk).rename(machines.top / "shelf" / f"{name}-{disk[-1]}")


def _order_and_unmounted(machines: Machines) -> ClusterConfig:
    _shelved(machines, "node3", D2)
    return nodes_with(machines.config, "node1", data_dirs=(D2, D1))


def _added_while_unmounted(machines: Machines) -> ClusterConfig:
    _shelved(machines, "node2", D2)
    machines.path("node2", "/mnt/d3").mkdir()
    return nodes_with(machines.config, "node2", data_dirs=(D1, D2, "/mnt/d3"))


def _mistyped(machines: Machines) -> ClusterConfig:
    config = machines.config
    for name in NAMES:
        config = nodes_with(config, name, data_dirs=("/mnt/x1", "/mnt/x2"))
    return config


def _taken_out(machines: Machines) -> ClusterConfig:
    config = machines.config
    return replace(config, nodes=tuple(node for node in config.nodes if node.name != "node3"))


def _renamed(machines: Machines) -> ClusterConfig:
    return nodes_with(machines.config, "node2", name="rack1")


def _swapped(machines: Machines) -> ClusterConfig:
    two, three = machines.path("node2", D1), machines.path("node3", D1)
    two.rename(two.with_name("away"))
    three.rename(two)
    two.with_name("away").rename(three)
    return machines.config


def _other_manager(machines: Machines) -> ClusterConfig:
    config = machines.config
    return replace(config, nodes=tuple(replace(node, manager=node.name == "node2") for node in config.nodes))


def _kind(machines: Machines) -> ClusterConfig:
    return replace(machines.config, storage=replace(machines.config.storage, kind="hdfs"))


def _nothing_remembered(machines: Machines) -> ClusterConfig:
    for name in NAMES:
        shutil.rmtree(machines.path(name, "/var/lib/sparkqfs"))
    return machines.config


def _earlier_version(machines: Machines) -> ClusterConfig:
    _nothing_remembered(machines)
    for path in (machines.top / "node1" / "mnt").rglob("spark.qfs.json"):
        path.unlink()
    for name in NAMES:
        for path in (machines.top / name / "mnt").rglob(".cluster.json"):
            path.unlink()
    return machines.config


REAL: dict[str, Moved] = {
    "the same, and a disk of node3 is not mounted": _order_and_unmounted,
    "`--add node2` for a new disk, another disk of node2 is not mounted": _added_while_unmounted,
    "data_dir mistyped for all nodes": _mistyped,
    "a node taken out of hosts.yml": _taken_out,
    "storage.kind changed": _kind,
    "another manager named in a second file": _other_manager,
    "a node renamed": _renamed,
    "two nodes' disks swapped": _swapped,
    "all copies are gone, as in a cluster of an earlier version": _earlier_version,
}


@pytest.mark.parametrize("name", REAL)
def test_prep_over_ssh_says_what_the_table_says_and_loses_nothing(machines: Machines, name: str) -> None:
    shape: Shape = next(shape for shape in SHAPES if shape.name == name)
    machines.reset()
    data, config = machines.data(), REAL[name](machines)
    markers = machines.markers()
    with a_session(config) as session:
        status = status_says(session)
        said = prep.run(session, adopt=shape.add)
        deploy = deploy_says(session)
    assert bool(said.problems) == bool(shape.prep), said.problems
    assert said.exit_code == (5 if shape.prep else 0)
    if shape.prep:
        found = [problem for problem in said.problems if shape.prep in problem.what]
        assert any(shape.typed in str(problem.hint) for problem in found), said.problems
    assert deploy == (0 if shape.deploy == 1 else shape.deploy)  # 1: of a marker, for which deploy looks itself
    assert bool(status) == bool(shape.status) and all(shape.status in what for what in status[:1])
    assert machines.markers() == markers
    if shape.answer and "here" not in shape.answer:
        words = {"adopt": shape.answer.get("add", ()), "forget": shape.answer.get("forget", ())}
        config = machines.config if "undo" in shape.answer else config
        problems = run_prep(config, **words).problems
        assert [one for one in problems if "is missing although" not in one.what] == []
    assert machines.data() == data and len(data) == 8


def test_the_copies_are_roots_and_out_of_the_service_users_reach(machines: Machines) -> None:
    machines.reset()
    memory = machines.path("node1", "/var/lib/sparkqfs/spark.qfs.json")
    private = machines.path("node1", f"{D1}/sparkqfs/spark.qfs.json")
    disk = machines.path("node2", f"{D2}/qfs/.cluster.json")
    assert [path.stat().st_uid for path in (memory, private, disk)] == [0, 0, 0]
    assert [path.stat().st_mode & 0o777 for path in (memory, private, disk)] == [0o644, 0o600, 0o444]


def test_a_purged_cluster_is_forgotten_and_may_begin_elsewhere(machines: Machines) -> None:
    machines.reset()
    with a_session(machines.config) as session:
        record.forget(session)
    assert not machines.path("node1", "/var/lib/sparkqfs/spark.qfs.json").exists()
    assert not machines.path("node1", f"{D1}/sparkqfs/spark.qfs.json").exists()
    assert not run_prep(_mistyped(machines)).problems


def test_init_is_refused_where_the_machines_remember_a_file_system(machines: Machines) -> None:
    machines.reset()
    with a_session(_mistyped(machines)) as session, pytest.raises(RefusedError, match="has its file system's metadata"):
        check_cluster_name(session, session.facts()[0], erases=True)


def test_copies_that_are_damaged_are_said_and_written_again(machines: Machines) -> None:
    machines.reset()
    machines.path("node1", "/var/lib/sparkqfs/spark.qfs.json").write_bytes(b"[" * 5_000_000)
    machines.path("node2", "/var/lib/sparkqfs/spark.qfs.json").write_bytes(b"\0" * 100)
    machines.path("node3", "/var/lib/sparkqfs/spark.qfs.json").unlink()
    machines.path("node2", f"{D1}/qfs/.cluster.json").write_text('{"here": {"node": "node2", "disk": 0},\n')
    with a_session(machines.config) as session:
        (said,) = status_says(session)
    assert said.startswith("/var/lib/sparkqfs/spark.qfs.json cannot be read: it is larger than 1048576 bytes")
    result = run_prep(machines.config)
    assert not result.problems
    changes = [sum(text.startswith("record /") for text in outcome.changes) for outcome in result.outcomes]
    assert changes == [1, 2, 1]
    assert {outcome.state for outcome in run_prep(machines.config).outcomes} == {"unchanged"}


def test_a_restore_that_was_broken_off_is_said(machines: Machines) -> None:
    machines.reset()
    mark = machines.path("node1", f"{D1}/sparkqfs/restore.json")
    with a_session(machines.config) as session:
        assert status_says(session) == []
        mark.write_text("{}\n")
        assert status_says(session) == ["a restore has not ended"]
    mark.unlink()


def test_a_link_in_place_of_a_copy_is_not_followed(machines: Machines) -> None:
    machines.reset()
    copy = machines.path("node2", f"{D1}/qfs/.cluster.json")
    copy.unlink()
    copy.symlink_to("/etc/shadow")
    shadow = machines.path("node2", "/etc/shadow").read_bytes()
    result = run_prep(machines.config)
    assert result.exit_code == 1 and "is a symbolic link; it is not followed" in result.problems[0].what
    assert machines.path("node2", "/etc/shadow").read_bytes() == shadow and copy.is_symlink()


def test_doctor_says_it_too(machines: Machines) -> None:
    machines.reset()
    with a_session(_renamed(machines)) as session:
        found = whole.doctor(session)
    told = [problem for problem in found.problems if "hosts.yml has no node2" in problem.what]
    assert [(problem.node, problem.code) for problem in told] == [("rack1", 5)] and found.exit_code == 5
    assert "`invoke prep --add rack1`" in str(told[0].hint)


def test_a_prep_that_is_only_planned_writes_nothing(machines: Machines) -> None:
    machines.reset()
    _earlier_version(machines)
    before = sorted(str(path) for path in machines.top.rglob("*.json"))
    with a_session(machines.config) as session:
        session.dry_run = True
        changes = prep.run(session).outcomes[1].changes
    assert [text.partition(":")[0] for text in changes if text.startswith("record ")] == [
        f"record {D1}/qfs/.cluster.json",
        f"record {D2}/qfs/.cluster.json",
        "record /var/lib/sparkqfs/spark.qfs.json",
    ]
    assert sorted(str(path) for path in machines.top.rglob("*.json")) == before


def test_files_on_a_shared_path_are_written_down_when_deploy_has_made_the_first(machines: Machines) -> None:
    machines.reset()
    _earlier_version(machines)
    for name in NAMES:
        machines.path(name, "/mnt/nfs").mkdir()
    storage = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/nfs")))
    config = replace(machines.config, name="plain", storage=storage)
    config = nodes_with(config, "node1", data_dirs=("/mnt/y1",))
    assert not run_prep(config).problems
    with a_session(config) as session:
        session.all_facts()
        machines.path("node1", "/mnt/nfs/plain/tmp").mkdir()
        record.settle(session, looks_again=True)
    assert {outcome.state for outcome in run_prep(config).outcomes} == {"unchanged"}
    moved = replace(config, storage=replace(storage, shared=SharedConfig(path=PurePosixPath("/mnt/nfs2"))))
    (problem,) = [one for one in run_prep(moved).problems if one.config_path == "storage.shared.path"][:1]
    assert "cluster plain keeps its files in /mnt/nfs/plain" in problem.what and problem.code == 5


def test_prep_decides_from_what_it_finds_under_the_lock(machines: Machines) -> None:
    machines.reset()
    run_prep(machines.config)
    with a_session(machines.config) as session:
        session.facts()
        machines.path("node2", "/var/lib/sparkqfs/spark.qfs.json").unlink()
        result = prep.run(session)
    assert [(one.subject, one.state) for one in result.outcomes] == [
        ("node1", "unchanged"),
        ("node2", "changed"),
        ("node3", "unchanged"),
    ]


def test_prep_asks_each_machine_once(machines: Machines) -> None:
    machines.reset()
    run_prep(machines.config)
    said: list[str] = []
    with a_session(machines.config) as session:
        session.on_event = said.append
        assert not prep.run(session).changed
    assert said == ["asking 3 machines"]


def test_a_disk_that_could_not_be_marked_is_not_written_down(machines: Machines) -> None:
    """Its node fails on the way; the other new disk, and what is known of the others, is written down."""
    machines.reset()
    config = machines.config
    for name in ("node2", "node3"):
        machines.path(name, "/mnt/d3").mkdir()
        config = nodes_with(config, name, data_dirs=(D1, D2, "/mnt/d3"))
    in_the_way = machines.path("node3", "/mnt/d3/qfs/.cluster-id.new/x")
    in_the_way.mkdir(parents=True)
    words = {"adopt": ("node2:2", "node3:2")}
    result = run_prep(config, **words)
    assert [(one.subject, one.state) for one in result.outcomes] == [
        ("node1", "changed"),
        ("node2", "changed"),
        ("node3", "failed"),
    ]
    record = machines.path("node1", "/var/lib/sparkqfs/spark.qfs.json").read_text()
    assert record.count("/mnt/d3") == 1
    shutil.rmtree(in_the_way.parent)
    assert not run_prep(config, **words).problems
    assert machines.path("node1", "/var/lib/sparkqfs/spark.qfs.json").read_text().count("/mnt/d3") == 2
    assert {outcome.state for outcome in run_prep(config).outcomes} == {"unchanged"}


def test_deploy_writes_down_a_node_that_a_killed_prep_has_left_with_its_markers(machines: Machines) -> None:
    machines.reset()
    machines.path("node2", "/mnt/d3/qfs").mkdir(parents=True)
    for name in (".cluster-id", ".cluster-name"):
        shutil.copy(machines.path("node2", f"{D1}/qfs/{name}"), machines.path("node2", f"/mnt/d3/qfs/{name}"))
    config = nodes_with(machines.config, "node2", data_dirs=(D1, D2, "/mnt/d3"))
    with a_session(config) as session:
        record.settle(session)
    assert machines.path("node1", "/var/lib/sparkqfs/spark.qfs.json").read_text().count("/mnt/d3") == 1


@pytest.mark.parametrize("place", ["another node", "a new disk"])
def test_a_task_that_puts_the_metadata_back_says_where_the_manager_is(machines: Machines, place: str) -> None:
    machines.reset()
    _shelved(machines, "node1", D1)
    config = _other_manager(machines) if place == "another node" else machines.config
    name = config.manager.name
    folder = machines.path(name, f"{D1}/qfs/checkpoint")
    folder.mkdir(parents=True)
    for file in ("chkpt.0.0.1", "latest"):
        (folder / file).write_text(CHECKPOINT)
    if place == "another node":
        config = replace(config, nodes=tuple(node for node in config.nodes if node.name != "node1"))
    with a_session(config) as session:
        record.take_over(session)
        assert session.manager_facts().disks[0].marker
    assert machines.path(name, f"{D1}/sparkqfs").stat().st_mode & 0o777 == 0o700
    said = [problem.what for problem in run_prep(config).problems if "does not have node1" not in problem.what]
    assert said == []
    with a_session(machines.config) as session:
        found = prep.plan(session)[0].problems
    assert bool(found) == (place == "another node")
    assert all("set `manager: true` for node2" in str(problem.hint) for problem in found), found
