"""What `sparkqfs` prints by itself: its tasks in groups, the help of a task, and what is wrong with a command line."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Collection, Container
from typing import TYPE_CHECKING

from invoke.exceptions import ParseError
from invoke.parser.context import to_flag

from sparkqfs.cli.guide import BEHIND, EXAMPLES, grouped
from sparkqfs.cli.known_words import TASKS, flag_for
from sparkqfs.tree import page_address

if TYPE_CHECKING:
    from invoke import Program
    from invoke.collection import Collection as Tasks
    from invoke.parser import ParserContext

_UNKNOWN = re.compile(r"No idea what '(?P<word>.*)' is!", re.DOTALL)
_MISSING = re.compile(r"'(?P<task>\S+)' did not receive required positional arguments: (?P<names>.+)")
_NO_NUMBER = re.compile(r"invalid literal for int\(\) with base 10: '(?P<text>.*)'", re.DOTALL)
_NO_GROUP = re.compile(r"Sub-collection '(?P<name>.*)' not found!", re.DOTALL)
_NO_VALUE = re.compile(r"Flag <\w+: (?P<flag>[\w-]+).*> needed value and was not given one!", re.DOTALL)
_NEAR = 0.75
"""Below it words are near each other that have little in common: `help` and `shell`."""
_APPLICATION = re.compile(r"(app|submit|driver)-\d[\w-]*")
_FILE_ENDINGS = (".yml", ".yaml")


def task_list(tasks: Tasks, program: str) -> str:
    """All tasks in groups, each with the first sentence of its help."""
    names = set(tasks.task_names)
    width = max(map(len, names)) + 2
    lines = []
    for title, group in grouped(names):
        lines += [f"{title}:", *(f"  {_shortest(tasks, name):<{width}}{_first(tasks[name])}" for name in group), ""]
    lines.append(f"{program} TASK --help explains a task. Several tasks may follow each other in one line.")
    return "\n".join(lines)


def _shortest(tasks: Tasks, name: str) -> str:
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
        address = page_address(page, program.binary)
        lines += ["", "Example:", f"  {program.binary} {example}", "", "Page:", f"  {address}"]
    sys.stdout.write("\n".join([*lines, "", "Options:", ""]))
    program.print_columns(context.help_tuples())


def _placeholder(name: str) -> str:
    return name.upper().replace("_", "-")


def explained(error: Exception, words: list[str], tasks: Tasks | None, program: str) -> str:
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
        return f"{to_flag(found['flag'])} needs a value"
    if found := _NO_NUMBER.fullmatch(text):  # the one number that Invoke itself reads
        return f"--list-depth {found['text']}: expected a whole number"
    if found := _NO_GROUP.fullmatch(text):
        groups = sorted({name.partition(".")[0] for name in names_of(tasks) if "." in name})
        return f"{found['name']} is not a group of tasks: {', '.join(groups)}"
    return text


def joined(head: str, last: str, names: Container[str]) -> str | None:
    """The task that two words name; `apps logs` counts as `app logs`."""
    found = (f"{head}.{last}", f"{head.removesuffix('s')}.{last}")
    return None if "." in head else next((name for name in found if name in names), None)


def spaced(head: str, last: str, names: Collection[str]) -> str:
    """What to write instead of two words that together name a task."""
    text = f"{head} {last}: did you mean {joined(head, last, names)}?"
    return f"{text} For both tasks write two command lines" if {head, last} <= set(names) else text


def _unknown(word: str, words: list[str], context: ParserContext | None, tasks: Tasks | None, program: str) -> str:
    names = names_of(tasks)
    if word.startswith("-"):
        return _unknown_flag(word.partition("=")[0], words, context, names, program)
    if given := next((one for one in words if one.startswith("--") and one.endswith(f"={word}")), None):
        return f"{given.partition('=')[0]} takes no value"
    task = context if context is not None and context.name else None
    if task is not None and (flag := f"--{word}") in task.flags:
        return f"{word} is not a task: did you mean {task.name} {flag}?"
    meant = _task_for(word, names)
    if meant is None and task is not None:
        meant = _with_flag(word, task)
    if task is not None and task.positional_args and meant is None:
        return f"{word} is too much: {_taken(task)}"
    return f"{word} is not a task{_meant(meant, f'`{program}` alone lists them')}"


def _unknown_flag(flag: str, words: list[str], context: ParserContext | None, names: list[str], program: str) -> str:
    if context is None or context.name is None:
        later = next((one for one in words if one in names), None)
        if later is not None:
            return f"{flag} is not a flag of {program} itself: flags follow the task, as in: {program} {later} {flag}"
        return f"{flag} is not a flag of {program}; `{program} --help` lists its flags"
    task = context.name
    known = [one.removeprefix("--") for one in context.flags if one.startswith("--")]
    near = difflib.get_close_matches(flag.removeprefix("--"), known, 1, _NEAR) if flag.startswith("--") else []
    meant = flag_for(task, flag, context.flags) or next((f"--{one}" for one in near), None)
    return f"{flag} is not a flag of {task}{_meant(meant, f'`{program} {task} --help` lists them')}"


def _task_for(word: str, names: list[str]) -> str | None:
    """What other programs call so, what is written nearly so, or the tasks of a group."""
    group = sorted(name for name in names if name.startswith(f"{word}."))
    if group:
        return " or ".join(group)
    return TASKS.get(word.lower()) or next(iter(difflib.get_close_matches(word.lower(), names, 1, _NEAR)), None)


def _with_flag(word: str, context: ParserContext) -> str | None:
    """For a word that may be the value of a flag: a service, a node, SQL, a program, a cluster file, a number."""
    task, flags = context.name, context.flags
    if "--service" in flags and _APPLICATION.fullmatch(word):
        return f"app.logs {word}"
    if word.endswith(_FILE_ENDINGS) and "--hosts" in flags:
        return f"{task} --hosts {word}"
    if task == "sql":
        return f"sql -f {word}" if word.endswith(".sql") else f"sql -e {_quoted(word)}"
    if task == "connect" and word.endswith(".py"):
        return f"connect --exec {word}"
    number = next((one for one in ("--tail", "--last", "--limit") if one in flags), None)
    if word.isdecimal() and number is not None:
        return f"{task} {number} {word}"
    node = next((one for one in ("--on", "--only") if one in flags), None)
    if node is None or context.positional_args or not re.fullmatch("[a-z0-9-]+", word):
        return None
    if "--service" in flags:
        return f"{task} --service {word} (a service) or {node} {word} (a node)"
    return f"{task} {node} {word}"


def _quoted(word: str) -> str:
    return f'"{word}"' if "'" in word or '"' not in word else f"'{word}'"


def _taken(context: ParserContext) -> str:
    """What a task takes; a pattern that the shell has filled in is many words."""
    words = [_placeholder(argument.name) for argument in context.positional_args]
    has_pattern = any("pattern" in (argument.help or "") for argument in context.positional_args)
    return f"{context.name} takes {' and '.join(words)}{', and a pattern stands in quotes' if has_pattern else ''}"


def _meant(meant: str | None, otherwise: str) -> str:
    return f"; {otherwise}" if meant is None else f": did you mean {meant}?"


def names_of(tasks: Tasks | None) -> list[str]:
    """All names by which tasks can be called."""
    if tasks is None:
        return []
    return [*tasks.task_names, *(alias for aliases in tasks.task_names.values() for alias in aliases)]


def is_usage_error(error: Exception) -> bool:
    """Whether it is the command line that is wrong."""
    return isinstance(error, (ParseError, ValueError))
