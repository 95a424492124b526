"""The filters of the web UIs over HTTP."""

from __future__ import annotations

import http.client
import http.server
import threading
from pathlib import Path

import pytest

from sparkqfs_runtime.pages import hdfs as hdfs_page
from sparkqfs_runtime.pages import qfs as qfs_page
from tests.builders.pages import BEAN, a_doc_root
from tests.doubles.servers import Answer, closed_port, serve


@pytest.fixture
def doc_root(tmp_path: Path) -> Path:
    return a_doc_root(tmp_path)


def test_over_http_the_guard_answers_403_and_blanks_the_key(doc_root: Path) -> None:
    key = 'a"key&more'
    base: type[http.server.SimpleHTTPRequestHandler] = qfs_page.guarded(doc_root, doc_root.parent, key)

    class Handler(base):  # type: ignore[misc, valid-type]
        def do_GET(self) -> None:
            body = f'{key} a\\"key&more a&quot;key&amp;more'.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:

            def ask(method: str, target: str) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
                connection.putrequest(method, target)
                connection.endheaders()
                answer = connection.getresponse()
                found = answer.status, answer.read()
                connection.close()
                return found

            assert ask("GET", "/meta-conf") == (200, b"********** *********** *******************")
            assert ask("GET", "/files//etc/passwd")[0] == 403
            assert ask("GET", "/charts/../x")[0] == 403
            assert ask("HEAD", "/")[0] == 405
        finally:
            server.shutdown()
            thread.join()


def test_over_http_the_guard_passes_pages_on_and_refuses_the_rest() -> None:
    pages = {"/index.html": b"page", BEAN: b'{"beans": []}', "/stacks": b"secret", "/conf": b"secret"}
    answers = {path: Answer(body=body, headers=(("X-Frame-Options", "SAMEORIGIN"),)) for path, body in pages.items()}
    with serve(answers) as namenode:

        class Handler(hdfs_page.Guard):
            def log_message(self, format: str, *args: object) -> None:
                pass

        Handler.namenode = ("127.0.0.1", namenode)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:

                def ask(method: str, target: str) -> tuple[int, bytes, str | None]:
                    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
                    connection.request(method, target)
                    answer = connection.getresponse()
                    found = answer.status, answer.read(), answer.getheader("X-Frame-Options")
                    connection.close()
                    return found

                assert ask("GET", "/") == (200, b"page", "SAMEORIGIN")
                assert ask("GET", BEAN)[:2] == (200, pages[BEAN])
                assert ask("GET", "/dfshealth.js")[0] == 404  # upstream's own answer
                assert ask("GET", "/stacks")[0] == 403
                assert ask("GET", "/conf") == (200, hdfs_page.NO_SETTINGS, None)
                assert {method: ask(method, "/")[0] for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS")} == (
                    dict.fromkeys(("POST", "PUT", "DELETE", "HEAD", "OPTIONS"), 501)
                )
                Handler.namenode = ("127.0.0.1", closed_port())
                assert ask("GET", "/")[0] == 502
            finally:
                server.shutdown()
                thread.join()
