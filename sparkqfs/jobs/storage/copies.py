"""What the tasks do with the copies of the storage's metadata (runtime/sparkqfs_runtime/metadata)."""

from __future__ import annotations

import re

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.jobs.session import Session
from sparkqfs.remote import script

ACCEPT_SCRIPT = script("accept_older")
MARK = re.compile(r"[0-9a-f]{12}")


def check_mark(session: Session, mark: str) -> None:
    """Raises `ConfigError` for what cannot be the mark of a copy, or where the storage has no copies."""
    if session.backend.layout is None:
        raise ConfigError(
            Problem(what=f"--accept-older: storage {session.config.storage.kind} has no metadata of ours")
        )
    if not MARK.fullmatch(mark):
        hint = "the message that the metadata is older than its copy names it"
        raise ConfigError(Problem(what=f"--accept-older {mark}: a mark is 12 hexadecimal digits", hint=hint))


def accept_older(session: Session, mark: str) -> None:
    """The storage's master may start although a copy in the state `mark` has more. That copy stays on its disk."""
    config, layout = session.config, session.backend.layout
    assert layout is not None
    owner = config.owner
    top = str(config.manager.data_dirs[0] / layout.top)
    session.on_event(f"[{config.manager.name}] the copies' state {mark} is given up")
    session.clients.manager.script(ACCEPT_SCRIPT, top, mark, str(owner.uid), str(owner.gid))
