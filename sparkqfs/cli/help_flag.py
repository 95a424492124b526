"""`--help` and `-h` behind a task's name. Invoke takes them for a value of a task that still misses one."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from invoke import Argument, Collection, Exit, Program, Task
from invoke.exceptions import ParseError
from invoke.parser import Parser, ParserContext
from invoke.parser.context import to_flag

from sparkqfs.cli.numbers import as_numbers
from sparkqfs.cli.usage import joined, print_task_help, spaced
from sparkqfs.errors import ConfigError, ExitCode, Problem
from sparkqfs.streams import CannotWrite, NobodyReads, output_errors, to_nowhere

OWN_NAME = "sparkqfs"
INVOKES_NAME = "inv[oke]"


class HelpFlag(Argument):  # type: ignore[misc]
    """A flag that is obeyed where the parser meets it: before a task runs, and whatever the line still lacks."""

    def __init__(self, show: Callable[[], None]) -> None:
        super().__init__(names=("help", "h"), kind=bool, default=False, help="show this and do nothing")
        self._show = show

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Show the help and end the program with exit code 0."""
        self._show()
        raise Exit(code=0)


NAMES = "several names stand in one, with commas"
ONCE = {
    **dict.fromkeys(("add", "fault", "forget", "on", "only"), NAMES),
    "e": "several statements stand in one, with ; between them",
    "f": "a command line runs one file",
}
"""Flags whose second value would not be meant to replace the first: what to write."""


class Last(Argument):  # type: ignore[misc]
    """A flag that a command line has more than once: its last value counts, as with spark-submit and most programs.

    Invoke would take the second value for a word without a flag. It is a list for its parser alone. Raises
    `ParseError` for a flag of `ONCE`.
    """

    def __init__(self, one: Argument) -> None:
        how = {"help": one.help, "positional": one.positional, "optional": one.optional, "attr_name": one.attr_name}
        super().__init__(names=one.names, kind=list, default=one.default, **how)
        self._one = one
        self.raw_value = self._value = None

    def set_value(self, value: Any, cast: bool = True) -> None:
        """As the flag itself takes it."""
        if self.got_value and self.name in ONCE:
            raise ParseError(f"{flags_of(self)[0]} is given more than once: {ONCE[self.name]}")
        self._one.set_value(value, cast)
        self.raw_value, self._value = value, self._one.value

    @property
    def got_value(self) -> bool:
        """Whether it has one."""
        return self._value is not None


More = Callable[["HelpfulTask", list[Argument]], list[Argument]]


