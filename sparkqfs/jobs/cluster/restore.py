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
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sparkqfs import topology
from sparkqfs.clients import ca
from sparkqfs.clients.engine import STACK_LABEL
from sparkqfs.clients.pipe import ProgramError, feed, relay
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, ConfigError, DeadlineError, ExitCode, Problem, RefusedError
from sparkqfs.facts.copies import KeptCopy, RestoreFact
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.gather.nodes import gather_swarm_nodes
from sparkqfs.jobs.cluster import deploy, down, images, prep, swarm
from sparkqfs.jobs.cluster import record as cluster_record
from sparkqfs.jobs.cluster.restore_look import Ground, Wishes, ask, check_said, look, question
from sparkqfs.jobs.session import Session, check_cluster_name, check_lock
from sparkqfs.jobs.storage import aside
from sparkqfs.jobs.storage import copies as kept_copies
from sparkqfs.jobs.storage.backup_store import Backup
from sparkqfs.jobs.watching import fsck
from sparkqfs.plan import catalogue
from sparkqfs.plan.cluster import restore as plans
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.markers import marker_path
from sparkqfs.plan.cluster.recovery import MATERIAL, PRIVATE_MODE
from sparkqfs.plan.cluster.restore_report import SHOWN, Report
from sparkqfs.plan.steps import JobResult, Outcome, Step, make_directory, script_of, write_file
from sparkqfs.plan.storage.seam import COPIES
from sparkqfs.remote import script

LEAVE_SCRIPT = script("leave_swarm")
LEAVE_S = 180.0
ENDING_S = 30.0
"""Containers whose machine has left its swarm get so long to end by themselves."""
STATE = "/opt/sparkqfs/bin/metadata-state"
NO_SUCH_STATE = 1
"""Its exit code where a copy has no such state, or is damaged."""
STREAM_S = 3600.0
FSCK_S = 600.0
REPORT_S = 600.0
T = TypeVar("T")


def run(session: Session, wishes: Wishes) -> JobResult:
    """Exit code 0 when the cluster works again and every name has its blocks; 1 when some have not."""
    layout = session.backend.layout
    if layout is None:
        what = f"storage {session.config.storage.kind} has no metadata of ours: `invoke up` makes a new manager"
        raise ConfigError(Problem(what=what, config_path="storage.kind"))
    ground = look(session, wishes, layout)
    wishes = ground.wishes
    if session.dry_run:
        return _planned(session, wishes, ground)
    ask(session, wishes, ground)
    session.is_restoring = True
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
    late = _timed(wishes, ground, "deploy", lambda: _deploy(session))
    _mark_absent(session, wishes)
    result = _compare(session, wishes, ground, name, begun, is_up=not late)
    if late:
        return replace(result, problems=(*late, *result.problems))
    _write_record(session, None)
    return result


def _deploy(session: Session) -> tuple[Problem, ...]:
    """Why the cluster does not work in time: a storage may wait for blocks that no machine has, to be listed then."""
    try:
        _whole(deploy.run, session)
    except DeadlineError as error:
        return error.problems
    return ()


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
    if (asked := question(session, wishes, ground)) is not None:
        notes = (asked,)
    outcome = Outcome(subject=manager, state="planned", changes=tuple(steps))
    return JobResult(task="restore", outcomes=(outcome,), notes=notes)


# -- the way there ----------------------------------------------------------------------------------------------------


def _stop(session: Session) -> None:
    """Every machine leaves a swarm that the manager does not manage; what is left of the stack is taken down."""
    config = session.config
    facts = session.all_facts()
    manages = bool(facts[config.manager.name].swarm_cluster_id)
    members = {node.id for node in gather_swarm_nodes(session.clients)} if manages else set()
    leaving = tuple(
        name for name, fact in facts.items() if fact.swarm_state != "inactive" and fact.swarm_node_id not in members
    )

    def leave(name: str) -> None:
        is_member = facts[name].swarm_state != "inactive"
        if is_member:
            session.on_event(f"[{name}] leaving the old swarm")
        output = session.clients.node(name).script(LEAVE_SCRIPT, "leave" if is_member else "look", timeout_s=LEAVE_S)
        if "restarting" in output.stderr:
            session.on_event(f"[{name}] the engine was restarted: it had not left the old swarm's port")

    outside = tuple(name for name, fact in facts.items() if fact.swarm_state == "inactive")
    for wave in (leaving[:-1], leaving[-1:], outside):  # one that is still there hears the others go
        session.clients.on(wave, leave).raise_failures()
    _remove_old_containers(session, members)
    if leaving:
        session.facts(fresh=True)
    if manages:
        _whole(down.down, session)


