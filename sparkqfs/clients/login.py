"""From a node's settings to an open connection: the way there as ssh would take it, jump hosts, and what went wrong."""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection

from sparkqfs.clients.authentication import Authentication, LoginRefused
from sparkqfs.clients.host_keys import POLICIES, HostKeyRefused, HostKeys, Policy
from sparkqfs.clients.openssh import Login, OpenSsh
from sparkqfs.clients.proxy import ProxySocket, started
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ConfigError, ExitCode, Problem, UnreachableError

KEEPALIVE_S = 15
SSH_PORT = 22
MOST_JUMPS = 16
"""Jump hosts before a machine; more of them lead to each other."""
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it logs, tracebacks too, is raised as well


# -- the connection and its jump hosts ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hop:
    """One connection on the way, and what ssh says of it."""

    connection: Connection
    login: Login


def way_to(config: ClusterConfig, node: NodeConfig, openssh: OpenSsh) -> list[Hop]:
    """The connections to a node, none of them open: what the cluster's settings say, all else as ssh does.

    Raises `ConfigError` where ssh finds a fault in its own configuration, `UnreachableError` where it cannot say.
    """
    try:
        login = openssh.login(node.address, user=node.user or config.ssh.user, port=node.port or config.ssh.port)
        return _way(config, login, openssh, key=node.key or config.ssh.key)
    except (ConfigError, UnreachableError) as error:
        raise type(error)(*(replace(problem, node=node.name) for problem in error.problems)) from error


def open_connection(config: ClusterConfig, node: NodeConfig, openssh: OpenSsh) -> Connection:
    """An open connection. Raises `UnreachableError` naming the node, the machine on the way that failed, and why;
    `ConfigError` where ssh finds a fault in its own configuration."""
    hops = way_to(config, node, openssh)
    connection = hops[0].connection
    try:
        for hop in reversed(hops):
            _dial(hop, config.timeouts.connect_s)
            hop.connection.open()
    except BaseException as error:
        failed = None
        if isinstance(error, (OSError, paramiko.SSHException, EOFError, ValueError)):
            failed = unreachable(config, node, error, hops)
        close_connection(connection)
        if failed is not None:
            raise failed from error
        raise
    for hop in hops:
        hop.connection.transport.set_keepalive(KEEPALIVE_S)
    return connection


def close_connection(connection: Connection) -> None:
    """Close it and the connections to its jump hosts."""
    while isinstance(connection, Connection):
        with contextlib.suppress(Exception):
            connection.close()
        with contextlib.suppress(Exception):
            if isinstance(sock := connection.connect_kwargs.get("sock"), ProxySocket):
                sock.close()
        connection = connection.gateway


def _way(
    config: ClusterConfig, login: Login, openssh: OpenSsh, *, key: Path | None = None, depth: int = 0
) -> list[Hop]:
    """The connection, not yet open, then those to its jump hosts, the farthest first."""
    if depth > MOST_JUMPS:
        what = f"ProxyJump in your ssh config: more than {MOST_JUMPS} jump hosts, of which {login.name} is one"
        raise ConfigError(Problem(what=what, hint="a jump host may not need itself"))
    before: list[Hop] = []
    if login.jump is not None:
        others, _, last = login.jump.rpartition(",")
        user, host, port = _split_jump(last)
        gate = openssh.login(host, user=user, port=port, jump=others or None)
        before = _way(config, gate, openssh, depth=depth + 1)
    is_direct = not before and login.proxy_command is None
    connection = Connection(
        login.host,
        user=login.user,
        port=login.port,
        config=Config(ssh_config=paramiko.SSHConfig(), lazy=True),
        gateway=before[0].connection if before else False,
    )
    limit = config.timeouts.connect_s
    judge = HostKeys(login, _policy(config, login), _known_hosts(config, login), is_direct)
    connection.connect_timeout = limit
    connection.connect_kwargs = {
        "banner_timeout": limit,
        "auth_timeout": limit,
        "channel_timeout": limit,
        "transport_factory": partial(_transport, judge),
        "auth_strategy": Authentication(login, key),
    }
    connection.client.set_missing_host_key_policy(judge)  # Fabric accepts any key
    return [Hop(connection, login), *before]


def _policy(config: ClusterConfig, login: Login) -> Policy:
    """What is done with a key that is not known, or another: hosts.yml's word first, then that of the ssh config."""
    return config.ssh.host_keys or POLICIES.get(login.host_keys, "accept-new")


def _known_hosts(config: ClusterConfig, login: Login) -> tuple[Path, ...]:
    return (config.ssh.known_hosts,) if config.ssh.known_hosts is not None else login.known_hosts


def _split_jump(text: str) -> tuple[str | None, str, int | None]:
    """User, host and port of `[user@]host[:port]`, an IPv6 address in brackets; or of an ssh:// URI."""
    user, _, place = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
    host, colon, port = place.rpartition(":")
    if not colon or "]" in port or not port.isdecimal():
        host, port = place, ""
    return user or None, host.removeprefix("[").removesuffix("]"), int(port) if port else None


def _transport(judge: HostKeys, sock: Any, **options: Any) -> paramiko.Transport:
    """A transport that asks for host keys in OpenSSH's order: those first that are known of the machine."""
    transport = paramiko.Transport(sock, **options)
    usable = transport.get_security_options()
    plain = tuple(usable.key_types)
    usable.key_types = judge.types((*(f"{kind}-cert-v01@openssh.com" for kind in plain), *plain))
    return transport


