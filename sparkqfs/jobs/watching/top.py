"""invoke top: how busy the machines are, how warm, and how far the running applications have come."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

from sparkqfs import topology
from sparkqfs.clients.background import Background
from sparkqfs.clients.web import WebError, get_json
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.usage import (
    RunningStage,
    Usage,
    UsageSample,
    parse_active_applications,
    parse_stages,
    usage_between,
)
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.gather.usage import ask_usage
from sparkqfs.jobs.cluster import prep
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.steps import JobResult

WEB_TIMEOUT_S = 3.0
LOOK_S = 3.0
"""Whoever has not answered by then is left out of the look, and of the next ones until it answers."""
APPLICATIONS = 8
"""Applications whose stages are asked for at a look."""
BAR = 20
"""Characters of a stage's progress."""
Progress = tuple[dict[str, str], tuple[RunningStage, ...], str | None]
"""Applications by id, their active stages, and why that is not known."""


def watch(session: Session, *, only: tuple[str, ...], interval_s: float) -> Iterator[JobResult]:
    """A look every `interval_s` seconds, for ever; the first one comes after one interval, as rates need two.

    What is silent holds up one look, by LOOK_S seconds; at the very first, connecting takes its own time.
    """
    names = prep.names_of(session, only)
    limit = session.config.ssh.parallel
    machines = Background(lambda name: ask_usage(session.config, session.clients, name), limit=limit)
    spark = Background(lambda _: _applications(session), limit=1)
    before = machines.look(names, within_s=session.config.timeouts.connect_s + LOOK_S).values
    while True:
        time.sleep(interval_s)
        spark.start((topology.SPARK_MASTER,))
        now = machines.look(names, within_s=LOOK_S)
        asked = spark.look((topology.SPARK_MASTER,), within_s=LOOK_S)
        applications, stages, why = asked.values.get(topology.SPARK_MASTER, ({}, (), "no answer yet"))
        yield _result(session, before, now.values, now.problems, applications, stages, why)
        before = {**before, **now.values}


def _applications(session: Session) -> Progress:
    """What runs on Spark, its active stages, and why that is not known."""
    config, manager = session.config, session.clients.manager
    try:
        place = status.place_of(session, gather_tasks(config, session.clients), topology.SPARK_MASTER)
        if place is None:
            return {}, (), "the Spark master is not running"
        port = config.ports.spark_ui
        found = parse_active_applications(get_json(manager, place, port, "/json/", timeout_s=WEB_TIMEOUT_S))
    except (WebError, ClusterError, ValueError, KeyError, TypeError) as error:
        return {}, (), str(error).splitlines()[0]
    stages: list[RunningStage] = []
    for application in list(found)[:APPLICATIONS]:
        path = f"/proxy/{application}/api/v1/applications/{application}/stages?status=active"
        try:
            stages += parse_stages(application, get_json(manager, place, port, path, timeout_s=WEB_TIMEOUT_S))
        except (WebError, ClusterError, ValueError, KeyError, TypeError):
            continue  # it has just ended, or its driver cannot be reached: its name is shown all the same
    return found, tuple(stages), None


def _result(
    session: Session,
    before: dict[str, UsageSample],
    now: dict[str, UsageSample],
    problems: tuple[Problem, ...],
    applications: dict[str, str],
    stages: tuple[RunningStage, ...],
    why: str | None,
) -> JobResult:
    usages = {name: usage_between(before.get(name, sample), sample) for name, sample in now.items()}
    document: dict[str, object] = {
        "cluster": session.config.name,
        "nodes": {name: dataclasses.asdict(usage) for name, usage in usages.items()},
        "applications": {
            id_: {
                "name": name,
                "stages": [
                    {key: value for key, value in dataclasses.asdict(stage).items() if key != "application"}
                    for stage in stages
                    if stage.application == id_
                ],
            }
            for id_, name in applications.items()
        },
    }
    if why is not None:
        document["applications_error"] = why
    lines = [*_table(usages), "", *_progress(applications, stages, why)]
    return JobResult(task="top", text="\n".join(lines), document=document, problems=problems)


COLUMNS = ("node", "cpu", "load", "memory", "disk read", "written", "received", "sent", "data", "temp")


def _table(usages: dict[str, Usage]) -> list[str]:
    rows = [COLUMNS, *(_row(name, usage) for name, usage in usages.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _row(name: str, usage: Usage) -> tuple[str, ...]:
    return (
        name,
        f"{usage.cpu:.0%} of {usage.cores}",
        f"{usage.load:.1f}",
        f"{usage.memory_used_bytes / 2**30:.1f} of {usage.memory_bytes / 2**30:.1f} GiB",
        _rate(usage.disk_read_rate),
        _rate(usage.disk_write_rate),
        _rate(usage.receive_rate),
        _rate(usage.send_rate),
        f"{usage.data_used_bytes / usage.data_bytes:.0%} full" if usage.data_bytes else "-",
        f"{usage.celsius:.0f} °C" if usage.celsius is not None else "-",
    )


def _rate(rate: float) -> str:
    return f"{rate / 2**20:,.1f} MiB/s"


def _progress(applications: dict[str, str], stages: tuple[RunningStage, ...], why: str | None) -> list[str]:
    """Applications, each with its running stages."""
    if why is not None:
        return [f"applications: {why}"]
    if not applications:
        return ["no application runs"]
    lines = []
    for id_, name in applications.items():
        lines.append(f"{id_}  {name}")
        for stage in stages:
            if stage.application == id_:
                filled = BAR * stage.done // stage.tasks if stage.tasks else 0
                failed = f", {stage.failed} failed" if stage.failed else ""
                lines.append(
                    f"  [{'#' * filled}{'.' * (BAR - filled)}] {stage.done} of {stage.tasks} tasks, "
                    f"{stage.running} running{failed}: {stage.name}"
                )
    return lines
