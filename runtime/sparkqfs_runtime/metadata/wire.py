"""Messages between the storage's master and those who keep copies. Both sides prove that they know the cluster's key.

Each message is a header (JSON) and a body (bytes) with a code over both, their number and their direction: nothing can
be changed, repeated or left out on the way unnoticed. It is not encrypted: names of files cross the network as they do
between any client and the storage. Standard library only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import struct
import time
from typing import Any

GREETING = b"sparkqfs-copies-1\n"
NONCE_BYTES = CODE_BYTES = 32
MOST_HEADER = 1 << 20
MOST_BODY = 65 << 20
LENGTHS = struct.Struct(">II")

Header = dict[str, Any]


class WireError(OSError):
    """What came is not what this protocol allows, or the other side does not know the key."""


class Link:
    """One connection; every wait is bounded by the socket's own timeout. Raises OSError."""

    def __init__(self, connection: socket.socket, key: bytes, *, asks: bool, within_s: float | None = None) -> None:
        """`within_s`: the greeting must be over by then, however slowly bytes come."""
        self.connection = connection
        self.end = None if within_s is None else time.monotonic() + within_s
        self.sent = self.got = 0
        self.mine, self.theirs = (b"asks", b"answers") if asks else (b"answers", b"asks")
        self.key = self._greet(key, asks=asks)
        self.end = None

    def _greet(self, key: bytes, *, asks: bool) -> bytes:
        if not key:
            raise WireError("there is no key")
        mine = os.urandom(NONCE_BYTES)
        self.connection.sendall(GREETING + mine)
        theirs = self._take(len(GREETING) + NONCE_BYTES)
        if not theirs.startswith(GREETING):
            raise WireError("it does not speak this protocol")
        nonces = (mine, theirs[len(GREETING) :]) if asks else (theirs[len(GREETING) :], mine)
        session = hmac.digest(key, b"session" + b"".join(nonces), hashlib.sha256)
        if asks:
            self._prove(session)
            self._check(session)
        else:  # who asks proves first: nothing is told to somebody without the key
            self._check(session)
            self._prove(session)
        return session

    def _prove(self, session: bytes) -> None:
        self.connection.sendall(hmac.digest(session, b"proof" + self.mine, hashlib.sha256))

    def _check(self, session: bytes) -> None:
        wanted = hmac.digest(session, b"proof" + self.theirs, hashlib.sha256)
        if not hmac.compare_digest(self._take(CODE_BYTES), wanted):
            raise WireError("it does not know the cluster's key")

    def send(self, header: Header, body: bytes = b"") -> None:
        """One message."""
        text = json.dumps(header).encode()
        lengths = LENGTHS.pack(len(text), len(body))
        self.connection.sendall(b"".join((lengths, text, body, self._code(self.mine, self.sent, lengths, text, body))))
        self.sent += 1

    def receive(self) -> tuple[Header, bytes]:
        """The next message."""
        lengths = self._take(LENGTHS.size)
        text_length, body_length = LENGTHS.unpack(lengths)
        if text_length > MOST_HEADER or body_length > MOST_BODY:
            raise WireError(f"a message of {text_length} and {body_length} bytes is too long")
        text, body = self._take(text_length), self._take(body_length)
        wanted = self._code(self.theirs, self.got, lengths, text, body)
        if not hmac.compare_digest(self._take(CODE_BYTES), wanted):
            raise WireError("a message was changed on the way")
        self.got += 1
        try:
            header = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WireError(f"a header is not JSON: {error}") from error
        if not isinstance(header, dict):
            raise WireError("a header is no object")
        return header, body

    def ask(self, header: Header, body: bytes = b"") -> Header:
        """Send a message and take its answer. Raises `Refused` when it says `error`."""
        self.send(header, body)
        answer, _ = self.receive()
        if "error" in answer:
            raise Refused(str(answer["error"])[:500])
        return answer

    def _code(self, direction: bytes, number: int, *parts: bytes) -> bytes:
        code = hmac.new(self.key, direction + number.to_bytes(8, "big"), hashlib.sha256)
        for part in parts:
            code.update(part)
        return code.digest()

    def _take(self, length: int) -> bytes:
        pieces, left = [], length
        while left:
            if self.end is not None:
                self.connection.settimeout(max(0.01, self.end - time.monotonic()))
            data = self.connection.recv(min(left, 1 << 20))
            if not data:
                raise WireError("the connection was closed")
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)


class Refused(OSError):
    """The other side understood, and does not do it."""
