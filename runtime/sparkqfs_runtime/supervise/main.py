#!/usr/bin/python3 -I
"""PID 1 of every container: checks the disks, fills in the configuration, runs the role's daemons until one ends.

Usage: supervise worker-node | qfs-master | hdfs-namenode | spark-master | jupyter-server | history-server |
metastore | init-storage | driver

Exit codes: 0 stopped by SIGTERM or SIGINT; 1 a daemon ended by itself (the message names it); 64 wrong command line;
75 the probe host has no address in time; 78 a disk, a file or a setting is missing or wrong, and nothing was started.
init-storage passes the exit code of the metaserver or of the namenode on, driver that of the user's program. Standard
library only: it runs before anything else works.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import xml.sax.saxutils
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

sys.path.append(str(Path(__file__).resolve().parent))  # -I leaves it out; only root writes there
import kept_output
import scratch
import tidy

EX_USAGE = 64
EX_TEMPFAIL = 75
EX_CONFIG = 78
PROBE_DEADLINE_S = 120.0
STOP_DEADLINE_S = 50.0
DRIVER_DEADLINE_S = 20.0
"""Less than the driver's grace period in plan/apps.py."""
OUTPUT_BYTES = 64 << 20
"""Kept of a program's stdout, and of its stderr, unless the stack says otherwise."""
OUTPUT_DEADLINE_S = 3.0
"""For whoever follows a program to read what is still in its pipes when it has ended."""
DRIVER_OOM_SCORE = 500
"""Of -1000 to 1000; everything else has 0. A process may raise its own, and take back what it raised."""
LAID = ".sparkqfs-notebooks.json"
"""Beside the notebooks: SHA-256 of those that we have put there."""
EVENT_LOGS = "/history/spark-events"
"""On the storage; plan/storage/*.py make it."""
WAREHOUSE = "/warehouse"
"""The same: files of tables."""
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
WAITED_SIGNALS = STOP_SIGNALS | {signal.SIGCHLD}
ENV_KEYS = (
    "HADOOP_HOME", "HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
    "LD_LIBRARY_PATH", "MPLCONFIGDIR", "NODE_IP", "PATH", "PYSPARK_PYTHON", "QFS_CLIENT_CONFIG",
    "QFS_CLIENT_DEFAULT_FATTR_REVALIDATE_TIME", "QFS_HOME",
    "SPARKQFS_APP_UI_PORT", "SPARKQFS_CHUNK_DIRS", "SPARKQFS_CLUSTER_ID", "SPARKQFS_DATA_DIRS", "SPARKQFS_ROOT",
    "SPARKQFS_STORAGE", "SPARK_CONF_DIR", "SPARK_HOME", "SPARK_LOCAL_DIRS",
    "SPARK_LOCAL_HOSTNAME", "SPARK_LOCAL_IP", "SPARK_MASTER_URL",
)  # fmt: skip
"""What a program started by `docker exec` needs; nothing secret."""


def say(text: str) -> None:
    """One line on stderr."""
    print(f"sparkqfs: {text}", file=sys.stderr, flush=True)


class Refusal(SystemExit):
    """The end before anything was started, and why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.text = text


def die(code: int, text: str) -> NoReturn:
    """Ends before anything was started."""
    say(text)
    raise Refusal(code, text)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program in the foreground and the signal that stops it cleanly."""

    name: str
    argv: tuple[str, ...]
    stop_signal: signal.Signals = signal.SIGTERM
    hide: bytes = b""
    """What must not reach the log: QFS's daemons log their settings, the cluster key among them."""
    output: kept_output.Kept | None = None
    """Keeps its `stdout` and `stderr`, when they are not for the container's log."""


@dataclass(slots=True)
class Setup:
    """Where things are and what the daemons' environment is. The SPARKQFS_*_DIR variables serve the tests."""

    environ: dict[str, str]
    etc: Path = field(init=False)
    run: Path = field(init=False)
    secrets: Path = field(init=False)
    data: Path = field(init=False)
    notebooks: Path = field(init=False)
    spark_home: Path = field(init=False)
    qfs_home: Path = field(init=False)

    def __post_init__(self) -> None:
        def path(key: str, default: str) -> Path:
            return Path(self.environ.get(key) or default)

        self.etc = path("SPARKQFS_ETC_DIR", "/etc/sparkqfs")
        self.run = path("SPARKQFS_RUN_DIR", "/run/sparkqfs")
        self.secrets = path("SPARKQFS_SECRETS_DIR", "/run/secrets")
        self.data = path("SPARKQFS_DATA_DIR", "/data/hdfs" if self.storage == "hdfs" else "/data/qfs")
        self.notebooks = path("SPARKQFS_NOTEBOOKS_DIR", "/data/notebooks")
        self.spark_home = path("SPARK_HOME", "/opt/spark")
        self.qfs_home = path("QFS_HOME", "/opt/qfs")

    def get(self, key: str, default: str = "") -> str:
        """A setting; empty counts as absent."""
        return self.environ.get(key) or default

    @property
    def storage(self) -> str:
        """`qfs`, `hdfs` or `shared`."""
        return self.get("SPARKQFS_STORAGE", "qfs")

    @property
    def conf_dir(self) -> Path:
        """SPARK_CONF_DIR of every JVM."""
        return self.run / "conf"

    @property
    def defaults(self) -> Path:
        """spark-defaults.conf as the JVMs read it, with the secret."""
        return self.conf_dir / "spark-defaults.conf"

    def secret(self, name: str) -> str | None:
        """A secret's text without the line end, None when it is absent or empty. Exits 78 when it cannot be read."""
        try:
            return (self.secrets / name).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            die(EX_CONFIG, f"cannot read the secret {name}: {error}")


# --- before the start: disks, address, files -------------------------------------------------------------------------


