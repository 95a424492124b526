"""Flags that a task does not have. Invoke takes them for a path where one is still missing, or for its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from invoke.parser import ParserContext

from sparkqfs.cli.flags import words_of_tasks

if TYPE_CHECKING:
    from sparkqfs.cli.help_flag import HelpfulTask


def foreign_flag(words: list[str], tasks: Mapping[str, HelpfulTask | None]) -> tuple[str, ParserContext] | None:
    """The first word of a command line that looks like a flag of a task and is none, and what that task has.

    `tasks` has all names; with `None` that task is not looked at. What `submit` is called with may be its program's,
    and is left to it; a single dash is standard input. `-f5` counts as `-f`.
    """
    context: ParserContext | None = None
    is_value = False
    for word in words_of_tasks(words):
        if is_value:
            is_value = False
        elif word in tasks:
            context = _context(word, tasks[word])
        elif context is not None and word.startswith("-") and word != "-":
            flag = word.partition("=")[0] if word.startswith("--") else word[:2]
            if flag not in context.flags and flag not in context.inverse_flags:
                return flag, context
            is_value = flag == word and flag in context.flags and context.flags[flag].takes_value
    return None


def _context(name: str, task: HelpfulTask | None) -> ParserContext | None:
    return None if task is None or task.more is not None else ParserContext(name=name, args=task.get_arguments())
