"""The small changes of CONTRIBUTING.md, each a patch in tests/data/changes.

`python -m tests.machines.changes` writes them again as they fit the tree that is here. Where a part of one does not
fit any more, it says in which folder to finish the change by hand, and which command then writes it from there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.paths import DATA, ROOT

CHANGES = DATA / "changes"
NAMES = ("service", "backend", "check", "fact", "status", "value")
"""In the order of the table in CONTRIBUTING.md."""
NO_SOURCES = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "*.egg-info", "failed", "results")


def patch_of(name: str) -> Path:
    """Where a change is kept."""
    return CHANGES / f"{name}.patch"


def files_of(name: str) -> set[str]:
    """The files that a change touches."""
    return set(re.findall(r"^\+\+\+ b/(.+)$", patch_of(name).read_text(encoding="utf-8"), re.MULTILINE))


def copy_tree(folder: Path) -> None:
    """All sources, without what is made from them."""
    shutil.copytree(ROOT, folder, ignore=NO_SOURCES, dirs_exist_ok=True)


def apply(name: str, folder: Path, *more: str) -> bool:
    """Whether a change fits the tree in `folder`, on which it is then.

    One line of context is enough: a neighbouring line that changed is no reason to fail.
    """
    words = ["git", "apply", "-C1", *more, str(patch_of(name))]
    return subprocess.run(words, cwd=folder, check=False, timeout=60).returncode == 0


def git(folder: Path, *words: str) -> str:
    """What git says in a repository of its own. Raises `CalledProcessError`."""
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "core.autocrlf=false")
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, timeout=60, capture_output=True, text=True)
    return done.stdout


def difference(folder: Path) -> str:
    """What has changed in a tree since its one commit, as a patch."""
    git(folder, "add", "--all")
    return re.sub(r"^index .*\n", "", git(folder, "diff", "--cached", "--no-ext-diff"), flags=re.MULTILINE)


def refresh(name: str, folder: Path) -> bool:
    """Write a change again, made in `folder`; whether it fitted."""
    copy_tree(folder)
    git(folder, "init", "--quiet")
    (folder / ".git" / "info" / "exclude").write_text("*.rej\n*.orig\n__pycache__/\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "before")
    if not apply(name, folder):
        apply(name, folder, "--reject")
        return False
    patch_of(name).write_text(difference(folder), encoding="utf-8")
    return True


def main(arguments: list[str]) -> int:
    """Exit code 1 when a change has to be finished by hand."""
    if len(arguments) == 2:
        patch_of(arguments[0]).write_text(difference(Path(arguments[1])), encoding="utf-8")
        return 0
    left = 0
    for name in arguments or NAMES:
        folder = Path(tempfile.mkdtemp(prefix=f"change-{name}-"))
        if refresh(name, folder):
            shutil.rmtree(folder)
            continue
        print(
            f"{name}: finish it in {folder} (*.rej did not fit), then: python -m tests.machines.changes {name} {folder}"
        )
        left = 1
    return left


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
