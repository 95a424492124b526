"""The `sparkqfs` command: Invoke's own program, with exit code 2 for a wrong command line."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke import Program
from invoke.exceptions import ParseError

from sparkqfs import __version__
from sparkqfs.errors import ExitCode


class SparkqfsProgram(Program):  # type: ignore[misc]
    """`invoke` answers a wrong command line with 1; ours is 2, like the other tasks' bad input."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """Parse and execute; `SystemExit` with the exit code."""
        try:
            super().run(argv, exit=False)
        except ParseError:
            raise SystemExit(int(ExitCode.USAGE)) from None

    def parse_tasks(self) -> None:
        """Print Invoke's own message, then let `run` see the error."""
        try:
            super().parse_tasks()
        except ParseError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(int(ExitCode.USAGE)) from None


def main() -> None:
    """Run the tasks of the work tree's tasks.py."""
    root = Path(__file__).resolve().parent.parent
    argv = [sys.argv[0], "--search-root", str(root), *sys.argv[1:]]
    SparkqfsProgram(name="sparkqfs", binary="sparkqfs", version=__version__).run(argv)
