"""invoke deploy: the stack, and waiting until the cluster really works."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from sparkqfs import topology
from sparkqfs.amounts import amount
from sparkqfs.clients.context import templates
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem, RefusedError
from sparkqfs.facts.pages import StorageFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.cluster import images, leftovers, old_images, record, swarm
from sparkqfs.jobs.cluster.down import left_over, remove
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage import copies
from sparkqfs.jobs.storage.shared_path import check_shared_path
from sparkqfs.jobs.watching import status
from sparkqfs.plan.cluster.directories import wanted_directories
from sparkqfs.plan.cluster.images import stack_images
from sparkqfs.plan.cluster.markers import marker_path
from sparkqfs.plan.cluster.restore import unfinished
from sparkqfs.plan.cluster.updates import after_pause, failed_starts
from sparkqfs.plan.stack import CLUSTER_LABEL, SECRETS, StackFile, StackInput, build_stack, check_network
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage.metadata import start_problem
from sparkqfs.plan.times import engine_time
from sparkqfs.plan.watching.cluster_status import ClusterStatus
from sparkqfs.remote import script

DEPLOY_SCRIPT = script("deploy_stack")
BEGIN_S = 60.0
ENDING_S = 20
"""Seconds that a program in a container gets to end once its time is up."""
AGAIN = "fix what the lines above say, then `invoke deploy` again; `invoke logs` shows more of them"
_FRAME = re.compile(r"\s+(at \S+\(.*\)|\.\.\. \d+ more)$")
MAX_FAILURES = 4
"""A task that failed this often on one machine will not come up by waiting."""


def make_stack(session: Session) -> StackFile:
    """The stack file; on a dry run images that are not pushed yet keep their content tags."""
    config = session.config
    facts, problems = session.facts()
    if problems and not session.dry_run:
        raise ClusterError(*problems)
    refs = images.references(session)
    pushed = images.held(session)
    manager = facts.get(config.manager.name)
    has_secrets = manager is not None and manager.has_secrets
    secrets = session.secrets() if has_secrets else dict.fromkeys(SECRETS.values(), "")
    missing = [image.name for image in stack_images(config) if not pushed.get(image.name)]
    if missing and not session.dry_run:
        what = f"not in the registry: {', '.join(missing)}"
        raise ClusterError(Problem(node=config.manager.name, what=what, hint="run `invoke build push` first"))
    marker = manager.disks[0].marker if manager is not None and manager.disks else None
    return build_stack(
        StackInput(
            config=config,
            facts=facts,
            images={image.name: pushed.get(image.name) or refs[image.name].reference for image in stack_images(config)},
            templates=templates(),
            secrets=secrets,
            cluster_id=marker or "",
            certificates=images.certificates_of(config),
        )
    )


def _check_storage(session: Session) -> None:
    """The file system must exist, and every disk must carry the cluster's marker, before anything starts."""
    check_shared_path(session)
    if session.backend.layout is not None:
        _check_disks(session)
    config = session.config
    missing = [
        Problem(node=name, what=f"{path} is missing", hint="`invoke prep` makes it, then deploy again; or `invoke up`")
        for name, fact in session.all_facts().items()
        for path in wanted_directories(config, config.node(name))
        if (found := fact.paths.get(path)) is not None and found.kind == "missing"
    ]
    if missing:  # Swarm would end what runs, and then refuse what comes after it
        raise ClusterError(*missing)


def _check_metadata(session: Session) -> None:
    """Lost metadata is said before what else is missing: whoever lost a disk has no images either.

    A restore that was broken off is ended first: what it keeps aside is of the moment when it began.
    """
    manager = session.manager_facts()
    if manager.restoring and not session.is_restoring:
        raise RefusedError(unfinished(manager.name))
    problem = start_problem(session.config, session.all_facts()) if session.backend.layout is not None else None
    if problem is not None and problem.code == ExitCode.REFUSED:
        raise ClusterError(problem)


