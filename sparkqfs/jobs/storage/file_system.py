"""invoke init-storage and purge: the two tasks that may erase, behind the same guard."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import PurePosixPath
from string import Template

from sparkqfs.clients.context import templates
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.facts.nodes import NodeFacts, StorageLayout
from sparkqfs.jobs.cluster import images, record
from sparkqfs.jobs.cluster.recovery import remove_copies
from sparkqfs.jobs.session import Session, check_cluster_name, check_lock
from sparkqfs.jobs.storage.backup_first import before_erasing
from sparkqfs.jobs.storage.shared_path import check_shared_path
from sparkqfs.plan import catalogue
from sparkqfs.plan.cluster.identity import identify, same_directories
from sparkqfs.plan.cluster.markers import marker_path
from sparkqfs.plan.cluster.ownership import cluster_directories, users_of
from sparkqfs.plan.stack import SECRETS
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage.metadata import block_refusals, metadata_refusals
from sparkqfs.plan.storage.seam import Master, disk_mounts
from sparkqfs.remote import script

INIT_SCRIPT = script("init_storage")
UNDO_SCRIPT = script("undo_init")
"""Looks again with the very lines that the facts come from, and removes by name."""
WAIT_SCRIPT = script("wait_for_init")
"""The container of an init whose task was killed comes to its end by itself, within seconds."""

ERASE_TIMEOUT_S = 6 * 3600.0
"""Unlinking millions of files takes its time."""
ERASE_SCRIPT = script("erase")


def refusals(session: Session) -> tuple[Problem, ...]:
    """Everything that stands against a new file system: metadata, data, machines that cannot be looked at.

    What an init has left that did not end, or after which nothing was written, does not.
    """
    config = session.config
    facts, unreachable = session.facts()
    if any(disk.has_blocks for fact in facts.values() for disk in fact.disks):
        facts, unreachable = session.facts(counted=True)
    problems = [
        dataclasses.replace(problem, what=f"cannot be looked at: {problem.what}", code=ExitCode.REFUSED)
        for problem in unreachable
    ]
    manager = facts.get(config.manager.name)
    found = identify(config, facts)
    problems += [*found.gone, *found.lost, *same_directories(config, facts)]
    for name, fact in facts.items():
        if fact is manager:
            problems += metadata_refusals(config, fact)
        for path in _links(session, fact):
            what = f"{path} is a symbolic link: what is behind it is not looked at"
            problems.append(Problem(node=name, what=what, hint="`invoke prep` says more", code=ExitCode.REFUSED))
        problems += block_refusals(config, fact, is_whole=manager is not None and manager.meta.is_whole)
    return tuple(problems)


def _links(session: Session, fact: NodeFacts) -> list[PurePosixPath]:
    """Links among the directories of the data; what else was looked at (notebooks, a shared path) is not erased."""
    config = session.config
    others = (config.notebooks_path, config.shared_directory, config.storage.shared.path)
    return [path for path, found in fact.paths.items() if found.kind == "link" and path not in others]


def _marker_problems(session: Session, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    config = session.config
    manager = facts[config.manager.name]
    wanted = manager.disks[0].marker if manager.disks else None
    problems = []
    for name, fact in facts.items():
        for disk in fact.disks:
            if disk.marker is None or disk.marker != wanted:
                what = f"{marker_path(config, disk)} is {disk.marker or 'missing'}, expected {wanted or 'an id'}"
                hint = "run `invoke prep`; if it ran before, a disk is not mounted"
                problems.append(Problem(node=name, what=what, hint=hint, code=ExitCode.REFUSED))
    return tuple(problems)


def _check_erase_name(session: Session, erase: str | None, flag: str) -> None:
    if erase is not None and erase != session.config.name:
        what = f"{flag} {erase}: this cluster is called {session.config.name}; nothing was erased"
        raise ConfigError(Problem(what=what))


def _refuse_while_running(session: Session) -> None:
    """Nothing may use the data while it is erased: services, and containers of any name, on every machine."""
    config = session.config
    for name, fact in session.all_facts().items():
        if fact.containers is None:
            what = "no Docker Engine answers: what runs there cannot be seen"
            raise RefusedError(Problem(node=name, what=what, hint="start it first", code=ExitCode.REFUSED))
        if any(container.stack == config.name for container in fact.containers):
            raise _running(name, f"stack {config.name} is running", "`invoke down` first")
        for container, path in users_of(config, config.node(name), fact):
            raise _running(name, f"container {container.name} has {path} mounted", "stop it first")
    is_swarm = session.manager_facts().swarm_state == "active"
    if is_swarm and session.clients.engine().services(config.name):
        raise _running(config.manager.name, f"stack {config.name} is running", "`invoke down` first")


def _running(node: str, what: str, hint: str) -> RefusedError:
    return RefusedError(Problem(node=node, what=what, hint=hint, code=ExitCode.REFUSED))


def data_directories(session: Session, name: str, *, everything: bool) -> list[str]:
    """Directories whose content is the file system's on this node; `everything` adds markers and Spark's work."""
    config = session.config
    node = config.node(name)
    layout = session.backend.layout
    found = []
    if layout is not None:
        found = [str(disk / layout.top / layout.blocks) for disk in node.data_dirs]
        if node.manager:
            found += [str(node.data_dirs[0] / layout.top / part) for part in layout.metadata]
            found.append(str(catalogue.place(config)))  # names of tables whose files are gone
    if everything:  # by name, never from a list that holds the user's own directories too
        names = catalogue.place(config) if layout is None else None  # the tables stay where their files are not ours
        found += [str(path) for path in cluster_directories(config, node) if path != names]
    return list(dict.fromkeys(found))


def check_erasable(session: Session, *, everything: bool = False) -> None:
    """On every node, before anything is erased on one of them. Raises `ClusterError` where something must not go."""
    _on_data(session, "look", everything=everything)


def erase(session: Session, *, everything: bool = False) -> tuple[Outcome, ...]:
    """Empty the data directories on every node, all at once; the directories themselves stay."""
    done = _on_data(session, "erase", everything=everything)
    return tuple(Outcome(subject=name, state="changed", changes=paths) for name, paths in done.items())


def _on_data(session: Session, mode: str, *, everything: bool) -> dict[str, tuple[str, ...]]:
    """Node → the directories that were emptied there."""
    names = tuple(node.name for node in session.config.nodes)
    top = session.backend.layout.top if session.backend.layout is not None else ""

    def one(name: str) -> tuple[str, ...]:
        if mode == "erase":
            session.on_event(f"[{name}] erasing")
        paths = data_directories(session, name, everything=everything)
        output = session.clients.node(name).script(ERASE_SCRIPT, mode, top, *paths, timeout_s=ERASE_TIMEOUT_S)
        return tuple(line.partition("\t")[2] for line in output.stdout.splitlines() if line.startswith("erased"))

    return session.clients.on(names, one).raise_failures()


def init(
    session: Session, *, erase_name: str | None = None, no_backup: bool = False, task: str = "init-storage"
) -> JobResult:
    """Make an empty file system. Refuses when anything is anywhere; only the cluster's name gets past that.

    What is erased is backed up first, unless `no_backup`.
    One that was broken off is undone and done again; one after which nothing was written stays as it is.
    `task` is the word the user said; one that belongs to another storage is a `ConfigError`.
    """
    config, master = session.config, session.backend.master
    if task not in ("init-storage", session.backend.init_task):
        what = f"{task} is not for a cluster whose storage is {session.backend.words.storage}"
        raise ConfigError(Problem(what=what, config_path="storage.kind", hint="`invoke init-storage`"))
    _check_erase_name(session, erase_name, "--erase")
    check_cluster_name(session, session.facts()[0], erases=True)
    if master is None:
        if not session.dry_run:
            check_shared_path(session)
        what = f"{session.backend.words.storage} is the same on all nodes; it needs no file system of ours"
        return JobResult(task=task, outcomes=(Outcome(subject="storage", state="unchanged", changes=(what,)),))
    _wait_for_broken_off(session)
    against = refusals(session)
    facts, unreachable = session.facts()
    unfit = any(_links(session, fact) for fact in facts.values()) or same_directories(config, facts)
    if against and (erase_name is None or unreachable or unfit):
        raise RefusedError(*against)
    markers = _marker_problems(session, facts)
    if markers:
        raise RefusedError(*markers)
    _refuse_while_running(session)
    meta = facts[config.manager.name].meta
    subject = f"file system of {config.name}"
    if meta.init == "unused" and erase_name is None:
        changes: tuple[str, ...] = (f"empty, and as an earlier init made it: file-system id {meta.file_system_id}",)
        return JobResult(task=task, outcomes=(Outcome(subject=subject, state="unchanged", changes=changes),))
    erases = erase_name is not None and (bool(against) or bool(meta.init))
    if erases and not session.dry_run:
        check_erasable(session)
    saved = before_erasing(session, no_backup=no_backup) if erases else ()
    if session.dry_run:
        undo = ("undo an init that did not end",) if meta.init == "begun" else ()
        changes = ("erase what is there", "create") if erases else (*undo, "create")
        return JobResult(task=task, outcomes=(*saved, Outcome(subject=subject, state="planned", changes=changes)))
    return JobResult(task=task, outcomes=(*saved, *_make(session, master, erases=erases)))


def _wait_for_broken_off(session: Session) -> None:
    """Let the container of an init end whose task was killed; then the facts are new."""
    manager = session.config.manager
    fact = session.facts()[0].get(manager.name)
    if session.dry_run or fact is None or not fact.disks or not users_of(session.config, manager, fact):
        return
    session.clients.manager.script(WAIT_SCRIPT, fact.disks[0].marker or "none", check=False)
    session.facts(fresh=True)


def _make(session: Session, master: Master, *, erases: bool) -> tuple[Outcome, ...]:
    """Remove what is in the way, make the file system, and look whether it is there."""
    config, layout = session.config, session.backend.layout
    assert layout is not None
    manager = session.facts()[0][config.manager.name]
    ref = images.references(session)[master.name]
    if session.clients.engine().image_labels(ref.reference) is None:
        what = f"{ref.reference} is not built"
        raise ClusterError(Problem(node=config.manager.name, what=what, hint="run `invoke build` first"))
    files = _init_files(session, master)  # before anything is erased
    check_lock(session)  # a backup takes long, and this computer may have slept
    if erases:
        record.write(session, erasing=True)
    erased = erase(session) if erases else ()
    if not erases and manager.meta.init == "begun":
        session.on_event(f"[{config.manager.name}] undoing an init that did not end")
        session.clients.manager.script(undo_script(layout), str(config.manager.data_dirs[0] / layout.top))
    session.on_event(f"[{config.manager.name}] making an empty file system")
    mount = disk_mounts(config.manager, layout.top)[0]
    session.clients.manager.run(
        [
            "sh",
            "-c",
            INIT_SCRIPT,
            "sh",
            ref.reference,
            str(mount["source"]),
            str(mount["target"]),
            str(config.owner.uid),
            str(config.owner.gid),
            manager.disks[0].marker or "",
            session.backend.kind,
            session.backend.root_uri(config),
        ],
        stdin=files,
    )
    after, _ = session.facts(fresh=True)
    meta = after[config.manager.name].meta
    if not meta.exists:
        what = f"the {session.backend.words.master} said it was done, but there is no checkpoint"
        raise ClusterError(Problem(node=config.manager.name, what=what))
    record.write(session)
    changes = (f"file-system id {meta.file_system_id}",)
    return (*erased, Outcome(subject=f"file system of {config.name}", state="changed", changes=changes))


def undo_script(layout: StorageLayout) -> str:
    """Shell lines that remove what an init has left that did not end; its argument is the manager's first `top`."""
    lines = {"@METADATA@": layout.metadata_script, "@UNDO@": layout.undo_script}
    script = UNDO_SCRIPT
    for word, text in lines.items():
        script = script.replace(word, text.strip("\n"))
    return script


