"""Faults planted in machines one by one: doctor finds each, and nothing where there is none."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sparkqfs.checks.hosts import check_hosts, check_stops
from sparkqfs.config.model import BuildConfig
from sparkqfs.errors import ClusterError
from sparkqfs.gather.hosts import pairs_of
from sparkqfs.jobs.cluster import doctor, whole
from sparkqfs.plan.steps import JobResult
from tests.doubles.faulty_machine import HEALTHY, Fault, faulty_machines
from tests.doubles.servers import closed_port

ACTIVE = json.dumps({"LocalNodeState": "active", "NodeID": "n1"})


def a_swarm_node(state: str = "ready", availability: str = "active") -> dict[str, object]:
    return {
        "ID": "n2",
        "Spec": {"Labels": {"sparkqfs.node": "node2"}, "Role": "worker", "Availability": availability},
        "Status": {"State": state, "Addr": "127.0.0.2"},
        "Description": {"Hostname": "pc2"},
    }


def full(field: str) -> str:
    """A df whose disks have no room; `field` is its option."""
    kib = "9999" if field == "-Pk" else "99999999"
    used = "99%%" if field == "-Pi" else "50%%"
    return f"case $1 in -Pk) printf 'x\\nd 1 1 {kib}\\n' ;; *) printf 'x\\nd 1 1 1 {used}\\n' ;; esac"


SYSTEMD = HEALTHY["systemctl"]
UFW = "printf 'Status: active\\n\\n22/tcp ALLOW Anywhere\\n'"
DESKTOP = "case $1 in is-system-running) echo running ;; is-enabled) echo static ;; *) echo active ;; esac"
OTHER_BOOTS = 'case $1 in */boot_id) exec /bin/cat /proc/sys/kernel/random/uuid ;; *) exec /bin/cat "$@" ;; esac'
NAMES = ("pc1.lan", "pc2.lan")
PODMAN = "case $1 in --version) echo podman version 4.3.1 ;; *) exit 125 ;; esac"
LATER = 'case $1 in +%s.%N) echo "$(($(/bin/date +%s) + 3)).5" ;; *) exec /bin/date "$@" ;; esac'


def named(one: str, other: str = "192.168.7.2", **programs: str) -> Fault:
    """Nodes that are called by names, which have these addresses on the machine; empty for none."""
    lines = "".join(
        f"{name}) echo '{text} STREAM x' ;; " for name, text in zip(NAMES, (one, other), strict=True) if text
    )
    getent = f'[ "$1" = ahostsv4 ] || exec /usr/bin/getent "$@"; case $2 in {lines}*) exit 2 ;; esac'
    hosts = f"127.0.0.1 localhost {' '.join(NAMES)}\n127.0.0.1 {socket.gethostname()}\n"
    return Fault(advertise=NAMES, programs={"getent": getent, **programs}, files={"etc/hosts": hosts})


CLOSED = closed_port()
FAULTS: dict[str, tuple[Fault, str]] = {
    "no engine": (Fault(info={"version": "", "swarm": ""}), "no Docker Engine answers"),
    "a stopped engine": (Fault(info={"version": "", "swarm": ""}, programs={"dockerd": ":"}), "although one is installed"),  # noqa: E501
    "Podman": (Fault(programs={"docker": PODMAN}), "docker is Podman there"),
    "another architecture": (Fault(programs={"uname": 'case $1 in -m) echo i686 ;; *) exec /usr/bin/uname "$@" ;; esac'}), "its CPU architecture is i686"),  # noqa: E501
    "32 bits": (Fault(programs={"getconf": 'case $1 in LONG_BIT) echo 32 ;; *) exec /usr/bin/getconf "$@" ;; esac'}), "is one of 32 bits"),  # noqa: E501
    "an old CPU": (Fault(files={"proc/cpuinfo": "flags\t\t: fpu sse2 ssse3 sse4_1\n"}), "its CPU lacks sse4_2, popcnt"),
    "its name is itself": (named("127.0.1.1"), "its name pc1.lan is 127.0.1.1 on the machine itself"),
    "its name is nobody's": (named("192.168.7.1", ""), "its name pc2.lan has no address on the machine itself"),
    "the manager's name is nobody's": (named("", "192.168.7.2"), "the manager's name pc1.lan has no address there"),
    "MTU, by names": (named("192.168.7.1", ip="case $* in *'to 192.168.7.'*) echo '2: lo inet 1/8 scope host lo' ;; esac", ping='case "$*" in *-M*.lan) exit 1 ;; esac'), "do not come through to node2"),  # noqa: E501
    "old engine": (Fault(info={"version": "19.03.8"}), "is too old"),
    "snap": (Fault(info={"root": '"/var/snap/docker/common/var-lib-docker"'}), "is the snap"),
    "rootless": (Fault(info={"security": '["name=seccomp","name=rootless"]'}), "is rootless"),
    "user namespaces": (Fault(info={"security": '["name=userns"]'}), "userns-remap"),
    "SELinux": (Fault(info={"security": '["name=selinux"]'}), "may keep containers from"),
    "live-restore": (Fault(info={"live": "true"}), "live-restore on"),
    "vfs": (Fault(info={"driver": "vfs"}), "with vfs"),
    "no memory limits": (Fault(info={"memory": "false"}), "does not limit the memory"),
    "no firewall rules": (Fault(files={"etc/docker/daemon.json": '{"iptables": false}'}), "iptables: false"),
    "locked swarm": (Fault(info={"swarm": '{"LocalNodeState": "locked"}'}), "swarm is in state locked"),
    "one machine twice": (Fault(info={"id": "one", "swarm": ACTIVE}), "it is the same machine as node1"),
    "one node twice": (Fault(info={"swarm": ACTIVE}), "the same node of a swarm as node1"),
    "the engine's disk": (Fault(programs={"df": full("-Pk")}), "where its engine keeps images, has 0.0 GiB free"),
    "the data's disk": (Fault(programs={"df": full("-Pk")}), "/data has 0.0 GiB free"),
    "inodes": (Fault(programs={"df": full("-Pi")}), "has 1 % of its inodes free"),
    "data in memory": (Fault(programs={"stat": 'case $3 in %T) echo tmpfs ;; *) exec /usr/bin/stat "$@" ;; esac'}), "is in memory (tmpfs)"),  # noqa: E501
    "read-only": (Fault(data_dir="read-only/data"), "is mounted read-only"),
    "no br_netfilter": (Fault(programs={"modprobe": '[ "$3" != br_netfilter ]'}), "has no module br_netfilter"),
    "no vxlan": (Fault(programs={"modprobe": '[ "$3" != vxlan ]'}), "has no module vxlan"),
    "no forwarding": (Fault(files={"proc/sys/net/ipv4/ip_forward": "0\n"}), "net.ipv4.ip_forward is 0"),
    "strict memory": (Fault(files={"proc/sys/vm/overcommit_memory": "2\n"}), "vm.overcommit_memory is 2"),
    "clock": (Fault(programs={"date": LATER}), "its clock is +"),
    "no NTP": (Fault(programs={"timedatectl": "echo no"}), "its clock is not synchronised"),
    "no engine at boot": (Fault(programs={"systemctl": SYSTEMD.replace("echo enabled", "echo disabled")}), "does not start when the machine does"),  # noqa: E501
    "ufw": (Fault(programs={"ufw": UFW}), "ufw is active and does not let 127.0.0.2 in"),
    "firewalld": (Fault(programs={"firewall-cmd": "case $1 in --state) echo running ;; esac"}), "firewalld is active"),
    "no name server": (Fault(files={"etc/resolv.conf": "search lan\n"}), "it has no name server"),
    "own name": (Fault(programs={"getent": '[ "$1" != hosts ] && exec /usr/bin/getent "$@"'}), "its own host name"),
    "sessions": (Fault(sshd=("Match all", "MaxSessions 2")), "its sshd allows 2 sessions"),
    "forwarding": (Fault(sshd=("AllowTcpForwarding no",)), "its sshd forbids the TCP connections"),
    "MTU": (Fault(programs={"ping": 'case "$*" in *-M*127.0.0.2) exit 1 ;; esac'}), "do not come through to node2"),
    "a port is taken": (Fault(programs={"ss": "echo 'LISTEN 0 1 0.0.0.0:7946 0.0.0.0:*'"}), "port 7946 is taken there"),
    "subnet": (Fault(programs={"ip": HEALTHY["ip"].replace("esac", "*route*) echo 10.20.0.0/16 ;; esac")}), "collides with 10.20.0.0/16"),  # noqa: E501
    "drained": (Fault(info={"swarm": ACTIVE}, nodes=(a_swarm_node(availability="drain"),)), "availability drain"),
    "node is down": (Fault(info={"swarm": ACTIVE}, nodes=(a_swarm_node(state="down"),)), "Swarm does not reach it"),
    "no base image": (Fault(no_base="dial tcp: lookup registry.invalid: no such host"), "cannot load debian:bookworm-slim"),  # noqa: E501
    "a silent proxy": (Fault(build=BuildConfig(proxy=f"http://127.0.0.1:{CLOSED}")), f"127.0.0.1:{CLOSED} does not answer"),  # noqa: E501
    "a silent index": (Fault(build=BuildConfig(pip_index=f"https://127.0.0.1:{CLOSED}/simple")), f"127.0.0.1:{CLOSED} does"),  # noqa: E501
    "closed ports": (Fault(info={"swarm": ACTIVE}, nodes=(a_swarm_node(),)), "Swarm's ports are closed in between"),
}  # fmt: skip
"""Each fault of a kind, and words of what is found."""
STOPS = (
    "snap", "rootless", "user namespaces", "live-restore", "one machine twice", "one node twice",
    "the engine's disk", "data in memory", "read-only", "no vxlan", "no forwarding", "another architecture", "32 bits",
)  # fmt: skip


def look(folder: Path, fault: Fault) -> JobResult:
    with faulty_machines(folder, fault) as session:
        return doctor.run(session)


def test_nothing_is_found_where_all_is_well(tmp_path: Path) -> None:
    result = look(tmp_path, Fault())
    assert (result.problems, result.notes, result.exit_code) == ((), (), 0)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_with_what_fixes_it(tmp_path: Path, name: str) -> None:
    fault, words = FAULTS[name]
    result = look(tmp_path, fault)
    found = [problem for problem in result.problems if words in problem.what]
    assert found and all(problem.hint and problem.node for problem in found), result.problems
    assert result.exit_code == 1
    bad = {outcome.subject for outcome in result.outcomes if outcome.state == "failed"}
    assert {problem.node for problem in found} <= bad


@pytest.mark.parametrize("name", STOPS)
def test_plan_and_up_refuse_what_cannot_work_before_anything_is_changed(tmp_path: Path, name: str) -> None:
    fault, words = FAULTS[name]
    with faulty_machines(tmp_path, fault) as session:
        with pytest.raises(ClusterError) as caught:
            whole.up(session, lambda *_: None)
        assert words in str(caught.value)
        assert not Path(str(session.config.manager.data_dirs[0])).exists()


@pytest.mark.parametrize("name", ["SELinux", "no firewall rules", "no br_netfilter"])
def test_what_may_work_all_the_same_stops_nobody(tmp_path: Path, name: str) -> None:
    with faulty_machines(tmp_path, FAULTS[name][0]) as session:
        assert check_stops(session.config, session.facts()[0]) == ()


def test_a_second_up_is_not_refused_for_the_room_that_images_of_the_first_have_taken(tmp_path: Path) -> None:
    with faulty_machines(tmp_path, FAULTS["the engine's disk"][0]) as session:
        facts = session.facts()[0]
        assert len(check_stops(session.config, facts)) == 2
        for cluster, marker in ((session.config.name, None), (None, "an-id")):
            there = {
                name: replace(fact, disks=tuple(replace(one, cluster=cluster, marker=marker) for one in fact.disks))
                for name, fact in facts.items()
            }
            assert check_stops(session.config, there) == ()
            left = [one.problem for one in check_hosts(session.config, there)]
            assert len(left) == 2 and not any("prune" in (one.hint or "") for one in left)


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (Fault(info={"id": "one"}, programs={"cat": OTHER_BOOTS}), "node1, node2: their engines have the same ID"),
        (Fault(programs={"systemctl": DESKTOP}), "node1, node2: a desktop runs there, which may suspend"),
    ],
)
def test_copied_machines_and_desktops_are_told_and_are_no_fault(tmp_path: Path, fault: Fault, note: str) -> None:
    result = look(tmp_path, fault)
    assert (result.problems, result.exit_code) == ((), 0)
    assert any(one.startswith(note) for one in result.notes)


def test_nobody_is_told_to_take_a_machine_that_has_two_names_out_of_its_swarm(tmp_path: Path) -> None:
    result = look(tmp_path, FAULTS["one machine twice"][0])
    (problem,) = [one for one in result.problems if one.node == "node2" and "the same" in one.what]
    assert problem.hint == "name each machine once in the cluster file" and result.notes == ()


ZONE = "echo 'z (active)'; echo '  target: {target}'; echo '  sources: {sources}'; echo '  services: {services}'; echo '  ports: {ports}'; echo '  rich rules: '; printf '\\t{rule}\\n'"  # noqa: E501
OTHER_NODES = "127.0.0.0/24"


def firewalld(zone: str = "drop", **words: str) -> dict[str, str]:
    """One whose card is in `public`, and of which `zone` has these words."""
    shown = ZONE.format(**(dict.fromkeys(("target", "sources", "services", "ports", "rule"), "") | words))
    text = f"""case $1 in --state) echo running ;; --get-zone-of-interface=lo) echo public ;;
        --get-active-zones) echo 'public (default)'; echo '  interfaces: lo'; echo {zone}; echo '  sources: x' ;;
        --info-zone={zone}) {shown} ;; esac"""
    return {"firewall-cmd": text}


@pytest.mark.parametrize(
    "programs",
    [
        {"ufw": f"printf 'Status: active\\n\\nAnywhere ALLOW IN {OTHER_NODES}\\n'"},
        {"ufw": "printf 'Status: active\\nDefault: allow (incoming), allow (outgoing)\\n'"},
        firewalld("trusted", target="ACCEPT", sources=OTHER_NODES),
        firewalld("home", ports="2377/tcp 7000-8000/tcp 4789/udp", sources=OTHER_NODES),
        firewalld("public", target="ACCEPT"),
        firewalld("public", services="ssh docker-swarm"),
        firewalld("public", rule=f'rule family="ipv4" source address="{OTHER_NODES}" accept'),
    ],
)
def test_a_firewall_that_lets_the_others_in_is_no_fault(tmp_path: Path, programs: dict[str, str]) -> None:
    assert look(tmp_path, Fault(programs=programs)).problems == ()


@pytest.mark.parametrize(
    "programs",
    [
        {"ufw": "printf 'Status: active\\n\\nAnywhere ALLOW 127.0.0.11\\nAnywhere ALLOW 127.0.0.22\\n'"},
        firewalld("home", services="docker-swarm", sources="10.0.0.0/8"),
        firewalld("public", rule=f'rule family="ipv4" source address="{OTHER_NODES}" service name="ssh" accept'),
        firewalld("public", services="ssh", ports="17946/tcp 4789/udp"),
    ],
)
def test_a_firewall_that_lets_in_others_than_these_is_found(tmp_path: Path, programs: dict[str, str]) -> None:
    problems = look(tmp_path, Fault(programs=programs)).problems
    assert [one.node for one in problems if "is active and does not let" in one.what] == ["node1", "node2"]


def test_an_address_by_dhcp_and_what_ufw_does_not_filter_are_told_and_are_no_fault(tmp_path: Path) -> None:
    programs = {
        "ip": "case $* in *addr*) echo '2: lo inet 127.0.0.1/8 scope host dynamic lo valid_lft 3000sec' ;; esac",
        "ufw": "printf 'Status: active\\n\\nAnywhere ALLOW 127.0.0.1\\nAnywhere ALLOW 127.0.0.2\\n'",
    }
    result = look(tmp_path, Fault(programs=programs))
    assert (result.problems, result.exit_code) == ((), 0)
    assert any(note.startswith("node1, node2: the address is by DHCP") for note in result.notes)
    assert any("ufw does not filter ports that Docker publishes" in note for note in result.notes)


SHARE = "printf 'x\\n//nas/My Share 99999999 1 99999999 50%%%% /mnt/My Disk\\n'"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(programs={"ip": HEALTHY["ip"].replace("esac", "*route*) printf '0.0.0.0/1\\n128.0.0.0/1\\n' ;; esac")}),
        Fault(programs={"ping": 'case "$*" in *-M*) exit 64 ;; esac'}),
        Fault(programs={"df": SHARE}),
        named("192.168.7.1", ufw="printf 'Status: active\\n\\nAnywhere ALLOW IN 192.168.7.0/24\\n'"),
        Fault(files={"proc/cpuinfo": "processor\t: 0\n"}),
    ],
    ids=["a VPN for all", "another ping", "spaces", "names", "no flags"],
)
def test_what_is_right_in_another_form_is_no_fault(tmp_path: Path, fault: Fault) -> None:
    assert look(tmp_path, fault).problems == ()


def test_a_session_too_many_names_the_setting(tmp_path: Path) -> None:
    with faulty_machines(tmp_path, Fault(sshd=("Match all", "MaxSessions 1"))) as session:
        client = session.clients.manager
        first = client.exec_channel(["cat"])
        with pytest.raises(ClusterError, match="MaxSessions"):
            client.run(["true"])
        first.close()


def test_fix_runs_what_is_safe_and_reports_what_is_left(tmp_path: Path) -> None:
    done = tmp_path / "done"
    clock = f"case $1 in set-ntp) echo yes > {done} ;; *) cat {done} 2>/dev/null || echo no ;; esac"
    fault = Fault(programs={"timedatectl": clock}, info={"driver": "vfs"})
    with faulty_machines(tmp_path, fault) as session:
        planned = doctor.run(session)
        assert "can be fixed by `invoke doctor --fix`" in planned.notes[-1] and not done.exists()
        result = doctor.run(session, fix=True)
    assert [one.changes for one in result.outcomes if one.state == "changed"] == [("timedatectl set-ntp true",)] * 2
    assert {problem.what for problem in result.problems} == {
        "its engine stores images with vfs: each layer is a whole copy"
    }
    assert result.notes[-1].startswith("`--fix` has nothing safe to run for what is left")


def test_each_pair_of_few_machines_is_tried_and_a_ring_with_the_manager_of_many() -> None:
    few, many = tuple(f"n{i:02}" for i in range(16)), tuple(f"n{i:02}" for i in range(40))
    assert len(pairs_of(few, "n00")) == 120
    pairs = pairs_of(many, "n00")
    assert len(pairs) == 77 and {name for pair in pairs for name in pair} == set(many)
