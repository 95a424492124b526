"""From a node's settings to an open connection: the user's ssh config, jump hosts, host keys, and what went wrong."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shlex
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.ssh_exception import NoValidConnectionsError

from sparkqfs import durable
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ConfigError, ExitCode, Problem, UnreachableError

KEEPALIVE_S = 15
MAX_INCLUDES = 16
"""Depth of files that include files, as in OpenSSH."""
_known_hosts_lock = threading.Lock()
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it logs, tracebacks too, is raised as well


# -- the user's ssh config ------------------------------------------------------------------------------------------


def load_ssh_config() -> paramiko.SSHConfig:
    """`~/.ssh/config`, then the system's; what is said first counts. Raises `ConfigError` naming the file."""
    config = paramiko.SSHConfig()
    for path in (Path.home() / ".ssh" / "config", Path("/etc/ssh/ssh_config")):
        try:
            config.parse(io.StringIO("Host *\n" + "\n".join(_lines(path, path.parent, 0)) + "\n"))
        except (OSError, ValueError, RuntimeError, paramiko.ConfigParseError) as error:
            raise ConfigError(Problem(what=f"cannot be read: {error}", file=str(path))) from error
    return config


def _lines(path: Path, folder: Path, depth: int) -> Iterator[str]:
    """A file's lines with those of included files in their place; paramiko itself does not know `Include`.

    After an included file the block goes on in which the word stood.
    """
    if depth > MAX_INCLUDES:
        raise RecursionError(f"more than {MAX_INCLUDES} files that include files")
    if not path.is_file():
        return
    block = "Host *"
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *rest = line.strip().replace("=", " ", 1).split(None, 1) or [""]
        if word.lower() in ("host", "match"):
            block = line
        if word.lower() != "include":
            yield line
            continue
        for pattern in shlex.split(rest[0] if rest else ""):
            wanted = Path(pattern).expanduser()
            found = wanted if wanted.is_absolute() else folder / wanted
            for included in sorted(Path("/").glob(str(found).lstrip("/"))):
                yield from _lines(included, folder, depth + 1)
        yield block


# -- host keys ------------------------------------------------------------------------------------------------------


class HostKeyPolicy(paramiko.MissingHostKeyPolicy):
    """A machine of which known_hosts has no key: trusted on first use and written there, or refused.

    paramiko itself refuses a changed key. A revoked one gets here, because it does not count as known.
    """

    def __init__(self, known_hosts: Path, *, strict: bool) -> None:
        self._path = known_hosts
        self._strict = strict

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        """Append the key, one line, under a lock: many connections open at the same time, some to one jump host.

        Raises `SSHException`; `BadHostKeyException` when another connection has just met another key there.
        """
        with _known_hosts_lock:
            known = paramiko.HostKeys()
            if key.get_base64() in _load_known_hosts(self._path, hostname, known):
                raise paramiko.SSHException(f"the host key of {hostname} is revoked")
            if self._strict:
                raise paramiko.SSHException(f"{hostname} is not in known_hosts")
            entry = known.lookup(hostname)
            found = entry.get(key.get_name()) if entry is not None else None
            if found is not None and found != key:
                raise paramiko.BadHostKeyException(hostname, key, found)
            if found is not None:
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            before = self._path.read_bytes() if self._path.exists() else b""
            glue = "" if not before or before.endswith(b"\n") else "\n"
            durable.append(self._path, f"{glue}{hostname} {key.get_name()} {key.get_base64()}\n")