def _check_disks(session: Session) -> None:
    config = session.config
    facts = session.all_facts()
    problem = start_problem(config, facts)
    if problem is not None:
        raise ClusterError(problem)
    wanted = facts[config.manager.name].disks[0].marker
    for name, fact in facts.items():
        for disk in fact.disks:
            if wanted is None or disk.marker != wanted:
                what = f"{marker_path(config, disk)} is {disk.marker or 'missing'}: is the disk mounted?"
                raise ClusterError(
                    Problem(node=name, what=what, hint="mount it, or `invoke prep` for what is new; then deploy again")
                )


def deployed(session: Session) -> set[str]:
    """Names of the stack's services that Swarm has."""
    prefix = f"{session.config.name}_"
    return {
        item["Spec"]["Name"].removeprefix(prefix) for item in session.clients.engine().services(session.config.name)
    }


def is_current(session: Session, stack: StackFile) -> bool:
    """True when every service of this very stack file is deployed, and no other, and no update was given up."""
    services = session.clients.engine().services(session.config.name)
    found = {
        item["Spec"]["Name"].removeprefix(f"{session.config.name}_"): item["Spec"].get("Labels") or {}
        for item in services
    }
    return (
        set(found) == set(stack.services)
        and all(labels.get(topology.SERVICE_LABEL) == stack.digest for labels in found.values())
        and not any(map(_is_paused, services))
    )


def run(session: Session, *, accept_older: str | None = None) -> JobResult:
    """Deploy, wait until the cluster works, make the directories that need a running file system.

    `accept_older` is the mark of a copy of the metadata that may be given up for the older metadata on the manager.
    """
    config = session.config
    if accept_older is not None:
        copies.check_mark(session, accept_older)
    if not session.dry_run:
        check_cluster_name(session, session.all_facts())
        _check_metadata(session)
    stack = make_stack(session)
    if session.dry_run:
        document: dict[str, object] = {"schema": 1, "stack": stack.text, "configs": stack.configs}
        return JobResult(task="deploy", text=stack.text, document=document)
    _check_storage(session)
    record.settle(session)
    if accept_older is not None:
        copies.accept_older(session, accept_older)
    engine = session.clients.engine()
    started = engine_time(str(engine.info()["SystemTime"]))
    subject = f"stack {config.name}"
    members = swarm.check_members(session)
    if is_current(session, stack):
        labelled = swarm.set_labels(session, members)
        outcomes = [Outcome(subject=subject, state="unchanged")]
    else:
        if not engine.services(config.name) and left_over(session).things:
            _finish_removal(session)
        check_network(config, engine.networks(config.name))
        _create_configs(session, stack)
        session.on_event(f"[{config.manager.name}] deploying stack {config.name}")
        labelled = swarm.set_labels(session, members)  # not sooner: workers of the old stack end with it
        _stack_deploy(session, stack)
        outcomes = [Outcome(subject=subject, state="changed", changes=(f"digest {stack.digest}",))]
    if labelled:
        outcomes.append(Outcome(subject="swarm labels", state="changed", changes=labelled))
    wait_until_ready(session, stack, started)
    made = _prepare_storage(session)
    record.settle(session, looks_again=True)
    if made:
        outcomes.append(Outcome(subject="storage", state="changed", changes=made))
    status.wait_for_history(session)
    status.wait_for_metastore(session)
    removed = engine.remove_unused(config.name, [*stack.configs, *stack.secrets])
    if removed:
        outcomes.append(Outcome(subject="old configs and secrets", state="changed", changes=tuple(removed)))
    cleared = leftovers.remove_old_scratch(session)
    if cleared:
        outcomes.append(Outcome(subject="scratch of earlier versions", state="changed", changes=cleared))
    outcomes += old_images.remove(session)
    return JobResult(task="deploy", outcomes=tuple(outcomes), notes=next_steps(session))


