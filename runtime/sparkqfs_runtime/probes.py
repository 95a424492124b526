"""The questions of the health check, one for each role. A question returns when the answer is right.

Each raises OSError, ValueError or KeyError otherwise. Standard library and `topology` only, and little of the former:
it runs every few seconds in every container, and its imports take most of its time.
"""

from __future__ import annotations

import json
import os
import socket
import time

from sparkqfs import topology

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIMEOUT_S = 6.0
MOST_BYTES = 16 << 20
"""Of a page: a Spark master lists some hundred applications."""


def settings() -> dict[str, str]:
    """What the supervisor wrote for programs like this one."""
    import shlex  # two questions alone need these
    from pathlib import Path

    path = Path(os.environ.get("SPARKQFS_RUN_DIR") or "/run/sparkqfs") / "env"
    pairs = [shlex.split(line)[0].partition("=") for line in path.read_text(encoding="utf-8").splitlines() if line]
    return {key: value for key, _, value in pairs}


def page(default_port: int, path: str) -> Any:
    """What the role's own web page says, as JSON."""
    return json.loads(get("127.0.0.1", int(os.environ.get("SPARKQFS_UI_PORT") or default_port), path))


def connected(address: str, port: int) -> socket.socket:
    """To an IPv4 address in numbers: for names Python imports what knows all letters. Raises OSError."""
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        link.settimeout(TIMEOUT_S)
        link.connect((address, port))
    except BaseException:
        link.close()
        raise
    return link


def get(host: str, port: int, path: str) -> bytes:
    """The body of an answer 200, asked for in HTTP 1.0: it ends with the connection. Raises OSError."""
    url, end = f"http://{host}:{port}{path}", time.monotonic() + TIMEOUT_S
    pieces, size = [], 0
    with connected(host, port) as link:
        link.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        while piece := link.recv(1 << 16):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES or time.monotonic() > end:
                raise OSError(f"{url} does not end: {size} bytes so far")
    head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if len(words) < 2 or words[1] != b"200":
        raise OSError(f"{url} answers {b' '.join(words[1:2]).decode('ascii', 'replace') or 'nothing'}")
    return body


def worker_node() -> None:
    """The worker's UI, and the storage's data server, where there is one, under the address that Spark knows."""
    known = settings()
    address = known["NODE_IP"]
    found = json.loads(get(address, topology.SPARK_WORKER_UI_PORT, "/json/"))
    check_master(str(found.get("masterurl") or ""), known.get("SPARK_MASTER_URL", ""))
    if known["SPARKQFS_DATA_PORT"]:
        connected(address, int(known["SPARKQFS_DATA_PORT"])).close()


def check_master(followed: str, named: str) -> None:
    """The master that a worker follows is the one whose name is known. Raises ValueError when that is another.

    A new master calls its workers. One that it does not know, because its own record was lost, goes on calling the old
    address; only a start of its own makes it look the name up. Without a known master nothing is wrong with the worker.
    """
    place, name = (url.removeprefix("spark://").rpartition(":")[0] for url in (followed, named))
    known = addresses(name) if place and name else set()
    if known and place != name and place not in known:
        raise ValueError(f"the worker follows a Spark master at {place}, which is at {', '.join(sorted(known))}")


def addresses(name: str) -> set[str]:
    """IPv4 addresses of a name; none when that takes longer than a second, as where no name server answers."""
    import contextlib  # of a worker's question alone
    import threading

    found: set[str] = set()

    def ask() -> None:
        with contextlib.suppress(OSError):
            found.update(str(one[4][0]) for one in socket.getaddrinfo(name, None, socket.AF_INET))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(1.0)
    return set(found)


def qfs_master() -> None:
    """The metaserver answers through its web UI. In recovery it is healthy: chunkservers need its name to end that."""
    if "systemInfo" not in page(topology.QFS_UI_PORT, "/query/meta"):
        raise ValueError("no systemInfo from the metaserver")


def hdfs_namenode() -> None:
    """The namenode answers through the guard. While it starts and in safe mode too: datanodes need its name then."""
    progress = "/jmx?qry=Hadoop:service=NameNode,name=StartupProgress"
    if not page(topology.HDFS_UI_PORT, progress)["beans"]:
        raise ValueError("no beans from the namenode")


def spark_master() -> None:
    """The master is the acting one."""
    status = page(topology.SPARK_UI_PORT, "/json/").get("status")
    if status != "ALIVE":
        raise ValueError(f"the Spark master is {status}")


def jupyter_server() -> None:
    """The server answers; its version is the one thing that needs no token."""
    page(topology.JUPYTER_PORT, "/api")


def history_server() -> None:
    """The server answers."""
    page(topology.HISTORY_PORT, "/api/v1/version")


def metastore() -> None:
    """It answers by its own protocol, from its database."""
    question = b"\x80\x01\x00\x01" + _text(b"get_database") + bytes(4) + b"\x0b\x00\x01" + _text(b"default") + b"\x00"
    port = int(os.environ.get("SPARKQFS_METASTORE_PORT") or topology.METASTORE_PORT)
    with connected("127.0.0.1", port) as link:
        link.sendall(question)
        with link.makefile("rb") as answer:
            kind = answer.read(4 + 4 + len(b"get_database") + 4)[:4]
            field = answer.read(3)
    if (kind, field) != (b"\x80\x01\x00\x02", b"\x0c\x00\x00"):
        raise ValueError(f"the metastore does not know the database default: {kind!r} {field!r}")


def _text(words: bytes) -> bytes:
    """A string in Thrift's binary protocol."""
    return len(words).to_bytes(4, "big") + words


def port(number: int) -> None:
    """Somebody takes connections there. Raises OSError."""
    connected("127.0.0.1", number).close()


def metadata_copy() -> None:
    """It takes connections under its own address."""
    connected(settings()["NODE_IP"], topology.METADATA_COPY_PORT).close()