def _load_known_hosts(path: Path, name: str, keys: paramiko.HostKeys) -> frozenset[str]:
    """Put a machine's keys under its name, without those that a line with `@revoked` names; these, in base64.

    Lines that paramiko does not understand (authorities of host certificates, damaged keys) are passed over.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    entries: list[HostKeyEntry] = []
    revoked: set[str] = set()
    for line in lines:
        words = line.split()
        marker = words.pop(0) if line.lstrip().startswith("@") else ""
        if marker not in ("", "@revoked") or len(words) < 3 or words[0][0] == "#" or not _is_among(name, words[0]):
            continue
        try:
            entry = HostKeyEntry.from_line(" ".join((name, *words[1:3])))
        except (InvalidHostKey, paramiko.SSHException, ValueError):
            continue
        if entry is None or entry.key is None:
            continue
        if marker:
            revoked.add(entry.key.get_base64())
        else:
            entries.append(entry)
    for entry in entries:
        if entry.key.get_base64() not in revoked:
            keys.add(name, entry.key.get_name(), entry.key)
    return frozenset(revoked)


def _is_among(name: str, names: str) -> bool:
    """Whether a line of known_hosts is about a machine: its name, hashed or not, `*` and `?`; never with a `!name`."""
    found = False
    for one in names.split(","):
        if one.startswith("|1|"):
            with contextlib.suppress(ValueError, IndexError, AssertionError):  # damaged
                found = found or paramiko.HostKeys.hash_host(name, one) == one
            continue
        pattern = re.escape(one.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(pattern, name, re.IGNORECASE):
            if one.startswith("!"):
                return False
            found = True
    return found


def _known_name(hop: Connection) -> str:
    """A machine's name in known_hosts."""
    return hop.host if hop.port == 22 else f"[{hop.host}]:{hop.port}"


SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
"""Names under which a machine offers a key of a type, where they are others than the type's own."""


def _transport(hop: Connection, sock: Any, **options: Any) -> paramiko.Transport:
    """A transport that asks for the types of key that known_hosts has of the machine before it asks for others.

    paramiko puts only the first known type in front, RSA's under a name that OpenSSH no longer offers; the machine
    would show another of its keys, which is then taken for a changed one.
    """
    transport = paramiko.Transport(sock, **options)
    known = hop.client.get_host_keys().lookup(_known_name(hop))
    wanted = [offered for kind in known or () for offered in SIGNATURES.get(kind, (kind,))]
    preferences = transport.get_security_options()
    usable = [kind for kind in wanted if kind in preferences.key_types]
    preferences.key_types = (*usable, *(kind for kind in preferences.key_types if kind not in usable))
    return transport


# -- the connection and its jump hosts ------------------------------------------------------------------------------


def open_connection(config: ClusterConfig, node: NodeConfig, ssh_config: paramiko.SSHConfig) -> Connection:
    """An open connection. Raises `UnreachableError` naming the node, the machine on the way that failed, and why."""
    connection = _make_connection(config, node, ssh_config)
    try:
        connection.open()
    except BaseException as error:
        failed = None
        if isinstance(error, (OSError, paramiko.SSHException, EOFError, ValueError)):
            failed = unreachable(config, node, error, connection)
        close_connection(connection)
        if failed is not None:
            raise failed from error
        raise
    for hop in _hops(connection):
        hop.transport.set_keepalive(KEEPALIVE_S)
    return connection


def close_connection(connection: Connection) -> None:
    """Close it and the connections to its jump hosts."""
    for hop in _hops(connection):
        with contextlib.suppress(Exception):
            hop.close()


def _hops(connection: Connection) -> list[Connection]:
    """The connection, then its jump hosts, the farthest first."""
    found = [connection]
    while isinstance(found[-1].gateway, Connection):
        found.append(found[-1].gateway)
    return found


def _make_connection(config: ClusterConfig, node: NodeConfig, ssh_config: paramiko.SSHConfig) -> Connection:
    ssh = config.ssh
    settings = Config(ssh_config=ssh_config)
    connection = Connection(
        node.address,
        user=ssh.user,
        port=node.port or ssh.port,
        config=settings,
        gateway=_jump_hosts(node.address, settings),
    )
    strict = ssh.host_keys == "strict"
    limit = config.timeouts.connect_s
    for hop in _hops(connection):
        hop.connect_timeout = limit
        hop.connect_kwargs = {
            **hop.connect_kwargs,
            "banner_timeout": limit,
            "auth_timeout": limit,
            "channel_timeout": limit,
            "transport_factory": partial(_transport, hop),
        }
        _load_known_hosts(ssh.known_hosts, _known_name(hop), hop.client.get_host_keys())
        # Fabric accepts any key
        hop.client.set_missing_host_key_policy(HostKeyPolicy(ssh.known_hosts, strict=strict))
    if ssh.key is not None:
        connection.connect_kwargs["key_filename"] = [str(ssh.key)]
    return connection


