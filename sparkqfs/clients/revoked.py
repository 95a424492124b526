"""RevokedHostKeys: a list of public keys, or OpenSSH's binary form, of which ssh-keygen is asked."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Sequence
from pathlib import Path

import paramiko

from sparkqfs.clients import certificates
from sparkqfs.clients.bounded import TooMuch, output_of
from sparkqfs.clients.known_hosts import decoded

MAGIC = b"SSHKRL\n\0"
LONGEST_FILE = 64 << 20
KEYGEN_S = 10.0


class NoList(Exception):
    """A file that cannot be read as what it should be, and why: ssh takes no host key then."""


def is_revoked(file: Path, keys: Sequence[bytes]) -> bool:
    """Whether the file revokes one of these public keys or certificates. Raises `NoList`."""
    if not file.is_file():
        raise NoList(f"there is no file {file}")
    try:
        with file.open("rb") as opened:
            content = opened.read(LONGEST_FILE + 1)
    except OSError as error:
        raise NoList(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > LONGEST_FILE:
        raise NoList(f"{file} has more than {LONGEST_FILE} bytes")
    if content.startswith(MAGIC):
        return any(_asked(file, key) for key in keys)
    plain = {certificates.plain_key(key) if _is_certificate(key) else key for key in keys}
    return any(_listed(file, number, line) in plain for number, line in enumerate(content.split(b"\n"), 1))


def _listed(file: Path, number: int, line: bytes) -> bytes | None:
    """The key of a line, without its certificate; none of an empty one. Source: OpenSSH 9.2, sshkey_in_file."""
    line = line.lstrip(b" \t")
    if not line or line.startswith(b"#"):
        return None
    kind, *words = line.decode(errors="replace").split(None, 2) or [""]
    text = words[0] if words else ""
    key = decoded(kind, text)
    if key is None:
        raise NoList(f"line {number} of {file} is not a public key")
    return certificates.plain_key(key) if _is_certificate(key) else key


def _is_certificate(key: bytes) -> bool:
    return _kind(key).endswith(certificates.SUFFIX)


def _kind(key: bytes) -> str:
    return bytes(paramiko.Message(key).get_binary()).decode(errors="replace")


def _asked(file: Path, key: bytes) -> bool:
    """What ssh-keygen says; it knows certificates by number, name and authority too."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise NoList(f"there is no ssh-keygen on this computer, which reads {file}")
    line = f"{_kind(key)} {base64.b64encode(key).decode()}\n".encode()
    try:
        code, out, err = output_of([program, "-Q", "-f", str(file), "/dev/stdin"], KEYGEN_S, 1 << 16, feed=line)
    except (OSError, TooMuch) as error:
        raise NoList(f"ssh-keygen does not say what {file} has") from error
    if code != 0 and "REVOKED" not in out:
        said = (err.strip().splitlines() or ["it does not say why"])[-1]
        raise NoList(f"ssh-keygen cannot read {file}: {said}")
    return code != 0
