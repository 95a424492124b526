"""The local cluster, on a real engine: made once for this module, removed at its end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.client import DockerClient

from sparkqfs.errors import ClusterError, ConfigError, RefusedError
from sparkqfs.local.cluster import LocalCluster, local_down, local_status, local_up
from sparkqfs.local.hosts_file import state_directory
from tests import phases
from tests.cluster.leftovers import remove_leftovers

pytestmark = pytest.mark.cluster

NAME = f"t-{os.getpid()}"
LABEL = {"label": f"sparkqfs.local={NAME}"}


def silent(_: str) -> None:
    """An `on_event` for those who do not listen."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    client = DockerClient.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def cluster(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    file = tmp_path_factory.mktemp("local") / "hosts.yml"
    try:
        with phases.counted_as(phases.MACHINES):
            made = local_up(name=NAME, nodes=2, file=file, on_event=silent)
        yield made
    finally:
        with phases.counted_as(phases.MACHINES):
            local_down(name=NAME, file=file, on_event=silent)
    left = [engine.containers.list(all=True, filters=LABEL), engine.networks.list(filters=LABEL)]
    assert [*left, engine.volumes.list(filters=LABEL)] == [[], [], []]
    assert not file.exists()
    assert not state_directory(NAME).path.exists()


def up(cluster: LocalCluster, **other: Any) -> tuple[LocalCluster, list[str]]:
    """The same `local_up` again; the cluster and what was told."""
    events: list[str] = []
    arguments = {"name": NAME, "nodes": 2, "file": cluster.file, **other}
    with phases.counted_as(phases.MACHINES):
        return local_up(**arguments, on_event=events.append), events


