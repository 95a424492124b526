"""What every job stands on: the configuration, the clients, where events go, and the lock."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sparkqfs.amounts import amount
from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.clients.connect import Clients
from sparkqfs.clients.hold import complaint, heartbeat
from sparkqfs.clients.ssh import SUDO_HINT
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, ExitCode, Problem, RefusedError, UnreachableError
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.gather.nodes import gather_nodes
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.identity import identify
from sparkqfs.plan.cluster.images import ImageRef
from sparkqfs.plan.cluster.nodes import SECRET_NAMES
from sparkqfs.plan.cluster.ownership import name_problems
from sparkqfs.plan.cluster.restore import manager_problems
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import Backend
from sparkqfs.remote import script

OnEvent = Callable[[str], None]


@dataclass(slots=True)
class Session:
    """One command on one cluster: facts are asked for once and kept."""

    config: ClusterConfig
    clients: Clients
    on_event: OnEvent
    dry_run: bool = False
    locked: bool = False
    """True while this command holds the cluster's lock."""
    lock_owner: str = ""
    """What the lock's file says meanwhile."""
    is_restoring: bool = False
    """A restore has its answers, and is on its way: metadata that is gone is what it puts back."""
    confirm: Callable[[str], bool] = lambda _question: False
    _facts: dict[str, NodeFacts] | None = None
    _problems: tuple[Problem, ...] = ()
    _is_counted: bool = False
    references: dict[str, ImageRef] = field(default_factory=dict)
    """Image references, worked out once: hashing the contexts reads files."""
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def again(self) -> Session:
        """The same cluster with nothing asked of it yet, for one more look."""
        return Session(self.config, self.clients, self.on_event, is_restoring=self.is_restoring)

    @property
    def backend(self) -> Backend:
        """The storage backend."""
        return backend_of(self.config)

    def facts(self, *, fresh: bool = False, counted: bool = False) -> tuple[dict[str, NodeFacts], tuple[Problem, ...]]:
        """Facts of every node that could be asked, and the problems of the others; `counted` with numbers of blocks."""
        if self._facts is None or fresh or (counted and not self._is_counted):
            number = len(self.config.nodes)
            self.on_event(f"{'counting the blocks of' if counted else 'asking'} {amount(number, 'machine')}")
            results = gather_nodes(self.config, self.clients, self.backend.layout, counted=counted)
            self._facts, self._problems, self._is_counted = results.values, results.problems, counted
        return self._facts, self._problems

    def forget_facts(self) -> None:
        """Ask the machines again when the next facts are needed."""
        self._facts = None

    def all_facts(self) -> dict[str, NodeFacts]:
        """Facts of every node. Raises when one could not be asked: for tasks that need all of them."""
        facts, problems = self.facts()
        if problems:
            raise ClusterError(*problems)
        return facts

    def manager_facts(self) -> NodeFacts:
        """Facts of the manager."""
        facts, problems = self.facts()
        if self.config.manager.name not in facts:
            raise ClusterError(*[problem for problem in problems if problem.node == self.config.manager.name])
        return facts[self.config.manager.name]

    def secrets(self, *, complete: bool = True) -> dict[str, str]:
        """The cluster's secrets, read from the manager. Raises with a hint when prep has not made them.

        `complete`: all that this version needs; an earlier one made fewer.
        """
        if not self._secrets:
            self._secrets = self._read_secrets()
        if complete and not set(SECRET_NAMES) <= set(self._secrets):
            self._secrets = self._read_secrets()  # prep may have added them since
        lacking = [name for name in SECRET_NAMES if name not in self._secrets]
        if complete and lacking:
            what = f"its secrets lack {', '.join(lacking)}, which an earlier version did not make"
            raise ClusterError(Problem(node=self.config.manager.name, what=what, hint="run `invoke prep` first"))
        return self._secrets

    def _read_secrets(self) -> dict[str, str]:
        path = str(private_directory(self.config) / "secrets")
        output = self.clients.manager.run(["cat", "--", path], check=False)
        if output.exit_code != 0:
            what = f"{path} cannot be read: {output.last_lines(1)}"
            raise ClusterError(Problem(node=self.config.manager.name, what=what, hint="run `invoke prep` first"))
        try:
            return {str(k): str(v) for k, v in json.loads(output.stdout).items()}
        except (ValueError, AttributeError, RecursionError) as error:
            what = f"{path} is damaged"
            hint = (
                "a copy of it may be on another node: docs/backup.md, Secrets and the cluster's id; without one remove "
            )
            hint += "the file, and `invoke prep` makes new secrets"
            raise ClusterError(Problem(node=self.config.manager.name, what=what, hint=hint)) from error

    def registry_auth(self) -> dict[str, str]:
        """Login of the cluster's registry."""
        return {
            "username": "sparkqfs",
            "password": self.secrets()["registry_password"],
            "serveraddress": self.config.registry_address,
        }


