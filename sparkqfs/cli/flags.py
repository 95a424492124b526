"""The flags that tasks share, written once: a task names those it has, and its body gets them as `Flags`."""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from invoke import Context, task

from sparkqfs.cli.help_flag import HelpfulTask
from sparkqfs.errors import ConfigError, Problem

Body = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The shared flags of one command; what its task does not have is as if it were not given."""

    hosts: str | None = field(
        default=None,
        metadata={"help": "cluster file (default: $SPARKQFS_HOSTS, else sparkqfs.yml here or above, else hosts.yml)"},
    )
    only: str | None = field(default=None, metadata={"help": "node names, comma-separated"})
    dry_run: bool = field(default=False, metadata={"help": "say what would be done, change nothing"})
    json: bool = field(default=False, metadata={"help": "one JSON document on standard output"})
    yes: bool = field(default=False, metadata={"help": "answer yes to questions; never erases"})
    verbose: bool = field(default=False, metadata={"help": "every line of progress, and tracebacks"})
    sudo_password_file: str | None = field(
        default=None, metadata={"help": "file with the sudo password, or - to be asked, where sudo needs one"}
    )


SHARED = {one.name: one for one in fields(Flags)}
FOR_ALL = ("dry_run", "json", "verbose")
"""What is said for one task of a command line is said for all: `down purge --dry-run` takes nothing down."""
OF_A_REPORT = ("json", "verbose")
OF_A_CLUSTER = ("hosts", "sudo_password_file", *OF_A_REPORT)


def cluster_task(*more: str, help: Mapping[str, str] | None = None, **options: Any) -> Callable[[Body], Any]:
    """A task that works on a cluster. `more` names further shared flags; `options` are Invoke's own.

    The signature of the decorated function has `Flags` first, then the flags that are the task's own. Those of
    `may_be_empty` take an empty text; any other is refused then, as a script's variable that is not set.
    """
    return _task((*OF_A_CLUSTER, *more), help or {}, options)


def offline_task(*more: str, help: Mapping[str, str] | None = None, **options: Any) -> Callable[[Body], Any]:
    """As `cluster_task`, for a task that takes no cluster file."""
    return _task((*OF_A_REPORT, *more), help or {}, options)


def _task(shared: tuple[str, ...], help: Mapping[str, str], options: Mapping[str, Any]) -> Callable[[Body], Any]:
    texts = {name: SHARED[name].metadata["help"] for name in shared} | dict(help)
    make = task(klass=HelpfulTask, auto_shortflags=False, help=texts, **options)
    return lambda body: make(with_shared(body, shared))


def with_shared(body: Body, shared: tuple[str, ...]) -> Body:
    """The function that Invoke calls: with a context, the body's own flags and the shared ones.

    Invoke reads flags from `inspect.signature`, which takes `__signature__` at its word. Its own --dry is --dry-run.
    """

    @functools.wraps(body)
    def called(c: Context, **values: Any) -> None:
        own_values = {name: values.pop(name) for name in shared if name in values}
        given = Flags(**(own_values | said_for_all(sys.argv[1:], shared)))
        body(replace(given, dry_run=given.dry_run or bool(c.config.run.dry)), **values)

    context = inspect.Parameter("c", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = list(inspect.signature(body).parameters.values())[1:]
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=SHARED[name].default) for name in shared]
    called.__signature__ = inspect.Signature([context, *own, *added])  # type: ignore[attr-defined]
    return called


def words_of_tasks(words: list[str]) -> list[str]:
    """A command line without the words that `submit` passes on to a program."""
    return words[: words.index("--")] if "--" in words else words


def said_for_all(words: list[str], shared: tuple[str, ...]) -> dict[str, bool]:
    """Those of a task's shared flags that some task of this command line was given."""
    said = set(words_of_tasks(words))
    return {name: True for name in FOR_ALL if name in shared and f"--{name.replace('_', '-')}" in said}


def values_of(words: list[str], flag: str) -> list[str]:
    """All values that a flag gets in a command line."""
    words = words_of_tasks(words)
    named = [word.partition("=")[2] for word in words if word.startswith(f"{flag}=")]
    return named + [value for name, value in itertools.pairwise(words) if name == flag]


def names(text: str | None) -> tuple[str, ...]:
    """`a,b` → ("a", "b")."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def path_of(flag: str, text: str) -> Path:
    """A path of this computer. After `=` no shell expands its `~`. Raises `ConfigError` where nobody has that home."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(Problem(what=f"{flag} {text}: {error}")) from error