def ssh(cluster: LocalCluster, address: str, command: str) -> str:
    """Run a command on a node with nothing but what the hosts file says."""
    settings = yaml.safe_load(cluster.file.read_text())["ssh"]
    options = [f"UserKnownHostsFile={settings['known_hosts']}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
    words = ["ssh", "-F", "none", "-i", settings["key"], *(f"-o{option}" for option in options)]
    return subprocess.run(
        [*words, f"{settings['user']}@{address}", command], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def addresses(cluster: LocalCluster) -> list[str]:
    return [node.address for node in cluster.nodes]


def test_every_node_is_reached_with_the_written_key_and_has_an_engine_of_its_own(cluster: LocalCluster) -> None:
    names = [ssh(cluster, address, "hostname; docker info -f '{{.Name}}'").split() for address in addresses(cluster)]
    assert names == [[f"{NAME}-node1"] * 2, [f"{NAME}-node2"] * 2]


def test_commands_over_ssh_ignore_no_signals(cluster: LocalCluster) -> None:
    ignored = ssh(cluster, cluster.nodes[0].address, "grep SigIgn /proc/self/status")
    assert int(ignored.split()[1], 16) == 0


def test_the_manager_has_the_base_image_of_the_builds(cluster: LocalCluster) -> None:
    base = yaml.safe_load(cluster.file.read_text())["build"]["base"]
    assert ssh(cluster, cluster.nodes[0].address, f"docker run --rm {base} echo works") == "works"


def test_all_nodes_see_the_shared_directory(cluster: LocalCluster) -> None:
    first, second = addresses(cluster)
    ssh(cluster, first, "echo shared > /mnt/shared/proof")
    assert ssh(cluster, second, "cat /mnt/shared/proof") == "shared"


def test_a_second_up_changes_nothing(cluster: LocalCluster, engine: Any) -> None:
    before = {container.id for container in engine.containers.list(all=True, filters=LABEL)}
    text = cluster.file.read_text()
    again, events = up(cluster)
    assert events == ["unchanged"]
    assert again == cluster
    assert {container.id for container in engine.containers.list(all=True, filters=LABEL)} == before
    assert cluster.file.read_text() == text


def test_a_stopped_node_is_started_again_with_its_host_key_and_address(cluster: LocalCluster, engine: Any) -> None:
    engine.containers.get(f"{NAME}-node2").stop()
    stopped = local_status(name=NAME, file=cluster.file)
    assert stopped is not None
    assert [node.state for node in stopped.nodes] == ["running", "exited"]
    again, events = up(cluster)
    assert events == ["[node2] started"]
    assert again == cluster
    assert ssh(cluster, again.nodes[1].address, "hostname") == f"{NAME}-node2"


def test_a_removed_node_is_made_anew_and_finds_its_data(cluster: LocalCluster, engine: Any) -> None:
    ssh(cluster, cluster.nodes[1].address, "echo kept > /mnt/data/proof")
    engine.containers.get(f"{NAME}-node2").remove(force=True)
    again, _ = up(cluster)
    assert again == cluster
    assert ssh(cluster, again.nodes[1].address, "cat /mnt/data/proof") == "kept"


def test_lost_keys_are_replaced_on_all_nodes(cluster: LocalCluster) -> None:
    state_directory(NAME).remove()
    again, _ = up(cluster)
    assert [ssh(cluster, address, "hostname") for address in addresses(again)] == [f"{NAME}-node1", f"{NAME}-node2"]


def prep(hosts: Path, password: Path) -> tuple[int, dict[str, Any], str]:
    """`invoke prep` with a sudo password: exit code, JSON, standard error."""
    root = Path(__file__).resolve().parent.parent.parent
    words = [sys.executable, "-m", "invoke", "--search-root", str(root), "prep", "--json", "--hosts", str(hosts)]
    done = subprocess.run(
        [*words, "--sudo-password-file", str(password)],
        cwd=hosts.parent,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_user_whose_sudo_asks_for_a_password_prepares_the_machines(
    cluster: LocalCluster, engine: Any, tmp_path: Path
) -> None:
    password = "p'a $s\"wörd"
    account = (
        "useradd -m -s /bin/sh -G sudo,docker admin && "
        "printf 'admin:%s\n' \"$PASSWORD\" | chpasswd && "
        "install -d -m 0700 -o admin -g admin ~admin/.ssh && "
        "install -m 0600 -o admin -g admin /root/.ssh/authorized_keys ~admin/.ssh/"
    )
    for number in (1, 2):
        node = engine.containers.get(f"{NAME}-node{number}")
        made = node.exec_run(["sh", "-c", account], environment={"PASSWORD": password})
        assert made.exit_code == 0, made.output
    settings = yaml.safe_load(cluster.file.read_text())
    settings["ssh"]["user"] = "admin"
    settings["data_dir"] = "/mnt/data/by-sudo"
    hosts = tmp_path / "sudo.yml"
    hosts.write_text(yaml.safe_dump(settings))
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(password + "\n")
    wrong.write_text("guess\n")

    code, found, said = prep(hosts, wrong)
    assert code == 1
    assert {problem["node"] for problem in found["problems"]} == {"node1", "node2"}
    assert "sudo" in found["problems"][0]["what"] and "guess" not in said + json.dumps(found)

    code, found, said = prep(hosts, right)
    assert code == 0, said
    assert {one["state"] for one in found["outcomes"]} == {"changed"}
    assert password not in said + json.dumps(found, ensure_ascii=False)
    assert ssh(cluster, cluster.nodes[1].address, "stat -c %u /mnt/data/by-sudo/spark") == "6700"
    assert {one["state"] for one in prep(hosts, right)[1]["outcomes"]} == {"unchanged"}


def test_sshd_stays_off_until_it_is_switched_on(cluster: LocalCluster, engine: Any) -> None:
    node, address = engine.containers.get(f"{NAME}-node2"), cluster.nodes[1].address
    assert node.exec_run(["node-ctl", "stop-sshd"]).exit_code == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 22), timeout=5).close()
    assert node.exec_run(["node-ctl", "start-sshd"]).exit_code == 0
    assert ssh(cluster, address, "hostname") == f"{NAME}-node2"


def test_another_number_of_nodes_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(ClusterError, match="has 2 nodes, not 3"):
        up(cluster, nodes=3)


def test_a_file_of_somebody_else_is_not_overwritten(cluster: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("cluster: mine\n")
    with pytest.raises(RefusedError, match="was not written for"):
        up(cluster, file=file)
    local_down(name=f"{NAME}-none", file=file, on_event=silent)
    assert file.read_text() == "cluster: mine\n"


def test_a_users_change_of_the_hosts_file_is_kept(cluster: LocalCluster) -> None:
    text = cluster.file.read_text()
    changed = text.replace("cluster: spark", "cluster: other")
    cluster.file.write_text(changed)
    try:
        assert up(cluster)[1] == ["unchanged"]
        assert cluster.file.read_text() == changed
    finally:
        cluster.file.write_text(text)


def test_what_a_failed_up_made_is_removed_and_nothing_else(cluster: LocalCluster, engine: Any, tmp_path: Path) -> None:
    name, mine = f"{NAME}-x", {"label": f"sparkqfs.local={NAME}-x"}
    image = engine.containers.get(f"{NAME}-node1").image
    stranger = engine.containers.create(image, name=f"{name}-node2")
    try:
        with pytest.raises(ClusterError, match="is not of the local cluster"):
            local_up(name=name, nodes=2, file=tmp_path / "hosts.yml", on_event=silent)
        stranger.reload()
        assert engine.containers.list(all=True, filters=mine) == []
        assert engine.networks.list(filters=mine) == []
        assert engine.volumes.list(filters=mine) == []
        assert not state_directory(name).path.exists()
        assert local_status(name=name) is None
        assert local_down(name=name, file=tmp_path / "hosts.yml", on_event=silent) is False
    finally:
        stranger.remove(force=True)
    assert local_status(name=NAME, file=cluster.file) == cluster


@pytest.mark.parametrize("arguments", [{"name": "No_Name"}, {"nodes": 0}, {"storage": "nfs"}])
def test_arguments_without_sense_are_bad_input(arguments: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        local_up(**{"name": f"{NAME}-y", "file": tmp_path / "hosts.yml", **arguments}, on_event=silent)


def a_dead_process() -> int:
    with subprocess.Popen(["true"]) as ended:
        return ended.pid


def test_what_a_broken_off_test_run_left_is_removed_by_processes_that_begin_at_the_same_time(
    engine: Any, tmp_path: Path
) -> None:
    name = f"life-{a_dead_process()}"
    label = {"label": f"sparkqfs.local={name}"}
    for number in range(6):
        engine.volumes.create(f"{name}-{number}", labels={"sparkqfs.local": name})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: remove_leftovers(tmp_path), range(4)))
    assert engine.volumes.list(filters=label) == []
