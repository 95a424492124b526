"""invoke new: a small cluster file of one's own, and a first look at its machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sparkqfs import durable
from sparkqfs.config.beginning import in_words, machines, text_of
from sparkqfs.config.finding import check_not_sample
from sparkqfs.config.loading import parse_config
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.jobs.cluster import whole
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.tree import PACKAGE

_SCHEMA = (PACKAGE / "config" / "hosts.schema.json").as_uri()


def planned(path: Path, words: Sequence[str], user: str | None) -> JobResult:
    """What would be written."""
    text = _checked(path, words, user)
    _check_free(path)
    outcomes = (Outcome(subject=str(path), state="planned"),)
    return JobResult(task="new", outcomes=outcomes, text=text.rstrip("\n"), document={"file": str(path), "text": text})


def write(path: Path, words: Sequence[str], user: str | None) -> None:
    """Write the file, unless there is one. Raises `ConfigError`, and leaves nothing then."""
    text = _checked(path, words, user)
    _check_free(path)
    try:
        file = path.open("x", encoding="utf-8")
    except OSError as error:
        _check_free(path)
        raise _unwritten(path, error) from error
    try:
        with file:
            file.write(text)
            file.flush()
            durable.sync(file.fileno())
        durable.sync_directory(path.parent)
    except OSError as error:
        path.unlink()
        raise _unwritten(path, error) from error


def _checked(path: Path, words: Sequence[str], user: str | None) -> str:
    """The file's text. Raises `ConfigError` with what is wrong, about the words: there is no file yet."""
    found = machines(words, user)
    text = text_of(found, _SCHEMA)
    try:
        check_not_sample(parse_config(text, path))
    except ConfigError as error:
        raise ConfigError(*(in_words(problem, found) for problem in error.problems)) from None
    return text


def _unwritten(path: Path, error: OSError) -> ConfigError:
    return ConfigError(Problem(what=f"{path}: cannot be written: {error.strerror}"))


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        hint = "`invoke doctor` goes on with it; or change it by hand, or name another one with --file"
        raise ConfigError(Problem(what=f"{path}: is there already, and stays as it is", hint=hint))
    if not path.parent.is_dir():
        raise ConfigError(Problem(what=f"{path}: cannot be written: there is no directory {path.parent}"))


def look(session: Session, *, is_found: bool = True) -> JobResult:
    """What the machines lack, as `doctor` finds it, and what to do next. `is_found`: without being named again."""
    path, manager = session.config.file, session.config.manager
    flag = "" if is_found else f" --hosts {path}"
    found = whole.doctor(session)
    after = "when what is said below is done: `invoke doctor" if found.problems else "next: `invoke plan"
    notes = (
        f"{path} is written; the manager is {manager.name}, {manager.address}",
        f"{after}{flag}`, then `invoke up{flag}`",
    )
    return replace(found, task="new", notes=notes, document={"file": str(path)})
