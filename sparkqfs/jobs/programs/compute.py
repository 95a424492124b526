"""invoke notebook, token: work on the running cluster."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparkqfs import durable, topology
from sparkqfs.clients.pipe import feed
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster.deploy import ENDING_S, check_time_limit, find_container, in_container
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.steps import JobResult
from sparkqfs.remote import script

RESULT_MIME = "application/vnd.sparkqfs.result+json"
NOTEBOOKS = "/data/notebooks"
"""In the container."""
PROGRAM = "/opt/sparkqfs/bin/run-notebook"
END = ".ipynb"
SEND_SCRIPT = script("send_notebook")
SEND_S = 600.0
ODD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""The container's answers are lines, with tabs between their fields."""


def notebook(session: Session, name: str, parameters: dict[str, str], *, out: Path, timeout_s: float) -> JobResult:
    """Run a notebook headless in the jupyter-server container; bring back what it became, an HTML page and its plots.

    `name` is one of the notebooks' directory, or a file of this computer. Raises `ConfigError`, `ClusterError`.
    """
    local = local_notebook(name)
    if local is None:
        _check_name(name)
        name = name.removesuffix(END)
    else:
        name = local.name.removesuffix(END)
        _check_kept(local, out)
    _check_writable(out)
    task = find_container(session, topology.JUPYTER_SERVER)
    folder = NOTEBOOKS if local is None else _send(session, task, local)
    client = session.clients.node(task.node)
    arguments = [part for key, value in parameters.items() for part in ("-p", key, value)]
    session.on_event(f"[{task.node}] running notebook {name}")
    output = client.run(
        [*in_container(task.container_id, timeout_s), PROGRAM, folder, name, *arguments],
        timeout_s=timeout_s + ENDING_S,
        check=False,
        on_line=lambda line: session.on_event(f"[{name}] {line}"),
        attend=True,
    )
    _check_ran(session, name, output.stdout)
    files = _save_files(output.stdout, out)
    files += _save_pictures(files, out)
    check_time_limit(output.exit_code, task.node, f"notebook {name}", timeout_s)
    if output.exit_code != 0:
        page = next((path for path in files if path.suffix == ".html"), None)
        kept = f"; see {page}" if page else ""
        hint = "`invoke deploy`: the stack is of an earlier version" if PROGRAM in output.last_lines(3) else None
        what = f"notebook {name} failed{kept}: {output.last_lines(15)}"
        raise ClusterError(Problem(node=task.node, what=what, hint=hint))
    result = _result_of(files)
    document: dict[str, object] = {"schema": 1, "notebook": name, "files": [str(f) for f in files], "result": result}
    lines = [*(f"saved {path}" for path in files), *summary_of(result)]
    return JobResult(task="notebook", text="\n".join(lines), document=document)


def local_notebook(name: str) -> Path | None:
    """The file of this computer that a name means; `None` for a notebook of the cluster. Raises `ConfigError`.

    A path that begins with `./`, `/` or `~` is one of this computer; another one with .ipynb where it is there.
    """
    path = Path(name).expanduser()
    is_path = name.startswith(("./", "../", "/", "~"))
    if not is_path and not (name.endswith(END) and path.is_file()):
        return None
    if not path.is_file():
        raise ConfigError(
            Problem(what=f"there is no file {name} on this computer", hint="NAME alone is one of the cluster")
        )
    if path.suffix != END:
        raise ConfigError(Problem(what=f"{name} is not a notebook: its name does not end with {END}"))
    if ODD.search(path.name):
        what = f"{name!r}: a notebook's name has no line ends, tabs or other controls here, and is UTF-8"
        raise ConfigError(Problem(what=what, hint="rename it"))
    return path


def _check_name(name: str) -> None:
    """Raises `ConfigError` for what cannot be the name of one in the notebooks' directory."""
    parts = name.split("/")
    if not all(parts) or any(part in (".", "..") or part.startswith(".") for part in parts) or not name.isprintable():
        hint = "the file's name without .ipynb, with the folders that it is in: `reports/june`; or a file: ./mine.ipynb"
        raise ConfigError(Problem(what=f"{name!r} is not a notebook's name", hint=hint))


