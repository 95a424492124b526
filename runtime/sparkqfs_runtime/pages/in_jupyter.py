"""Spark's pages of the applications under Jupyter's own address, where the link in a cell leads to.

An extension of Jupyter's server. A browser that has a notebook has Jupyter's address, whatever tunnel leads there, and
perhaps no other one of the cluster. All links of Spark's pages begin with `/proxy/ID/`; such a request is passed on to
the Spark master, as applications.py does, once Jupyter knows who asks. Reading only.
"""

from __future__ import annotations

import asyncio
import http.client
import re
from collections.abc import Mapping
from typing import Any

from sparkqfs_runtime.pages.applications import PASSED
from sparkqfs_runtime.pages.history import HOP_BY_HOP, TIMEOUT_S

SETTING = "sparkqfs_master"
"""Of Jupyter's server: host and port of the master's page; supervise/jupyter.py sets it."""
PASSED_ON = ("Accept", "Host", "If-Modified-Since", "User-Agent")
"""Not the cookie: it is Jupyter's login."""
OURS = frozenset({"content-length", "content-security-policy", "set-cookie"})
"""Headers that Jupyter's server sets itself, or that are not Spark's to set there."""


def fetch(
    master: tuple[str, int], method: str, target: str, headers: Mapping[str, str]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """The master's answer: status, headers, body. Raises `OSError`, `HTTPException`; `ValueError`: another path."""
    target = re.sub(r"(?<=[?&])token=[^&]*&?", "", target)  # a way to log in, too
    if PASSED.fullmatch(target.partition("?")[0]) is None:
        raise ValueError("not a page of Spark's")
    connection = http.client.HTTPConnection(*master, timeout=TIMEOUT_S)
    try:
        connection.request(method, target, headers={name: headers[name] for name in PASSED_ON if name in headers})
        found = connection.getresponse()
        kept = [(name, value) for name, value in found.getheaders() if name.lower() not in HOP_BY_HOP | OURS]
        return found.status, kept, found.read()
    finally:
        connection.close()


def _load_jupyter_server_extension(app: Any) -> None:
    """Called by Jupyter's server at its start."""
    from jupyter_server.base.handlers import JupyterHandler
    from tornado import web

    class SparkPage(JupyterHandler):  # type: ignore[misc]
        """For whoever has logged in."""

        @web.authenticated  # type: ignore[misc]
        async def get(self) -> None:
            asked = (self.settings[SETTING], self.request.method, self.request.uri, self.request.headers)
            try:
                status, headers, body = await asyncio.to_thread(fetch, *asked)
            except ValueError as error:
                raise web.HTTPError(404, reason="Not a page of Spark's") from error
            except (OSError, http.client.HTTPException) as error:
                raise web.HTTPError(502, reason=f"The Spark master does not answer: {type(error).__name__}") from error
            self.set_status(status)
            for name, value in headers:
                self.set_header(name, value)
            if self.request.method != "HEAD" and status != 304:
                self.write(body)

        head = get

    base = app.web_app.settings["base_url"].rstrip("/")
    app.web_app.add_handlers(".*$", [(rf"{base}/proxy/.*", SparkPage)])
