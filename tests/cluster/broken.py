"""Clusters that are broken on purpose, and what `invoke verify` says of them: a part of test_lifecycle.py.

Each test leaves the cluster as it found it, or as the next one mends it.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.marks import takes_long

SUPERVISOR = '''\
#!/usr/bin/python3 -I
import dataclasses, os, socket, sys

sys.path.append("/opt/sparkqfs")
from sparkqfs_runtime.supervise import main, spark

BROKEN = os.environ.get("BROKEN", "").rpartition("-")[2]
whole = spark.worker_node


def named(argv):
    """On the first machine the host's own name."""
    words = list(argv)
    if BROKEN == "node1":
        words[words.index("--host") + 1] = socket.gethostname()
    return tuple(words)


def worker_node(setup):
    """On the second machine one of the two daemons only."""
    wanted = {"node2": (False,), "alone": (True,)}.get(BROKEN, (False, True))
    daemons = [daemon for daemon in whole(setup) if (daemon.name == "Spark worker") in wanted]
    return [dataclasses.replace(one, argv=named(one.argv)) if "--host" in one.argv else one for one in daemons]


spark.worker_node = worker_node
sys.exit(main.main(sys.argv))
'''
"""Takes the place of bin/supervise and breaks a cluster, each machine in another way."""
SMALL_FILES = ("--mib", "96", "--files", "24", "--reads", "2")
SPARKS_OWN = {"spark.sql.files.maxPartitionBytes": "128m", "spark.sql.files.openCostInBytes": "4m"}
"""How Spark packs files where nobody has set anything."""


class Machines(ABC):
    """What a test of a storage can do on its machines, past our own tools."""

    kind: Any

    @abstractmethod
    def in_master(self, *argv: str, stdin: bytes = b"") -> str:
        """Run a program in the container of the storage's master."""

    @abstractmethod
    def on(self, number: int, *argv: str, stdin: bytes = b"") -> str:
        """Run a command on a machine."""

    @abstractmethod
    def worker_on(self, number: int) -> str:
        """The worker-node container of a machine."""


@takes_long
class Broken(Machines):
    """What `verify` says of a cluster that is not as it should be."""

    def verified(self, cluster: Any, *words: str) -> tuple[dict[str, Any], str]:
        """The document of a `verify` that fails, and all that it says; it must not take long."""
        started = time.monotonic()
        ran = cluster.run("verify", *words, "--json", timeout_s=240)
        took = time.monotonic() - started
        assert ran.code == 1, (
            f"verify {words}: exit {ran.code} after {took:.0f} s\n{ran.out[-3000:]}\n{ran.err[-3000:]}"
        )
        found = ran.json
        assert "verdict" in found, f"verify {words} did not come to its end: {ran.out[-3000:]}\n{ran.err[-3000:]}"
        problems = found["verdict"]["problems"]
        lines = [f"[{one['node']}] {one['what']} | {one['hint']}" for one in problems]
        print(f"verify {' '.join(words)}: {took:.0f} s, {found['verdict']['text']}", *lines, sep="\n  ")
        return found, "\n".join(lines)

    def address_on(self, number: int) -> str:
        """Of the worker-node container of a machine."""
        shown = ("/opt/sparkqfs/bin/with-env", "sh", "-c", "echo $NODE_IP")
        return self.on(number, "docker", "exec", self.worker_on(number), *shown).strip()

    def with_settings(self, cluster: Any, **conf: str) -> Any:
        """The same cluster with lines under `spark.conf`."""
        settings = yaml.safe_load(cluster.hosts.read_text())
        spark = settings["spark"]
        hosts = cluster.hosts.with_name(f"{self.kind.name}-broken.yml")
        hosts.write_text(yaml.safe_dump(settings | {"spark": {**spark, "conf": {**spark["conf"], **conf}}}))
        return type(cluster)(hosts, cluster.name)

    def test_verify_names_striped_files(self, cluster: Any) -> None:
        self.in_master("sh", "-ec", self.kind.put_striped, stdin=os.urandom(48 << 20))
        found, said = self.verified(cluster, "--path", "/tmp/striped")
        placed = found["placement"]
        assert placed["striped_blocks"] == placed["blocks"] > 0, said
        blocks = {"qfs": "chunks", "hdfs": "blocks"}[self.kind.name]
        whole = f"{placed['blocks']} of {placed['blocks']} {blocks} are of striped files (erasure coding) on 3 hosts"
        assert whole in said and "write the files again as plain copies" in said, said
        assert "random copy" not in said and "≠" not in said and "no reason" not in said, said
        assert found["remote_share"] > 0.3, said
        self.in_master("sh", "-ec", self.kind.remove_striped)

    @contextmanager
    def without_server(self, number: int) -> Iterator[None]:
        """A data server that has ended; the supervisor is held, and ends the container once it is let go."""
        state = ("docker", "inspect", "-f", "{{.State.Pid}}", self.worker_on(number))
        supervisor = self.on(number, *state).strip()
        self.on(number, "kill", "-STOP", supervisor)
        try:
            children = self.on(number, "ps", "-o", "pid=,args=", "--ppid", supervisor).splitlines()
            (server,) = (line.split()[0] for line in children if self.kind.server in line)
            self.on(number, "kill", "-KILL", server)
            yield
        finally:
            self.on(number, "sh", "-c", f"kill -CONT {supervisor} || echo it was ended meanwhile")

    def test_verify_names_a_data_server_that_is_down_and_does_not_hang(self, cluster: Any) -> None:
        address = self.address_on(3)
        with self.without_server(3):
            end = time.monotonic() + 75
            while cluster.run("status", "--json").json["storage"].get("servers_up") != 2:
                assert time.monotonic() < end, "the storage's master has not noticed"
                time.sleep(1)
            found, said = self.verified(cluster, "--mib", "24", "--files", "6", "--reads", "1")
        assert found["sum_ok"] is True
        server = {"qfs": "chunkserver", "hdfs": "datanode"}[self.kind.name]
        assert f"[node3] no {server} is up at {address} | " in said, said
        assert "invoke logs --service worker-node" in said and "≠" not in said, said
        assert "[node1]" not in said and "[node2]" not in said, said
        cluster.until_healthy()

    def test_verify_names_the_settings_that_keep_reads_remote(self, cluster: Any) -> None:
        conf = SPARKS_OWN | ({"spark.hadoop.fs.qfs.localRead": "false"} if self.kind.has_reader else {})
        broken = self.with_settings(cluster, **conf)
        broken.ok("deploy")
        found, said = self.verified(broken, *SMALL_FILES)
        count = f"{found['scan']['files_per_partition']:.3g}"
        assert float(count) > 1
        assert f"{count} files of 4.2 MB per partition: " in said, said
        assert "openCostInBytes is 4.2 MB, maxPartitionBytes 134 MB" in said, said
        assert "take spark.sql.files.* out of spark.conf, then `invoke deploy`" in said, said
        if self.kind.has_reader:
            assert "local reading is off: spark.hadoop.fs.qfs.localRead=false" in said, said
            assert "a random copy of 2: about 50% of the bytes come from another node" in said, said
            assert "take spark.hadoop.fs.qfs.localRead out of spark.conf, then `invoke deploy`" in said, said

    def test_verify_names_workers_under_another_host_than_their_data_and_the_fix_it_names_mends_them(
        self, cluster: Any
    ) -> None:
        self.deploy_broken(cluster)
        server = {"qfs": "chunkserver", "hdfs": "datanode"}[self.kind.name]
        found, said = self.verified(cluster, "--mib", "96", "--files", "12", "--reads", "2")
        name = self.on(1, "docker", "inspect", "-f", "{{.Config.Hostname}}", self.worker_on(1)).strip()
        first = found["addresses"][name]
        assert f"[node1] executor host {name} ≠ {server} host {first}, the address of the same container" in said, said
        assert f"start the worker with `--host {first}`" in said, said
        (alone,) = (host for host in found["hosts"] if host != name and f"executor host {host} ≠" in said)
        assert f"[node2] executor host {alone} ≠ {server} host " in said, said
        assert ", another container of that node | the worker has to share the container" in said, said
        assert said.count("≠") == 2 and "[node3]" not in said and "is up at" not in said, said
        assert "`invoke down deploy`" in said, said
        cluster.ok("down", "deploy")
        whole = cluster.ok("status", "--json").json
        assert whole["spark"]["worker_hosts"] == whole["storage"]["server_hosts"]

    def deploy_broken(self, cluster: Any) -> None:
        """The stack with other supervisors: a worker under its host's name on node1, two containers on node2."""
        plan = cluster.ok("deploy", "--dry-run", "--json").json
        stack = yaml.safe_load(plan["stack"])
        there = self.on(1, "docker", "config", "ls", "--format", "{{.Name}}").split()
        label = f"sparkqfs.cluster={cluster.name}"  # `invoke down` removes them
        for name, text in {**plan["configs"], "broken-supervise": SUPERVISOR}.items():
            if name not in there:
                self.on(1, "docker", "config", "create", "--label", label, name, "-", stdin=text.encode())
        stack["configs"]["broken-supervise"] = {"external": True, "name": "broken-supervise"}
        mount = {"source": "broken-supervise", "target": "/opt/sparkqfs/bin/supervise", "mode": 0o555}
        worker = stack["services"]["worker-node"]
        worker |= {"configs": [*worker["configs"], mount], "healthcheck": {"disable": True}}
        worker["deploy"]["update_config"] |= {"parallelism": 0, "monitor": "1s"}
        alone = {**worker, "environment": {**worker["environment"], "BROKEN": "alone"}}
        placement = {
            "constraints": [*worker["deploy"]["placement"]["constraints"], "node.labels.sparkqfs.node == node2"]
        }
        alone["deploy"] = {**worker["deploy"], "placement": placement}
        worker["environment"]["BROKEN"] = "{{.Node.Hostname}}"
        stack["services"]["worker-alone"] = alone
        text = yaml.safe_dump(stack, sort_keys=False)
        self.on(
            1, "docker", "stack", "deploy", "--resolve-image", "never", "-c", "-", cluster.name, stdin=text.encode()
        )
        end = time.monotonic() + 150
        while True:
            found = cluster.run("status", "--json").json
            spark, storage = found["spark"], found["storage"]
            hosts, servers = set(spark.get("worker_hosts", ())), set(storage.get("server_hosts", ()))
            if len(hosts) == len(servers) == 3 and len(hosts - servers) == 2 and found["jupyter"]["answers"]:
                return
            assert time.monotonic() < end, f"the broken cluster does not come up: {found}"
            time.sleep(1)
