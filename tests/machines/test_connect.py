"""invoke connect over a real SSH server and a container's real first process; Spark's own server is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.jobs.cluster import down
from sparkqfs.jobs.programs import apps, connect, jdbc, server
from sparkqfs.plan.programs.apps import Application
from sparkqfs.plan.programs.server import Wishes, service_name
from sparkqfs.plan.steps import JobResult
from tests.doubles import connect_server
from tests.doubles.connect_server import APP, a_world

CLIENT = """\
import os, socket, sys
host, port = os.environ["SPARK_REMOTE"].removeprefix("sc://").split(":")
with socket.create_connection((host, int(port)), 20) as link:
    lines = link.makefile("rw")
    for word in (os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"], "wrong"):
        lines.write(word + "\\n")
        lines.flush()
        print(lines.readline().strip(), *sys.argv[1:], file=open(sys.argv[1], "a"))
sys.exit(7)
"""
PYTHON = """\
#!/bin/sh
# A Python that has a client of Spark of this version.
[ "$1" != -c ] || {{ echo "{python} pyspark-client {client} grpc"; exit 0; }}
exec {real} "$@"
"""


class World:
    """A manager to log in to, a swarm, and what the command has said."""

    def __init__(self, made: connect_server.World) -> None:
        self.folder, self.swarm, self.session = made.folder, made.swarm, made.session
        self.said: list[str] = []
        self.session.on_event = self.said.append

    def python(self, client: str = "4.1.2", python: str | None = None) -> str:
        """A Python of this computer with this client."""
        path = self.folder / f"python-{client}"
        own = python or ".".join(map(str, sys.version_info[:3]))
        path.write_text(PYTHON.format(real=sys.executable, client=client, python=own))
        path.chmod(0o755)
        return str(path)

    def program(self) -> str:
        """That asks the server with the right token and with a wrong one, notes the answers, and ends with 7."""
        (self.folder / "ask.py").write_text(CLIENT)
        return f"{self.folder / 'ask.py'} {self.folder / 'answers'} second"

    def connect(self, wishes: Wishes | None = None, **local: Any) -> JobResult:
        return connect.connect(self.session, wishes or Wishes(), connect.Local(**local), lambda _result: None)

    def held(self, wishes: Wishes | None = None) -> Held:
        return Held(self, wishes or Wishes())


class Held:
    """The command in a thread, with its tunnel open."""

    def __init__(self, world: World, wishes: Wishes) -> None:
        self.shown: list[JobResult] = []
        self.results: list[JobResult] = []

        def run() -> None:
            self.results.append(self.work(world, wishes))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        connect_server.World.wait(lambda: bool(self.shown) or not self.thread.is_alive())

    def work(self, world: World, wishes: Wishes) -> JobResult:
        return connect.connect(world.session, wishes, connect.Local(), self.shown.append)

    def end(self) -> JobResult:
        self.thread.join(30)
        return self.results[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "RUN_DIRECTORY", str(tmp_path / "container" / "run"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(connect, "LOOK_S", 0.1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield World(made)


def test_a_program_runs_through_the_tunnel_with_the_token_in_its_environment_and_its_exit_code_is_ours(
    world: World,
) -> None:
    result = world.connect(words=connect.program_words(world.program()), python=world.python())
    assert result.exit_code == 7
    answers = (world.folder / "answers").read_text().splitlines()
    assert [line.split()[0] for line in answers] == ["welcome", "refused"]
    assert answers[0].split()[1:] == [str(world.folder / "answers"), "second"]
    assert "token" not in json.dumps(result.document)
    again = world.connect(words=connect.program_words(world.program()), python=world.python())
    assert (again.exit_code, again.document["started"], world.swarm.started) == (7, False, 1)


def test_what_a_person_pastes_is_shown_when_it_is_true_and_the_server_ends_the_tunnel(world: World) -> None:
    held = world.held(Wishes(idle_minutes=90))
    document = held.shown[0].document
    assert held.shown[0].text.splitlines()[1] == "pip install 'pyspark-client==4.1.*' 'pandas<3'"
    assert held.shown[0].text.splitlines()[-1].endswith(f'.remote("{document["remote"]}").getOrCreate()')
    token = str(document["remote"]).partition("token=")[2]
    with socket.create_connection(("localhost", int(str(document["port"]))), 5) as link:
        lines = link.makefile("rw")
        for word, said in ((token, "welcome\n"), (token[:-1], "refused\n"), ("", "refused\n")):
            lines.write(f"{word}\n")
            lines.flush()
            assert lines.readline() == said
    assert any("until Ctrl-C" in text and "90 min" in text for text in world.said)
    assert not any(token in text for text in world.said)
    assert server.stop(world.session) is True
    result = held.end()
    assert result.exit_code == 1
    assert "was ended from outside" in str(result.problems[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(str(document["port"]))), 1)


def test_a_server_that_nobody_uses_ends_and_that_is_no_failure(world: World) -> None:
    world.swarm.environ["SPARKQFS_IDLE_S"] = "1"
    held = world.held()
    assert held.end().exit_code == 0
    assert any("nobody used it for" in text for text in world.said)
    del world.swarm.environ["SPARKQFS_IDLE_S"]
    assert world.connect(words=connect.program_words(world.program()), python=world.python()).exit_code == 7
    assert world.swarm.started == 2


def test_two_that_start_it_at_once_share_one_server(world: World) -> None:
    """Swarm takes the name once; whoever comes second waits for the first one's server."""
    make = world.swarm.create_service

    def create(*words: Any) -> None:
        make(*words)
        raise ClusterError(Problem(what="making service: name conflicts with an existing object"))

    world.swarm.create_service = create  # type: ignore[method-assign,assignment]
    result = world.connect(words=connect.program_words(world.program()), python=world.python())
    assert (result.exit_code, result.document["started"], world.swarm.started) == (7, False, 1)


@pytest.mark.parametrize("new", [False, True])
def test_one_that_another_command_has_made_meanwhile_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    """Both have seen none, or one that has ended; a new one may have no task yet."""
    first = world.held()
    tasks, asked = world.swarm.service_tasks, [0]

    def some(name: str) -> list[dict[str, Any]]:
        asked[0] += threading.current_thread() is not first.thread
        return tasks(name) if threading.current_thread() is first.thread or asked[0] > 1 + new else []

    monkeypatch.setattr(world.swarm, "service_tasks", some)
    result = world.connect(words=connect.program_words(world.program()), python=world.python())
    assert (result.exit_code, result.document["started"], world.swarm.started) == (7, False, 1)
    assert first.thread.is_alive() and server.stop(world.session)


def test_a_service_whose_tasks_swarm_has_forgotten_makes_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TASK_S", 0.0)
    world.swarm.drivers[service_name(world.session.config.name)] = {"task": {}, "labels": {}, "state": ""}
    assert world.connect(words=connect.program_words(world.program()), python=world.python()).exit_code == 7


@pytest.mark.parametrize(
    ("client", "said"), [("4.0.1", "has pyspark-client 4.0.1, and the server is Spark 4.1.4"), ("4.2.0", "4.2.0")]
)
def test_a_client_of_another_minor_is_refused_with_the_line_to_type(world: World, client: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        world.connect(words=connect.program_words(world.program()), python=world.python(client))
    assert raised.value.problems[0].hint == "pip install 'pyspark-client==4.1.*' 'pandas<3'"
    assert not (world.folder / "answers").exists()


def test_another_python_minor_is_named_and_the_program_runs(world: World) -> None:
    python = world.python(python="3.99.1")
    assert world.connect(words=connect.program_words(world.program()), python=python).exit_code == 7
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert any(f"is Python 3.99, the workers' is {ours}" in text for text in world.said)


def test_without_a_client_nothing_is_started(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = world.folder / "bare"
    bare.write_text("#!/bin/sh\necho 3.11.1 - - -\n")
    bare.chmod(0o755)
    with pytest.raises(ConfigError, match="no client of Spark is installed") as raised:
        world.connect(words=connect.program_words(world.program()), python=str(bare))
    assert "pip install 'pyspark-client==4.1.*' 'pandas<3'" in str(raised.value.problems[0].hint)
    with pytest.raises(ConfigError, match="--python nothing/here: no such program"):
        world.connect(words=connect.program_words(world.program()), python="nothing/here")
    assert world.swarm.started == 0


def test_a_server_that_cannot_start_is_reported_with_its_own_words(world: World) -> None:
    world.swarm.environ["FAKE_DIES"] = "1"
    with pytest.raises(ClusterError, match="ended before it took connections") as raised:
        world.connect()
    assert "java.lang.IllegalStateException: no place for it" in str(raised.value)
    del world.swarm.environ["FAKE_DIES"]
    assert world.connect(words=connect.program_words(world.program()), python=world.python()).exit_code == 7


def test_one_that_takes_no_connections_in_time_is_reported_as_such(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.swarm.environ["FAKE_PAUSE_S"] = "60"
    monkeypatch.setattr(server, "READY_S", 1.0)
    with pytest.raises(ClusterError, match="timed out after 1 s waiting for the Connect server") as raised:
        world.connect()
    assert raised.value.exit_code == 4


def test_kill_and_down_end_it_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = world.held()
    row = Application(
        id=APP, submission=None, name="Spark Connect", user="spark", state="RUNNING", started_s=0, duration_s=1,
        cores=2, exit_code=None, link=None,
    )  # fmt: skip
    monkeypatch.setattr(apps, "gather", lambda _session: apps.Seen(rows=(row,), problems=()))
    assert apps.kill(world.session, APP).outcomes[0].state == "changed"
    assert held.end().exit_code == 1
    held = world.held()
    monkeypatch.setattr(world.swarm, "networks", lambda _stack: [], raising=False)
    assert "1 Connect servers" in down.left_over(world.session).things
    assert server.end_all(world.session) == ["the Connect server"]
    assert held.end().exit_code == 1
    assert server.end_all(world.session) == []


def test_its_task_has_the_wishes_a_limit_and_no_token(world: World) -> None:
    held = world.held(Wishes(cores=3, driver_memory_mib=2048, idle_minutes=5))
    (service,) = world.swarm.drivers.values()
    task = service["task"]
    environ = dict(word.split("=", 1) for word in task["ContainerSpec"]["Env"])
    assert json.loads(environ["SPARKQFS_SERVER_SETTINGS"]) == {"spark.cores.max": "4", "spark.driver.memory": "2048m"}
    assert environ["SPARKQFS_IDLE_S"] == "300"
    assert task["Resources"]["Limits"]["MemoryBytes"] == (2048 + 224 + 1024) * 2**20
    token = str(held.shown[0].document["remote"]).partition("token=")[2]
    assert token not in json.dumps(service)
    assert any("--cores 3: an executor has 2 cores, so it asks for 4" in text for text in world.said)
    assert server.stop(world.session) is True
    held.end()
    assert server.stop(world.session) is False


def test_a_dry_run_starts_nothing(world: World) -> None:
    world.session.dry_run = True
    assert world.connect().outcomes[0].state == "planned"
    assert connect.end(world.session).outcomes[0].state == "unchanged"
    assert world.swarm.started == 0


def test_a_connection_that_died_while_this_computer_slept_is_dialled_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server's process stands still, so nothing says that it is gone."""
    manager, tasks = world.session.clients.manager, world.swarm.service_tasks
    seen: list[None] = []

    def asked(name: str) -> list[dict[str, Any]]:
        manager.run(["true"], timeout_s=1)
        seen.append(None)
        return tasks(name)

    monkeypatch.setattr(connect, "PROBE_S", 1.0)
    monkeypatch.setattr(world.swarm, "service_tasks", asked)
    held = world.held()
    process = int(manager.run(["sh", "-c", "echo $PPID"]).stdout)
    os.kill(process, signal.SIGSTOP)
    try:
        connect_server.World.wait(lambda: any("no answer; trying again" in text for text in world.said))
        seen.clear()
        connect_server.World.wait(lambda: bool(seen))
        with socket.create_connection(("localhost", int(str(held.shown[0].document["port"]))), 5) as link:
            lines = link.makefile("rw")
            lines.write("any\n")
            lines.flush()
            assert lines.readline() == "refused\n"
    finally:
        os.kill(process, signal.SIGKILL)
    assert server.stop(world.session) and held.end().exit_code == 1


def test_arguments_longer_than_a_files_name_are_arguments(world: World) -> None:
    long = "x" * 5000
    assert connect.program_words(f"{world.program()} {long}")[-1] == long
    with pytest.raises(ConfigError, match="no such file on this computer"):
        connect.program_words(long)


@pytest.mark.parametrize(
    ("text", "said"),
    [("nothing.py", "no such file on this computer"), ("'open", "No closing quotation"), ("", "no such")],
)
def test_what_is_no_program_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        connect.program_words(text)


def test_a_program_with_a_space_in_its_name_is_one_program(tmp_path: Path) -> None:
    (tmp_path / "my program.py").touch()
    assert connect.program_words(str(tmp_path / "my program.py")) == (str(tmp_path / "my program.py"),)
    words = connect.program_words(f"'{tmp_path / 'my program.py'}' a 'b c'")
    assert words == (str(tmp_path / "my program.py"), "a", "b c")


def test_a_program_in_the_home_directory_may_be_written_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").touch()
    assert connect.program_words("~/mine.py") == (str(tmp_path / "mine.py"),)
    assert connect.program_words("~/mine.py ~/out") == (str(tmp_path / "mine.py"), "~/out")
    with pytest.raises(ConfigError, match="no such file on this computer"):
        connect.program_words("~nobody-has-this-name/mine.py")


# --- jdbc ---


class Jdbc(Held):
    """`invoke jdbc` in a thread."""

    def work(self, world: World, wishes: Wishes) -> JobResult:
        return jdbc.jdbc(world.session, 0, self.shown.append)


def test_a_jdbc_tool_gets_an_address_and_a_password_and_shares_the_server(world: World) -> None:
    first = world.held()
    held = Jdbc(world, Wishes())
    document = held.shown[0].document
    assert document["url"] == f"jdbc:hive2://localhost:{document['port']}/default"
    assert f"password  {document['password']}" in held.shown[0].text
    with socket.create_connection(("localhost", int(str(document["port"]))), 5) as link:
        lines = link.makefile("rw")
        lines.write(f"{document['password']}\n")
        lines.flush()
        assert lines.readline() == "welcome\n"
    assert world.swarm.started == 1
    assert not any(str(document["password"]) in text for text in world.said)
    server.stop(world.session)
    assert "`invoke jdbc` starts another one" in str(held.end().problems[0])
    first.end()


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        ("failed java.lang.NoClassDefFoundError: x", "the JDBC server cannot start: java.lang.NoClassDefFoundError: x"),
        ("silent", "timed out after 1 s waiting for the JDBC server"),
    ],
)
def test_a_jdbc_server_that_does_not_start_is_said_why(
    world: World, monkeypatch: pytest.MonkeyPatch, fake: str, said: str
) -> None:
    world.swarm.environ["FAKE_JDBC"] = fake
    monkeypatch.setattr(server, "JDBC_S", 1.0)
    with pytest.raises(ClusterError, match=said):
        jdbc.jdbc(world.session, 0, lambda _result: None)
