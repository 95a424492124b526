"""A cluster on container machines as its user has it: through the command line, and what machines of tests need."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests import phases
from tests.paths import ROOT

NAME = f"life-{os.getpid()}"


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def states(self) -> dict[str, str]:
        return {one["subject"]: one["state"] for one in self.json["outcomes"]}


@dataclass(frozen=True)
class Cluster:
    """A cluster file and the directory that commands run in."""

    hosts: Path
    name: str

    @property
    def data(self) -> Path:
        """Where backups go by default; not the home of whoever runs the tests."""
        return self.hosts.parent / f"{self.hosts.stem}-data"

    @property
    def environment(self) -> dict[str, str]:
        """Of commands."""
        return {**os.environ, "SPARKQFS_HOSTS": str(self.hosts), "XDG_DATA_HOME": str(self.data)}

    def command(self, *words: str) -> list[str]:
        """A task of this tree."""
        return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]

    def run(self, *words: str, timeout_s: float = 1200, stdin: str = "") -> Ran:
        command, env = self.command(*words), self.environment
        done = phases.run_task(
            command, folder=self.hosts.parent, environment=env, stdin=stdin, timeout_s=timeout_s, words=words
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, timeout_s: float = 1200) -> Ran:
        ran = self.run(*words, timeout_s=timeout_s)
        assert ran.code == 0, f"{words}: exit {ran.code}\n{ran.out[-3000:]}\n{ran.err[-3000:]}"
        return ran

    def ended(self, *words: str, said: str, sent: signal.Signals, within_s: float = 8) -> int:
        """Start a command, send it a signal once it has said something; its exit code."""
        command, env = self.command(*words), self.environment
        with subprocess.Popen(
            command, cwd=self.hosts.parent, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            watch = phases.Watch(words)
            assert any(said in watch.heard(line) for line in process.stderr), f"{words} never said {said!r}"
            process.send_signal(sent)
            started = time.monotonic()
            assert "Traceback" not in process.stderr.read()
            code = process.wait(within_s)
            watch.end()
            assert time.monotonic() - started < within_s
        return code

    @contextlib.contextmanager
    def beside(self, *words: str, timeout_s: float = 300) -> Iterator[dict[str, Any]]:
        """A command that goes on until Ctrl-C; the JSON document that it prints first."""
        command, env = self.command(*words), self.environment
        log, text = self.hosts.parent / "beside.log", ""
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, cwd=self.hosts.parent, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        limit = threading.Timer(timeout_s, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            while line := process.stdout.readline():
                text += line.decode()
                if line == b"}\n":
                    break
            assert text, log.read_text()[-3000:]
            yield json.loads(text)
        finally:
            limit.cancel()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)

    def until_healthy(self, deadline_s: float = 240) -> None:
        end = time.monotonic() + deadline_s
        with phases.counted_as(phases.READY):
            while (ran := self.run("status", "--json")).code != 0:
                assert time.monotonic() < end, f"not healthy after {deadline_s} s: {ran.out[-3000:]}"
                time.sleep(1)


def on_node(number: int, *argv: str, stdin: bytes = b"") -> str:
    """Run a command on a container machine, past our own tools."""
    done = subprocess.run(
        ["docker", "exec", "-i", f"{NAME}-node{number}", *argv],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stderr.decode()[-2000:]}"
    return done.stdout.decode()


JVMS = r"""
wanted='org\.apache\.spark\.[a-z.]+[A-Z]\w+|sparkqfs\.catalogue\.\w+'
for process in /proc/[0-9]*; do
  main=$(tr '\0' '\n' <$process/cmdline 2>/dev/null | grep -xE -m1 "$wanted") || continue
  grep -qs /classes.jsa $process/maps && echo "${main##*.} maps" || echo "${main##*.} reads"
done
"""


def jvms_of_spark(number: int) -> dict[str, str]:
    """Main class of each JVM of Spark or of the catalogue → `maps` the archive of classes, or `reads` jars."""
    return dict(line.split() for line in on_node(number, "sh", stdin=JVMS.encode()).splitlines())


QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Programs of tests do little: most of their CPU time would be the JVM's compiling, and a collector's threads."""


def with_storage(machines: Path, kind: str, **more: object) -> Path:
    """The same machines with another storage."""
    settings = yaml.safe_load(machines.read_text())
    quick = {f"spark.{side}.defaultJavaOptions": QUICK_START for side in ("driver", "executor")}
    settings["spark"] = {**settings.get("spark", {}), "conf": quick, "delta": kind != "shared"}
    settings |= {"storage": {"kind": kind, "shared": {"path": "/mnt/shared"}}, "logs": {"program": "2m"}, **more}
    file = machines.parent / f"{kind}.yml"
    file.write_text(yaml.safe_dump(settings))
    return file