def _jump_hosts(address: str, settings: Config) -> Connection | bool | None:
    """The last of several jump hosts, which Fabric visits in the wrong order; `False` for `ProxyJump none`.

    `None` leaves one jump host, or a ProxyCommand, to Fabric.
    """
    words = str(settings.base_ssh_config.lookup(address).get("proxyjump", "")).split(",")
    if [word.lower() for word in words] == ["none"]:
        return False
    if len(words) < 2:
        return None
    gateway = None
    for word in words:
        gateway = Connection(word.strip(), config=settings.clone(), gateway=gateway)
    return gateway


# -- what went wrong ------------------------------------------------------------------------------------------------


def unreachable(
    config: ClusterConfig, node: NodeConfig, error: BaseException, connection: Connection | None = None
) -> UnreachableError:
    """The error for a machine, or a jump host before it, that cannot be reached."""
    hops = _hops(connection) if connection is not None else []
    failed = next((hop for hop in reversed(hops) if not hop.is_connected), None)
    is_jump = failed is not None and failed is not connection
    host = failed.host if failed is not None else node.address
    port = failed.port if failed is not None else node.port or config.ssh.port or 22
    where = f"the jump host {host}:{port}" if is_jump else f"{host}:{port}"
    through = f" through the jump host {hops[1].host}" if len(hops) > 1 and not is_jump else ""
    what, hint = _reason(config, node, error, host, where, is_jump)
    return UnreachableError(Problem(node=node.name, what=what + through, hint=hint, code=ExitCode.UNREACHABLE))


def _reason(
    config: ClusterConfig, node: NodeConfig, error: BaseException, host: str, where: str, is_jump: bool
) -> tuple[str, str]:
    """What is wrong, and a hint."""
    known_hosts = config.ssh.known_hosts
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"the host key of {where} has changed",
            f"if the machine was reinstalled, remove its old line from {known_hosts}",
        )
    no_key = isinstance(error, paramiko.SSHException) and "authentication methods" in str(error)
    if isinstance(error, paramiko.AuthenticationException) or no_key:
        hint = "set ssh.user and ssh.key, or load the key into your agent"
        if is_jump:
            hint = f"set User and IdentityFile of {host} in your ssh config, or load the key into your agent"
        return f"cannot log in to {where}: {error}", hint
    if isinstance(error, paramiko.SSHException) and "is revoked" in str(error):
        return (
            f"the host key of {where} is revoked",
            f"a line with @revoked in {known_hosts} names it: find out why; the machine needs a new host key",
        )
    if isinstance(error, paramiko.SSHException) and "known_hosts" in str(error):
        return (
            f"the host key of {where} is not known (ssh.host_keys: strict)",
            f"add it to {known_hosts}, or set ssh.host_keys: accept-new",
        )
    if isinstance(error, socket.gaierror):
        place = "ProxyJump or HostName in your ssh config" if is_jump else f"nodes.{node.name}.address"
        return f"cannot resolve {host}", f"correct {place}"
    hint = "is the machine up, and sshd running? `ssh` to it by hand shows more"
    if isinstance(error, TimeoutError):
        return f"no answer from {where} within {config.timeouts.connect_s:g} s", hint
    if "protocol banner" in str(error) or "No existing session" in str(error):
        return f"what listens at {where} does not answer as an SSH server does", hint
    said = error.text if isinstance(error, paramiko.ChannelException) else str(error)
    if isinstance(error, NoValidConnectionsError):  # one for each address of the name
        said = ", ".join(dict.fromkeys(str(getattr(one, "strerror", None) or one) for one in error.errors.values()))
    return f"cannot connect to {where}: {said or type(error).__name__}", hint
