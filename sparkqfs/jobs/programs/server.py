"""The server for programs outside the cluster: found, started when it is first asked for, ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from sparkqfs import topology
from sparkqfs.clients.ssh import Output
from sparkqfs.clients.tunnel import Way, into_container
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem
from sparkqfs.facts.pages import SparkFact
from sparkqfs.jobs.programs.drivers import STOP_S, room, wait_until_gone
from sparkqfs.jobs.programs.submit import ask_master, deployed_settings
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.apps import waiting_for
from sparkqfs.plan.programs.fits import check_driver, driver_size, fit_executors
from sparkqfs.plan.programs.server import (
    SERVER_LABEL,
    TITLE,
    Life,
    Ready,
    Wishes,
    deployed_as,
    life_of,
    parse_jdbc,
    parse_ready,
    server_labels,
    server_task,
    service_name,
)
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.remote import script

AWAIT_SCRIPT = script("await_server")
JDBC_SCRIPT = script("start_jdbc")
RUN_DIRECTORY = "/run/sparkqfs"
"""In its container; runtime/sparkqfs_runtime/supervise/server.py writes READY_FILE there."""
READY_FILE = "server.json"
JDBC_S = 120.0
"""Until its JDBC server takes connections."""
TASK_S = 5.0
"""After so long a service without a task, as Swarm forgets tasks of old, is one that has ended."""
CONTAINER_S = 60.0
"""Until Swarm has its container."""
READY_S = 180.0
"""Until it takes connections: Spark waits up to 30 s of these for executors."""
LOG_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that takes connections."""

    ready: Ready
    container_id: str
    was_started: bool
    """By this command."""

    def way(self, session: Session, port: int) -> Way:
        """To a port on its container's loopback; the manager runs it."""
        return into_container(session.clients.manager, self.container_id, port)


def look(session: Session) -> Life:
    """What Swarm says of it now."""
    tasks = session.clients.engine().service_tasks(service_name(session.config.name))
    return life_of(tasks[-1] if tasks else None)


def provide(session: Session, wishes: Wishes) -> Server:
    """The server that runs, or a new one. Raises `ClusterError` with what keeps it from starting."""
    jupyter = _deployed(session)
    was_started = False
    if not look(session).is_there:
        was_started = _start(session, jupyter, wishes)
    life = _container(session)
    ready = _ready(session, life)
    if not was_started:
        _say_if_older(session, jupyter)
    _say_who_has_the_cores(session, ready)
    return Server(ready=ready, container_id=life.container_id, was_started=was_started)


def _deployed(session: Session) -> dict[str, Any]:
    """The stack's jupyter-server, whose settings the server shares. Raises `ClusterError`."""
    config = session.config
    name = f"{config.name}_{topology.JUPYTER_SERVER}"
    found = [one for one in session.clients.engine().services(config.name) if one["Spec"]["Name"] == name]
    if not found:
        raise ClusterError(Problem(what=f"stack {config.name} is not deployed", hint="`invoke deploy`, or `invoke up`"))
    return found[0]


def _start(session: Session, jupyter: dict[str, Any], wishes: Wishes) -> bool:
    """Make its service; False when another command has just done so."""
    config, engine = session.config, session.clients.engine()
    defaults = deployed_settings(session, jupyter)
    spark = ask_master(session)
    if wishes.take_all:
        wishes = replace(wishes, cores=max(1, spark.cores))
    program, notes = fit_executors(wishes.program(), defaults, spark.workers)
    for note in notes:
        session.on_event(note)
    size = driver_size(program, defaults)
    check_driver(size, room(session), config.manager.name)
    name = service_name(config.name)
    if not _make_room(session):
        return False
    session.on_event(f"starting the {TITLE} on {config.manager.name}: {size.arithmetic}")
    task = server_task(jupyter, config.name, config.manager.name, program, wishes.idle_minutes, size.memory_mib)
    try:
        engine.create_service(name, task, server_labels(config.name, deployed_as(jupyter)))
    except ClusterError:
        if _make_room(session):
            raise
        return False
    return True


def _make_room(session: Session) -> bool:
    """Remove the service of a server that has ended, and no other one; False where one runs, or will.

    By its ID: by now another command may have made one of the same name. Such a one has no task for a moment.
    """
    engine = session.clients.engine()
    name = service_name(session.config.name)
    end = time.monotonic() + TASK_S
    while True:
        found = engine.labelled_services(f"{SERVER_LABEL}={name}")
        if not found:
            return True
        tasks = engine.service_tasks(found[0]["ID"])
        if tasks and life_of(tasks[-1]).is_there:
            return False
        if tasks or time.monotonic() > end:
            engine.remove_service(found[0]["ID"])
            return True
        time.sleep(0.2)


def _container(session: Session) -> Life:
    """Its task with a container. Raises `ClusterError` when it ends before, `DeadlineError`."""
    seen = Life(state="")

    def running() -> Life | None:
        nonlocal seen
        seen = look(session)
        if not seen.is_there and seen.state:
            raise _failure(session, seen)
        return seen if seen.state == "running" and seen.container_id else None

    return wait_until(
        running,
        what=f"the {TITLE}'s container to start",
        timeout_s=CONTAINER_S,
        interval_s=0.3,
        detail=lambda: f"{seen.state or 'no task yet'} {seen.error}".strip(),
    )


