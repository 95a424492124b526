"""RevokedHostKeys: a list of public keys, or OpenSSH's binary form, of which ssh-keygen is asked."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

from sparkqfs.clients.bounded import TooMuch, output_of
from sparkqfs.clients.known_hosts import strings

MAGIC = b"SSHKRL\n\0"
LONGEST_FILE = 64 << 20
KEYGEN_S = 10.0


def is_revoked(file: Path, key: bytes) -> bool:
    """Whether the file revokes a public key; it does where it cannot be read, as with OpenSSH."""
    if not file.is_file():
        return True
    try:
        with file.open("rb") as opened:
            content = opened.read(LONGEST_FILE)
    except OSError:
        return True
    if content.startswith(MAGIC):
        return _asked(file, key)
    text = base64.b64encode(key).decode()
    lines = (line.split() for line in content.decode(errors="replace").splitlines())
    return any(text in words[:3] for words in lines if words and not words[0].startswith("#"))


def _asked(file: Path, key: bytes) -> bool:
    program = shutil.which("ssh-keygen")
    if program is None:
        return True
    kind = (strings(key) or [b""])[0].decode(errors="replace")
    line = f"{kind} {base64.b64encode(key).decode()}\n".encode()
    try:
        code, _, _ = output_of([program, "-Q", "-f", str(file), "/dev/stdin"], KEYGEN_S, 1 << 16, feed=line)
    except (OSError, TooMuch):
        return True
    return code != 0
