"""Where the time of cluster tests goes: seconds by phase, from what tasks say while they work.

Each process adds up its own; a test's report carries what its part took (`pytest_runtest_makereport` in
tests/conftest.py), and the end of pytest's output has the sums.
"""

from __future__ import annotations

import collections
import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic

MACHINES = "machines: made, started, removed"
SWARM = "swarm and registry"
BUILD = "image build"
PUSH = "push"
PULL = "pull on the nodes"
READY = "services start and become ready"
END = "stacks end"
PROGRAMS = "programs: notebooks, verify, copy"
FILES = "files: put, get, ls"
LOOK = "other tasks"
TESTS = "the tests themselves"
PHASES = (MACHINES, SWARM, BUILD, PUSH, PULL, READY, END, PROGRAMS, FILES, LOOK, TESTS)

BY_TASK = {
    **dict.fromkeys(("notebook", "verify", "copy", "submit", "shell", "bench.storage", "app.logs"), PROGRAMS),
    **dict.fromkeys(("put", "get", "ls", "du", "rm"), FILES),
}
"""What a task that says nothing of what it does is counted as; others are `LOOK`."""
_BY_EVENT = (
    (r"waiting: .*\bleft\b|.*removing stack|ending ", END),
    (r"waiting: images are loaded on ", PULL),
    (r"waiting: |.*deploying stack|directories on the file system", READY),
    (r"== swarm|.*(new swarm|joining the swarm|swarm labels|starting the registry)", SWARM),
    (r"\[registry\] ", SWARM),
    (r"== build|\[[\w-]+\] building|(QFS tarball|Hadoop's jars): ", BUILD),
    (r"== push|\[[\w-]+\] pushing", PUSH),
    (r"== ", LOOK),
)
"""What an event begins; one that is in no line goes on with what the event before it began."""
_TIME = re.compile(r"^ *\d+\.\d+s ")

seconds: collections.defaultdict[str, float] = collections.defaultdict(float)
"""What this process has counted so far, by phase."""
_inside: list[str] = []


def phase_of(event: str) -> str | None:
    """What the task does from now on, by a line of its standard error; `None` when it goes on as before."""
    text = _TIME.sub("", event)
    return next((phase for pattern, phase in _BY_EVENT if re.match(pattern, text)), None)


def taken(already: collections.defaultdict[str, float]) -> dict[str, float]:
    """Seconds counted since the last call; `already` keeps what was counted then."""
    took = {name: count - already[name] for name, count in seconds.items() if count > already[name]}
    already.update(seconds)
    return took


class Watch:
    """Counts a task's seconds while it runs. `heard` takes each line of its standard error as it comes."""

    def __init__(self, words: Sequence[str]) -> None:
        self._phase = next((BY_TASK[word] for word in words if word in BY_TASK), LOOK)
        self._since = monotonic()

    def heard(self, event: str) -> str:
        """The event; the seconds so far belong to the phase before it."""
        phase = phase_of(event)
        if phase is not None and phase != self._phase:
            self.end()
            self._phase = phase
        return event

    def end(self) -> None:
        """Count up to now."""
        now = monotonic()
        seconds[_inside[-1] if _inside else self._phase] += now - self._since
        self._since = now


@contextlib.contextmanager
def counted_as(phase: str) -> Iterator[None]:
    """All that happens inside belongs to `phase`, tasks too."""
    before, started = sum(seconds.values()), monotonic()
    _inside.append(phase)
    try:
        yield
    finally:
        _inside.pop()
        seconds[phase] += monotonic() - started - (sum(seconds.values()) - before)


def run_task(argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdin: str, timeout_s: float,
             words: Sequence[str]) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """As `subprocess.run` with both outputs as text, its seconds counted."""
    watch = Watch(words)
    errors: list[str] = []
    with subprocess.Popen(
        argv, cwd=folder, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None

        def listen(lines: Iterator[str]) -> None:
            for line in lines:
                errors.append(line)
                watch.heard(line)

        listener = threading.Thread(target=listen, args=(process.stderr,))
        listener.start()
        limit = threading.Timer(timeout_s, process.kill)
        limit.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(stdin)
                process.stdin.close()
            out = process.stdout.read()
            code = process.wait()
            listener.join()
        except BaseException:
            process.kill()
            raise
        finally:
            is_late = not limit.is_alive()
            limit.cancel()
            watch.end()
    if is_late:
        raise subprocess.TimeoutExpired(argv, timeout_s, out, "".join(errors))
    return subprocess.CompletedProcess(argv, code, out, "".join(errors))


def table(totals: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lines of text: a row for each phase that took a second, a column for each group of tests."""
    groups = list(totals)
    rows = [name for name in PHASES if any(counts.get(name, 0) >= 0.5 for counts in totals.values())]
    width = max(map(len, PHASES))
    widths = [max(len(group), 7) for group in groups]

    def line(name: str, cells: Sequence[str]) -> str:
        return name.ljust(width) + "".join(f"  {cell:>{size}}" for cell, size in zip(cells, widths, strict=True))

    lines = [line("seconds", groups)]
    lines += [line(name, [f"{totals[group].get(name, 0):.0f}" for group in groups]) for name in rows]
    return [*lines, line("together", [f"{sum(totals[group].values()):.0f}" for group in groups])]
