"""What paramiko raises where a connection has broken, at any of its calls: closing a channel sends a message, too."""

from __future__ import annotations

import contextlib

import paramiko

BROKEN = (OSError, EOFError, paramiko.SSHException)


def close(channel: paramiko.Channel) -> None:
    """A channel; one whose connection is gone already is closed."""
    with contextlib.suppress(*BROKEN):
        channel.close()
