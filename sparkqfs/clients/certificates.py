"""Certificates of OpenSSH: read, and checked for a host. Source: OpenSSH's PROTOCOL.certkeys."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import paramiko

KEY_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}
"""Type of key → strings between nonce and serial number."""
SUFFIX = "-cert-v01@openssh.com"
USER = 1
HOST = 2


def strings(blob: bytes) -> list[bytes] | None:
    """The length-prefixed strings that make up a key; none where the lengths do not add up."""
    found = []
    at = 0
    while at < len(blob):
        end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
        if end > len(blob) or at + 4 > len(blob):
            return None
        found.append(blob[at + 4 : end])
        at = end
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What an authority has signed of a key."""

    kind: int
    """`USER` or `HOST`."""
    names: tuple[str, ...]
    """Names of users, or of hosts; none means any."""
    valid_after: int
    valid_before: int
    """Seconds since 1970, before which it is no longer true."""
    critical: bytes
    authority: bytes
    signed: bytes
    signature: bytes

    def is_valid_for(self, host: str, accepted: Iterable[str]) -> bool:
        """Whether it is a certificate of this host, now, signed by its authority with an accepted algorithm."""
        if self.kind != HOST or self.critical or not self.valid_after <= time.time() < self.valid_before:
            return False
        if self.names and host not in self.names:
            return False
        parts = strings(self.signature)
        accepted = tuple(accepted)
        if not parts or (accepted and parts[0].decode(errors="replace") not in accepted):
            return False
        return self._is_signed()

    def _is_signed(self) -> bool:
        kind = paramiko.Message(self.authority).get_text()
        try:
            key = paramiko.PKey.from_type_string(kind, self.authority)
            return bool(key.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError):
            return False


def as_certificate(key: paramiko.PKey) -> Certificate | None:
    """The certificate that comes with a key; none for a plain one, or where it is damaged."""
    return None if key.public_blob is None else parsed(key.public_blob.key_blob)


def parsed(blob: bytes) -> Certificate | None:
    """A certificate from its bytes."""
    message = paramiko.Message(blob)
    try:
        fields = KEY_FIELDS[message.get_text().removesuffix(SUFFIX)]
        for _ in range(1 + fields):
            message.get_binary()
        message.get_int64()
        kind = message.get_int()
        message.get_binary()
        names = strings(message.get_binary())
        after, before = message.get_int64(), message.get_int64()
        critical = message.get_binary()
        message.get_binary(), message.get_binary()
        authority = message.get_binary()
        signed = blob[: len(blob) - len(message.get_remainder())]
        signature = message.get_binary()
    except (KeyError, ValueError, UnicodeDecodeError):
        return None
    if names is None or len(blob) != len(signed) + 4 + len(signature):  # paramiko reads zeros behind the end
        return None
    return Certificate(
        kind=kind,
        names=tuple(name.decode(errors="replace") for name in names),
        valid_after=after,
        valid_before=before,
        critical=critical,
        authority=authority,
        signed=signed,
        signature=signature,
    )


def plain_key(blob: bytes) -> bytes:
    """The public key that a certificate is about; nothing for one that is damaged."""
    message = paramiko.Message(blob)
    kind = message.get_text().removesuffix(SUFFIX)
    message.get_binary()
    plain = paramiko.Message()
    plain.add_string(kind)
    for _ in range(KEY_FIELDS.get(kind, 0)):
        plain.add_string(message.get_binary())
    return bytes(plain.asbytes())
