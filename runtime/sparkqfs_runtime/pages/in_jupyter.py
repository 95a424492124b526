"""Spark's pages of the applications under Jupyter's own address, where the link in a cell leads to.

An extension of Jupyter's server. A browser that has a notebook has Jupyter's address, whatever tunnel leads there, and
perhaps no other one of the cluster. All links of Spark's pages begin with `/proxy/ID/`; such a request is passed on to
the Spark master, as applications.py does, once Jupyter knows who asks. Reading only.

A program may show anything on its page, and Jupyter's login can do anything. So browsers are told to give the page an
origin of its own (`sandbox`): its scripts can neither read Jupyter's pages nor ask for anything with its login. That
goes for the page's own data too. Its scripts and styles, which are Spark's and the same for everybody, therefore come
without a login.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import re
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sparkqfs_runtime.pages.applications import PASSED
from sparkqfs_runtime.pages.history import LOG, log_query

SETTING = "sparkqfs_master"
"""Of Jupyter's server: host and port of the master's page; supervise/jupyter.py sets it."""
STATIC = r"/proxy/(?:app|worker)-[A-Za-z0-9.:_-]+/static/(?!.*\.\.)[A-Za-z0-9_/.-]+"
"""Scripts, styles and pictures of Spark's."""
ELSEWHERE = re.compile(r"/\.\.?(?:/|$)|%2e|%2f|%5c|%25|[;\\]", re.IGNORECASE)
"""What the master, or a program behind it, may read as another path."""
MOST_BYTES = 32 << 20
"""Of an answer, which is in Jupyter's memory as a whole; a page with a thousand jobs has about one million."""
AT_ONCE = 4
"""Answers that are waited for at the same time, in threads that are not those of Jupyter's own work."""
DEADLINE_S = 30.0
"""For one answer from the first byte to the last, however slowly it comes."""
QUEUE_S = 2 * DEADLINE_S
"""With the time that it waits for others."""
PASSED_ON = ("Accept", "Host", "If-Modified-Since", "User-Agent")
"""Not the cookie: it is Jupyter's login."""
PASSED_BACK = frozenset(
    {"cache-control", "content-disposition", "content-type", "etag", "expires", "last-modified", "location", "vary"}
)
"""Others are Jupyter's to set: cookies, what a browser may do, what it forgets."""
APART = (
    ("Content-Security-Policy", "sandbox allow-scripts allow-popups allow-forms; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
"""A browser takes the page neither for one of Jupyter's nor for a part of one."""
FOR_ALL = ("Access-Control-Allow-Origin", "*")
"""Of files without a secret: scripts that are modules, and fonts, are asked for by the page's own origin."""


def without_token(target: str) -> str:
    """A path and its query without Jupyter's token, a way to log in that nobody else is to see."""
    path, _, query = target.partition("?")
    rest = "&".join(one for one in query.split("&") if one and one.partition("=")[0] != "token")
    return f"{path}?{rest}" if rest else path


def target_of(asked: str) -> str:
    """What the master is asked for: an application's page, or a log of an executor's. Raises `ValueError`."""
    target = without_token(asked)
    path, _, query = target.partition("?")
    if PASSED.fullmatch(path) is None or ELSEWHERE.search(path):
        raise ValueError("not a page of Spark's")
    if path.startswith("/proxy/app-") or re.fullmatch(STATIC, path):
        return target
    wanted = log_query(query) if LOG.fullmatch(path) else None
    if wanted is None:
        raise ValueError("not a log of an executor's")
    return f"{path}?{wanted}"


def fetch(
    master: tuple[str, int], method: str, target: str, headers: Mapping[str, str]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """The master's answer: status, headers, body. Raises `OSError`, `HTTPException`; `ValueError`: another path."""
    target = target_of(target)
    connection = http.client.HTTPConnection(*master, timeout=DEADLINE_S)
    is_late = threading.Event()
    timer = None
    try:
        connection.connect()
        timer = threading.Timer(DEADLINE_S, _cut, (connection.sock, is_late))
        timer.daemon = True
        timer.start()
        connection.request(method, target, headers={name: headers[name] for name in PASSED_ON if name in headers})
        found = connection.getresponse()
        kept = [(name, value) for name, value in found.getheaders() if name.lower() in PASSED_BACK]
        kept += [*APART, FOR_ALL] if re.fullmatch(STATIC, target.partition("?")[0]) else APART
        body = found.read(MOST_BYTES + 1)
        if is_late.is_set():
            raise TimeoutError
        if len(body) > MOST_BYTES:
            raise OSError(errno.EMSGSIZE, "more than a page")
        return found.status, kept, body
    except (OSError, http.client.HTTPException) as error:
        if is_late.is_set():  # the other side may have answered the cut before what it had sent was read
            raise TimeoutError from error
        raise
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()


def _cut(connection: socket.socket, is_late: threading.Event) -> None:
    """Ends what is being read of an answer."""
    is_late.set()
    with contextlib.suppress(OSError):  # it has just ended
        connection.shutdown(socket.SHUT_RDWR)


def _load_jupyter_server_extension(app: Any) -> None:
    """Called by Jupyter's server at its start."""
    from jupyter_server.auth.decorator import allow_unauthenticated
    from jupyter_server.base.handlers import JupyterHandler
    from tornado import web

    readers = ThreadPoolExecutor(AT_ONCE, "spark-page")

    class SparkFile(JupyterHandler):  # type: ignore[misc]
        """For everybody."""

        @allow_unauthenticated  # type: ignore[misc]
        async def get(self) -> None:
            await self.pass_on()

        head = get

        async def pass_on(self) -> None:
            asked = (self.settings[SETTING], self.request.method, self.request.uri, self.request.headers)
            try:
                answer = asyncio.get_running_loop().run_in_executor(readers, fetch, *asked)
                status, headers, body = await asyncio.wait_for(answer, QUEUE_S)
            except ValueError as error:
                raise web.HTTPError(404, reason="Not a page of Spark's") from error
            except (OSError, http.client.HTTPException) as error:
                raise web.HTTPError(502, reason=f"The Spark master does not answer: {type(error).__name__}") from error
            self.set_status(status)
            for name, value in headers:
                self.set_header(name, value)
            if self.request.method != "HEAD" and status != 304:
                self.write(body)

    class SparkPage(SparkFile):
        """For whoever has logged in."""

        @web.authenticated  # type: ignore[misc]
        async def get(self) -> None:
            clean = without_token(self.request.uri)
            if clean != self.request.uri:  # the page's scripts would see it in its address
                self.redirect(clean)
                return
            await self.pass_on()

        head = get

    base = app.web_app.settings["base_url"].rstrip("/")
    handlers = [(re.escape(base) + STATIC, SparkFile), (rf"{re.escape(base)}/proxy/.*", SparkPage)]
    app.web_app.add_handlers(".*$", handlers)
