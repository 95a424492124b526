"""What a machine's firewall lets in, read from its own list. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

ANYWHERE = "Anywhere"
"""ufw's word; for firewalld sparkqfs/remote/host.sh writes lines of the same form."""
_RULE = re.compile(r"(?P<to>.*?)\s+ALLOW(?: (?P<way>IN|OUT|FWD))?\s+(?P<source>.*)")
_PORTS = re.compile(r"(\d+(?::\d+)?(?:,\d+(?::\d+)?)*)")


def lets_in(rules: Iterable[str], address: str, ports: Iterable[int]) -> bool:
    """Whether lines `TO ALLOW FROM`, as of `ufw status`, let this address in: to all ports, or to each of these.

    Rules that forbid are not looked at, nor which protocol a port is open for.
    """
    wanted = set(ports)
    for line in rules:
        found = _RULE.fullmatch(line.partition("#")[0].strip())
        if found is None or found["way"] in ("OUT", "FWD") or not _is_from(found["source"], address):
            continue
        opened = _ports(found["to"])
        if opened is None:
            return True
        wanted = {port for port in wanted if not any(port in one for one in opened)}
        if not wanted:
            return True
    return False


def _is_from(source: str, address: str) -> bool:
    """Whether a rule's FROM has the address in it. A name is only itself."""
    words = _words(source)
    try:
        own = ipaddress.ip_address(address)
    except ValueError:
        return ANYWHERE in words or address in words
    if ANYWHERE in words:
        return ("(v6)" in words) == (own.version == 6)
    if any(_PORTS.fullmatch(word) for word in words):
        return False  # from some ports only
    return any(own in network for network in map(_network, words) if network is not None)


def _words(side: str) -> list[str]:
    """One side of a rule, without the protocol: `Anywhere/udp`, `192.168.1.0/24/tcp`."""
    return [word.removesuffix("/tcp").removesuffix("/udp") for word in side.split()]


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None


def _ports(to: str) -> list[range] | None:
    """The ports of a rule's TO; `None` where all are open, none for a name of an application."""
    words = [word for word in _words(to) if word != "(v6)"]
    if "on" in words:  # a network card
        del words[words.index("on") : words.index("on") + 2]
    words = [word for word in words if word != ANYWHERE and (_PORTS.fullmatch(word) or _network(word) is None)]
    if not words:
        return None
    found = []
    for numbers in (match[1] for match in map(_PORTS.fullmatch, words) if match):
        for part in numbers.split(","):
            first, _, last = part.partition(":")
            found.append(range(int(first), int(last or first) + 1))
    return found
