"""What doctor alone asks: programs of each machine, and what is between the machines."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sparkqfs.clients.broken import close
from sparkqfs.clients.connect import Clients
from sparkqfs.clients.parallel import Results
from sparkqfs.clients.ssh import is_forbidden
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.host import HostFact, Reached, parse_host, parse_reached
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.remote import script

HOST_SCRIPT, REACH_SCRIPT = script("host"), script("reach")
ASK_S = 90.0
MOST_FULL = 16
"""Up to so many machines each pair is tried; above that a ring, and all with the manager."""
CONNECT_S = 3.0
REFUSED_S = 2.0
"""A port on which nothing listens answers sooner; later than that something has swallowed the packets."""


def gather_hosts(config: ClusterConfig, clients: Clients, names: Iterable[str]) -> Results[HostFact]:
    """What the machines' programs say, one exchange a machine."""

    def ask(name: str) -> HostFact:
        words = (config.node(name).advertise, config.manager.advertise)
        output = clients.node(name).script(HOST_SCRIPT, *words, timeout_s=ASK_S)
        try:
            return parse_host(output.stdout)
        except (ValueError, IndexError) as error:
            what = f"cannot read the machine's answer: {error}; it said: {output.last_lines(3)}"
            raise ClusterError(Problem(node=name, what=what)) from error

    return clients.on(tuple(names), ask)


def pairs_of(names: tuple[str, ...], manager: str) -> tuple[tuple[str, str], ...]:
    """Each pair of machines once; of many machines a ring, and each with the manager."""
    if len(names) <= MOST_FULL:
        return tuple(itertools.combinations(names, 2))
    ring = zip(names, (*names[1:], names[0]), strict=True)
    hub = ((manager, name) for name in names if name != manager)
    return tuple(dict.fromkeys(tuple(sorted(pair)) for pair in itertools.chain(ring, hub)))  # type: ignore[misc]


def gather_reached(
    config: ClusterConfig, clients: Clients, hosts: Mapping[str, HostFact]
) -> tuple[tuple[Reached, ...], tuple[Problem, ...]]:
    """Large packets between the machines, one exchange a machine."""
    pairs = pairs_of(tuple(hosts), config.manager.name)

    def ask(name: str) -> tuple[Reached, ...]:
        peers = [f"{target}={config.node(target).advertise}" for source, target in pairs if source == name]
        if not peers or not hosts[name].mtu:
            return ()
        mtu = min(hosts[name].mtu, 9216)
        return parse_reached(name, clients.node(name).script(REACH_SCRIPT, str(mtu), *peers, timeout_s=ASK_S).stdout)

    results = clients.on(tuple(hosts), ask)
    return tuple(one for found in results.values.values() for one in found), results.problems


def gather_closed(
    config: ClusterConfig, clients: Clients, facts: Mapping[str, NodeFacts], port: int, manager_port: int
) -> tuple[tuple[str, str, int], ...]:
    """(from, to, port) of Swarm's connections that do not come through, asked over each machine's sshd.

    Where no swarm is yet, a port that answers that nothing listens is open.
    """
    manager = config.manager.name
    tries = [(source, target, port) for source, target in pairs_of(tuple(facts), manager)]
    tries += [(name, manager, manager_port) for name in facts if name != manager and manager in facts]

    def is_closed(one: tuple[str, str, int]) -> bool:
        source, target, number = one
        listens = facts[target].swarm_state == "active"
        return all(_fails(config, clients, source, target, number, listens=listens) for _ in range(2))

    with ThreadPoolExecutor(max_workers=16) as pool:
        return tuple(one for one, closed in zip(tries, pool.map(is_closed, tries), strict=True) if closed)


def _fails(config: ClusterConfig, clients: Clients, source: str, target: str, port: int, *, listens: bool) -> bool:
    began = time.monotonic()
    try:
        close(clients.node(source).tcp_channel(config.node(target).advertise, port, CONNECT_S))
    except ClusterError:
        return False
    except OSError as error:
        return not is_forbidden(error) and (listens or time.monotonic() - began > REFUSED_S)
    return False
