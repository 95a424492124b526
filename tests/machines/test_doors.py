"""`open`, `exec` and `login` as command lines of their own, over real SSH servers; a browser that notes its address."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.clients import browser, ssh
from sparkqfs.clients.connect import Clients
from sparkqfs.config.loading import load_config
from sparkqfs.errors import ClusterError, ConfigError
from sparkqfs.jobs.programs import on_nodes
from sparkqfs.jobs.programs import pages as job
from sparkqfs.jobs.session import Session
from sparkqfs.plan.programs.doors import SERVICES, Target, page_of, target_of
from tests.builders.clusters import a_cluster
from tests.builders.facts import SECRETS
from tests.doubles.command_lines import RUN_EACH
from tests.doubles.servers import Answer, an_engine, closed_port, engine_machine, serve, sshd
from tests.paths import PROGRAMS

EACH = "import contextlib, io, json, sys\nends = []\n" + RUN_EACH + "print(json.dumps(ends))"
PROGRAM = """\
import os, pathlib, sys
from sparkqfs.jobs import audit
from sparkqfs.program import main
audit.AUDIT = pathlib.PurePosixPath(os.environ["TEST_AUDIT"])
sys.argv[0] = "sparkqfs"
main()
"""
"""What the manager records goes into the test's folder."""
TOKEN = "a-token-that-nobody-else-may-see"
BROWSER = """\
#!/bin/sh
# Notes what it was told, and opens it as a browser does.
echo "$@" >>{folder}/told
exec {python} -c 'import sys, urllib.request as web
page = web.urlopen(sys.argv[1])
open(sys.argv[2], "w").write(page.url + "\\n" + page.read().decode())' "$1" {folder}/seen
"""
CONTAINER = """\
case $1 in
  exec) shift 6; shift; exec {programs}/terminal "$@";;
esac
exit 1
"""
"""docker exec -i -e TERM=xterm ID …/with-env …/terminal ROWS COLUMNS PROGRAM, with the machine for the container."""


@dataclass
class Place:
    """A folder with a cluster file, and how commands are started there."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    """Of the machines' SSH servers."""

    def write(self, name: str = "hosts.yml", **more: Any) -> None:
        """The cluster file: machines of this computer, told apart by their addresses."""
        nodes = {
            name: {"address": f"127.0.0.{number}", "port": port, "manager": number == 1}
            for number, (name, port) in enumerate(self.ports.items(), 1)
        }
        if len(nodes) > 1:
            for number, node in enumerate(nodes.values(), 1):
                node["advertise"] = f"192.0.2.{number}"
        ssh = {"user": "root", "key": str(self.folder / "client"), "known_hosts": str(self.folder / "known")}
        content = {"nodes": nodes, "ssh": ssh, "timeouts": {"connect": 5}, **more}
        (self.folder / name).write_text(json.dumps(content))

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "SSH_AUTH"))}
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
            kept.pop(name, None)
        return kept | {"TEST_AUDIT": str(self.folder / "audit")}

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        environment = {**self.environment, **more.pop("env", {})}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        argv = [sys.executable, "-c", PROGRAM, *words]
        return subprocess.Popen(argv, cwd=self.folder, env=environment, text=True, **streams)

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def run_each(self, *lines: Sequence[str]) -> list[tuple[int, str, str]]:
        """Command lines that end before a machine says anything, one after the other in one process."""
        argv = [sys.executable, "-c", EACH, json.dumps([["sparkqfs", *line] for line in lines])]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def ended(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


# --- open ------------------------------------------------------------------------------------------------------------


@dataclass
class Pages(Place):
    """A cluster of one machine, its engine's answers, and what its pages are."""

    page: int = 0
    engine: dict[str, Answer] = field(default_factory=dict)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """Jupyter runs, and nothing else."""
    with contextlib.ExitStack() as stack:
        page = stack.enter_context(serve({"/lab": Answer(body=b"Jupyter"), "/": Answer(body=b"a page")}))
        engine = an_engine("jupyter-server")
        server = stack.enter_context(engine_machine(tmp_path, stack.enter_context(serve(engine))))
        place = Pages(tmp_path, {"node1": server.port}, page, engine)
        place.write(data_dir=str(tmp_path / "data"), ports={"jupyter": page})
        (tmp_path / "data" / "sparkqfs").mkdir(parents=True)
        (tmp_path / "data" / "sparkqfs" / "secrets").write_text(json.dumps(SECRETS | {"jupyter_token": TOKEN}))
        browser = tmp_path / "browser"
        browser.write_text(BROWSER.format(folder=tmp_path, python=sys.executable))
        browser.chmod(0o755)
        yield place


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None and process.stderr is not None
    return process.stdout.readline().strip() or process.stderr.read()


def test_the_browser_is_opened_on_jupyter_with_its_token_which_no_process_has_in_its_words(pages: Pages) -> None:
    process = pages.start("open", "jupyter", env={"BROWSER": f"{pages.folder}/browser %s"})
    try:
        url = first_line(process)
        assert url.startswith("http://localhost:") and url.endswith(f"/lab?token={TOKEN}")
        seen = pages.folder / "seen"
        wait(lambda: seen.exists() and seen.read_text().endswith("Jupyter"))
        assert seen.read_text() == f"{url}\nJupyter"
        told = (pages.folder / "told").read_text().strip()
        assert told.startswith("http://127.0.0.1:") and TOKEN not in told
        with pytest.raises(urllib.error.HTTPError, match="410"):  # once is enough
            urllib.request.urlopen(told, timeout=5)
    finally:
        code, out, err = ended(process)
    assert (code, out) == (130, "") and "is open until Ctrl-C" in err and "no browser" not in err
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=2)


