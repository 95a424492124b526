"""The words behind `submit PROGRAM`: which are the program's own, and which cannot be.

spark-submit takes all that follows the program for its arguments; here tasks and flags may follow too. So words without
a dash are arguments, and what could be both is not guessed: the message shows how to say either.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from invoke import Argument, Program

from sparkqfs.cli.flags import Flags
from sparkqfs.cli.help_flag import flags_of
from sparkqfs.cli.running import reporting
from sparkqfs.errors import ConfigError, Problem

EXTRA = "argument_"
"""Begins the names of the words that are added to a task."""


@dataclass(slots=True)
class Said:
    """What a command line says to a task that runs a program."""

    program: str | None = None
    passed: list[str] = field(default_factory=list)
    """The program's own arguments."""
    bare: int = 0
    """How many of them come before `--`."""
    wrong: str | None = None
    """The word, as it is typed, at which it ends."""
    fault: Problem | None = None

    def refuse(self, word: str, what: str, hint: str | None = None) -> None:
        """It ends at this word."""
        self.wrong, self.fault = word, Problem(what=what, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What words may mean to Invoke."""

    called: frozenset[str]
    """Names of the task."""
    others: frozenset[str]
    """Names of all tasks."""
    valued: frozenset[str]
    """Flags of the task with a value."""
    plain: frozenset[str]
    """Its flags without one, and the one for help."""
    core: frozenset[str]
    """Invoke's own, which may come before the program: behind it they look like the program's."""
    refused: Callable[[], dict[str, str]]
    """Name of a flag → why it cannot be."""


def known_of(
    called: frozenset[str],
    others: frozenset[str],
    arguments: list[Argument],
    refused: Callable[[], dict[str, str]],
) -> Known:
    """From the task's arguments."""
    valued = frozenset(flag for one in arguments if one.takes_value for flag in flags_of(one))
    own = frozenset(flag for one in arguments if not one.takes_value for flag in flags_of(one))
    return Known(
        called=called,
        others=others,
        valued=valued,
        plain=own | {"-h", "--help"},
        core=frozenset(Program().initial_context.flags),
        refused=refused,
    )


def read(words: list[str], known: Known) -> Said:
    """Read a command line up to the first word that cannot be."""
    end = words.index("--") if "--" in words else len(words)
    at = _begin(words[:end], known)
    said = Said()
    if at is None:
        return said
    own, is_value = words[at:end], False
    for index, word in enumerate(own):
        flag = word.partition("=")[0]
        if is_value:
            is_value = False
            if own[index - 1] == "--program":
                said.program = word
        elif word.startswith("-") and word != "-":
            is_value = "=" not in word and flag in known.valued
            _flag(said, own, index, known)
            if flag == "--program" and "=" in word:
                said.program = word.partition("=")[2]
        elif said.program is None:
            said.program = word
        else:
            _argument(said, own, index, known, has_dashes=end < len(words))
        if said.fault is not None or word in ("-h", "--help"):
            break
        if end < len(words) and said.program and word in known.others and not is_value:
            break  # the next task, and its own words
    said.bare = len(said.passed)
    said.passed += words[end + 1 :]
    return said


def _begin(words: list[str], known: Known) -> int | None:
    """Behind the task's name."""
    for index, word in enumerate(words):
        if word in known.called and (index == 0 or words[index - 1] not in known.valued):
            return index + 1
    return None


def _flag(said: Said, own: list[str], index: int, known: Known) -> None:
    word = own[index]
    flag = word.partition("=")[0]
    is_known = flag in known.valued or flag in known.plain or (flag in known.core and said.program is None)
    why = None if is_known else known.refused().get(flag.removeprefix("--"))
    if why is not None:
        said.refuse(flag, f"{flag} cannot be: {why}")
    elif not is_known:
        near = difflib.get_close_matches(flag, [*known.valued, *known.plain], 1, 0.8)
        what = f"{flag} is not a flag of submit{f'; did you mean {near[0]}?' if near else ''}"
        shown = f"invoke submit {_shown(said, own[:index], known, ['--', *said.passed, *own[index:]])}"
        said.refuse(flag, what, f"the program's own flags follow --: `{shown}`; submit's: `invoke --help submit`")
    elif said.passed:
        flags, others = _apart(own[index:], known)
        before = _shown(said, own[:index], known, [*flags, "--", *said.passed, *others])
        after = _shown(said, own[:index], known, ["--", *said.passed, *own[index:]])
        what = f"{flag} after the program's argument {said.passed[0]}: is it submit's, or the program's?"
        said.refuse(flag, what, f"submit's: `invoke submit {before}`; the program's: `invoke submit {after}`")


def _shown(said: Said, before: list[str], known: Known, behind: list[str]) -> str:
    """A line to type: the flags that were read, the program, and what is to stand behind it."""
    from sparkqfs.plan.programs.settings import masked

    flags, _ = _apart(before, known)
    parts = (word.partition("=") if word.startswith("--") else ("", "", word) for word in flags)
    shown = (f"{flag}{equals}{masked(value)}" for flag, equals, value in parts)
    return shlex.join([*shown, said.program or "PROGRAM", *behind])


def _apart(words: list[str], known: Known) -> tuple[list[str], list[str]]:
    """(the task's flags with their values, the other words)."""
    flags: list[str] = []
    others: list[str] = []
    is_value = False
    for word in words:
        flag = word.partition("=")[0]
        is_flag = flag in known.valued or flag in known.plain
        (flags if is_flag or is_value else others).append(word)
        is_value = is_flag and not is_value and "=" not in word and flag in known.valued
    return flags, others


def _argument(said: Said, own: list[str], index: int, known: Known, *, has_dashes: bool) -> None:
    word = own[index]
    if has_dashes:
        if word in known.others:
            return
        what = f"{word} before --: the program's own arguments all follow it"
        said.refuse(word, what, f"`invoke submit {_shown(said, own[:index], known, ['--', word])} …`")
    elif word in known.others:
        shown = _shown(said, own[:index], known, ["--", *said.passed, *own[index:]])
        what = f"{word} after a program: is it the program's argument, or the next task?"
        hint = f"an argument: `invoke submit {shown}`; a task: `invoke {word}` in a command line of its own"
        said.refuse(word, what, hint)
    else:
        said.passed.append(word)


class Word(Argument):  # type: ignore[misc]
    """A word of the program's own; what reads it is the command line as a whole."""

    def __init__(self, number: int, fault: Callable[[], None] | None) -> None:
        super().__init__(name=f"{EXTRA}{number}", kind=str, positional=True)
        self._fault = fault

    def set_value(self, value: Any, cast: bool = True) -> None:
        """As any; at one that cannot be the program ends."""
        if self._fault is not None:
            self._fault()
        super().set_value(value, cast)


class RefusedFlag(Argument):  # type: ignore[misc]
    """A flag that ends the program where the parser meets it."""

    def __init__(self, name: str, fault: Callable[[], None]) -> None:
        super().__init__(name=name, kind=bool, default=False)
        self._fault = fault

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Says why it cannot be. Raises `Exit`."""
        self._fault()


def extra_arguments(words: list[str], known: Known) -> list[Argument]:
    """What Invoke's parser needs to get through a command line, up to the word at which it must end."""
    said = read(words, known)
    if said.fault is None:
        return [Word(number, None) for number in range(said.bare)]
    fault = _ending(said.fault, words)
    wrong = said.wrong or ""
    is_known = wrong in known.valued | known.plain or (wrong[:2] in known.valued | known.plain and wrong[1:2] != "-")
    if wrong.startswith("-") and not is_known:
        name = wrong.lstrip("-") if wrong.startswith("--") else wrong[1:2]
        return [*(Word(number, None) for number in range(said.bare)), RefusedFlag(name, fault)]
    return [Word(number, fault) for number in range(max(1, said.bare))]


def _ending(fault: Problem, words: list[str]) -> Callable[[], None]:
    def end() -> None:
        with reporting(Flags(json="--json" in words, verbose="--verbose" in words), "submit"):
            raise ConfigError(fault)

    return end
