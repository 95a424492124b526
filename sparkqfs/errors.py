"""What went wrong, as data: one `Problem` per fault, one exception class per exit code.

ClusterError (1 failed)
├── ConfigError (2 bad input, configuration or command line)
├── UnreachableError (3 a machine could not be reached)
├── DeadlineError (4 timed out waiting)
└── RefusedError (5 would lose data, or another run holds the lock)

Ctrl-C (130) is Python's KeyboardInterrupt.
"""

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every task; of several the highest counts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMEOUT = 4
    REFUSED = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault. `str()` gives what the user reads: where, what, setting, then a hint on a second line."""

    what: str
    node: str | None = None
    config_path: str | None = None
    """Dotted path in the cluster file, for example `nodes.node2.address`."""
    file: str | None = None
    line: int | None = None
    hint: str | None = None
    code: ExitCode = ExitCode.FAILED

    def __str__(self) -> str:
        if self.file is not None:
            where = self.file + (f":{self.line}" if self.line is not None else "")
            head = f"{where}: {self.config_path}: {self.what}" if self.config_path else f"{where}: {self.what}"
        else:
            head = (f"[{self.node}] " if self.node else "") + self.what
            if self.config_path:
                head += f" ({self.config_path})"
        return head + (f"\n  hint: {self.hint}" if self.hint else "")


class ClusterError(Exception):
    """One or more problems that end a command."""

    code = ExitCode.FAILED

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @property
    def exit_code(self) -> ExitCode:
        """The highest code of this error and its problems."""
        return max([self.code, *(problem.code for problem in self.problems)])


class ConfigError(ClusterError):
    """Bad input: the cluster file, the environment or the command line."""

    code = ExitCode.USAGE


class UnreachableError(ClusterError):
    """A machine or service that could not be reached."""

    code = ExitCode.UNREACHABLE


class DeadlineError(ClusterError):
    """A wait that ran out of time."""

    code = ExitCode.TIMEOUT


class RefusedError(ClusterError):
    """Refused: it would lose data, or another run holds the lock."""

    code = ExitCode.REFUSED
