"""The heartbeats of stack/MetaServer.prp: neither QFS's own ways nor a short pause may end a connection.

Source of the relations: QFS 2.2.8, src/cc/meta/ChunkServer.cc (Heartbeat, SendResponse), src/cc/chunk/MetaServerSM.cc
(Timeout). Every two minutes a chunkserver reports its directories and wants no answer; the metaserver counts the answer
that it does not give as something sent, and puts off what `minInactivityInterval` asks for. So that interval promises
nothing; `heartbeatInterval` is measured from the last heartbeat and does.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import STACK
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import NODE, Kit

TIMER_S = 2
"""QFS's timers look once a second, on both sides."""
CHUNKSERVERS_OWN_S = 40
"""`chunkServer.meta.inactivityTimeout`, which stack/ChunkServer.prp does not set."""
HEARTBEATS = ("heartbeatInterval", "minInactivityInterval", "heartbeatTimeout", "heartbeatSkippedInterval")


def heartbeats() -> dict[str, int]:
    """Seconds by the last word of the property."""
    lines = (STACK / "MetaServer.prp").read_text(encoding="utf-8").splitlines()
    pairs = dict(line.split(" = ") for line in lines if line.startswith("metaServer.chunkServer."))
    return {name: int(pairs[f"metaServer.chunkServer.{name}"]) for name in HEARTBEATS}


def longest_silence_s(seconds: dict[str, int]) -> int:
    """Of a metaserver that runs."""
    return seconds["heartbeatInterval"] + TIMER_S


def test_a_chunkserver_waits_for_several_heartbeats_and_a_long_pause() -> None:
    assert "inactivityTimeout" not in (STACK / "ChunkServer.prp").read_text(encoding="utf-8")
    seconds = heartbeats()
    waits = min(seconds["heartbeatTimeout"], 2 * seconds["minInactivityInterval"], CHUNKSERVERS_OWN_S)
    assert waits >= 4 * longest_silence_s(seconds)
    assert waits - longest_silence_s(seconds) >= 20  # the longest pause of the metaserver that goes unnoticed


def test_a_dead_chunkserver_is_noticed_within_forty_seconds() -> None:
    seconds = heartbeats()
    assert longest_silence_s(seconds) + seconds["heartbeatTimeout"] + TIMER_S <= 40
    assert seconds["heartbeatInterval"] < seconds["heartbeatSkippedInterval"] < seconds["heartbeatTimeout"]


@pytest.fixture
def qfs(kit: Kit, tmp_path: Path) -> Iterator[QfsCluster]:
    """Real daemons with our heartbeats."""
    extra = "".join(f"metaServer.chunkServer.{name} = {value}\n" for name, value in heartbeats().items())
    with QfsCluster(kit.qfs_home, tmp_path / "qfs", meta_extra=extra) as cluster:
        yield cluster


def lost(qfs: QfsCluster) -> list[str]:
    """Lines of the logs that tell of a connection that was given up."""
    lines = [
        line for name in qfs.processes for line in (qfs.home / f"{name}.log").read_text(errors="replace").split("\n")
    ]
    return [line for line in lines if "inactivity timeout, last" in line or "heartbeat timed out" in line]


@pytest.mark.long
def test_a_chunkserver_that_reports_its_directories_hears_of_the_metaserver_in_time(qfs: QfsCluster) -> None:
    qfs.stop_server(NODE)
    qfs.start_server(NODE, "chunkServer.sendChunDirInfoIntervalSecs = 7\n")  # QFS's spelling
    qfs.wait_for_servers(len(qfs.addresses))
    time.sleep(35)
    assert lost(qfs) == []


@pytest.mark.long
@pytest.mark.parametrize("daemon", ["meta", NODE])
def test_a_daemon_that_stands_still_for_18_seconds_loses_no_connection(qfs: QfsCluster, daemon: str) -> None:
    process = qfs.processes[daemon]
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(18)
    finally:
        process.send_signal(signal.SIGCONT)
    time.sleep(2 * TIMER_S)
    assert qfs.up_servers() == len(qfs.addresses)
    assert lost(qfs) == []
