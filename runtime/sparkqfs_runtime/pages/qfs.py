"""Starts the QFS status server behind a filter: paths that leave its document root are refused with 403.

Usage: webui_guard.py webui.conf. The server hands out any file its process can read under /files//… and /charts/../…,
and the metaserver's settings with the cluster key among them: the key is blanked in every answer. One page is ours, for
`invoke status`: what missing_data has found.
"""

from __future__ import annotations

import configparser
import html
import http.server
import io
import json
import os
import runpy
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkqfs_runtime.metadata.sender import copies_of
from sparkqfs_runtime.pages.missing_data import PATH, Watcher, interval
from sparkqfs_runtime.pages.sources import Qfs

POST_LIMIT = 1 << 20
"""Bytes of a request body; the pages send less than one kilobyte."""


def allowed(target: str, doc_root: Path, cwd: Path) -> bool:
    """Whether a request target stays inside: `/files/` in `doc_root`, `/charts/` in `cwd`/charts, no `..` anywhere."""
    raw = target.partition("?")[0].partition("#")[0]
    decoded = raw
    while (once := urllib.parse.unquote(decoded)) != decoded:
        decoded = once
    if not decoded.startswith("/") or "\0" in decoded or "\\" in decoded or ".." in decoded.split("/"):
        return False
    for prefix, root in (("/files", doc_root), ("/charts", cwd / "charts")):
        if not decoded.startswith(prefix):
            continue
        # The server joins what follows to its root: a second slash would make it an absolute path.
        inside = decoded.removeprefix(prefix + "/")
        if inside == decoded or not inside or inside.startswith("/") or raw != target:
            return False
        resolved = (root / inside).resolve()
        if not resolved.is_relative_to(root.resolve()) or resolved.is_dir():
            return False
    return True


def spellings(key: str) -> tuple[bytes, ...]:
    """The key as it is, in JSON and in HTML; nothing for an empty key."""
    return tuple(text.encode() for text in {key, json.dumps(key)[1:-1], html.escape(key)} if text)


class Blanked(io.BufferedIOBase):
    """A stream that puts as many asterisks in the place of the key: lengths have been announced already."""

    def __init__(self, stream: io.BufferedIOBase, hide: tuple[bytes, ...]) -> None:
        self.stream = stream
        self.hide = hide

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        text = bytes(data)
        for key in self.hide:
            text = text.replace(key, b"*" * len(key))
        self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


def guarded(
    doc_root: Path, cwd: Path, key: str = "", health: Callable[[], bytes] | None = None
) -> type[http.server.SimpleHTTPRequestHandler]:
    """The handler that takes the place of the one upstream's derives from; `health` gives the page PATH."""

    hide = spellings(key)

    class Guarded(http.server.SimpleHTTPRequestHandler):
        timeout = 30

        def setup(self) -> None:
            super().setup()
            self.wfile = Blanked(self.wfile, hide)

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            if self.command not in ("GET", "POST"):
                self.send_error(405)
                return False
            if health is not None and self.command == "GET" and self.path == PATH:
                self.send_health(health())
                return False
            if not allowed(self.path, doc_root, cwd):
                self.send_error(403)
                return False
            length = self.headers.get("Content-Length", "0").strip()
            if not length.isdecimal() or int(length) > POST_LIMIT:
                self.send_error(413)
                return False
            return True

        def send_health(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if not str(getattr(code, "value", code)).startswith("2"):
                super().log_request(code, size)

    return Guarded


def main(argv: list[str]) -> None:
    """Runs upstream's server in this process."""
    if len(argv) != 2:
        sys.exit("usage: webui_guard.py webui.conf")
    config = configparser.ConfigParser()
    config.read(argv[1])
    doc_root = Path(config.get("webserver", "webServer.docRoot"))
    program = Path(os.environ.get("QFS_HOME") or "/opt/qfs") / "webui" / "qfsstatus.py"
    secret = Path(os.environ.get("SPARKQFS_SECRETS_DIR") or "/run/secrets") / "cluster-key"
    key = secret.read_text(encoding="utf-8").strip() if secret.exists() else ""
    host = config.get("webserver", "webServer.metaserverHost")
    port = config.getint("webserver", "webServer.metaserverPort")
    watcher = Watcher(Qfs(host, port), interval()).start()
    watcher.copies = copies_of("qfs")
    http.server.SimpleHTTPRequestHandler = guarded(doc_root, Path.cwd(), key, watcher.document)  # type: ignore[misc]
    sys.path.insert(0, str(program.parent))
    sys.argv = [str(program), argv[1]]
    runpy.run_path(str(program), run_name="__main__")
