"""What runs users' programs in a container, as real processes: the driver's role, the terminal, the history's page."""

from __future__ import annotations

import http.client
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime.pages import applications, history
from tests.doubles.servers import Answer, closed_port, serve
from tests.paths import PROGRAMS
from tests.runtime.driver import Driver, until


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path)


@pytest.mark.parametrize(("word", "code"), [("0", 0), ("7", 7), ("killed", 137)])
def test_a_programs_exit_code_is_the_containers_and_is_kept(driver: Driver, word: str, code: int) -> None:
    process = driver.start(word, "two words")
    log = process.communicate(timeout=30)[0]
    assert process.returncode == code
    assert driver.said("exit") == f"{code} ended\n"
    assert driver.said() == f"argv {[word, 'two words']} cwd {driver.app}/work\n"
    assert driver.said("stderr") == f"conf {driver.run_dir / 'conf'}\n"
    assert "argv" not in log


OURS = ("app.json", "spark.log", "executors.log", "exit", ".runs.json", ".ending", ".lock", "stdout", "stderr")


def test_what_a_program_writes_under_a_plain_name_is_none_of_our_own_files(driver: Driver) -> None:
    process = driver.start("writes", *OURS)
    process.communicate(timeout=30)
    assert process.returncode == 0 and driver.said("exit") == "0 ended\n"
    assert json.loads(driver.said("app.json"))["argv"] == ["writes", *OURS]
    assert driver.said().startswith("argv ") and driver.said("stderr").startswith("conf ")
    assert {path.name for path in driver.app.iterdir()} == {"app.json", "exit", ".lock", "stdout", "stderr", "work"}
    assert all(driver.said(f"work/{name}") == '{"threshold": 3}' for name in OURS)


def test_a_program_reads_what_was_sent_with_it_where_it_runs_and_finds_its_own_files_in_the_next_run(
    driver: Driver,
) -> None:
    (driver.app / "files").mkdir()
    (driver.app / "files" / "codes.csv").write_text("a,1\n")
    for name in ("mine", "more"):
        driver.start("writes", name).communicate(timeout=30)
        assert driver.said("work/files/codes.csv") == "a,1\n" and driver.said(f"work/{name}")
    assert driver.said("work/mine")


def test_a_driver_without_room_for_its_working_directory_says_so(driver: Driver) -> None:
    (driver.app / "work").write_text("in the way")
    process = driver.start("0")
    process.communicate(timeout=30)
    assert process.returncode == 78 and driver.said("exit") == "78 ended\n"
    assert f"the driver cannot start: cannot enter {driver.app}/work: " in driver.said("stderr")


def started_again(driver: Driver) -> subprocess.CompletedProcess[str]:
    """With what is left of its directory."""
    argv = [sys.executable, "-I", str(PROGRAMS / "supervise"), "driver"]
    return subprocess.run(argv, env=driver.environ, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("text", ["[1]", '"argv"', "[" * 200_000, '{"argv": 1}', '{"threshold": 3}'])
def test_a_description_that_is_none_is_said_and_ends_with_its_code(driver: Driver, text: str) -> None:
    process = driver.start("0")
    process.communicate(timeout=30)
    (driver.app / "app.json").write_text(text)
    again = started_again(driver)
    assert again.returncode == 78 and f"sparkqfs: cannot read {driver.app / 'app.json'}: " in again.stderr
    assert "Traceback" not in again.stderr


def test_a_driver_goes_first_when_memory_runs_out_and_its_supervisor_stays(driver: Driver) -> None:
    process = driver.start("sleep")
    until(lambda: "asleep" in driver.said())
    assert int(driver.said("work/score")) >= 500
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == Path("/proc/self/oom_score_adj").read_text()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_a_drivers_settings_have_the_secret_and_its_log_the_applications_id(driver: Driver) -> None:
    driver.start("0").communicate(timeout=30)
    conf = driver.run_dir / "conf"
    settings = (conf / "spark-defaults.conf").read_text()
    assert "spark.authenticate.secret the-secret\n" in settings and "spark.driver.host 127.0.0.1\n" in settings
    assert (conf / "spark-defaults.conf").stat().st_mode & 0o777 == 0o400
    assert f"fileName = {driver.app / 'spark.log'}\n" in (conf / "log4j2.properties").read_text()


def test_a_driver_that_is_stopped_says_so(driver: Driver) -> None:
    process = driver.start("sleep")
    until(lambda: "asleep" in driver.said())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert driver.said("exit") == "143 stopped\n"


def test_why_a_driver_cannot_start_is_in_its_output(driver: Driver) -> None:
    (Path(driver.environ["SPARKQFS_SECRETS_DIR"]) / "spark-secret").unlink()
    process = driver.start("0")
    process.communicate(timeout=30)
    assert process.returncode == 78 and driver.said("exit") == "78 ended\n"
    assert "the driver cannot start: spark.authenticate is on" in driver.said("stderr")
    driver.environ["SPARK_HOME"] = "/none"
    (Path(driver.environ["SPARKQFS_SECRETS_DIR"]) / "spark-secret").write_text("the-secret\n")
    driver.start("0").communicate(timeout=30)
    assert driver.said("exit") == "1 ended\n" and "/none/bin/spark-submit cannot be started" in driver.said("stderr")


def test_a_driver_without_its_description_does_not_start(driver: Driver) -> None:
    process = driver.start("0")
    process.communicate(timeout=30)
    (driver.app / "app.json").unlink()
    again = started_again(driver)
    assert again.returncode == 78 and "app.json" in again.stderr


# --- the terminal ---------------------------------------------------------------------------------


def frame(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content)) + content


