"""The pages of all applications that run, under one address: what the Spark master passes on to their drivers.

Usage: app_page.py PORT MASTER_HOST MASTER_PORT. All links of a driver's pages begin with `/proxy/ID/`, which the
driver's own port does not know. This port does, by passing such a request on to the master. `/` leads to the
application that runs, or lists several; another path is that of the application, if it is the only one. Reading only.
"""

from __future__ import annotations

import html
import http.client
import http.server
import json
import re
import sys
import time

from sparkqfs_runtime.pages import history

PASSED = re.compile(r"/proxy/(app|worker)-[A-Za-z0-9.:_-]+(/.*)?")
APP_ID = re.compile(r"app-[0-9]+-[0-9]+")
RETRY_S = 10.0


class Page(history.Page):
    """Passes a request on to the master, and its answer back."""

    def do_GET(self) -> None:
        try:
            if PASSED.fullmatch(self.path.partition("?")[0]):
                self.pass_on(self.master, self.path)
                return
            found = json.loads(self.body_of(self.master, "/json/"))["activeapps"]
            apps = {str(app["id"]): str(app["name"]) for app in found if APP_ID.fullmatch(str(app["id"]))}
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
            self.send_error(502, explain=f"The Spark master does not answer: {type(error).__name__}")
            return
        if len(apps) == 1:
            self.lead_to(f"/proxy/{next(iter(apps))}{self.path}")
        elif self.path == "/":
            self.show(apps)
        else:
            self.send_error(404, explain="Which application? / lists those that run.")

    do_HEAD = do_GET

    def lead_to(self, target: str) -> None:
        """There, under the address by which we are known."""
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def show(self, apps: dict[str, str]) -> None:
        """Links to all of them."""
        rows = "".join(f'<li><a href="/proxy/{key}/">{html.escape(name)}</a> {key}</li>' for key, name in apps.items())
        text = f"<ul>{rows}</ul>" if apps else "<p>No application runs.</p>"
        body = f"<!DOCTYPE html><meta charset=utf-8><title>Applications</title><h1>Applications</h1>{text}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main(argv: list[str]) -> None:
    """Serves until a signal."""
    if len(argv) != 4 or not (argv[1].isdigit() and argv[3].isdigit()):
        sys.exit("usage: app_page.py PORT MASTER_HOST MASTER_PORT")
    Page.master = (argv[2], int(argv[3]))
    while True:
        try:
            with http.server.ThreadingHTTPServer(("", int(argv[1])), Page) as server:
                server.daemon_threads = True
                server.serve_forever()
        except OSError as error:  # without this page Jupyter's kernels go on
            print(f"sparkqfs: no page of the applications yet: {error}", file=sys.stderr, flush=True)
            time.sleep(RETRY_S)
