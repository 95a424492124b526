"""Machines with a fault: a real SSH server, real questions, and doubles of the programs that are asked."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import BuildConfig, ClusterConfig
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_node_config
from tests.doubles.openssh import NAMESPACE
from tests.doubles.servers import Sshd, body, engine_machine, serve

INFO: dict[str, str] = {
    "version": "27.5.1",
    "swarm": json.dumps({"LocalNodeState": "inactive"}),
    "registries": json.dumps({"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}}),
    "root": '"/var/lib"',
    "security": '["name=seccomp,profile=builtin","name=cgroupns"]',
    "live": "false",
    "driver": "overlay2",
    "memory": "true",
    "id": "$(cat /proc/sys/kernel/random/uuid)",
}
"""What `docker info` answers on a machine where nothing is wrong; values are words of the shell."""
DOCKER = """
case $1 in
  info) printf '%s' "{row}" ;;
  ps) : ;;
esac
"""
HEALTHY = {
    "timedatectl": "echo yes",
    "systemctl": "case $1 in is-system-running) echo running ;; is-enabled) echo enabled ;; *) echo inactive ;; esac",
    "ip": "case $* in *addr*) echo '2: lo inet 127.0.0.1/8 scope host lo' ;; esac",
    "ss": ":",
    "ufw": "echo 'Status: inactive'",
    "firewall-cmd": "exit 252",
    "ping": "exit 0",
    "modprobe": "exit 0",
    "df": "case $1 in -Pk) printf 'x\\nd 99999999 1 99999999\\n' ;; *) printf 'x\\nd 100 50 50 50%%\\n' ;; esac",
}
"""Program → what it does on such a machine."""
PLACES = (
    'mkdir -p /lib/modules && mount -t tmpfs none /lib/modules && mkdir "/lib/modules/$(uname -r)"'
    ' && mkdir -p "$1/../read-only" && mount --bind "$1/../read-only" "$1/../read-only"'
    ' && mount -o remount,bind,ro "$1/../read-only"'
    ' && mount -t tmpfs none /sys/module && for file in "$1"/*; do [ ! -e "$file" ] ||'
    ' { case "$file" in */etc+docker*) mount -t tmpfs none /etc/docker && touch /etc/docker/daemon.json ;; esac;'
    ' mount --bind "$file" "/$(basename "$file" | tr + /)"; }; done && shift && exec "$@"'
)
"""Files of a directory, `etc+hosts` over /etc/hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is other than on a machine where all is well."""

    info: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Path without its first slash → content, of files of the system."""
    sshd: tuple[str, ...] = ()
    nodes: tuple[dict[str, Any], ...] = ()
    """The engine's `GET /nodes`; the swarm is active then."""
    no_base: str = ""
    """What the engine says of the image that all are built on, where it does not have it."""
    build: BuildConfig = field(default_factory=BuildConfig)
    data_dir: str = "data"
    advertise: tuple[str, str] = ("127.0.0.1", "127.0.0.2")
    """How the nodes are called among each other."""


@contextlib.contextmanager
def faulty_machines(folder: Path, fault: Fault) -> Iterator[Session]:
    """Two nodes on one machine with this fault."""
    places = folder / "places"
    places.mkdir()
    for name, text in fault.files.items():
        (places / name.replace("/", "+")).write_text(text)
    base = f"/v1.41/{{}}/{fault.build.base}/json"
    answers = {"/v1.41/nodes": body(fault.nodes), base.format("images"): body({})}
    if fault.no_base:
        answers[base.format("images")] = replace(body({"message": f"No such image: {fault.build.base}"}), status=404)
        answers[base.format("distribution")] = replace(body({"message": fault.no_base}), status=500)
    with serve(answers) as port, _server(folder, port, places, fault) as server:
        row = "\t".join(value.replace('"', '\\"') for value in (INFO | dict(fault.info)).values())
        (folder / "docker.sh").write_text(DOCKER.format(row=row))
        for name, text in (HEALTHY | dict(fault.programs)).items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        config = _cluster(server, folder, fault)
        clients = Clients(config)
        yield Session(config, clients, on_event=lambda _text: None)
        clients.close()


@contextlib.contextmanager
def _server(folder: Path, port: int, places: Path, fault: Fault) -> Iterator[Sshd]:
    through = (*NAMESPACE, PLACES, "sh", str(places))
    with engine_machine(folder, port, *fault.sshd, through=through) as server:
        yield server


def _cluster(server: Sshd, folder: Path, fault: Fault) -> ClusterConfig:
    disk = PurePosixPath(folder, fault.data_dir)
    places: dict[str, Any] = {"port": server.port, "data_dirs": (disk,), "address": "127.0.0.1"}
    nodes = (
        a_node_config("node1", **places, manager=True, advertise=fault.advertise[0]),
        a_node_config("node2", **places, manager=False, advertise=fault.advertise[1]),
    )
    config = server.cluster(folder / "known_hosts")
    return replace(config, name=f"faults-{os.getpid()}", nodes=nodes, build=fault.build)