def test_without_a_screen_the_address_is_said(pages: Pages) -> None:
    process = pages.start("open", "jupyter", "--port", str(port := closed_port()))
    try:
        url = first_line(process)
        assert url == f"http://localhost:{port}/lab?token={TOKEN}"
        assert urllib.request.urlopen(url, timeout=10).read() == b"Jupyter"
    finally:
        code, _, err = ended(process)
    assert code == 130 and f"localhost:{port} is open until Ctrl-C" in err
    assert "no browser here: open the address in one of yours" in err


def test_for_a_program_it_is_one_document(pages: Pages) -> None:
    process = pages.start("open", "jupyter", "--json", "--no-browser", env={"BROWSER": f"{pages.folder}/browser %s"})
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            text += process.stdout.readline()
        found = json.loads(text)
        assert (found["page"], found["service"], found["browser"]) == ("jupyter", "jupyter-server", False)
        assert found["url"] == f"http://localhost:{found['port']}/lab?token={TOKEN}"
    finally:
        assert ended(process)[:2] == (130, "")
    assert not (pages.folder / "told").exists()


def test_a_page_without_a_secret_is_opened_as_it_is(pages: Pages) -> None:
    pages.engine |= an_engine("history-server")
    pages.write(ports={"history": pages.page}, data_dir=str(pages.folder / "data"))
    process = pages.start("open", "history", env={"BROWSER": f"{pages.folder}/browser %s"})
    try:
        url = first_line(process)
        assert "token" not in url
        wait(lambda: (pages.folder / "seen").exists())
        assert (pages.folder / "told").read_text().strip() == url
    finally:
        assert ended(process)[0] == 130


def test_what_cannot_be_opened_is_one_sentence_with_the_command_that_helps(pages: Pages) -> None:
    data = str(pages.folder / "data")
    others: dict[str, dict[str, Any]] = {
        "closed.yml": {"ports": {"jupyter": closed_port()}},
        "shared.yml": {"storage": {"kind": "shared", "shared": {"path": "/srv"}}},
    }
    for name, more in others.items():
        pages.write(name, data_dir=data, **more)
    stopped, silent, none, *unknown = pages.run_each(
        ["open", "spark"],
        ["open", "jupyter", "--hosts", "closed.yml"],
        ["open", "storage", "--hosts", "shared.yml"],
        ["open", "jupiter"],
        ["open", "HDFS"],
        ["open", "spark", "--port", "80"],
    )
    code, out, err = stopped
    assert (code, out) == (1, "") and err.count("spark-master is not running") == 1 and "deploy` starts it" in err
    code, _, err = silent
    assert code == 1 and "the page of jupyter-server does not answer" in err
    assert "logs --service jupyter-server`" in err
    assert none[0] == 2 and "storage shared has no page" in none[2]
    for (code, out, err), said in zip(
        unknown,
        ("jupiter is not a page: did you mean jupyter?", "did you mean storage?", "--port 80: 1024"),
        strict=True,
    ):
        assert (code, out) == (2, "") and said in err and "cluster file" not in err


