"""What `sparkqfs` prints by itself: its tasks in groups, the help of a task, and what is wrong with a command line."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from typing import TYPE_CHECKING

from invoke.exceptions import ParseError

from sparkqfs.cli.guide import BEHIND, EXAMPLES, grouped

if TYPE_CHECKING:
    from invoke import Collection, Program
    from invoke.parser import ParserContext

_UNKNOWN = re.compile(r"No idea what '(?P<word>.*)' is!", re.DOTALL)
_MISSING = re.compile(r"'(?P<task>\S+)' did not receive required positional arguments: (?P<names>.+)")
_NO_VALUE = re.compile(r"Flag <Argument: (?P<flag>[\w-]+).*> needed value and was not given one!")
_NEAR = 0.6


def task_list(tasks: Collection, program: str) -> str:
    """All tasks in groups, each with the first sentence of its help."""
    names = set(tasks.task_names)
    width = max(map(len, names)) + 2
    lines = []
    for title, group in grouped(names):
        lines += [f"{title}:", *(f"  {_shortest(tasks, name):<{width}}{_first(tasks[name])}" for name in group), ""]
    lines.append(f"{program} TASK --help explains a task. Several tasks may follow each other in one line.")
    return "\n".join(lines)


def _shortest(tasks: Collection, name: str) -> str:
    names: tuple[str, ...] = (name, *tasks.task_names[name])
    return min(names, key=len)


def _first(task: object) -> str:
    text = (inspect.getdoc(task) or "").partition("\n")[0]
    return re.split(r"(?<=[.:;]) ", text)[0].rstrip(".:;")


def print_task_help(program: Program, name: str) -> None:
    """Usage with what must be given, an example, the page, and all options with their defaults."""
    context = program.parser.contexts[name]
    words = " ".join(_placeholder(argument.name) for argument in context.positional_args)
    words = " ".join(filter(None, (words, BEHIND.get(name, "[other tasks here ...]"))))
    lines = [f"Usage: {program.binary} {name} [--options] {words}", ""]
    lines += [f"  {line}".rstrip() for line in (inspect.getdoc(program.collection[name]) or "").splitlines()]
    if name in EXAMPLES:
        example, page = EXAMPLES[name]
        lines += ["", "Example:", f"  {program.binary} {example}", "", "Page:", f"  docs/{page}.md"]
    sys.stdout.write("\n".join([*lines, "", "Options:", ""]))
    program.print_columns(context.help_tuples())


def _placeholder(name: str) -> str:
    return name.upper().replace("_", "-")


def explained(error: Exception, words: list[str], tasks: Collection | None, program: str) -> str:
    """One sentence for a command line that cannot be read, and a second one that helps."""
    text = str(error)
    context = getattr(error, "context", None)
    if found := _UNKNOWN.fullmatch(text):
        return _unknown(found["word"], words, context, tasks, program)
    if found := _MISSING.fullmatch(text):
        missing = [name.replace("_", "-") for name in re.findall(r"'(\w+)'", found["names"])]
        task = found["task"]
        example = f", as in: {program} {EXAMPLES[task][0]}" if task in EXAMPLES else f": {program} {task} --help"
        return f"{task} needs its {' and '.join(missing)}{example}"
    if found := _NO_VALUE.fullmatch(text):
        return f"--{found['flag']} needs a value"
    return text


def _unknown(word: str, words: list[str], context: ParserContext | None, tasks: Collection | None, program: str) -> str:
    names = names_of(tasks)
    task = context.name if context is not None else None
    flag = word.partition("=")[0]
    if word.startswith("-") and task:
        known = list(context.flags) if context is not None else []
        near = difflib.get_close_matches(flag, [one for one in known if one.startswith("--")], 1, _NEAR)
        return f"{flag} is not a flag of {task}{_meant(near, f'`{program} {task} --help` lists them')}"
    if word.startswith("-"):
        later = next((one for one in words if one in names), None)
        if later is not None:
            return f"{flag} is not a flag of {program} itself: flags follow the task, as in: {program} {later} {flag}"
        return f"{flag} is not a flag of {program}; `{program} --help` lists its flags"
    if given := next((one for one in words if one.startswith("--") and one.endswith(f"={word}")), None):
        return f"{given.partition('=')[0]} takes no value"
    near = difflib.get_close_matches(word, names, 1, _NEAR)
    if context is not None and context.positional_args and not near:
        return f"{word} is too much: {_taken(context)}"
    return f"{word} is not a task{_meant(near, f'`{program}` alone lists them')}"


def _taken(context: ParserContext) -> str:
    """What a task takes; a pattern that the shell has filled in is many words."""
    words = [_placeholder(argument.name) for argument in context.positional_args]
    has_pattern = any("pattern" in (argument.help or "") for argument in context.positional_args)
    return f"{context.name} takes {' and '.join(words)}{', and a pattern stands in quotes' if has_pattern else ''}"


def _meant(near: list[str], otherwise: str) -> str:
    return f": did you mean {near[0]}?" if near else f"; {otherwise}"


def names_of(tasks: Collection | None) -> list[str]:
    """All names by which tasks can be called."""
    if tasks is None:
        return []
    return [*tasks.task_names, *(alias for aliases in tasks.task_names.values() for alias in aliases)]


def is_usage_error(error: Exception) -> bool:
    """Whether it is the command line that is wrong."""
    return isinstance(error, (ParseError, ValueError))
