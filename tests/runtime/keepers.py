"""A keeper of copies as a real process, and a metaserver's metadata as text that QFS writes."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkqfs_runtime.metadata.sender import Keeper, Sender
from tests.doubles.servers import closed_port
from tests.runtime.container import Container

KEY = b"key-of-the-copies"
HEAD = "version/1\nchecksum/last-line\nsetintbase/16\ntime/2026-11-29T08:45:08Z\nc/0 0 {n}/9/0/0/0 0 {n}/0/0/"


def block(number: int) -> bytes:
    """One operation and the end of its block."""
    name = f"a/MD=G=0;M=1ed;N=d{number:x};P=2;U=0;g=0;p=74;u=0;z=0 0 {number:x};\n"
    return sealed(name + f"c/0 0 {number - 1:x}/a/0/0/0 0 {number:x}/1/1/", "\n")


def sealed(text: str, before: str = "") -> bytes:
    """A block of a log with its checksum, which counts from the end of the line before it."""
    return f"{text}{zlib.adler32((before + text).encode()):x}\n".encode()


class Metadata:
    """A metaserver's directory: a checkpoint, and the log that goes on from it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in ("checkpoint", "logs"):
            (top / name).mkdir(parents=True, exist_ok=True)
        self.image(0)
        self.log(0, 0)
        self.made = 0

    def image(self, log: int) -> None:
        path = self.top / "checkpoint" / f"chkpt.0.0.{log}"
        text = f"checkpoint/{log}/0/0/0\nfilesysteminfo/fsid/42/crtime/1/2\nlog//x/logs/log.0.0.{log}.{log}\n\n"
        part = path.with_name(f"{path.name}.tmp")
        part.write_text(f"{text}checksum/{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}\n")
        part.replace(path)
        (self.top / "checkpoint" / "latest").unlink(missing_ok=True)
        os.link(path, self.top / "checkpoint" / "latest")

    def log(self, number: int, operation: int) -> None:
        head = sealed(HEAD.format(n=format(operation, "x")))
        (self.top / "logs" / f"log.0.0.{number}.{number}").write_bytes(head)
        self.newest = self.top / "logs" / f"log.0.0.{number}.{number}"

    def write(self, count: int = 1) -> None:
        with self.newest.open("ab") as file:
            for _ in range(count):
                self.made += 1
                file.write(block(self.made))


class Keeping:
    """The keeper's container."""

    def __init__(self, root: Path) -> None:
        self.container = Container(root)
        (self.container.root / "secrets" / "metadata-key").write_bytes(KEY + b"\n")
        self.top = self.container.mount / "copies"
        self.top.mkdir()
        self.port = closed_port()
        self.process: subprocess.Popen[str] | None = None

    def start(self, **environ: str) -> subprocess.Popen[str]:
        environ = {"SPARKQFS_COPIES_DIR": str(self.top), "SPARKQFS_COPIES_PORT": str(self.port), **environ}
        self.process = self.container.start("metadata-copy", SPARKQFS_SELF="localhost", **environ)
        return self.process

    def wait(self) -> None:
        """Until it takes connections."""
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end and self.process is not None and self.process.poll() is None
                time.sleep(0.05)

    @property
    def keeper(self) -> Keeper:
        return Keeper("127.0.0.1", "node2", self.port)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Keeping]:
    made = Keeping(tmp_path / "keeper")
    made.start()
    made.wait()
    yield made
    made.stop()


def settle(sender: Sender) -> None:
    now, end = time.monotonic(), time.monotonic() + 30
    while sender.state.whole is None or sender.state.whole < now + 0.1:
        assert time.monotonic() < end, sender.state
        time.sleep(0.01)
