"""The history server's pages, and the executors' logs that they link to, under one address.

Usage: history_page.py PORT UPSTREAM_PORT MASTER_HOST MASTER_PORT. Spark's pages name an executor's log by the worker
that ran it, `/proxy/WORKER/logPage/…`, which only the master's page understands, and only while that worker lives. Here
a worker that has been started anew since is found by asking every live one for the log. Everything else goes to the
history server, which listens on loopback. Reading only: other methods than GET and HEAD are refused.
"""

from __future__ import annotations

import http.client
import http.server
import json
import re
import sys
import urllib.parse

from sparkqfs import topology

LOG = re.compile(r"/proxy/(worker-[A-Za-z0-9.:_-]+)(/logPage/?|/log/?)")
ASKED = ("appId", "executorId", "logType", "offset", "byteLength")
PASSED_ON = ("Accept", "Cookie", "Host", "If-Modified-Since", "User-Agent")
HOP_BY_HOP = frozenset({"connection", "date", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade"})
NO_LOG = b"Error: invalid log directory"
"""What a worker says of a log that it has not."""
TIMEOUT_S = 60.0
PIECE = 65536


def log_query(query: str) -> str | None:
    """The query of a log page made anew from what was understood; None is a refusal."""
    wanted = dict(urllib.parse.parse_qsl(query))
    if not {"appId", "executorId", "logType"} <= set(wanted) <= set(ASKED):
        return None
    if not all(re.fullmatch(r"[A-Za-z0-9_-]+", value) for value in wanted.values()):
        return None
    return urllib.parse.urlencode(wanted)


class Page(http.server.BaseHTTPRequestHandler):
    """Passes a request on and its answer back."""

    timeout = 60
    server_version = "sparkqfs"
    sys_version = ""
    history = ("127.0.0.1", topology.HISTORY_OWN_PORT)
    master = (topology.SPARK_MASTER, topology.SPARK_UI_PORT)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        log = LOG.fullmatch(path)
        try:
            if log is None:
                self.pass_on(self.history, self.path)
                return
            wanted = log_query(query)
            if wanted is None:
                self.send_error(403, explain="Only executors' logs are shown here.")
                return
            place = self.worker_with(log[1], wanted)
            if place is None:
                self.send_error(404, explain="No worker that runs has this log: it is removed after seven days.")
                return
            self.pass_on(place, f"{log[2]}?{wanted}")
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            self.send_error(502, explain=f"It does not answer: {type(error).__name__}")

    do_HEAD = do_GET

    def worker_with(self, name: str, query: str) -> tuple[str, int] | None:
        """The worker of this name, or the one that has the log."""
        workers = {
            str(one["id"]): urllib.parse.urlsplit(str(one["webuiaddress"]))
            for one in json.loads(self.body_of(self.master, "/json/"))["workers"]
            if one["state"] == "ALIVE"
        }
        places = {key: (str(url.hostname), int(url.port or 80)) for key, url in workers.items()}
        if name in places:
            return places[name]
        for place in places.values():
            try:
                if NO_LOG not in self.body_of(place, f"/log/?{query}")[:4000]:
                    return place
            except (OSError, http.client.HTTPException):
                continue
        return None

    def body_of(self, place: tuple[str, int], target: str) -> bytes:
        """The body of an answer 200. Raises OSError."""
        connection = http.client.HTTPConnection(*place, timeout=10.0)
        try:
            connection.request("GET", target)
            found = connection.getresponse()
            if found.status != 200:
                raise OSError(f"{place[0]} answers {found.status}")
            return found.read()
        finally:
            connection.close()

    def pass_on(self, place: tuple[str, int], target: str) -> None:
        """The answer as it is, in pieces: an event log may be large."""
        connection = http.client.HTTPConnection(*place, timeout=TIMEOUT_S)
        try:
            connection.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
            for name in PASSED_ON:
                if (value := self.headers.get(name)) is not None:
                    connection.putheader(name, value)
            connection.endheaders()
            found = connection.getresponse()
            self.send_response(found.status)
            for name, value in found.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.end_headers()  # HTTP/1.0: the end of the connection is the end of the answer
            while piece := found.read(PIECE):
                self.wfile.write(piece)
        finally:
            connection.close()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(getattr(code, "value", code)).startswith("5"):
            super().log_request(code, size)


def main(argv: list[str]) -> None:
    """Serves until a signal."""
    if len(argv) != 5 or not (argv[1].isdigit() and argv[2].isdigit() and argv[4].isdigit()):
        sys.exit("usage: history_page.py PORT UPSTREAM_PORT MASTER_HOST MASTER_PORT")
    Page.history = ("127.0.0.1", int(argv[2]))
    Page.master = (argv[3], int(argv[4]))
    with http.server.ThreadingHTTPServer(("", int(argv[1])), Page) as server:
        server.daemon_threads = True
        server.serve_forever()
