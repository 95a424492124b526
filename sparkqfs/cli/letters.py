"""Flags that a task does not have. Invoke takes them for a path where one is still missing, or for its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invoke.parser import Argument, ParserContext

from sparkqfs.cli.flags import words_of_tasks
from sparkqfs.cli.usage import joined

if TYPE_CHECKING:
    from sparkqfs.cli.help_flag import HelpfulTask


def foreign_flag(words: list[str], tasks: Mapping[str, HelpfulTask | None]) -> tuple[str, ParserContext] | None:
    """The first word of a command line that looks like a flag of a task and is none, and what that task has.

    What `submit` is called with may be its program's, and is left to it.
    """
    for one in _read(words, tasks):
        if one.kind == "flag" and one.context is not None and one.flag not in one.context.flags:
            task = tasks[one.context.name]
            if one.flag not in one.context.inverse_flags and task is not None and task.more is None:
                return one.flag, one.context
    return None


def spaced_name(words: list[str], tasks: Mapping[str, HelpfulTask]) -> tuple[str, str] | None:
    """`backup` and `list` where a command line has them as two words, and `backup.list` is a task.

    The second one follows at once, or is what the first would take for a directory. `apps logs` counts as `app logs`.
    """
    head, is_next = "", False
    for one in _read(words, tasks):
        if one.kind not in ("task", "other"):
            is_next = False
            continue
        if head and (is_next or one.kind == "other") and joined(head, one.text, tasks):
            return head, one.text
        if one.context is not None and tasks[one.context.name].more is not None:
            return None  # what follows may be a program's
        head, is_next = one.text, True
    return None


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a command line, as Invoke will read it."""

    text: str
    kind: str
    """`task`, `flag`, `value` of a flag, `given` to a task that must have it, or `other`."""
    flag: str
    """Without a value, and of several letters the first."""
    context: ParserContext | None = None
    """What the task has to which it belongs."""


def _read(words: list[str], tasks: Mapping[str, HelpfulTask | None]) -> Iterator[_Word]:
    """The words of a command line up to `--`.

    `tasks` has all names; with `None` that task is not looked at. A single dash is standard input. `-f5` counts as
    `-f`. A word is a task's name only where the task before it has all that it must be given, as for Invoke: `open
    history` is one task.
    """
    context: ParserContext | None = None
    missing: list[Argument] = []
    is_value = False
    for word in words_of_tasks(words):
        if is_value:
            is_value = False
            yield _Word(word, "value", "", context)
        elif missing and (word == "-" or not word.startswith("-")):
            del missing[0]
            yield _Word(word, "given", "", context)
        elif word in tasks:
            context = _context(word, tasks[word])
            missing = [] if context is None else list(context.missing_positional_args)
            yield _Word(word, "task", "", context)
        elif word.startswith("-") and word != "-":
            flag = word.partition("=")[0] if word.startswith("--") else word[:2]
            if context is not None and flag in context.flags:
                argument = context.flags[flag]
                missing = [one for one in missing if one is not argument]
                is_value = flag == word and argument.takes_value
            yield _Word(word, "flag", flag, context)
        else:
            yield _Word(word, "other", "", context)


def _context(name: str, task: HelpfulTask | None) -> ParserContext | None:
    if task is None:
        return None
    arguments = task.get_arguments()
    return ParserContext(name=name, args=[one for one in arguments if one.name not in task.added])
