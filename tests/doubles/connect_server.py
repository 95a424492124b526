"""The Connect server's container on this computer: its own first process, and a stand-in for Spark that asks the token.

And an engine that starts it when its service is made, as Swarm does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import OwnerConfig, PortsConfig
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_node_config
from tests.doubles.manager import Engine, answer
from tests.doubles.servers import serve, sshd
from tests.paths import PROGRAMS

APP = "app-20260101120100-0007"
STAND_IN = """\
#!{python} -I
import json, os, pathlib, socket, sys, threading, time
run = pathlib.Path(os.environ["SPARKQFS_RUN_DIR"])
(run / "words").write_text(json.dumps(sys.argv[1:]))
(run / "spark.log").write_text("Connected to Spark cluster with app ID {app}\\n")
if os.environ.get("FAKE_DIES"):
    print("java.lang.IllegalStateException: no place for it", file=sys.stderr)
    sys.exit(3)
time.sleep(float(os.environ.get("FAKE_PAUSE_S", "0")))
conf = dict(word.split("=", 1) for word in sys.argv if word.startswith("spark.") and "=" in word)
where = conf["spark.connect.grpc.binding.address"], int(conf["spark.connect.grpc.binding.port"])
listener = socket.create_server(where)
token = os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"]
def jdbc():
    while not (run / "jdbc.wanted").exists(): time.sleep(0.02)
    said = os.environ.get("FAKE_JDBC")
    if said == "silent": return
    if not said:
        other = socket.create_server(("127.0.0.1", 0))
        said = "port " + str(other.getsockname()[1])
    (run / ".jdbc").write_text(said + "\\n")
    (run / ".jdbc").rename(run / "jdbc")
    while not said.startswith("failed"):
        threading.Thread(target=serve, args=(other.accept()[0],), daemon=True).start()
threading.Thread(target=jdbc, daemon=True).start()
def serve(link):
    with link, link.makefile("rw") as lines:
        for line in lines:
            lines.write("welcome\\n" if line.strip() == token else "refused\\n")
            lines.flush()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
DOCKER = """\
#!/bin/sh
# exec -i CONTAINER PROGRAM… | logs --tail N CONTAINER. What runs in a container ends with it.
case $1 in
    exec)
        [ -e "{top}/pid" ] || {{ echo "Error: No such container: $3" >&2; exit 1; }}
        shift 3
        case $1 in /opt/sparkqfs/bin/*) program=$1; shift; set -- "{programs}/${{program##*/}}" "$@" ;; esac
        export SPARKQFS_RUN_DIR="{top}/run"
        exec 3<&0
        "$@" <&3 &
        program=$! container=$(cat "{top}/pid")
        while kill -0 $program 2>&-; do
            case $(cut -d ' ' -f 3 /proc/"$container"/stat 2>&-) in Z | "") kill -9 $program; exit 137 ;; esac
            sleep 0.05
        done
        wait $program ;;
    logs) cat "{top}/log" ;;
esac
"""


