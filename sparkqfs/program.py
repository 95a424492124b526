"""The `sparkqfs` command: Invoke's own program, with exit code 2 for a wrong command line."""

from __future__ import annotations

import sys

from invoke import Program
from invoke.exceptions import Exit, ParseError

from sparkqfs import __version__
from sparkqfs.errors import ExitCode
from sparkqfs.streams import exit_code_of
from sparkqfs.tree import TREE


class SparkqfsProgram(Program):  # type: ignore[misc]
    """`invoke` answers a wrong command line with 1; ours is 2, like any other bad input."""

    def parse_core(self, argv: list[str] | None) -> None:
        """As Invoke's, but a wrong option ends with exit code 2."""
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise Exit(str(error), code=int(ExitCode.USAGE)) from None

    def parse_tasks(self) -> None:
        """As Invoke's, but a wrong flag of a task ends with exit code 2."""
        try:
            super().parse_tasks()
        except (ParseError, ValueError) as error:  # ValueError: a flag that wants a number got none
            raise Exit(str(error), code=int(ExitCode.USAGE)) from None


def main() -> None:
    """Run the tasks of our tasks.py, in the clone or in the wheel, from any directory.

    Invoke would compile the package at every start: unless told otherwise it keeps Python from writing compiled files.
    """
    compiled = [] if sys.dont_write_bytecode else ["--write-pyc"]
    words = [sys.argv[0], "--search-root", str(TREE), *compiled, *sys.argv[1:]]
    program = SparkqfsProgram(name="sparkqfs", binary="sparkqfs", version=__version__)
    sys.exit(exit_code_of(lambda: program.run(words)))
