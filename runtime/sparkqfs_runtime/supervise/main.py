"""PID 1 of every container: checks the disks, fills in the configuration, runs the role's daemons until one ends.

Usage: supervise worker-node | qfs-master | hdfs-namenode | spark-master | jupyter-server | history-server |
metastore | metadata-copy | init-storage | driver

Exit codes: 0 stopped by SIGTERM or SIGINT; 1 a daemon ended by itself (the message names it); 64 wrong command line;
75 the probe host has no address in time; 78 a disk, a file or a setting is missing or wrong, and nothing was started.
init-storage passes the exit code of the metaserver or of the namenode on, driver that of the user's program. Standard
library only: it runs before anything else works.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime import scratch
from sparkqfs_runtime.supervise import storage
from sparkqfs_runtime.supervise.copies import metadata_copy
from sparkqfs_runtime.supervise.driver import run_driver
from sparkqfs_runtime.supervise.init_storage import init_storage
from sparkqfs_runtime.supervise.jupyter import jupyter_server
from sparkqfs_runtime.supervise.metastore import metastore
from sparkqfs_runtime.supervise.processes import STOP_DEADLINE_S, Daemon, supervise
from sparkqfs_runtime.supervise.setup import EX_USAGE, WAITED_SIGNALS, Setup, make_home, make_writable, say, write_env
from sparkqfs_runtime.supervise.spark import history_server, spark_master, worker_node

ROLES: dict[str, Callable[[Setup], list[Daemon]]] = {
    topology.WORKER_NODE: worker_node,
    **{role: start for kind in storage.KINDS.values() for role, start in kind.masters.items()},
    topology.SPARK_MASTER: spark_master,
    topology.JUPYTER_SERVER: jupyter_server,
    topology.HISTORY_SERVER: history_server,
    topology.METASTORE: metastore,
}
PROGRAMS: dict[str, Callable[[Setup], int]] = {
    topology.METADATA_COPY: metadata_copy,
    "init-storage": init_storage,
    "driver": run_driver,
}
"""Not daemons: one that runs in this process, and those that end by themselves, with an exit code of their own."""


def main(argv: list[str]) -> int:
    """Exit code of the container."""
    role = argv[1] if len(argv) == 2 else ""
    if role not in ROLES and role not in PROGRAMS:
        say(f"usage: supervise {' | '.join([*ROLES, *PROGRAMS])}")
        return EX_USAGE
    # Blocked, not handled: nothing is lost between two waits, and as PID 1 nothing is ignored either.
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_SIGNALS)
    setup = Setup(dict(os.environ))
    storage.of(setup)
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
    if role != topology.JUPYTER_SERVER:
        make_home(setup, Path("/tmp/home"))
    daemons = ROLES[role](setup)
    write_env(setup)
    os.chdir(setup.run)
    return supervise(daemons, setup.environ, float(setup.get("SPARKQFS_STOP_DEADLINE_S", str(STOP_DEADLINE_S))))
