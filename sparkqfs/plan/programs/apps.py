"""Users' programs on the cluster: what they are sent with, the service that runs them, and the list of applications."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.facts.pages import AppFact, SparkFact
from sparkqfs.plan.programs.parcel import FOLDER as FOLDER
from sparkqfs.plan.programs.parcel import Parcel as Parcel
from sparkqfs.plan.programs.parcel import pack as pack
from sparkqfs.plan.programs.user import Program as Program
from sparkqfs.plan.programs.user import is_uri as is_uri
from sparkqfs.plan.stack import CLUSTER_LABEL, NODE_LABEL

APP_LABEL = "sparkqfs.app"
GRACE_S = 30
"""For a driver to take its leave from the master; DRIVER_DEADLINE_S of the runtime (supervise/driver.py) is less."""
APP_ID = re.compile(r"app-\d{14}-\d{4,}")
SUBMISSION_ID = re.compile(r"submit-\d{14}-[0-9a-f]{4}")
ENDED_STATES = frozenset({"complete", "failed", "rejected", "orphaned", "shutdown", "remove"})
"""Of a Swarm task."""
RUN_ONCE: Mapping[str, Any] = {"Condition": "none"}
RUN_AGAIN: Mapping[str, Any] = {"Condition": "on-failure", "Delay": 5 * 10**9}
"""Swarm starts a task again that has failed or whose machine was down. How long the next run waits, and when there is
none any more, says the runtime (supervise/restarts.py), which ends with 0 then."""


# --- the driver's service ---


def service_name(cluster: str, submission: str) -> str:
    """Of the Swarm service that runs a driver."""
    return f"{cluster}-{submission}"


def driver_labels(cluster: str, submission: str) -> dict[str, str]:
    """By which the service, and its container, are found again."""
    return {CLUSTER_LABEL: cluster, APP_LABEL: submission}


def driver_task(
    jupyter: Mapping[str, Any],
    cluster: str,
    manager: str,
    submission: str,
    memory_mib: int,
    *,
    restart: bool = False,
) -> dict[str, Any]:
    """The task of a driver's service, from what the engine says of the deployed jupyter-server."""
    task = one_shot_task(
        jupyter,
        cluster,
        manager,
        labels=driver_labels(cluster, submission),
        role="driver",
        environment={"SPARKQFS_APP": submission},
        memory_mib=memory_mib,
    )
    return task | {"RestartPolicy": dict(RUN_AGAIN if restart else RUN_ONCE)}


def has_ended(task: Mapping[str, Any]) -> bool:
    """Whether Swarm is done with a service whose latest task this is: one that runs again ends with 0 only."""
    state = task["Status"]["State"]
    return bool(state == "complete" if runs_again(task) else state in ENDED_STATES)


def runs_again(task: Mapping[str, Any]) -> bool:
    """Whether Swarm starts this task again when it fails."""
    policy = (task.get("Spec") or {}).get("RestartPolicy") or RUN_ONCE
    return bool(policy.get("Condition") == RUN_AGAIN["Condition"])


def one_shot_task(
    jupyter: Mapping[str, Any],
    cluster: str,
    manager: str,
    *,
    labels: Mapping[str, str],
    role: str,
    environment: Mapping[str, str],
    memory_mib: int,
) -> dict[str, Any]:
    """The task of a service outside the stack that runs a role of the runtime once.

    It has the deployed jupyter-server's image, network, settings, log limit, mounts and secrets but the token: a
    session there and here is the same.
    Its memory is limited: a driver that takes more ends, and not what runs beside it.
    It is pinned to the manager, where its files are, is known under no name, and is never started twice:
    `driver_task` may say otherwise.
    """
    template = jupyter["Spec"]["TaskTemplate"]
    container = dict(template["ContainerSpec"])
    container["Labels"] = dict(labels)
    container["Args"] = ["/opt/sparkqfs/bin/supervise", role]
    container["Env"] = [*container.get("Env", []), *(f"{name}={value}" for name, value in environment.items())]
    container["Secrets"] = [
        one for one in container.get("Secrets") or [] if one["File"]["Name"].rpartition("/")[2] != "jupyter-token"
    ]
    container["Healthcheck"] = {"Test": ["NONE"]}
    container["StopGracePeriod"] = GRACE_S * 10**9
    constraints = [f"node.labels.{CLUSTER_LABEL} == {cluster}", f"node.labels.{NODE_LABEL} == {manager}"]
    return {
        "ContainerSpec": container,
        **({"LogDriver": template["LogDriver"]} if template.get("LogDriver") else {}),
        "Resources": {"Limits": {"MemoryBytes": memory_mib * 2**20}},
        "RestartPolicy": dict(RUN_ONCE),
        "Placement": {"Constraints": constraints},
        "Networks": [{"Target": one["Target"]} for one in template.get("Networks") or []],
    }


