"""The browser of this computer, opened on an address of this computer.

The address is an argument of the browser's process, which every account of this computer may read. So an address that
holds a secret is never handed to it: `private_address` gives one that leads there once, and only this account.
"""

from __future__ import annotations

import contextlib
import html
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
"""In a process of its own: some browsers print, some last as long as their window, and Ctrl-C is for us alone."""
START_S = 5.0
"""A browser that still runs then has started."""
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Without one of these Python's `webbrowser` takes a browser for the terminal, or none."""
CONNECTIONS = Path("/proc/net/tcp")
ESTABLISHED = "01"


def has_screen() -> bool:
    """Whether a browser has somewhere to be shown."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in SCREENS)


def show(address: str) -> bool:
    """Open the browser; False where there is none. The address must hold no secret."""
    nothing = subprocess.DEVNULL
    argv = [sys.executable, "-I", "-c", OPEN, address]
    try:
        process = subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    except OSError:
        return False
    waiting = threading.Thread(target=process.wait, name="browser", daemon=True)
    waiting.start()
    waiting.join(START_S)
    return process.returncode in (None, 0)


@contextlib.contextmanager
def private_address(target: str) -> Iterator[str]:
    """An address that leads to `target` while the block runs, for the programs of this account alone.

    On Linux a page of ours that works once and asks the kernel whose connection it is. A browser from a snap or a
    flatpak may read no file of /tmp, so a file that only we may read is for computers without that list.
    """
    with _page(target) if CONNECTIONS.exists() else _file(target) as address:
        yield address


@contextlib.contextmanager
def _page(target: str) -> Iterator[str]:
    server = _OneTime(target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{server.path}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _file(target: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="sparkqfs-open-") as folder:  # nobody else may look into it
        path = Path(folder) / "open.html"
        path.touch(mode=0o600)
        path.write_text(f'<meta http-equiv="refresh" content="0; url={html.escape(target)}">\n', encoding="utf-8")
        yield path.as_uri()


class _OneTime(ThreadingHTTPServer):
    """Sends the first program of this account that knows the path to the target, and nobody else."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.path = f"/{secrets.token_urlsafe(24)}"
        self._target: str | None = target
        self._lock = threading.Lock()

    def answer(self, path: str, peer: tuple[str, int]) -> tuple[int, str]:
        """A status, and the target or what is said."""
        if not secrets.compare_digest(path.encode(), self.path.encode()):
            return 404, "There is no such page."
        if account_of(peer, self.server_address[1]) != os.getuid():
            return 403, "This page is for another account. The address is in the terminal."
        with self._lock:
            target, self._target = self._target, None
        if target is None:
            return 410, "This link has been used. The address is in the terminal, as `sparkqfs open` printed it."
        return 302, target


class _Handler(BaseHTTPRequestHandler):
    server: _OneTime

    def do_GET(self) -> None:
        status, text = self.server.answer(self.path, self.client_address[:2])
        body = b"" if status == 302 else f"{text}\n".encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", text)
        for name, value in (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Nothing: the path is a secret, too."""


def account_of(peer: tuple[str, int], port: int) -> int | None:
    """The user ID whose IPv4 connection from `peer` to our port this is; `None` where the kernel has none."""
    there, here = _as_listed(*peer), _as_listed("127.0.0.1", port)
    try:
        lines = CONNECTIONS.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    for words in map(str.split, lines):
        if words[1:4] == [there, here, ESTABLISHED]:
            return int(words[7])
    return None


def _as_listed(host: str, port: int) -> str:
    """As /proc/net/tcp writes an address: the number as this computer keeps it in memory, then the port."""
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
