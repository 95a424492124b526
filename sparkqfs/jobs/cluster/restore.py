"""invoke restore: the storage's metadata from a copy of it, on the same manager or on another machine.

Nothing is deleted on the way. Each machine's blocks get a second name (hard links) before a master starts; what no file
of the restored names points to afterwards is listed, and stays until somebody lets it go. Whatever is done is found
again by a second run: the note beside the secrets says how far an earlier one came.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sparkqfs import topology
from sparkqfs.clients import ca
from sparkqfs.clients.pipe import relay
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.facts.copies import CopiesFact, KeptCopy, RestoreFact, parse_copies
from sparkqfs.facts.nodes import NodeFacts, StorageLayout
from sparkqfs.gather.nodes import gather_swarm_nodes
from sparkqfs.jobs.cluster import deploy, down, images, prep, swarm
from sparkqfs.jobs.cluster.recovery import newest_recovery
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage import aside
from sparkqfs.jobs.storage import copies as kept_copies
from sparkqfs.jobs.watching import fsck
from sparkqfs.plan.cluster import restore as plans
from sparkqfs.plan.cluster.nodes import marker_path, private_directory
from sparkqfs.plan.cluster.recovery import MATERIAL, PRIVATE_MODE, Recovery
from sparkqfs.plan.cluster.restore_report import SHOWN, Report
from sparkqfs.plan.steps import JobResult, Outcome, Step, make_directory, script_of, write_file
from sparkqfs.plan.storage.seam import COPIES
from sparkqfs.remote import script

LIST_SCRIPT = script("list_copies")
LEAVE_SCRIPT = script("leave_swarm")
LEAVE_S = 180.0
STATE = "/opt/sparkqfs/bin/metadata-state"
STREAM_S = 3600.0
FSCK_S = 600.0
T = TypeVar("T")
OnStage = Callable[[str, JobResult, float], None]


@dataclass(kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    old_manager: str
    """As hosts.yml says it; the session's configuration has the manager that is to be."""
    at: float | None = None
    """Seconds since the epoch; `None` for the newest state."""
    name: str | None = None
    typed: Callable[[str], str] = lambda _question: ""
    """Asks for a word at the terminal; nothing without one."""
    on_stage: OnStage = lambda _name, _result, _seconds: None


@dataclass(kw_only=True)
class Ground:
    """What a restore stands on."""

    facts: dict[str, NodeFacts]
    found: dict[str, CopiesFact]
    source: plans.Source | None
    recovery: Recovery | None
    cluster_id: str
    record: RestoreFact | None
    seconds: dict[str, float] = field(default_factory=dict)


def run(session: Session, wishes: Wishes) -> JobResult:
    """Exit code 0 when the cluster works again and every name has its blocks; 1 when some have not."""
    layout = session.backend.layout
    if layout is None:
        what = f"storage {session.config.storage.kind} has no metadata of ours: `invoke up` makes a new manager"
        raise ConfigError(Problem(what=what, config_path="storage.kind"))
    ground = _look(session, wishes, layout)
    if session.dry_run:
        return _planned(session, wishes, ground)
    _ask(session, wishes, ground)
    begun = time.monotonic()
    name = ground.record.id if ground.record is not None else time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    if ground.record is None or not ground.record.laid_out:
        _timed(wishes, ground, "seed", lambda: _seed(session, ground, name))
        _timed(wishes, ground, "stop", lambda: _stop(session))
        _timed(wishes, ground, "put aside", lambda: aside.put_aside(session, name))
    for stage, job in _stages(session):
        _timed(wishes, ground, stage, partial(_whole, job, session))
    if ground.record is None or not ground.record.laid_out:
        ground.record = _timed(wishes, ground, "metadata", lambda: _lay_out(session, wishes, ground, layout, name))
    session.facts(fresh=True)
    _timed(wishes, ground, "deploy", lambda: _whole(deploy.run, session))
    _mark_absent(session, wishes)
    result = _compare(session, wishes, ground, name, begun)
    _write_record(session, None)
    return result


def _timed(wishes: Wishes, ground: Ground, name: str, step: Callable[[], T]) -> T:
    started = time.monotonic()
    made = step()
    ground.seconds[name] = round(time.monotonic() - started, 1)
    done = JobResult(task=name, outcomes=(Outcome(subject=name, state="changed"),))
    wishes.on_stage(name, made if isinstance(made, JobResult) else done, ground.seconds[name])
    return made


