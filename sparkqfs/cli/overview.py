"""What `sparkqfs --help` prints: all tasks in groups, and the flags that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkqfs.cli.flags import SHARED
from sparkqfs.cli.usage import task_list

if TYPE_CHECKING:
    from invoke import Collection

OWN = {
    "--help [TASK]": "this, or what a task does; also `help TASK`, or --help behind the task",
    "help docs/PAGE.md": "a page of the documentation, as messages name them",
    "--list [GROUP]": "the tasks by name; with --list-format json for programs",
    "--print-completion-script SHELL": "lets Tab complete tasks and flags: bash, zsh or fish",
    "--version": "the version",
}
"""Of the program itself, before a task."""
OF_TASKS = ("hosts", "dry_run", "json", "yes", "verbose")
"""Those that most tasks have."""


def overview(tasks: Collection, program: str) -> str:
    """The tasks, then flags."""
    shared = {f"--{name.replace('_', '-')}": str(SHARED[name].metadata["help"]) for name in OF_TASKS}
    shared = {f"{flag} FILE" if flag == "--hosts" else flag: text for flag, text in shared.items()}
    usage = f"Usage: {program} TASK [--flags] [words] [another task ...]"
    ours = _block(f"Flags of {program} itself", OWN)
    of_tasks = _block("Flags of most tasks, behind the task", shared)
    return "\n".join([usage, "", task_list(tasks, program), "", *of_tasks, "", *ours])


def _block(title: str, flags: dict[str, str]) -> list[str]:
    width = max(map(len, flags)) + 2
    return [f"{title}:", *(f"  {flag:<{width}}{text}" for flag, text in flags.items())]
