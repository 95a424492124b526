"""The local cluster: container machines on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, offline_task, path_of
from sparkqfs.cli.running import reporting

if TYPE_CHECKING:
    from sparkqfs.local.cluster import LocalCluster
    from sparkqfs.plan.steps import JobResult

HELP = {"name": "name of the local cluster", "file": "cluster file that local.up writes"}


def local_result(name: str, made: LocalCluster | None, state: str) -> JobResult:
    """A local cluster as a result."""
    from sparkqfs.plan.steps import JobResult, Outcome

    nodes = made.nodes if made is not None else ()
    outcomes = [Outcome(subject=node.name, state=state or node.state, changes=(node.address,)) for node in nodes]
    return JobResult(task=name, outcomes=tuple(outcomes) or (Outcome(subject="local cluster", state=state or "none"),))


@offline_task(
    name="up",
    help={
        **HELP,
        "nodes": "number of nodes",
        "storage": "qfs, hdfs or shared",
        "shared_mount": "what /mnt/shared is: glusterfs (default with --storage shared), or bind, a smoke test",
        "base": "base image",
    },
)
def local_up(
    given: Flags,
    nodes: int = 3,
    name: str = "local",
    file: str = "hosts.local.yml",
    storage: str = "qfs",
    shared_mount: str | None = None,
    base: str | None = None,
) -> None:
    """Make three container machines on this computer, and write their cluster file hosts.local.yml."""
    with reporting(given, "local.up") as reporter:
        from sparkqfs.local import cluster as local

        made = local.local_up(
            name=name,
            nodes=nodes,
            file=path_of("--file", file),
            storage=storage,
            shared_mount=shared_mount,
            base=base,
            on_event=reporter.event,
        )
        reporter.result(local_result("local.up", made, ""))


@offline_task(name="down", help=HELP)
def local_down(given: Flags, name: str = "local", file: str = "hosts.local.yml") -> None:
    """Remove the local cluster including its data. Removes only what local.up made."""
    with reporting(given, "local.down") as reporter:
        from sparkqfs.local import cluster as local

        removed = local.local_down(name=name, file=path_of("--file", file), on_event=reporter.event)
        reporter.result(local_result("local.down", None, "changed" if removed else "unchanged"))


@offline_task(name="status", help=HELP)
def local_status(given: Flags, name: str = "local", file: str = "hosts.local.yml") -> None:
    """Show the local cluster's machines and their state."""
    with reporting(given, "local.status") as reporter:
        from sparkqfs.local import cluster as local

        reporter.result(local_result("local.status", local.local_status(name=name, file=path_of("--file", file)), ""))