def _whole(job: Callable[[Session], JobResult], session: Session) -> JobResult:
    """Raises `ClusterError` for the problems of a stage."""
    result = job(session)
    if result.problems:
        raise ClusterError(*result.problems)
    if result.changed:
        session.facts(fresh=True)
    return result


def _stages(session: Session) -> tuple[tuple[str, Callable[[Session], JobResult]], ...]:
    """From bare machines to images; the manager's disks are new ones."""
    adopt = (session.config.manager.name,)
    return (
        ("prep", partial(prep.run, adopt=adopt)),
        ("swarm", swarm.run),
        ("build", images.build),
        ("push", images.push),
    )


# -- before anything is changed ---------------------------------------------------------------------------------------


def _look(session: Session, wishes: Wishes, layout: StorageLayout) -> Ground:
    """Asks the machines, and says what stands against it. Raises `ClusterError` or `RefusedError`."""
    facts = _reachable(session, wishes)
    config = session.config
    check_cluster_name(session, facts)
    against = plans.refusals(config, facts)
    if against:
        raise RefusedError(*against)
    found = _copies(session, layout)
    source = plans.choose(found, config.storage.kind)
    recovery = newest_recovery(session)
    cluster_id, problems = plans.cluster_id(facts, recovery.cluster_id if recovery is not None else None)
    if problems:
        raise RefusedError(*problems)
    if cluster_id is None:
        what = f"no disk of these machines carries the id of cluster {config.name}: there is nothing to restore"
        raise RefusedError(Problem(what=what, hint="`invoke up` makes a new cluster", code=ExitCode.REFUSED))
    record = found[config.manager.name].restore
    if source is None and (record is None or not record.laid_out):
        what = f"none of {plans.ids_line(facts)} keeps a copy of the metadata"
        hint = "docs/backup.md, section Putting a copy back; the blocks stay as they are"
        raise RefusedError(Problem(what=what, hint=hint, code=ExitCode.REFUSED))
    if facts[config.manager.name].meta.is_whole and wishes.at is None and record is None:
        what = "its metadata is there: nothing was restored"
        hint = "`invoke deploy` starts with it; `--at TIME` puts an earlier state in its place (`--at 0s`: the newest)"
        raise RefusedError(Problem(node=config.manager.name, what=what, hint=hint, code=ExitCode.REFUSED))
    return Ground(facts=facts, found=found, source=source, recovery=recovery, cluster_id=cluster_id, record=record)


def _reachable(session: Session, wishes: Wishes) -> dict[str, NodeFacts]:
    """Facts of all machines; the manager whose place another one takes may be gone, and is left out then."""
    facts, problems = session.facts()
    old, new = wishes.old_manager, session.config.manager.name
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


def _copies(session: Session, layout: StorageLayout) -> dict[str, CopiesFact]:
    """What each machine keeps."""
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
    return results.values


def _planned(session: Session, wishes: Wishes, ground: Ground) -> JobResult:
    manager = session.config.manager.name
    steps = [
        "stop the stack",
        "keep all blocks aside",
        "prep",
        "swarm",
        "build",
        "push",
        "lay the metadata out",
        "deploy",
    ]
    if ground.record is not None and ground.record.laid_out:
        steps = ["prep", "swarm", "build", "push", "deploy"]
    notes: tuple[str, ...] = ()
    if ground.source is not None:
        fact, best = ground.facts[manager], ground.source.best
        notes = (plans.question(session.config, fact, best, wishes.at, time.time()),)
    outcome = Outcome(subject=manager, state="planned", changes=tuple(steps))
    return JobResult(task="restore", outcomes=(outcome,), notes=notes)


def _ask(session: Session, wishes: Wishes, ground: Ground) -> None:
    """The one question. Raises `ConfigError` for another name, `RefusedError` without an answer."""
    config = session.config
    said = wishes.name
    if said is None:
        if ground.source is not None:
            fact = ground.facts[config.manager.name]
            session.on_event(plans.question(config, fact, ground.source.best, wishes.at, time.time()))
        said = wishes.typed("The cluster's name, to go on: ")
    _check_said(session, said)


def _check_said(session: Session, said: str) -> None:
    name = session.config.name
    if not said:
        hint = f"--cluster {name} answers the question"
        raise RefusedError(Problem(what="nothing was done: nobody said yes", hint=hint, code=ExitCode.REFUSED))
    if said != name:
        raise ConfigError(Problem(what=f"--cluster {said}: this cluster is called {name}; nothing was done"))


# -- the way there ----------------------------------------------------------------------------------------------------


