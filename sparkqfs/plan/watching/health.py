"""What is said of missing data: facts in, problems and a state out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sparkqfs.amounts import amount
from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.pages import StorageFact
from sparkqfs.plan.storage.health import CheckFact, HealthFact, MemoryFact, MetadataCopyFact
from sparkqfs.plan.storage.seam import Backend
from sparkqfs.plan.times import about

STILL_S = 300.0
"""Without a new copy for so long, the missing ones are a problem."""
CATALOGUE_OLD_S = 300.0
"""A copy of the catalogue of tables may be so old: with many partitions they are made less often."""
COPY_OLD_S = 60.0
"""A copy of the metadata may be so old."""
UNREAD_S = 3 * 86400.0
"""A copy of the metadata is read whole once a day."""
STARTED_S = 3600.0
"""And soon after a start, where that was longer ago."""
CHECK_OLD_S = 900.0
"""A check may be so old, or three intervals."""
OLDER = re.compile(r"\b40[34]\b")
"""What the page of a stack without a checker answers."""
SHARE = 50
"""The checker waits that many times as long as a check takes: runtime/sparkqfs_runtime/pages/missing_data.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A machine that Swarm knows as the cluster's, and hosts.yml does not."""

    node: str
    addresses: tuple[str, ...]
    """Under which its data server can be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The verdict."""

    state: Literal["healthy", "recovering", "degraded", "unknown"]
    problems: tuple[Problem, ...] = ()
    missing: int | None = None
    """Copies that are still to be made; `None` where nobody knows."""
    unknown: tuple[str, ...] = ()
    """Names of the strangers."""


def judge(
    config: ClusterConfig,
    backend: Backend,
    fact: StorageFact | None,
    health: HealthFact | None,
    strangers: tuple[Stranger, ...] = (),
) -> Data:
    """All that is to be said of the data; nothing where the storage's page does not answer."""
    unknown = tuple(sorted(stranger.node for stranger in strangers))
    if fact is None or health is None or backend.master is None:
        return Data(state="unknown", unknown=unknown)
    look = _Look(config, backend, fact, health)
    problems = (
        *look.lost(),
        *look.copies(),
        *look.disks(),
        *look.checks(),
        *look.metadata(),
        *look.strangers(strangers),
    )
    state: Literal["healthy", "recovering", "degraded"] = "recovering" if look.missing else "healthy"
    return Data(state="degraded" if problems else state, problems=problems, missing=look.missing, unknown=unknown)


