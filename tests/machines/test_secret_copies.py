"""Copies of the manager's secrets on other nodes: prep over real SSH, in directories of this computer."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import ClusterConfig, CopiesConfig, OwnerConfig, StorageConfig
from sparkqfs.errors import ClusterError, ExitCode, RefusedError, UnreachableError
from sparkqfs.jobs.cluster import prep, whole
from sparkqfs.jobs.cluster.recovery import newest_recovery, read_recovery
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import file_system
from sparkqfs.plan.cluster.recovery import MATERIAL, recovery_text
from sparkqfs.plan.steps import JobResult
from tests.doubles.servers import Sshd, closed_port, sshd

NAMES = ("node1", "node2", "node3", "node4")
PARTS = ("data", "etc", "lib")
NAME = f"copies-{os.getpid()}"
OTHER_ID = "22222222-2222-2222-2222-222222222222"
OWNER = OwnerConfig(user="daemon", group="daemon", uid=1, gid=1)


class Machines:
    """Four SSH servers on this computer, each with data, an /etc/docker and a /var/lib of its own."""

    def __init__(self, folder: Path, servers: dict[str, Sshd]) -> None:
        self.folder, self.servers = folder, servers
        self.said: list[str] = []
        base = servers["node1"].cluster(folder / "known_hosts", owner=OWNER, name=NAME)
        nodes = [replace(base.nodes[0], name=name, port=one.port) for name, one in servers.items()]
        nodes = [replace(node, data_dirs=(PurePosixPath(folder / node.name / "data"),)) for node in nodes]
        self.config = replace(base, nodes=tuple(replace(node, manager=node.name == "node1") for node in nodes))

    def directory(self, name: str) -> Path:
        return self.folder / name / "data" / "sparkqfs"

    def copy(self, name: str) -> Path:
        return self.directory(name) / "recovery.json"

    def copies(self) -> list[str]:
        """The nodes that have one."""
        return [name for name in NAMES if self.copy(name).exists()]

    @contextlib.contextmanager
    def session(self, config: ClusterConfig | None = None, *, dry_run: bool = False) -> Iterator[Session]:
        clients = Clients(config or self.config)
        try:
            yield Session(clients.config, clients, self.said.append, dry_run=dry_run)
        finally:
            clients.close()

    def prep(self, config: ClusterConfig | None = None, *, dry_run: bool = False) -> JobResult:
        with self.session(config, dry_run=dry_run) as session:
            return prep.run(session)

    def order(self, *names: str) -> ClusterConfig:
        """hosts.yml with the nodes in this order."""
        return replace(self.config, nodes=tuple(self.config.node(name) for name in names))

    def dead(self, name: str, config: ClusterConfig | None = None) -> ClusterConfig:
        """hosts.yml whose node cannot be reached."""
        config = config or self.config
        port = closed_port()
        nodes = tuple(replace(node, port=port) if node.name == name else node for node in config.nodes)
        return replace(config, nodes=nodes)

    def material(self) -> dict[str, str]:
        return {name: (self.directory("node1") / name).read_text() for name in MATERIAL}

    def cluster_id(self) -> str:
        return (self.folder / "node1" / "data" / "qfs" / ".cluster-id").read_text().strip()

    def put_back(self, saved: Path | None) -> None:
        """What was on the machines then; nothing without."""
        for name, part in itertools.product(NAMES, PARTS):
            subprocess.run(["find", self.folder / name / part, "-mindepth", "1", "-delete"], check=True, timeout=30)
            if saved is not None:
                subprocess.run(["cp", "-a", f"{saved}/{name}/{part}", self.folder / name], check=True, timeout=30)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """They write down every command they get."""
    folder = tmp_path_factory.mktemp("machines")
    log = folder / "commands"
    run = folder / "run"
    run.write_text(f'#!/bin/sh\nprintf "%s\\n" "$SSH_ORIGINAL_COMMAND" >> {log}\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    run.chmod(0o755)
    servers: dict[str, Sshd] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).delenv("SSH_AUTH_SOCK", raising=False)
        for name in NAMES:
            for part in ("sshd", *PARTS):
                (folder / name / part).mkdir(parents=True)
            binds = f"mount --bind {folder}/{name}/etc /etc/docker && mount --bind {folder}/{name}/lib /var/lib"
            mounts = f'mkdir -p /etc/docker && {binds} && exec "$@"'
            through = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounts, "sh"]
            servers[name] = stack.enter_context(sshd(folder / name / "sshd", f"ForceCommand {run}", through=through))
            shutil.copy(servers["node1"].key.with_suffix(".pub"), folder / name / "sshd" / "authorized_keys")
        yield Machines(folder, servers)
    for file in Path("/run/lock").glob(f"sparkqfs-*{NAME}*.lock"):
        file.unlink()


@pytest.fixture(scope="module")
def ready(fleet: Machines, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What prep has made of them."""
    problems = fleet.prep().problems
    assert problems == (), "\n".join(map(str, problems))
    saved = tmp_path_factory.mktemp("saved")
    for name in NAMES:
        subprocess.run(["cp", "-a", fleet.folder / name, saved], check=True, timeout=30)
    return saved


