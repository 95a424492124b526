"""In a notebook's kernel: what is to be done when Spark does not find a file of Jupyter's folder, and after %pip, and
a link to Spark's pages that opens.

An extension of IPython (docker/jupyter-server/ipython_config.py). It changes nothing that a program sees; whatever goes
wrong in it, the cell's own error is shown. Standard library only.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import shlex
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = "/data/notebooks"
PACKAGES = f"packages-{sys.version_info[0]}.{sys.version_info[1]}"
"""In HOME, on the manager's disk: what %pip installs; the environment's own directory is the image's."""
MISSING = (
    re.compile(r"Path does not exist: (\S.*?)(?:\. SQLSTATE|\.?\s*$)", re.MULTILINE),
    re.compile(r"File (file:/\S+) does not exist"),
    re.compile(r"(?:FileNotFoundException|NoSuchFileException): (?:File )?((?:file:)?/\S+?)(?: \(|\s|$)", re.MULTILINE),
)
PLACES = frozenset(("--target", "-t", "--user", "--prefix", "--root"))
FROM = frozenset(("--requirement", "-r", "--editable", "-e", "--group"))
"""Options of pip whose value is something to install."""
VALUED = FROM | PLACES - {"--user"} | frozenset((
    "--abi", "--build-constraint", "--cache-dir", "--cert", "--client-cert", "--config-settings", "--constraint",
    "--exists-action", "--extra-index-url", "--find-links", "--global-option", "--implementation", "--index-url",
    "--keyring-provider", "--log", "--no-binary", "--only-binary", "--only-final", "--platform", "--progress-bar",
    "--proxy", "--python", "--python-version", "--report", "--resume-retries", "--retries", "--root-user-action",
    "--src", "--timeout", "--trusted-host", "--upgrade-strategy", "--uploaded-prior-to", "--use-deprecated",
    "--use-feature", "-C", "-c", "-f", "-i",
))  # fmt: skip
"""Options of `pip install` that have a value, pip 25."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]*\s*(\[[^\]/]*\])?\s*([=<>!~;][^/]*)?", re.ASCII)
"""What may stand in worker.requirements. A path or an address is none; an address may have a password."""
FILES = (".whl", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".tar", ".txt")
UNNAMED = "…"
SHOWN = (("pyspark.sql.session", "SparkSession"), ("pyspark.core.context", "SparkContext"))
"""Module and class, Spark 4.1."""
WORKERS = """\
Installed for this notebook's Python, and for every notebook from now on. Functions that run on the workers have it
when it is in hosts.yml, after `invoke up`:
  worker:
    requirements: [{names}]"""


def missing_path(text: str) -> tuple[str, str] | None:
    """(scheme, path) of what an error says is not there, a pattern cut off; `None` for another error."""
    for pattern in MISSING:
        if found := pattern.search(text):
            uri = re.fullmatch(r"(?:([a-z][a-z0-9+.-]*):(?://[^/]*)?)?(/.*)", found[1].strip("\"'"))
            if uri is None:
                return None
            parts = urllib.parse.unquote(uri[2]).split("/")
            plain = next((at for at, part in enumerate(parts) if re.search(r"[*?\[{]", part)), len(parts))
            return uri[1] or "", "/".join(parts[:plain]) or "/"
    return None


def local_file(path: str, folders: tuple[Path, ...]) -> Path | None:
    """The file or directory in Jupyter's folders that was meant: of the longest end of the path."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for folder in folders:
        inside = [path[len(str(folder)) :].strip("/")] if path.startswith(f"{folder}/") else []
        for end in (*inside, *("/".join(parts[begin:]) for begin in range(len(parts)))):
            with contextlib.suppress(OSError):
                if end and (folder / end).exists():
                    return folder / end
    return None


def file_hint(text: str, folders: tuple[Path, ...], home: str, root: str = "") -> str | None:
    """What to do about a file that Spark does not find and Jupyter has; `None` where that is not what happened.

    `home` is the user's directory on the storage, `root` the URI of the storage's root.
    """
    found = missing_path(text)
    place = local_file(found[1], folders) if found is not None else None
    if found is None or place is None:
        return None
    scheme, path = found
    shared = root if root.startswith("file:") else ""
    target, again = path, "the same line again"
    if scheme in ("", "file"):
        target = f"{home}/{place.name}"
        again = f"read {shared}{target}"
    return (
        f"{place} is in Jupyter's folder, on this machine alone; Spark reads the cluster's storage. In a cell:\n"
        f"  !sput {shlex.quote(str(place))} {shlex.quote(target)}\nthen {again}"
    )


