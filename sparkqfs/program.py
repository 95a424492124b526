"""The `sparkqfs` command: Invoke's own program with a list, help and sentences of ours, and exit 2 for wrong words."""

from __future__ import annotations

import re
import sys

from invoke import Argument, Exit, Program
from invoke.exceptions import ParseError

from sparkqfs import __version__
from sparkqfs.cli import usage
from sparkqfs.cli.letters import foreign_flag
from sparkqfs.errors import ExitCode
from sparkqfs.streams import exit_code_of
from sparkqfs.tree import TREE

CORE = ("complete", "debug", "dry", "help", "list", "list-depth", "list-format", "print-completion-script", "version")
"""What `sparkqfs` itself takes of Invoke's flags; the others mean nothing to our tasks, and take letters away."""
HIDDEN = ("write-pyc",)


class SparkqfsProgram(Program):  # type: ignore[misc]
    """`invoke` answers a wrong command line with 1; ours is 2, like any other bad input."""

    def core_args(self) -> list[Argument]:
        """Those of Invoke's that do here what they say."""
        found: list[Argument] = super().core_args()
        return [one for one in found if one.name in (*CORE, *HIDDEN)]

    def update_config(self, merge: bool = True) -> None:
        """As Invoke's, which looks for all of its flags."""
        for one in super().core_args():
            if one.name not in self.args:
                self.core[0].add_arg(one)
        super().update_config(merge)

    def parse_core(self, argv: list[str] | None) -> None:
        """As Invoke's, but a wrong option ends with exit code 2."""
        try:
            super().parse_core(argv)
        except (ParseError, ValueError) as error:
            raise self._wrong(error) from None

    def parse_tasks(self) -> None:
        """As Invoke's, but a wrong flag of a task ends with exit code 2, and is never taken for a path."""
        names = usage.names_of(self.collection)
        if found := foreign_flag(self.core.unparsed, {name: self.collection[name] for name in names}):
            raise self._wrong(ParseError(f"No idea what '{found[0]}' is!", found[1]))
        try:
            super().parse_tasks()
        except (ParseError, ValueError) as error:
            raise self._wrong(error) from None

    def parse_cleanup(self) -> None:
        """As Invoke's, but help for what is not a task ends with exit code 2."""
        try:
            super().parse_cleanup()
        except ParseError as error:
            raise self._wrong(error) from None

    def no_tasks_given(self) -> None:
        """Without a task: all of them, in groups."""
        print(usage.task_list(self.collection, self.binary))
        raise Exit

    def print_task_help(self, name: str) -> None:
        """With what must be given, an example and the page."""
        usage.print_task_help(self, name)

    def _wrong(self, error: Exception) -> Exit:
        tasks = getattr(self, "collection", None)
        text = usage.explained(error, sys.argv[1:], tasks, self.binary)
        return Exit(re.sub(r"\s*\n\s*", " ", text), code=int(ExitCode.USAGE))


def main() -> None:
    """Run the tasks of our tasks.py, in the clone or in the wheel, from any directory.

    Invoke would compile the package at every start: unless told otherwise it keeps Python from writing compiled files.
    """
    compiled = [] if sys.dont_write_bytecode else ["--write-pyc"]
    words = [sys.argv[0], "--search-root", str(TREE), *compiled, *sys.argv[1:]]
    program = SparkqfsProgram(name="sparkqfs", binary="sparkqfs", version=__version__)
    sys.exit(exit_code_of(lambda: program.run(words)))
