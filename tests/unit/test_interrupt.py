"""Ctrl-C in the middle of a read: what is closed then may wait for ever, and nobody waits for it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from sparkqfs.clients import connect, login_shell, ssh, wait
from sparkqfs.clients.connect import Clients, open_clients
from sparkqfs.clients.ssh import NodeClient
from tests.builders.clusters import a_cluster


class Channel:
    """One whose lock was left taken."""

    def __init__(self, never: threading.Event) -> None:
        self.never = never

    def close(self) -> None:
        self.never.wait()

    def sendall(self, _data: bytes) -> None:
        pass

    def shutdown_write(self) -> None:
        pass


class Interrupted:
    """A reader that Ctrl-C ends."""

    pid = 0

    def __init__(self, *_args: Any) -> None:
        pass

    def read_to_end(self, _limit: float) -> bool:
        raise KeyboardInterrupt

    def wait_for_pid(self, _seconds: float) -> None:
        pass


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(wait, "CLOSING_S", 0.2)
    event = threading.Event()
    yield event
    event.set()


def test_an_interrupted_command_ends_although_its_channel_cannot_be_closed(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_cluster()
    client = NodeClient(config, config.nodes[0])
    monkeypatch.setattr(client, "exec_channel", lambda _argv, **_how: Channel(never))
    monkeypatch.setattr(client, "_kill", lambda _pid, **_how: False)
    monkeypatch.setattr(ssh, "_Reader", Interrupted)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.run(["true"])
    assert time.monotonic() - started < 20


def test_ctrl_c_while_a_program_begins_does_not_wait_for_its_channel(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Transport:
        def open_session(self, **_limits: Any) -> Channel:
            return Channel(never)

    def interrupted(*_words: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(login_shell._Beginning, "wait", interrupted)
    raised: list[BaseException] = []

    def start() -> None:
        try:
            login_shell.LoginShell("node1", 5.0).start(Transport(), ["true"])  # type: ignore[arg-type]
        except KeyboardInterrupt as error:
            raised.append(error)

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    thread.join(30)
    assert raised


def test_an_interrupted_task_ends_although_its_connections_cannot_be_closed(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clients, "close", lambda _self: never.wait())
    monkeypatch.setattr(connect.Clients, "cancel", lambda _self: None)
    with pytest.raises(KeyboardInterrupt), open_clients(a_cluster()):
        raise KeyboardInterrupt