def _remove_old_containers(session: Session, members: set[str]) -> None:
    """Those of a swarm that is no more: nobody else does, and they would be taken for the stack's."""
    config = session.config
    patience = time.monotonic() + ENDING_S

    def one(name: str) -> bool:
        engine = session.clients.engine(name)
        found = engine.containers(f"{STACK_LABEL}={config.name}")
        old = [item for item in found if item.get("Labels", {}).get("com.docker.swarm.node.id") not in members]
        for item in old:
            ends_itself = item.get("State") in ("running", "removing") and time.monotonic() < patience
            if not ends_itself:
                engine.remove_container(item["Id"])
        return not old

    wait_until(
        lambda: all(session.clients.on(tuple(node.name for node in config.nodes), one).raise_failures().values()),
        what="the old stack's containers to end",
        timeout_s=config.timeouts.deploy_s,
    )


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
    steps.append(_record_step(session, {"id": name, "laid_out": False, "state": {}, **ground.note()}))
    session.clients.manager.script(script_of(tuple(steps)))
    cluster_record.take_over(session, cluster_id=ground.cluster_id)


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
    worker = images.held(session)[topology.WORKER_NODE]
    if worker is None:
        raise ClusterError(Problem(what="the worker's image is not in the registry", hint="`invoke push`"))
    copies = list(ground.source.copies) if ground.source is not None else []
    failures: list[Problem] = []
    if ground.backup is not None:
        state = _from_backup(session, ground.backup, layout, worker, name)
        _give_up_newer(session, copies, layout, worker)
        return _laid_out(session, name, ground, {**state, "node": f"backup {ground.backup.path.name}"})
    for copy in ground.source.as_new() if ground.source is not None else ():
        try:
            state = _stream(session, wishes, copy, layout, worker, name)
        except ProgramError as error:
            if (error.node, error.ended_with) != (copy.node, NO_SUCH_STATE):
                raise  # a connection or a disk says nothing of the copy
            session.on_event(f"[{copy.node}] its copy is not put back: {error.problems[0].what}")
            failures += error.problems
            continue
        others = [one for one in copies if one is not copy or wishes.at is not None]
        _give_up_newer(session, others, layout, worker)
        damaged = [problem.node for problem in failures]
        return _laid_out(session, name, ground, {**state, "node": copy.node, "damaged_copies": damaged})
    for copy in ground.source.older() if ground.source is not None else ():
        hint = (
            f"`invoke restore --at {plans.time_text(copy.at + 1)}` takes it; what was written later has no names then"
        )
        failures.append(Problem(node=copy.node, what=f"its copy is of {plans.time_text(copy.at)}", hint=hint))
    raise ClusterError(*failures)


def _laid_out(session: Session, name: str, ground: Ground, state: dict[str, object]) -> RestoreFact:
    _write_record(session, {"id": name, "laid_out": True, "state": state, **ground.note()})
    return RestoreFact(id=name, laid_out=True, state=state, **ground.note())


def _from_backup(session: Session, backup: Backup, layout: StorageLayout, image: str, name: str) -> dict[str, object]:
    """The state of a backup, from this computer to the manager."""
    bundle = backup.bundle
    assert bundle is not None
    session.on_event(f"[{session.config.manager.name}] sending the metadata of {backup.path}")
    try:
        with bundle.open("rb") as file:
            data = iter(lambda: file.read(1 << 20), b"")
            said = feed(data, session.clients.manager, _put(session, layout, image, name), timeout_s=STREAM_S)
    except OSError as error:
        raise ClusterError(Problem(what=f"{bundle}: {error.strerror}")) from error
    return _state_of(session, said)


def _put(session: Session, layout: StorageLayout, image: str, name: str) -> list[str]:
    """The program on the manager that takes a state and puts it in its place."""
    top = session.config.manager.data_dirs[0] / layout.top
    volumes, places = [f"{top}:/top"], ["", ""]
    if session.config.has_metastore:
        volumes.append(f"{catalogue.place(session.config)}:/names")
        places[0] = "/names"
    if not session.config.notebooks.shared:
        volumes.append(f"{session.config.notebooks_path}:/notebooks")
        places[1] = "/notebooks"
    return [*_program(session, volumes, image), "lay-out", "/top", f"before-{name}", *places]


def _state_of(session: Session, said: str) -> dict[str, object]:
    try:
        return dict(json.loads(said))
    except (ValueError, RecursionError) as error:
        what = f"an answer of another shape: {said[:200]!r}"
        raise ClusterError(Problem(node=session.config.manager.name, what=what)) from error


