"""Spark's Connect server, for programs outside the cluster: on this container's loopback, with a token of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from sparkqfs_runtime.relay import USED
from sparkqfs_runtime.supervise.driver import (
    APP_LOG,
    DRIVER_DEADLINE_S,
    DRIVER_LOG,
    first_victim,
    prepare_driver,
)
from sparkqfs_runtime.supervise.processes import Daemon, supervise
from sparkqfs_runtime.supervise.setup import EX_CONFIG, Setup, die, plain, say, write_env, write_private
from sparkqfs_runtime.supervise.spark import QUICK_START, stack_setting

CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"
"""Spark's own name, in the server's environment alone: a setting of Spark would go to the executors.

Source: Spark 4.1, sql/connect/config/Connect.scala, getAuthenticateToken.
"""
INTERCEPTORS = "spark.connect.grpc.interceptor.classes"
SAME_MINOR = "sparkqfs.connect.SameMinor"
PLUGINS = "spark.plugins"
JDBC = "sparkqfs.connect.JdbcOnDemand"
EXECUTORS = "sparkqfs.connect.ExecutorsOnDemand"
BEFORE = "sparkqfs.connect.BeforeQueries"
READY = "server.json"
LOOK_S = 0.2
"""Between two tries to connect, until the server takes connections."""
IDLE_S = 1800
APP_ID = re.compile(r"app-\d{14}-\d{4,}")


def connect_server(setup: Setup) -> int:
    """The server until nobody has used it for a while (0), or until it ends by itself (1)."""
    settings = settings_of(setup)
    idle_s = float(setup.get("SPARKQFS_IDLE_S", str(IDLE_S)))
    log = setup.run / "spark.log"
    for name in (READY, "jdbc", "jdbc.wanted"):
        (setup.run / name).unlink(missing_ok=True)
    prepare_driver(setup, DRIVER_LOG + APP_LOG.format(file=log, executors=setup.run / "executors.log"))
    write_env(setup)
    os.chdir(Path(setup.environ["HOME"]))
    port, token = free_port(), secrets.token_urlsafe(32)
    server = Daemon("Connect server", command(setup, settings, port))
    said = {"connect_port": port, "token": token, "spark": spark_version(setup), "python": python_minor()}
    watch = Watch(setup.run, port, idle_s, log, {**said, "idle_s": int(idle_s)})
    threading.Thread(target=watch.run, name="watch", daemon=True).start()
    with first_victim():
        return supervise([server], {**setup.environ, TOKEN: token}, DRIVER_DEADLINE_S)


def settings_of(setup: Setup) -> dict[str, str]:
    """What whoever started it wished for. Exits 78 on what is not settings of Spark."""
    try:
        found = json.loads(setup.get("SPARKQFS_SERVER_SETTINGS", "{}"))
        return {str(name): str(value) for name, value in found.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        die(EX_CONFIG, f"SPARKQFS_SERVER_SETTINGS: {error}")


def command(setup: Setup, settings: dict[str, str], port: int) -> tuple[str, ...]:
    """The words that start it. No secret is among them."""
    memory = settings.pop("spark.driver.memory", "")
    java = plain(stack_setting(setup, "spark.driver.extraJavaOptions"))
    wanted = {
        **settings,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        INTERCEPTORS: ",".join([*listed(setup, INTERCEPTORS), BEFORE, SAME_MINOR]),
        PLUGINS: ",".join([*listed(setup, PLUGINS), EXECUTORS, JDBC]),
        "spark.driver.extraJavaOptions": f"{QUICK_START} {java}".strip(),
    }
    words = [str(setup.spark_home / "bin" / "spark-submit"), "--class", CONNECT, "--name", "Spark Connect"]
    words += ["--driver-memory", memory] if memory else []
    words += [word for name, value in wanted.items() for word in ("--conf", f"{name}={value}")]
    return (*words, "spark-internal")


def listed(setup: Setup, name: str) -> list[str]:
    """Classes that `spark.conf` names: ours are added and replace none."""
    return [one.strip() for one in stack_setting(setup, name).split(",") if one.strip()]


def free_port() -> int:
    """On loopback, where on the machines' own network others have theirs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spark_version(setup: Setup) -> str:
    """By the name of a jar; `unknown` where there is none."""
    names = [path.name for path in (setup.spark_home / "jars").glob("spark-core_*.jar")]
    found = re.search(r"-(\d+\.\d+[\w.-]*)\.jar$", names[0]) if names else None
    return found[1] if found else "unknown"


def python_minor() -> str:
    """Of the images: that of the workers is the same."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


class Watch:
    """Says when the server takes connections, and ends it when nobody has used it for so many seconds."""

    def __init__(self, run: Path, port: int, idle_s: float, log: Path, said: dict[str, object]) -> None:
        self._folder, self._port, self._idle_s = run, port, idle_s
        self._log, self._said = log, said

    def run(self) -> None:
        """Until the end of the process."""
        while not self._answers():
            time.sleep(LOOK_S)
        write_private(self._folder / READY, json.dumps({**self._said, "app_id": self._app_id()}))
        say("the Connect server takes connections")
        last, since = self._used(), time.monotonic()
        while time.monotonic() - since < self._idle_s:
            time.sleep(min(5.0, self._idle_s / 10))
            used = self._used()
            if used != last:  # not its time: a machine's clock may be set
                last, since = used, time.monotonic()
        say(f"nobody has used the Connect server for {self._idle_s:.0f} s")
        os.kill(os.getpid(), signal.SIGTERM)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1.0).close()
        except OSError:
            return False
        return True

    def _used(self) -> float:
        """What the relay has noted."""
        try:
            return (self._folder / USED).stat().st_mtime
        except OSError:
            return 0.0

    def _app_id(self) -> str | None:
        """As Spark's own log says it."""
        try:
            found = APP_ID.findall(self._log.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
        return found[-1] if found else None