def _check_kept(local: Path, out: Path) -> None:
    """Raises `ConfigError` where the result would take the place of what was sent."""
    if (out / local.name).exists() and (out / local.name).samefile(local):
        what = f"--out {out}: the result would replace {local}"
        raise ConfigError(Problem(what=what, hint="--out DIR: another directory"))


def _send(session: Session, task: TaskFact, local: Path) -> str:
    """A notebook of this computer in a directory of its own in the container; that directory. Raises `ClusterError`."""
    try:
        data = local.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(what=f"{local}: {error.strerror}")) from error
    session.on_event(f"[{task.node}] sending {local}, {len(data):,} bytes")
    argv = ["docker", "exec", "-i", task.container_id, "sh", "-c", SEND_SCRIPT, "sh", local.name]
    folder = feed([data], session.clients.node(task.node), argv, timeout_s=SEND_S).strip()
    if not folder.startswith("/tmp/notebook-sent."):
        raise ClusterError(Problem(node=task.node, what=f"the notebook could not be sent: {folder[:200]!r}"))
    return folder


def _check_ran(session: Session, name: str, stdout: str) -> None:
    """Raises `ConfigError` when there is no such notebook, with the names that there are, or it cannot be run."""
    first = stdout.partition("\n")[0]
    if first.startswith("refused\t"):
        raise ConfigError(Problem(what=first.partition("\t")[2]))
    if first != "absent":
        return
    known = sorted(line.partition("\t")[2] for line in stdout.splitlines() if line.startswith("known\t"))
    hint = f"notebooks: {', '.join(known)}" if known else f"put it into {session.config.notebooks_path}"
    raise ConfigError(Problem(what=f"no notebook {name}", hint=hint))


def _check_writable(out: Path) -> None:
    """Before the run, not after it; nothing is made yet. Raises `ConfigError`."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(Problem(what=f"--out {out}: {there} is not a directory that may be written to"))


def _save_files(stdout: str, out: Path) -> list[Path]:
    saved = []
    for line in stdout.splitlines():
        kind, _, rest = line.partition("\t")
        name, _, encoded = rest.partition("\t")
        if kind == "file":
            durable.make_directories(out)
            path = out / Path(name).name
            durable.write_file(path, base64.b64decode(encoded))
            saved.append(path)
    return saved


def _outputs(files: list[Path]) -> Iterator[dict[str, Any]]:
    """What the cells of the executed notebook have displayed: of each the media types and what they hold."""
    for path in files:
        if path.suffix != END:
            continue
        for cell in json.loads(path.read_text(encoding="utf-8")).get("cells", []):
            for output in cell.get("outputs", []):
                yield output.get("data") or {}


def _save_pictures(files: list[Path], out: Path) -> list[Path]:
    """The plots of the executed notebook, each as a PNG file of its own: NAME-1.png and so on."""
    saved: list[Path] = []
    name = next((path.stem for path in files if path.suffix == END), "")
    for data in _outputs(files):
        found = data.get("image/png")
        if found is None:
            continue
        try:
            picture = base64.b64decode("".join(found))
        except (ValueError, TypeError):
            continue  # a program wrote it that is not Jupyter's; the notebook has it
        saved.append(out / f"{name}-{len(saved) + 1}.png")
        durable.write_file(saved[-1], picture)
    return saved


def _result_of(files: list[Path]) -> object:
    """What the notebook displayed under our own type, if anything."""
    return next((data[RESULT_MIME] for data in _outputs(files) if data.get(RESULT_MIME) is not None), None)


def summary_of(result: object) -> list[str]:
    """The lines that a notebook wants shown: `summary` in its result, one text or a list of them."""
    summary = result.get("summary", []) if isinstance(result, dict) else []
    return [str(line) for line in summary] if isinstance(summary, list) else [str(summary)]


def token(session: Session) -> JobResult:
    """The Jupyter token and the address to click."""
    value = session.secrets()["jupyter_token"]
    found = status.look(session).urls.get("Jupyter")
    host = found or f"http://{session.config.manager.address}:{session.config.ports.jupyter}"
    url = with_token(host, value)
    document: dict[str, object] = {"schema": 1, "token": value, "url": url, "running": found is not None}
    return JobResult(task="token", text=url, document=document)


def with_token(address: str, value: str) -> str:
    """Jupyter's address as one clicks it."""
    return f"{address}/lab?token={value}"
