"""The lines that the manager keeps of each task that changed something. Pure.

A line is `TIME kind id who cluster task exit-code seconds` with tabs between; its time is the manager's, in UTC. A line
`began` has neither exit code nor seconds. `ended` says all again: the other may be in a file that is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

BEGAN, ENDED = "began", "ended"
_LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\t(?P<kind>began|ended)\t(?P<id>[0-9a-f]{1,32})\t(?P<who>[^\t]+)\t"
    r"(?P<cluster>[^\t]+)\t(?P<task>[^\t]+)\t(?P<code>\d{0,9})\t(?P<seconds>(?:\d{1,12}\.\d)?)"
)
_FORM = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A task that somebody has called. `code` and `seconds` are `None` where nothing says that it has ended."""

    began: str
    """UTC, `2026-01-31T12:00:00Z`."""
    who: str
    cluster: str
    task: str
    code: int | None = None
    seconds: float | None = None


def line_of(kind: str, run_id: str, run: Run) -> str:
    """A line without its time, which the manager adds."""
    code = "" if run.code is None else str(run.code)
    seconds = "" if run.seconds is None else f"{run.seconds:.1f}"
    return "\t".join((kind, run_id, run.who, run.cluster, run.task, code, seconds))


def parse_runs(text: str) -> tuple[tuple[Run, ...], int]:
    """The runs in the order in which they began, and how many lines are damaged (a disk was full)."""
    runs: dict[str, Run] = {}
    damaged = 0
    for line in text.split("\n"):
        if not line:
            continue
        found = _LINE.fullmatch(line)
        moment = None if found is None else _moment(found["time"])
        if found is None or moment is None or (found["kind"] == ENDED) is (found["code"] == ""):
            damaged += 1
            continue
        run = Run(began=found["time"], who=found["who"], cluster=found["cluster"], task=found["task"])
        if found["kind"] == ENDED:
            seconds = float(found["seconds"] or 0)
            before = runs.get(found["id"])
            began = before.began if before else _before(moment, seconds)
            run = replace(run, began=began, code=int(found["code"]), seconds=seconds)
        runs[found["id"]] = run
    return tuple(sorted(runs.values(), key=lambda run: run.began)), damaged


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


def _before(moment: datetime, seconds: float) -> str:
    try:
        return (moment - timedelta(seconds=seconds)).strftime(_FORM)
    except OverflowError:
        return moment.strftime(_FORM)
