"""Whether a machine's host key is the right one: what ssh's settings, known_hosts and host certificates say of it."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import shlex
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import paramiko

from sparkqfs import durable
from sparkqfs.clients import known_hosts
from sparkqfs.clients.bounded import TooMuch, output_of
from sparkqfs.clients.certificates import Certificate, as_certificate
from sparkqfs.clients.openssh import Login, with_variables
from sparkqfs.clients.revoked import NoList, is_revoked

COMMAND_S = 10.0
MOST_OUTPUT = 1 << 20
CERTIFICATE = "-cert-v01@openssh.com"
_lock = threading.Lock()
"""Many connections open at the same time, some of them to one jump host."""

Policy = Literal["strict", "accept-new", "no"]
POLICIES: dict[str, Policy] = {"true": "strict", "yes": "strict", "false": "no", "no": "no", "off": "no"}
"""StrictHostKeyChecking as `ssh -G` prints it; what is not here, `ask` among it, is `accept-new`."""


class HostKeyRefused(paramiko.SSHException):
    """A host key that is not taken. `why` is `new`, `changed` or `revoked`; `place` is the file or line.

    `fault` is what is wrong with a file or a program that should say which keys are known or revoked.
    """

    def __init__(self, why: known_hosts.Verdict, place: str, fault: str = "") -> None:
        super().__init__(f"{why}: {place}")
        self.why = why
        self.place = place
        self.fault = fault


@dataclass(frozen=True, slots=True)
class HostKeys(paramiko.MissingHostKeyPolicy):
    """The judge of one machine's key. paramiko knows no key by itself, so that it asks for every one."""

    login: Login
    policy: Policy
    user_files: tuple[Path, ...]
    is_direct: bool
    """False through a jump host or a ProxyCommand: then the peer's address says nothing."""

    @property
    def name(self) -> str:
        """The machine's name in known_hosts."""
        return self.login.alias or known_hosts.known_name(self.login.host, self.login.port)

    def entries(
        self, name: str, key: paramiko.PKey | None = None, asked_for: str = "HOSTNAME"
    ) -> list[known_hosts.Entry]:
        """What all files say of a name, the user's first; and KnownHostsCommand, which is told why it is asked."""
        found = known_hosts.entries_of(name, (*self.user_files, *self.login.global_known_hosts))
        return found + self._said_by_command(name, key, asked_for)

    def _said_by_command(self, name: str, key: paramiko.PKey | None, asked_for: str) -> list[known_hosts.Entry]:
        command = self.login.known_hosts_command
        if command is None or self._why_not_run(command):
            return []  # so does ssh, which goes on with the files
        words = {"H": self.login.host, "I": "ORDER", "K": "NONE", "t": "NONE", "f": "NONE"}
        if key is not None:
            blob = key.asbytes()
            digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            words |= {"H": name, "I": asked_for, "K": base64.b64encode(blob).decode(), "t": key.get_name()}
            words["f"] = f"SHA256:{digest}"
        try:
            program, *arguments = shlex.split(command)
            argv = [program, *(with_variables(word, {**self.login.tokens, **words}) for word in arguments)]
            code, out, _ = output_of(argv, COMMAND_S, MOST_OUTPUT)
        except (OSError, ValueError, TooMuch) as error:
            raise paramiko.SSHException(f"KnownHostsCommand of your ssh config fails: {error}") from error
        if code != 0:
            raise paramiko.SSHException(f"KnownHostsCommand of your ssh config ends with exit code {code}")
        return known_hosts.parsed(Path("KnownHostsCommand"), out).of(name)

    @staticmethod
    def _why_not_run(command: str) -> str:
        """What ssh has against a KnownHostsCommand that it does not start. Source: OpenSSH 9.2, subprocess."""
        try:
            program = next(iter(shlex.split(command)), "")
            is_there = Path(program).exists()
        except (OSError, ValueError):  # it says so itself when it is started
            return ""
        if program.startswith("/") and is_there:
            return ""
        why = f"there is no {program}" if program.startswith("/") else f"{program!r} is not an absolute path"
        return f"KnownHostsCommand of your ssh config is not run: {why}"

    # -- before the key is seen ---------------------------------------------------------------------------------------

    def types(self, usable: tuple[str, ...]) -> tuple[str, ...]:
        """Types of key to ask for, in the order of OpenSSH: those first that the files have of the machine.

        The machine would otherwise show another of its keys, which is then taken for a changed one. `usable` are those
        that paramiko can check. Raises `SSHException` where the ssh config wants none of them. Source: OpenSSH 9.2,
        order_hostkeyalgs.
        """
        wanted = tuple(kind for kind in self.login.host_key_types if kind in usable)
        if not wanted and self.login.host_key_types:
            raise paramiko.SSHException("HostKeyAlgorithms of your ssh config has no type that can be checked here")
        if not wanted:
            wanted = tuple(kind for kind in usable if not kind.endswith(CERTIFICATE))
        entries = self.entries(self.name)
        has_authority = any(entry.marker == "@cert-authority" for entry in entries)
        known = {entry.type for entry in entries if entry.marker == ""}
        if _plain(wanted[0]) in known:
            return wanted

        def comes_first(kind: str) -> bool:
            return (kind.endswith(CERTIFICATE) and has_authority) or _plain(kind) in known

        return (*filter(comes_first, wanted), *(kind for kind in wanted if not comes_first(kind)))

    # -- the key ------------------------------------------------------------------------------------------------------

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Accept the key, written down where it is new; or raise `HostKeyRefused`."""
        certificate = as_certificate(key)
        authority = [certificate.authority] if certificate is not None else []
        self._ask_revocations(key, *authority)
        peer = _peer(client.get_transport()) if self.is_direct else None
        if peer is not None and self.login.trusts_localhost and self.login.alias is None and _is_loopback(peer):
            return
        entries = self.entries(self.name, key)
        said = known_hosts.verdict(entries, key.asbytes(), *authority)
        if said != "revoked" and certificate is not None and self._is_vouched_for(certificate, entries):
            return  # otherwise the key counts as one without a certificate
        if said == "new" and self._is_known_without_port(key, certificate):
            return
        if said != "changed" and peer is not None:
            self._ask_of_address(peer, key)
        self._judge(said, entries, key)

    def _is_vouched_for(self, certificate: Certificate, entries: list[known_hosts.Entry]) -> bool:
        """Whether the certificate is this machine's, of an authority that known_hosts has for it."""
        name = self.login.alias or self.login.host.lower()
        signatures = self.login.authority_signatures
        has_authority = known_hosts.has_authority(entries, certificate.authority)
        return has_authority and certificate.is_valid_for(name, signatures)

    def _judge(self, said: known_hosts.Verdict, entries: list[known_hosts.Entry], key: paramiko.PKey) -> None:
        if said == "known" or (self.policy == "no" and said != "new"):
            return
        if said == "new" and self.policy != "strict" and self.user_files:
            self._write(key)
            return
        marker = "@revoked" if said == "revoked" else ""
        places = [f"line {one.line} of {one.file}" for one in entries if one.marker == marker]
        if said != "new" and places:
            raise HostKeyRefused(said, places[0])
        fault = self._why_not_run(self.login.known_hosts_command or "/")
        raise HostKeyRefused(said, str(next(iter(self.user_files), "")), fault)

    def _ask_revocations(self, key: paramiko.PKey, *authority: bytes) -> None:
        """RevokedHostKeys, which no setting weakens; a file that cannot be read revokes all.

        A certificate may be revoked by its number or its name, where its key is not.
        """
        file = self.login.revoked_keys
        if file is None:
            return
        keys = [key.asbytes(), *authority]
        keys += [key.public_blob.key_blob] if key.public_blob is not None else []
        try:
            if is_revoked(file, keys):
                raise HostKeyRefused("revoked", str(file))
        except NoList as error:
            raise HostKeyRefused("revoked", str(file), str(error)) from error

    def _is_known_without_port(self, key: paramiko.PKey, certificate: Certificate | None) -> bool:
        """Keys and authorities of the machine's port 22 count at its other ports, as with OpenSSH."""
        if self.login.alias is not None or self.login.port == 22:
            return False
        entries = self.entries(self.login.host.lower(), key)
        if known_hosts.verdict(entries, key.asbytes()) == "known":
            return True
        if certificate is None or known_hosts.verdict(entries, key.asbytes(), certificate.authority) == "revoked":
            return False
        return self._is_vouched_for(certificate, entries)

    def _ask_of_address(self, peer: str, key: paramiko.PKey) -> None:
        """CheckHostIP: the address, where it is known, must have this key too."""
        if not self.login.checks_address or self.policy == "no" or self.login.alias is not None or _is_loopback(peer):
            return
        entries = self.entries(known_hosts.known_name(peer, self.login.port), key, "ADDRESS")
        if known_hosts.verdict(entries, key.asbytes()) == "changed":
            raise HostKeyRefused("changed", f"line {entries[0].line} of {entries[0].file}")

    def _write(self, key: paramiko.PKey) -> None:
        """One line in the user's first file. Where it cannot be written the key stays unknown, as with OpenSSH.

        Another connection may have written there meanwhile: the same key, or another one, which then counts.
        """
        path = self.user_files[0]
        with _lock, suppress(OSError):
            entries = known_hosts.entries_of(self.name, [path])
            said = known_hosts.verdict(entries, key.asbytes())
            if said != "new":
                self._judge(said, entries, key)
            elif path.is_file() or not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                before = path.read_bytes() if path.is_file() else b""
                glue = "" if not before or before.endswith(b"\n") else "\n"
                durable.append(path, f"{glue}{self.name} {key.get_name()} {key.get_base64()}\n")


def _plain(kind: str) -> str:
    """The type of key under which known_hosts has what is offered by this name."""
    kind = kind.removesuffix(CERTIFICATE)
    return "ssh-rsa" if kind.startswith("rsa-sha2-") else kind


def _peer(transport: Any) -> str | None:
    """The address at the other end."""
    with suppress(OSError, IndexError, TypeError, AttributeError):
        return str(transport.getpeername()[0])
    return None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
