"""invoke copy: files from one storage to another, through the cluster's executors."""

from __future__ import annotations

import json
import re

from sparkqfs import topology
from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem
from sparkqfs.files.places import no_path
from sparkqfs.jobs.cluster.deploy import exec_in
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage.seam import SHARED_TARGET

SHARED = "shared:"
URI = re.compile(r"([a-z][a-z0-9]*)://([^/]*)")
"""Scheme and authority."""
LISTED = 20
"""Files that are named one by one in a report for people."""


def uri_of(session: Session, text: str) -> str:
    """The URI of `/path` on the cluster's storage, of `shared:/path`, or of a URI. Raises `ConfigError`.

    A URI of the storage's scheme that names no server means the cluster's, as in Spark.
    """
    path = text.removeprefix(SHARED)
    root = session.backend.root_uri(session.config)
    if uri := URI.match(text):
        server = URI.match(root)
        same = server and server[2] and uri[1] == server[1] and uri[2].lower() in ("", server[2])
        return root + text[uri.end() :] if same else text
    if not path.startswith("/") or ".." in path.split("/"):
        raise ConfigError(no_path(text, session.config.owner.user))
    if path == text:
        return root + path
    if session.config.shared_directory is None:
        what = f"{text}: this cluster has no shared path"
        hint = "set storage.shared.path to a directory that every node mounts, then `invoke up`"
        raise ConfigError(Problem(what=what, config_path="storage.shared.path", hint=hint))
    return f"file://{SHARED_TARGET}{path}"


def is_of_cluster(session: Session, uri: str) -> bool:
    """Whether a URI, as `uri_of` writes it, is on the cluster's storage."""
    return f"{uri}/".startswith(f"{session.backend.root_uri(session.config)}/")


def copy(session: Session, source: str, target: str, *, overwrite: bool, timeout_s: float) -> JobResult:
    """Copy what `source` names to `target`, file by file in the executors; every copy is read back."""
    words = [uri_of(session, source), uri_of(session, target)]
    flags = [*(["--overwrite"] if overwrite else []), *(["--dry-run"] if session.dry_run else [])]
    out = exec_in(
        session,
        topology.JUPYTER_SERVER,
        ["/opt/venv/bin/python", "/opt/sparkqfs/bin/copy-files", *flags, "--", *words],
        timeout_s=timeout_s,
    )
    found = json.loads(out.strip().splitlines()[-1])
    if "problem" in found:
        raise ConfigError(Problem(what=str(found["problem"])))
    if "error" in found:
        raise ClusterError(
            Problem(what=f"copy: {found['error']}", hint="`invoke status` shows whether the storage works")
        )
    files, size = int(found["files"]), int(found["bytes"])
    subject = f"{found['from']} to {found['to']}"
    state = "planned" if session.dry_run else ("changed" if found["copied"] else "unchanged")
    changes = [f"{amount(files, 'file')}, {amount(size, 'byte')}"]
    if not session.dry_run:
        changes.append(f"{found['copied']} copied and read back, {found['unchanged']} there already and equal")
    if found.get("links"):
        changes.append(f"{found['links']} symbolic links left out")
    problems = [
        *_problems(found["failed"], "not copied", ExitCode.FAILED, None),
        *_problems(found["differs"], "left alone", ExitCode.REFUSED, "`--overwrite` replaces files that differ"),
    ]
    outcome = Outcome(subject=subject, state="failed" if problems else state, changes=tuple(changes))
    return JobResult(task="copy", outcomes=(outcome,), problems=tuple(problems), document={"copy": found})


def _problems(found: list[dict[str, str]], what: str, code: ExitCode, hint: str | None) -> list[Problem]:
    listed = [Problem(what=f"{one['file']}: {what}: {one['why']}", code=code, hint=hint) for one in found[:LISTED]]
    if len(found) > LISTED:
        listed.append(Problem(what=f"{len(found) - LISTED} more: {what}; --json names them", code=code, hint=hint))
    return listed