def pip_words(line: str, packages: Path) -> tuple[str, list[str]]:
    """A %pip line as it is run here, and what it installs; the same line where it installs nothing, or elsewhere.

    `UNNAMED`, the last one, is for files, addresses and lists, which are not named to anybody.
    """
    found = re.match(r"\s*(?:-\S+\s+)*install(?=\s|$)", line)
    try:
        options = list(_options(shlex.split(line[found.end() :]) if found else []))
    except ValueError:
        return line, []
    given = {option for option, _ in options}
    if found is None or given & PLACES:
        return line, []
    names = [value for option, value in options if not option and _is_name(value)]
    if len(names) < sum(not option or option in FROM for option, _ in options):
        names.append(UNNAMED)
    run = f"{found[0]} --target {shlex.quote(str(packages))} --upgrade{line[found.end() :]}"
    return run, [] if "--dry-run" in given else names


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """(option, value) of pip's words up to what is the shell's; the option of a word beside them is empty."""
    rest = iter(words)
    for word in rest:
        if re.match(r"[0-9]?[<>]|[#;&|]", word):
            return
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            yield option, value if equals or option not in VALUED else next(rest, "")
        elif word.startswith("-"):
            at = next((at for at in range(1, len(word)) if f"-{word[at]}" in VALUED), len(word))
            yield f"-{word[at : at + 1]}", word[at + 1 :] or (next(rest, "") if at < len(word) else "")
        else:
            yield "", word


def _is_name(word: str) -> bool:
    return NAME.fullmatch(word) is not None and not word.endswith(FILES)


def packages_folder() -> Path:
    """Of this Python's version."""
    return Path(os.environ.get("HOME") or "/tmp") / ".local" / PACKAGES


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython when a kernel starts."""
    packages = packages_folder()
    if str(packages) not in sys.path:
        sys.path.append(str(packages))  # behind the image's: what is there keeps its version
    _watch_errors(shell)
    _wrap_pip(shell, packages)
    _link_pages(shell)


def _watch_errors(shell: Any) -> None:
    def shown(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: int | None = None) -> None:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        with contextlib.suppress(Exception):
            folders = (Path.cwd(), Path(os.environ.get("SPARKQFS_NOTEBOOKS_DIR") or FOLDER))
            home = f"/user/{getpass.getuser()}"
            if (said := file_hint(str(error), folders, home, os.environ.get("SPARKQFS_ROOT", ""))) is not None:
                print(said, file=sys.stderr)

    shell.set_custom_exc((Exception,), shown)


def _wrap_pip(shell: Any, packages: Path) -> None:
    plain = shell.find_line_magic("pip")
    if plain is None:
        return

    def pip(line: str) -> None:
        run, names = pip_words(line, packages)
        plain(run)
        if names and shell.user_ns.get("_exit_code", 0) == 0:
            listed = (name if name == UNNAMED else json.dumps(name, ensure_ascii=False) for name in names)
            print(WORKERS.format(names=", ".join(listed)))

    shell.register_magic_function(pip, magic_kind="line", magic_name="pip")


def _link_pages(shell: Any) -> None:
    """`spark` and `sc` at the end of a cell."""
    formatter = shell.display_formatter.formatters["text/html"]
    for module, name in SHOWN:
        formatter.for_type_by_name(module, name, linked)


def linked(shown: Any) -> str:
    """Spark's own text with a link that leads to its pages by Jupyter's address, pages/in_jupyter.py.

    Spark's is an address of the containers' network. Jupyter leaves a link alone that begins with a slash.
    """
    text = str(shown._repr_html_())
    with contextlib.suppress(Exception):
        context = getattr(shown, "sparkContext", shown)
        if context.uiWebUrl is not None:  # None: spark.ui.enabled is false
            return text.replace(f'href="{context.uiWebUrl}"', f'href="/proxy/{context.applicationId}/jobs/"')
    return text