def _dial(hop: Hop, limit_s: float) -> None:
    """Make the connection as ssh does, to which paramiko then talks; through a jump host Fabric makes it."""
    login = hop.login
    if login.proxy_command is not None:
        sock: socket.socket = started(login.proxy_command, passes_socket=login.passes_socket, limit_s=limit_s)
    elif login.jump is None:
        sock = _connected(login, limit_s)
    else:
        return
    hop.connection.connect_kwargs["sock"] = sock


def _connected(login: Login, limit_s: float) -> socket.socket:
    """A connection to the first of the machine's addresses that takes one. Raises `OSError`, that of the last."""
    family = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(login.family, socket.AF_UNSPEC)
    failed: OSError = socket.gaierror("no address")
    for kind, _, _, _, address in socket.getaddrinfo(login.host, login.port, family, socket.SOCK_STREAM):
        sock = socket.socket(kind, socket.SOCK_STREAM)
        try:
            sock.settimeout(limit_s)
            if login.bind_address:
                sock.bind((login.bind_address, 0))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


# -- what went wrong ------------------------------------------------------------------------------------------------


def unreachable(
    config: ClusterConfig, node: NodeConfig, error: BaseException, hops: Sequence[Hop] = ()
) -> UnreachableError:
    """The error for a machine, or a jump host before it, that cannot be reached."""
    failed = next((hop for hop in reversed(hops) if not hop.connection.is_connected), None)
    is_jump = failed is not None and failed is not hops[0]
    host = failed.login.host if failed is not None else node.address
    port = failed.login.port if failed is not None else node.port or config.ssh.port or 22
    where = f"the jump host {host}:{port}" if is_jump else f"{host}:{port}"
    through = f" through the jump host {hops[1].login.host}" if len(hops) > 1 and not is_jump else ""
    what, hint = _reason(config, node, error, host, where, is_jump)
    if isinstance(error, LoginRefused) and failed is not None and error.takes_keys:
        own = None if is_jump else node.key or config.ssh.key
        hint = f"{_way_to_copy(failed.login, own, had_key=error.had_key)}, or {hint}"
    proxy = failed.connection.connect_kwargs.get("sock") if failed is not None else None
    if isinstance(proxy, ProxySocket):
        through = f"; its ProxyCommand says: {said}" if (said := proxy.last_words()) else " through its ProxyCommand"
    return UnreachableError(Problem(node=node.name, what=what + through, hint=hint, code=ExitCode.UNREACHABLE))


def _reason(
    config: ClusterConfig, node: NodeConfig, error: BaseException, host: str, where: str, is_jump: bool
) -> tuple[str, str]:
    """What is wrong, and a hint."""
    if isinstance(error, HostKeyRefused):
        return _host_key_reason(config, error, where)
    if isinstance(error, paramiko.AuthenticationException):
        hint = f"set ssh.user and ssh.key, or user and key of nodes.{node.name}, or load the key into your agent"
        if is_jump:
            hint = f"set User and IdentityFile of {host} in your ssh config, or load the key into your agent"
        return f"cannot log in to {where}: {error}", hint
    if isinstance(error, socket.gaierror):
        place = "ProxyJump or HostName in your ssh config" if is_jump else f"nodes.{node.name}.address"
        return f"cannot resolve {host}", f"correct {place}"
    hint = "is the machine up, and sshd running? `ssh` to it by hand shows more"
    if isinstance(error, TimeoutError):
        return f"no answer from {where} within {config.timeouts.connect_s:g} s", hint
    if "protocol banner" in str(error) or "No existing session" in str(error):
        return f"what listens at {where} does not answer as an SSH server does", hint
    said = (
        error.text if isinstance(error, paramiko.ChannelException) else getattr(error, "strerror", None) or str(error)
    )
    ended = "the connection ended" if isinstance(error, EOFError) else type(error).__name__
    return f"cannot connect to {where}: {said or ended}", hint


def _way_to_copy(login: Login, key: Path | None, *, had_key: bool) -> str:
    """How a key comes to the machine, with ssh's own programs."""
    words = ["ssh-copy-id"]
    words += ["-i", str(key)] if key is not None and had_key else []
    words += ["-p", str(login.port)] if login.port != SSH_PORT else []
    copy = f"`{shlex.join([*words, f'{login.user}@{login.name}'])}`"
    return f"{copy} lets your key in" if had_key else f"`ssh-keygen -t ed25519` makes a key, {copy} lets it in"


def _host_key_reason(config: ClusterConfig, error: HostKeyRefused, where: str) -> tuple[str, str]:
    if error.why == "changed":
        hint = f"if the machine was reinstalled, remove its old key: {error.place}"
        return f"the host key of {where} has changed", hint
    if error.why == "revoked" and error.fault:
        hint = f"ssh refuses every host key as long as RevokedHostKeys of your ssh config is so: {error.fault}"
        return f"the host key of {where} is revoked, as all are", hint
    if error.why == "revoked":
        hint = f"find out why; the machine needs a new host key: {error.place}"
        return f"the host key of {where} is revoked", hint
    if not error.place:
        hint = "set ssh.known_hosts"
        return f"the host key of {where} is not known, and your ssh config has no file for new ones", hint
    setting = "ssh.host_keys: strict" if config.ssh.host_keys else "StrictHostKeyChecking yes in your ssh config"
    hint = f"add it to {error.place}, or set ssh.host_keys: accept-new"
    also = f"; {error.fault}" if error.fault else ""
    return f"the host key of {where} is not known ({setting}){also}", hint
