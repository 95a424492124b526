"""jobs/watching/top.py on real SSH servers, one of which falls silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import top
from tests.builders.clusters import a_node_config
from tests.doubles.servers import Sshd, sshd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def test_a_machine_that_is_dead_from_the_start_holds_up_no_look(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "LOOK_S", 10.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as stack:
        config = server.cluster(tmp_path / "known_hosts")
        dead = a_node_config("node2", 1, address="127.0.0.1", port=silent.getsockname()[1])
        timeouts = replace(config.timeouts, connect_s=10)
        clients = Clients(replace(config, nodes=(*config.nodes, dead), timeouts=timeouts))
        stack.callback(clients.close)
        looks = top.watch(Session(clients.config, clients, lambda _: None), only=(), interval_s=0.2)
        next(looks)
        for _ in range(3):
            started = time.monotonic()
            look = next(looks)
            assert time.monotonic() - started < 8
        assert list(look.document["nodes"]) == ["node1"]  # type: ignore[call-overload]
        assert [one.node for one in look.problems] == ["node2"] and "answer" in look.problems[0].what
