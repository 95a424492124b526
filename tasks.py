"""The tasks by their names, for Invoke to find; what they do starts in sparkqfs/cli/."""

from __future__ import annotations

from invoke import Collection

from sparkqfs import streams
from sparkqfs.cli import (
    backup,
    cluster,
    connecting,
    doors,
    files,
    help_flag,
    local,
    measuring,
    programs,
    running,
    storage,
    submitting,
    watching,
)

ns = Collection(
    cluster.new,
    cluster.prep,
    cluster.swarm,
    cluster.build,
    cluster.push,
    storage.init_qfs,
    storage.init_storage,
    cluster.deploy,
    watching.status,
    watching.top,
    watching.fsck,
    measuring.verify,
    measuring.drill,
    programs.notebook,
    programs.token,
    files.copy,
    files.put,
    files.get,
    files.ls,
    files.rm,
    files.du,
    submitting.submit,
    programs.shell,
    doors.open_page,
    doors.exec_,
    doors.login,
    connecting.connect,
    connecting.jdbc,
    connecting.sql,
    programs.apps,
    programs.tables,
    programs.kill,
    watching.logs,
    watching.history,
    cluster.down,
    cluster.clean,
    storage.restore,
    storage.purge,
    cluster.plan,
    cluster.up,
    cluster.doctor,
)
ns.add_collection(Collection("bench", measuring.bench_storage, measuring.bench_report))
ns.add_collection(Collection("backup", backup.backup, backup.backup_list, backup.backup_verify))
ns.add_collection(Collection("local", local.local_up, local.local_down, local.local_status))
ns.add_collection(Collection("app", programs.app_logs))
help_flag.add_to(ns)
streams.guard()
running.forget_empty_home()
