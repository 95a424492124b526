"""The Connect server's container without Spark: its words, its token, what it says of itself, and its end."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.connect_server import STAND_IN
from tests.paths import PROGRAMS

APP = "app-20260101120100-0000"
OURS = "sparkqfs.connect"
DEFAULTS = """\
spark.authenticate false
spark.driver.extraJavaOptions -Done=1\\\\d
spark.connect.grpc.interceptor.classes a.First, b.Second
spark.plugins a.Plugin
"""


class Server:
    """The container's directories, with a stand-in for spark-submit."""

    def __init__(self, top: Path) -> None:
        self.top, self.run = top, top / "run"
        for path in (top / "etc", top / "secrets", top / "spark" / "bin", top / "spark" / "jars", self.run):
            path.mkdir(parents=True)
        (top / "etc" / "spark-defaults.conf").write_text(DEFAULTS)
        (top / "spark" / "jars" / "spark-core_2.13-4.1.9.jar").touch()
        program = top / "spark" / "bin" / "spark-submit"
        program.write_text(STAND_IN.format(python=sys.executable, app=APP))
        program.chmod(0o755)
        self.environ = {
            "PATH": os.environ["PATH"],
            "SPARK_HOME": str(top / "spark"),
            "SPARKQFS_STORAGE": "shared",
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(top / "etc"),
            "SPARKQFS_RUN_DIR": str(self.run),
            "SPARKQFS_SECRETS_DIR": str(top / "secrets"),
            "SPARK_LOCAL_DIRS": str(top / "local"),
            "SPARKQFS_SERVER_SETTINGS": json.dumps({"spark.cores.max": "4", "spark.driver.memory": "2048m"}),
            "SPARKQFS_IDLE_S": "600",
        }

    def start(self, **more: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-I", str(PROGRAMS / "supervise"), "connect-server"]
        environ = {**self.environ, **more}
        return subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def said(self) -> dict[str, Any]:
        """What it says of itself, once it does."""
        end = time.monotonic() + 30
        while not (self.run / "server.json").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        found: dict[str, Any] = json.loads((self.run / "server.json").read_text())
        return found


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_it_says_where_it_is_when_it_takes_connections_and_who_has_its_token_may_in(server: Server) -> None:
    process = server.start(FAKE_PAUSE_S="0.5")
    said = server.said()
    assert (said["spark"], said["app_id"], said["idle_s"]) == ("4.1.9", APP, 600)
    assert said["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (server.run / "server.json").stat().st_mode & 0o777 == 0o400
    with socket.create_connection(("127.0.0.1", said["connect_port"]), 5) as link:
        link.sendall(said["token"].encode() + b"\n")
        assert link.makefile().readline() == "welcome\n"
    code, errors = end(process)
    assert code == 0
    assert said["token"] not in errors


def test_its_token_is_new_each_time_and_in_no_argument_list_and_no_file_of_spark(server: Server) -> None:
    tokens = []
    for _ in range(2):
        process = server.start()
        said = server.said()
        tokens.append(said["token"])
        words = json.loads((server.run / "words").read_text())
        readable = [path for path in server.run.rglob("*") if path.is_file() and path.name != "server.json"]
        assert len(readable) > 2
        for text in (*words, *(path.read_text(errors="replace") for path in readable)):
            assert said["token"] not in text
        end(process)
        (server.run / "server.json").unlink()
    assert len(set(tokens)) == 2 and min(map(len, tokens)) > 40


def test_it_is_bound_to_loopback_with_the_wishes_and_the_settings_of_the_cluster(server: Server) -> None:
    process = server.start()
    said = server.said()
    words = json.loads((server.run / "words").read_text())
    assert words[:6] == [
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--name", "Spark Connect"),
        *("--driver-memory", "2048m"),
    ]
    conf = dict(word.split("=", 1) for flag, word in itertools.pairwise(words) if flag == "--conf")
    assert conf == {
        "spark.cores.max": "4",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(said["connect_port"]),
        "spark.connect.grpc.interceptor.classes": f"a.First,b.Second,{OURS}.BeforeQueries,{OURS}.SameMinor",
        "spark.plugins": f"a.Plugin,{OURS}.ExecutorsOnDemand,{OURS}.JdbcOnDemand",
        "spark.driver.extraJavaOptions": r"-XX:TieredStopAtLevel=1 -Done=1\d",
    }
    assert words[-1] == "spark-internal"
    end(process)


def test_one_that_nobody_uses_ends_by_itself_and_one_that_is_used_does_not(server: Server) -> None:
    process = server.start(SPARKQFS_IDLE_S="1.5")
    said = server.said()
    relay = subprocess.Popen(
        [str(PROGRAMS / "relay"), str(said["connect_port"])],
        env={"SPARKQFS_RUN_DIR": str(server.run)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert relay.stdin is not None
    until = time.monotonic() + 4
    while time.monotonic() < until:
        relay.stdin.write(b"x\n")
        relay.stdin.flush()
        assert process.poll() is None
        time.sleep(0.2)
    _, errors = process.communicate(timeout=30)  # the relay is still connected, and silent
    assert process.returncode == 0
    assert "nobody has used the Connect server for 2 s" in errors
    relay.stdin.close()
    assert relay.wait(30) == 0


def test_one_that_cannot_start_ends_and_says_nothing_of_itself(server: Server) -> None:
    process = server.start(FAKE_DIES="1")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the Connect server ended with exit code 3" in errors
    assert not (server.run / "server.json").exists()


def test_what_an_earlier_one_said_is_not_believed(server: Server) -> None:
    (server.run / "server.json").write_text("{}")
    process = server.start(FAKE_DIES="1")
    process.communicate(timeout=30)
    assert not (server.run / "server.json").exists()


def test_settings_that_are_none_are_refused_before_anything_starts(server: Server) -> None:
    process = server.start(SPARKQFS_SERVER_SETTINGS="[]")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 78
    assert "SPARKQFS_SERVER_SETTINGS" in errors