def _init_files(session: Session, master: Master) -> str:
    """What the daemon needs, one file a line: `configs` or `secrets`, name, content in base64."""
    texts, values = templates(), session.backend.daemon_configs(session.config)
    files = [("configs", name, Template(texts[name]).substitute(values[name])) for name in master.configs]
    files += [("secrets", name, session.secrets()[SECRETS[name]]) for name in master.secrets]
    return "".join(f"{kind} {name} {base64.b64encode(text.encode()).decode()}\n" for kind, name, text in files)


def purge(session: Session, *, erase_name: str | None, no_backup: bool = False) -> JobResult:
    """Erase the file system, Spark's work and the markers on every node. Notebooks and the manager's secrets stay.

    What is erased is backed up first, unless `no_backup`.
    The copies of the secrets go with the id that they name, and before it: prep writes them again if this is cut off.
    """
    if erase_name is None:
        what = f"purge erases all data of cluster {session.config.name}"
        hint = f"to do that: invoke purge --erase {session.config.name}"
        raise RefusedError(Problem(what=what, hint=hint, code=ExitCode.REFUSED))
    _check_erase_name(session, erase_name, "--erase")
    check_cluster_name(session, session.all_facts(), erases=True)
    _refuse_while_running(session)
    if not session.dry_run:
        check_erasable(session, everything=True)
    saved = before_erasing(session, no_backup=no_backup)
    check_lock(session)  # a backup takes long, and this computer may have slept
    if not session.dry_run and session.backend.master is not None:
        record.write(session, erasing=True)  # a purge that is cut off has its backup, and asks for no other
    copies = remove_copies(session)
    if session.dry_run:
        planned = [
            Outcome(
                subject=node.name,
                state="planned",
                changes=(*data_directories(session, node.name, everything=True), *copies.get(node.name, ())),
            )
            for node in session.config.nodes
        ]
        return JobResult(task="purge", outcomes=(*saved, *planned))
    erased = erase(session, everything=True)
    outcomes = tuple(dataclasses.replace(one, changes=(*one.changes, *copies.get(one.subject, ()))) for one in erased)
    record.forget(session)
    return JobResult(task="purge", outcomes=(*saved, *outcomes))