def _ask(session: Session, life: Life, seconds: int) -> Output:
    """What the server in this container says of itself, waited for so long; exit code 124 for nothing."""
    argv = [
        "docker",
        "exec",
        "-i",
        life.container_id,
        "sh",
        "-c",
        AWAIT_SCRIPT,
        "sh",
        str(seconds),
        f"{RUN_DIRECTORY}/{READY_FILE}",
    ]
    return session.clients.manager.run(argv, timeout_s=seconds + 30, check=False, attend=True)


def _ready(session: Session, life: Life) -> Ready:
    """What it says of itself, as soon as it takes connections."""
    output = _ask(session, life, int(READY_S))
    if output.exit_code == 124:
        what = f"timed out after {READY_S:.0f} s waiting for the {TITLE} to take connections"
        what = f"{what}\n{_last_words(session, life)}".rstrip()
        raise DeadlineError(Problem(what=what, hint="`invoke connect --stop` ends it", code=ExitCode.TIMEOUT))
    if output.exit_code:
        raise _failure(session, look(session), life)
    try:
        return parse_ready(output.stdout)
    except ValueError as error:
        hint = "its image is of another version: `invoke build push deploy`, then `invoke connect --stop`"
        raise ClusterError(Problem(node=session.config.manager.name, what=str(error), hint=hint)) from error


def _failure(session: Session, life: Life, before: Life | None = None) -> ClusterError:
    """Why it ended before it took connections, with its last words."""
    words = _last_words(session, life if life.container_id or before is None else before)
    what = f"the {TITLE} ended before it took connections: {life.error or life.state or 'its service was removed'}"
    return ClusterError(Problem(node=session.config.manager.name, what=f"{what}\n{words}".rstrip()))


def _last_words(session: Session, life: Life) -> str:
    if not life.container_id:
        return ""
    argv = ["docker", "logs", "--tail", str(LOG_LINES), life.container_id]
    return session.clients.manager.run(argv, check=False, timeout_s=30).last_lines(LOG_LINES)


def _say_if_older(session: Session, jupyter: dict[str, Any]) -> None:
    """A deploy leaves a server that runs alone: somebody may be using it."""
    found = session.clients.engine().labelled_services(f"{SERVER_LABEL}={service_name(session.config.name)}")
    if found and deployed_as(found[0]) != deployed_as(jupyter):
        session.on_event(f"the {TITLE} is of an earlier deploy: `invoke connect --stop`, and the next one is of this")


def _say_who_has_the_cores(session: Session, ready: Ready) -> None:
    spark = status.ask_spark(session)
    text = waiting_for(ready.app_id, spark) if ready.app_id and isinstance(spark, SparkFact) else None
    if text is not None:
        session.on_event(text)


def jdbc_port(session: Session, found: Server) -> int:
    """Of its JDBC server, on its container's loopback; starts that when nobody has done so yet."""
    words = ["sh", "-c", JDBC_SCRIPT, "sh", str(int(JDBC_S)), RUN_DIRECTORY]
    argv = ["docker", "exec", "-i", found.container_id, *words]
    output = session.clients.manager.run(argv, timeout_s=JDBC_S + 30, check=False, attend=True)
    life = look(session)
    if output.exit_code == 124:
        what = f"timed out after {JDBC_S:.0f} s waiting for the JDBC server\n{_last_words(session, life)}".rstrip()
        hint = "a server of an earlier version has none: `invoke connect --stop`, then again"
        raise DeadlineError(Problem(what=what, hint=hint, code=ExitCode.TIMEOUT))
    if output.exit_code:
        raise _failure(session, life)
    try:
        return parse_jdbc(output.stdout)
    except ValueError as error:
        hint = "`invoke connect --stop`, then again"
        raise ClusterError(Problem(node=session.config.manager.name, what=str(error), hint=hint)) from error


# --- its end ---


def stop(session: Session) -> bool:
    """End it and see that its application has left the master; False when there is none."""
    life = look(session)
    app_id = application(session, life)
    name = service_name(session.config.name)
    engine = session.clients.engine()
    engine.remove_service(name)
    if not life.is_there:
        return False
    wait_until(
        lambda: not engine.containers(f"{SERVER_LABEL}={name}"),
        what=f"the {TITLE} to end",
        timeout_s=STOP_S,
        interval_s=0.5,
    )
    if app_id is not None:
        wait_until_gone(session, app_id)
    return True


def application(session: Session, life: Life) -> str | None:
    """The id of its application; `None` while it has none."""
    if life.state != "running" or not life.container_id:
        return None
    output = _ask(session, life, 0)
    try:
        return parse_ready(output.stdout).app_id if output.exit_code == 0 else None
    except ValueError:
        return None


def drives(session: Session, app_id: str) -> bool:
    """Whether this application is the server's."""
    return application(session, look(session)) == app_id


def services(session: Session) -> list[str]:
    """The names of its services that there are: one or none."""
    found = session.clients.engine().labelled_services(f"{CLUSTER_LABEL}={session.config.name}")
    return [one["Spec"]["Name"] for one in found if SERVER_LABEL in (one["Spec"].get("Labels") or {})]


def end_all(session: Session) -> list[str]:
    """Remove its service without waiting: it holds the stack's network. What was removed."""
    names = services(session)
    for name in names:
        session.clients.engine().remove_service(name)
    return [f"the {TITLE}" for _ in names]