class HelpfulTask(Task):  # type: ignore[misc]
    """A task with a `HelpFlag`, as soon as `add_to` has told it how to show its help."""

    help: dict[str, Any]
    show_help: Callable[[], None] | None = None
    word: str | None = None
    """The flag that can be given as a word, without its name: `backup TO` is `backup --to TO`."""
    many: str | None = None
    """The positional argument of which there may be several words, `new A B C`; its value is these with commas."""
    called: frozenset[str] = frozenset()
    """The task's names in a command line."""
    others: frozenset[str] = frozenset()
    """The names of all tasks, with which the next task begins."""
    short: dict[str, str]
    """Flag → its letter."""
    more: More | None = None
    """Gives the arguments that only this command line has: words of the program that `submit` runs."""
    added: frozenset[str] = frozenset()
    """Their names."""
    repeated: frozenset[str] = frozenset()
    """Names of the arguments that this command line has more than once."""
    may_be_empty: tuple[str, ...]
    """Arguments that may be an empty text. Any other would stand for all nodes, this directory, another cluster."""

    def __init__(
        self,
        *args: Any,
        word: str | None = None,
        many: str | None = None,
        more: More | None = None,
        may_be_empty: tuple[str, ...] = (),
        short: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.short = short or {}
        self.word = word
        self.many = many
        self.more = more
        self.may_be_empty = may_be_empty

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """The task's own, and the flag. Invoke takes the texts out of `help` as it reads them; they are kept."""
        texts = dict(self.help)
        found: list[Argument] = super().get_arguments(ignore_unknown_help=ignore_unknown_help)
        self.help = texts
        found = as_numbers(found)
        for argument in found:
            if argument.kind is list:
                argument.raw_value = None  # with its empty list Invoke takes a flag at the end of a line for given
            if argument.name in self.short:
                argument.names = (*argument.names, self.short[argument.name])
            if shows_default(argument):
                argument.help = f"{argument.help} (default: {argument.default})"
            if argument.name == self.word:  # Invoke insists on each word that may be given without a flag
                argument.positional = has_word(sys.argv[1:], self.called, self.others, found)
        self.repeated = repeated_flags(sys.argv[1:], self.called, self.others, found)
        found = [Last(one) if one.name in self.repeated else one for one in found]
        if self.many is not None:  # Invoke knows no argument that takes all words
            count = len(bare_words(sys.argv[1:], self.called, self.others, found))
            found += [Argument(name=f"{self.many}_{number}", positional=True) for number in range(2, count + 1)]
        if self.more is not None:
            added = self.more(self, found)
            self.added = frozenset(one.name for one in added)
            found += added
        return found if self.show_help is None else [*found, HelpFlag(self.show_help)]

    def __call__(self, *args: Any, help: bool = False, **kwargs: Any) -> Any:
        """Run the body, which knows nothing of the flag, nor of what was added for this command line."""
        self.refuse_letters(sys.argv[1:])
        self.refuse_spaces(sys.argv[1:])
        kwargs = {name: value for name, value in kwargs.items() if name not in self.added}
        if self.many is not None:
            more = [key for key in kwargs if re.fullmatch(rf"{self.many}_[0-9]+", key)]
            words = [kwargs[self.many], *(kwargs.pop(key) for key in more)]
            kwargs[self.many] = ",".join(words) if all(word.strip() for word in words) else ""
        self.refuse_empty(kwargs)
        return super().__call__(*args, **kwargs)

    def refuse_empty(self, kwargs: dict[str, Any]) -> None:
        """What says nothing is a variable of a script that is not set. Raises `Exit`."""
        empty = next((name for name, value in kwargs.items() if is_empty(value) and name not in self.may_be_empty), "")
        if not empty:
            return
        from sparkqfs.cli.flags import Flags
        from sparkqfs.cli.running import reporting

        name = empty.upper() if empty in self.positional else to_flag(empty)
        given = Flags(json=bool(kwargs.get("json")), verbose=bool(kwargs.get("verbose")))
        name_of_task = min(self.called, key=len, default=self.name)
        by_line = bool(kwargs.get("follow") or kwargs.get("watch")) or name_of_task == "top"
        with reporting(given, name_of_task, by_line=by_line):
            hint = "is it a variable of a script that is not set?"
            raise ConfigError(Problem(what=f"{name} is empty", hint=hint))

    def refuse_letters(self, words: list[str]) -> None:
        """`invoke` takes -f and -w behind a task for its own, and says nothing. Raises `Exit`."""
        from sparkqfs.cli.letters import foreign_flag

        found = foreign_flag(words, dict.fromkeys(self.others) | dict.fromkeys(self.called, self))
        if found is not None and found[0] in ("-f", "-w"):
            raise Exit(f"{found[0]} is not a flag of {found[1].name}", code=int(ExitCode.USAGE))

    def refuse_spaces(self, words: list[str]) -> None:
        """`invoke backup list` would make a backup in the directory `list`. Raises `Exit`."""
        if self.word is None:
            return
        bare = bare_words(words, self.called, self.others, self.get_arguments())
        following = [last for head, last in itertools.pairwise(words) if head in self.called]
        for last in (*bare, *following):
            head = next((name for name in self.called if joined(name, last, self.others)), None)
            if head is not None and head in words:
                raise Exit(spaced(head, last, self.others), code=int(ExitCode.USAGE))


def is_empty(value: object) -> bool:
    """Whether it is a text, or a list with commas, that says nothing."""
    return isinstance(value, str) and not value.strip(" \t\n,")


def shows_default(argument: Argument) -> bool:
    """Whether its help needs to say what it is where it is not given."""
    text = argument.help or ""
    return bool(argument.default) and argument.takes_value and bool(text) and "default" not in text


def has_word(words: list[str], called: frozenset[str], others: frozenset[str], arguments: list[Argument]) -> bool:
    """Whether a task of these names is given a word without a flag in a command line."""
    return bool(bare_words(words, called, others, arguments))


def bare_words(
    words: list[str], called: frozenset[str], others: frozenset[str], arguments: list[Argument]
) -> list[str]:
    """What a task of these names is given in a command line that is neither a flag nor a flag's value."""
    return [word for word in words_of(words, called, others, arguments) if not word.startswith("-")]


def repeated_flags(
    words: list[str], called: frozenset[str], others: frozenset[str], arguments: list[Argument]
) -> frozenset[str]:
    """Names of the arguments that a task of these names is given more than once, but for those that may be."""
    flags = {flag: one for one in arguments if one.takes_value and one.kind is not list for flag in flags_of(one)}
    before = itertools.takewhile(lambda word: word != "--", words_of(words, called, others, arguments))
    seen = [flags[flag].name for flag in (word.partition("=")[0] for word in before) if flag in flags]
    return frozenset(name for name in seen if seen.count(name) > 1)


def words_of(
    words: list[str], called: frozenset[str], others: frozenset[str], arguments: list[Argument]
) -> Iterator[str]:
    """What a task of these names is given in a command line: flags and bare words, without the flags' values."""
    valued = {flag for one in arguments if one.takes_value for flag in flags_of(one)}
    is_within = is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word in others:
            is_within = word in called
        elif is_within:
            yield word
            is_value = word in valued


def flags_of(argument: Argument) -> list[str]:
    """As they are typed."""
    return [f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}" for name in argument.names]


def add_to(tasks: Collection) -> None:
    """Give every task of the collection its help under its whole name, `bench.report`."""
    names = tasks.task_names
    everything = frozenset([*names, *(alias for aliases in names.values() for alias in aliases)])
    for name, aliases in names.items():
        tasks[name].show_help = shower(tasks, name)
        tasks[name].called, tasks[name].others = frozenset([name, *aliases]), everything


def shower(tasks: Collection, name: str) -> Callable[[], None]:
    """`show` as a plain function: Invoke copies its arguments deeply, and that would copy all tasks with a partial."""
    return lambda: show(tasks, name)


def show(tasks: Collection, name: str) -> None:
    """Print what `--help NAME` prints; a reader that has enough of it, as `head`, is no error. Raises `Exit`."""
    is_ours = Path(sys.argv[0]).name == OWN_NAME
    program = Program(binary=OWN_NAME if is_ours else INVOKES_NAME)
    program.collection = tasks
    arguments = [one for one in tasks[name].get_arguments() if one.name not in tasks[name].added]
    program.parser = Parser(contexts=[ParserContext(name=name, args=arguments)])
    try:
        with output_errors():
            if is_ours:
                print_task_help(program, name)
            else:
                program.print_task_help(name)
            sys.stdout.flush()
    except NobodyReads:
        to_nowhere(1)
    except CannotWrite as error:
        to_nowhere(1)
        raise Exit(str(error), code=int(ExitCode.FAILED)) from None
