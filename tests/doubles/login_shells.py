"""SSH servers on whose machines root has another login shell, with start-up files that tests write."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.doubles.openssh import AS_ACCOUNT, NAMESPACE
from tests.doubles.servers import Sshd, sshd

STARTUP = {
    "bash": ".bashrc",
    "rbash": ".bashrc",
    "zsh": ".zshenv",
    "fish": ".config/fish/config.fish",
    "tcsh": ".tcshrc",
}
"""Shell → the file that it reads for `ssh HOST COMMAND`."""


@contextlib.contextmanager
def machine(folder: Path, shell: str, *settings: str) -> Iterator[Sshd]:
    """A machine where the login shell of `root` and `pi` is `shell` and their home directory `folder`/home; skips
    without that shell. `pi` is root under another name."""
    program = shutil.which(shell, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"no {shell} on this machine (Debian: apt-get install {shell})")
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here: root keeps its login shell")
    home = folder / "home"
    home.mkdir()
    account = re.sub(r"(?m)^(root:.*?:.*?:.*?:.*?:).*$", rf"\g<1>{home}:{program}", Path("/etc/passwd").read_text())
    (folder / "passwd").write_text(f"{account}pi:x:0:0::{home}:{program}\n")
    with sshd(folder, *settings, through=(*NAMESPACE, AS_ACCOUNT, "sh", str(folder))) as server:
        yield server


@contextlib.contextmanager
def starting(folder: Path, files: Mapping[str, str]) -> Iterator[None]:
    """These start-up files while the block runs."""
    home = folder / "home"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    try:
        yield
    finally:
        for name in files:
            (home / name).unlink()
