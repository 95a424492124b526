"""The `sparkqfs` command: Invoke's own program with a list, help and sentences of ours, and exit 2 for wrong words."""

from __future__ import annotations

import re
import sys

from invoke import Argument, Config, Exit, Program
from invoke.exceptions import ParseError

from sparkqfs import __version__
from sparkqfs.cli import pages, usage
from sparkqfs.cli.letters import foreign_flag, spaced_name
from sparkqfs.cli.overview import overview
from sparkqfs.errors import ConfigError, ExitCode
from sparkqfs.streams import exit_code_of
from sparkqfs.tree import TREE

CORE = ("complete", "debug", "dry", "help", "list", "list-depth", "list-format", "print-completion-script", "version")
"""What `sparkqfs` itself takes of Invoke's flags; the others mean nothing to our tasks, and take letters away."""
HIDDEN = ("write-pyc",)
OF_LOADING = ("no-dedupe", "search-root")
FORMATS = ("flat", "nested", "json")
"""What --list-format may be."""


class OwnConfig(Config):  # type: ignore[misc]
    """Reads no file: what people set for Invoke's tasks of their own would change the names of ours."""

    def load_system(self, merge: bool = True) -> None:
        """Leaves /etc/invoke.yaml alone."""

    def load_user(self, merge: bool = True) -> None:
        """Leaves ~/.invoke.yaml alone."""

    def load_project(self, merge: bool = True) -> None:
        """Leaves invoke.yaml beside tasks.py alone."""

    def load_runtime(self, merge: bool = True) -> None:
        """Leaves $INVOKE_RUNTIME_CONFIG alone."""


class SparkqfsProgram(Program):  # type: ignore[misc]
    """`invoke` answers a wrong command line with 1; ours is 2, like any other bad input."""

    def create_config(self) -> None:
        """With what Invoke has by itself."""
        self.config = OwnConfig()

    def core_args(self) -> list[Argument]:
        """Those of Invoke's that do here what they say."""
        found: list[Argument] = super().core_args()
        return [one for one in found if one.name in (*CORE, *HIDDEN)]

    def task_args(self) -> list[Argument]:
        """Those that `main` needs, without their letters: -c and -r are flags of tasks."""
        found: list[Argument] = super().task_args()
        for one in found:
            one.names = one.names[:1]
        return [one for one in found if one.name in OF_LOADING]

    def _add_missing(self, known: list[Argument]) -> None:
        for one in known:
            if one.name not in self.args:
                self.core[0].add_arg(one)

    def update_config(self, merge: bool = True) -> None:
        """As Invoke's, which looks for all of its flags."""
        self._add_missing(super().core_args())
        super().update_config(merge)

    def load_collection(self) -> None:
        """As Invoke's, which looks for all of its flags; a place without our tasks ends with exit code 2."""
        self._add_missing(super().task_args())
        try:
            super().load_collection()
        except Exit as error:
            raise Exit(error.message, code=int(ExitCode.USAGE)) from None

    def parse_core(self, argv: list[str] | None) -> None:
        """As Invoke's, but a wrong option ends with exit code 2."""
        try:
            super().parse_core(argv)
        except (ParseError, ValueError) as error:
            raise self._wrong(error) from None
        if (given := self.args["list-format"].value) not in FORMATS:
            raise self._wrong(ParseError(f"--list-format {given}: {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"))

    def parse_tasks(self) -> None:
        """As Invoke's, but a wrong flag of a task ends with exit code 2, and is never taken for a path."""
        words = self._helped(self.core.unparsed)
        names = usage.names_of(self.collection)
        tasks = {name: self.collection[name] for name in names}
        if spaces := spaced_name(words, tasks):
            raise self._wrong(ParseError(usage.spaced(*spaces, names)))
        if found := foreign_flag(words, tasks):
            raise self._wrong(ParseError(f"No idea what '{found[0]}' is!", found[1]))
        try:
            super().parse_tasks()
        except (ParseError, ValueError) as error:
            raise self._wrong(error) from None

    def _helped(self, words: list[str]) -> list[str]:
        """`help` prints what --help prints, `help TASK` the task's help, `help docs/PAGE.md` a page."""
        if words[:1] != ["help"]:
            return words
        named = [word for word in words[1:] if not word.startswith("-")]
        if named and ".md" in named[0]:
            raise _shown(named[0])
        both = usage.joined(named[0], named[1], usage.names_of(self.collection)) if len(named) > 1 else None
        self.args.help.set_value(both or next(iter(named), True), cast=False)
        self.core.unparsed = []
        return []

    def parse_cleanup(self) -> None:
        """As Invoke's, but what is not a task or a group of tasks ends with exit code 2."""
        try:
            super().parse_cleanup()
        except ParseError as error:
            raise self._wrong(error) from None
        except Exit as error:
            if error.message:
                raise self._wrong(ParseError(error.message)) from None
            raise

    def print_help(self) -> None:
        """All tasks, and the flags that matter. Invoke asks for it before it has loaded the tasks."""
        if getattr(self, "collection", None) is None:
            self.load_collection()
        print(overview(self.collection, self.binary))

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


def _shown(page: str) -> Exit:
    """The end of the program, after the page, or with one line and exit code 2."""
    try:
        print(pages.page(page), end="")
    except ConfigError as error:
        problem = error.problems[0]
        return Exit(f"{problem.what}; {problem.hint}", code=int(ExitCode.USAGE))
    return Exit()


def main() -> None:
    """Run the tasks of our tasks.py, in the clone or in the wheel, from any directory.

    Invoke would compile the package at every start: unless told otherwise it keeps Python from writing compiled files.
    """
    compiled = [] if sys.dont_write_bytecode else ["--write-pyc"]
    words = [sys.argv[0], "--search-root", str(TREE), *compiled, *sys.argv[1:]]
    program = SparkqfsProgram(name="sparkqfs", binary="sparkqfs", version=__version__)
    sys.exit(exit_code_of(lambda: program.run(words)))
