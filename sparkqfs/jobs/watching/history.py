"""invoke history: who has changed the cluster, as the manager has recorded it."""

from __future__ import annotations

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.runs import Run, parse_runs
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.record_paths import AUDIT
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.times import exactly
from sparkqfs.remote import script

READ_SCRIPT = script("read_runs")
"""Its words are the directory and the cluster's name."""
OPEN = "did not end, or runs now"


def run(session: Session, *, limit: int) -> JobResult:
    """The last runs of tasks that change something, the latest last. Raises `ClusterError`."""
    config = session.config
    manager = session.clients.manager
    output = manager.run(["sh", "-c", READ_SCRIPT, "sh", str(AUDIT), config.name], check=False)
    if output.exit_code != 0:
        what = f"the history in {AUDIT} cannot be read: {output.last_lines(1)}"
        raise ClusterError(Problem(node=config.manager.name, what=what))
    runs, damaged = parse_runs(output.stdout)
    shown = runs[-limit:]
    notes = (f"lines that cannot be read, as a full disk leaves them: {damaged}",) if damaged else ()
    text = table(shown) if shown else f"nothing is recorded on {config.manager.name} yet"
    return JobResult(task="history", text=text, notes=notes, document=document(shown, len(runs), damaged))


def table(runs: tuple[Run, ...]) -> str:
    """A line for each run."""
    rows = [(run.began.replace("T", " "), run.task, _end(run), _seconds(run), run.who) for run in runs]
    rows.insert(0, ("BEGAN (UTC)", "TASK", "END", "TOOK", "BY"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _end(run: Run) -> str:
    return OPEN if run.code is None else f"exit {run.code}"


def _seconds(run: Run) -> str:
    return "" if run.seconds is None else exactly(run.seconds)


def document(runs: tuple[Run, ...], count: int, damaged: int) -> dict[str, object]:
    """The JSON of the task."""
    entries = [
        {
            "began": run.began,
            "who": run.who,
            "cluster": run.cluster,
            "task": run.task,
            "ended": run.code is not None,
            "code": run.code,
            "seconds": run.seconds,
        }
        for run in runs
    ]
    return {"schema": 1, "history": entries, "recorded": count, "damaged_lines": damaged}