# --- what the manager says of it ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is new of a driver's output."""

    stdout: bytes
    stderr: bytes
    stdout_gone: int = 0
    """Bytes of stdout before these that are not kept any more."""
    stderr_gone: int = 0
    more: bool = False
    """There is more to read at once."""
    app_id: str | None
    executors: int | None = None
    """How many its applications got in all; `None` when the driver does not count them."""
    runs: int | None = None
    """How often it was started; `None` for one that runs once."""
    ended: tuple[int, str] | None
    """(exit code, `ended`, `stopped` or `lost`), when it is no more."""


def parse_exit(text: str) -> tuple[int, str] | None:
    """Read the file `exit`, `code word`; nothing of another form is believed."""
    found = re.fullmatch(r"(\d{1,3}) (ended|stopped|lost)", text.strip())
    return (int(found[1]), found[2]) if found else None


def parse_piece(text: str) -> Piece:
    """Read the lines `key<TAB>value` that remote/read_output.sh prints."""
    values = {key: value for key, _, value in (line.partition("\t") for line in text.splitlines())}
    return Piece(
        stdout=base64.b64decode(values.get("stdout", "")),
        stderr=base64.b64decode(values.get("stderr", "")),
        more="more" in values,
        stdout_gone=_number(values.get("stdout-gone", "")),
        stderr_gone=_number(values.get("stderr-gone", "")),
        app_id=_app_id(values.get("app", "")),
        executors=_count(values.get("executors", "")),
        runs=parse_runs(values.get("runs", ""))[0],
        ended=parse_exit(values.get("exit", "")),
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def parse_runs(text: str) -> tuple[int | None, bool]:
    """Read the file `.runs.json` of a program that runs again: (how often it was started, whether it runs now)."""
    try:
        found = json.loads(text)
        return int(found["number"]), found["ended"] is None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None, True


UNTOLD = frozenset({1, 75, 78})
"""Exit codes of a program that raised, or that did not start: its own words say why."""


def used_cluster(ended: tuple[int, str] | None, app_id: str | None, executors: int | None) -> bool | None:
    """Whether a program that came to its end computed on the cluster; `None` when that is not known, or not asked."""
    if ended is None or ended[1] != "ended" or ended[0] in UNTOLD:
        return None
    if app_id is None:
        return False
    return None if executors is None else executors > 0


def unused(name: str, app_id: str | None) -> str:
    """What a program that did not use the cluster is told."""
    if app_id is not None:
        return f"{name} did not use the cluster: its application {app_id} ended before it had an executor"
    why = "it made no SparkSession, or one with a master of its own; all of it ran on the manager"
    return f"{name} did not use the cluster: {why}. SparkSession.builder.getOrCreate(), without master(), uses it"


def _app_id(text: str) -> str | None:
    found = APP_ID.search(text)
    return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One program sent by `submit`, from its directory on the manager. Times are seconds since the epoch."""

    id: str
    name: str
    user: str
    submitted_s: float
    app_id: str | None
    ended: tuple[int, str] | None
    ended_s: float | None
    executors: int | None = None
    """How many its applications got in all; `None` when that is not known."""
    runs: int | None = None
    """How often it was started; `None` for one that runs once."""
    is_between: bool = False
    """It runs again, and not at the moment."""


LAST_S = 253402300799.0
"""The end of the year 9999: a moment after it, or an endless number, cannot be shown as a date."""


def parse_submissions(text: str) -> tuple[Submission, ...]:
    """Read the lines of remote/list_submissions.sh; others are left out.

    They are `id<TAB>exit<TAB>when<TAB>app<TAB>executors<TAB>.runs.json<TAB>app.json`.
    """
    found = []
    for line in text.splitlines():
        words = line.split("\t", 6)
        if len(words) < 7 or SUBMISSION_ID.fullmatch(words[0]) is None:
            continue
        try:
            known = json.loads(words[6])
            submitted = float(known["submitted"])
            name, user = str(known["name"]), str(known["user"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        if not 0 <= submitted <= LAST_S:
            continue
        runs, runs_now = parse_runs(words[5])
        found.append(
            Submission(
                id=words[0],
                name=name,
                user=user,
                submitted_s=submitted,
                app_id=_app_id(words[3]),
                ended=parse_exit(words[1]),
                ended_s=float(words[2]) if words[2].isdigit() else None,
                executors=_count(words[4]),
                runs=(runs or 0) if known.get("restart") else None,
                is_between=not runs_now,
            )
        )
    return tuple(found)


# --- the list ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One row of `invoke apps`."""

    id: str
    """Spark's; the submission's before Spark has given one."""
    submission: str | None
    name: str
    user: str
    state: str
    """WAITING, RUNNING, FINISHED, FAILED, KILLED, LOST, STARTING, RESTARTING, UNKNOWN."""
    started_s: float
    duration_s: float
    cores: int | None
    exit_code: int | None
    link: str | None
    used_cluster: bool | None = None
    """Of a submission that has ended; `None` where it is not known."""
    runs: int | None = None
    """How often a submission was started that runs again; `None` of others."""

    @property
    def is_running(self) -> bool:
        """True while it holds, or waits for, cores."""
        return self.state in ("STARTING", "RESTARTING", "WAITING", "RUNNING")


def list_applications(
    *,
    active: Sequence[AppFact] | None,
    completed: Sequence[AppFact],
    history: Sequence[AppFact],
    submissions: Sequence[Submission],
    living: frozenset[str],
    now_s: float,
    links: tuple[str | None, str | None],
) -> tuple[Application, ...]:
    """Running ones first, then ended ones, the latest first; each application once.

    The master knows best while it lives; the history server remembers what was before; a submission adds who sent it
    and how it ended. `active` is `None` when the master does not answer: whether a log without an end is one of an
    application that runs is not known then. `living` are the submissions whose driver still runs; `links` are the
    addresses of the master's page and of the history server.
    """
    rows: dict[str, Application] = {}
    master_url, history_url = links
    without_end = "LOST" if active is not None else "UNKNOWN"
    for facts, page in ((history, False), (completed, False), (active or (), True)):
        for fact in facts:
            state = without_end if facts is history and fact.state == "RUNNING" else fact.state
            link = f"{master_url}/proxy/{fact.id}/" if page and master_url else None
            if not page and history_url:
                link = f"{history_url}/history/{fact.id}/"
            rows[fact.id] = Application(
                id=fact.id,
                submission=None,
                name=fact.name,
                user=fact.user,
                state=state,
                started_s=fact.started_s,
                duration_s=max(0.0, fact.duration_s or (now_s - fact.started_s if page else 0.0)),
                cores=fact.cores,
                exit_code=None,
                link=link,
            )
    running = {fact.id for fact in active or ()}
    for one in submissions:
        row = rows.pop(one.app_id, None) if one.app_id is not None else None
        row = row or _row_of(one, now_s)
        state = row.state if one.app_id in running else _state_of(one, row.state, one.id in living)
        code = one.ended[0] if one.ended is not None else None
        used = used_cluster(one.ended, one.app_id, one.executors)
        rows[one.app_id or one.id] = replace(
            row, submission=one.id, user=one.user, state=state, exit_code=code, used_cluster=used, runs=one.runs
        )
    return tuple(sorted(rows.values(), key=lambda row: (not row.is_running, -row.started_s)))


def _row_of(one: Submission, now_s: float) -> Application:
    end = one.ended_s if one.ended_s is not None else now_s
    return Application(
        id=one.app_id or one.id,
        submission=one.id,
        name=one.name,
        user=one.user,
        state="STARTING",
        started_s=one.submitted_s,
        duration_s=max(0.0, end - one.submitted_s),
        cores=None,
        exit_code=None,
        link=None,
    )


def _state_of(one: Submission, known: str, is_living: bool) -> str:
    """The driver's end says more than Spark's: for Spark a program that raised is FINISHED too."""
    if one.ended is None:
        return ("RESTARTING" if one.is_between else "STARTING") if is_living else "LOST"
    code, word = one.ended
    if word == "lost":
        return "LOST"
    if word == "stopped":
        return "KILLED"
    if code:
        return "FAILED"
    return "FINISHED" if known in ("STARTING", "LOST", "UNKNOWN") else known


CONNECT_NAME = "Spark Connect"
"""As runtime/sparkqfs_runtime/supervise/server.py names its application."""
CLOCK_S = 2.0
"""Between two clocks of one machine's that count in seconds and in milliseconds."""


def running_at(when_s: float, rows: Sequence[Application]) -> tuple[Application, ...]:
    """Spark's applications that ran at a moment, so far as they are known, the latest first."""
    return tuple(
        row
        for row in rows
        if APP_ID.fullmatch(row.id) and row.started_s - CLOCK_S <= when_s <= row.started_s + row.duration_s + CLOCK_S
    )


def waiting_for(app_id: str, spark: SparkFact) -> str | None:
    """Who holds the cores that this application waits for, and what helps; `None` when it has some, or is gone.

    One that has given its cores back does not wait for them while there are free ones.
    """
    active = spark.active
    mine = next((app for app in active if app.id == app_id), None)
    if mine is None or not (mine.state == "WAITING" or (not mine.cores and spark.cores_used >= spark.cores)):
        return None
    holders = [f"{app.id} ({app.name}) has {app.cores}" for app in active if app.cores and app.id != app_id]
    if not holders:
        return f"{app_id} waits for cores, and no application has any: `invoke status` shows the workers"
    said = "it starts when they are free: end one with `invoke kill ID`, or give each fewer with `--cores`"
    if any(app.cores and app.name == CONNECT_NAME for app in active):
        said += f". {CONNECT_NAME} is that of `invoke sql`, `connect` and `jdbc`: `invoke connect --stop` ends it"
    return f"{app_id} waits for cores: {', '.join(holders)}; {said}"


def choose(wanted: str, rows: Sequence[Application]) -> Application:
    """The application of this id, Spark's or the submission's. Raises `ConfigError`."""
    for row in rows:
        if wanted in (row.id, row.submission):
            return row
    known = ", ".join(row.id for row in rows[:5]) or "none"
    raise ConfigError(Problem(what=f"no application {wanted}", hint=f"`invoke apps` lists them; the latest: {known}"))