def _stream(
    session: Session, wishes: Wishes, copy: KeptCopy, layout: StorageLayout, image: str, name: str
) -> dict[str, object]:
    """One state from its machine to the manager; what `lay-out` says of it."""
    config = session.config
    session.on_event(f"[{copy.node}] reading the copy of the metadata")
    _pull(session, copy.node, image)
    at = [] if wishes.at is None else [f"{wishes.at:.3f}"]
    place = config.node(copy.node).data_dirs[0] / layout.top / COPIES
    take = [*_program(session, [f"{place}:/copies:ro"], image), "take", "/copies", *at]
    put = _put(session, layout, image, name)
    return _state_of(
        session, relay(session.clients.node(copy.node), take, session.clients.manager, put, timeout_s=STREAM_S)
    )


def _program(session: Session, volumes: list[str], image: str) -> list[str]:
    """`metadata-state` in a container that has nothing but these directories."""
    owner = session.config.owner
    return [
        *("docker", "run", "--rm", "-i", "--network", "none", "--cap-drop", "ALL", "--log-driver", "none"),
        *("--security-opt", "no-new-privileges", "--user", f"{owner.uid}:{owner.gid}"),
        *(word for volume in volumes for word in ("-v", volume)),
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
            argv = [*_program(session, [f"{place}:/copies:ro"], image), "list", "/copies"]
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


def _compare(session: Session, wishes: Wishes, ground: Ground, name: str, begun: float, *, is_up: bool) -> JobResult:
    """All names with all blocks.

    What is kept goes when every block of it is still in its place somewhere, and else as far as it is. Nothing goes
    while a server may still delete something.
    """
    assert ground.record is not None
    files = fsck.run(session, most=SHOWN, timeout_s=FSCK_S)
    is_told = is_up and _have_blocks_reported(session)
    found = aside.settled(session, name)
    is_whole = is_up and files.document.get("ready") is True and not files.document.get("partial")
    is_whole = is_whole and is_told and found.is_settled
    is_all_there = is_whole and not found.count and files.document.get("lost_files") == 0
    is_kept = True
    if is_whole:
        check_lock(session)  # what is removed now may be the last of it
    if is_all_there:
        aside.let_go(session, name)
        is_kept = False
    elif is_whole:
        is_kept = aside.let_go_in_place(session, name)
    return Report(
        config=session.config,
        old_manager=wishes.old_manager,
        state=ground.record.state,
        seconds=time.monotonic() - begun,
        stages=ground.seconds,
        files=files,
        nameless=found.sizes,
        nameless_count=found.count,
        is_settled=is_told and found.is_settled if is_up else True,
        kept=name if is_kept else "",
        kept_before=tuple(one for one in aside.kept_names(session) if one != name),
    ).result()


def _have_blocks_reported(session: Session) -> bool:
    """The master knows of every block now; whether it could be had. What it has no name for it has removed then."""
    backend = session.backend
    if not backend.report_blocks or backend.master is None:
        return True
    try:
        deploy.exec_in(session, backend.master.name, ["sh", "-ec", backend.report_blocks], timeout_s=REPORT_S)
    except ClusterError as error:
        session.on_event(f"the servers were not asked for what they have: {error.problems[0].what}")
        return False
    return True


def remove_kept(session: Session, wishes: Wishes, name: str) -> JobResult:
    """`--let-go`: what is kept is the last of blocks that no name points to, so it takes the cluster's name too."""
    if not re.fullmatch(r"\d{8}T\d{6}Z", name):
        raise ConfigError(Problem(what=f"--let-go {name}: a restore's name looks like 20260131T120000Z"))
    facts = session.all_facts()
    check_cluster_name(session, facts)
    if facts[session.config.manager.name].restoring:
        what = "a restore has not ended: what it keeps is needed until then"
        hint = "`invoke restore` goes on with it"
        raise RefusedError(Problem(node=session.config.manager.name, what=what, hint=hint, code=ExitCode.REFUSED))
    kept = aside.kept_names(session)
    if name not in kept:
        outcome = Outcome(subject=f"cluster {session.config.name}", state="unchanged")
        others = f"; kept under: {plans.ids_line(kept)}" if kept else ""
        return JobResult(task="restore", outcomes=(outcome,), notes=(f"nothing is kept under {name}{others}",))
    nameless, count = aside.nameless(session, name)
    size = f"{count} {session.backend.words.blocks}, {sum(nameless.values())} bytes, that are nowhere else"
    if session.dry_run:
        changes = (f"remove what is kept under {name}: {size}",)
        outcome = Outcome(subject=f"cluster {session.config.name}", state="planned", changes=changes)
        return JobResult(task="restore", outcomes=(outcome,))
    said = wishes.name or wishes.typed(f"This removes {size}. The cluster's name, to go on: ")
    check_said(session, said)
    check_lock(session)  # an answer may take its time
    return aside.let_go(session, name)
