"""Steps, plans and what came of them: data."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sparkqfs.errors import ExitCode, Problem
from sparkqfs.remote import script


class Secret(str):
    """A text that never shows itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change on one node: what, and why it is needed."""

    node: str
    what: str
    why: str

    @property
    def planned(self) -> str:
        """As a plan says it."""
        return f"{self.what}: {self.why}"

    @property
    def done(self) -> str:
        """As it is said afterwards: `missing` would not be true any more."""
        return f"{self.what}: was missing" if self.why == "missing" else self.planned


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellStep(Step):
    """A change that a few shell lines make; prep sends all of a node's lines in one script."""

    lines: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a command would do, and what stands against it."""

    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    unchanged: tuple[str, ...] = ()
    """What was looked at and is as it should be."""

    def of(self, node: str) -> tuple[Step, ...]:
        """The steps of one node, in order."""
        return tuple(step for step in self.steps if step.node == node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a node or a thing: `changed`, `unchanged`, `planned` or `failed`; for doctor `ok` or `failed`."""

    subject: str
    state: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a task did. `document` goes into `--json` as it is."""

    task: str
    outcomes: tuple[Outcome, ...] = ()
    problems: tuple[Problem, ...] = ()
    document: dict[str, object] = field(default_factory=dict)
    text: str = ""
    """For people, on standard output, instead of the table of outcomes."""
    notes: tuple[str, ...] = ()
    """For people, below the table of outcomes."""
    code: ExitCode = ExitCode.OK
    program_code: int | None = None
    """Exit code of a user's program that came to its end: it goes before ours."""

    @property
    def exit_code(self) -> int:
        """The program's, else of several the highest."""
        if self.program_code is not None:
            return self.program_code
        return max([self.code, *(problem.code for problem in self.problems)])

    @property
    def changed(self) -> bool:
        """True when anything was, or would be, changed."""
        return any(outcome.state in ("changed", "planned") for outcome in self.outcomes)


def make_directory(node: str, path: PurePosixPath, *, uid: int, gid: int, mode: int, why: str) -> ShellStep:
    """Create a directory or correct its owner and mode; refuses a symlink at the time it acts."""
    quoted = shlex.quote(str(path))
    return ShellStep(
        node=node,
        what=f"directory {path} ({uid}:{gid}, {mode:o})",
        why=why,
        lines=(
            f"no_link {quoted}",
            f"[ -d {quoted} ] || mkdir -p -m {mode:o} {quoted}",
            f"chown -h {uid}:{gid} {quoted}",
            f"chmod {mode:o} {quoted}",
            f"to_disk {quoted} {_above(path)}",
        ),
    )


def write_file(
    node: str, path: PurePosixPath, content: str, *, uid: int, gid: int, mode: int, what: str, why: str
) -> ShellStep:
    """Write a file whole, by rename; the content travels in the script, never in an argument list.

    It is made with its mode: who owns the directory could put a link in its place, and chmod(1) follows links.
    """
    quoted = shlex.quote(str(path))
    encoded = base64.b64encode(content.encode()).decode()
    return ShellStep(
        node=node,
        what=what,
        why=why,
        lines=(
            f"no_link {quoted}",
            f"mkdir -p {shlex.quote(str(path.parent))}",
            f"rm -f {quoted}.new",
            f"(umask {0o777 & ~mode:03o}; set -C; printf %s {encoded} | base64 -d > {quoted}.new)",
            f"chown -h {uid}:{gid} {quoted}.new",
            f"to_disk {quoted}.new",
            f"mv -fT {quoted}.new {quoted}; to_disk {_above(path)}",
        ),
    )


def _above(path: PurePosixPath) -> str:
    """Every directory on the way to a path: `mkdir -p` may have made several."""
    return shlex.join(map(str, path.parents))


TO_DISK = script("to_disk").rstrip("\n")
"""For scripts on nodes: files and directories that a power cut must not take back. What has nothing to sync, as the
directory of an automounter, is passed over, as in durable.py. A `sync` older than coreutils 8.24 takes no names and
syncs everything."""
PREAMBLE = script("preamble")


def script_of(steps: tuple[Step, ...]) -> str:
    """One script for a node's shell steps; it prints `done<TAB>number` after each."""
    parts = [PREAMBLE]
    for number, step in enumerate(steps):
        if isinstance(step, ShellStep):
            parts += [*step.lines, f"step {number}"]
    return "\n".join(parts) + "\n"