def check_markers(setup: Setup, mounts: tuple[Path, ...]) -> None:
    """An unmounted disk must never look like an empty one: exits 78 unless every mount carries the cluster's id."""
    expected = setup.get("SPARKQFS_CLUSTER_ID")
    if not expected:
        die(EX_CONFIG, "SPARKQFS_CLUSTER_ID is not set: the disks cannot be checked; nothing started")
    for mount in mounts:
        marker = mount / ".cluster-id"
        try:
            found = marker.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            die(EX_CONFIG, f"{marker} is missing: is the disk of {mount} mounted on this machine? nothing started")
        except (OSError, UnicodeDecodeError) as error:
            die(EX_CONFIG, f"cannot read {marker}: {error}; nothing started")
        if found != expected:
            text = f"{marker} says {found!r}, this cluster is {expected!r}: a disk of another cluster; nothing started"
            die(EX_CONFIG, text)


def data_dirs(setup: Setup) -> tuple[Path, ...]:
    """Where the blocks or chunks are, each there and on a disk of this cluster. Exits 78 otherwise."""
    if setup.storage == "hdfs":
        listed = setup.get("SPARKQFS_DATA_DIRS", "/data/hdfs/data")
    else:
        listed = setup.get("SPARKQFS_CHUNK_DIRS", "/data/qfs/chunk")
    dirs = tuple(Path(item) for item in listed.split())
    check_markers(setup, tuple(dict.fromkeys(item.parent for item in dirs)))
    for item in dirs:
        if not item.is_dir():
            die(EX_CONFIG, f"the data directory {item} is missing; nothing started")
    return dirs


