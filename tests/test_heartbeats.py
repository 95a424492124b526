"""The heartbeats of stack/MetaServer.prp: a metaserver that stands still for a moment must not lose its chunkservers.

Source of the relations: QFS 2.2.8, src/cc/meta/ChunkServer.cc (Heartbeat), src/cc/chunk/MetaServerSM.cc (Timeout).
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from qfs_cluster import QfsCluster
from qfs_reader import Kit, kit

__all__ = ["kit"]
STACK = Path(__file__).parent.parent / "stack"
TIMER_S = 2
"""QFS's timers look once a second, before and after."""
CHUNKSERVERS_OWN_S = 40
"""`chunkServer.meta.inactivityTimeout`, which stack/ChunkServer.prp does not set."""
HEARTBEATS = ("heartbeatInterval", "minInactivityInterval", "heartbeatTimeout", "heartbeatSkippedInterval")


def heartbeats() -> dict[str, int]:
    """Seconds by the last word of the property."""
    lines = (STACK / "MetaServer.prp").read_text(encoding="utf-8").splitlines()
    pairs = dict(line.split(" = ") for line in lines if line.startswith("metaServer.chunkServer."))
    return {name: int(pairs[f"metaServer.chunkServer.{name}"]) for name in HEARTBEATS}


def test_a_chunkserver_waits_for_several_heartbeats_and_a_long_pause() -> None:
    assert "inactivityTimeout" not in (STACK / "ChunkServer.prp").read_text(encoding="utf-8")
    seconds = heartbeats()
    sent_every = min(seconds["heartbeatInterval"], seconds["minInactivityInterval"]) + TIMER_S
    waits = min(seconds["heartbeatTimeout"], 2 * seconds["minInactivityInterval"], CHUNKSERVERS_OWN_S)
    assert waits >= 4 * sent_every
    assert waits - sent_every >= 20  # the longest pause of the metaserver that goes unnoticed


def test_a_dead_chunkserver_is_noticed_within_forty_seconds() -> None:
    seconds = heartbeats()
    sent_every = min(seconds["heartbeatInterval"], seconds["minInactivityInterval"]) + TIMER_S
    assert sent_every + seconds["heartbeatTimeout"] + TIMER_S <= 40
    assert seconds["heartbeatInterval"] < seconds["heartbeatSkippedInterval"] < seconds["heartbeatTimeout"]


@pytest.mark.long
@pytest.mark.parametrize("daemon", ["meta", "127.0.0.2"])
def test_a_daemon_that_stands_still_for_18_seconds_loses_no_connection(kit: Kit, tmp_path: Path, daemon: str) -> None:
    extra = "".join(f"metaServer.chunkServer.{name} = {value}\n" for name, value in heartbeats().items())
    with QfsCluster(kit.qfs_home, tmp_path / "qfs", meta_extra=extra) as qfs:
        time.sleep(TIMER_S)
        process = qfs.processes[daemon]
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(18)
        finally:
            process.send_signal(signal.SIGCONT)
        time.sleep(2 * TIMER_S)
        assert qfs.up_servers() == len(qfs.addresses)
        logs = "".join((qfs.home / f"{name}.log").read_text(errors="replace") for name in qfs.processes)
    assert "inactivity timeout" not in logs and "heartbeat timed out" not in logs
