"""invoke bench.storage, bench.report: storages measured against each other, and what came out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from sparkqfs import durable, topology
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.jobs.cluster.deploy import exec_in
from sparkqfs.jobs.measuring.bench_link import remove_leftovers, shaped
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.measuring import bench
from sparkqfs.plan.measuring.bench_results import SCHEMA, Comparison, compare, table_lines
from sparkqfs.plan.steps import JobResult

PROGRAM = ["/opt/venv/bin/python", "/opt/sparkqfs/bin/bench-storage"]


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Result files, read again."""

    documents: tuple[dict[str, Any], ...]
    comparison: Comparison
    result: JobResult


def storage(session: Session, wanted: bench.Wanted) -> Report | JobResult:
    """Measure every form of this cluster's storage, with what it has beside it; with --dry-run say what."""
    config = session.config
    if wanted.link is not None:
        bench.check_link(config)
    forms = bench.forms_of(config, wanted.link)
    variants = bench.variants_of(forms)
    bench.check_baseline(wanted.baseline, variants)
    sizes = bench.sizes_of_bench(
        config, session.all_facts(), forms, mib=wanted.mib, rounds=wanted.rounds, quick=wanted.quick
    )
    if session.dry_run:
        lines = [f"{bench.megabytes(sizes.mib)} ({sizes.why}) in {sizes.files} files, {sizes.rounds} rounds"]
        lines += [f"{one.name}: {one.text}" for one in variants]
        return JobResult(task="bench.storage", text="\n".join(lines), document={"schema": SCHEMA, "planned": lines})
    _check_healthy(session)
    session.on_event(f"{bench.megabytes(sizes.mib)} ({sizes.why}), {sizes.rounds} rounds of {len(variants)} variants")
    remove_leftovers(session)
    words = json.dumps(bench.specification(forms, variants, sizes))
    link = wanted.link
    with shaped(session, link, wanted.timeout_s + 60) if link is not None else contextlib.nullcontext():
        out = exec_in(session, topology.JUPYTER_SERVER, [*PROGRAM, words], timeout_s=wanted.timeout_s)
    measured: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    document: dict[str, object] = {
        "schema": SCHEMA,
        "cluster": config.name,
        "storage": config.storage.kind,
        "network": config.network,
        "link": link.text if link is not None else None,
        "nodes": len(config.nodes),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "mib": sizes.mib,
        "files": sizes.files,
        "rounds": sizes.rounds,
        "baseline": bench.baseline_of(config, variants),
        "variants": [
            {"name": one.name, "table": one.table, "text": one.text, "is_counted": one.is_counted} for one in variants
        ],
        **measured,
    }
    made = report_of((document,), wanted.baseline)
    result = dataclasses.replace(made.result, task="bench.storage", document={**document, **made.result.document})
    return dataclasses.replace(made, result=result)


def _check_healthy(session: Session) -> None:
    """Figures of a cluster with a node less would be taken for those of the whole one."""
    problems = status.find_problems(session, status.gather_status(session))
    if problems:
        raise ClusterError(*problems)


def default_name(report: Report) -> str:
    """`bench-CLUSTER-STORAGE`, `bench-CLUSTER-STORAGE-1gbit`: the next run of the same kind replaces the file."""
    document = report.documents[0]
    parts = ["bench", document["cluster"], document["storage"], document["link"]]
    return "-".join(str(part) for part in parts if part)


def save(file: Path, document: dict[str, Any]) -> None:
    """Write a result file. Raises `ClusterError` when it cannot be written."""
    try:
        durable.make_directories(file.parent)
        durable.write_file(file, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ClusterError(Problem(what=f"{file} cannot be written: {error.strerror}")) from error


def load(file: Path) -> dict[str, Any]:
    """Read a result file. Raises `ConfigError`."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(Problem(what=f"{file} cannot be read: {error.strerror}")) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(Problem(what=f"{file} is not a result file: {error}")) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or "samples" not in document:
        what = f"{file} is not a result file of `invoke bench.storage`"
        raise ConfigError(Problem(what=what, hint="it writes one to results/"))
    return document


def saved(result: JobResult, *files: Path) -> JobResult:
    """The result, with the names of what was written."""
    text = "\n".join([str(result.text), "", *(f"saved {file}" for file in files)])
    return dataclasses.replace(result, text=text, document={**result.document, "files_saved": [str(f) for f in files]})


def report(files: tuple[Path, ...], baseline: str | None) -> Report:
    """Result files together. Raises `ConfigError` for what is none."""
    if not files:
        raise ConfigError(Problem(what="no result file is named", hint="`invoke bench.storage` writes one to results/"))
    return report_of(tuple(load(file) for file in files), baseline)


def report_of(documents: tuple[dict[str, Any], ...], baseline: str | None) -> Report:
    """Tables and problems of one or more result documents. Raises `ConfigError` for an unknown baseline."""
    try:
        comparison = compare(documents, baseline)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(Problem(what=f"a result file is damaged: {type(error).__name__} {error}")) from error
    problems = [Problem(what=f"{one}: what was read is not what was written") for one in comparison.wrong]
    hint = "measure again; `invoke logs --service worker-node` may say why it ended"
    problems += [
        Problem(what=f"{one}: a worker was replaced while measuring, left out", hint=hint)
        for one in comparison.replaced
    ]
    document = {"rows": [dataclasses.asdict(row) for row in comparison.rows], "baseline": comparison.baseline.name}
    text = "\n".join(table_lines(comparison))
    result = JobResult(
        task="bench.report", text=text, document={"schema": SCHEMA, **document}, problems=tuple(problems)
    )
    return Report(documents, comparison, result)
