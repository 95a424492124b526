"""Connections that break: any call of paramiko may be the one that sees it, closing a channel too."""

from __future__ import annotations

import contextlib

import paramiko

BROKEN = (OSError, EOFError, paramiko.SSHException)
"""What a connection to a machine raises when it breaks."""


def close(channel: paramiko.Channel) -> None:
    """A channel; one whose connection is gone already is closed."""
    with contextlib.suppress(*BROKEN):
        channel.close()