def next_steps(session: Session) -> tuple[str, ...]:
    """What a new user does with a cluster that works; nothing of it needs an open port."""
    config = session.config
    steps = {
        "open jupyter": "Jupyter in your browser",
        f"put data.csv /user/{config.owner.user}/data.csv": "a file of yours onto the storage",
        "notebook plot --param FILE=data.csv": "a first plot of it, as a picture in results/",
        "status": "how the cluster is; `invoke verify`: how much Spark reads locally",
    }
    width = max(map(len, steps))
    works = f"cluster {config.name} works on {amount(len(config.nodes), 'machine')}. What is next:"
    return (works, *(f"  invoke {words:{width}}   {what}" for words, what in steps.items()))


def _finish_removal(session: Session) -> None:
    """End a `down` that did not come to its end: its network would vanish under our services."""
    silent = remove(session).silent
    if silent:
        raise ClusterError(*silent)  # what cannot be seen is not gone


def _create_configs(session: Session, stack: StackFile) -> None:
    engine = session.clients.engine()
    labels = {CLUSTER_LABEL: session.config.name}
    have = engine.config_names()
    for name, text in stack.configs.items():
        if name not in have:
            engine.create_config(name, text, labels)
    have = engine.secret_names()
    for name, secret in stack.secrets.items():
        if name not in have:
            engine.create_secret(name, str(secret), labels)


def _stack_deploy(session: Session, stack: StackFile) -> None:
    """`docker stack deploy` exists only in the command line; the login lives in a directory that goes away."""
    config = session.config
    auth = session.registry_auth()
    login = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()
    docker_config = json.dumps({"auths": {config.registry_address: {"auth": login}}})
    session.clients.manager.run(
        ["sh", "-c", DEPLOY_SCRIPT, "sh", config.name], stdin=docker_config + "\n" + stack.text, timeout_s=180
    )


def nodes_loading(tasks: Iterable[TaskFact]) -> list[str]:
    """Machines that have to get an image first: what Swarm calls preparing takes no time where it is there."""
    return sorted({task.node for task in tasks if (task.state, task.desired) == ("preparing", "running")})


def why_not_ready(session: Session, seen: ClusterStatus) -> str | None:
    """What the cluster still lacks; `None` when it works."""
    nodes = len(session.config.nodes)
    if loading := nodes_loading(seen.tasks):
        return f"images are loaded on {', '.join(loading)}"
    missing = [name for name in status.single_services(session) if not status.running(seen.tasks, name)]
    if missing:
        return f"starting: {', '.join(missing)}"
    if isinstance(seen.spark, str):
        return f"Spark master: {seen.spark}"
    workers = status.worker_addresses(session, seen.tasks)
    alive = tuple(host for host in seen.spark.alive_hosts if host in workers)
    if len(alive) < nodes:
        return f"{len(alive)} of {nodes} Spark workers registered"
    if isinstance(seen.storage, str):
        return f"{session.backend.words.storage}: {seen.storage}"
    why = session.backend.unready(session.config, seen.storage, alive)
    if why is not None:
        return why
    return f"Jupyter: {seen.jupyter}" if seen.jupyter is not None else None


def wait_until_ready(session: Session, stack: StackFile, since: str) -> None:
    """Until the cluster works. Raises `DeadlineError`, or `ClusterError` when a task of this deploy keeps failing."""
    last = {"why": "nothing yet"}
    resumed: set[tuple[TaskFact, ...]] = set()

    def ready() -> bool:
        seen = status.gather_status(session)
        tasks = [task for task in seen.tasks if task.created >= since]
        _fail_early(session, tasks)
        _begin_without_newer(session, seen)
        why = _not_updated(session, stack, since, resumed) or why_not_ready(session, seen)
        if why is None:
            return True
        if why != last["why"]:
            session.on_event(f"waiting: {why}")
        last["why"] = why
        return False

    try:
        wait_until(
            ready,
            what=f"stack {session.config.name} to work",
            timeout_s=session.config.timeouts.deploy_s,
            interval_s=2.0,
            hint="`invoke deploy` again goes on waiting; the limit is timeouts.deploy; `invoke status` shows the whole",
            detail=lambda: last["why"],
        )
    except DeadlineError as error:
        tasks = [task for task in gather_tasks(session.config, session.clients) if task.created >= since]
        quoted = _quote_failures(session, tasks)
        raise DeadlineError(*error.problems, *quoted) from error