def route_address(host: str) -> str:
    """The local IPv4 address on the route to `host`. Raises OSError; no packet is sent."""
    address = socket.getaddrinfo(host, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


def node_address(host: str, deadline_s: float = PROBE_DEADLINE_S) -> str:
    """`route_address`, tried until it works: the probe host may start later than we. Exits 75 after `deadline_s`."""
    end = time.monotonic() + deadline_s
    told = 0.0
    while True:
        try:
            return route_address(host)
        except OSError as error:
            now = time.monotonic()
            if now >= end:
                die(EX_TEMPFAIL, f"no address for {host} within {deadline_s:.0f} s: {error}")
            if now - told >= 10.0:
                say(f"waiting for an address of {host}: {error}")
                told = now
        if signal.sigtimedwait(STOP_SIGNALS, 1.0) is not None:
            say("stopped while waiting")
            raise SystemExit(0)


def own_address() -> str:
    """The address of this container's own name (its first network), else that of the default route, else loopback.

    On the machines' own network SPARKQFS_SELF is the name under which the cluster knows this machine.
    """
    known = os.environ.get("SPARKQFS_SELF")
    if known:
        return route_address(known)
    for host in (socket.gethostname(), "192.0.2.1"):
        try:
            address = route_address(host) if host == "192.0.2.1" else socket.gethostbyname(host)
        except OSError:
            continue
        if not address.startswith("127."):
            return address
    return "127.0.0.1"


def knows_itself() -> bool:
    """Whether this host's own name has an address: on the machines' own network it may be in no DNS."""
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return False
    return True


def name_host(setup: Setup, address: str) -> None:
    """Spark looks its own host's name up before it reads a setting."""
    if not knows_itself():
        setup.environ["SPARK_LOCAL_HOSTNAME"] = address


def ui_port(setup: Setup, default: int) -> str:
    """Port of the role's web page: on the machines' own network nothing else maps it to the one that users know."""
    return setup.get("SPARKQFS_UI_PORT", str(default))


def write_private(path: Path, text: str) -> None:
    """A file that only we can read, replaced in one step."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def read_config(setup: Setup, name: str) -> str:
    """A configuration file of the stack. Exits 78 when it is missing."""
    try:
        return (setup.etc / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        die(EX_CONFIG, f"cannot read the configuration {setup.etc / name}: {error}")


def render(setup: Setup, name: str, values: Mapping[str, Callable[[], str]], folder: str = "") -> Path:
    """Fills the placeholders of a configuration in; a value is asked for only where it is used."""
    text = read_config(setup, name)
    for key, value in values.items():
        placeholder = f"@{key}@"
        if placeholder in text:
            text = text.replace(placeholder, value())
    target = setup.run / folder / name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(target, text)
    return target


def cluster_key(setup: Setup) -> str:
    """The key that chunkservers and metaserver share. Exits 78 without it."""
    key = setup.secret("cluster-key")
    if key is None:
        die(EX_CONFIG, f"the secret {setup.secrets / 'cluster-key'} is missing or empty")
    return key


def hidden_key(setup: Setup) -> bytes:
    """What `Daemon.hide` gets; empty without a key."""
    return (setup.secret("cluster-key") or "").encode()


def write_spark_defaults(setup: Setup, extra: Mapping[str, str]) -> None:
    """spark-defaults.conf plus `extra` plus the secret; the last line of a key wins in Spark."""
    lines = [read_config(setup, "spark-defaults.conf").rstrip("\n")]
    lines += [f"{key} {value}" for key, value in extra.items()]
    secret = setup.secret("spark-secret")
    if secret is not None:
        lines.append(f"spark.authenticate.secret {secret}")
    elif extra.get("spark.authenticate") != "false" and any(
        line.split() == ["spark.authenticate", "true"] for line in lines[0].splitlines()
    ):
        die(EX_CONFIG, f"spark.authenticate is on, but {setup.secrets / 'spark-secret'} is missing or empty")
    setup.conf_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(setup.defaults, "\n".join(lines) + "\n")


def make_writable(path: Path) -> None:
    """A directory of ours on a mount. Exits 78 when it cannot be written: wrong owner or a missing mount."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        die(EX_CONFIG, f"cannot make {path}: {error}")
    if not os.access(path, os.W_OK | os.X_OK):
        die(EX_CONFIG, f"{path} is not writable for uid {os.getuid()}")


def enter_scratch(setup: Setup, owner: str, listed: str, every_s: float = 365 * tidy.DAY_S) -> None:
    """SPARK_LOCAL_DIRS of this container's own; what dead ones left there goes, now and every so many seconds."""
    bases = [Path(item) for item in listed.split(",")]
    for base in bases:
        make_writable(base)
    try:
        try:
            mine = scratch.enter(bases, owner)
        except OSError:  # a disk that dead containers have filled
            tidy.tidy_scratch(bases)
            mine = scratch.enter(bases, owner)
    except OSError as error:
        die(EX_CONFIG, f"cannot make a scratch directory: {error}")
    setup.environ["SPARK_LOCAL_DIRS"] = ",".join(map(str, mine))
    every_s = float(setup.get("SPARKQFS_TIDY_S", str(every_s)))
    tidy.regularly("scratch", every_s, lambda: tidy.tidy_scratch(bases))


def look_after(setup: Setup, work: Path) -> None:
    """What a worker tidies beside scratch: Spark removes old directories in `work` itself."""
    days = float(setup.get("SPARKQFS_KEEP_DAYS", "7"))
    tidy.regularly("programs", tidy.PROGRAMS_S, lambda: tidy.tidy_programs(apps_dir(setup), days))
    tidy.regularly("executors' logs", 0.0, tidy.Rolled(work).run)


def apps_dir(setup: Setup) -> Path:
    """Of the programs that `submit` sent; on the manager."""
    return Path(setup.get("SPARKQFS_APPS_DIR", "/data/spark/apps"))


def make_home(setup: Setup, preferred: Path) -> None:
    """HOME where it can be written: settings and histories of notebooks live there."""
    home = preferred
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError
    except OSError:
        home = Path("/tmp/home")
        home.mkdir(parents=True, exist_ok=True)
    setup.environ["HOME"] = str(home)


def write_env(setup: Setup) -> None:
    """What `with-env` loads."""
    lines = [f"{key}={shlex.quote(setup.environ[key])}" for key in ENV_KEYS if key in setup.environ]
    write_private(setup.run / "env", "\n".join(lines) + "\n")


# --- roles -----------------------------------------------------------------------------------------------------------


def spark_class(setup: Setup, name: str, *arguments: str) -> tuple[str, ...]:
    """A Spark daemon in the foreground: the script execs the JVM."""
    properties = ("--properties-file", str(setup.defaults))
    return (str(setup.spark_home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *properties, *arguments)


def set_address(setup: Setup) -> str:
    """NODE_IP: one string for Spark and the file system, because Spark compares them as strings."""
    default = {"qfs": "qfs-master", "hdfs": "hdfs-namenode"}.get(setup.storage, "spark-master")
    address = node_address(setup.get("SPARKQFS_PROBE_HOST", default))
    setup.environ["NODE_IP"] = address
    say(f"address {address}")
    return address


def write_hadoop_config(setup: Setup, address: str, *, is_namenode: bool = False, dirs: tuple[Path, ...] = ()) -> None:
    """core-site.xml and hdfs-site.xml, for daemons and shell; nothing where the storage is not hdfs.

    The namenode's name is in no DNS before it is healthy: there its own address stands in its place.
    """
    if setup.storage != "hdfs":
        return
    root = setup.get("SPARKQFS_ROOT", "hdfs://hdfs-namenode:9820").removeprefix("hdfs://").rstrip("/")
    host, _, port = root.partition(":")
    values: dict[str, Callable[[], str]] = {
        "NODE_IP": lambda: address,
        "NAMENODE": lambda: f"{address if is_namenode else host}:{port}",
        "DATA_DIRS": lambda: ",".join(f"file://{item}" for item in dirs),
    }
    for name in ("core-site.xml", "hdfs-site.xml"):
        render(setup, name, values, "hadoop")
    if not knows_itself():  # Hadoop's daemons do not start without: the script gives their JVM this file
        known = Path("/etc/hosts").read_text(encoding="utf-8")
        write_private(setup.run / "hadoop" / "hosts", f"{known}\n{address} {socket.gethostname()}\n")


def hdfs(name: str, *arguments: str) -> Daemon:
    """A Hadoop daemon in the foreground: the script execs the JVM."""
    return Daemon(f"HDFS {name}", (str(Path(__file__).resolve().parent / "hdfs"), name, *arguments))


WORKER_PATIENCE = {
    # After the master has moved, look its name up again instead of calling its old address.
    "spark.worker.preferConfiguredMasterAddress": "true",
    # An address that is gone does not answer: without a limit of its own a try takes two minutes, and all wait for it.
    "spark.rpc.io.connectionCreationTimeout": "5s",
    # About every ten seconds for ten minutes. Spark's 6 and 16 mean one try a minute after the first minute.
    "spark.worker.initialRegistrationRetries": "60",
    "spark.worker.maxRegistrationRetries": "60",
}
"""How a worker looks for a master that did not call it. Source: Spark 4.1, deploy/worker/Worker.scala."""
NO_OLD_NAMES = "-Dsun.net.inetaddr.ttl=1"
"""Java keeps the address of a name for 30 s."""


def worker_node(setup: Setup) -> list[Daemon]:
    """A chunkserver (storage qfs) or a datanode (hdfs) and a Spark worker under the same address."""
    dirs = data_dirs(setup) if setup.storage in ("qfs", "hdfs") else ()
    local_dirs = setup.environ.setdefault("SPARK_LOCAL_DIRS", "/data/spark/local")
    work_dir = setup.get("SPARK_WORKER_DIR", "/data/spark/work")
    make_writable(Path(work_dir))
    enter_scratch(setup, "worker", local_dirs, every_s=tidy.SCRATCH_S)
    look_after(setup, Path(work_dir))
    address = set_address(setup)
    setup.environ["SPARK_LOCAL_IP"] = address
    write_spark_defaults(setup, WORKER_PATIENCE)
    setup.environ["SPARK_DAEMON_JAVA_OPTS"] = f"{setup.get('SPARK_DAEMON_JAVA_OPTS')} {NO_OLD_NAMES}".strip()
    daemons = []
    if setup.storage == "qfs":
        values: dict[str, Callable[[], str]] = {
            "NODE_IP": lambda: address,
            "CLUSTER_KEY": lambda: cluster_key(setup),
            "CHUNK_DIRS": lambda: " ".join(map(str, dirs)),
        }
        config = render(setup, "ChunkServer.prp", values)
        name_finished_chunks(dirs)
        program = str(setup.qfs_home / "bin" / "chunkserver")
        daemons.append(Daemon("chunkserver", (program, str(config)), signal.SIGQUIT, hidden_key(setup)))
    elif setup.storage == "hdfs":
        write_hadoop_config(setup, address, dirs=dirs)
        daemons.append(hdfs("datanode"))
    sizes = []
    if setup.get("SPARK_WORKER_CORES"):
        sizes += ["--cores", setup.get("SPARK_WORKER_CORES")]
    if setup.get("SPARK_WORKER_MEMORY"):
        sizes += ["--memory", setup.get("SPARK_WORKER_MEMORY")]
    where = ("--host", address, "--port", "8881", "--webui-port", "8081", "--work-dir", work_dir)
    master = setup.get("SPARK_MASTER_URL", "spark://spark-master:7077")
    daemons.append(Daemon("Spark worker", spark_class(setup, "worker.Worker", *where, *sizes, master)))
    return daemons


def name_finished_chunks(dirs: tuple[Path, ...]) -> None:
    """What a power cut left in the moment before its name; whatever comes of it, the chunkserver starts."""
    program = Path(__file__).resolve().parent / "finished_chunks.py"
    argv = (python(), "-I", str(program), *map(str, dirs))
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        say("looking for chunks without their names took longer than 60 s: the chunkserver starts without it")
        return
    for line in done.stdout.splitlines():
        say(line)


def metaserver_config(setup: Setup, key: Callable[[], str]) -> Path:
    """MetaServer.prp, filled in. Its name is in no DNS before it is healthy: the address comes from /etc/hosts."""
    return render(setup, "MetaServer.prp", {"NODE_IP": own_address, "CLUSTER_KEY": key})


def qfs_master(setup: Setup) -> list[Daemon]:
    """The metaserver and its web UI."""
    check_markers(setup, (setup.data,))
    setup.environ["NODE_IP"] = own_address()
    config = metaserver_config(setup, lambda: cluster_key(setup))
    web = render(setup, "webui.conf", {"UI_PORT": lambda: ui_port(setup, 20050)})
    guard = str(Path(__file__).resolve().parent / "webui_guard.py")
    program = str(setup.qfs_home / "bin" / "metaserver")
    return [
        Daemon("metaserver", (program, str(config)), signal.SIGQUIT, hidden_key(setup)),
        Daemon("QFS web UI", (sys.executable or "/usr/bin/python3", "-u", guard, str(web))),
    ]


def hdfs_namenode(setup: Setup) -> list[Daemon]:
    """The namenode and its status page."""
    check_markers(setup, (setup.data,))
    if not (setup.data / "name" / "current" / "VERSION").is_file():
        die(EX_CONFIG, f"there is no file system in {setup.data / 'name'}: it has to be made first; nothing started")
    address = own_address()
    setup.environ["NODE_IP"] = address
    write_hadoop_config(setup, address, is_namenode=True)
    guard = str(Path(__file__).resolve().parent / "hdfs_guard.py")
    return [
        hdfs("namenode"),
        Daemon("HDFS status page", (sys.executable or "/usr/bin/python3", "-u", guard, ui_port(setup, 9870))),
    ]


RECOVERY_S = 15
"""A worker or an application that has not answered a new master by then is lost to it. All that live answer at once."""
QUICK_START = "-XX:TieredStopAtLevel=1"
"""The master does little, and all wait for its start, which takes less than half of the CPU time this way."""
GENERATION = re.compile(r"[0-9a-f]{16}")
"""Name of a directory with a master's state."""


def recovery_directory(setup: Setup) -> Path:
    """Where the master keeps its workers and applications, for this Spark and this service of Swarm alone.

    After `down` and `deploy` they are others. What an earlier service or another Spark has left there is removed.
    """
    top = Path(setup.get("SPARKQFS_RECOVERY_DIR", "/data/spark-master"))
    make_writable(top)
    core = next(iter(sorted((setup.spark_home / "jars").glob("spark-core_*.jar"))), Path("unknown"))
    generation = f"{core.name} {setup.get('SPARKQFS_SERVICE')}"
    wanted = top / hashlib.sha256(generation.encode()).hexdigest()[:16]
    for found in top.iterdir():
        if found == wanted:
            continue
        if not GENERATION.fullmatch(found.name):
            say(f"{found} is not the Spark master's; it is left alone")
            continue
        say(f"removing {found}: it belongs to another deploy or another Spark")
        scratch.remove(found)
    if wanted.is_symlink() or not wanted.is_dir():
        wanted.unlink(missing_ok=True)
    wanted.mkdir(mode=0o700, exist_ok=True)
    make_writable(wanted)
    return wanted


def spark_master(setup: Setup) -> list[Daemon]:
    """The Spark master, bound to this container's address; its UI listens on all (published ports come another way)."""
    address = own_address()
    setup.environ["NODE_IP"] = address
    setup.environ.pop("SPARK_LOCAL_IP", None)
    name_host(setup, address)
    recovery = {
        "spark.deploy.recoveryMode": "CUSTOM",
        "spark.deploy.recoveryMode.factory": "sparkqfs.recovery.RecoveryFactory",
        "spark.deploy.recoveryDirectory": str(recovery_directory(setup)),
        "spark.deploy.recoveryTimeout": f"{RECOVERY_S}s",
    }
    write_spark_defaults(setup, recovery)
    write_hadoop_config(setup, address)
    setup.environ["SPARK_DAEMON_JAVA_OPTS"] = f"{QUICK_START} {setup.get('SPARK_DAEMON_JAVA_OPTS')}".strip()
    where = ("--host", address, "--port", "7077", "--webui-port", ui_port(setup, 8080))
    return [Daemon("Spark master", spark_class(setup, "master.Master", *where))]


def history_server(setup: Setup) -> list[Daemon]:
    """What ended applications did. Spark's program ends when its directory is missing: deploy makes that later."""
    setup.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # what is published is the page in front of it
    address = set_address(setup)
    name_host(setup, address)
    write_hadoop_config(setup, address)
    # It talks to no daemon of Spark's: the secret is not there.
    write_spark_defaults(setup, {"spark.history.ui.port": "18081", "spark.authenticate": "false"})
    wait_for_directory(setup, EVENT_LOGS)
    page = str(Path(__file__).resolve().parent / "history_page.py")
    words = (ui_port(setup, 18080), "18081", *master_page(setup))
    return [
        Daemon("history server", spark_class(setup, "history.HistoryServer")),
        Daemon("history page", (python(), "-u", page, *words)),
    ]


METASTORE_SITE = {
    "javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
    "datanucleus.schema.autoCreateAll": "true",
    "hive.metastore.schema.verification": "false",
    "hive.metastore.schema.verification.record.version": "true",
    "hive.metastore.server.min.threads": "4",
    "hive.metastore.server.max.threads": "256",
    "hive.async.log.enabled": "false",
    "hive.hmshandler.retry.interval": "200ms",
    "datanucleus.connectionPoolingType": "HikariCP",
}
"""A part of the schema is made when it is first needed: one that a kill has left half is made whole by the next start."""
METASTORE_LOG = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""


def metastore(setup: Setup) -> list[Daemon]:
    """The catalogue of tables. Its program ends when the storage does not answer, so that comes first."""
    folder = Path(setup.get("SPARKQFS_METASTORE_DIR", "/data/metastore"))
    if not folder.is_dir():
        die(EX_CONFIG, f"{folder} is missing: the catalogue of tables has no place; nothing started")
    make_writable(folder)
    address = set_address(setup)
    write_hadoop_config(setup, address)
    wait_for_directory(setup, WAREHOUSE)
    database = folder / "catalogue"
    classes = setup.run / "metastore"
    classes.mkdir(mode=0o700, exist_ok=True)
    write_private(classes / "hive-log4j2.properties", METASTORE_LOG)
    write_private(classes / "hive-site.xml", metastore_site(read_config(setup, "spark-defaults.conf"), database))
    program = str(Path(__file__).resolve().parent / "metastore")
    make_catalogue(setup, program, database)
    return [Daemon("metastore", (program, "run", setup.get("SPARKQFS_METASTORE_PORT", "9083")))]


def metastore_site(defaults: str, database: Path) -> str:
    """Hadoop's and Hive's settings as Spark has them, and the database's."""
    pairs = dict(
        line.split(None, 1) for line in defaults.splitlines() if line[:6] == "spark." and len(line.split()) > 1
    )
    settings = {
        key.removeprefix("spark.hadoop."): value for key, value in pairs.items() if key.startswith("spark.hadoop.")
    }
    settings.pop("hive.metastore.uris", None)
    settings |= {**METASTORE_SITE, "javax.jdo.option.ConnectionURL": f"jdbc:derby:{database}"}
    settings["hive.metastore.warehouse.dir"] = pairs["spark.sql.warehouse.dir"]
    escape = xml.sax.saxutils.escape
    lines = [
        f"<property><name>{escape(key)}</name><value>{escape(value.strip())}</value></property>"
        for key, value in settings.items()
    ]
    return "\n".join(['<?xml version="1.0"?>', "<configuration>", *lines, "</configuration>", ""])


def make_catalogue(setup: Setup, program: str, database: Path) -> None:
    """An empty database, where there is none: it gets its name when it is whole and on the disk."""
    if database.is_dir():
        return
    new = database.with_name(".new")
    shutil.rmtree(new, ignore_errors=True)
    made = subprocess.run(
        (program, "make", str(new)), env=setup.environ, capture_output=True, text=True, timeout=300, check=False
    )
    if made.returncode or not (new / "service.properties").is_file():
        die(EX_CONFIG, f"cannot make the catalogue {new}: {(made.stdout + made.stderr).strip()[-2000:]}")
    os.sync()
    new.rename(database)
    os.sync()
    say(f"made an empty catalogue of tables, {database}")


def python() -> str:
    """The interpreter of our own daemons."""
    return sys.executable or "/usr/bin/python3"


def master_page(setup: Setup) -> tuple[str, str]:
    """Host and port of the Spark master's page."""
    url = setup.get("SPARK_MASTER_URL", "spark://spark-master:7077")
    return url.removeprefix("spark://").partition(":")[0], setup.get("SPARKQFS_SPARK_UI_PORT", "8080")


def wait_for_directory(setup: Setup, path: str) -> None:
    """Until the storage has it. There is no deadline: the health check has one."""
    programs = Path(__file__).resolve().parent
    tools = {"qfs": [str(programs / "qfs")], "hdfs": [str(programs / "hdfs"), "dfs"]}
    test = [*tools.get(setup.storage, []), "-test", "-d", path]
    if setup.storage == "shared":
        test = ["test", "-d", setup.get("SPARKQFS_ROOT").removeprefix("file://") + path]
    told = False
    while True:
        try:
            if subprocess.run(test, env=setup.environ, capture_output=True, timeout=60, check=False).returncode == 0:
                return
        except subprocess.TimeoutExpired:
            pass
        if not told:
            say(f"waiting for {path} on the storage")
        told = True
        if signal.sigtimedwait(STOP_SIGNALS, 5.0) is not None:
            say("stopped while waiting")
            raise SystemExit(0)


JUPYTER_CONFIG = """\
from pathlib import Path

c = get_config()  # noqa: F821
c.IdentityProvider.token = Path({token!r}).read_text(encoding="utf-8").strip()
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = {port}
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.root_dir = {root!r}
c.ServerApp.allow_remote_access = True
c.ServerApp.terminado_settings = {{"shell_command": ["/bin/bash"]}}
c.ExtensionApp.open_browser = False
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
"""
DRIVER_LOG = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.shutdown.name = org.apache.spark.network.util.JavaUtils
logger.shutdown.level = error
"""
"""What a person at a notebook wants to see; the daemons keep Spark's own setting."""


APP_LOG = """\
appender.app.type = File
appender.app.name = app
appender.app.fileName = {file}
appender.app.layout.type = PatternLayout
appender.app.layout.pattern = %m%n
appender.app.filter.id.type = RegexFilter
appender.app.filter.id.regex = .*app ID app-.*
appender.app.filter.id.onMatch = accept
appender.app.filter.id.onMismatch = deny
logger.app.name = org.apache.spark.scheduler.cluster.StandaloneSchedulerBackend
logger.app.level = info
logger.app.additivity = false
logger.app.appenderRef.file.ref = app
logger.app.appenderRef.stderr.ref = stderr
logger.app.appenderRef.stderr.level = warn
"""
"""The line with the application's id goes to a file, where `invoke submit` finds it."""


def prepare_driver(setup: Setup, log: str) -> None:
    """Settings of drivers in this container: executors reach them under its address."""
    address = set_address(setup)
    write_hadoop_config(setup, address)
    local_dirs = setup.environ.setdefault("SPARK_LOCAL_DIRS", "/data/spark/local")
    enter_scratch(setup, "driver", local_dirs)
    make_home(setup, Path(local_dirs.split(",")[0]).parent / "home")
    # Not SPARK_LOCAL_IP: it would also bind the application's UI to the cluster's network only.
    setup.environ.pop("SPARK_LOCAL_IP", None)
    name_host(setup, address)
    driver = {
        "spark.driver.host": address,
        "spark.driver.bindAddress": "0.0.0.0",
        "spark.driver.port": "35000",
        "spark.driver.blockManager.port": "35001",
        "spark.ui.port": str(int(app_ui_port(setup)) + 1),
        "spark.port.maxRetries": "64",
    }
    write_spark_defaults(setup, driver)
    write_private(setup.conf_dir / "log4j2.properties", log)


def jupyter_server(setup: Setup) -> list[Daemon]:
    """Jupyter Lab, whose kernels are Spark drivers under this container's address, and a page of all applications."""
    token = setup.secrets / "jupyter-token"
    if setup.secret("jupyter-token") is None:
        die(EX_CONFIG, f"the secret {token} is missing or empty: no notebook server without a token")
    make_writable(setup.notebooks)
    copy_notebooks(Path(__file__).resolve().parent.parent / "notebooks", setup.notebooks)
    prepare_driver(setup, DRIVER_LOG)
    private = setup.run / "jupyter"
    (private / "runtime").mkdir(mode=0o700, parents=True, exist_ok=True)
    home = Path(setup.environ["HOME"])
    setup.environ |= {
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_DATA_DIR": str(home / ".local/share/jupyter"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "IPYTHONDIR": str(home / ".ipython"),
        "MPLCONFIGDIR": str(home / ".matplotlib"),
    }
    config = private / "jupyter_server_config.py"
    write_private(config, JUPYTER_CONFIG.format(token=str(token), root=str(setup.notebooks), port=ui_port(setup, 7777)))
    program = setup.get("SPARKQFS_JUPYTER", "/opt/venv/bin/jupyter")
    page = str(Path(__file__).resolve().parent / "app_page.py")
    return [
        Daemon("Jupyter", (program, "lab", f"--config={config}")),
        Daemon("applications' page", (python(), "-u", page, app_ui_port(setup), *master_page(setup))),
    ]


def app_ui_port(setup: Setup) -> str:
    """Of the page in front of all drivers' pages; those take the next free ones."""
    return setup.get("SPARKQFS_APP_UI_PORT", "4040")


def copy_notebooks(source: Path, target: Path) -> None:
    """Our notebooks, the newest: one that somebody has changed stays, and ours is laid beside it as NAME.new.ipynb."""
    laid = read_laid(target / LAID)
    for notebook in sorted(source.glob("*.ipynb")):
        try:
            lay_notebook(notebook.read_bytes(), target, notebook.name, laid)
        except OSError as error:
            say(f"could not copy {notebook.name} to {target}: {error}")
    try:
        write_whole(target / LAID, json.dumps(laid, indent=1, sort_keys=True).encode())
    except OSError as error:
        say(f"could not write {target / LAID}: {error}")


def lay_notebook(ours: bytes, target: Path, name: str, laid: dict[str, str]) -> None:
    """Puts one of ours into the directory. `laid` is what was put there before, name → SHA-256; it is kept up."""
    digest = hashlib.sha256(ours).hexdigest()
    beside = f"{name.removesuffix('.ipynb')}.new.ipynb"
    place, theirs = name, content_of(target / name)
    if not is_ours(theirs, ours, laid.get(name)):
        place, theirs = beside, content_of(target / beside)
        if digest in (laid.get(name), laid.get(beside)) or not is_ours(theirs, ours, laid.get(beside)):
            return  # there is nothing newer, it was laid there already, or that one is somebody's too
        say(f"{target / name} was changed by somebody; ours is {beside}")
    if theirs != ours:
        write_whole(target / place, ours)
    laid[place] = digest


def is_ours(theirs: bytes | None, ours: bytes, laid: str | None) -> bool:
    """True for nothing, for what we laid down (SHA-256), and for the beginning of it."""
    return theirs is not None and (ours.startswith(theirs) or hashlib.sha256(theirs).hexdigest() == laid)


def content_of(path: Path) -> bytes | None:
    """What the file says; nothing when there is none, `None` when it is no file, or a link, or cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except FileNotFoundError:
        return b""
    except OSError:
        return None


def read_laid(path: Path) -> dict[str, str]:
    """The SHA-256 of the notebooks that were laid down; empty when the file is missing, damaged or a link."""
    try:
        found = json.loads(content_of(path) or b"{}")
    except ValueError:
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def write_whole(path: Path, content: bytes) -> None:
    """The file has this content or stays as it was; a link in its place is replaced, not followed."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """What is answered for is on the disk: a file's bytes, or the names in a directory. Links are not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(top: Path) -> None:
    """All files and directories below a directory, and the directory."""
    for folder, _, names in os.walk(top):
        for path in (*(Path(folder) / name for name in names), Path(folder)):
            if not path.is_symlink():
                sync(path)


def keep_new(top: Path) -> None:
    """A new file system, before anybody hears that there is one. Exits 78 when the disk does not take it."""
    try:
        sync_tree(top)
    except OSError as error:
        die(EX_CONFIG, f"the new file system cannot be synced to the disk: {error}")


def init_storage(setup: Setup) -> int:
    """Makes an empty file system, or refuses because there is one. The exit code of the program that does it."""
    check_markers(setup, (setup.data,))
    if setup.storage == "hdfs":
        name = setup.data / "name"
        if name.is_dir() and any(name.iterdir()):
            die(EX_CONFIG, f"{name} is not empty: there is a file system already; nothing was changed")
        write_hadoop_config(setup, own_address(), is_namenode=True)
        daemon = hdfs("namenode", "-format", "-nonInteractive", "-clusterid", setup.get("SPARKQFS_CLUSTER_ID"))
    else:
        config = metaserver_config(setup, lambda: setup.secret("cluster-key") or "init")
        argv = (str(setup.qfs_home / "bin" / "metaserver"), "-c", str(config))
        daemon = Daemon("metaserver", argv, signal.SIGQUIT, hidden_key(setup))
    pid = start(daemon, setup.environ)
    while pid:
        received = signal.sigwaitinfo(WAITED_SIGNALS)
        if received.si_signo in STOP_SIGNALS:
            send(pid, daemon.stop_signal)
        code = reap().get(pid)
        if code is not None:
            finish_logs()
            if code == 0:
                keep_new(setup.data)
            return code if code >= 0 else 128 - code
    return 1


DRIVER_PYTHON = "/opt/sparkqfs/bin/driver-python"
"""Keeps a program's standard error apart from its standard output."""


def run_driver(setup: Setup) -> int:
    """A user's program under spark-submit, described by `app.json` in its directory; its exit code, kept there too."""
    folder = apps_dir(setup) / setup.get("SPARKQFS_APP", "none")
    try:
        argv = [str(word) for word in json.loads((folder / "app.json").read_text(encoding="utf-8"))["argv"]]
    except (OSError, ValueError, KeyError) as error:
        die(EX_CONFIG, f"cannot read {folder / 'app.json'}: {error}")
    with contextlib.suppress(OSError):
        scratch.hold(folder)
    try:
        prepare_driver(setup, DRIVER_LOG + APP_LOG.format(file=folder / "spark.log"))
    except Refusal as refusal:
        keep_end(folder, int(str(refusal.code)), "ended", f"the driver cannot start: {refusal.text}\n")
        raise
    setup.environ["PYTHONUNBUFFERED"] = "1"
    write_env(setup)
    os.chdir(folder)
    submit = (str(setup.spark_home / "bin" / "spark-submit"), "--conf", f"spark.pyspark.driver.python={DRIVER_PYTHON}")
    kept = kept_output.Kept(folder, int(setup.get("SPARKQFS_PROGRAM_LOG_BYTES", str(OUTPUT_BYTES))))
    with first_victim():
        pid = start(Daemon("driver", (*submit, *argv), output=kept), setup.environ)
    if pid == 0:
        keep_end(folder, 1, "ended", f"{submit[0]} cannot be started\n")
        return 1
    code, word = wait_for_driver(pid)
    kept.finish(OUTPUT_DEADLINE_S)
    keep_end(folder, code, word)
    return code


def keep_end(folder: Path, code: int, word: str, text: str = "") -> None:
    """What whoever follows the program looks for: nobody reads the container's own log."""
    if text:
        with (folder / "stderr").open("a", encoding="utf-8") as file:
            file.write(text)
    for path in (*folder.glob("stdout*"), *folder.glob("stderr*")):
        with contextlib.suppress(OSError):
            sync(path)
    write_whole(folder / "exit", f"{code} {word}\n".encode())


@contextlib.contextmanager
def first_victim() -> Iterator[None]:
    """What starts meanwhile goes first when the machine's memory runs out, before the storage and Spark's daemons."""
    score = Path("/proc/self/oom_score_adj")
    try:
        before = int(score.read_text())
        score.write_text(str(max(before, DRIVER_OOM_SCORE)))
    except (OSError, ValueError) as error:
        say(f"the driver's place when memory runs out stays as it is: {error}")
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            score.write_text(str(before))


def wait_for_driver(pid: int) -> tuple[int, str]:
    """(exit code, `ended` or `stopped`). A stop gives Spark time to take its leave from the master."""
    word, end = "ended", float("inf")
    while True:
        received = signal.sigtimedwait(WAITED_SIGNALS, max(0.0, min(end - time.monotonic(), 3600.0)))
        if received is not None and received.si_signo in STOP_SIGNALS and word == "ended":
            say(f"{signal.Signals(received.si_signo).name}: stopping")
            word, end = "stopped", time.monotonic() + DRIVER_DEADLINE_S
            send(pid, signal.SIGTERM, group=True)
        elif received is None and time.monotonic() >= end:
            send(pid, signal.SIGKILL, group=True)
            end = float("inf")
        code = reap().get(pid)
        if code is not None:
            send(pid, signal.SIGKILL, group=True)
            return (code if code >= 0 else 128 - code), word


ROLES: dict[str, Callable[[Setup], list[Daemon]]] = {
    "worker-node": worker_node,
    "qfs-master": qfs_master,
    "hdfs-namenode": hdfs_namenode,
    "spark-master": spark_master,
    "jupyter-server": jupyter_server,
    "history-server": history_server,
    "metastore": metastore,
}
PROGRAMS: dict[str, Callable[[Setup], int]] = {"init-storage": init_storage, "driver": run_driver}
"""Not daemons: they end by themselves, with an exit code of their own."""


# --- supervision -----------------------------------------------------------------------------------------------------


PUMPS: list[threading.Thread] = []


def start(daemon: Daemon, environ: Mapping[str, str]) -> int:
    """Starts it as leader of a process group with default signal dispositions and nothing blocked; its pid, or 0."""
    defaults = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}, key=int)
    actions: list[tuple[Any, ...]] = []
    ends: tuple[int, int] | None = None
    if daemon.hide:
        ends = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, ends[1], 1), (os.POSIX_SPAWN_DUP2, ends[1], 2)]
    kept: tuple[int, ...] = ()
    if daemon.output is not None:
        kept = daemon.output.open()
        actions = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(kept, 1)]
    try:
        pid = os.posix_spawn(
            daemon.argv[0],
            daemon.argv,
            environ,
            file_actions=actions,
            setpgroup=0,
            setsigmask=[],
            setsigdef=defaults,
        )
    except OSError as error:
        say(f"cannot start the {daemon.name} ({daemon.argv[0]}): {error}")
        pid = 0
    for end in kept:
        os.close(end)
    if ends is not None:
        os.close(ends[1])
        pump = threading.Thread(target=pass_on, args=(ends[0], daemon.hide), daemon=True)
        pump.start()
        PUMPS.append(pump)
    return pid


