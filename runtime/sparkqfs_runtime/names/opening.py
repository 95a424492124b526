"""Whether a state of the metadata opens: the real metaserver or namenode is started on it, and says its names.

In a container without a network, or a test. Everything is below a temporary directory that goes away. Standard library
only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sparkqfs_runtime.fsck import qfs
from sparkqfs_runtime.metadata import bundle, catalogue
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.pieces import Kind
from sparkqfs_runtime.metadata.states import StateError
from sparkqfs_runtime.names import lists
from sparkqfs_runtime.pages.sources import Unasked

PROGRAMS = Path(__file__).resolve().parents[2] / "bin"
LOOPBACK = "127.0.0.1"
AGAIN_S = 0.1
DISK_SHARE = 4
"""A state, its copy as the storage begins with it, and an image that a start may write have room, and some more."""
META = """\
metaServer.clientIp = 127.0.0.1
metaServer.clientPort = {port}
metaServer.chunkServerIp = 127.0.0.1
metaServer.chunkServerPort = {other}
metaServer.logDir = {top}/logs
metaServer.cpDir = {top}/checkpoint
metaServer.createEmptyFs = 0
metaServer.clusterKey = none
metaServer.checkpoint.interval = -1
metaServer.recoveryInterval = 86400
metaServer.bufferPool.partitionBuffers = 4096
metaServer.msgLogWriter.logLevel = NOTICE
"""
SITE = """\
<?xml version="1.0"?>
<configuration>
<property><name>fs.defaultFS</name><value>hdfs://127.0.0.1:{other}</value></property>
<property><name>hadoop.tmp.dir</name><value>{home}/tmp</value></property>
<property><name>dfs.namenode.rpc-address</name><value>127.0.0.1:{other}</value></property>
<property><name>dfs.namenode.http-address</name><value>127.0.0.1:{port}</value></property>
<property><name>dfs.namenode.name.dir</name><value>file://{top}/name</value></property>
<property><name>dfs.namenode.handler.count</name><value>2</value></property>
</configuration>
"""


def cut(pieces: list[tuple[str, Path]], kind: Kind, log: str, size: int) -> list[tuple[str, Path]]:
    """What of a state was there when its newest log was `log` with `size` bytes. Raises StateError, OSError."""
    logs = {key: piece for key, path in pieces if (piece := kind.of_copy(key, path)) is not None and piece.is_log}
    last = logs.get(log)
    if last is None:
        raise StateError(f"the state does not reach as far as the list of names was made: {log} is missing")
    found = last.path.stat().st_size
    if found < size:
        raise StateError(f"the state does not reach as far as the list of names was made: {log} has {found} bytes")
    os.truncate(last.path, size)
    return [(key, path) for key, path in pieces if key not in logs or logs[key].order <= last.order]


def lay_out(stream: IO[bytes], home: Path, position: tuple[str, int] | None) -> tuple[Kind, Path, dict[str, Any]]:
    """The state of an archive as the storage begins with it, in `home/top`; its index.

    A copy of the catalogue that is in it is in `home`, under its name. Raises StateError, OSError.
    """
    read, top = home / "read", home / "top"
    read.mkdir()
    top.mkdir()
    index = bundle.read(stream, read)
    total = sum(size for _, size, _ in index["pieces"])
    if shutil.disk_usage(home).free < (DISK_SHARE - 1) * total:
        raise OSError(errno.ENOSPC, f"no room to open it: {DISK_SHARE} times {total} bytes are needed in {home}")
    kind = KINDS[index["kind"]]
    pieces = [(key, read / bundle.PIECES / key) for key, _, _ in index["pieces"]]
    copy = bundle.catalogue_in(pieces)
    if copy is not None:
        copy.rename(home / copy.name)
    pieces = bundle.of_storage(pieces)
    if position is not None:
        pieces = cut(pieces, kind, *position)
    notes = {name: read / bundle.NOTES / name for name, _, _ in index["notes"]}
    try:
        kind.lay_out(pieces, notes, top)
    except KeyError as error:
        raise StateError(f"the state lacks {error}") from error
    shutil.rmtree(read)
    if kind.identity(top) != index["identity"]:
        raise StateError(f"the state is of the file system {kind.identity(top) or 'none'}")
    return kind, top, index


def open_catalogue(copy: Path, home: Path, end: float) -> dict[str, int]:
    """How many databases and tables a copy of the catalogue has, which Derby has opened and looked through.

    Raises StateError for one that does not open or has others than it says, `TimeoutError`, OSError.
    """
    try:
        said = catalogue.contents(copy)
        catalogue.unpack(copy, home / catalogue.PLACE)
    except catalogue.CatalogueError as error:
        raise StateError(f"the catalogue of tables: {error}") from error
    try:
        opened = subprocess.run(
            (str(PROGRAMS / "metastore"), "open", str(home / catalogue.PLACE)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=max(1.0, end - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError("the catalogue of tables did not open in time") from error
    if opened.returncode != 0:
        words = (opened.stderr.strip().splitlines() or [f"exit {opened.returncode}"])[-1][:600]
        if opened.returncode < 0 or opened.returncode >= 128 or "OutOfMemoryError" in words:
            raise OSError(errno.ENOMEM, f"too little memory to open the catalogue of tables: {words}")
        raise StateError(f"the catalogue of tables does not open: {words}")
    found = json.loads(opened.stdout)
    if any(found[key] != said.get(key) for key in found):
        raise StateError(f"{copy.name} has other tables than it says")
    return {"databases": len(found["databases"]), "tables": len(found["tables"])}


def _ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind((LOOPBACK, 0))
        two.bind((LOOPBACK, 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])


def command(kind: Kind, home: Path, top: Path, heap_mib: int) -> tuple[tuple[str, ...], int]:
    """Its daemon's command line, and the port that tells the names."""
    port, other = _ports()
    values = {"port": port, "other": other, "home": home, "top": top}
    if kind.name == "qfs":
        config = home / "meta.prp"
        config.write_text(META.format(**values), encoding="utf-8")
        return (str(Path(os.environ.get("QFS_HOME") or "/opt/qfs") / "bin" / "metaserver"), str(config)), port
    conf = home / "conf"
    conf.mkdir()
    for name in ("core-site.xml", "hdfs-site.xml"):
        (conf / name).write_text(SITE.format(**values), encoding="utf-8")
    hadoop = os.environ.get("HADOOP_HOME") or "/opt/hadoop"
    path = f"{hadoop}/etc:{hadoop}:{hadoop}/lib/*"
    java = ("java", f"-Xmx{heap_mib}m", "-XX:+ExitOnOutOfMemoryError", "-Djava.net.preferIPv4Stack=true")
    return (*java, "-cp", f"{conf}:{path}", "org.apache.hadoop.hdfs.server.namenode.NameNode"), port


