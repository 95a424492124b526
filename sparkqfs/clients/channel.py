"""HTTP over SSH channels: lets requests and the Docker SDK talk through a connection that is open already."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import paramiko
import requests.adapters
import urllib3
import urllib3.connection

from sparkqfs.clients.broken import close

OpenChannel = Callable[[], paramiko.Channel]


class _ChannelReader(io.RawIOBase):
    """The reading side of a channel as a raw file."""

    def __init__(self, socket: _ChannelSocket) -> None:
        self._socket = socket

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        received = self._socket.recv(len(buffer))
        buffer[: len(received)] = received
        return len(received)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._socket.release()


class _ChannelSocket:
    """A channel that closes as a socket does: only after the files made from it are closed too.

    http.client closes the socket of a `Connection: close` answer before its body is read; a bare channel would be
    gone then, with the body.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._files = 0
        self._closed = False
        self.sendall = channel.sendall
        self.recv = channel.recv
        self.settimeout = channel.settimeout
        self.fileno = channel.fileno

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        """A buffered file for reading."""
        self._files += 1
        return io.BufferedReader(_ChannelReader(self))

    def release(self) -> None:
        """One of the files was closed."""
        self._files -= 1
        if self._closed and self._files <= 0:
            close(self._channel)

    def close(self) -> None:
        """Close now, or with the last file."""
        self._closed = True
        if self._files <= 0:
            close(self._channel)


class _ChannelConnection(urllib3.connection.HTTPConnection):
    """An HTTP connection whose socket is a channel."""

    open_channel: OpenChannel

    def connect(self) -> None:
        channel = self.open_channel()
        timeout = self.timeout
        channel.settimeout(float(timeout) if isinstance(timeout, (int, float)) else None)
        self.sock = _ChannelSocket(channel)


class _ChannelPool(urllib3.HTTPConnectionPool):
    def __init__(self, open_channel: OpenChannel) -> None:
        super().__init__("localhost", maxsize=4)
        self._open_channel = open_channel

    def _new_conn(self) -> Any:
        timeout = self.timeout.connect_timeout
        connection = _ChannelConnection("localhost", timeout=timeout if isinstance(timeout, (int, float)) else None)
        connection.open_channel = self._open_channel
        return connection


class ChannelAdapter(requests.adapters.HTTPAdapter):
    """A requests adapter; every connection it makes is `open_channel()`."""

    def __init__(self, open_channel: OpenChannel) -> None:
        self._channel_pool = _ChannelPool(open_channel)
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> Any:
        """The one pool, whatever the address says."""
        return self._channel_pool

    def get_connection(self, *_args: Any, **_kwargs: Any) -> Any:
        """The same, for older requests."""
        return self._channel_pool

    def request_url(self, request: Any, _proxies: Any) -> str:
        """Always the path: no proxy on this way."""
        return str(request.path_url)

    def close(self) -> None:
        """Close the channels."""
        self._channel_pool.close()