def _begin_without_newer(session: Session, seen: ClusterStatus) -> None:
    """A restore has names of a moment ago; blocks that were written since have a second name already.

    The master waits then for somebody to say that the names are right. All data servers must have reported before.
    """
    backend, storage = session.backend, seen.storage
    if not session.is_restoring or not backend.waits_for_older or not isinstance(storage, StorageFact):
        return
    if backend.master is None or backend.waits_for_older not in storage.recovering_why:
        return
    if len(storage.up_hosts) < len(session.config.nodes):
        return
    session.on_event(f"{backend.words.storage} begins without what was written after its names; that is kept aside")
    exec_in(session, backend.master.name, list(backend.begin_without), timeout_s=BEGIN_S)


def _is_paused(service: dict[str, Any]) -> bool:
    """True when Swarm has given the update of a service up; the next deploy sets it going again."""
    return "paused" in str((service.get("UpdateStatus") or {}).get("State", ""))


def _not_updated(session: Session, stack: StackFile, since: str, resumed: set[tuple[TaskFact, ...]]) -> str | None:
    """The service that still runs tasks of an older stack file; `None` when all are new.

    Raises `ClusterError`, with the failures of its tasks, when Swarm has given an update up for good. `resumed` are
    the failures after which an update was set going again: each once.
    """
    engine = session.clients.engine()
    services = {item["ID"]: item for item in engine.services(session.config.name)}
    for service in services.values():
        state = str((service.get("UpdateStatus") or {}).get("State", ""))
        name = service["Spec"]["Name"]
        if _is_paused(service):
            short = name.removeprefix(f"{session.config.name}_")
            failed = [task for task in gather_tasks(session.config, session.clients) if task.service == short]
            why = _after_pause(session, stack, [task for task in failed if task.created >= since], resumed)
            if why is not None:
                return f"{name}: {why}"
            what = f"Swarm has paused the update of {name}: {service['UpdateStatus'].get('Message', '')}"
            raise ClusterError(*_quote_failures(session, failed), Problem(what=what, hint=AGAIN))
        if state == "updating":
            return f"updating {name}"
    for task in engine.tasks(session.config.name):
        owner = services.get(task["ServiceID"])
        if owner is None or task["DesiredState"] != "running":
            continue
        old, new = task["Spec"]["ContainerSpec"], owner["Spec"]["TaskTemplate"]["ContainerSpec"]
        if any(old.get(key) != new.get(key) for key in ("Image", "Env", "Configs", "Secrets", "Mounts")):
            return f"updating {owner['Spec']['Name']}"
    return None


def _after_pause(
    session: Session, stack: StackFile, tasks: Sequence[TaskFact], resumed: set[tuple[TaskFact, ...]]
) -> str | None:
    """What is waited for after a pause of a service's update; `None` when it is over: docs/decisions/0030."""
    failures = failed_starts(tasks)
    step = after_pause(tasks)
    if step == "give up" or failures in resumed:
        return None
    where = ", ".join(sorted({task.node for task in failures}))
    if step == "wait":
        return f"the engine of {where} could not start it; Swarm tries again"
    resumed.add(failures)
    session.on_event(
        f"[{where}] the engine could not start {tasks[0].service} at first; now it runs: the update goes on"
    )
    _stack_deploy(session, stack)
    return "updating"


