"""Makes an empty file system, once."""

from __future__ import annotations

import signal

from sparkqfs_runtime.metadata import accepted
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.supervise import storage
from sparkqfs_runtime.supervise.disks import check_markers, sync_tree
from sparkqfs_runtime.supervise.processes import finish_logs, reap, send, start
from sparkqfs_runtime.supervise.setup import EX_CONFIG, STOP_SIGNALS, WAITED_SIGNALS, Setup, die


def init_storage(setup: Setup) -> int:
    """Makes an empty file system, or refuses because there is one. The exit code of the program that does it."""
    check_markers(setup, (setup.data,))
    daemon = storage.of(setup).init(setup)
    pid = start(daemon, setup.environ)
    while pid:
        received = signal.sigwaitinfo(WAITED_SIGNALS)
        if received.si_signo in STOP_SIGNALS:
            send(pid, daemon.stop_signal)
        code = reap().get(pid)
        if code is not None:
            finish_logs()
            if code == 0:
                keep_new(setup)
            return code if code >= 0 else 128 - code
    return 1


def keep_new(setup: Setup) -> None:
    """A new file system, before anybody hears that there is one. Exits 78 when the disk does not take it."""
    try:
        accepted.accept_new(setup.data, KINDS[setup.storage].identity(setup.data))
        sync_tree(setup.data)
    except OSError as error:
        die(EX_CONFIG, f"the new file system cannot be synced to the disk: {error}")