def test_the_service_is_followed_and_a_manager_that_stays_away_ends_it(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pages.folder)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(job, "LOOK_S", 0.05)
    monkeypatch.setattr(job, "PATIENCE_S", 0.2)
    said: list[str] = []
    clients = Clients(load_config(Path("hosts.yml")))
    session = Session(clients.config, clients, said.append)
    door = job.Door(session, page_of(clients.config, "jupyter"))
    door.check()
    ends: list[ClusterError] = []

    def hold() -> None:
        try:
            job.hold(session, door)
        except ClusterError as error:
            ends.append(error)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        pages.engine |= an_engine("history-server")
        wait(lambda: any("jupyter-server is not running" in text for text in said))
        with pytest.raises(ConnectionError, match="jupyter-server is not running"):
            door.way()()
        pages.engine |= an_engine("jupyter-server")
        wait(lambda: said[-1] == "jupyter-server runs again")
        door.way()().close()
    finally:
        pages.engine.clear()
        holding.join(30)
        clients.close()
    assert [error.exit_code for error in ends] == [3] and said[-1].endswith("no answer; trying again")


def test_the_link_for_the_browser_is_for_this_account_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def status_of(address: str) -> int:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    with serve({"/lab": Answer(body=b"Jupyter")}) as port:
        with browser.private_address(f"http://127.0.0.1:{port}/lab?token={TOKEN}") as address:
            assert status_of(f"{address}x") == 404
            with monkeypatch.context() as patch:
                patch.setattr(os, "getuid", lambda: 4711)
                assert status_of(address) == 403
            assert [status_of(address), status_of(address)] == [200, 410]
        with pytest.raises(OSError):
            urllib.request.urlopen(address, timeout=2)


def test_without_the_kernels_list_the_link_is_a_file_that_nobody_else_may_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browser, "CONNECTIONS", Path("/nothing/here"))
    with browser.private_address("http://localhost:1/lab?a=1&token=x") as address:
        path = Path(address.removeprefix("file://"))
        assert "url=http://localhost:1/lab?a=1&amp;token=x" in path.read_text()
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert not path.exists()


# --- exec ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two machines, which are this one under two addresses."""
    folder, port = tmp_path_factory.mktemp("two"), closed_port()
    with sshd(folder, f"ListenAddress 127.0.0.2:{port}") as server:
        place = Place(folder, {"node1": server.port, "node2": port})
        place.write()
        yield place


def test_a_command_runs_on_all_nodes_and_each_line_says_where(machines: Place) -> None:
    code, out, err = machines.run("exec", "--", "printf", "%s\n", "one word", "--json", "no end")
    assert code == 0
    assert sorted(out.splitlines()) == sorted(
        f"[{node}] {text}" for node in machines.ports for text in ("one word", "--json", "no end")
    )
    assert [line for line in err.splitlines() if not line.startswith("cluster file:")] == []
    recorded = (machines.folder / "audit" / "spark.log").read_text().splitlines()
    assert [line.split("\t")[5] for line in recorded[-2:]] == ["exec", "exec"] and "one word" not in str(recorded)
    code, out, err = machines.run("exec", "--on", "node2", "--", "echo here | tr a-z A-Z; echo bad >&2")
    assert (code, out) == (0, "[node2] HERE\n") and "[node2] bad\n" in err


def test_the_highest_exit_code_is_ours_and_a_signal_is_one_too(machines: Place) -> None:
    there = machines.folder / "once"
    code, _, err = machines.run("exec", "--", f"mkdir {there} 2>/dev/null && exit 7 || exit 4")
    assert code == 7 and err.count("the command ended with exit code 7") == err.count("with exit code 4") == 1
    assert machines.run("exec", "--on", "node1", "--", "kill -9 $$")[0] == 137
    code, _, err = machines.run("exec", "--on", "node1", "--", "no-such-program")
    assert code == 127 and "[node1] " in err and "no-such-program" in err


def test_a_machine_that_is_off_is_named_once_and_the_others_run(machines: Place) -> None:
    place = Place(machines.folder, {**machines.ports, "node3": closed_port()})
    place.write()
    try:
        code, out, err = place.run("exec", "--", "echo", "here")
        assert code == 3 and sorted(out.splitlines()) == ["[node1] here", "[node2] here"]
        assert err.count("[node3]") == 1
        code, out, _ = place.run("exec", "--json", "--", "echo", "here")
        found = json.loads(out)
        assert [(one["node"], one["exit_code"], one["stdout"]) for one in found["nodes"]] == [
            ("node1", 0, "here\n"),
            ("node2", 0, "here\n"),
            ("node3", None, ""),
        ]
        assert (code, found["exit_code"]) == (3, 3) and [one["node"] for one in found["problems"]] == ["node3"]
    finally:
        machines.write()


