"""QFS: the metaserver on the manager, a chunkserver in every worker's container."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime.supervise.address import own_address
from sparkqfs_runtime.supervise.copies import check_metadata
from sparkqfs_runtime.supervise.disks import check_markers, listed_dirs, wait_until_free
from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import EX_CONFIG, PROGRAMS, Setup, die, python, render, say, ui_port
from sparkqfs_runtime.supervise.storage.seam import Storage

LOCK = "lock"
"""Held by the chunkserver in each of its directories; source: chunkServer.dirLockFileName, chunk/ChunkManager.cc."""
SCRUB_STATE = "scrub.json"
"""Beside the Spark worker's directory, on the machine's disk: what was found outlives the container.

`invoke fsck` reads it."""


def cluster_key(setup: Setup) -> str:
    """The key that chunkservers and metaserver share. Exits 78 without it."""
    key = setup.secret("cluster-key")
    if key is None:
        die(EX_CONFIG, f"the secret {setup.secrets / 'cluster-key'} is missing or empty")
    return key


def hidden_key(setup: Setup) -> bytes:
    """What `Daemon.hide` gets; empty without a key."""
    return (setup.secret("cluster-key") or "").encode()


def name_finished_chunks(dirs: tuple[Path, ...]) -> None:
    """What a power cut left in the moment before its name; whatever comes of it, the chunkserver starts."""
    argv = (python(), "-I", str(PROGRAMS / "finished_chunks.py"), *map(str, dirs))
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        say("looking for chunks without their names took longer than 60 s: the chunkserver starts without it")
        return
    for line in done.stdout.splitlines():
        say(line)


def metaserver(setup: Setup, key: Callable[[], str], *options: str) -> Daemon:
    """The metaserver. Its name is in no DNS before it is healthy: the address comes from /etc/hosts."""
    config = render(setup, "MetaServer.prp", {"NODE_IP": own_address, "CLUSTER_KEY": key})
    program = str(setup.qfs_home / "bin" / "metaserver")
    return Daemon("metaserver", (program, *options, str(config)), signal.SIGQUIT, hidden_key(setup))


def qfs_master(setup: Setup) -> list[Daemon]:
    """The metaserver, its web UI, and what empties the trash of QFS's tools."""
    check_markers(setup, (setup.data,))
    check_metadata(setup)
    setup.environ["NODE_IP"] = own_address()
    master = metaserver(setup, lambda: cluster_key(setup))
    web = render(setup, "webui.conf", {"UI_PORT": lambda: ui_port(setup, topology.QFS_UI_PORT)})
    return [
        master,
        Daemon("QFS web UI", (python(), "-u", str(PROGRAMS / "webui_guard.py"), str(web))),
        Daemon("trash", (python(), "-I", str(PROGRAMS / "trash")), is_needed=False),
    ]


def scrub(setup: Setup, address: str, dirs: tuple[Path, ...]) -> list[Daemon]:
    """The daemon that reads all chunk files every night; none where the stack names no hour and no rate."""
    hour, _, rate = setup.get("SPARKQFS_SCRUB").partition(" ")
    if not hour or not rate:
        return []
    default = f"qfs://{topology.QFS_MASTER}:{topology.META_CLIENT_PORT}"
    host, _, port = setup.get("SPARKQFS_ROOT", default).removeprefix("qfs://").rstrip("/").partition(":")
    state = Path(setup.get("SPARK_WORKER_DIR", "/data/spark/work")).parent / SCRUB_STATE
    words = (host, port, address, hour, rate, str(state), *map(str, dirs))
    return [Daemon("scrub", (python(), "-I", str(PROGRAMS / "scrub"), *words), is_needed=False)]


class Qfs(Storage):
    """The storage `qfs`."""

    first_service = topology.QFS_MASTER
    data_port = topology.CHUNK_PORT

    def data_dirs(self, setup: Setup) -> tuple[Path, ...]:
        return listed_dirs(setup, setup.get("SPARKQFS_CHUNK_DIRS", "/data/qfs/chunk"))

    def data_server(self, setup: Setup, address: str, dirs: tuple[Path, ...]) -> list[Daemon]:
        values: dict[str, Callable[[], str]] = {
            "NODE_IP": lambda: address,
            "CLUSTER_KEY": lambda: cluster_key(setup),
            "CHUNK_DIRS": lambda: " ".join(map(str, dirs)),
        }
        config = render(setup, "ChunkServer.prp", values)
        wait_until_free(setup, tuple(one / LOCK for one in dirs))
        name_finished_chunks(dirs)
        program = str(setup.qfs_home / "bin" / "chunkserver")
        return [
            Daemon("chunkserver", (program, str(config)), signal.SIGQUIT, hidden_key(setup)),
            *scrub(setup, address, dirs),
        ]

    def is_directory(self, setup: Setup, path: str) -> tuple[str, ...]:
        return (str(PROGRAMS / "qfs"), "-test", "-d", path)

    def init(self, setup: Setup) -> Daemon:
        return metaserver(setup, lambda: setup.secret("cluster-key") or "init", "-c")