@pytest.fixture
def machines(ready: Path, fleet: Machines) -> Machines:
    """Machines that prep has never seen."""
    fleet.put_back(None)
    return Machines(fleet.folder, fleet.servers)


@pytest.fixture
def prepared(ready: Path, fleet: Machines) -> Machines:
    fleet.put_back(ready)
    return Machines(fleet.folder, fleet.servers)


def states(result: JobResult) -> dict[str, str]:
    return {outcome.subject: outcome.state for outcome in result.outcomes}


def changes(result: JobResult, name: str) -> tuple[str, ...]:
    (found,) = (outcome.changes for outcome in result.outcomes if outcome.subject == name)
    return found


def mode_and_owner(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def other_cluster(machines: Machines, name: str, cluster_id: str) -> str:
    return recovery_text(replace(machines.config, name=name), cluster_id, 9, machines.material())


# --- what prep places -----------------------------------------------------------------------------


def test_two_other_nodes_get_what_is_roots_alone_and_a_second_prep_changes_nothing(machines: Machines) -> None:
    planned = machines.prep(dry_run=True)
    assert f"copy of the secrets {machines.copy('node2')}: missing" in changes(planned, "node2")
    assert machines.copies() == []
    done = machines.prep()
    assert done.problems == () and set(states(done).values()) == {"changed"}
    assert machines.copies() == ["node2", "node3"]
    for name in ("node2", "node3"):
        assert mode_and_owner(machines.copy(name)) == (0o600, 0, 0)
        assert mode_and_owner(machines.directory(name)) == (0o700, 0, 0)
        assert list(machines.directory(name).iterdir()) == [machines.copy(name)]
        with machines.session() as session:
            found = read_recovery(session, name)
        assert found is not None and found.files == machines.material()
        assert (found.cluster, found.cluster_id, found.storage) == (NAME, machines.cluster_id(), "qfs")
        assert (found.uid, found.gid, found.manager, found.address) == (1, 1, "node1", "127.0.0.1")
    before = machines.copy("node2").stat()
    assert set(states(machines.prep()).values()) == {"unchanged"}
    assert machines.copy("node2").stat() == before


def test_no_secret_is_in_a_command_a_plan_an_event_or_a_fact(machines: Machines) -> None:
    results = [machines.prep(dry_run=True), machines.prep()]
    machines.copy("node3").write_text("damaged")
    with machines.session(dry_run=True) as session:
        facts = repr(session.facts())
        results += [whole.plan(session), whole.doctor(session)]
    results += [machines.prep(dry_run=True), machines.prep()]
    said = "\n".join([*map(repr, results), facts, *machines.said])
    said += (machines.folder / "commands").read_text()
    assert "recovery.json" in said
    material = machines.material()
    keys = [line for name in ("ca.key", "registry.key") for line in material[name].splitlines()[1:-1]]
    for secret in (*json.loads(material["secrets"]).values(), *keys):
        assert len(secret) > 20 and secret not in said


def test_a_copy_follows_the_managers_secrets_and_says_that_it_is_newer(prepared: Machines) -> None:
    with prepared.session() as session:
        before = newest_recovery(session)
    (prepared.directory("node1") / "secrets").unlink()
    done = prepared.prep()
    assert f"copy of the secrets {prepared.copy('node2')}: differs" in changes(done, "node2")
    with prepared.session() as session:
        after = newest_recovery(session)
    assert before is not None and after is not None
    assert after.secrets == prepared.material()["secrets"] != before.secrets
    assert after.written > before.written
    assert set(states(prepared.prep()).values()) == {"unchanged"}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_copies_that_are_not_whole_are_found_by_doctor_and_written_again_by_prep(prepared: Machines) -> None:
    good = prepared.copy("node3").read_text()
    flip(prepared.copy("node2"))
    prepared.copy("node3").chmod(0o644)
    whys = {"node2": "damaged", "node3": "mode is 644, want 600"}
    with prepared.session(dry_run=True) as session:
        found = [one for one in whole.doctor(session).problems if "copy of the secrets" in one.what]
    assert [(one.node, one.what.partition(": ")[2], one.hint) for one in found] == [
        (name, why, "invoke prep") for name, why in whys.items()
    ]
    done = prepared.prep()
    for name, why in whys.items():
        assert changes(done, name) == (f"copy of the secrets {prepared.copy(name)}: {why}",)
        assert mode_and_owner(prepared.copy(name)) == (0o600, 0, 0)
        again, old = (json.loads(text) for text in (prepared.copy(name).read_text(), good))
        assert again.pop("written") > old.pop("written") and again.pop("sum") != old.pop("sum") and again == old
    assert set(states(prepared.prep()).values()) == {"unchanged"}


def test_damage_on_the_manager_does_not_replace_a_good_copy(prepared: Machines) -> None:
    good = prepared.copy("node2").read_text()
    (prepared.directory("node1") / "ca.key").write_text("")
    done = prepared.prep()
    assert "ca.key is empty" in done.problems[0].what and done.problems[0].node == "node1"
    assert len(done.problems) == 1 and prepared.copy("node2").read_text() == good


# --- whose it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["name", "id"])
def test_another_clusters_copy_is_refused_and_kept(prepared: Machines, other: str) -> None:
    name, cluster_id = ("elsewhere", prepared.cluster_id()) if other == "name" else (NAME, OTHER_ID)
    theirs = other_cluster(prepared, name, cluster_id)
    prepared.copy("node2").write_text(theirs)
    for result in (prepared.prep(dry_run=True), prepared.prep()):
        (problem,) = result.problems
        assert (problem.node, problem.code) == ("node2", ExitCode.REFUSED)
        assert ("elsewhere" if other == "name" else OTHER_ID) in problem.what
        assert states(result)["node3"] == "unchanged"
    assert prepared.copy("node2").read_text() == theirs


@pytest.mark.parametrize("linked", ["recovery.json", ""])
def test_a_link_in_the_place_of_a_copy_is_not_followed(prepared: Machines, linked: str) -> None:
    target = prepared.folder / "node2" / "data" / "target"
    where = prepared.directory("node2") / linked
    prepared.directory("node2").rename(target)
    victim = target / "recovery.json" if linked else target
    if linked:
        prepared.directory("node2").mkdir(mode=0o700)
    where.symlink_to(victim)
    (target / "recovery.json").write_text("precious")
    result = prepared.prep()
    assert [problem.node for problem in result.problems] == ["node2"]
    assert "symbolic link" in result.problems[0].what
    assert (target / "recovery.json").read_text() == "precious" and where.is_symlink()
    with prepared.session() as session, pytest.raises(ClusterError, match=r"\[node2\] .*symbolic link"):
        read_recovery(session, "node2")


@pytest.mark.parametrize("linked", ["recovery.json", ""])
def test_a_link_that_comes_after_the_look_is_not_followed_either(prepared: Machines, linked: str) -> None:
    target = prepared.folder / "node2" / "data" / "target"
    where = prepared.directory("node2") / linked
    prepared.copy("node2").unlink()
    with prepared.session() as session:
        session.locked = True  # these facts count, and are not asked for again
        session.facts()
        prepared.directory("node2").rename(target)
        if linked:
            prepared.directory("node2").mkdir(mode=0o700)
        (target / "recovery.json").write_text("precious")
        where.symlink_to(target / linked)
        result = prep.run(session)
    assert "symbolic link; it is not followed" in result.problems[0].what
    assert (target / "recovery.json").read_text() == "precious"
    assert list(target.iterdir()) == [target / "recovery.json"]


# --- nodes that come, go and are silent -----------------------------------------------------------


def test_a_node_that_keeps_no_copies_any_more_loses_its_own_once_the_new_one_is_written(prepared: Machines) -> None:
    config = prepared.order("node1", "node4", "node2", "node3")
    planned = prepared.prep(config, dry_run=True)
    removal = f"remove the copy of the secrets {prepared.copy('node3')}: this node keeps no copies any more"
    assert changes(planned, "node3") == (removal,)
    done = prepared.prep(config)
    assert done.problems == () and removal in changes(done, "node3")
    assert prepared.copies() == ["node2", "node4"] and not prepared.directory("node3").exists()
    assert set(states(prepared.prep(config)).values()) == {"unchanged"}


def test_nothing_is_removed_while_a_node_has_no_copy_yet(prepared: Machines) -> None:
    config = prepared.order("node1", "node4", "node2", "node3")
    silent = prepared.prep(prepared.dead("node4", config))
    assert [(problem.node, problem.code) for problem in silent.problems] == [("node4", ExitCode.UNREACHABLE)]
    assert prepared.copies() == ["node2", "node3"] and states(silent)["node2"] == "unchanged"
    with prepared.session(config) as session:
        session.locked = True  # these facts count, and are not asked for again
        session.facts()
        prepared.directory("node4").write_text("in the way")
        done = prep.run(session)
    assert [problem.node for problem in done.problems] == ["node4"]
    assert changes(done, "node3")[-1] == "not tried: a node did not get its copy of the secrets"
    assert prepared.copies() == ["node2", "node3"]


@pytest.mark.parametrize("other", ["name", "id", "manager"])
def test_what_is_not_this_clusters_is_not_removed_and_nothing_is_on_the_manager(prepared: Machines, other: str) -> None:
    cluster_id = OTHER_ID if other == "id" else prepared.cluster_id()
    place = "node1" if other == "manager" else "node4"
    prepared.directory(place).mkdir(mode=0o700, exist_ok=True)
    prepared.copy(place).write_text(other_cluster(prepared, "elsewhere" if other == "name" else NAME, cluster_id))
    assert set(states(prepared.prep()).values()) == {"unchanged"}
    assert prepared.copy(place).exists()


def test_without_copies_in_hosts_yml_there_are_none(prepared: Machines) -> None:
    config = replace(prepared.config, storage=StorageConfig(replication=2, copies=CopiesConfig(nodes=0)))
    assert prepared.prep(config).problems == ()
    assert prepared.copies() == []


def test_a_silent_node_does_not_keep_the_others_from_their_copies(prepared: Machines) -> None:
    prepared.copy("node2").unlink()
    prepared.copy("node3").unlink()
    result = prepared.prep(prepared.dead("node2"))
    assert [problem.node for problem in result.problems] == ["node2"]
    assert prepared.copies() == ["node3"]


# --- reading --------------------------------------------------------------------------------------


def test_the_newest_whole_copy_is_found_without_the_manager(prepared: Machines) -> None:
    prepared.copy("node2").write_text(
        recovery_text(prepared.config, prepared.cluster_id(), 1 << 40, {**prepared.material(), "ca.key": "newer"})
    )
    with prepared.session(prepared.dead("node1")) as session:
        found = newest_recovery(session)
        assert read_recovery(session, "node4") is None
    assert found is not None and (found.node, found.ca_key) == ("node2", "newer")
    flip(prepared.copy("node2"))
    with prepared.session(prepared.dead("node1")) as session:
        found = newest_recovery(session)
    assert found is not None and found.node == "node3"
    assert any("[node2]" in line and "damaged" in line for line in prepared.said)


def test_a_damaged_copy_says_so_and_nothing_of_what_is_in_it(prepared: Machines) -> None:
    for name in ("node2", "node3"):
        flip(prepared.copy(name))
    with prepared.session() as session:
        with pytest.raises(ClusterError, match=r"\[node2\] .*recovery.json is damaged") as one:
            read_recovery(session, "node2")
        with pytest.raises(ClusterError, match=r"\[node2\](?s:.*)\[node3\]") as both:
            newest_recovery(session)
    for secret in json.loads(prepared.material()["secrets"]).values():
        assert secret not in str(one.value) + str(both.value)


def test_a_copy_that_is_not_roots_is_not_believed(prepared: Machines) -> None:
    os.chown(prepared.copy("node2"), 1, 1)
    with prepared.session() as session, pytest.raises(ClusterError, match="belongs to user number 1"):
        read_recovery(session, "node2")


@pytest.mark.parametrize("other", ["name", "id", "name and storage"])
def test_copies_of_several_clusters_are_refused(prepared: Machines, other: str) -> None:
    name, cluster_id = (NAME, OTHER_ID) if other == "id" else ("elsewhere", prepared.cluster_id())
    config = replace(prepared.config, name=name, storage=StorageConfig(kind="hdfs" if "storage" in other else "qfs"))
    prepared.copy("node3").write_text(recovery_text(config, cluster_id, 9, prepared.material()))
    with prepared.session() as session, pytest.raises(RefusedError) as raised:
        newest_recovery(session)
    assert "node3" in str(raised.value) and (OTHER_ID if other == "id" else "elsewhere") in str(raised.value)


def test_no_copy_anywhere_is_told_from_one_that_may_be_on_a_silent_node(machines: Machines) -> None:
    with machines.session(machines.dead("node1")) as session:
        assert newest_recovery(session) is None
    with machines.session(machines.dead("node2")) as session, pytest.raises(ClusterError, match=r"\[node2\]"):
        newest_recovery(session)
    with machines.session(machines.dead("node2")) as session, pytest.raises(UnreachableError):
        read_recovery(session, "node2")


def test_a_copy_from_before_another_kind_of_storage_was_set_does_not_count(prepared: Machines) -> None:
    older = replace(prepared.config, storage=StorageConfig(kind="hdfs"))
    prepared.copy("node3").write_text(recovery_text(older, OTHER_ID, 1 << 40, prepared.material()))
    with prepared.session() as session:
        found = newest_recovery(session)
    assert found is not None and (found.node, found.storage) == ("node2", "qfs")
    prepared.copy("node2").unlink()
    with prepared.session() as session, pytest.raises(RefusedError, match=r"is of storage hdfs, hosts\.yml says qfs"):
        newest_recovery(session)


# --- purge ----------------------------------------------------------------------------------------


def test_purge_removes_the_copies_with_the_id_and_prep_begins_again(
    prepared: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "_refuse_while_running", lambda _session: None)  # whatever this computer runs
    old, kept = prepared.cluster_id(), prepared.material()
    prepared.directory("node4").mkdir(mode=0o700)
    prepared.copy("node4").write_text(other_cluster(prepared, "elsewhere", OTHER_ID))
    with prepared.session(dry_run=True) as session:
        planned = file_system.purge(session, erase_name=NAME)
    assert str(prepared.copy("node2")) in changes(planned, "node2")
    assert prepared.copies() == ["node2", "node3", "node4"]
    with prepared.session() as session:
        done = file_system.purge(session, erase_name=NAME)
    assert str(prepared.copy("node3")) in changes(done, "node3")
    assert prepared.copies() == ["node4"] and prepared.material() == kept
    assert prepared.prep().problems == ()
    assert prepared.cluster_id() != old and prepared.copies() == ["node2", "node3", "node4"]
