"""Flags that a task does not have. Invoke takes them for a path where one is still missing, or for its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from invoke.parser import Argument, ParserContext

from sparkqfs.cli.flags import words_of_tasks

if TYPE_CHECKING:
    from sparkqfs.cli.help_flag import HelpfulTask


def foreign_flag(words: list[str], tasks: Mapping[str, HelpfulTask | None]) -> tuple[str, ParserContext] | None:
    """The first word of a command line that looks like a flag of a task and is none, and what that task has.

    `tasks` has all names; with `None` that task is not looked at. What `submit` is called with may be its program's,
    and is left to it; a single dash is standard input. `-f5` counts as `-f`. A word is a task's name only where the
    task before it has all that it must be given, as for Invoke: `open history` is one task.
    """
    context: ParserContext | None = None
    missing: list[Argument] = []
    is_value = False
    for word in words_of_tasks(words):
        if is_value:
            is_value = False
        elif missing and (word == "-" or not word.startswith("-")):
            del missing[0]
        elif word in tasks:
            context = _context(word, tasks[word])
            missing = [] if context is None else list(context.missing_positional_args)
        elif context is not None and word.startswith("-") and word != "-":
            flag = word.partition("=")[0] if word.startswith("--") else word[:2]
            if flag not in context.flags:
                task = tasks[context.name]
                if flag not in context.inverse_flags and task is not None and task.more is None:
                    return flag, context
                continue
            argument = context.flags[flag]
            missing = [one for one in missing if one is not argument]
            is_value = flag == word and argument.takes_value
    return None


def _context(name: str, task: HelpfulTask | None) -> ParserContext | None:
    if task is None:
        return None
    arguments = task.get_arguments()
    return ParserContext(name=name, args=[one for one in arguments if one.name not in task.added])
