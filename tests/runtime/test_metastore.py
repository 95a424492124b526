"""The metastore's container without Hive: what is made, when, and what the health check believes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.paths import PROGRAMS

JAVA = """\
#!{python}
import os, pathlib, re, sys, time
if "org.apache.derby.tools.ij" in sys.argv:
    place = pathlib.Path(re.search("jdbc:derby:([^;]*);create=true", sys.stdin.read())[1])
    place.mkdir()
    (place / "seg0").mkdir()
    if os.environ.get("FAKE_DIES"):
        os.kill(os.getpid(), 9)
    (place / "service.properties").touch()
else:
    print("java runs", *sys.argv[-3:], flush=True)
    time.sleep(60)
"""
DEFAULTS = """\
# a comment
spark.sql.warehouse.dir      file:///somewhere/warehouse
spark.hadoop.fs.defaultFS    qfs://first:1
spark.hadoop.fs.defaultFS    qfs://a&b:20000
spark.hadoop.hive.metastore.uris thrift://metastore:9083
spark.hadoop.odd             a\\\\d
spark.executor.cores         2
"""


class Metastore:
    """The container's directories, with a stand-in for Java."""

    def __init__(self, root: Path) -> None:
        self.root, self.names, self.shared = root, root / "names", root / "shared"
        for path in (root / "bin", root / "etc", root / "run", self.names, self.shared / "warehouse"):
            path.mkdir(parents=True)
        (root / "etc" / "spark-defaults.conf").write_text(DEFAULTS)
        (root / "bin" / "java").write_text(JAVA.format(python=sys.executable))
        (root / "bin" / "java").chmod(0o755)
        self.environ = {
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "SPARKQFS_STORAGE": "shared",
            "SPARKQFS_ROOT": f"file://{self.shared}",
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(root / "etc"),
            "SPARKQFS_RUN_DIR": str(root / "run"),
            "SPARKQFS_SECRETS_DIR": str(root / "nothing"),
            "SPARKQFS_METASTORE_DIR": str(self.names),
        }

    def start(self, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", str(PROGRAMS / "supervise"), "metastore"],
            env={**self.environ, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_until(self, words: str) -> list[str]:
        """Its lines up to the one with these words; then it is stopped."""
        process, lines = self.start(), []
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if words in line:
                    break
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, lines
        finally:
            process.kill()
        return lines


@pytest.fixture
def metastore(tmp_path: Path) -> Metastore:
    return Metastore(tmp_path)


def test_the_first_start_makes_an_empty_catalogue_and_the_second_keeps_it(metastore: Metastore) -> None:
    assert any("made an empty catalogue" in line for line in metastore.run_until("java runs"))
    (metastore.names / "catalogue" / "a name").touch()
    assert not any("made an empty" in line for line in metastore.run_until("java runs"))
    assert (metastore.names / "catalogue" / "a name").exists()


def test_a_catalogue_whose_making_was_killed_is_made_by_the_next_start(metastore: Metastore) -> None:
    broken = metastore.start(FAKE_DIES="1")
    output, _ = broken.communicate(timeout=30)
    assert broken.returncode == 78 and "cannot make the catalogue" in output
    assert not (metastore.names / "catalogue").exists()
    metastore.run_until("java runs")
    assert (metastore.names / "catalogue" / "service.properties").exists()


def test_without_its_directory_nothing_is_started(metastore: Metastore) -> None:
    metastore.names.rmdir()
    process = metastore.start()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 78 and "is missing" in output and "java runs" not in output


def test_it_waits_for_the_warehouse(metastore: Metastore) -> None:
    (metastore.shared / "warehouse").rmdir()
    assert not any("java runs" in line for line in metastore.run_until("waiting for /warehouse on the storage"))
    assert not (metastore.names / "catalogue").exists()


def test_it_has_sparks_settings_for_the_storage_and_is_no_client_of_itself(metastore: Metastore) -> None:
    metastore.run_until("java runs")
    tree = ET.fromstring((metastore.root / "run" / "metastore" / "hive-site.xml").read_text())
    found = {one.findtext("name"): one.findtext("value") for one in tree}
    assert found["fs.defaultFS"] == "qfs://a&b:20000" and found["odd"] == r"a\d"
    assert found["hive.metastore.warehouse.dir"] == "file:///somewhere/warehouse"
    assert found["javax.jdo.option.ConnectionURL"] == f"jdbc:derby:{metastore.names / 'catalogue'}"
    assert "hive.metastore.uris" not in found and not any("spark." in str(name) for name in found)


# --- health ---


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that reads a question and answers this."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            link, _ = server.accept()
            with link:
                link.recv(4096)
                link.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)


def health(port: int) -> int:
    environ = {"PATH": os.environ["PATH"], "SPARKQFS_METASTORE_PORT": str(port)}
    argv = [sys.executable, "-I", str(PROGRAMS / "health"), "metastore"]
    return subprocess.run(argv, env=environ, capture_output=True, timeout=30, check=False).returncode


HEAD = b"\x80\x01\x00\x02\x00\x00\x00\x0cget_database\x00\x00\x00\x00"
"""Seen on the wire of Hive 2.3.10: the beginning of a reply."""


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (HEAD + b"\x0c\x00\x00\x0b\x00\x01\x00\x00\x00\x07default", 0),
        (HEAD + b"\x0c\x00\x01\x0b\x00\x01\x00\x00\x00\x07default", 1),
        (HEAD.replace(b"\x01\x00\x02", b"\x01\x00\x03") + b"\x0b\x00\x01\x00\x00\x00\x01x", 1),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100, 1),
        (b"", 1),
    ],
    ids=["a database", "NoSuchObjectException", "TApplicationException", "something else", "silence"],
)
def test_it_is_healthy_when_it_answers_from_its_database(answer: bytes, code: int) -> None:
    with answering(answer) as port:
        assert health(port) == code


def test_nobody_at_the_port_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert health(port) == 1