def _stop(session: Session) -> None:
    """The stack, where its swarm has a manager; else every machine leaves a swarm that has none any more."""
    config = session.config
    facts = session.all_facts()
    members: set[str] = set()
    if facts[config.manager.name].swarm_cluster_id:
        _whole(down.down, session)
        members = {node.id for node in gather_swarm_nodes(session.clients)}
    leaving = tuple(
        name for name, fact in facts.items() if fact.swarm_state != "inactive" and fact.swarm_node_id not in members
    )

    def leave(name: str) -> None:
        session.on_event(f"[{name}] leaving the old swarm")
        output = session.clients.node(name).script(LEAVE_SCRIPT, timeout_s=LEAVE_S)
        if "restarting" in output.stderr:
            session.on_event(f"[{name}] the engine was restarted: it had not left the old swarm's port")

    for wave in (leaving[:-1], leaving[-1:]):  # one that is still there hears the others go
        session.clients.on(wave, leave).raise_failures()
    if leaving:
        wait_until(
            lambda: all(not _containers(session, name) for name in leaving),
            what="the old stack's containers to end",
            timeout_s=config.timeouts.deploy_s,
        )
        session.facts(fresh=True)


def _containers(session: Session, name: str) -> int:
    found = session.clients.engine(name).containers(f"com.docker.stack.namespace={session.config.name}")
    return sum(1 for one in found if one.get("State") == "running")


def _seed(session: Session, ground: Ground, name: str) -> None:
    """On the manager: what is root's alone, the cluster's id, and the note that a restore has begun."""
    config = session.config
    manager, fact = config.manager.name, session.all_facts()[config.manager.name]
    private = private_directory(config)
    steps: list[Step] = [make_directory(manager, private, uid=0, gid=0, mode=PRIVATE_MODE, why="missing")]
    files = ground.recovery.files if ground.recovery is not None else {}
    wanted = ["secrets"] if not fact.has_secrets else []
    pem = files.get("ca.crt")
    if fact.ca_pem is None and pem is not None and ca.is_for(pem, config.manager.advertise):
        wanted += [key for key in MATERIAL if key != "secrets"]
    for key in wanted:
        if key in files:
            mode, what = MATERIAL[key], f"{key} from the copy"
            step = write_file(manager, private / key, files[key], uid=0, gid=0, mode=mode, what=what, why="missing")
            steps.append(step)
    if "secrets" in wanted and "secrets" not in files:
        session.on_event("no copy of the secrets: new ones are made, the notebook's token among them")
    owner, disk = config.owner, fact.disks[0]
    if disk.marker is None:
        path = marker_path(config, disk)
        line = ground.cluster_id + "\n"
        steps.append(
            write_file(manager, path, line, uid=owner.uid, gid=owner.gid, mode=0o444, what="marker", why="missing")
        )
    steps.append(_record_step(session, {"id": name, "laid_out": False, "state": {}}))
    session.clients.manager.script(script_of(tuple(steps)))
    session.facts(fresh=True)


def _record_step(session: Session, record: dict[str, object]) -> Step:
    path = private_directory(session.config) / plans.RECORD
    text = json.dumps(record) + "\n"
    manager = session.config.manager.name
    return write_file(manager, path, text, uid=0, gid=0, mode=0o600, what="note of the restore", why="begun")


def _write_record(session: Session, record: dict[str, object] | None) -> None:
    """How far it has come; none when it is over."""
    if record is not None:
        session.clients.manager.script(script_of((_record_step(session, record),)))
        return
    path = private_directory(session.config) / plans.RECORD
    session.clients.manager.run(["rm", "-f", "--", str(path)])


def _lay_out(session: Session, wishes: Wishes, ground: Ground, layout: StorageLayout, name: str) -> RestoreFact:
    """From the best copy that is whole to the manager's disk. Raises the last copy's `ClusterError`."""
    assert ground.source is not None
    worker = images.held(session)[topology.WORKER_NODE]
    if worker is None:
        raise ClusterError(Problem(what="the worker's image is not in the registry", hint="`invoke push`"))
    failures: list[Problem] = []
    for copy in ground.source.copies:
        try:
            state = _stream(session, wishes, copy, layout, worker, name)
        except ClusterError as error:
            session.on_event(f"[{copy.node}] its copy is not put back: {error.problems[0].what}")
            failures += error.problems
            continue
        others = [one for one in ground.source.copies if one is not copy or wishes.at is not None]
        _give_up_newer(session, others, layout, worker)
        state["node"] = copy.node
        _write_record(session, {"id": name, "laid_out": True, "state": state})
        return RestoreFact(id=name, laid_out=True, state=state)
    raise ClusterError(*failures)