def _answers(kind: Kind, port: int) -> bool:
    """Whether the root can be listed."""
    try:
        if kind.name == "hdfs":
            next(lists.hdfs_rows(LOOPBACK, port, time.monotonic() + lists.ANSWER_S), None)
            return True
        asked = qfs.Names(LOOPBACK, port)
        with contextlib.closing(asked):
            return asked.listing(qfs.ROOT, 1) is not None
    except Unasked:
        return False


def _said(log: Path) -> str:
    """The daemon's last words that tell something."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65536))
        lines = file.read().decode(errors="replace").splitlines()
    telling = [
        line for line in lines if any(word in line for word in ("FATAL", "ERROR", "Exception", "rror:", "ailed"))
    ]
    return " | ".join((telling or lines)[-3:])[:600]


def _ended(code: int, said: str) -> Exception:
    """What it means that the daemon ended: a kernel or a JVM without memory says nothing of the state."""
    if code == -signal.SIGKILL or "OutOfMemoryError" in said:
        return OSError(errno.ENOMEM, f"too little memory to open it: {said}")
    return StateError(f"it does not open: exit {code}: {said}")


@contextlib.contextmanager
def started(kind: Kind, home: Path, top: Path, heap_mib: int, end: float) -> Iterator[int]:
    """The daemon on a state, and the port that tells its names.

    Raises StateError when it does not start, `TimeoutError` when it takes too long, OSError for too little memory.
    """
    argv, port = command(kind, home, top, heap_mib)
    log = home / "daemon.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=home, start_new_session=True
        )
    try:
        while not _answers(kind, port):
            if process.poll() is not None:
                raise _ended(process.returncode, _said(log))
            if time.monotonic() > end:
                raise TimeoutError(f"it did not open in time: {_said(log)}")
            time.sleep(AGAIN_S)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def open_state(
    stream: IO[bytes], out: IO[bytes], *, seconds: float, heap_mib: int, position: tuple[str, int] | None
) -> None:
    """Writes the names of an archive's state (lists.py), as it was at that place of its log; as it is without one.

    Raises StateError for one that does not open, `Unasked`, `TimeoutError`, OSError.
    """
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="sparkqfs-open-") as folder:
        home = Path(folder)
        kind, top, index = lay_out(stream, home, position)
        copy = catalogue.newest(home)
        tables = open_catalogue(copy, home, end) if copy is not None else None
        with started(kind, home, top, heap_mib, end) as port:
            head = {"kind": kind.name, "identity": index["identity"], "position": list(position) if position else None}
            head |= {"catalogue": tables} if tables is not None else {}
            lists.write(out, head, lists.ROWS[kind.name](LOOPBACK, port, end), dict)
