"""Logs in as OpenSSH would without a terminal: nothing at all first, then keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from sparkqfs.clients.certificates import SUFFIX
from sparkqfs.clients.home_config import home
from sparkqfs.clients.keys import Keys, NotThere, Unfit, Unusable, is_held
from sparkqfs.clients.openssh import DEFAULT_NAMES, Login

MOST_NAMED = 8
"""Keys that a message names."""
SIGNATURE_S = 120.0
"""An agent may ask its user, and sshd waits as long. Source: sshd_config(5), LoginGraceTime."""
TIMEOUT = "Authentication timeout."
"""paramiko's text for it."""
RSA_BY_DEFAULT = ("rsa-sha2-512", "rsa-sha2-256")
RSA = (*RSA_BY_DEFAULT, "ssh-rsa")


class LoginRefused(paramiko.AuthenticationException):
    """No key was accepted. Its text says what was tried."""

    def __init__(self, text: str, *, takes_keys: bool, had_key: bool) -> None:
        super().__init__(text)
        self.takes_keys = takes_keys
        """Whether another key would help."""
        self.had_key = had_key
        """Whether there is one that it might take."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """What paramiko calls to log in."""

    login: Login
    first: Path | None = None
    """The key file of the cluster's settings, before all others."""
    usual: list[str] = field(default_factory=list)
    """Keys of the last login that are there, and that such machines take."""

    def authenticate(self, transport: Any) -> None:
        """Returns when the machine has let us in. Raises `LoginRefused`, or what ended the connection."""
        allowed = _without_key(transport, self.login.user)
        tried: list[str] = []
        self.usual.clear()
        if not transport.is_authenticated():
            if self.login.public_keys and "publickey" in allowed:
                allowed = self._with_keys(transport, tried, allowed)
            if not transport.is_authenticated():
                raise self._refused(tried, allowed)

    def _with_keys(self, transport: Any, tried: list[str], allowed: list[str]) -> list[str]:
        """Offers key after key; the methods that the machine then still allows."""
        limit_s = transport.auth_timeout
        with Keys(self.login, self.first) as keys:
            for candidate in keys.candidates():
                try:
                    key = candidate.load()
                    self._ask_of_algorithm(transport, key)
                    self.usual.append(candidate.source)
                    transport.auth_timeout = max(limit_s, SIGNATURE_S) if is_held(key) else limit_s
                    allowed = transport.auth_publickey(self.login.user, key)
                    tried.append(f"{candidate.source} (accepted, but not enough)")
                except Unusable as error:
                    self.usual.extend([] if isinstance(error, Unfit) else [candidate.source])
                    if not isinstance(error, NotThere) or candidate.source not in self._by_default():
                        tried.append(f"{candidate.source} ({error})")
                except paramiko.BadAuthenticationType as error:
                    return list(error.allowed_types)
                except paramiko.AuthenticationException as error:
                    tried.append(candidate.source)
                    if str(error) == TIMEOUT:  # what comes later would count for the next key
                        tried[-1] += f" (no answer within {transport.auth_timeout:g} s)"
                        raise self._refused(tried, allowed) from error
                    if not transport.is_active():
                        tried[-1] += ", after which it closed the connection"
                        raise self._refused(tried, allowed) from error
                if transport.is_authenticated() or "publickey" not in allowed:
                    break
        return allowed

    def _ask_of_algorithm(self, transport: Any, key: paramiko.PKey) -> None:
        """Raises `Unusable` for an RSA key where the machine says that it takes no signature that we may make with it.

        paramiko would end the connection. Source: OpenSSH 9.2, key_sig_algorithm.
        """
        said = transport.server_extensions.get("server-sig-algs")
        if not said or not key.get_name().startswith("ssh-rsa"):
            return
        taken = (said.decode(errors="replace") if isinstance(said, bytes) else said).split(",")
        accepted = {name.removesuffix(SUFFIX) for name in self.login.accepted_keys or RSA_BY_DEFAULT}
        ours = [name for name in RSA if name in accepted]
        if not any(name in taken for name in ours):
            raise Unfit("the machine takes no signatures of RSA keys")

    def _by_default(self) -> set[str]:
        """Files that ssh looks for where it is told of none: most people have one of them."""
        known = {str(home() / ".ssh" / name) for name in (*DEFAULT_NAMES, "id_xmss", "id_dsa")}
        named = {str(path) for path in self.login.identities}
        return named if len(named) > 2 and named <= known else set()

    def _refused(self, tried: list[str], allowed: list[str]) -> LoginRefused:
        takes_keys = self.login.public_keys and "publickey" in allowed
        return LoginRefused(self._said(tried, allowed), takes_keys=takes_keys, had_key=bool(self.usual))

    def _said(self, tried: list[str], allowed: list[str]) -> str:
        if not self.login.public_keys:
            return "your ssh config forbids logins with keys"
        if "publickey" not in allowed:
            return f"the machine takes {', '.join(allowed) or 'no method'} only" + (
                f" after {', '.join(tried[:MOST_NAMED])}" if tried else ""
            )
        if not tried:
            return "there is no key to offer"
        more = f" and {len(tried) - MOST_NAMED} more" if len(tried) > MOST_NAMED else ""
        return f"as {self.login.user}: tried {', '.join(tried[:MOST_NAMED])}{more}"


def _without_key(transport: Any, user: str) -> list[str]:
    """Asks to be let in as one is, which some machines do; otherwise says which methods they take."""
    try:
        return list(transport.auth_none(user))
    except paramiko.BadAuthenticationType as error:
        return list(error.allowed_types)
