"""The address under which a container is known: one string for Spark and the file system."""

from __future__ import annotations

import os
import signal
import socket
import time

from sparkqfs_runtime.supervise.setup import EX_TEMPFAIL, STOP_SIGNALS, Setup, die, say

PROBE_DEADLINE_S = 120.0


def route_address(host: str) -> str:
    """The local IPv4 address on the route to `host`. Raises OSError; no packet is sent."""
    address = socket.getaddrinfo(host, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


def node_address(host: str, deadline_s: float = PROBE_DEADLINE_S) -> str:
    """`route_address`, tried until it works: the probe host may start later than we. Exits 75 after `deadline_s`."""
    end = time.monotonic() + deadline_s
    told = 0.0
    while True:
        try:
            return route_address(host)
        except OSError as error:
            now = time.monotonic()
            if now >= end:
                die(EX_TEMPFAIL, f"no address for {host} within {deadline_s:.0f} s: {error}")
            if now - told >= 10.0:
                say(f"waiting for an address of {host}: {error}")
                told = now
        if signal.sigtimedwait(STOP_SIGNALS, 1.0) is not None:
            say("stopped while waiting")
            raise SystemExit(0)


def own_address() -> str:
    """The address of this container's own name (its first network), else that of the default route, else loopback.

    On the machines' own network SPARKQFS_SELF is the name under which the cluster knows this machine.
    """
    known = os.environ.get("SPARKQFS_SELF")
    if known:
        return route_address(known)
    for host in (socket.gethostname(), "192.0.2.1"):
        try:
            address = route_address(host) if host == "192.0.2.1" else socket.gethostbyname(host)
        except OSError:
            continue
        if not address.startswith("127."):
            return address
    return "127.0.0.1"


def knows_itself() -> bool:
    """Whether this host's own name has an address: on the machines' own network it may be in no DNS."""
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return False
    return True


def name_host(setup: Setup, address: str) -> None:
    """Spark looks its own host's name up before it reads a setting."""
    if not knows_itself():
        setup.environ["SPARK_LOCAL_HOSTNAME"] = address


def set_address(setup: Setup, first_service: str) -> str:
    """NODE_IP: one string for Spark and the file system, because Spark compares them as strings."""
    address = node_address(setup.get("SPARKQFS_PROBE_HOST", first_service))
    setup.environ["NODE_IP"] = address
    say(f"address {address}")
    return address
