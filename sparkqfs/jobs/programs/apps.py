"""invoke apps, kill, app.logs: the applications of the cluster, running and ended."""

from __future__ import annotations

import base64
import dataclasses
import re
import time

from sparkqfs import topology
from sparkqfs.clients.web import WebError, get_json
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.pages import SparkFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster.deploy import find_container
from sparkqfs.jobs.programs import drivers, server
from sparkqfs.jobs.programs import follow as following
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.apps import (
    APP_ID,
    FOLDER,
    SUBMISSION_ID,
    Application,
    choose,
    list_applications,
    parse_submissions,
    unused,
)
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.times import exactly
from sparkqfs.remote import program, script
from sparkqfs.shortening import shortened

LIST_SCRIPT = script("list_submissions", FOLDER=FOLDER, KNOWN_BYTES=drivers.KNOWN_BYTES)
LOGS_SCRIPT = script("last_lines")
"""Of each stream the last lines, from all its pieces, and the bytes that are not kept any more. A driver's pieces are
`stdout`, `stdout@OFFSET`, …; an executor's are `stdout--TIME`, …, `stdout`, and `.stdout.gone` says what is missing.
Executors' directories are numbers; what a program keeps in others beside its output is its own."""
END_LISTENER = program("end_listener")
"""In the container of a driver that is no submission: ends the JVM that listens on the driver's port."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The applications, and which of those that know of them did not answer."""

    rows: tuple[Application, ...]
    problems: tuple[Problem, ...]


def gather(session: Session) -> Seen:
    """Ask the master, the history server and the manager's files; one that is down does not hide the others."""
    seen = status.gather_status(session)
    problems = []
    if isinstance(seen.spark, str):
        problems.append(Problem(what=f"Spark master: {seen.spark}", hint="`invoke logs --service spark-master`"))
    if isinstance(seen.history, str):
        what = f"history server: {seen.history}; applications from before the master's start are missing"
        problems.append(Problem(what=what, hint="`invoke logs --service history-server`"))
    sent = parse_submissions(drivers.on_manager(session, LIST_SCRIPT).stdout)
    spark = seen.spark if isinstance(seen.spark, SparkFact) else None
    rows = list_applications(
        active=spark.active if spark is not None else None,
        completed=spark.completed if spark is not None else (),
        history=seen.history if not isinstance(seen.history, str) else (),
        submissions=sent,
        living=drivers.living(session),
        now_s=time.time(),
        links=status.links(seen),
    )
    return Seen(rows=rows, problems=tuple(problems))


def apps(session: Session, *, last: int) -> JobResult:
    """Every running application and the latest `last` ended ones."""
    seen = gather(session)
    running = [row for row in seen.rows if row.is_running]
    rows = running + [row for row in seen.rows if not row.is_running][:last]
    document: dict[str, object] = {"schema": 1, "applications": [_entry(row) for row in rows]}
    text = "\n".join(_lines(rows)) or "no applications"
    notes = tuple(
        unused(row.name, row.id if APP_ID.fullmatch(row.id) else None) for row in rows if row.used_cluster is False
    )
    return JobResult(task="apps", text=text, document=document, notes=notes, problems=seen.problems)


def _entry(row: Application) -> dict[str, object]:
    return {**dataclasses.asdict(row), "started": _when(row.started_s, "%Y-%m-%dT%H:%M:%SZ")}


def _when(seconds: float, form: str) -> str:
    return time.strftime(form, time.gmtime(seconds))


