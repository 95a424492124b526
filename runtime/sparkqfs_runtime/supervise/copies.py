"""Copies of the storage's metadata: what is looked at before its master starts, and the role that keeps one."""

from __future__ import annotations

import signal
from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime.metadata import guard, keeper
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.pieces import Kind
from sparkqfs_runtime.metadata.sender import Keeper, keepers_of
from sparkqfs_runtime.supervise.address import own_address
from sparkqfs_runtime.supervise.disks import check_markers
from sparkqfs_runtime.supervise.setup import (
    EX_CONFIG,
    EX_TEMPFAIL,
    STOP_SIGNALS,
    Setup,
    die,
    make_writable,
    say,
    write_env,
)


def copies_key(setup: Setup) -> bytes:
    """What the master and those who keep copies know. Exits 78 without it."""
    key = setup.secret(topology.METADATA_SECRET)
    if key is None:
        die(EX_CONFIG, f"the secret {setup.secrets / topology.METADATA_SECRET} is missing or empty")
    return key.encode()


def check_metadata(setup: Setup) -> None:
    """What a power cut tore is taken away, and the metadata is compared with its copies.

    Exits 78 when a copy has more than is here, 75 when too few of those who keep one answer in time: a copy that is
    newer may be there.
    """
    kind, keepers = KINDS[setup.storage], keepers_of(setup.get("SPARKQFS_COPIES"))
    try:
        if keepers:
            _compare(setup, kind, keepers)
        for line in kind.repair(setup.data):
            say(line)
    except OSError as error:
        die(EX_CONFIG, f"the metadata cannot be looked at: {error}; nothing started")


def _compare(setup: Setup, kind: Kind, keepers: list[Keeper]) -> None:
    asked = guard.ask_keepers(kind, setup.data, keepers, copies_key(setup), say, _deadline(setup))
    found = guard.objections(asked, setup.data, kind.identity(setup.data))
    for node, why in asked.silent.items():
        say(f"no answer of the one who keeps a copy of the metadata on {node}: {why}")
    if found:
        for line in found[:-1]:
            say(line)
        die(EX_CONFIG, f"{found[-1]}; nothing started")
    if not asked.is_enough:
        silent = ", ".join(asked.silent)
        die(
            EX_TEMPFAIL,
            f"whether a copy of the metadata is newer is not known: {silent} did not answer; nothing started",
        )


def _deadline(setup: Setup) -> float:
    return float(setup.get("SPARKQFS_COPIES_DEADLINE_S", str(guard.DEADLINE_S)))


def metadata_copy(setup: Setup) -> int:
    """Keeps a copy on this machine's disk until it is told to stop. In this process: the machine may be a small one."""
    top = Path(setup.get("SPARKQFS_COPIES_DIR", f"/data/{setup.storage}/copies"))
    check_markers(setup, (top.parent,))
    make_writable(top)
    address = setup.environ["NODE_IP"] = own_address()
    write_env(setup)
    port = int(setup.get("SPARKQFS_COPIES_PORT", str(topology.METADATA_COPY_PORT)))
    try:
        keep, second = (
            keeper.keep_of(setup.get("SPARKQFS_COPY_DAYS")),
            keeper.second_of(setup.get("SPARKQFS_COPY_CHECK")),
        )
        keeper.start(top, (address, port), copies_key(setup), keep, second)
    except (OSError, ValueError) as error:
        die(EX_CONFIG, f"the copies of the metadata in {top} cannot be kept: {error}; nothing started")
    say(f"keeping copies of the metadata in {top}")
    received = signal.sigwaitinfo(STOP_SIGNALS)
    say(f"{signal.Signals(received.si_signo).name}: stopping")
    return 0