class Swarm(Engine):
    """Starts the container of the Connect server, one at a time."""

    def __init__(self, top: Path) -> None:
        super().__init__()
        self.top = top
        self.environ: dict[str, str] = {}
        """More for the container."""
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0

    def prepare(self) -> None:
        """The directories of a container, and `docker` for whoever logs in."""
        for path in ("etc", "secrets", "spark/bin", "spark/jars", "bin"):
            (self.top / path).mkdir(parents=True)
        (self.top / "etc" / "spark-defaults.conf").write_text("spark.authenticate false\n")
        (self.top / "spark" / "jars" / "spark-core_2.13-4.1.4.jar").touch()
        for name, text in (
            ("spark/bin/spark-submit", STAND_IN.format(python=sys.executable, app=APP)),
            ("bin/docker", DOCKER.format(top=self.top, programs=PROGRAMS)),
        ):
            (self.top / name).write_text(text)
            (self.top / name).chmod(0o755)

    def create_service(self, name: str, task: Mapping[str, Any], labels: Mapping[str, str]) -> None:
        self.started += 1
        self.drivers[name] = {"task": dict(task), "labels": dict(labels), "state": "running"}
        words = dict(word.split("=", 1) for word in task["ContainerSpec"]["Env"])
        environ = {
            "PATH": os.environ["PATH"],
            "SPARK_HOME": str(self.top / "spark"),
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(self.top / "etc"),
            "SPARKQFS_RUN_DIR": str(self.top / "run"),
            "SPARKQFS_SECRETS_DIR": str(self.top / "secrets"),
            "SPARK_LOCAL_DIRS": str(self.top / "local"),
            **words,
            "SPARKQFS_STORAGE": "shared",
            **self.environ,
        }
        role = task["ContainerSpec"]["Args"][-1]
        (self.top / "run").mkdir(exist_ok=True)
        with (self.top / "log").open("wb") as log:
            argv = [sys.executable, "-I", str(PROGRAMS / "supervise"), role]
            self.process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log)
        (self.top / "pid").write_text(str(self.process.pid))

    def labelled_services(self, label: str) -> list[dict[str, Any]]:
        return [{"ID": self.id_of(one["Spec"]["Name"]), **one} for one in super().labelled_services(label)]

    def id_of(self, name: str) -> str:
        """Another one for each service that is made."""
        return f"id{self.started}-{name}"

    def _named(self, name: str) -> str:
        """The service's name, given that or its ID."""
        return next((one for one in self.drivers if name in (one, self.id_of(one))), "")

    def remove_service(self, name: str) -> None:
        if not (name := self._named(name)):
            return
        super().remove_service(name)
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        (self.top / "pid").unlink(missing_ok=True)

    def service_tasks(self, name: str) -> list[dict[str, Any]]:
        if not self._named(name) or self.process is None:
            return []
        code = self.process.poll()
        state = "running" if code is None else "failed" if code else "complete"
        if code is not None:
            (self.top / "pid").unlink(missing_ok=True)
        error = f"task: non-zero exit ({code})" if code else ""
        status = {"State": state, "Err": error, "ContainerStatus": {"ContainerID": f"c{self.started}"}}
        return [{"Status": status}]


@dataclass(frozen=True, slots=True)
class World:
    """A manager to log in to, which is a real SSH server, a Spark master's page, and a swarm."""

    folder: Path
    swarm: Swarm
    session: Session

    @staticmethod
    def wait(condition: Callable[[], bool]) -> None:
        """Until it is so."""
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)


MASTER = {
    "status": "ALIVE",
    "workers": [{"host": "10.0.0.1", "state": "ALIVE", "cores": 4, "memory": 4096}],
    **dict.fromkeys(("cores", "coresused", "memory", "memoryused"), 4),
    "activeapps": [],
    "completedapps": [],
}


@contextlib.contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """A cluster of one machine whose files are in this folder; `docker` there leads to the container."""
    swarm = Swarm(folder / "container")
    swarm.prepare()
    (folder / "data" / "spark").mkdir(parents=True)
    path = f"SetEnv PATH={folder / 'container' / 'bin'}:{os.environ['PATH']}"
    with serve({"/json/": answer(MASTER)}) as page, sshd(folder, path) as machine:
        node = a_node_config(address="127.0.0.1", port=machine.port, data_dirs=(PurePosixPath(folder / "data"),))
        ports = PortsConfig(spark_ui=page, history=page, jupyter=page)
        owner = OwnerConfig(uid=os.getuid(), gid=os.getgid())
        clients = Clients(machine.cluster(folder / "known_hosts", owner=owner, nodes=(node,), ports=ports))
        clients.engine = lambda name=None: swarm  # type: ignore[assignment,method-assign,return-value]
        try:
            yield World(folder, swarm, Session(clients.config, clients, lambda _text: None))
        finally:
            clients.close()
            for name in list(swarm.drivers):
                swarm.remove_service(name)
