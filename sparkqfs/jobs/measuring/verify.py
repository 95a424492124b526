"""invoke verify: how local reads are, measured in the cluster and judged here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

from sparkqfs import topology
from sparkqfs.amounts import amount
from sparkqfs.checks.locality import Expected, Verdict, count_local, find_faults, judge_locality
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.pages import StorageFact
from sparkqfs.jobs.cluster.deploy import exec_in
from sparkqfs.jobs.files.copy import is_of_cluster, uri_of
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.watching.cluster_status import ClusterStatus


def verify(
    session: Session,
    *,
    mib: int,
    files: int,
    reads: int | None,
    path: str | None,
    max_remote: float | None,
    min_local: float | None,
    timeout_s: float,
) -> JobResult:
    """Read a table of ours, or what is at `path`, through Spark; count tasks and bytes; judge them.

    `reads` is 3 for the table and 1 for a path unless given.
    """
    if path is None:
        table = f"{session.backend.root_uri(session.config)}/tmp/sparkqfs-verify"
        what = ["--path", table, "--mib", str(mib), "--files", str(files), "--reads", str(reads or 3)]
    else:
        what = ["--data", uri_of(session, path), "--reads", str(reads or 1)]
    argv = ["/opt/venv/bin/python", "/opt/sparkqfs/bin/verify", *what]
    try:
        out = exec_in(session, topology.JUPYTER_SERVER, argv, timeout_s=timeout_s)
    except ClusterError as error:
        raise type(error)(*error.problems, *_faults(session)) from error
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    if "problem" in found:
        raise ConfigError(Problem(what=str(found["problem"])))
    expected = _expected(session, status.gather_status(session), str(found["path"]), max_remote, min_local)
    verdict = judge_locality(found, expected)
    problems = list(verdict.problems)
    if found["sum_ok"] is False or found["expected_rows"] not in (None, found["rows"]):
        problems.insert(0, Problem(what="what was read is not what was written"))
    tasks: dict[str, int] = found["tasks"]
    document = {
        **found,
        "local_share_of_tasks": count_local(found) / (sum(tasks.values()) or 1),
        "nodes": expected.workers,
        "verdict": {
            "state": verdict.state,
            "text": verdict.text,
            "problems": [dataclasses.asdict(problem) for problem in problems],
            "notes": [dataclasses.asdict(problem) for problem in verdict.notes],
        },
    }
    text = "\n".join(_lines(found, expected, verdict))
    return JobResult(task="verify", text=text, document=document, problems=tuple(problems))


def _faults(session: Session) -> tuple[Problem, ...]:
    """What is broken in a cluster that could not be measured, as its masters see it."""
    with contextlib.suppress(ClusterError):
        seen = status.gather_status(session)
        hosts = () if isinstance(seen.spark, str) else seen.spark.alive_hosts
        root = session.backend.root_uri(session.config)
        return find_faults(hosts, {}, _expected(session, seen, root, None, None))
    return ()


def _expected(
    session: Session, seen: ClusterStatus, path: str, max_remote: float | None, min_local: float | None
) -> Expected:
    """What the cluster should be, and which of it is up."""
    backend, config = session.backend, session.config
    ours = is_of_cluster(session, path)
    return Expected(
        server=backend.words.servers.removesuffix("s"),
        blocks=backend.words.blocks,
        nodes=tuple(node.name for node in config.nodes),
        workers=status.worker_addresses(session, seen.tasks),
        containers={address: task.node for task in seen.tasks if task.is_up for address in task.addresses},
        master=backend.words.master,
        master_service=backend.master.name if backend.master is not None else "",
        up_hosts=seen.storage.up_hosts if ours and isinstance(seen.storage, StorageFact) else None,
        unseen=seen.storage if ours and isinstance(seen.storage, str) else None,
        replication=config.storage.replication if ours else 1,
        remote_reads=backend.remote_reads if ours else None,
        max_remote=max_remote,
        min_local=min_local,
    )


def _lines(found: dict[str, Any], expected: Expected, verdict: Verdict) -> list[str]:
    """The report for people."""

    def named(host: str) -> str:
        node = expected.workers.get(host)
        return f"{node} ({host})" if node else host

    scan, placed = found["scan"], found["placement"]
    sums = {True: ": sums right", False: ": SUMS WRONG", None: f", read as {found['format']}"}[found["sum_ok"]]
    lines = [
        f"{amount(found['rows'], 'row')} in {amount(found['files'], 'file')} of {_mb(found['average_file_bytes'])} "
        f"at {found['path']}{sums}",
        f"{amount(scan['partitions'], 'partition')} of {_mb(scan['bytes_per_partition'])}, "
        f"{scan['files_per_partition']:.3g} files each; {scan['mixed_partitions']} with files mixed",
    ]
    if placed["bytes_by_host"]:
        copies = ", ".join(f"{number} with {count}" for count, number in placed["copies"].items())
        asked = placed["files_asked"]
        sample = f" (asked of {asked} of {placed['files']} files)" if asked < placed["files"] else ""
        lines.append(
            f"{placed['blocks']} {expected.blocks} by copies: {copies}; "
            f"largest share of one host {placed['largest_host_share']:.0%}{sample}"
        )
    lines += [
        "tasks by locality: " + ", ".join(f"{level} {count}" for level, count in sorted(found["tasks"].items())),
        f"read {_mb(found['bytes_read'])} in {found['read_seconds']:.1f} s; "
        f"received over the network {_mb(found['received_total'])} ({found['remote_share']:.1%})",
    ]
    for host in sorted({*found["received_bytes"], *found["read_by_host"], *placed["bytes_by_host"]}):
        levels = ", ".join(f"{level} {count}" for level, count in found["levels_by_host"].get(host, {}).items())
        received = found["received_bytes"].get(host)
        lines.append(
            f"  {named(host)}: holds {_mb(placed['bytes_by_host'].get(host, 0))}; "
            f"{levels or 'no tasks'}; read {_mb(found['read_by_host'].get(host, 0))}"
            + (f", received {_mb(received)}" if received is not None else "")
        )
    reader = found["reader"]
    if reader is not None:
        lines.append(
            f"reader: {_mb(reader['local_bytes'])} from the node's own disks, "
            f"{_mb(reader['remote_bytes'])} from others, "
            f"{_mb(reader['fallback_bytes'])} through upstream's client"
        )
    lines.append(verdict.text)
    return lines + [f"note: {note}" for note in verdict.notes]


def _mb(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
