"""Spark's daemons: worker, master, history server."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime import scratch, tidy
from sparkqfs_runtime.supervise import storage
from sparkqfs_runtime.supervise.address import name_host, own_address, set_address
from sparkqfs_runtime.supervise.disks import enter_scratch, look_after
from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import (
    EX_CONFIG,
    PROGRAMS,
    STOP_SIGNALS,
    Setup,
    die,
    make_writable,
    python,
    read_config,
    say,
    ui_port,
    write_private,
)

MASTER_URL = f"spark://{topology.SPARK_MASTER}:{topology.SPARK_MASTER_PORT}"
EVENT_LOGS = "/history/spark-events"
"""On the storage; plan/storage/*.py make it."""


FIRST_JAR = "jars/sparkqfs-first.jar"
CLASS_ARCHIVE = "classes.jsa"
"""Below SPARK_HOME (docker/worker-node/class_archive.py): a JVM with this jar first maps the archive."""
SPARKS_OWN_FIRST = "hive-jackson/*"
"""Spark's own value of `spark.driver.defaultExtraClassPath`. Source: Spark 4.1, launcher/SparkLauncher.java."""


def stack_setting(setup: Setup, name: str) -> str:
    """What the stack's settings say of a name, as it is written there; the last line counts. Empty for nothing."""
    lines = [line.split(None, 1) for line in read_config(setup, "spark-defaults.conf").splitlines()]
    return next((words[1].strip() for words in reversed(lines) if len(words) == 2 and words[0] == name), "")


WHERE_IT_WAS = "-XX:+UnlockDiagnosticVMOptions -XX:ArchiveRelocationMode=0"
"""An archive is mapped where it was made. Elsewhere, as Debian's 17.0.15 does by itself (`-Xlog:cds`), every page with
an address is changed: 130 MB more of each JVM's own, and nothing shared."""


def archive_options(setup: Setup) -> str:
    """A JVM's options for the archive of Spark's classes; empty in an image without one."""
    archive = setup.spark_home / CLASS_ARCHIVE
    return f"{WHERE_IT_WAS} -XX:SharedArchiveFile={archive}" if archive.is_file() else ""


def quick_classes(setup: Setup) -> dict[str, str]:
    """Settings with which drivers and executors map their classes; what the stack's settings say there is kept."""
    ours, found = archive_options(setup), {}
    for side in ("driver", "executor") if ours else ():
        options, paths = f"spark.{side}.defaultJavaOptions", f"spark.{side}.defaultExtraClassPath"
        found[options] = f"{ours} {stack_setting(setup, options)}".strip()
        found[paths] = f"{setup.spark_home / FIRST_JAR}:{stack_setting(setup, paths) or SPARKS_OWN_FIRST}"
    return found


def set_daemon_options(setup: Setup, *options: str) -> None:
    """For the JVM of a daemon of Spark's, before those that it has been given."""
    archive = archive_options(setup)
    if archive:
        setup.environ["SPARK_DAEMON_CLASSPATH"] = str(setup.spark_home / FIRST_JAR)
    words = (archive, *options, setup.get("SPARK_DAEMON_JAVA_OPTS"))
    setup.environ["SPARK_DAEMON_JAVA_OPTS"] = " ".join(filter(None, words))


def write_spark_defaults(setup: Setup, extra: Mapping[str, str]) -> None:
    """spark-defaults.conf plus `extra` plus the secret; the last line of a key wins in Spark."""
    lines = [read_config(setup, "spark-defaults.conf").rstrip("\n")]
    lines += [f"{key} {value}" for key, value in {**quick_classes(setup), **extra}.items()]
    secret = setup.secret("spark-secret")
    if secret is not None:
        lines.append(f"spark.authenticate.secret {secret}")
    elif extra.get("spark.authenticate") != "false" and any(
        line.split() == ["spark.authenticate", "true"] for line in lines[0].splitlines()
    ):
        die(EX_CONFIG, f"spark.authenticate is on, but {setup.secrets / 'spark-secret'} is missing or empty")
    setup.conf_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(setup.defaults, "\n".join(lines) + "\n")


def spark_class(setup: Setup, name: str, *arguments: str) -> tuple[str, ...]:
    """A Spark daemon in the foreground: the script execs the JVM."""
    properties = ("--properties-file", str(setup.defaults))
    return (str(setup.spark_home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *properties, *arguments)


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
QUICK_START = "-XX:TieredStopAtLevel=1"
"""Master and worker do little, and all wait for their start, which takes less than half of the CPU time this way."""
NO_OLD_NAMES = "-Dsun.net.inetaddr.ttl=1"
"""Java keeps the address of a name for 30 s."""


def worker_node(setup: Setup) -> list[Daemon]:
    """A chunkserver (storage qfs) or a datanode (hdfs) and a Spark worker under the same address."""
    kind = storage.of(setup)
    dirs = kind.data_dirs(setup)
    local_dirs = setup.environ.setdefault("SPARK_LOCAL_DIRS", "/data/spark/local")
    work_dir = setup.get("SPARK_WORKER_DIR", "/data/spark/work")
    make_writable(Path(work_dir))
    enter_scratch(setup, "worker", local_dirs, every_s=tidy.SCRATCH_S)
    look_after(setup, Path(work_dir))
    address = set_address(setup, kind.first_service)
    setup.environ["SPARK_LOCAL_IP"] = address
    write_spark_defaults(setup, WORKER_PATIENCE)
    set_daemon_options(setup, QUICK_START, NO_OLD_NAMES)
    daemons = kind.data_server(setup, address, dirs)
    setup.environ["SPARKQFS_DATA_PORT"] = str(kind.data_port or "")  # for the health check
    sizes = []
    if setup.get("SPARK_WORKER_CORES"):
        sizes += ["--cores", setup.get("SPARK_WORKER_CORES")]
    if setup.get("SPARK_WORKER_MEMORY"):
        sizes += ["--memory", setup.get("SPARK_WORKER_MEMORY")]
    ports = ("--port", str(topology.SPARK_WORKER_PORT), "--webui-port", str(topology.SPARK_WORKER_UI_PORT))
    words = ("--host", address, *ports, "--work-dir", work_dir, *sizes, setup.get("SPARK_MASTER_URL", MASTER_URL))
    return [*daemons, Daemon("Spark worker", spark_class(setup, "worker.Worker", *words))]


RECOVERY_S = 15
"""A worker or an application that has not answered a new master by then is lost to it. All that live answer at once."""
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
    storage.of(setup).configure(setup, address)
    set_daemon_options(setup, QUICK_START)
    ports = ("--port", str(topology.SPARK_MASTER_PORT), "--webui-port", ui_port(setup, topology.SPARK_UI_PORT))
    return [Daemon("Spark master", spark_class(setup, "master.Master", "--host", address, *ports))]


def history_server(setup: Setup) -> list[Daemon]:
    """What ended applications did. Spark's program ends when its directory is missing: deploy makes that later."""
    setup.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # what is published is the page in front of it
    address = storage.as_client(setup)
    name_host(setup, address)
    # It talks to no daemon of Spark's: the secret is not there.
    own_port = str(topology.HISTORY_OWN_PORT)
    write_spark_defaults(setup, {"spark.history.ui.port": own_port, "spark.authenticate": "false"})
    wait_for_directory(setup, EVENT_LOGS)
    set_daemon_options(setup)
    page = str(PROGRAMS / "history_page.py")
    words = (ui_port(setup, topology.HISTORY_PORT), own_port, *master_page(setup))
    return [
        Daemon("history server", spark_class(setup, "history.HistoryServer")),
        Daemon("history page", (python(), "-u", page, *words)),
    ]


def master_page(setup: Setup) -> tuple[str, str]:
    """Host and port of the Spark master's page."""
    host, _, _ = setup.get("SPARK_MASTER_URL", MASTER_URL).removeprefix("spark://").partition(":")
    return host, setup.get("SPARKQFS_SPARK_UI_PORT", str(topology.SPARK_UI_PORT))


def wait_for_directory(setup: Setup, path: str) -> None:
    """Until the storage has it. There is no deadline: the health check has one."""
    test = storage.of(setup).is_directory(setup, path)
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
