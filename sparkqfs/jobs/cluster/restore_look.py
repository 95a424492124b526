"""What a restore stands on: the machines that are left, the copies that they keep, and the one question before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.facts.copies import CopiesFact, RestoreFact, parse_copies
from sparkqfs.facts.nodes import NodeFacts, StorageLayout
from sparkqfs.jobs.cluster.recovery import newest_recovery
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup_store, backup_verify
from sparkqfs.jobs.storage.backup_store import Backup
from sparkqfs.plan.cluster import restore as plans
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.ownership import name_problems
from sparkqfs.plan.cluster.recovery import Recovery
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.seam import COPIES
from sparkqfs.remote import script

LIST_SCRIPT = script("list_copies")
OnStage = Callable[[str, JobResult, float], None]


@dataclass(kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    old_manager: str
    """As hosts.yml says it; the session's configuration has the manager that is to be."""
    at: float | None = None
    """Seconds since the epoch; `None` for the newest state."""
    newest: bool = False
    """The newest state was asked for by name: also where the manager has metadata."""
    said: str = ""
    """Which state, in the words of the command line: a time that is counted from now means another one later."""
    name: str | None = None
    backup: Path | None = None
    """One on this computer, in place of the copies on the nodes."""
    typed: Callable[[str], str] = lambda _question: ""
    """Asks for a word at the terminal; nothing without one."""
    on_stage: OnStage = lambda _name, _result, _seconds: None

    @property
    def is_chosen(self) -> bool:
        """A state was named, so metadata that is there gives way to it."""
        return self.at is not None or self.newest or self.backup is not None

    @property
    def text(self) -> str:
        """Which state, for the note of a restore."""
        if self.backup is not None:
            return f"backup {self.backup.name}"
        return f"{self.at:.0f}" if self.at is not None else "newest"


@dataclass(kw_only=True)
class Ground:
    """What a restore stands on."""

    wishes: Wishes
    """Those of the run that this one goes on with, where it does."""
    facts: dict[str, NodeFacts]
    found: dict[str, CopiesFact]
    source: plans.Source | None
    recovery: Recovery | None
    cluster_id: str
    record: RestoreFact | None
    backup: Backup | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self) -> dict[str, str]:
        """Which state this restore takes, for one that goes on with it."""
        wishes = self.wishes
        path = str(self.backup.path.absolute()) if self.backup is not None else ""
        wanted = f"backup {self.backup.path.name}" if self.backup is not None else wishes.text
        return {"wanted": wanted, "said": wishes.said, "backup": path}


def look(session: Session, wishes: Wishes, layout: StorageLayout) -> Ground:
    """Asks the machines, and says what stands against it. Raises `ClusterError` or `RefusedError`."""
    facts = _reachable(session, wishes)
    config = session.config
    against = (*name_problems(config, facts), *plans.refusals(config, facts))
    if against:
        raise RefusedError(*against)
    found, unread = _copies(session, layout)
    begun = found[config.manager.name].restore
    wishes = _resumed(session, wishes, begun)
    backup = _backup(session, wishes)
    if backup is not None:
        wishes = replace(wishes, backup=backup.path)
    source = plans.choose(found, config.storage.kind, time.time())
    recovery = backup.recovery if backup is not None and backup.recovery is not None else _recovery(session)
    cluster_id, problems = plans.cluster_id(facts, recovery.cluster_id if recovery is not None else None)
    if problems:
        raise RefusedError(*problems)
    if cluster_id is None:
        what = f"no disk of these machines carries the id of cluster {config.name}: there is nothing to restore"
        raise RefusedError(Problem(what=what, hint="`invoke up` makes a new cluster", code=ExitCode.REFUSED))
    record = _going_on(begun, wishes)
    if unread and not wishes.is_chosen and (record is None or not record.laid_out):
        hint = "`invoke restore --at newest` takes the newest of the others; `--at TIME` the last one before a time"
        what = "a copy of the metadata that may be the newest cannot be read: nothing was restored"
        raise RefusedError(*unread, Problem(what=what, hint=hint, code=ExitCode.REFUSED))
    if source is None and backup is None and (record is None or not record.laid_out):
        what = f"none of {plans.ids_line(facts)} keeps a copy of the metadata"
        hint = "`invoke restore --backup DIR` puts the state of a backup back; the blocks stay as they are"
        raise RefusedError(Problem(what=what, hint=hint, code=ExitCode.REFUSED))
    is_asked_for = wishes.is_chosen or record is not None
    if facts[config.manager.name].meta.is_whole and not is_asked_for:
        what = "its metadata is there: nothing was restored"
        hint = (
            "`invoke deploy` starts with it; `--at TIME` puts an earlier state in its place (`--at newest`: the newest)"
        )
        raise RefusedError(Problem(node=config.manager.name, what=what, hint=hint, code=ExitCode.REFUSED))
    return Ground(
        wishes=wishes,
        facts=facts,
        found=found,
        source=source,
        recovery=recovery,
        cluster_id=cluster_id,
        record=record,
        backup=backup,
    )


def _recovery(session: Session) -> Recovery | None:
    """The copy of the secrets; `None` where none is whole: new ones do as well. Raises `RefusedError`."""
    try:
        return newest_recovery(session)
    except RefusedError:
        raise
    except ClusterError as error:
        session.on_event(f"no copy of the secrets can be read: {error.problems[0].what}")
        return None


