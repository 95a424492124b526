"""Which cluster file a task takes when none is named, and what is still the sample."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ConfigError, ExitCode, Problem

OWN_FILE = "sparkqfs.yml"
"""One's own; git does not look at it. `new` writes it."""
SAMPLE_FILE = "hosts.yml"
"""The annotated sample, or a file of one's own from before; only in the current directory."""
OTHER_SPELLINGS = ("sparkqfs.yaml", "hosts.yaml")
"""They look like a cluster file, and are none by their names."""
VARIABLE = "SPARKQFS_HOSTS"
SAMPLE_ADDRESSES = ("192.0.2.11", "192.0.2.12", "192.0.2.13")
"""The machines of hosts.yml: addresses for documentation (RFC 5737), which nobody has."""
MAKE_ONE = f"`invoke new ADDRESS…` writes {OWN_FILE} for your machines, and says what they lack"


class ClusterFile(NamedTuple):
    """The file of a command line."""

    path: Path
    is_above: bool = False
    """Found in a directory above the current one, and not named."""
    hint: str | None = None
    """What to do where it cannot be read, other than to name one."""


def named_file(flag: str | None, variable: str | None) -> ClusterFile | None:
    """The file of `--hosts`, else of SPARKQFS_HOSTS, `~` expanded; none where neither says one. Raises `ConfigError`.

    A variable that is empty is one that is not set.
    """
    text = flag if flag is not None else variable or None
    if text is None:
        return None
    hint = None if flag is not None else f"{VARIABLE} names this file: correct it, or `unset {VARIABLE}`"
    try:
        return ClusterFile(Path(text).expanduser(), hint=hint)
    except RuntimeError as error:  # nobody has this home
        raise ConfigError(Problem(what=f"{text}: {error}", hint=hint, code=ExitCode.USAGE)) from error


def find() -> ClusterFile:
    """One's own file of this directory or the nearest above; `hosts.yml` of this directory comes between.

    When there is none: `hosts.yml`, the sample, or one's own that is not there. Raises `ConfigError` when the one above
    belongs to somebody else, who could send your data to machines of theirs, or when this directory has one under
    another name.
    """
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return ClusterFile(Path(SAMPLE_FILE))
    if os.path.lexists(OWN_FILE):
        return ClusterFile(Path(OWN_FILE))
    if os.path.lexists(SAMPLE_FILE) and not _is_sample_text(Path(SAMPLE_FILE)):
        return ClusterFile(Path(SAMPLE_FILE))
    above = (folder / OWN_FILE for folder in here.parents)
    found = next((path for path in above if os.path.isfile(path)), None)  # noqa: PTH113 - raises nothing
    _refuse_other_spelling(found)
    if found is None:
        return ClusterFile(Path(SAMPLE_FILE if os.path.lexists(SAMPLE_FILE) else OWN_FILE))
    if found.stat().st_uid not in _trusted():
        what = f"{found} belongs to another user, and it is not in this directory"
        raise ConfigError(Problem(what=what, hint=f"if you mean this cluster: --hosts {found}", code=ExitCode.USAGE))
    return ClusterFile(found, is_above=True)


def _refuse_other_spelling(above: Path | None) -> None:
    """Raises `ConfigError` where this directory has a file that is only called otherwise."""
    name = next((name for name in OTHER_SPELLINGS if os.path.lexists(name)), None)
    if name is not None:
        hint = f"`mv {name} {OWN_FILE}` renames it, and --hosts {name} names it as it is"
        hint += f"; the cluster above this directory: --hosts {above}" if above is not None else ""
        what = f"{name} is not read: a cluster file is called {OWN_FILE}"
        raise ConfigError(Problem(what=what, hint=hint, code=ExitCode.USAGE))


def _trusted() -> set[int]:
    """Oneself and root; for root by sudo also who called it."""
    asked = os.environ.get("SUDO_UID", "")
    return {0, os.geteuid(), *([int(asked)] if os.geteuid() == 0 and asked.isdecimal() else [])}


def _is_sample_text(path: Path) -> bool:
    """Whether its machines are the sample's and no other: comments do not count, nor does a merge that is not done."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return False
    if re.search(r"(?m)^(<{7}|>{7})", text):
        return False
    said = re.sub(r"(?m)(^|\s)#.*$", "", text)
    return set(re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", said)) == set(SAMPLE_ADDRESSES)


def check_not_sample(config: ClusterConfig) -> None:
    """Raises `ConfigError` when a machine is still the sample's."""
    left = [node for node in config.nodes if {node.address, node.advertise} & set(SAMPLE_ADDRESSES)]
    if left:
        names = ", ".join(f"{node.name} ({node.address})" for node in left)
        what = f"{names}: an address of the sample, not a machine; no machine was asked"
        raise ConfigError(
            Problem(what=what, file=str(config.file), config_path="nodes", hint=MAKE_ONE, code=ExitCode.USAGE)
        )


def check_may_erase(file: ClusterFile) -> None:
    """Raises `ConfigError` for a file that was found above: what erases takes the one that one sees or names."""
    if file.is_above:
        what = f"{file.path} is above this directory, and a task that erases takes none from above"
        raise ConfigError(
            Problem(what=what, hint=f"if you mean this cluster: --hosts {file.path}", code=ExitCode.USAGE)
        )
