"""What doctor finds at real machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.jobs.cluster import whole
from sparkqfs.jobs.session import Session
from tests.builders.facts import prepared
from tests.doubles.servers import sshd


@pytest.mark.parametrize(("settings", "told"), [(("AllowTcpForwarding no",), True), ((), False)])
def test_doctor_says_what_the_managers_sshd_must_allow(tmp_path: Path, settings: tuple[str, ...], told: bool) -> None:
    with sshd(tmp_path, *settings) as server:
        config = server.cluster(tmp_path / "known_hosts")
        clients = Clients(config)
        session = Session(config, clients, on_event=print, _facts=prepared(config))
        problems = [one for one in whole.doctor(session).problems if "AllowTcpForwarding" in (one.hint or "")]
        clients.close()
    assert [problem.node for problem in problems] == (["node1"] if told else [])
