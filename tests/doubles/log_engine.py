"""A machine whose `docker` has containers with logs in files: SSH is real, the program `docker` is a stand-in."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.doubles.servers import Sshd, sshd

DOCKER = """\
#!{python} -I
import os, sys, time
from datetime import datetime, timezone
os.chdir({folder!r})
words = sys.argv[1:]
if words[0] == "ps":
    if os.path.exists("broken"):
        sys.exit("Cannot connect to the Docker daemon")
    print(open("containers").read(), end="")
elif words[0] == "inspect":
    print("false" if os.path.exists(words[-1] + ".ended") else "true")
elif words[0] == "logs":
    name = words[-1]
    given = dict(zip(words, words[1:]))
    since = given.get("--since", "")
    if since[:1].isdigit() and "T" not in since:
        whole, _, rest = since.partition(".")
        moment = datetime.fromtimestamp(int(whole), timezone.utc)
        since = moment.strftime("%Y-%m-%dT%H:%M:%S.") + rest.ljust(9, "0")[:9] + "Z"
    file = open(name + ".log", "rb")
    def fresh():
        lines = file.read().split(b"\\n")[:-1]
        return [line for line in lines if line.split(b" ")[0].decode() >= since or b"Z" not in line]
    lines = fresh()
    if given.get("--tail", "all") != "all":
        lines = lines[-int(given["--tail"]):] if int(given["--tail"]) else []
    while True:
        for line in lines:
            os.write(1, line + b"\\n")
        if os.path.exists(name + ".bad"):
            os.write(2, b"error from daemon in stream: invalid character\\n")
            break
        if "--follow" not in words or os.path.exists(name + ".ended") or os.path.exists("broken"):
            break
        time.sleep(0.05)
        lines = fresh()
else:
    sys.exit(9)
"""


class LogMachine:
    """Its containers, and what they print."""

    def __init__(self, folder: Path, server: Sshd) -> None:
        self.server = server
        self._folder = folder
        self._engine = folder / "engine"
        self._engine.mkdir()
        (self._engine / "containers").touch()
        self._listed: list[tuple[str, str]] = []

    def start(self, container: str, service: str) -> None:
        """A container, the newest on this machine; its id is filled up to 64 digits."""
        self._listed.insert(0, (self.whole(container), service))
        self.path(container).touch()
        listed = "".join(f"{one} spark_{name}\n" for one, name in self._listed)
        (self._engine / "containers").write_text(listed)

    def end(self, container: str) -> None:
        """It has ended; its log stays."""
        (self._engine / f"{self.whole(container)}.ended").touch()

    def say(self, container: str, text: str | bytes, time: str | None = None) -> None:
        """A line of its log, at this time or now."""
        when = time or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        line = f"{when} ".encode() + (text.encode() if isinstance(text, str) else text) + b"\n"
        with self.path(container).open("ab") as file:
            file.write(line)

    def break_log(self, container: str, is_broken: bool) -> None:
        """Its log cannot be read beyond what it has, or can be again."""
        flag = self._engine / f"{self.whole(container)}.bad"
        flag.touch() if is_broken else flag.unlink()

    def break_engine(self, is_broken: bool) -> None:
        """Its engine does not answer, or does again."""
        flag = self._engine / "broken"
        flag.touch() if is_broken else flag.unlink()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """All connections to it break, and no new one is answered meanwhile."""
        listener = int((self._folder / "pid").read_text())
        os.kill(listener, signal.SIGSTOP)
        for child in _children(listener):
            for process in [*_children(child), child]:  # also the first process of what runs there
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
        try:
            yield
        finally:
            os.kill(listener, signal.SIGCONT)

    def followers(self) -> int:
        """Processes of the stand-in that follow a log now."""
        count = 0
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                count += str(self._folder).encode() in path.read_bytes() and b"--follow" in path.read_bytes()
        return count

    def path(self, container: str) -> Path:
        """The file of its log."""
        return self._engine / f"{self.whole(container)}.log"

    @staticmethod
    def whole(container: str) -> str:
        """As the engine writes it."""
        return container.ljust(64, "0")


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextlib.contextmanager
def log_machine(folder: Path) -> Iterator[LogMachine]:
    """An SSH server whose `docker` is the stand-in."""
    program = folder / "bin" / "docker"
    program.parent.mkdir(parents=True)
    program.write_text(DOCKER.format(python=sys.executable, folder=str(folder / "engine")))
    program.chmod(0o755)
    with sshd(folder, f"SetEnv PATH={program.parent}:{os.environ['PATH']}") as server:
        yield LogMachine(folder, server)