def _resumed(session: Session, wishes: Wishes, begun: RestoreFact | None) -> Wishes:
    """With the state of the run that was broken off, where the same words were said, or none. Raises `ConfigError`."""
    if begun is None:
        return wishes
    is_same = begun.said == wishes.said if begun.said else begun.wanted == wishes.text
    if wishes.is_chosen and not is_same:
        session.on_event("another state than that of the restore that was broken off")
        return wishes
    if begun.wanted.isdecimal():
        session.on_event(f"going on with the state before {plans.time_text(float(begun.wanted))}")
        return replace(wishes, at=float(begun.wanted), newest=False, backup=None, said=begun.said)
    if not begun.wanted.startswith("backup "):
        return wishes
    if begun.backup and Path(begun.backup).is_dir():
        session.on_event(f"going on with the backup {begun.backup}")
        return replace(wishes, at=None, newest=False, backup=Path(begun.backup), said=begun.said)
    if begun.laid_out or wishes.backup is not None:
        return wishes
    what = f"the restore that was broken off takes the {begun.wanted}, which is not on this computer"
    hint = "`--backup DIR` names it; `--at newest` takes the newest state of the copies on the nodes"
    raise ConfigError(Problem(what=what, hint=hint))


def _going_on(record: RestoreFact | None, wishes: Wishes) -> RestoreFact | None:
    """The earlier run that this one goes on with; another state than that one's is laid out by a run of its own."""
    if record is not None and record.laid_out and wishes.is_chosen and record.wanted != wishes.text:
        return None
    return record


def _backup(session: Session, wishes: Wishes) -> Backup | None:
    """The backup that was named, with whole files and of this cluster. Raises `ClusterError` or `ConfigError`."""
    if wishes.backup is None:
        return None
    if wishes.at is not None or wishes.newest:
        raise ConfigError(Problem(what="--at is for the copies on the nodes: a backup has one state"))
    found = backup_store.open_backup(backup_verify.find(session, str(wishes.backup)))
    config, manifest = session.config, found.manifest
    if not manifest.is_of(config) or found.bundle is None:
        what = f"{wishes.backup} is of cluster {manifest.cluster}, storage {manifest.kind}"
        hint = f"hosts.yml says {config.name}, {config.storage.kind}; `invoke backup.list` shows what there is"
        raise RefusedError(Problem(what=what, hint=hint, code=ExitCode.REFUSED))
    return found


def _reachable(session: Session, wishes: Wishes) -> dict[str, NodeFacts]:
    """Facts of all machines; the manager whose place another one takes may be gone, and is left out then."""
    facts, problems = session.facts()
    old, new = wishes.old_manager, session.config.manager.name
    if old != new and old in facts and facts[old].swarm_cluster_id:
        what = "this machine answers and manages the swarm: it would go on, with names that the new manager lacks"
        hint = "its disk is lost: `invoke restore` without --to; else stop it for good"
        raise RefusedError(Problem(node=old, what=what, hint=hint, code=ExitCode.REFUSED))
    if old != new and old not in facts:
        session.config = plans.without(session.config, old)
        session.on_event(f"[{old}] does not answer: it is taken for gone")
        facts, problems = session.facts(fresh=True)
    if problems:
        hint = "start it, or take it out of hosts.yml"
        if new in {problem.node for problem in problems}:
            hint = "`invoke restore --to NODE` makes another machine the manager"
        raise ClusterError(*problems, Problem(what="a restore needs every machine that is left", hint=hint))
    return facts


def _copies(session: Session, layout: StorageLayout) -> tuple[dict[str, CopiesFact], tuple[Problem, ...]]:
    """What each machine keeps, and why what one keeps could not be read."""
    config = session.config
    record = str(private_directory(config) / plans.RECORD)

    def one(name: str) -> CopiesFact:
        place = config.node(name).data_dirs[0] / layout.top / COPIES
        output = session.clients.node(name).script(LIST_SCRIPT, str(place), record)
        try:
            return parse_copies(name, output.stdout)
        except ValueError as error:
            raise ClusterError(Problem(node=name, what=f"{place}: {error}")) from error

    names = tuple(node.name for node in config.nodes)
    results = session.clients.on(names, one)
    for problem in results.problems:
        session.on_event(f"[{problem.node}] no copy of the metadata from there: {problem.what}")
    manager = config.manager.name
    if manager in results.failures:
        raise results.failures[manager]
    return results.values, results.problems


def ask(session: Session, wishes: Wishes, ground: Ground) -> None:
    """The one question. Raises `ConfigError` for another name, `RefusedError` without an answer."""
    said = wishes.name
    other = ""
    if ground.backup is not None and (part := ground.backup.manifest.metadata) is not None:
        other = plans.of_another(session.config, ground.facts, part.file_system)
    if said is None and (asked := question(session, wishes, ground)) is not None:
        session.on_event(asked)
    if other:
        session.on_event(other)
    if said is None:
        said = wishes.typed("The cluster's name, to go on: ")
    check_said(session, said)


def question(session: Session, wishes: Wishes, ground: Ground) -> str | None:
    """What is about to be done; nothing where only the rest of an earlier run is left."""
    fact = ground.facts[session.config.manager.name]
    if ground.record is not None and ground.record.laid_out:
        return None
    if ground.backup is not None:
        origin = plans.Origin(f"the backup {ground.backup.path}", ground.backup.manifest.time)
    elif ground.source is not None:
        origin = plans.Origin(f"the copy on {ground.source.best.node}", ground.source.best.at)
    else:
        return None
    return plans.question(session.config, fact, origin, wishes.at, time.time(), wishes.old_manager)


def check_said(session: Session, said: str) -> None:
    """The cluster's name was said. Raises `ConfigError` for another one, `RefusedError` for none."""
    name = session.config.name
    if not said:
        hint = f"--cluster {name} answers the question"
        raise RefusedError(Problem(what="nothing was done: nobody said yes", hint=hint, code=ExitCode.REFUSED))
    if said != name:
        raise ConfigError(Problem(what=f"--cluster {said}: this cluster is called {name}; nothing was done"))
