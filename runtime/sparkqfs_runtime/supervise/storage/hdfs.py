"""HDFS: the namenode on the manager, a datanode in every worker's container."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime.supervise.address import knows_itself, own_address
from sparkqfs_runtime.supervise.copies import check_metadata
from sparkqfs_runtime.supervise.disks import check_markers, listed_dirs
from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import (
    EX_CONFIG,
    PROGRAMS,
    Setup,
    die,
    python,
    render,
    ui_port,
    write_private,
)
from sparkqfs_runtime.supervise.storage.seam import Storage


def write_config(setup: Setup, address: str, *, is_namenode: bool = False, dirs: tuple[Path, ...] = ()) -> None:
    """core-site.xml and hdfs-site.xml, for daemons and shell.

    The namenode's name is in no DNS before it is healthy: there its own address stands in its place.
    """
    default = f"hdfs://{topology.HDFS_NAMENODE}:{topology.NAMENODE_PORT}"
    root = setup.get("SPARKQFS_ROOT", default).removeprefix("hdfs://").rstrip("/")
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


def hadoop(name: str, *arguments: str) -> Daemon:
    """A Hadoop daemon in the foreground: the script execs the JVM."""
    return Daemon(f"HDFS {name}", (str(PROGRAMS / "hdfs"), name, *arguments))


def hdfs_namenode(setup: Setup) -> list[Daemon]:
    """The namenode and its status page."""
    check_markers(setup, (setup.data,))
    if not (setup.data / "name" / "current" / "VERSION").is_file():
        die(EX_CONFIG, f"there is no file system in {setup.data / 'name'}: it has to be made first; nothing started")
    check_metadata(setup)
    address = own_address()
    setup.environ["NODE_IP"] = address
    write_config(setup, address, is_namenode=True)
    page = (python(), "-u", str(PROGRAMS / "hdfs_guard.py"), ui_port(setup, topology.HDFS_UI_PORT))
    return [hadoop("namenode"), Daemon("HDFS status page", page)]


class Hdfs(Storage):
    """The storage `hdfs`."""

    first_service = topology.HDFS_NAMENODE
    data_port = topology.DATANODE_PORT

    def data_dirs(self, setup: Setup) -> tuple[Path, ...]:
        return listed_dirs(setup, setup.get("SPARKQFS_DATA_DIRS", "/data/hdfs/data"))

    def configure(self, setup: Setup, address: str) -> None:
        write_config(setup, address)

    def data_server(self, setup: Setup, address: str, dirs: tuple[Path, ...]) -> list[Daemon]:
        write_config(setup, address, dirs=dirs)
        return [hadoop("datanode")]

    def is_directory(self, setup: Setup, path: str) -> tuple[str, ...]:
        return (str(PROGRAMS / "hdfs"), "dfs", "-test", "-d", path)

    def init(self, setup: Setup) -> Daemon:
        name = setup.data / "name"
        if name.is_dir() and any(name.iterdir()):
            die(EX_CONFIG, f"{name} is not empty: there is a file system already; nothing was changed")
        write_config(setup, own_address(), is_namenode=True)
        return hadoop("namenode", "-format", "-nonInteractive", "-clusterid", setup.get("SPARKQFS_CLUSTER_ID"))