def test_ctrl_c_and_a_reader_that_has_enough_end_the_commands_on_the_machines(machines: Place) -> None:
    mark = machines.folder / "running"
    line = f"echo $$ >>{mark}; while :; do echo more; sleep 0.05; done"

    def are_gone(count: int) -> bool:
        pids = mark.read_text().split()
        return len(pids) == count and not any(Path(f"/proc/{pid}").exists() for pid in pids)

    process = machines.start("exec", "--", line, start_new_session=True)
    wait(lambda: mark.exists() and len(mark.read_text().split()) == 2)
    assert ended(process)[0] == 130
    wait(lambda: are_gone(2))
    process = machines.start("exec", "--", line)
    wait(lambda: len(mark.read_text().split()) == 4)
    assert process.stdout is not None and process.stdout.readline().endswith("more\n")
    wait(lambda: len(mark.read_text().split()) == 4)
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr is not None
    process.stderr.close()
    wait(lambda: are_gone(4))


def test_its_time_and_what_is_kept_are_bounded(machines: Place) -> None:
    code, out, _ = machines.run("exec", "--on", "node1", "--timeout", "1", "--json", "--", "yes", "0123456789abcde")
    found = json.loads(out)
    (node,) = found["nodes"]
    assert (
        code == 4
        and node["exit_code"] is None
        and found["problems"][0]["what"] == "the command did not end within 1 s, and was ended"
    )
    assert len(node["stdout"]) == 1 << 20 and node["omitted_bytes"] > 0
    wait(lambda: not any("0123456789abcde" in words for words in command_lines()))


def test_what_does_not_end_by_itself_is_killed_and_what_may_go_on_is_not_called_ended(
    machines: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(machines.folder)
    mark = machines.folder / "deaf"
    line = f"trap '' TERM; echo $$ >>{mark}; while :; do sleep 0.2; done"
    clients = Clients(load_config(Path("hosts.yml")))
    session = Session(clients.config, clients, print)

    def said() -> str:
        (problem,) = on_nodes.run(session, [line], ("node1",), say=None, timeout_s=0.5).problems
        return problem.what

    try:
        assert said() == "the command did not end within 0.5 s, and was ended"
        with contextlib.suppress(FileNotFoundError):  # or nobody has waited for it
            assert ") Z " in Path(f"/proc/{mark.read_text().strip()}/stat").read_text()
        monkeypatch.setattr(ssh, "END_SCRIPT", "exit 1")
        assert said() == "the command did not end within 0.5 s; whether it goes on there is not known"
    finally:
        clients.close()
        for pid in mark.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return found


WRONG = {
    ("uname", "-r"): "uname: the command follows --",
    ("--on", "node1", "df", "--", "x"): "df: the command follows --",
    (): "exec needs a command behind --",
    ("--",): "exec needs a command behind --",
    ("--on", "nod2", "--", "true"): "--on: no node nod2 in off.yml: did you mean node2?",
    ("--on", "", "--", "true"): "--on is empty",
}


def test_a_command_line_that_is_wrong_asks_no_machine(machines: Place) -> None:
    off = Place(machines.folder, {"node1": closed_port(), "node2": closed_port()})
    off.write("off.yml")
    found = off.run_each(*(["exec", "--hosts", "off.yml", *words] for words in WRONG))
    for (words, said), (code, out, err) in zip(WRONG.items(), found, strict=True):
        assert (code, out) == (2, "") and said in err, (words, err)


def test_under_a_dry_run_nothing_runs_and_no_machine_is_asked(machines: Place) -> None:
    touched = machines.folder / "touched"
    off = Place(machines.folder, {"node1": closed_port(), "node2": closed_port()})
    off.write("off.yml")
    command = ("--", "touch", str(touched), "a b")
    *named, both, one, early, opened, entered, unknown, none = machines.run_each(
        *(["open", page, "--no-browser", "--port", "9000", "--dry-run", "--hosts", "off.yml"] for page in SERVICES),
        ["login", "history", "--dry-run", "--hosts", "off.yml"],
        ["exec", "--dry-run", *command],
        ["exec", "--dry-run", "--on", "node2", "--hosts", "off.yml", *command],
        ["--dry", "exec", *command],
        ["open", "spark", "--dry-run", "--hosts", "off.yml", "exec", "--json", *command],
        ["--dry", "login", "worker-node", "--on", "node2", "--hosts", "off.yml"],
        ["login", "node3", "--dry-run"],
        ["exec", "--dry-run"],
    )
    assert not touched.exists()
    assert [code for code, _, _ in named] == [0, 0, 0, 0, 2] and "did you mean history-server?" in named[-1][2]
    for code, out, err in (both, early):
        assert code == 0 and f"touch {touched} 'a b'" in " ".join(out.split()), err
        assert "node1" in out and "node2" in out
    assert one[0] == 0 and "node1" not in one[1] and "node2" in one[1]
    pages, nodes = (json.loads(text)["outcomes"] for text in re.split(r"(?<=^}\n)(?={)", opened[1], flags=re.M))
    assert opened[0] == 0 and {found["state"] for found in (*pages, *nodes)} == {"planned"}
    assert [found["subject"] for found in nodes] == ["node1", "node2"] and "spark-master" in str(pages)
    assert entered[0] == 0 and "worker-node on node2" in entered[1]
    assert [unknown[0], none[0]] == [2, 2]


# --- login -----------------------------------------------------------------------------------------------------------


class Window:
    """A terminal window of the user's with a command in it."""

    def __init__(self, place: Place, *words: str) -> None:
        self.master, slave = os.openpty()
        self.process = place.start(*words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)

    def until(self, wanted: str) -> str:
        found, end = b"", time.monotonic() + 30
        while wanted.encode() not in found:
            assert time.monotonic() < end, found
            if select.select([self.master], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):  # nobody has the other side open any more
                    found += os.read(self.master, 4096)
        return found.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def close(self) -> int:
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.master)


