"""A metaserver and three chunkservers on loopback addresses, as plain processes: stands for three nodes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

META = """
metaServer.clientIp = 127.0.0.1
metaServer.clientPort = {client}
metaServer.chunkServerIp = 127.0.0.1
metaServer.chunkServerPort = {chunk}
metaServer.logDir = {home}/logs
metaServer.cpDir = {home}/checkpoint
metaServer.createEmptyFs = 0
metaServer.clusterKey = test
metaServer.rootDirUser = {uid}
metaServer.rootDirGroup = {gid}
metaServer.rootDirMode = 0777
metaServer.recoveryInterval = 2
metaServer.minChunkservers = 1
metaServer.serverDownReplicationDelay = 2
metaServer.bufferPool.partitionBuffers = 4096
metaServer.msgLogWriter.logLevel = NOTICE
"""
CHUNK = """
chunkServer.metaServer.hostname = 127.0.0.1
chunkServer.metaServer.port = {chunk}
chunkServer.hostname = {address}
chunkServer.clientIp = {address}
chunkServer.clientPort = {port}
chunkServer.chunkDir = {dirs}
chunkServer.clusterKey = test
chunkServer.dirRecheckInterval = 2
chunkServer.ioBufferPool.partitionBufferCount = 16384
chunkServer.msgLogWriter.logLevel = NOTICE
"""
DEADLINE_S = 60.0


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class QfsCluster:
    """Use as a context manager; `qfs_home` is the unpacked tarball, `home` an empty directory."""

    qfs_home: Path
    home: Path
    addresses: tuple[str, ...] = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    client_port: int = field(default_factory=free_port)
    chunk_port: int = field(default_factory=free_port)
    server_port: int = field(default_factory=free_port)
    meta_extra: str = ""
    server_extra: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The file system's root."""
        return f"qfs://127.0.0.1:{self.client_port}"

    @property
    def environment(self) -> dict[str, str]:
        """For QFS's own programs."""
        return {**os.environ, "LD_LIBRARY_PATH": str(self.qfs_home / "lib")}

    def chunk_dirs(self, address: str) -> tuple[Path, ...]:
        """Two, as on a node with two disks."""
        return tuple(self.home / address / f"chunk{number}" for number in (1, 2))

    def __enter__(self) -> QfsCluster:
        for name in ("logs", "checkpoint"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        values = {"client": self.client_port, "chunk": self.chunk_port, "home": self.home}
        config = self.home / "meta.prp"
        config.write_text(META.format(**values, uid=os.getuid(), gid=os.getgid()) + self.meta_extra, encoding="utf-8")
        program = str(self.qfs_home / "bin" / "metaserver")
        subprocess.run((program, "-c", str(config)), check=True, env=self.environment, capture_output=True)
        self.start_meta()
        for address in self.addresses:
            self.start_server(address)
        try:
            self.wait_for_servers(len(self.addresses))
        except BaseException:
            self.stop()
            raise
        return self

    def start(self, name: str, program: str, config: Path) -> None:
        """A daemon in the background, its log beside its configuration."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                (program, str(config)),
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.home,  # a daemon that aborts leaves its memory there
            )

    def start_server(self, address: str, extra: str = "") -> None:
        """The chunkserver of one "node"."""
        for directory in self.chunk_dirs(address):
            directory.mkdir(parents=True, exist_ok=True)
        config = self.home / f"{address}.prp"
        dirs = " ".join(str(directory) for directory in self.chunk_dirs(address))
        text = CHUNK.format(chunk=self.chunk_port, address=address, port=self.server_port, dirs=dirs)
        config.write_text(text + self.server_extra + extra, encoding="utf-8")
        self.start(address, str(self.qfs_home / "bin" / "chunkserver"), config)

    def stop_server(self, address: str, number: signal.Signals = signal.SIGQUIT) -> None:
        """Ends one chunkserver."""
        process = self.processes.pop(address)
        process.send_signal(number)
        process.wait(DEADLINE_S)

    def start_meta(self) -> None:
        """With what it has written."""
        self.start("meta", str(self.qfs_home / "bin" / "metaserver"), self.home / "meta.prp")

    def configure(self, text: str) -> None:
        """The metaserver's settings from now on; it takes some of them while it runs."""
        (self.home / "meta.prp").write_text(text)
        self.processes["meta"].send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """All daemons at once, by force."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def kill_meta(self) -> None:
        """Ends the metaserver by force and starts it; nobody waits for it."""
        self.processes["meta"].kill()
        self.processes.pop("meta").wait()
        self.start_meta()

    def restart_meta(self) -> None:
        """Ends the metaserver and starts it with what it has written; the chunkservers come back by themselves."""
        self.stop_server("meta")
        self.start_meta()

    def run(self, *arguments: str) -> str:
        """`qfs -fs … arguments`; its output."""
        argv = (str(self.qfs_home / "bin" / "tools" / "qfs"), "-fs", self.uri, *arguments)
        return subprocess.run(
            argv, check=True, env=self.environment, capture_output=True, text=True, timeout=120
        ).stdout

    def read(self, path: str, deadline_s: float) -> bytes | None:
        """A file's bytes; `None` when they cannot be had in time."""
        argv = (str(self.qfs_home / "bin" / "tools" / "qfs"), "-fs", self.uri, "-cat", path)
        try:
            answer = subprocess.run(argv, check=False, env=self.environment, capture_output=True, timeout=deadline_s)
        except subprocess.TimeoutExpired:
            return None
        return answer.stdout if answer.returncode == 0 else None

    def is_listening(self) -> bool:
        """Whether there is a metaserver. QFS's own programs wait for one that is not there for ten seconds."""
        try:
            socket.create_connection(("127.0.0.1", self.client_port), 1).close()
        except OSError:
            return False
        return True

    def up_servers(self) -> int:
        """How many chunkservers the metaserver knows."""
        if not self.is_listening():
            return 0
        argv = (str(self.qfs_home / "bin" / "tools" / "qfsping"), "-m", "-s", "127.0.0.1", "-p", str(self.client_port))
        answer = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        line = next((line for line in answer.stdout.splitlines() if line.startswith("Up servers:")), "Up servers: 0")
        return int(line.split(":")[1])

    def wait_for_servers(self, count: int) -> None:
        """Until so many are up and a file can be made. Raises TimeoutError."""
        self.wait(lambda: self.up_servers() == count, f"{count} chunkservers")
        self.wait(self.is_writable, "a writable file system")

    def is_writable(self) -> bool:
        """Whether recovery is over."""
        if not self.is_listening():
            return False
        try:
            self.run("-touchz", "/.probe")
            self.run("-rm", "-skipTrash", "/.probe")
        except subprocess.CalledProcessError:
            return False
        return True

    @staticmethod
    def wait(condition: object, what: str, deadline_s: float = DEADLINE_S) -> None:
        """Polls. Raises TimeoutError after `deadline_s`."""
        assert callable(condition)
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} within {deadline_s:.0f} s")
            time.sleep(0.2)

    def chunk_files(self, address: str) -> list[Path]:
        """Stable chunks of one node."""
        return [path for top in self.chunk_dirs(address) for path in top.iterdir() if path.name[0].isdigit() and
                path.name.count(".") == 2]  # fmt: skip

    def locations(self, path: str, length: int) -> list[list[str]]:
        """Addresses of each block's copies, as the metaserver says."""
        lines = self.run("-dloc", "0", str(length), path).splitlines()
        return [[word.rsplit(":", 1)[0] for word in line.split() if word.count(".") == 3] for line in lines]

    def stop(self) -> None:
        """Ends all daemons."""
        for name in [*(name for name in self.processes if name != "meta"), "meta"]:
            if name in self.processes:
                try:
                    self.stop_server(name)
                except subprocess.TimeoutExpired:
                    self.processes[name].kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