def check_cluster_name(session: Session, facts: dict[str, NodeFacts], *, erases: bool = False) -> None:
    """Raises `RefusedError` when the data directories are another cluster's than hosts.yml names, or not those that
    were written down. With `erases` a file system that is gone does not count, nor what hosts.yml does not have of it.
    """
    problems = [*name_problems(session.config, facts), *identity_problems(session, facts, erases=erases)]
    if problems:
        raise RefusedError(*problems)


def identity_problems(session: Session, facts: dict[str, NodeFacts], *, erases: bool = False) -> tuple[Problem, ...]:
    """What contradicts the record of the cluster. What is gone is a restore's own matter."""
    found = identify(session.config, facts)
    rest = () if erases or session.is_restoring else (*found.gone, *found.lost)
    return (*found.contradictions, *found.of_nodes, *rest)


def caller() -> str:
    """`user@host` of who called the task, as this computer says."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody has this number
        user = str(os.getuid())
    return re.sub(r"[^!-~]", "?", f"{user}@{socket.gethostname()}")[:CALLER_CHARACTERS]


CALLER_CHARACTERS = 128
LOCK_SCRIPT = script("lock")
CHECK_LOCK_SCRIPT = script("check_lock")
"""Its words are what the lock's file must say, and the cluster's name."""
WAIT_S = 3
"""What each of the two locks is waited for: its holder may be just ending."""
BEAT_S = 15.0
SILENCE_S = 60
"""A holder that has not been heard for so long is taken for gone."""


@contextlib.contextmanager
def cluster_lock(session: Session, task: str) -> Iterator[None]:
    """Hold the cluster's lock on the manager while the block runs: that of its name, and that of its data directory.

    The lock lives as long as the SSH channel, and as we are heard on it: a run that dies, or whose network does, leaves
    none behind. Raises `RefusedError` naming the holder when another run has it; three seconds are given to one that
    is just ending.
    """
    config = session.config
    owner = f"{caller()} pid {os.getpid()}, {task}, since {time.strftime('%H:%M:%S')}"
    place = str(config.manager.data_dirs[0]).replace("/", "+")
    script = ["sh", "-c", LOCK_SCRIPT, "sh", owner, config.name, place, str(SILENCE_S), str(WAIT_S)]
    try:
        channel = session.clients.manager.exec_channel(script)
    except UnreachableError as error:
        facts, unreachable = session.facts()
        if moved := manager_problems(config, facts):  # another machine may have its place since a restore
            raise RefusedError(*error.problems, *moved) from None
        others = [problem for problem in unreachable if problem.node != config.manager.name]
        raise UnreachableError(*error.problems, *others) from None
    wait_s = config.timeouts.connect_s + 2 * WAIT_S
    channel.settimeout(wait_s)
    try:
        try:
            answer = channel.makefile("r").readline()
        except BROKEN as error:
            said = complaint(channel) or f"no answer within {wait_s:.0f} s"
            raise ClusterError(_no_lock(config.manager.name, said)) from error
        if answer.startswith("held"):
            holder = answer.strip().partition("\t")[2] or "somebody"
            what = f"another run holds the lock: {holder}"
            hint = f"wait for it to end; one that died or lost its network holds it for {SILENCE_S} s more at most"
            raise RefusedError(Problem(node=config.manager.name, what=what, hint=hint, code=ExitCode.REFUSED))
        if not answer.startswith("locked"):
            raise ClusterError(_no_lock(config.manager.name, complaint(channel) or "is util-linux there?"))
        session.locked, session.lock_owner = True, owner
        with heartbeat(channel, BEAT_S, lambda: session.clients.refuse(_lost(config.manager.name))):
            yield
    finally:
        session.locked = False
        close(channel)


def check_lock(session: Session) -> None:
    """Ask the manager whether this run holds the lock still, before what cannot be undone. Raises `ClusterError`."""
    if session.locked:
        words = [session.lock_owner, session.config.name]
        output = session.clients.manager.run(["sh", "-c", CHECK_LOCK_SCRIPT, "sh", *words], check=False)
        if output.exit_code != 0:
            raise RefusedError(_lost(session.config.manager.name))


def _no_lock(manager: str, said: str) -> Problem:
    hint = SUDO_HINT if "sudo" in said else None
    return Problem(node=manager, what=f"cannot take the lock: {said}", hint=hint)


def _lost(manager: str) -> Problem:
    what = f"lost the lock: this computer slept, or the network was gone, for more than {SILENCE_S} s"
    hint = "nothing more was begun; the same command again does what is left"
    return Problem(node=manager, what=what, hint=hint, code=ExitCode.REFUSED)
