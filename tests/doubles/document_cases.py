"""What can come of each task, by the tasks' own jobs over doubles: for their JSON documents and exit codes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sparkqfs.cli.local import local_result
from sparkqfs.clients import pipe
from sparkqfs.clients.ssh import Output
from sparkqfs.errors import ExitCode, Problem, UnreachableError
from sparkqfs.facts.copies import CopiesFact, KeptCopy
from sparkqfs.facts.fsck import BlockFact, CopyFact, DamagedFact, FsckFact
from sparkqfs.facts.images import HeldImage, Layer
from sparkqfs.facts.nodes import MetaFact
from sparkqfs.facts.scrub import ScrubFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.facts.usage import RunningStage, parse_usage
from sparkqfs.jobs.cluster import clean, deploy, down, images, new, prep, restore, restore_look, swarm, whole
from sparkqfs.jobs.files import copy
from sparkqfs.jobs.files import tasks as files
from sparkqfs.jobs.measuring import bench, verify
from sparkqfs.jobs.programs import (
    apps,
    compute,
    connect,
    jdbc,
    login,
    on_nodes,
    pages,
    server,
    shell,
    sql,
    submit,
    tables,
)
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import aside, backup, backup_list, backup_store, backup_verify, file_system
from sparkqfs.jobs.storage.backup_names import Difference
from sparkqfs.jobs.watching import fsck, history, logs, status, top
from sparkqfs.local.cluster import LocalCluster, LocalNode
from sparkqfs.plan.cluster.restore_report import Report
from sparkqfs.plan.measuring import drill
from sparkqfs.plan.measuring.bench import Wanted as WantedBench
from sparkqfs.plan.programs.apps import Program
from sparkqfs.plan.programs.doors import Target, page_of
from sparkqfs.plan.programs.server import LocalPython, Ready, Wishes, check_client
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.watching.logs import Wanted
from tests.builders.backups import a_backup
from tests.builders.bench import a_result
from tests.builders.clusters import a_cluster
from tests.builders.drills import a_row
from tests.builders.facts import a_fresh_node, a_node
from tests.builders.locality import measured
from tests.builders.status import a_status
from tests.builders.usage import USAGE
from tests.doubles.documents import Place, an_engine
from tests.doubles.manager import Manager

APP = "app-20260101120100-0000"


# --- the cluster ---


def _plan(place: Place) -> JobResult:
    return whole.plan(place.session(a_fresh_node("node2")))


def _up(place: Place) -> JobResult:
    done = JobResult(task="prep", outcomes=(Outcome(subject="node1", state="changed", changes=("a directory",)),))
    place.patch.setattr(whole, "stages", lambda: (("prep", lambda _session: done),))
    place.patch.setattr(Session, "facts", lambda self, **_more: (self._facts, ()))
    return whole.up(place.session(), lambda _name, _result, _seconds: None)


def _down(place: Place) -> JobResult:
    place.engine = an_engine(services=1)
    return down.down(place.session(dry_run=True))


def _deploy_failed(place: Place) -> JobResult:
    return deploy.run(place.session())


def _init_refused(task: str) -> Callable[[Place], JobResult]:
    return lambda place: file_system.init(place.session(a_node("node3", blocks=1)), task=task)


def _init(task: str) -> Callable[[Place], JobResult]:
    return lambda place: file_system.init(place.session(dry_run=True), task=task)


# --- programs ---


def _program(place: Place) -> Program:
    (place.folder / "count.py").write_text("")
    return Program(program=str(place.folder / "count.py"))


def _submit(
    place: Place, *, code: int | None, timeout_s: float = 60, detach: bool | None = None, restart: bool = False
) -> JobResult:
    """A program is sent; with a code it ends at once, without one it only runs."""
    manager = place.manager()
    if code is not None:
        manager.engine.starts = lambda sent: _ends(manager.apps / sent, code, restart)
    return submit.submit(
        manager.session,
        replace(_program(place), restart=restart),
        output=lambda _stream, _data: None,
        detach=code is None if detach is None else detach,
        take_all=False,
        timeout_s=timeout_s,
    )


def _ends(folder: Path, code: int, restart: bool) -> None:
    if restart:
        _write(folder / ".runs.json", '{"number": 2, "ended": 1000.0}')
    _write(folder / "exit", f"{code} ended\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _shell(place: Place) -> JobResult:
    manager = place.manager()
    manager.engine.starts = lambda sent: _write(manager.apps / sent / "exit", "3 ended\n")
    return shell.shell(manager.session, read=lambda: "exit(3)", output=lambda _stream, _data: None, timeout_s=60)


def _running(place: Place, *, restart: bool = False) -> Manager:
    """One application runs, a submission has ended."""
    manager = place.manager()
    manager.spark({"id": APP})
    sent = submit.submit(
        manager.session,
        replace(_program(place), restart=restart),
        output=lambda _stream, _data: None,
        detach=True,
        take_all=False,
        timeout_s=5,
    ).text
    folder = manager.apps / sent
    (folder / "stdout").write_text("one line\n")
    (folder / "spark.log").write_text(f"Connected to Spark cluster with app ID {APP.replace('-0000', '-0001')}\n")
    (folder / "exit").write_text("0 ended\n")
    manager.engine.drivers.clear()
    return manager


def _apps(place: Place) -> JobResult:
    return apps.apps(_running(place).session, last=20)


def _apps_without_master(place: Place) -> JobResult:
    manager = _running(place)
    manager.silence()
    return apps.apps(manager.session, last=20)


def _kill(place: Place) -> JobResult:
    manager = _running(place)
    manager.session.dry_run = True
    return apps.kill(manager.session, APP)


def _app_logs(place: Place) -> JobResult:
    manager = _running(place)
    return apps.logs(manager.session, next(manager.apps.iterdir()).name, tail=5)


def _follow(place: Place) -> JobResult:
    manager = _running(place)
    return apps.follow(manager.session, next(manager.apps.iterdir()).name, output=lambda _stream, _data: None)


CATALOGUE = {
    "schema": 1,
    "databases": [{"name": "default", "owner": "spark", "location": "file:///warehouse"}],
    "tables": [
        {
            **{"database": "default", "name": "books", "type": "MANAGED_TABLE", "owner": "spark", "created": "7"},
            **{"location": "file:/warehouse/books", "provider": "parquet", "version": "4.1.0", "bytes": "100"},
            **{"rows": None, "input_format": None},
        }
    ],
    "partitions": [{"database": "default", "name": "books", "count": "2"}],
}


def _tables(place: Place, *adopt: str) -> JobResult:
    world = place.storage()
    for name in ("books", "old", "odd"):
        (place.folder / "storage" / "warehouse" / name).mkdir(parents=True)
    rows = [{"format": "parquet", "partitions": 0}, {"why": "no files of a table are in it"}]
    answers = {"metastore": json.dumps(CATALOGUE), "jupyter-server": json.dumps(rows)}
    place.patch.setattr(tables, "places", lambda _session: world.places)
    place.patch.setattr(tables, "access", lambda _session, _timeout_s: world.access())
    place.patch.setattr(tables, "exec_in", lambda _session, service, *_args, **_more: answers[service])
    ran = tuple(replace(one, started_s=5.0) for one in apps.gather(_running(place).session).rows)  # as the table
    place.patch.setattr(apps, "gather", lambda _session: apps.Seen(rows=ran, problems=()))
    return tables.run(place.session(), adopt=adopt, sizes=True, timeout_s=60)


def _connect_planned(place: Place) -> JobResult:
    manager = place.manager()
    manager.session.dry_run = True
    return connect.connect(manager.session, Wishes(), connect.Local(), lambda _result: None)


def _trying(place: Place) -> Session:
    manager = place.manager()
    manager.session.dry_run = True
    return manager.session


def _a_server() -> server.Server:
    ready = Ready(connect_port=1, token="t" * 43, spark="4.1.4", python="3.11", app_id=APP, idle_s=1800)
    return server.Server(ready=ready, container_id="c1", was_started=True)


def _connect_refused(_place: Place) -> JobResult:
    found = LocalPython(path="python3", python="3.11.2", package="pyspark-client", version="4.0.1", has_grpc=True)
    check_client(found, "4.1.4")
    raise AssertionError


def _exec_planned(place: Place) -> JobResult:
    return on_nodes.run(place.session(dry_run=True), ["true"], ("node1", "node2"), say=None, timeout_s=1)


def _exec(code: int, *, is_off: bool = False) -> Callable[[Place], JobResult]:
    """The command ends with this code; the second machine may be off."""

    def on(name: str) -> Any:
        def run(_argv: Any, **more: Any) -> Output:
            if is_off and name == "node2":
                raise UnreachableError(Problem(node=name, what="no answer", code=ExitCode.UNREACHABLE))
            more["output"]("stdout", b"a line\n")
            return Output(code, "", "")

        return SimpleNamespace(run=run)

    def job(place: Place) -> JobResult:
        session = place.session()
        clients: Any = session.clients
        clients.node = on
        return on_nodes.run(session, ["true"], ("node1", "node2"), say=None, timeout_s=1)

    return job


RECORDS = b'{"columns": [{"name": "n", "type": "int"}]}\n{"row": {"n": 1}}\n'


def _sql(place: Place, code: int | None, errors: bytes = b"") -> JobResult:
    def passed(
        _client: Any, _argv: Any, _stdin: bytes, output: Callable[[str, bytes], None], **_more: Any
    ) -> int | None:
        output("stdout", RECORDS)
        output("stderr", errors)
        return code

    place.patch.setattr(server, "provide", lambda _session, _wishes: _a_server())
    place.patch.setattr(pipe, "pass_on", passed)
    return sql.run(place.manager().session, sql.Text("select 1"), "records", lambda _stream, _data: None, 5)


def _token(place: Place) -> JobResult:
    place.patch.setattr(status, "look", lambda _session: a_status())
    return compute.token(place.session())


NOTEBOOK = {
    "cells": [{"outputs": [{"data": {compute.RESULT_MIME: {"seconds": 1.5, "summary": ["one line"]}}}]}],
}


def _notebook(place: Place) -> JobResult:
    encoded = base64.b64encode(json.dumps(NOTEBOOK).encode()).decode()
    machine: Any = SimpleNamespace(run=lambda _argv, **_more: Output(0, f"file\tprimes.ipynb\t{encoded}\n", ""))
    session = place.session()
    place.patch.setattr(session.clients, "node", lambda _name: machine, raising=False)
    place.patch.setattr(compute, "find_container", lambda _session, _service: _task("jupyter-server"))
    return compute.notebook(session, "primes", {}, out=place.folder / "out", timeout_s=5)


# --- watching ---


def _task(service: str, node: str = "node1", state: str = "running") -> TaskFact:
    return TaskFact(service=service, node=node, state=state, desired="running", error="", container_id="c1")


def _logs(place: Place) -> JobResult:
    def look(_session: Session, wanted: Wanted, node: str) -> logs.Machine:
        found = logs.Machine(node)
        for line in ("@ aaaaaaaaaaaa worker-node", "aaaaaaaaaaaa 2026-01-31T12:00:00.000000000Z one line"):
            logs._take(found, wanted, line)
        return found

    place.patch.setattr(logs, "_look", look)
    return logs.show(place.session(), Wanted(), ("node1",))


RUNS = """2026-01-31T12:00:00Z\tbegan\tab\tann@pc\tspark\tup\t\t
2026-01-31T12:00:09Z\tended\tab\tann@pc\tspark\tup\t0\t9.0
2026-01-31T12:01:00Z\tbegan\tcd\tann@pc\tspark\tput\t\t
"""


def _history(place: Place) -> JobResult:
    session = place.session()
    clients: Any = session.clients
    clients.manager = SimpleNamespace(run=lambda _argv, **_more: Output(0, RUNS, ""))
    return history.run(session, limit=20)


def _clean(place: Place, **more: Any) -> JobResult:
    names = (f"{a_cluster().registry_address}/spark/worker-node:{tag}" for tag in ("1", "2", "3"))
    held = [
        HeldImage(place="node1", id=name, names=(name,), made=float(at), layers=(Layer(key=name, size=5),))
        for at, name in enumerate(names)
    ]
    place.patch.setattr(clean, "_on_engine", lambda _session, name: held if name == "node1" else [])
    place.patch.setattr(clean, "_in_registry", lambda _session: ())
    return clean.run(place.session(**more), everything=False)


def _status(**seen: Any) -> Callable[[Place], JobResult]:
    def job(place: Place) -> JobResult:
        session = place.session()
        place.patch.setattr(status, "look", lambda _session: a_status(**seen))
        return status.run(session)

    return job


DAMAGED = DamagedFact(
    path=b"/a",
    state="short",
    size=1,
    asked=2,
    blocks=(BlockFact(name="1", offset=0, copies=(CopyFact(address="10.20.30.4", state="live"),)),),
    blocks_count=1,
)
COUNTS = {"files": 9, "lost_files": 0, "short_files": 0, "lost_blocks": 0, "short_blocks": 0, "bad_blocks": 0}
SOUND = FsckFact(took_s=1.0, ready=True, partial="", damaged=(), **COUNTS)
SHORT = replace(SOUND, short_files=1, short_blocks=1, damaged=(DAMAGED,))


def _fsck(place: Place, fact: FsckFact) -> JobResult:
    place.patch.setattr(fsck, "ask", lambda *_args: fact)
    place.patch.setattr(fsck, "gather_tasks", lambda *_args: ())
    place.patch.setattr(fsck, "ask_scrubs", lambda *_args: (ScrubFact(node="node1"),))
    return fsck.run(place.session(), most=10, timeout_s=60)


def _backup(place: Place, *lacks: str) -> JobResult:
    path = a_backup(place.folder / "backups")
    manifest = replace(backup_store.read_manifest(path), lacks=lacks)
    place.patch.setattr(backup, "make", lambda *_args: (path, manifest))
    return backup.run(place.session(), to=str(place.folder / "backups"), timeout_s=60)


def _backup_list(place: Place) -> JobResult:
    path = a_backup(place.folder / "backups")
    backup_store.note_verified(path, {"schema": 1, "time": 1.0, "depth": 3, "ok": True})
    (path.parent / "20260101T000000Z").mkdir()
    row = {"number": 1, "kind": "qfs", "identity": "1", "began": 1.0, "mark": "m", "first": 1.0, "last": 2.0}
    copies = [
        backup_list.Copies(node="node2", histories=[{**row, "moments": 2, "images": 1, "operation": 5, "bytes": 9}]),
        backup_list.Copies(node="node3", error="no answer"),
    ]
    place.patch.setattr(backup_list, "ask_copies", lambda _session: copies)
    return backup_list.run(place.session(), to=str(path.parent))


def _backup_verify(place: Place, *, damaged: bool = False, depth: int | None = None) -> JobResult:
    path = a_backup(place.folder / "backups")
    if damaged:
        (path / "metadata.tar").write_text("")

    def listed(_session: object, _backup: object, _place: object, target: Path, _timeout_s: float) -> str:
        target.write_bytes((path / "names.gz").read_bytes())
        return "on node2"

    place.patch.setattr(backup_verify, "_open_somewhere", listed)
    place.patch.setattr(backup_verify, "_since", lambda *_args: Difference(added=1))
    return backup_verify.run(place.session(), backup=str(path), depth=depth, timeout_s=60)


def _healthy(place: Place) -> JobResult:
    place.patch.setattr(status, "find_problems", lambda _session, _status: ())
    return _status()(place)


def _top(applications: Any) -> Callable[[Place], JobResult]:
    def job(place: Place) -> JobResult:
        place.patch.setattr(top, "ask_usage", lambda _config, _clients, _name: parse_usage(USAGE))
        place.patch.setattr(top, "_applications", lambda _session: applications)
        return next(top.watch(place.session(), only=(), interval_s=0.2))

    return job


STAGE = RunningStage(application=APP, stage=1, name="count", tasks=4, done=1, running=2, failed=0)


# --- measuring ---


def _verify(place: Place) -> JobResult:
    found = measured(rows=1, expected_rows=None, sum_ok=None, path="qfs://qfs-master:20000/x")
    place.patch.setattr(verify, "exec_in", lambda *_args, **_more: json.dumps(found))
    place.patch.setattr(status, "gather_status", lambda _session: a_status())
    return verify.verify(
        place.session(), mib=1, files=1, reads=None, path="/x", max_remote=None, min_local=None, timeout_s=1
    )


BENCH = WantedBench(mib=None, rounds=None, quick=True, link=None, baseline=None, timeout_s=60)


def _bench(place: Place) -> JobResult:
    keys = ("samples", "executors", "cores", "spark", "cpu_source")
    measured = {key: value for key, value in a_result().items() if key in keys}
    measured["tables"] = {f"qfs-{copies}": {"bytes": 10, "disk_bytes": 10 * copies} for copies in (1, 2, 3)}
    place.patch.setattr(bench, "_check_healthy", lambda _session: None)
    place.patch.setattr(bench, "remove_leftovers", lambda _session: None)
    place.patch.setattr(bench, "exec_in", lambda *_args, **_more: json.dumps(measured))
    made = bench.storage(place.session(), BENCH)
    assert isinstance(made, bench.Report)
    return bench.saved(made.result, place.folder / "result.json")


def _bench_planned(place: Place) -> JobResult:
    planned = bench.storage(place.session(dry_run=True), BENCH)
    assert isinstance(planned, JobResult)
    return planned


def _bench_report(place: Place) -> JobResult:
    (place.folder / "result.json").write_text(json.dumps(a_result()))
    return bench.report((place.folder / "result.json",), None).result


# --- files ---


def _copy(**answer: Any) -> Callable[[Place], JobResult]:
    plain = {"from": "a", "to": "b", "files": 2, "bytes": 9, "copied": 0, "unchanged": 0, "differs": [], "failed": []}

    def job(place: Place) -> JobResult:
        place.patch.setattr(copy, "exec_in", lambda *_args, **_more: json.dumps(plain | answer))
        return copy.copy(place.session(), "/a", "/b", overwrite=False, timeout_s=1)

    return job


def _put(place: Place) -> JobResult:
    place.storage()
    (place.folder / "mine").write_text("content")
    source = str(place.folder / "mine")
    return files.put(place.session(), source, "/mine", overwrite=False, stdin=0, timeout_s=60)


def _put_refused(place: Place) -> JobResult:
    place.storage()
    (place.folder / "mine").write_text("other")
    source = str(place.folder / "mine")
    return files.put(place.session(), source, "/some/file", overwrite=False, stdin=0, timeout_s=60)


def _get(place: Place) -> JobResult:
    place.storage()
    target = str(place.folder / "back")
    return files.get(place.session(), "/some", target, overwrite=False, out=io.BytesIO(), timeout_s=60)


def _ls(place: Place) -> JobResult:
    place.storage()
    return files.ls(place.session(), "/some", recursive=True, timeout_s=60)


def _du(place: Place) -> JobResult:
    place.storage()
    return files.du(place.session(), "/some", timeout_s=60)


COPY = KeptCopy(node="node2", number=1, kind="qfs", identity="7", began=1.0, at=2.0, order=(1, 10))
RESTORED = Report(
    config=a_cluster(),
    old_manager="node2",
    state={"kind": "qfs", "identity": "7", "at": 2.0, "operation": 12, "passed_over": [], "node": "node3"},
    seconds=40.0,
    stages={"stop": 1.5},
    files=JobResult(task="fsck", document={"lost_files": 0, "short_files": 1, "damaged": []}),
    nameless={"12.34": 100},
    nameless_count=1,
    kept="20260131T120000Z",
)


def _restore(place: Place, *, dry_run: bool = False) -> JobResult:
    """The manager's metadata is gone, or, without `dry_run`, there; node2 keeps a copy."""
    session = place.session(dry_run=dry_run)
    facts, _ = session.facts()
    meta = MetaFact(checkpoints=0 if dry_run else 1, logs=1, latest=not dry_run)
    facts["node1"] = replace(facts["node1"], meta=meta)
    found = {node.name: CopiesFact(histories=(COPY,) if node.name == "node2" else ()) for node in session.config.nodes}
    place.patch.setattr(restore_look, "_copies", lambda _session, _layout: (found, ()))
    place.patch.setattr(restore_look, "newest_recovery", lambda _session: None)
    return restore.run(session, restore_look.Wishes(old_manager="node1"))