def _stream(
    session: Session, wishes: Wishes, copy: KeptCopy, layout: StorageLayout, image: str, name: str
) -> dict[str, object]:
    """One state from its machine to the manager; what `lay-out` says of it."""
    config = session.config
    session.on_event(f"[{copy.node}] reading the copy of the metadata")
    _pull(session, copy.node, image)
    at = [] if wishes.at is None else [f"{wishes.at:.3f}"]
    place = config.node(copy.node).data_dirs[0] / layout.top / COPIES
    take = [*_program(session, f"{place}:/copies:ro", image), "take", "/copies", *at]
    top = config.manager.data_dirs[0] / layout.top
    put = [*_program(session, f"{top}:/top", image), "lay-out", "/top", f"before-{name}"]
    said = relay(session.clients.node(copy.node), take, session.clients.manager, put, timeout_s=STREAM_S)
    try:
        return dict(json.loads(said))
    except ValueError as error:
        what = f"an answer of another shape: {said[:200]!r}"
        raise ClusterError(Problem(node=config.manager.name, what=what)) from error


def _program(session: Session, volume: str, image: str) -> list[str]:
    """`metadata-state` in a container that has nothing but that directory."""
    owner = session.config.owner
    return [
        *("docker", "run", "--rm", "-i", "--network", "none", "--cap-drop", "ALL", "--log-driver", "none"),
        *("--security-opt", "no-new-privileges", "--user", f"{owner.uid}:{owner.gid}", "-v", volume),
        *("--entrypoint", STATE, image),
    ]


def _pull(session: Session, node: str, image: str) -> None:
    engine = session.clients.engine(node)
    if engine.image_labels(image) is None:
        session.on_event(f"[{node}] pulling the worker's image")
        with engine.answering_within(session.config.timeouts.deploy_s):
            engine.pull(image, session.registry_auth())


def _give_up_newer(session: Session, copies: list[KeptCopy], layout: StorageLayout, image: str) -> None:
    """The copies' marks: the master may start although they have more. They stay on their disks as they are."""
    for copy in copies:
        place = session.config.node(copy.node).data_dirs[0] / layout.top / COPIES
        with contextlib.suppress(ClusterError):  # a copy that cannot be read is no reason for the guard either
            _pull(session, copy.node, image)
            argv = [*_program(session, f"{place}:/copies:ro", image), "list", "/copies"]
            listed = json.loads(session.clients.node(copy.node).run(argv).stdout)
            kept_copies.accept_older(session, str(listed["histories"][-1]["mark"]))


def _mark_absent(session: Session, wishes: Wishes) -> None:
    """`status` says of the machine that is gone that it is expected to be."""
    config = session.config
    if wishes.old_manager in {node.name for node in config.nodes}:
        return
    engine = session.clients.engine()
    own = session.manager_facts().swarm_node_id
    labels = next((node.labels for node in gather_swarm_nodes(session.clients) if node.id == own), {})
    if labels.get(plans.ABSENT_LABEL) != wishes.old_manager:
        engine.label_node(own, {**labels, plans.ABSENT_LABEL: wishes.old_manager})


# -- afterwards -------------------------------------------------------------------------------------------------------


def _compare(session: Session, wishes: Wishes, ground: Ground, name: str, begun: float) -> JobResult:
    """All names with all blocks. What is kept goes when every block of it is still in its place somewhere."""
    assert ground.record is not None
    files = fsck.run(session, most=SHOWN, timeout_s=FSCK_S)
    nameless, count = aside.settled(session, name)
    is_all_there = not count and files.document.get("lost_files") == 0
    if is_all_there:
        aside.let_go(session, name)
    return Report(
        config=session.config,
        old_manager=wishes.old_manager,
        state=ground.record.state,
        seconds=time.monotonic() - begun,
        stages=ground.seconds,
        files=files,
        nameless=nameless,
        nameless_count=count,
        kept="" if is_all_there else name,
    ).result()


def remove_kept(session: Session, wishes: Wishes, name: str) -> JobResult:
    """`--let-go`: what is kept is the last of blocks that no name points to, so it takes the cluster's name too."""
    if not re.fullmatch(r"\d{8}T\d{6}Z", name):
        raise ConfigError(Problem(what=f"--let-go {name}: a restore's name looks like 20260131T120000Z"))
    check_cluster_name(session, session.all_facts())
    said = wishes.name or wishes.typed("This removes blocks that no name points to. The cluster's name, to go on: ")
    _check_said(session, said)
    return aside.let_go(session, name)
