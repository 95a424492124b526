"""The namenode's status page for everybody, and nothing else of its HTTP server: what is not listed here is refused.

Usage: hdfs_guard.py PORT. That server has no login, and also answers WebHDFS, fsck, /logs, /stacks and the transfer of
the whole image, in anybody's name: it listens on loopback only, and this is what is published in its place. One page is
ours: what missing_data remembers, for `invoke status`.
"""

from __future__ import annotations

import http.client
import http.server
import re
import sys
import urllib.parse
from collections.abc import Callable

from sparkqfs import topology
from sparkqfs_runtime.metadata.sender import copies_of
from sparkqfs_runtime.pages.missing_data import PATH, Watcher, interval
from sparkqfs_runtime.pages.sources import Hdfs

PAGES = frozenset({"/index.html", "/dfshealth.html", "/dfshealth.js", "/startupProgress"})
STATIC = re.compile(r"/static(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
BEANS = re.compile(r"Hadoop:service=NameNode,name=([A-Za-z]+|\*)|java\.lang:type=Memory")
NO_SETTINGS = b'<?xml version="1.0"?><configuration/>\n'
"""What the page gets from /conf: it looks for settings of high availability only, and waits until it has an answer."""
PASSED_HEADERS = ("Content-Type", "X-Frame-Options", "X-Content-Type-Options", "X-XSS-Protection")
TIMEOUT_S = 20.0


def passed_on(target: str) -> str | None:
    """The target that the namenode is asked for, made anew from what was understood; None is a refusal."""
    path, _, query = target.partition("?")
    if path == "/jmx":
        wanted = urllib.parse.parse_qsl(query, keep_blank_values=True)
        if len(wanted) == 1 and wanted[0][0] == "qry" and BEANS.fullmatch(wanted[0][1]):
            return f"/jmx?qry={wanted[0][1]}"
        return None
    if query:
        return None
    if path == "/":
        return "/index.html"
    return path if path in PAGES or STATIC.fullmatch(path) else None


class Guard(http.server.BaseHTTPRequestHandler):
    """Answers with what the namenode answers."""

    timeout = 30
    server_version = "sparkqfs"
    sys_version = ""
    namenode = ("127.0.0.1", topology.NAMENODE_HTTP_PORT)
    health: Callable[[], bytes] | None = None

    def do_GET(self) -> None:
        if self.path == "/conf":
            self.answer(200, {"Content-Type": "text/xml"}, NO_SETTINGS)
            return
        if self.path == PATH and self.health is not None:
            self.answer(200, {"Content-Type": "application/json"}, self.health())
            return
        target = passed_on(self.path)
        if target is None:
            self.send_error(403, explain="Only the status page is published. The rest: `hdfs` in a container.")
            return
        connection = http.client.HTTPConnection(*self.namenode, timeout=TIMEOUT_S)
        try:
            connection.request("GET", target)
            found = connection.getresponse()
            body = found.read()
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, explain=f"The namenode does not answer: {type(error).__name__}")
            return
        finally:
            connection.close()
        headers = {name: value for name in PASSED_HEADERS if (value := found.headers.get(name))}
        self.answer(found.status, headers, body)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_error(self, format: str, *args: object) -> None:
        """Nothing: `log_request` says it with the target."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if not str(getattr(code, "value", code)).startswith("2"):
            super().log_request(code, size)


def main(argv: list[str]) -> None:
    """Serves until a signal."""
    if len(argv) != 2 or not argv[1].isdigit():
        sys.exit("usage: hdfs_guard.py PORT")
    watcher = Watcher(Hdfs(*Guard.namenode), interval()).start()
    watcher.copies = copies_of("hdfs")
    Guard.health = staticmethod(watcher.document)
    with http.server.ThreadingHTTPServer(("", int(argv[1])), Guard) as server:
        server.daemon_threads = True
        server.serve_forever()