def _let_go(place: Place) -> JobResult:
    session = place.session()
    name = "20260131T120000Z"
    clients: Any = session.clients
    clients.node = lambda _name: SimpleNamespace(
        script=lambda *_words, **_more: SimpleNamespace(stdout=f"gone\t/mnt/data/qfs/kept/{name}\n")
    )
    place.patch.setattr(aside, "kept_names", lambda _session: (name,))
    place.patch.setattr(aside, "nameless", lambda _session, _name: ({"12.34": 100}, 1))
    return restore.remove_kept(session, restore_look.Wishes(old_manager="node1", name="spark"), name)


def _rm(place: Place) -> JobResult:
    place.storage()
    return files.rm(place.session(), "/some/file", recursive=False, if_there=False, timeout_s=60)


# --- the local cluster ---


def _local(task: str, state: str) -> Callable[[Place], JobResult]:
    nodes = (LocalNode(name="node1", address="172.17.0.2", state="running"),)
    made = LocalCluster(name="local", file=Path("hosts.local.yml"), nodes=nodes)
    return lambda _place: local_result(task, None if task == "local.down" else made, state)


CASES: dict[str, dict[str, Callable[[Place], JobResult]]] = {
    "app.logs": {"lines": _app_logs, "followed": _follow},
    "apps": {
        "all answer": _apps,
        "one that runs again": lambda place: apps.apps(_running(place, restart=True).session, last=20),
        "without the master": _apps_without_master,
    },
    "backup.list": {"backups and copies": _backup_list},
    "backup.make": {
        "whole": _backup,
        "a part is missing": lambda place: _backup(place, "no secrets: no answer"),
        "without a storage that runs": lambda place: _backup(place, "no list of names: the metaserver does not run"),
    },
    "backup.verify": {
        "well": _backup_verify,
        "files alone": lambda place: _backup_verify(place, depth=1),
        "damaged": lambda place: _backup_verify(place, damaged=True),
    },
    "bench.report": {"one file": _bench_report},
    "bench.storage": {"measured": _bench, "planned": _bench_planned},
    "build": {"planned": lambda place: images.build(place.session(dry_run=True))},
    "clean": {
        "planned": lambda place: _clean(place, dry_run=True),
        "nobody said yes": _clean,
    },
    "connect": {
        "planned": _connect_planned,
        "opened": lambda _place: connect.opened(_a_server(), 15002),
        "the server has ended": lambda place: connect.hold(place.manager().session, _a_server(), 1),
        "a client of another minor": _connect_refused,
        "its program ended with 3": lambda _place: JobResult(
            task="connect", program_code=3, document=connect.document(_a_server(), None)
        ),
        "ended": lambda place: connect.end(place.manager().session),
    },
    "copy": {
        "copied": _copy(copied=2),
        "refused": _copy(differs=[{"file": "a/x", "why": "another file"}]),
        "failed": _copy(failed=[{"file": "a/x", "why": "no"}]),
    },
    "deploy": {"planned": lambda place: deploy.run(place.session(dry_run=True)), "not built": _deploy_failed},
    "doctor": {
        "faults": lambda place: whole.doctor(place.session(replace(a_node("node2"), clock_skew_s=60)), ("node2",)),
        "well": lambda place: whole.doctor(place.session(), ("node2",)),
    },
    "down": {"planned": _down},
    "du": {"a directory": _du},
    "exec": {
        "ended with 0": _exec(0),
        "ended with 7": _exec(7),
        "a machine is off": _exec(0, is_off=True),
        "planned": _exec_planned,
    },
    "fsck": {
        "files are short": lambda place: _fsck(place, SHORT),
        "well": lambda place: _fsck(place, SOUND),
        "not in time": lambda place: _fsck(place, replace(SOUND, short_files=None, partial="the time was over")),
    },
    "drill": {
        "all well": lambda _place: drill.report(
            a_cluster(), 7, [a_row()], [{"fault": "metastore-container", "why": "x"}]
        ),
        "a file is lost": lambda _place: drill.report(a_cluster(), 7, [a_row(lost=(1,), fsck_lost=1)], []),
        "listed": lambda _place: drill.listed(),
    },
    "get": {"copied": _get},
    "init-qfs": {"planned": _init("init-qfs"), "refused": _init_refused("init-qfs")},
    "init-storage": {"planned": _init("init-storage"), "refused": _init_refused("init-storage")},
    "jdbc": {
        "planned": lambda place: jdbc.jdbc(_trying(place), 0, lambda _result: None),
        "opened": lambda _place: jdbc.opened(_a_server(), 10000),
        "the server has ended": lambda place: connect.hold(place.manager().session, _a_server(), 1, "jdbc"),
    },
    "kill": {"planned": _kill},
    "local.down": {"removed": _local("local.down", "changed")},
    "local.status": {"running": _local("local.status", "")},
    "local.up": {"running": _local("local.up", "")},
    "history": {"runs": _history},
    "login": {
        "ended with 3": lambda _place: JobResult(task="login", program_code=3),
        "planned": lambda _place: login.planned(Target(node="node2")),
    },
    "logs": {"lines": _logs},
    "ls": {"a directory": _ls},
    "new": {
        "planned": lambda place: new.planned(place.folder / "x.yml", ["root@10.0.0.1:22"], None),
        "faults": lambda place: new.look(place.session(replace(a_node("node2"), clock_skew_s=60))),
        "well": lambda place: new.look(place.session()),
    },
    "notebook": {"done": _notebook},
    "tables": {"listed": _tables, "adopted": lambda place: _tables(place, "all")},
    "open": {
        "opened": lambda _place: pages.opened(
            page_of(a_cluster(), "jupyter"), "http://localhost:1/lab?token=t", 1, True
        ),
        "planned": lambda place: pages.planned(place.session(dry_run=True), "spark"),
    },
    "plan": {"planned": _plan},
    "prep": {"planned": lambda place: prep.run(place.session(a_fresh_node("node2"), dry_run=True))},
    "purge": {
        "planned": lambda place: file_system.purge(place.session(dry_run=True), erase_name="spark"),
        "refused": lambda place: file_system.purge(place.session(), erase_name=None),
    },
    "push": {"planned": lambda place: images.push(place.session(dry_run=True))},
    "put": {"copied": _put, "refused": _put_refused},
    "restore": {
        "planned": lambda place: _restore(place, dry_run=True),
        "refused": lambda place: _restore(place),
        "done": lambda _place: RESTORED.result(),
        "let go": _let_go,
    },
    "rm": {"removed": _rm},
    "shell": {"ended with 3": _shell},
    "sql": {
        "ran": lambda place: _sql(place, 0),
        "a statement failed": lambda place: _sql(place, 1, b"[PARSE] no\n"),
        "the connection broke": lambda place: _sql(place, None),
    },
    "status": {
        "healthy": _healthy,
        "degraded": _status(),
        "nothing remembered": _status(health=None, urls={}),
        "pages do not answer": _status(spark="no", storage="no", jupyter="no", history="no"),
        "Swarm does not answer": _status(swarm=Problem(what="no answer")),
    },
    "submit": {
        "left running": lambda place: _submit(place, code=None),
        "ended with 0": lambda place: _submit(place, code=0),
        "ended with 3": lambda place: _submit(place, code=3),
        "ended in its second run": lambda place: _submit(place, code=0, restart=True),
        "not in time": lambda place: _submit(place, code=None, timeout_s=0.5, detach=False),
    },
    "swarm": {"planned": lambda place: swarm.run(place.session(dry_run=True))},
    "token": {"running": _token},
    "top": {
        "an application": _top(({APP: "pi"}, (STAGE,), None)),
        "Spark does not answer": _top(({}, (), "no answer yet")),
    },
    "up": {"changed": _up},
    "verify": {"measured": _verify},
}
"""Task → what can come of it → a job that comes to that."""
