"""invoke drill: break the cluster on purpose, one fault after the other, and say what came of each.

A row begins and ends with a healthy cluster. While the fault is there files are written and read; all that were
acknowledged are read again at the end, and compared.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem
from sparkqfs.jobs.cluster.deploy import deployed
from sparkqfs.jobs.cluster.restore_look import check_said
from sparkqfs.jobs.files.tasks import places, rm
from sparkqfs.jobs.measuring import drill_faults
from sparkqfs.jobs.measuring.drill_faults import Machines, OpenAs, Scene
from sparkqfs.jobs.measuring.drill_load import FAILURES, Load
from sparkqfs.jobs.watching import fsck, status
from sparkqfs.plan.measuring.drill import Fault, Row, choose, planned, report, table
from sparkqfs.plan.steps import JobResult

HEALTHY_S = 420.0
"""A cluster that is not healthy so long after a fault stays as it is, and the drill ends."""
CALM_S = 4.0
"""So long a cluster has to be healthy before the next fault, and after it."""
SHOWS_S = 60.0
"""A fault that `status` does not show so long after its end is not seen."""
FSCK_S = 300.0
UNFORESEEN = (*FAILURES, ValueError)
"""What a broken cluster may answer with."""
PLACE = "/tmp/sparkqfs-drill"
"""On the storage."""


@dataclass(kw_only=True)
class Drill:
    """One run."""

    open_session: OpenAs
    machines: Machines | None
    on_event: Callable[[str], None]
    faults: tuple[str, ...] = ()
    load_s: float = 8.0
    """How long files are written before the fault, in seconds."""
    seed: int = 0
    name: str | None = None
    """The cluster's, in place of the question."""
    typed: Callable[[str], str] = lambda _question: ""

    def run(self) -> JobResult:
        """All faults; stops after one from which the cluster does not come back. Exit code 1 when a row is bad."""
        faults, skipped = self._begin()
        if self._is_dry:
            return planned(self._config, faults, skipped)
        rows: list[Row] = []
        failed: list[Problem] = [
            Problem(what=f"{one['fault']}: {one['why']}", code=ExitCode.USAGE)
            for one in skipped
            if one["fault"] in self.faults
        ]
        for fault in faults:
            try:
                row = self._row(fault)
            except ClusterError as error:  # what was found so far is not thrown away
                failed += error.problems
                break
            except UNFORESEEN as error:
                failed.append(Problem(what=f"{fault.name}: broken off: {type(error).__name__}: {error}"))
                break
            rows.append(row)
            self.on_event(table(rows).splitlines()[-1])
            if row.healthy_s is None:
                break
        found = report(self._config, self.seed, rows, skipped)
        return replace(found, problems=(*found.problems, *failed))

    def _begin(self) -> tuple[tuple[Fault, ...], list[dict[str, str]]]:
        """The faults that can be made here, and why not the others. Raises `ClusterError`."""
        chosen = choose(self.faults, has_machines=self.machines is not None)
        with self.open_session() as session:
            self._config, self._is_dry = session.config, session.dry_run
            services = deployed(session)
            why = {one.name: drill_faults.why_not(one, session.config, services) for one in chosen}
            faults = tuple(one for one in chosen if why[one.name] is None)
            skipped = [{"fault": name, "why": text} for name, text in why.items() if text is not None]
            if self._is_dry:
                return faults, skipped
            said = self.name or self.typed(
                f"A drill breaks the cluster on purpose: {', '.join(one.name for one in faults)}.\n"
                "Programs that run meanwhile may fail. The cluster's name, to go on: "
            )
            check_said(session, said)
            found = status.run(session)
        if found.exit_code:
            hint = "a drill begins with a healthy cluster: `invoke status`"
            raise ClusterError(*found.problems, Problem(what="the cluster is not healthy", hint=hint))
        return faults, skipped

    def _row(self, fault: Fault) -> Row:
        with self.open_session() as session:
            self._config = session.config  # the manager may have moved
            root = places(session).root
        load = Load(self.open_session, f"{root}{PLACE}/{fault.name}-{self.seed}-{int(time.time())}")
        scene = Scene(
            open_session=self.open_session,
            fault=fault,
            load=load,
            machines=self.machines,
            config=self._config,
            chance=random.Random(f"{self.seed}/{fault.name}"),
            on_event=self.on_event,
        )
        self.on_event(f"== {fault.name}: {fault.what}")
        load.start()
        try:
            self._wait(load, lambda: len(load.answered) > 5 and load.is_well(CALM_S), "files to be written")
            time.sleep(self.load_s)
            drill_faults.do(scene)
            ended = time.monotonic()
            with contextlib.suppress(DeadlineError):  # the row says so
                self._wait(load, lambda: self._is_over(load, ended), "a healthy cluster")
        finally:
            load.stop()
        return self._judge(scene, ended)

    @staticmethod
    def _is_over(load: Load, ended: float) -> bool:
        """All is well again; a fault that `status` has not seen yet is waited for."""
        may_still_show = not load.is_seen() and time.monotonic() - ended < SHOWS_S
        return not may_still_show and load.is_well(CALM_S, ended) and load.has_written_since(ended)

    def _judge(self, scene: Scene, ended: float) -> Row:
        load = scene.load
        self.on_event(f"reading {len(load.answered)} acknowledged files again")
        lost = load.lost()
        fsck_lost: int | None = None
        with contextlib.suppress(*FAILURES), self.open_session() as session:
            found = fsck.run(session, most=10, timeout_s=FSCK_S).document.get("lost_files")
            fsck_lost = int(str(found)) if found is not None else None
            if not lost:
                session.confirm = lambda _question: True  # the drill's own files
                path = load.directory.removeprefix(places(session).root)
                rm(session, path, recursive=True, if_there=True, timeout_s=FSCK_S)
        return Row(
            fault=scene.fault,
            node=scene.node,
            ended_s=ended - load.began,
            stopped_s=load.stopped - load.began,
            looks=load.looks(),
            answered=load.acknowledged(),
            lost=lost,
            reads=load.reads,
            wrong_reads=load.wrong_reads,
            failed_reads=load.failed_reads,
            failed_writes=load.failed_writes,
            fsck_lost=fsck_lost,
            extra=scene.extra,
        )

    def _wait(self, load: Load, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + HEALTHY_S
        while not condition():
            if time.monotonic() > deadline:
                said = "; ".join(load.seen[-1][2][:1]) if load.seen else "status was not asked"
                text = f"waited {HEALTHY_S:.0f} s for {what}: {said}"
                raise DeadlineError(Problem(what=text, code=ExitCode.TIMEOUT))
            time.sleep(0.5)