class _Look:
    """One storage's facts."""

    def __init__(self, config: ClusterConfig, backend: Backend, fact: StorageFact, health: HealthFact) -> None:
        self.config, self.backend, self.fact, self.health = config, backend, fact, health
        self.words = backend.words
        self.memory = health.memory if isinstance(health.memory, MemoryFact) else None
        self.check: CheckFact | None = self.memory.check if self.memory is not None else None
        remembered = self.memory.missing if self.memory is not None else None
        self.missing = health.missing if health.missing is not None else remembered

    def lost(self) -> list[Problem]:
        """Data without a copy on any server that is up."""
        up = f"{self.words.servers} that are up"
        if self.health.lost_blocks:
            count = self.health.lost_blocks
            single = f", {self.health.lost_single} of them of files with one copy" if self.health.lost_single else ""
            what = f"{amount(count, self.words.block)} {_have(count)} no copy on the {up}{single}"
            return [Problem(what=what, hint=self.where(self.backend.which_lost()) + self.remedy())]
        if self.check is not None and self.check.lost_files:
            count = self.check.lost_files
            what = f"{amount(count, 'file')} cannot be read: no copy of {'its' if count == 1 else 'their'} data"
            what += f" on the {up} (looked at {about(self.check.age_s)} ago)"
            return [Problem(what=what, hint=self.where(self.backend.which_lost()) + self.remedy())]
        if self.health.bad and self.check is None and self.health.lost_blocks is None:
            what = f"the {self.words.servers} have found {amount(self.health.bad, 'bad ' + self.words.block)}"
            what += f", and whether files are lost is not known: {self.why_unchecked()}"
            return [Problem(what=what, hint=self.where(self.backend.which_lost()))]
        return []

    def remedy(self) -> str:
        """What can be done, after the command."""
        gone = f" (not up: {', '.join(self.health.gone[-5:])})" if self.health.gone else ""
        return (
            f"; a machine or disk that is away may have the copies{gone}: bring it back. "
            "What has no copy anywhere is to be restored from its source, or removed with `invoke rm`"
        )

    def copies(self) -> list[Problem]:
        """Copies that are missing and not being made."""
        if not self.missing:
            return []
        missing = f"{amount(self.missing, 'copy', 'copies')} of {self.words.blocks} {_are(self.missing)} missing"
        hint = self.where(self.backend.which_short())
        if self.memory is None:
            return []
        up = len(self.fact.up_hosts)
        asked = self.check.most_copies if self.check is not None else self.config.storage.replication
        if self.memory.place:
            return [Problem(what=f"{missing}, and there is no place for them: {self.memory.place}", hint=hint)]
        if asked > up and not self.memory.held:
            what = f"{missing}, and there is no place for them: up to {asked} copies of a file are asked for, {up} "
            return [Problem(what=f"{what}{self.words.servers} {_are(up)} up", hint=hint)]
        took = self.check.took_s if self.check is not None else 0.0
        if self.memory.still_s >= max(STILL_S, 2 * SHARE * took):  # what was made between two checks is not seen
            log = f"`invoke logs --service {self.backend.master.name}`; " if self.backend.master else ""
            return [Problem(what=f"{missing}, and none was made for {about(self.memory.still_s)}", hint=log + hint)]
        return []

    def disks(self) -> list[Problem]:
        """Data directories out of service, and metadata that cannot be written."""
        found = [
            Problem(what=f"out of service: {directory}", hint="the disk there has failed or is full; `invoke doctor`")
            for directory in self.health.lost_directories
        ]
        if self.health.checkpoint_failures:
            count = self.health.checkpoint_failures
            what = f"the {self.words.master} could not write its checkpoint, {count} time{'s' * (count > 1)} in a row"
            assert self.backend.master is not None
            hint = f"is the manager's disk full? `invoke logs --service {self.backend.master.name}`"
            found.append(Problem(node=self.config.manager.name, what=what, hint=hint))
        return found

    def checks(self) -> list[Problem]:
        """A checker that is there and does not get its answer, or whose own answer cannot be had."""
        if (
            isinstance(self.health.memory, str)
            and not self.health.bad  # told by `lost`
            and not self.fact.recovering
            and not OLDER.search(self.health.memory)
        ):
            return [Problem(what=f"whether files are lost is not known: {self.health.memory}", hint="`invoke deploy`")]
        if self.memory is None or self.memory.check_s is None or self.fact.recovering:
            return []
        took = self.check.took_s if self.check is not None else 0.0
        allowed = max(CHECK_OLD_S, 3 * self.memory.check_s, 3 * SHARE * took)
        age = self.check.age_s if self.check is not None else self.memory.up_s
        if age <= allowed:
            return []
        since = f"{about(age)} ago" if self.check is not None else "never"
        assert self.backend.master is not None
        what = f"whether files are lost was last looked at {since}: {self.memory.error or 'no answer'}"
        return [Problem(what=what, hint=f"`invoke logs --service {self.backend.master.name}`")]

    def metadata(self) -> list[Problem]:
        """Copies of the metadata that are too old, or that have what the storage has not."""
        if self.memory is None or self.memory.metadata_copies is None:
            return []
        found = []
        kept = {copy.node for copy in self.memory.metadata_copies}
        for node in copy_nodes(self.config):
            if node.name not in kept:
                what = "no copy of the metadata is kept on this machine, as storage.copies says"
                found.append(Problem(node=node.name, what=what, hint="`invoke deploy`"))
        for copy in self.memory.metadata_copies:
            if copy.verdict in ("behind", "parted", "other"):
                what = f"the copy of the metadata here has what the {self.words.master} has not: {copy.error}"
                hint = "it is not changed; docs/backup.md says what can be done, "
                hint += f"`invoke deploy --accept-older {copy.mark}` gives it up"
                found.append(Problem(node=copy.node, what=what, hint=hint))
            elif (age := copy.up_s if copy.age_s is None else copy.age_s) > COPY_OLD_S:
                since = f"never in {about(age)}" if copy.age_s is None else f"last {about(age)} ago"
                what = f"the copy of the metadata here was whole {since}: {copy.error or 'no answer'}"
                found.append(Problem(node=copy.node, what=what, hint="`invoke logs --service metadata-copy`"))
            if copy.verified is not None and not copy.verified.ok:
                what = f"the copy of the metadata here is damaged: {'; '.join(copy.verified.damaged)}"
                found.append(Problem(node=copy.node, what=what, hint="docs/backup.md, section A damaged copy"))
            if problem := unread_problem(copy):
                found.append(problem)
            if problem := catalogue_problem(copy):
                found.append(problem)
        return found

    def strangers(self, strangers: tuple[Stranger, ...]) -> list[Problem]:
        """Servers that are up on machines that hosts.yml does not have; data that one which is not up may have."""
        found = []
        for stranger in strangers:
            at = [host for host in self.fact.up_hosts if host in stranger.addresses]
            what = f"the {self.words.master} knows a server on this machine, and the cluster file does not have it"
            hint = "put the machine back into the cluster file; taking it out does not copy its data away"
            if at:
                found.append(Problem(node=stranger.node, what=f"{what}: {', '.join(at)} is up", hint=hint))
            elif self.missing or self.health.lost_blocks or (self.check is not None and self.check.lost_files):
                what = "the cluster file does not have this machine, and data is missing that it may have"
                found.append(Problem(node=stranger.node, what=what, hint=hint))
        return found

    def where(self, command: str) -> str:
        """The command as it is typed on the manager."""
        assert self.backend.master is not None
        container = f"$(docker ps -qf name={self.config.name}_{self.backend.master.name})"
        tool, pipe, rest = command.partition(" | ")
        here = f"on {self.config.manager.name}, `docker exec {container} {tool}{pipe}{rest}`"
        return f"which ones: `invoke fsck`, or {here}"

    def why_unchecked(self) -> str:
        """Why there is no check."""
        if isinstance(self.health.memory, str):
            return f"{self.health.memory}; a stack of an older version does not check: `invoke deploy`"
        return self.health.memory.error or "the first check has not ended"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def unread_problem(copy: MetadataCopyFact) -> Problem | None:
    """That nobody has read a node's copy whole for days: then nobody knows whether it is damaged."""
    age = copy.verified.age_s if copy.verified is not None else copy.up_s
    if age <= UNREAD_S or copy.up_s <= STARTED_S:
        return None
    what = f"the copy of the metadata here was last read whole {about(age)} ago"
    if copy.verified is None:
        what = f"the copy of the metadata here was not read whole in {about(age)}"
    hint = "`invoke logs --service metadata-copy`; `invoke deploy` where the stack is of an earlier version"
    return Problem(node=copy.node, what=what, hint=hint)


def catalogue_problem(copy: MetadataCopyFact) -> Problem | None:
    """That a node's copy of the catalogue of tables is too old; not soon after the start of the one who sends it."""
    names = copy.catalogue
    if names is None or min(names.age_s, copy.up_s) <= CATALOGUE_OLD_S:
        return None
    since = f"{about(names.age_s)} old" if names.is_kept else f"missing for {about(names.age_s)}"
    what = f"the copy of the catalogue of tables here is {since}: {names.error or 'no answer'}"
    return Problem(node=copy.node, what=what, hint="`invoke logs --service metastore`")
