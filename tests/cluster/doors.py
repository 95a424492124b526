"""What users' programs and shells find in the containers: a part of test_lifecycle.py."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.broken import Machines
from tests.cluster.jupyter_page import Jupyter

HERE = Path(__file__).parent
FREE = ("/tmp/", "/var/tmp/", "/run/sparkqfs/", "/run/lock/", "/data/spark/", "/data/shared/", "/data/notebooks/")
"""Where a program may create files, besides the blocks of the data servers: the same account has them."""
BLOCKS = {"qfs": "chunk", "hdfs": "data"}
"""Directory of the blocks, by storage."""
METADATA = {"qfs": ("checkpoint", "logs"), "hdfs": ("name",)}


class Doors(Machines):
    """What is open to programs and shells, and what is not."""

    def hidden(self) -> list[str]:
        """Device and inode of everything on the manager that no program must find."""
        top = f"/mnt/data/{self.kind.top}"
        metadata = [f"{top}/{name}" for name in METADATA[self.kind.name]]
        listed = self.on(1, "find", *metadata, "-printf", "%D:%i\\n").split()
        return listed + self.on(1, "stat", "-c", "%d:%i", top, f"{top}/.cluster-name", "/mnt/data/sparkqfs").split()

    def test_a_program_that_tries_every_door_finds_no_metadata(self, cluster: Any) -> None:
        hidden = self.hidden()
        marker = self.on(1, "stat", "-c", "%d:%i", f"/mnt/data/{self.kind.top}/.cluster-id").strip()
        blocks = f"/data/{self.kind.top}/{BLOCKS[self.kind.name]}/"
        words = (",".join([*hidden, marker]), ",".join([*FREE, blocks]))
        ran = cluster.ok("submit", str(HERE / "intruder.py"), "--cores", "all", "--", *words)
        found = json.loads(ran.out)
        assert len(found) == 4, found  # three workers and the driver
        target = f"/data/{self.kind.top}/.cluster-id"
        # the marker is seen on the manager's worker alone: that the search finds what is there is known by it
        assert sorted(path for one in found for path in one["seen"]) == [target], found
        for one in found:
            assert (one["names"], one["opened"], one["created"], one["changed"]) == ([], [], [], []), one

    @pytest.mark.long
    def test_a_worker_waits_for_its_disk_and_then_starts_by_itself(self, cluster: Any) -> None:
        top = f"/mnt/data/{self.kind.top}"
        bare = f"{top}/{BLOCKS[self.kind.name]}"  # what a machine may have below the mount point
        self.on(3, "sh", "-ec", f"mv {top} /mnt/data/away; mkdir -p {bare}; chown -R 6700:6700 {top}")
        try:
            self.on(3, "docker", "kill", self.worker_on(3))
            end = time.monotonic() + 60
            while "is the disk mounted on this machine?" not in cluster.run("status", "--json").out:
                assert time.monotonic() < end, "status does not say why the worker is not there"
            assert self.on(3, "docker", "ps", "-q", "--filter", "name=spark_worker-node") == ""
            assert self.on(3, "find", top).split() == [top, bare], "something began a file system there"
        finally:
            self.on(3, "sh", "-ec", f"rm -r {top}; mv /mnt/data/away {top}")
        cluster.until_healthy()

    def test_every_kind_of_shell_in_every_container_knows_the_tools_and_the_environment(self, cluster: Any) -> None:
        sleeper = cluster.hosts.parent / "waits.py"
        sleeper.write_text("import time\ntime.sleep(600)\n")
        driver = cluster.ok("submit", str(sleeper), "--detach").out.strip()
        try:
            roles = (self.kind.master, "worker-node", "spark-master", "jupyter-server", "history-server", "driver")
            with ThreadPoolExecutor(3) as pool:
                found = dict(zip(roles, pool.map(lambda role: self.shells_of(role, driver), roles), strict=True))
        finally:
            cluster.ok("kill", driver)
        for role, said in found.items():
            assert "NODE_IP=1" in said["wanted"] and "SPARK_CONF_DIR=/run/sparkqfs/conf" in said["wanted"], said
            assert [line for line in said["wanted"].splitlines() if line.startswith("no ")] == [], said["wanted"]
            assert (said["differs"], said["leaks"]) == ({}, []), f"{role}: {said['differs']}"
            assert [text for text in said["prompts"].values() if not text.startswith(f"spark@{role}:")] == [], said
            assert "/user" in said["sls"][0], f"{role}: {said['sls']}"

    def shells_of(self, role: str, driver: str) -> dict[str, Any]:
        """What every kind of shell says in the container of a role, wherever it is."""
        label = f"sparkqfs.app={driver}" if role == "driver" else f"com.docker.swarm.service.name=spark_{role}"
        for number in (1, 2, 3):
            ids = self.on(number, "docker", "ps", "-q", "--filter", f"label={label}").split()
            if ids:
                argv = ("docker", "exec", "-i", ids[0], "/usr/bin/python3", "-")
                found: dict[str, Any] = json.loads(self.on(number, *argv, stdin=(HERE / "shells.py").read_bytes()))
                return found
        raise AssertionError(f"no container of {role}")

    def test_jupyters_terminal_is_a_bash_with_the_tools(self, cluster: Any) -> None:
        jupyter = Jupyter.of(cluster.ok("token", "--json").json["url"])
        said = jupyter.terminal(
            ["echo $BASH_VERSION", "sls /", "type qls pyspark", "echo $NODE_IP", "bash -lc 'sls /'"]
        )
        assert said.count("/user") >= 2 and "not found" not in said, said
        assert "spark@jupyter-server:" in said, said