def pass_on(descriptor: int, hide: bytes) -> None:
    """Copies a daemon's log to ours without `hide`, until the daemon has closed it."""
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            rest = line.replace(hide, b"(hidden)")
            try:
                while rest:
                    rest = rest[os.write(2, rest) :]
            except OSError:
                continue  # nobody reads us; the daemon must not block for that


def finish_logs() -> None:
    """Waits, not long, for the last lines."""
    for pump in PUMPS:
        pump.join(2.0)


def reap() -> dict[int, int]:
    """Every child that has ended, orphans of others included: pid → exit code, negative for a signal."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def describe(code: int) -> str:
    """An exit code as a person says it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def send(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """A signal to a process or its group, gone or not."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def stop(running: dict[int, Daemon], deadline_s: float) -> None:
    """Asks every daemon to end, each by its own signal, and kills what is left after `deadline_s`."""
    groups = list(running)
    for pid, daemon in running.items():
        send(pid, daemon.stop_signal)
    end = time.monotonic() + deadline_s
    while running and (left := end - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, min(left, 1.0))
        for pid in reap():
            running.pop(pid, None)
    for daemon in running.values():
        say(f"the {daemon.name} did not end within {deadline_s:.0f} s: killed")
    for pid in groups:
        send(pid, signal.SIGKILL, group=True)
    for pid in running:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            continue
    finish_logs()


def supervise(daemons: list[Daemon], environ: Mapping[str, str], deadline_s: float) -> int:
    """Runs them until a signal (0) or until one ends by itself (1)."""
    running: dict[int, Daemon] = {}
    for daemon in daemons:
        pid = start(daemon, environ)
        if pid == 0:
            stop(running, deadline_s)
            return 1
        running[pid] = daemon
        say(f"started the {daemon.name}")
    while True:
        received = signal.sigwaitinfo(WAITED_SIGNALS)
        if received.si_signo in STOP_SIGNALS:
            say(f"{signal.Signals(received.si_signo).name}: stopping")
            stop(running, deadline_s)
            return 0
        dead = [(pid, code) for pid, code in reap().items() if pid in running]
        for pid, code in dead:
            daemon = running.pop(pid)
            say(f"the {daemon.name} ended with {describe(code)}; stopping the container")
            send(pid, signal.SIGKILL, group=True)
        if dead:
            stop(running, deadline_s)
            return 1


def main(argv: list[str]) -> int:
    """Exit code of the container."""
    role = argv[1] if len(argv) == 2 else ""
    if role not in ROLES and role not in PROGRAMS:
        say(f"usage: supervise {' | '.join([*ROLES, *PROGRAMS])}")
        return EX_USAGE
    # Blocked, not handled: nothing is lost between two waits, and as PID 1 nothing is ignored either.
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_SIGNALS)
    setup = Setup(dict(os.environ))
    if setup.storage not in ("qfs", "hdfs", "shared"):
        die(EX_CONFIG, f"SPARKQFS_STORAGE is {setup.storage!r}, not qfs, hdfs or shared")
    os.umask(0o027)
    make_writable(setup.run)
    setup.environ.setdefault("PYSPARK_PYTHON", "/opt/venv/bin/python")
    setup.environ.setdefault("SPARK_DAEMON_MEMORY", "512m")
    setup.environ["SPARK_CONF_DIR"] = str(setup.conf_dir)
    for name in ("BASH_ENV", "ENV"):  # for shells of `docker exec`; ours inherit what they need
        setup.environ.pop(name, None)
    try:
        return run_role(setup, role)
    finally:
        scratch.leave()


def run_role(setup: Setup, role: str) -> int:
    """Runs a role's daemons, or its program, to their end; the exit code."""
    if role in PROGRAMS:
        return PROGRAMS[role](setup)
    if role != "jupyter-server":
        make_home(setup, Path("/tmp/home"))
    daemons = ROLES[role](setup)
    write_env(setup)
    os.chdir(setup.run)
    return supervise(daemons, setup.environ, float(setup.get("SPARKQFS_STOP_DEADLINE_S", str(STOP_DEADLINE_S))))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