@pytest.fixture
def terminal() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", str(PROGRAMS / "terminal"), *words]
        started.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def type_in(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    assert process.stdout is not None
    found = b""
    while wanted not in found:
        more = os.read(process.stdout.fileno(), 4096)
        assert more, found
        found += more
    return found


def test_a_program_in_the_terminal_gets_keys_the_size_and_ctrl_c(
    terminal: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = terminal("24", "80", "sh")
    type_in(process, frame(b"d", b"stty size\r"))
    read_until(process, b"24 80")
    both = frame(b"w", b"50 132") + frame(b"d", b"stty size\r")
    type_in(process, both[:7])
    time.sleep(0.2)
    type_in(process, both[7:])
    read_until(process, b"50 132")
    type_in(process, frame(b"d", b"trap 'echo got-it' INT; echo be''gun; sleep 60; echo over\r"))
    read_until(process, b"begun")
    type_in(process, frame(b"d", b"\x03"))
    read_until(process, b"over\r\n")
    type_in(process, frame(b"d", b"exit 5\r"))
    assert process.wait(30) == 5


def test_the_program_ends_when_nobody_is_at_the_terminal_any_more(
    terminal: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = terminal("24", "80", "sh", "-c", "trap '' HUP; echo $$; sleep 60; sleep 60")
    pid = int(read_until(process, b"\n"))
    assert process.stdin is not None
    process.stdin.close()
    process.wait(30)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(("words", "code"), [(("24", "80"), 64), (("a", "80", "sh"), 64), (("24", "80", "/no"), 127)])
def test_a_terminal_without_a_program_says_so(
    terminal: Callable[..., subprocess.Popen[bytes]], words: tuple[str, ...], code: int
) -> None:
    process = terminal(*words)
    assert process.wait(30) == code


# --- the history's page ---------------------------------------------------------------------------

LOG = "appId=app-1&executorId=0&logType=stderr"


def a_master(workers: dict[str, int]) -> Answer:
    """What the master says of workers that live, and of one that does not."""
    known = [
        {"id": name, "webuiaddress": f"http://127.0.0.1:{port}", "state": "ALIVE"} for name, port in workers.items()
    ]
    known.append({"id": "worker-dead", "webuiaddress": "http://127.0.0.1:1", "state": "DEAD"})
    return Answer(body=json.dumps({"workers": known}).encode())


def ask(
    history: int, master: int, target: str, method: str = "GET", base: type[history.Page] = history.Page
) -> tuple[int, dict[str, str], bytes]:
    """What the page answers in front of these servers."""
    page: Any = type("Page", (base,), {"history": ("127.0.0.1", history), "master": ("127.0.0.1", master)})
    page.log_message = lambda *_args: None
    with ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()
            server.shutdown()


def test_what_is_no_log_is_the_history_servers() -> None:
    body = b"x" * 200_000
    headers = (("Content-Disposition", "attachment"), ("Location", "/there"))
    with serve({"/api/v1/applications?limit=3": Answer(body=body, headers=headers)}) as history:
        status, found, content = ask(history, closed_port(), "/api/v1/applications?limit=3")
        assert (status, content, found["Content-Disposition"], found["Location"]) == (200, body, "attachment", "/there")
        assert ask(history, closed_port(), "/nothing")[0] == 404
        assert ask(history, closed_port(), "/api/v1/applications?limit=3", "POST")[0] == 501
    assert ask(closed_port(), closed_port(), "/")[0] == 502


def test_a_log_comes_from_the_worker_that_is_named() -> None:
    with (
        serve({f"/logPage/?{LOG}": Answer(body=b"the log")}) as worker,
        serve({"/json/": a_master({"worker-1": worker})}) as master,
    ):
        assert ask(closed_port(), master, f"/proxy/worker-1/logPage/?{LOG}")[::2] == (200, b"the log")


def test_a_log_of_a_worker_that_was_started_anew_is_found_on_the_one_that_has_it() -> None:
    without = Answer(body=b"==== Bytes 0-0 of 0 of /x/stderr ====\nError: invalid log directory /x")
    with (
        serve({f"/log/?{LOG}": without}) as other,
        serve({f"/log/?{LOG}": Answer(body=b"text"), f"/logPage/?{LOG}": Answer(body=b"page")}) as owner,
        serve({"/json/": a_master({"worker-1": closed_port(), "worker-2": other, "worker-3": owner})}) as master,
        serve({"/json/": a_master({"worker-2": other})}) as small,
    ):
        assert ask(closed_port(), master, f"/proxy/worker-old/logPage/?{LOG}")[::2] == (200, b"page")
        assert ask(closed_port(), small, f"/proxy/worker-old/logPage/?{LOG}")[0] == 404


@pytest.mark.parametrize(
    "query", ["self&logType=out", "", "appId=../../etc&executorId=0&logType=stderr", LOG + "&driverId=1"]
)
def test_nothing_but_an_executors_log_is_asked_of_a_worker(query: str) -> None:
    with serve({"/json/": a_master({"worker-1": closed_port()})}) as master:
        assert ask(closed_port(), master, f"/proxy/worker-1/logPage/?{query}")[0] == 403


# --- the applications' page -----------------------------------------------------------------------

ONE, TWO = "app-20260101120000-0000", "app-20260101120001-0001"


def activeapps(**names: str) -> Answer:
    """What the master says of those that run, id → name."""
    known = [{"id": key.replace("_", "-"), "name": name} for key, name in names.items()]
    return Answer(body=json.dumps({"activeapps": known}).encode())


def open_page(master: int, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    return ask(closed_port(), master, target, method, base=applications.Page)


def test_the_only_application_is_where_the_applications_page_leads() -> None:
    with serve({"/json/": activeapps(**{ONE: "mine"})}) as master:
        for path in ("/", "/executors/", "/api/v1/applications"):
            status, found, _ = open_page(master, path)
            assert (status, found["Location"]) == (302, f"/proxy/{ONE}{path}")


def test_several_applications_are_listed_with_links() -> None:
    with serve({"/json/": activeapps(**{ONE: "<b>", TWO: "two"})}) as master:
        status, _, body = open_page(master, "/")
        assert status == 200 and f'<a href="/proxy/{ONE}/">&lt;b&gt;</a>'.encode() in body and TWO.encode() in body
        assert open_page(master, "/executors/")[0] == 404
        assert open_page(master, "/", "HEAD")[::2] == (200, b"")
    with serve({"/json/": activeapps()}) as master:
        assert b"No application runs" in open_page(master, "/")[2]
    assert open_page(closed_port(), "/")[0] == 502


def test_what_a_drivers_page_links_to_comes_through_the_master() -> None:
    log = f"/proxy/worker-20260101-10.0.0.1-35001/logPage/?{LOG}"
    pages = {f"/proxy/{ONE}/static/webui.css": Answer(body=b"css"), log: Answer(body=b"log")}
    with serve(pages) as master:
        assert [open_page(master, path)[::2] for path in pages] == [(200, b"css"), (200, b"log")]
        assert open_page(master, f"/proxy/{ONE}/static/webui.css", "POST")[0] == 501


def test_nothing_else_of_the_master_is_passed_on() -> None:
    with serve({"/json/": activeapps(**{ONE: "a", TWO: "b"}), "/": Answer(body=b"the master's own")}) as master:
        assert b"master's own" not in open_page(master, "/")[2]
        assert open_page(master, "/proxy/driver-1/")[0] == 404


def test_what_a_program_writes_to_standard_error_comes_out_where_its_parent_has_it(tmp_path: Path) -> None:
    """As Spark does it: standard error merged into standard output, in a parent that has a real one."""
    text = (PROGRAMS / "driver-python").read_text().replace("/opt/venv/bin/python", sys.executable)
    python = tmp_path / "driver-python"
    python.write_text(text)
    python.chmod(0o755)
    program = "import sys; print('out'); print('err', file=sys.stderr)"
    parent = f"import subprocess; subprocess.run([{str(python)!r}, '-c', {program!r}], stderr=subprocess.STDOUT)"
    with (tmp_path / "stdout").open("ab") as out, (tmp_path / "stderr").open("ab") as err:
        subprocess.run([sys.executable, "-c", parent], stdout=out, stderr=err, check=True, timeout=60)
    assert [(tmp_path / name).read_text() for name in ("stdout", "stderr")] == ["out\n", "err\n"]
