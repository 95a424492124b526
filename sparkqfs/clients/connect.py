"""Opens the clients of a cluster and closes them at the end, whatever happens."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sparkqfs.clients.engine import Engine
from sparkqfs.clients.openssh import OpenSsh
from sparkqfs.clients.parallel import Results, run_on
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.clients.wait import in_time
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem

T = TypeVar("T")


class Clients:
    """One `NodeClient` a machine, one `Engine` where one is asked for."""

    def __init__(self, config: ClusterConfig, sudo_password: str | None = None) -> None:
        self.config = config
        openssh = OpenSsh(config.timeouts.connect_s)
        self._nodes = {node.name: NodeClient(config, node, sudo_password, openssh) for node in config.nodes}
        self._engines: dict[str, Engine] = {}

    def node(self, name: str) -> NodeClient:
        """The machine of this name."""
        return self._nodes[name]

    @property
    def manager(self) -> NodeClient:
        """The manager's machine."""
        return self._nodes[self.config.manager.name]

    def on_open(self, function: Callable[[], None] | None) -> None:
        """Call it in each thread that opens a machine's first connection, before anything is done over that."""
        for client in self._nodes.values():
            client.on_open = function

    def engine(self, name: str | None = None) -> Engine:
        """The Docker Engine of a machine; the manager's without a name."""
        name = name or self.config.manager.name
        if name not in self._engines:
            self._engines[name] = Engine(self._nodes[name])
        return self._engines[name]

    def on(self, names: tuple[str, ...], function: Callable[[str], T]) -> Results[T]:
        """`function(name)` on each machine, at most `ssh.parallel` at a time."""
        return run_on(names, function, limit=self.config.ssh.parallel)

    def refuse(self, problem: Problem) -> None:
        """Begin nothing more on any machine; whoever tries gets this problem."""
        for client in self._nodes.values():
            client.refusal = problem

    def cancel(self) -> None:
        """Ctrl-C: end what still runs on the machines, all at once; five seconds for those that do not answer."""
        self._on_all(NodeClient.cancel)

    def end_programs(self) -> None:
        """The same, but the connections stay: there is a last word to write."""
        self._on_all(NodeClient.end_programs)

    def _on_all(self, function: Callable[[NodeClient], None]) -> None:
        threads = [threading.Thread(target=function, args=(client,), daemon=True) for client in self._nodes.values()]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 5.0
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Close everything."""
        for engine in self._engines.values():
            with contextlib.suppress(Exception):
                engine.close()
        for client in self._nodes.values():
            client.close()


@contextlib.contextmanager
def open_clients(config: ClusterConfig, sudo_password: str | None = None) -> Iterator[Clients]:
    """Clients for the length of a command; an interrupt ends the remote commands too."""
    clients = Clients(config, sudo_password)
    try:
        yield clients
    except KeyboardInterrupt:
        clients.cancel()
        in_time(clients.close)
        raise
    except BaseException:
        clients.close()
        raise
    clients.close()