def _fail_early(session: Session, tasks: Iterable[TaskFact]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for task in tasks:
        if task.state in ("failed", "rejected"):
            key = (task.service, task.node)
            counts[key] = counts.get(key, 0) + 1
    hopeless = [key for key, count in counts.items() if count >= MAX_FAILURES]
    if hopeless:
        what = f"tasks fail again and again: {', '.join(sorted({service for service, _ in hopeless}))}"
        raise ClusterError(*_quote_failures(session, tasks), Problem(what=what, hint=AGAIN))


def _quote_failures(session: Session, tasks: Iterable[TaskFact]) -> tuple[Problem, ...]:
    """The last failure of each service and machine, with the last lines of its log."""
    last: dict[tuple[str, str], TaskFact] = {}
    for task in tasks:
        if task.error and task.state in ("failed", "rejected", "preparing", "pending"):
            last[(task.service, task.node)] = task
    problems = []
    for (service, node), task in list(last.items())[:3]:
        lines = ""
        if task.container_id and node in {one.name for one in session.config.nodes}:
            with contextlib.suppress(ClusterError):
                output = session.clients.node(node).run(
                    ["docker", "logs", "--tail", "100", task.container_id], check=False, timeout_s=20
                )
                if output.exit_code == 0:  # else docker's own words: the container is gone
                    lines = "".join(f"\n  | {line}" for line in telling_lines(output.stdout + "\n" + output.stderr))
        problems.append(Problem(node=node or None, what=f"{service}: {task.error}{lines}"))
    return tuple(problems)


def telling_lines(log: str, count: int = 10) -> list[str]:
    """The last lines of a log without Java's stack frames, which would push the reason out."""
    return [line for line in log.splitlines() if line.strip() and not _FRAME.match(line)][-count:]


def _prepare_storage(session: Session) -> tuple[str, ...]:
    """User directories, /tmp, event log: needs a running file system, nothing to do the second time."""
    service, lines = session.backend.prepare_commands(session.config)
    session.on_event("directories on the file system")
    output = exec_in(session, service, ["sh", "-ec", "\n".join(lines)])
    return tuple(line for line in output.splitlines() if line.startswith("made"))


def find_container(session: Session, service: str) -> TaskFact:
    """The running task of a service. Raises `ClusterError` when there is none."""
    found = status.running(gather_tasks(session.config, session.clients), service)
    if not found:
        hint = "`invoke status` says why; `invoke deploy` starts it"
        raise ClusterError(Problem(what=f"{service} is not running", hint=hint))
    return found[-1]


def in_container(container_id: str, timeout_s: float) -> list[str]:
    """Command line that runs a program in a container, environment loaded, while its standard input is open.

    Killing `docker exec` leaves the program running, with all of Spark's cores; `attended` ends it when its time is
    up and when our end of the connection is gone. To be run with `attend=True`.
    """
    attended = ["/opt/sparkqfs/bin/attended", str(max(1, int(timeout_s)))]
    return ["docker", "exec", "-i", container_id, "/opt/sparkqfs/bin/with-env", *attended]


def check_time_limit(exit_code: int, node: str, what: str, timeout_s: float) -> None:
    """Raises `DeadlineError` for the exit code with which `attended` says that the program's time was up."""
    if exit_code == 124:
        text = f"{what} did not end within {timeout_s:.0f} s"
        raise DeadlineError(Problem(node=node, what=text, code=ExitCode.TIMEOUT))


def exec_in(session: Session, service: str, argv: list[str], *, timeout_s: float = 120.0) -> str:
    """Run a program in a service's container, environment loaded; its standard output."""
    task = find_container(session, service)
    command = [*in_container(task.container_id, timeout_s), *argv]
    client = session.clients.node(task.node)
    output = client.run(
        command,
        timeout_s=timeout_s + ENDING_S,
        check=False,
        on_line=lambda line: session.on_event(f"[{service}] {line}"),
        attend=True,
    )
    check_time_limit(output.exit_code, task.node, f"{argv[0]} in {service}", timeout_s)
    if output.exit_code != 0:
        raise client.failure(command, output)
    return output.stdout
