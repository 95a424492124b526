"""PID 1 of every container: checks the disks, fills in the configuration, runs the role's daemons until one ends.

Usage: supervise ROLE. A wrong command line is answered with the names of all roles.

Exit codes: 0 stopped by SIGTERM or SIGINT; 1 a daemon ended by itself (the message names it); 64 wrong command line;
75 the probe host has no address in time; 78 a disk, a file or a setting is missing or wrong, and nothing was started.
init-storage passes the exit code of the metaserver or of the namenode on, driver that of the user's program. Standard
library only: it runs before anything else works.
"""

from __future__ import annotations

import importlib
import os
import signal
from pathlib import Path
from typing import Any

from sparkqfs import topology
from sparkqfs_runtime import scratch
from sparkqfs_runtime.roles import PROGRAMS, ROLES
from sparkqfs_runtime.supervise import storage
from sparkqfs_runtime.supervise.processes import STOP_DEADLINE_S, Daemon, supervise
from sparkqfs_runtime.supervise.setup import EX_USAGE, WAITED_SIGNALS, Setup, make_home, make_writable, say, write_env


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


def function_of(start: str) -> Any:
    """What a role starts: `Role.start` says where it is."""
    module, _, function = start.partition(":")
    return getattr(importlib.import_module(f"sparkqfs_runtime.supervise.{module}"), function)


def run_role(setup: Setup, role: str) -> int:
    """Runs a role's daemons, or its program, to their end; the exit code."""
    if role in PROGRAMS:
        return int(function_of(PROGRAMS[role].start)(setup))
    if role != topology.JUPYTER_SERVER:
        make_home(setup, Path("/tmp/home"))
    daemons: list[Daemon] = function_of(ROLES[role].start)(setup)
    write_env(setup)
    os.chdir(setup.run)
    return supervise(daemons, setup.environ, float(setup.get("SPARKQFS_STOP_DEADLINE_S", str(STOP_DEADLINE_S))))