def files_there_and_back(cluster: Cluster) -> None:
    """Puts a small tree to /tmp/files, gets it back, and puts it again."""
    tree = cluster.hosts.parent / "files"
    (tree / "sub").mkdir(parents=True, exist_ok=True)
    (tree / "a").write_bytes(os.urandom(1_000_000))
    (tree / "sub" / "b").write_bytes(os.urandom(70 << 20))
    first = cluster.ok("put", "files", "/tmp/files", "--json").json["put"]
    assert (first["copied"], first["failed"], first["differs"]) == (2, [], [])
    again = cluster.ok("put", "files", "/tmp/files", "--json").json
    assert (again["put"]["unchanged"], again["outcomes"][0]["state"]) == (2, "unchanged")
    cluster.ok("get", "/tmp/files", "files-back")
    for name in ("a", "sub/b"):
        assert (cluster.hosts.parent / "files-back" / name).read_bytes() == (tree / name).read_bytes()
    sizes = cluster.ok("du", "/tmp/files", "--json").json["du"]
    assert (sizes["bytes"], sizes["files"]) == (1_000_000 + (70 << 20), 2)
    (tree / "a").write_bytes(b"differs")
    assert cluster.run("put", "files", "/tmp/files").code == 5
    shutil.rmtree(cluster.hosts.parent / "files-back")


NOTEBOOKS = {
    "csv_to_sql": ("STATIONS=3", "DAYS=60"),
    "locality": ("MIB=24", "FILES=12", "READS=1"),  # a copy is chosen for each file: more files, less chance
    "stream": ("EVENTS=1800", "FILES=2"),
}
"""Notebooks that headless tests run, with parameters for a small machine."""


def run_small(cluster: Cluster, name: str) -> dict[str, Any]:
    """A notebook's result, once it has found no fault with itself."""
    words = [word for parameter in NOTEBOOKS[name] for word in ("--param", parameter)]
    result: dict[str, Any] = cluster.ok("notebook", name, *words, "--json").json["result"]
    assert result["summary"] and result["faults"] == []
    return result


TABLE = """\
import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(0, 90000, 1, 3).write.mode(sys.argv[1]).saveAsTable("kept")
print(spark.table("kept").count() if sys.argv[1] == "overwrite" else "appended")
"""


def table_twice_and_at_once(cluster: Cluster, folder: Path) -> None:
    """Two programs one after the other with `overwrite`, two at once with `append`; the shell reads what is there."""
    (folder / "table.py").write_text(TABLE)
    for _ in range(2):
        assert cluster.ok("submit", "table.py", "--", "overwrite").out == "90000\n"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: cluster.ok("submit", "table.py", "--", "append"), range(2)))
    ran = cluster.run("shell", stdin="print(spark.table('kept').count(), spark.table('kept').distinct().count())\n")
    assert (ran.code, ran.out) == (0, "270000 90000\n"), ran.err[-3000:]
    entries = cluster.ok("ls", "/warehouse/kept", "--json").json["ls"]["entries"]
    names = [row["path"].rpartition("/")[2] for row in entries]
    assert sum(name.startswith("part-") for name in names) == 9 and "_temporary" not in names


class Redeployed:
    """Deploys that are broken off or fail, and those after them: the same for every storage.

    On the shared directory, where a deploy is soonest done; on another one `./test --all PART` runs them too.
    """

    def test_deploy_and_down_can_be_done_again_after_an_interrupt(self, cluster: Cluster) -> None:
        assert cluster.ended("down", said="removing stack", sent=signal.SIGKILL) == -signal.SIGKILL
        assert cluster.ok("down", "--json").states()[f"stack {cluster.name}"] in ("changed", "unchanged")
        assert cluster.ended("deploy", said="waiting: ", sent=signal.SIGINT) == 130
        cluster.ok("deploy")
        assert cluster.ended("down", said="left", sent=signal.SIGINT) == 130
        cluster.ok("deploy")

    def test_a_deploy_that_fails_quotes_the_reason_and_the_right_one_works_afterwards(self, cluster: Cluster) -> None:
        settings = yaml.safe_load(cluster.hosts.read_text())
        bad_conf = {"spark.worker.cleanup.enabled": "true", "spark.worker.cleanup.interval": "never"}
        conf = settings["spark"]["conf"] | bad_conf
        bad = Cluster(cluster.hosts.parent / "bad.yml", cluster.name)
        bad.hosts.write_text(yaml.safe_dump(settings | {"spark": settings["spark"] | {"conf": conf}}))
        for _ in range(2):  # an update that Swarm has given up is tried again, and quoted again
            ran = bad.run("deploy")
            assert ran.code == 1
            assert ": task: non-zero exit (1)" in ran.err and "spark.worker.cleanup.interval" in ran.err
            assert "`invoke deploy` again" in ran.err
        cluster.ok("deploy")

    def test_a_deploy_that_runs_out_of_time_says_what_is_missing_and_how_to_go_on(self, cluster: Cluster) -> None:
        short = Cluster(cluster.hosts.parent / "short.yml", cluster.name)
        short.hosts.write_text(cluster.hosts.read_text() + "timeouts: {deploy: 5s}\n")
        cluster.ok("down")
        ran = short.run("deploy")
        assert ran.code == 4
        assert "timed out after 5 s" in ran.err and "`invoke deploy` again" in ran.err
        cluster.ok("deploy")