def _lines(rows: list[Application]) -> list[str]:
    """A table with columns as wide as they need; the link is last because it is long."""
    if not rows:
        return []
    cells = [("ID", "STATE", "NAME", "USER", "CORES", "STARTED (UTC)", "TOOK", "RUNS", "EXIT", "LINK")]
    for row in rows:
        cells.append(
            (
                row.id,
                row.state,
                shortened(row.name, 32),
                row.user,
                "" if row.cores is None else str(row.cores),
                _when(row.started_s, "%Y-%m-%d %H:%M:%S"),
                exactly(row.duration_s),
                "" if row.runs is None else str(row.runs),
                "" if row.exit_code is None else str(row.exit_code),
                row.link or "",
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


# --- kill ---


def kill(session: Session, wanted: str) -> JobResult:
    """End an application: a submission by its service, any other one by the program that drives it."""
    seen = gather(session)
    if all(row.submission != wanted for row in seen.rows) and wanted in drivers.services(session):
        return _kill_without_files(session, wanted)
    row = _known(wanted, seen)
    if not row.is_running:
        return JobResult(task="kill", outcomes=(Outcome(subject=row.id, state="unchanged", changes=(row.state,)),))
    if session.dry_run:
        return JobResult(task="kill", outcomes=(Outcome(subject=row.id, state="planned", changes=(row.name,)),))
    app_id = row.id if APP_ID.fullmatch(row.id) else None
    session.on_event(f"ending {row.id}")
    if app_id is not None and row.submission is None and server.drives(session, app_id):
        server.stop(session)
    elif row.submission is None or not drivers.stop(session, row.submission, app_id):
        _end_driver(session, row.id)
        drivers.wait_until_gone(session, row.id)
    return JobResult(task="kill", outcomes=(Outcome(subject=row.id, state="changed", changes=("ended",)),))


def _kill_without_files(session: Session, submission: str) -> JobResult:
    """A driver whose directory on the manager somebody has removed: only Swarm knows it still."""
    if session.dry_run:
        return JobResult(task="kill", outcomes=(Outcome(subject=submission, state="planned"),))
    session.on_event(f"ending {submission}")
    drivers.stop(session, submission, None)
    return JobResult(task="kill", outcomes=(Outcome(subject=submission, state="changed", changes=("ended",)),))


def _known(wanted: str, seen: Seen) -> Application:
    """The application. Raises `ClusterError` with those that do not answer when they would have to be asked."""
    try:
        row = choose(wanted, seen.rows)
    except ConfigError as error:
        if seen.problems:
            raise ClusterError(*error.problems, *seen.problems) from error
        raise
    if row.state == "UNKNOWN":
        raise ClusterError(Problem(what=f"whether {row.id} runs is not known; nothing was ended"), *seen.problems)
    return row


def _end_driver(session: Session, app_id: str) -> None:
    """End the driver of a notebook, a shell or the like: the JVM that listens on its port in jupyter-server."""
    host, port = _driver_address(session, app_id)
    task = find_container(session, topology.JUPYTER_SERVER)
    if host not in _addresses(session, task):
        what = f"the driver of {app_id} is at {host}, outside the cluster's containers"
        raise ClusterError(Problem(what=what, hint="end the program there"))
    client = session.clients.node(task.node)
    argv = ["docker", "exec", task.container_id, "/usr/bin/python3", "-I", "-c", END_LISTENER, port]
    if not client.run(argv).stdout.strip():
        raise ClusterError(Problem(node=task.node, what=f"nothing listens on the driver's port {port} any more"))


def _addresses(session: Session, task: TaskFact) -> tuple[str, ...]:
    if session.config.network == "host":
        return (session.config.node(task.node).advertise,)
    return task.addresses


def _driver_address(session: Session, app_id: str) -> tuple[str, str]:
    """Host and port of a running driver, as its own page tells them. Raises `ClusterError`."""
    master = find_container(session, topology.SPARK_MASTER)
    where = session.config.node(master.node).advertise
    path = f"/proxy/{app_id}/api/v1/applications/{app_id}/environment"
    try:
        found = get_json(session.clients.manager, where, session.config.ports.spark_ui, path, timeout_s=10.0)
        known = {str(key): str(value) for key, value in found["sparkProperties"]}
        return known["spark.driver.host"], str(int(known["spark.driver.port"]))
    except (WebError, KeyError, TypeError, ValueError) as error:
        what = f"cannot ask the driver of {app_id} where it is: {error}"
        raise ClusterError(Problem(what=what, hint="end the program that started it")) from error


# --- logs ---


def logs(session: Session, wanted: str, *, tail: int) -> JobResult:
    """The last lines of a driver's output and of its executors' on every node; it may have ended long ago."""
    sent = parse_submissions(drivers.on_manager(session, LIST_SCRIPT).stdout)
    mine = [one for one in sent if wanted in (one.id, one.app_id)]
    if not mine and not APP_ID.fullmatch(wanted) and not SUBMISSION_ID.fullmatch(wanted):
        raise ConfigError(Problem(what=f"{wanted} is not an application's id", hint="`invoke apps` lists them"))
    app_id = mine[0].app_id if mine else wanted
    config = session.config
    parts: list[tuple[str, str, bytes, tuple[int, bool]]] = []
    if mine:
        text = drivers.on_manager(session, LOGS_SCRIPT, f"{FOLDER}/{mine[0].id}", str(tail)).stdout
        parts += [(config.manager.name, f"driver/{name}", data, _gone(text, name)) for name, data in _files(text)]
    problems: tuple[Problem, ...] = ()
    if app_id is not None:
        nodes = tuple(node.name for node in config.nodes)
        results = session.clients.on(
            nodes,
            lambda node: drivers.in_spark_directory(session, node, LOGS_SCRIPT, f"work/{app_id}", str(tail)).stdout,
        )
        for node, text in results.values.items():
            parts += [(node, name, data, _gone(text, name)) for name, data in _files(text)]
        problems = results.problems
    if not parts and not problems:
        what = f"no output of {wanted} is left"
        hint = f"output is kept for {config.logs.days} days; a notebook's own is in the notebook"
        raise ClusterError(Problem(what=what, hint=hint))
    entries: list[dict[str, object]] = []
    lines: list[str] = []
    for node, name, data, (gone, is_exact) in parts:
        content = data.decode(errors="replace").splitlines()
        if gone:
            least = "" if is_exact else "at least "
            lines.append(f"[{node}] {name}: ({least}{gone} bytes from before are no longer kept)")
        elif not is_exact:
            lines.append(f"[{node}] {name}: (what was before may be missing; how many bytes is not known)")
        lines += [f"[{node}] {name}: {line}" for line in content]
        entries.append({"node": node, "file": name, "lines": content, "gone_bytes": gone, "gone_exact": is_exact})
    document: dict[str, object] = {"schema": 1, "application": app_id, "logs": entries}
    return JobResult(task="app.logs", text="\n".join(lines), document=document, problems=problems)


def follow(session: Session, wanted: str, *, output: following.OnOutput) -> JobResult:
    """A submission's output from its beginning to its end, and its exit code; Ctrl-C leaves it running."""
    sent = parse_submissions(drivers.on_manager(session, LIST_SCRIPT).stdout)
    mine = [one.id for one in sent if wanted in (one.id, one.app_id)]
    if not mine:
        hint = "only what `invoke submit` sent can be followed; `invoke apps` lists it"
        raise ConfigError(Problem(what=f"no submission {wanted}", hint=hint))
    ended = following.follow(session, mine[0], output, following.FOLLOW_S)
    return following.result_of(session, mine[0], ended, "app.logs")


def _files(text: str) -> list[tuple[str, bytes]]:
    """Lines `name<TAB>base64` of LOGS_SCRIPT."""
    pairs = (line.partition("\t") for line in text.splitlines())
    return [(name, base64.b64decode(encoded)) for name, _, encoded in pairs if not name.endswith("-gone")]


def _gone(text: str, name: str) -> tuple[int, bool]:
    """What LOGS_SCRIPT says of a file: (bytes that are not kept any more, whether there were no more)."""
    found = re.search(rf"^{re.escape(name)}-gone\t(\d{{1,18}})(\+?)$", text, re.MULTILINE)
    return (int(found[1]), not found[2]) if found else (0, True)
