"""Spark's pages under Jupyter's address: what is passed on to the master, and what is not."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator

import pytest

from sparkqfs_runtime.pages.in_jupyter import fetch
from tests.doubles.servers import closed_port

PAGE = "/proxy/app-20260101120100-0000/jobs/"


class Master(http.server.BaseHTTPRequestHandler):
    """Spark's master: says what it was asked."""

    asked: list[tuple[str, str, dict[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, dict(self.headers)))
        self.send_response(302 if self.path == PAGE else 200)
        self.send_header("Location", f"http://{self.headers['Host']}{PAGE}1")
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "a=b")
        self.send_header("Content-Security-Policy", "default-src x")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"a page")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def master() -> Iterator[tuple[str, int]]:
    Master.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Master) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield ("127.0.0.1", server.server_address[1])
        server.shutdown()


def test_a_page_comes_back_and_its_links_keep_the_address_that_the_browser_has(master: tuple[str, int]) -> None:
    headers = {"Host": "localhost:7777", "Cookie": "login=secret", "Authorization": "token x", "Accept": "text/html"}
    status, kept, body = fetch(master, "GET", PAGE, headers)
    assert (status, body) == (302, b"a page")
    assert dict(kept) == {"Location": f"http://localhost:7777{PAGE}1", "Content-Type": "text/html"}
    ((command, path, seen),) = Master.asked
    assert (command, path, seen["Host"]) == ("GET", PAGE, "localhost:7777")
    assert "Cookie" not in seen and "Authorization" not in seen, "Jupyter's login is not for Spark"
    fetch(master, "GET", f"{PAGE}?token=secret&id=1", headers)
    assert Master.asked[-1][1] == f"{PAGE}?id=1"
    assert fetch(master, "HEAD", f"{PAGE}?id=1", headers)[::2] == (200, b"")


@pytest.mark.parametrize("target", ["/proxy/", "/proxy/other/", "/json/", "/proxy/app-1/../../x\n", "/proxy/8080/"])
def test_nothing_else_of_the_master_is_passed_on(master: tuple[str, int], target: str) -> None:
    with pytest.raises(ValueError, match="not a page of Spark's"):
        fetch(master, "GET", target, {})
    assert Master.asked == []


def test_a_master_that_is_away_is_an_error_of_the_connection() -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        fetch(("127.0.0.1", closed_port()), "GET", PAGE, {})
