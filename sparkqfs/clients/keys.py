"""Keys for a login in the order in which OpenSSH offers them: certificates, the agent's, files; what cannot be used is
passed over and named when nothing else logs in."""

from __future__ import annotations

import base64
import binascii
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob

from sparkqfs.clients import certificates
from sparkqfs.clients.known_hosts import PARTS
from sparkqfs.clients.openssh import Login

LONGEST_FILE = 1 << 16
MAGIC = b"openssh-key-v1\0"
PUTTY = b"PuTTY-User-Key-File-"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Those of ssh. Source: RFC 5656."""
AGENT_S = 10.0
"""An agent may ask its user; what it is asked here is a list."""


class Unusable(Exception):
    """A key that cannot be offered, and why."""


class Unfit(Unusable):
    """Another key is needed."""


class NotThere(Unfit):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key to offer: where it is from, its public half (none where that is not known before it is read)."""

    source: str
    public: bytes | None
    load: Callable[[], paramiko.PKey]
    """Raises `Unusable`."""


@dataclass(frozen=True, slots=True)
class _File:
    """An identity file and one of its public halves: the key's, or its certificate's."""

    path: Path
    public: bytes | None


# -- the agent ------------------------------------------------------------------------------------------------------


class _Agent(AgentSSH):
    """The agent at a socket that ssh's settings name; paramiko itself knows that of the environment only."""

    def __init__(self, address: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(AGENT_S)
            connection.connect(address)
            self._ask(connection)
            connection.settimeout(None)  # a signature may wait for its user
        except BaseException:
            connection.close()
            raise

    def _ask(self, connection: socket.socket) -> None:
        paramiko_own: Any = super()
        paramiko_own._connect(connection)

    def close(self) -> None:
        """End the conversation, also where a signature is still waited for."""
        connection: Any = getattr(self, "_conn", None)
        with suppress(OSError, AttributeError):
            connection.shutdown(socket.SHUT_RDWR)
        paramiko_own: Any = super()
        paramiko_own._close()


class _HeldKey(AgentKey):
    """A key of the agent's under its own name, certificates too; one that it refuses to sign with is one not accepted.

    paramiko would end the connection there; with this it offers the next key.
    """

    def __init__(self, agent: AgentSSH, blob: bytes, comment: str = "") -> None:
        super().__init__(agent, blob, comment)
        self.public_blob = None

    def asbytes(self) -> bytes:
        return bytes(self.blob)

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        try:
            return super().sign_ssh_data(data, algorithm)
        except (paramiko.SSHException, OSError, ValueError):
            refused = paramiko.Message()
            refused.add_string(algorithm or self.get_name())
            refused.add_string(b"")
            return refused.asbytes()


def is_held(key: paramiko.PKey) -> bool:
    """Whether an agent signs with it, which may ask its user."""
    return isinstance(key, _HeldKey)


class Keys:
    """All keys for a login, and the agent that holds some of them. Use as a context: it ends the agent's connection."""

    def __init__(self, login: Login, first: Path | None = None) -> None:
        """`first` is a key file that is offered before all others."""
        self._login = login
        self._first = first
        self._agent: _Agent | None = None

    def __enter__(self) -> Keys:
        if self._login.agent is not None:
            with suppress(OSError, ValueError, paramiko.SSHException, UnicodeDecodeError):
                self._agent = _Agent(self._login.agent)
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            self._agent.close()

    def _held(self) -> list[_HeldKey]:
        found: list[_HeldKey] = []
        if self._agent is None:
            return found
        for key in self._agent.get_keys():
            with suppress(paramiko.SSHException, ValueError, UnicodeDecodeError):
                found.append(_HeldKey(self._agent, key.blob, key.comment))
        return found

    def candidates(self) -> Iterator[Candidate]:
        """In OpenSSH's order: certificates of CertificateFile, keys both listed and in the agent, other keys of the
        agent unless IdentitiesOnly, then files. Source: OpenSSH 9.2, pubkey_prepare."""
        held = self._held()
        files = list(_files(self._login.identities, with_certificates=not self._login.certificates))
        own = list(_files([self._first] if self._first is not None else [], with_certificates=True))
        in_agent = {bytes(key.blob): key for key in held}
        offered: set[bytes | Path] = set()
        for one in self._ordered(own, files, held, in_agent):
            mark = one.public if one.public is not None else one.source
            if mark not in offered and self._is_accepted(one.public):
                offered.add(mark)  # type: ignore[arg-type]
                yield one if one.public is not None else replace(one, load=self._of_accepted_type(one.load))

    def _ordered(
        self, own: list[_File], files: list[_File], held: list[_HeldKey], in_agent: dict[bytes, _HeldKey]
    ) -> Iterator[Candidate]:
        listed = {file.public for file in files}
        may_sign = listed | {file.public for file in own}
        signers = [key for key in held if not self._login.identities_only or bytes(key.blob) in may_sign]
        for file in own:
            yield _of_agent(in_agent[file.public]) if file.public in in_agent else _of_file(file, signers)
        for path in self._login.certificates:
            blob = _public(path)
            if blob is not None and (parsed := certificates.parsed(blob)) and parsed.kind == certificates.USER:
                plain = certificates.plain_key(blob)
                private = next((file.path for file in (*own, *files) if file.public == plain), None)
                yield _of_certificate(path, blob, private, signers)
        yield from (_of_agent(key) for key in held if bytes(key.blob) in listed)
        if not self._login.identities_only:
            yield from (_of_agent(key) for key in held if bytes(key.blob) not in listed)
        yield from (_of_file(file, signers) for file in files if file.public not in in_agent)

    def _of_accepted_type(self, load: Callable[[], paramiko.PKey]) -> Callable[[], paramiko.PKey]:
        """Of a key whose type is known when it was read."""

        def checked() -> paramiko.PKey:
            key = load()
            if not self._is_accepted(key.asbytes()):
                raise Unfit("its type is not among PubkeyAcceptedAlgorithms")
            return key

        return checked

    def _is_accepted(self, public: bytes | None) -> bool:
        """PubkeyAcceptedAlgorithms; RSA keys sign under other names than their own."""
        accepted = self._login.accepted_keys
        kind = kind_of(public) if public is not None else ""
        if not accepted or not kind:
            return True
        if kind.startswith("ssh-rsa"):
            ending = kind.removeprefix("ssh-rsa")
            return any(f"{name}{ending}" in accepted for name in ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"))
        return kind in accepted


def _of_agent(key: _HeldKey) -> Candidate:
    return Candidate(f"the agent's key {key.comment or key.get_name()}", bytes(key.blob), lambda: key)


def _of_file(file: _File, signers: Iterable[_HeldKey]) -> Candidate:
    if file.public is not None and kind_of(file.public).endswith(certificates.SUFFIX):
        return _of_certificate(file.path, file.public, file.path, signers)
    return Candidate(str(file.path), file.public, lambda: _private(file.path))


def _of_certificate(source: Path, blob: bytes, private: Path | None, signers: Iterable[_HeldKey]) -> Candidate:
    """A certificate with the key that it is for: the agent's, or that of a file."""
    plain = certificates.plain_key(blob)

    def load() -> paramiko.PKey:
        for key in signers:
            if bytes(key.blob) == plain:
                return _with_certificate(_HeldKey(key.agent, key.blob, key.comment), blob)
        if private is None:
            raise Unusable("there is no private key for it")
        return _with_certificate(_private(private), blob)

    return Candidate(str(source), blob, load)


def _with_certificate(key: paramiko.PKey, blob: bytes) -> paramiko.PKey:
    key.public_blob = PublicBlob(kind_of(blob), blob)
    return key


# -- files ----------------------------------------------------------------------------------------------------------


def _files(paths: Iterable[Path], *, with_certificates: bool) -> Iterator[_File]:
    """Each file, and after it the certificate beside it, if CertificateFile names none."""
    for path in paths:
        yield _File(path, _public(path))
        if with_certificates:
            blob = _public(path.with_name(f"{path.name}-cert"))
            parsed = certificates.parsed(blob) if blob is not None else None
            if parsed is not None and parsed.kind == certificates.USER:
                yield _File(path, blob)


def _public(path: Path) -> bytes | None:
    """The public half: the file itself, the one with `.pub`, or what the private file says unencrypted."""
    content = _content(path)
    for text in (content, _content(path.with_name(f"{path.name}.pub"))):
        if (found := _public_line(text)) is not None:
            return found
    head, _, rest = content.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    with suppress(binascii.Error, ValueError):
        if rest and not head.strip():
            return _embedded(base64.b64decode(b"".join(rest.partition(b"-----")[0].split())))
    return None


def _content(path: Path) -> bytes:
    with suppress(OSError, ValueError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(LONGEST_FILE)
    return b""


def _public_line(content: bytes) -> bytes | None:
    """The first `type base64` of a file."""
    for line in content.splitlines():
        words = line.split()
        if len(words) < 2 or line.startswith(b"#"):
            continue
        kind = words[0].decode(errors="replace")
        if kind not in PARTS and not kind.endswith(certificates.SUFFIX):
            return None
        with suppress(binascii.Error, ValueError):
            blob = base64.b64decode(words[1], validate=True)
            return blob if kind_of(blob) == kind else None
    return None


def _embedded(blob: bytes) -> bytes | None:
    """The public key in OpenSSH's format of private keys. Source: OpenSSH's PROTOCOL.key."""
    if not blob.startswith(MAGIC):
        return None
    message = paramiko.Message(blob[len(MAGIC) :])
    for _ in range(3):
        message.get_binary()
    message.get_int()
    found: bytes = message.get_binary()
    return found or None


def kind_of(blob: bytes) -> str:
    """The type that a public key begins with."""
    first = certificates.strings(blob[: 4 + int.from_bytes(blob[:4], "big")])
    return first[0].decode(errors="replace") if first else ""


def _private(path: Path) -> paramiko.PKey:
    """The private key of a file. Raises `Unusable` where ssh would go on with the next one, or would ask."""
    try:
        found = path.stat()
        if _public_line(_content(path)) is not None:
            other = f": write {path.with_suffix('')}" if path.suffix == ".pub" else ""
            raise Unusable(f"is the public half of a key{other}")
        if _content(path).startswith(PUTTY):
            raise Unusable(f"is a key of PuTTY: puttygen {path} -O private-openssh-new -o OTHER makes one of ssh")
        if found.st_uid == os.getuid() and found.st_mode & 0o077:
            raise Unusable(f"others may read it: chmod 600 {path}")
        if not path.is_file() or found.st_size > LONGEST_FILE:
            raise Unusable("is not a private key that can be read")
        return _read(path.read_bytes())
    except FileNotFoundError as error:
        raise NotThere("is not there") from error
    except OSError as error:
        raise Unusable(error.strerror or "cannot be read") from error
    except paramiko.PasswordRequiredException as error:
        raise Unusable("needs a passphrase: load it into your agent") from error
    except (paramiko.SSHException, UnsupportedAlgorithm, ValueError, TypeError) as error:
        is_locked = "password" in str(error).lower() or "encrypted" in str(error).lower()
        why = "needs a passphrase: load it into your agent" if is_locked else "is not a private key that can be read"
        raise Unusable(why) from error


def _read(content: bytes) -> paramiko.PKey:
    """A private key in OpenSSH's form, PKCS#1, SEC 1 or PKCS#8. paramiko's own `from_path` also takes what lies beside
    a file, and fails where that is no certificate. Raises `Unusable`, or what paramiko and cryptography raise.
    """
    try:
        loaded: object = serialization.load_ssh_private_key(content, password=None)
    except ValueError:
        loaded = serialization.load_pem_private_key(content, password=None)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return paramiko.RSAKey.from_private_key(_as_openssh(loaded))
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return paramiko.Ed25519Key.from_private_key(_as_openssh(loaded))
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in CURVES:
        return paramiko.ECDSAKey.from_private_key(_as_openssh(loaded))
    raise Unusable("is a key of a type that cannot be used here")


def _as_openssh(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> StringIO:
    """In the one form that paramiko reads of each type: of PKCS#8 it reads none."""
    form = serialization.PrivateFormat.OpenSSH
    return StringIO(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode())