def test_a_node_gives_the_login_users_own_shell_and_its_exit_code(machines: Place) -> None:
    window = Window(machines, "login", "node2")
    try:
        window.until("# ")
        window.type("echo at $((6*7)) $SSH_TTY\r")
        window.until("at 42 /dev/pts/")
        window.type("exit 6\r")
    finally:
        assert window.close() == 6


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [("$$", 1, "the shell there was ended by a signal"), ("$PPID", 3, "the connection broke")],
)
def test_a_shell_that_a_signal_ends_is_no_broken_connection(machines: Place, ends: str, code: int, said: str) -> None:
    window = Window(machines, "login", "node2")
    try:
        window.until("# ")
        window.type(f"kill -9 {ends}\r")
        window.until(f"[node2] {said}")
    finally:
        assert window.close() == code


def test_a_service_gives_a_shell_in_its_container(pages: Pages) -> None:
    (pages.folder / "docker.sh").write_text(CONTAINER.format(programs=PROGRAMS))
    window = Window(pages, "login", "jupyter-server")
    try:
        window.until("# ")
        window.type("echo bash $BASH_VERSION; stty size\r")
        window.until("bash 5")
        window.type("exit 5\r")
    finally:
        assert window.close() == 5
    window = Window(pages, "login", "spark-master")
    try:
        window.until("spark-master is not running")
    finally:
        assert window.close() == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker-node",), "runs on several nodes: say on which one"),
        (("jupiter-server",), "is neither a node nor a service: did you mean jupyter-server?"),
        (("nod2",), "did you mean node2?"),
        (("metaserver",), "did you mean qfs-master?"),
        (("chunkserver",), "did you mean worker-node?"),
        (("node1", "--on", "node2"), "node1 is a node, and --on names another one: node2"),
        (("worker-node", "--on", "nod1"), "--on: no node nod1 in hosts.yml: did you mean node1?"),
    ],
)
def test_a_place_that_is_not_one_is_refused(words: tuple[str, str | None], said: str) -> None:
    on = words[2] if len(words) > 2 else None
    with pytest.raises(ConfigError, match=re.escape(said)):
        target_of(a_cluster("node1", "node2"), str(words[0]), on)


def test_a_worker_of_any_class_is_a_worker_and_only_one_node_needs_no_name() -> None:
    assert target_of(a_cluster("node1"), "worker-node", None) == Target(service="worker-node", node="node1")
    assert target_of(a_cluster(), "worker-node", "node3") == Target(service="worker-node", node="node3")
    assert target_of(a_cluster(), "node2", None) == Target(node="node2")
    assert target_of(a_cluster(), "qfs-master", None) == Target(service="qfs-master")


def test_without_a_terminal_it_is_refused(machines: Place) -> None:
    ((code, out, err),) = machines.run_each(["login", "node1"])
    assert (code, out) == (2, "") and "login needs a terminal, and here is none" in err
