"""A manager that does not answer is asked again for a while: what runs on the cluster goes on without us."""

from __future__ import annotations

import time

from sparkqfs.jobs.session import Session


class Patience:
    """How long the manager has been silent, told when it begins."""

    def __init__(self, session: Session, patience_s: float) -> None:
        self._session = session
        self._patience_s = patience_s
        self._since: float | None = None

    def renew(self) -> None:
        """It answered."""
        self._since = None

    def is_over(self) -> bool:
        """After a question without an answer: whether it has been too long."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._session.on_event(f"[{self._session.config.manager.name}] no answer; trying again")
        return now - self._since > self._patience_s
