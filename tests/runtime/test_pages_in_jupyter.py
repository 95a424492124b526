"""Spark's pages under Jupyter's address: what is passed on to the master, and what is not."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import re
import threading
import time
from collections.abc import Iterator

import pytest

from sparkqfs_runtime.pages import in_jupyter
from sparkqfs_runtime.pages.in_jupyter import STATIC, fetch
from tests.doubles.servers import closed_port

PAGE = "/proxy/app-20260101120100-0000/jobs/"


class Master(http.server.BaseHTTPRequestHandler):
    """Spark's master: says what it was asked."""

    asked: list[tuple[str, str, dict[str, str]]] = []

    drops = 0
    """Of a byte each, a twentieth of a second apart, without a word of how many."""

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, dict(self.headers)))
        self.send_response(302 if self.path == PAGE else 200)
        self.send_header("Location", f"http://{self.headers['Host']}{PAGE}1")
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "a=b")
        self.send_header("Content-Security-Policy", "default-src x")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Clear-Site-Data", '"cookies"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"a page")
        with contextlib.suppress(OSError):  # nobody waits any more
            for _ in range(self.drops):
                time.sleep(0.05)
                self.wfile.write(b".")

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
    assert kept[:2] == [("Location", f"http://localhost:7777{PAGE}1"), ("Content-Type", "text/html")]
    ((command, path, seen),) = Master.asked
    assert (command, path, seen["Host"]) == ("GET", PAGE, "localhost:7777")
    assert "Cookie" not in seen and "Authorization" not in seen, "Jupyter's login is not for Spark"
    for query in ("token=secret&id=1", "id=1&token=secret"):
        fetch(master, "GET", f"{PAGE}?{query}", headers)
        assert Master.asked[-1][1] == f"{PAGE}?id=1"
    assert fetch(master, "HEAD", f"{PAGE}?id=1", headers)[::2] == (200, b"")


def test_a_page_has_an_origin_of_its_own_whatever_the_program_says(master: tuple[str, int]) -> None:
    kept = dict(fetch(master, "GET", f"{PAGE}1", {})[1])
    policy, _, frames = kept.pop("Content-Security-Policy").partition("; ")
    assert policy == "sandbox allow-scripts allow-popups allow-forms" and frames == "frame-ancestors 'none'"
    assert kept.pop("Location") and kept == {
        "Content-Type": "text/html",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }, "no cookie of the program's, and no order to forget Jupyter's"


@pytest.mark.parametrize(
    ("path", "is_for_all"),
    [
        ("static/webui.js", True),
        ("static/a/b.woff", True),
        ("static/", False),
        ("static/.hidden/a..b", False),
        ("api/v1/applications", False),
        ("x/static/y", False),
    ],
)
def test_scripts_of_such_an_origin_may_be_read_and_nothing_else(
    master: tuple[str, int], path: str, is_for_all: bool
) -> None:
    target = f"/proxy/app-20260101120100-0000/{path}"
    assert (re.fullmatch(STATIC, target) is not None) == is_for_all
    assert ("Access-Control-Allow-Origin" in dict(fetch(master, "GET", target, {})[1])) == is_for_all


WORKER = "/proxy/worker-20260101120000-10.0.0.2-7078"
LOG = "appId=app-1&executorId=0&logType=stdout"


@pytest.mark.parametrize(
    "target",
    [
        "/proxy/",
        "/proxy/other/",
        "/json/",
        "/proxy/8080/",
        "/proxy/app-1/../../json/",
        "/proxy/app-1/..",
        "/proxy/app-1/./x",
        "/proxy/app-1/%2e%2E/x",
        "/proxy/app-1/..%2Fjson",
        "/proxy/app-1/..;/json/",
        "/proxy/app-1;x/",
        "/proxy/app-1/\\..\\json",
        "/proxy/app-1/%5c",
        "/proxy/app-1/%252e%252e/x",
        "/proxy/app-1/static/../jobs/",
        f"{WORKER}/",
        f"{WORKER}/json/",
        f"{WORKER}/logPage/",
        f"{WORKER}/logPage/?logType=out",
        f"{WORKER}/logPage/?{LOG}/../x",
        f"{WORKER}/log/?{LOG}&self=1",
    ],
)
def test_nothing_else_of_the_master_is_passed_on(master: tuple[str, int], target: str) -> None:
    with pytest.raises(ValueError, match="not a "):
        fetch(master, "GET", target, {})
    assert Master.asked == []


@pytest.mark.parametrize(
    "target", [f"{WORKER}/logPage/?{LOG}", f"{WORKER}/log?{LOG}&offset=0&byteLength=9", f"{WORKER}/static/webui.css"]
)
def test_executors_logs_and_what_their_page_is_made_of_are_passed_on(master: tuple[str, int], target: str) -> None:
    assert fetch(master, "GET", target, {})[0] == 200
    assert Master.asked[0][1] == target


def test_an_answer_is_as_large_and_as_slow_as_jupyter_can_bear(
    master: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_jupyter, "MOST_BYTES", 6)
    assert fetch(master, "GET", PAGE, {})[2] == b"a page"
    monkeypatch.setattr(in_jupyter, "MOST_BYTES", 5)
    with pytest.raises(OSError, match="more than a page"):
        fetch(master, "GET", PAGE, {})
    monkeypatch.setattr(in_jupyter, "MOST_BYTES", 1000)
    monkeypatch.setattr(in_jupyter, "DEADLINE_S", 0.2)
    monkeypatch.setattr(Master, "drops", 600)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        fetch(master, "GET", PAGE, {})
    assert time.monotonic() - began < 15


def test_a_master_that_is_away_is_an_error_of_the_connection() -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        fetch(("127.0.0.1", closed_port()), "GET", PAGE, {})
