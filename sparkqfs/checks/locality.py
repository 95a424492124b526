"""Pure: a measurement of `verify` and what the cluster should be in, a verdict out, each reason with what mends it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from sparkqfs.checks.crossed import crossed_bytes, mb, untold
from sparkqfs.errors import Problem

MAX_REMOTE = 0.05
MIN_LOCAL = 0.95
MIXED = 0.01
"""The share of bytes without a copy on the host of their task from which on partitions are named as a reason."""
LOCAL_LEVELS = ("PROCESS_LOCAL", "NODE_LOCAL")
"""Spark says PROCESS_LOCAL of tasks without any preference, too: `count_local` leaves these out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What `judge_locality` holds a measurement against."""

    server: str
    """One daemon that keeps data."""
    blocks: str
    """What it keeps, plural."""
    nodes: tuple[str, ...]
    """Names of all nodes."""
    workers: dict[str, str]
    """Address of each running worker container → its node."""
    containers: dict[str, str] = field(default_factory=dict)
    """Address of every running container of the stack → its node."""
    master: str = "master"
    """The daemon that knows which of them are up."""
    master_service: str = ""
    up_hosts: tuple[str, ...] | None
    """Data servers that are up; `None` where none of ours keep this data, or where that is not known."""
    unseen: str | None = None
    """Why it is not known which are up; `None` where it is, or where none of ours keep this data."""
    replication: int
    remote_reads: str | None = None
    """Why the storage's own client does not read the nearest copy; `None` when it does."""
    max_remote: float | None = None
    """Greatest share of bytes received over the network; `None` for the default."""
    min_local: float | None = None
    """Least share of tasks that run where their data is; `None` for the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a measurement proves."""

    state: Literal[
        "local", "degraded", "not local", "no locality", "too little data", "files too small", "not measured"
    ]
    text: str
    problems: tuple[Problem, ...] = ()
    """Thresholds that are missed, then the reasons that can be seen."""
    notes: tuple[Problem, ...] = ()
    """The same reasons, where the thresholds are met."""


def judge_locality(found: dict[str, Any], expected: Expected) -> Verdict:
    """Whether what `found` (the document of `verify`) measured is local, and why not."""
    faults = find_faults(tuple(found["hosts"]), found["addresses"], expected)
    if replaced := _replaced(found, expected):
        text = "a worker was replaced while measuring; measure again"
        return Verdict(state="not measured", text=text, problems=(*replaced, *faults))
    if not found["placement"]["bytes_by_host"]:
        return _no_locality(found, expected, faults)
    missed = _missed(found, expected)
    only_unseen = expected.unseen is not None and len(faults) == 1
    reasons = _reasons(found, expected, explained=bool(faults) and not only_unseen)
    if missed:
        if not faults and not reasons:
            what = "no reason can be seen from here"
            hint = "other applications at the same time? Their bytes are in the same counters: `invoke status`"
            reasons = (Problem(what=what, hint=hint),)
        return Verdict(state="not local", text="not local", problems=(*missed, *faults, *reasons))
    state, text = _good(found, expected)
    unjudged = _unjudged(state, text, expected)
    if faults:
        seen = "the cluster was not checked" if only_unseen else "the cluster is not whole"
        return Verdict(state="degraded", text=f"{seen}; {text}", problems=(*faults, *unjudged), notes=reasons)
    return Verdict(state=state, text=text, problems=unjudged, notes=reasons)


def _replaced(found: dict[str, Any], expected: Expected) -> tuple[Problem, ...]:
    """Hosts whose bytes are not all counted."""
    hint = "measure again; `invoke logs --service worker-node` may say why it ended"
    return tuple(
        Problem(
            node=expected.workers.get(host),
            what=f"the counters of {host} did not go on: its worker or an executor was replaced while measuring",
            hint=hint,
        )
        for host in found.get("replaced", ())
    )


def _good(
    found: dict[str, Any], expected: Expected
) -> tuple[Literal["local", "too little data", "files too small"], str]:
    """State and text where no threshold is missed."""
    crossed = crossed_bytes(found, _max_remote(expected))
    if not crossed.is_told:
        return untold(found, _max_remote(expected), crossed)
    text = f"local: {crossed.most / crossed.read:.1%} of {mb(crossed.read)} came "
    if crossed.most < crossed.received:
        text += f"from other nodes, as the reader counts; received were {mb(crossed.received)} in all"
    else:
        text += "over the network"
    if crossed.most > crossed.allowed:
        text += f", up to {mb(crossed.overhead)} of them Spark's own messages"
    return "local", text


def _unjudged(state: str, text: str, expected: Expected) -> tuple[Problem, ...]:
    """A threshold that was asked for and is neither met nor missed."""
    if state == "local" or expected.max_remote is None or expected.max_remote >= 1:
        return ()
    what = f"--max-remote {expected.max_remote:g} cannot be judged: {text}"
    return (Problem(what=what, hint="without --max-remote this is not a failure"),)


def _max_remote(expected: Expected) -> float:
    return MAX_REMOTE if expected.max_remote is None else expected.max_remote


def _no_locality(found: dict[str, Any], expected: Expected, faults: tuple[Problem, ...]) -> Verdict:
    where = "shared storage" if str(found["path"]).startswith("file:") else f"the storage of {found['path']}"
    text = (
        f"no locality on {where}: it does not say where its data is, and its bytes cross the network below the "
        "containers' counters"
    )
    wanted = [
        f"--max-remote {expected.max_remote:g}" if expected.max_remote is not None and expected.max_remote < 1 else "",
        f"--min-local {expected.min_local:g}" if expected.min_local is not None and expected.min_local > 0 else "",
    ]
    problems = [
        Problem(what=f"no locality on {where}: {flag} cannot be met", hint="a storage that keeps data on the nodes")
        for flag in wanted
        if flag
    ]
    return Verdict(state="no locality", text=text, problems=(*problems, *faults))


def _missed(found: dict[str, Any], expected: Expected) -> tuple[Problem, ...]:
    """The thresholds that the measurement misses. A fraction of a task counts as a whole one."""
    min_local = MIN_LOCAL if expected.min_local is None else expected.min_local
    missed = []
    crossed = crossed_bytes(found, _max_remote(expected))
    if crossed.least > crossed.allowed:
        share, size = crossed.shown / crossed.read, f"{mb(crossed.shown)} of {mb(crossed.read)}"
        what = f"{share:.1%} of the bytes read came over the network ({size})"
        missed.append(Problem(what=what, hint=f"--max-remote allows {_max_remote(expected):g}"))
    total = sum(found["tasks"].values())
    local = count_local(found)
    if total - local > math.ceil((1 - min_local) * total - 1e-9):
        what = f"{local} of {total} tasks ran where their data is"
        missed.append(Problem(what=what, hint=f"--min-local wants {min_local:g}"))
    return tuple(missed)


def count_local(found: dict[str, Any]) -> int:
    """Tasks that ran where their data is, as far as Spark was told where that is."""
    levels = LOCAL_LEVELS[1:] if _unplaced(found) else LOCAL_LEVELS
    return sum(int(found["tasks"].get(level, 0)) for level in levels)


def _unplaced(found: dict[str, Any]) -> int:
    """Partitions of which Spark was told no place, on a storage that has places."""
    if not found["placement"]["bytes_by_host"]:
        return 0
    asked = int(found["scan"]["partitions_asked"])
    return asked - int(found["scan"].get("partitions_placed", asked))


def find_faults(hosts: tuple[str, ...], addresses: dict[str, str], expected: Expected) -> tuple[Problem, ...]:
    """What is broken whatever was measured: nodes without a daemon, executors and data under different hosts.

    `hosts` are the executors' as Spark calls them, or the workers'; `addresses` those of their containers, as far as
    they are known.
    """
    idle = [
        Problem(node=name, what="no worker runs there", hint="`invoke status`; `invoke logs --service worker-node`")
        for name in expected.nodes
        if name not in expected.workers.values()
    ]
    if expected.unseen is not None:
        what = f"the {expected.master}'s page does not answer: {expected.server}s were not checked ({expected.unseen})"
        hint = f"`invoke status`; `invoke logs --service {expected.master_service}`"
        return (*idle, Problem(what=what, hint=hint))
    if expected.up_hosts is None:
        return tuple(idle)
    unlike = _unlike_hosts(hosts, addresses, expected)
    named = {problem.node for problem in unlike}
    down = [
        Problem(
            node=name,
            what=f"no {expected.server} is up at {host}",
            hint="it hangs, or its container is just starting again: `invoke logs --service worker-node`",
        )
        for host, name in expected.workers.items()
        if host not in expected.up_hosts and name not in named
    ]
    return (*idle, *down, *unlike)


def _unlike_hosts(hosts: tuple[str, ...], addresses: dict[str, str], expected: Expected) -> list[Problem]:
    """Executors under another host than the data beside them: Spark compares strings."""
    up = set(expected.up_hosts or ())
    unlike = sorted(set(hosts) - up)
    free = sorted(up - set(hosts))
    places = {**expected.containers, **expected.workers}
    problems = []
    for host in unlike:
        address = addresses.get(host, host)
        node = places.get(address)
        beside = [one for one in free if node is not None and places.get(one) == node]
        if address != host and address in up:
            why, server = "the address of the same container", address
            hint = f"Spark compares strings: start the worker with `--host {address}`"
        elif beside:
            why, server = "another container of that node", beside[0]
            hint = f"the worker has to share the container, and so the address, of its {expected.server}"
        elif address in expected.workers:
            continue  # its data server is down, or its node has none
        elif free:
            why, server = "its node is not known", ", ".join(free)
            hint = "Spark compares strings: both must be the container's address"
        else:
            problems.append(Problem(what=f"executor host {host} has no {expected.server}", hint="`invoke status`"))
            continue
        what = f"executor host {host} ≠ {expected.server} host {server}, {why}"
        problems.append(Problem(node=node, what=what, hint=f"{hint}; ours does: `invoke down deploy`"))
    return problems


def _reasons(found: dict[str, Any], expected: Expected, *, explained: bool) -> tuple[Problem, ...]:
    """What keeps reads of this data remote. `explained`: faults of the cluster say already why tasks ran elsewhere."""
    return (
        *_lost_hosts(found, expected, explained=explained),
        *_copies(found, expected),
        *_no_places(found),
        *_mixed_partitions(found, expected),
        *_remote_reader(found, expected),
        *_other_bytes(found, expected),
        *([] if explained else _busy_cores(found)),
    )


def _lost_hosts(found: dict[str, Any], expected: Expected, *, explained: bool) -> list[Problem]:
    """Hosts with blocks that are not up, or on which nothing of ours reads."""
    executors = set(found["hosts"])
    placed = found["placement"]
    held: dict[str, int] = placed["blocks_by_host"]
    problems = []
    for host in sorted(held):
        node = expected.workers.get(host)
        what = f"{held[host]} of {placed['blocks']} {expected.blocks} have a copy on {host}, "
        if expected.up_hosts is not None and host not in expected.up_hosts:
            what += f"which is not a live {expected.server}"
            hint = "`invoke status`; lost copies are made again by themselves"
            problems.append(Problem(node=node, what=what, hint=hint))
        elif host not in executors and not explained:
            what += "where no executor of ours runs"
            hint = "another application has its cores, or its worker is down: `invoke status`"
            problems.append(Problem(node=node, what=what, hint=hint))
    return problems


def _copies(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """Blocks that too few nodes can read locally."""
    placed = found["placement"]
    copies = {int(count): number for count, number in placed["copies"].items()}
    problems = []
    if placed["striped_blocks"]:
        count = len(placed["bytes_by_host"])
        what = (
            f"{placed['striped_blocks']} of {placed['blocks']} {expected.blocks} are of striped files (erasure coding) "
            f"on {count} hosts: each host has a part only"
        )
        hint = "write the files again as plain copies, as Spark does with the cluster's own settings"
        problems.append(Problem(what=what, hint=hint))
        return problems
    if copies.get(0):
        what = f"{copies[0]} of {placed['blocks']} {expected.blocks} have no copy on a live {expected.server}"
        problems.append(Problem(what=what, hint="`invoke status`"))
    few = sum(number for count, number in copies.items() if 0 < count < expected.replication)
    if few:
        one = copies.get(1, 0)
        what = f"{few} of {placed['blocks']} {expected.blocks} have fewer than {expected.replication} copies"
        what += f", {one} of them one: only its node's cores are near it" if one else ""
        hint = "copies are made again after a lost node; files written with fewer keep them: write them again"
        problems.append(Problem(what=what, config_path="storage.replication", hint=hint))
    elif copies.get(1) and expected.replication == 1:
        what = f"{copies[1]} {expected.blocks} with a single copy: only its node's cores are near it"
        problems.append(Problem(what=what, config_path="storage.replication", hint="two copies or more"))
    return problems


def _no_places(found: dict[str, Any]) -> list[Problem]:
    """Partitions that Spark could only place by chance."""
    missing, asked = _unplaced(found), found["scan"]["partitions_asked"]
    if not missing:
        return []
    what = "Spark was given no places" + (f" for {missing} of {asked} partitions" if missing < asked else "")
    hint = "take spark.sql.sources.ignoreDataLocality out of spark.conf, then `invoke deploy`"
    return [Problem(what=what, hint=hint)]


def _mixed_partitions(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """Partitions of pieces that lie on different nodes."""
    scan = found["scan"]
    size = int(scan["bytes_judged"])
    if scan["bytes_elsewhere"] <= MIXED * size:
        return []
    away = f"{scan['bytes_elsewhere'] / size:.0%} of the bytes have no copy where their NODE_LOCAL task ran"
    if scan["files_per_partition"] > 1:
        what = f"{scan['files_per_partition']:.3g} files of {mb(found['average_file_bytes'])} per partition: {away}"
        hint = "write larger files"
        if scan["open_cost_bytes"] < scan["max_partition_bytes"]:
            what += (
                f"; spark.sql.files.openCostInBytes is {mb(scan['open_cost_bytes'])}, "
                f"maxPartitionBytes {mb(scan['max_partition_bytes'])}"
            )
            hint = "take spark.sql.files.* out of spark.conf, then `invoke deploy`; or " + hint
        return [Problem(what=what, hint=hint)]
    block = found["placement"]["largest_block_bytes"]
    what = f"partitions of {mb(scan['bytes_per_partition'])} over {expected.blocks} of {mb(block)}: {away}"
    hint = "spark.sql.files.maxPartitionBytes under spark.conf: a whole part of that; then `invoke deploy`"
    return [Problem(what=what, hint=hint)]


def _remote_reader(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """A reader that does not take the copy beside it. Of striped files there is none."""
    reader, placed = found["reader"], found["placement"]
    if reader is not None:
        known = {"STRIPED"} if placed["striped_blocks"] else set()  # `_copies` has said so
        why = ", ".join(f"{one} {count}" for one, count in sorted(reader["fallbacks"].items()) if one not in known)
        if not why:
            return []
        what = f"the reader stepped aside: {why}"
        if reader["fallback_bytes"]:
            size = mb(reader["fallback_bytes"])
            what = f"{size} were read through upstream's client: {why}"
        return [Problem(what=what, hint="docs/locality.md has a line for each reason")]
    if placed["striped_blocks"]:
        return []
    most = max((int(count) for count in placed["copies"]), default=0)
    if expected.remote_reads is None or most < 2:
        return []
    setting: str = found["reader_off"] or "it does not know this file system"
    what = (
        f"{expected.remote_reads} of {most}: about {1 - 1 / most:.0%} of the bytes come from another node; "
        f"local reading is off: {setting}"
    )
    return [Problem(what=what, hint=f"take {setting.partition('=')[0]} out of spark.conf, then `invoke deploy`")]


def _other_bytes(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """Received bytes that are neither Spark's own messages nor what the reader took from other nodes."""
    crossed = crossed_bytes(found, _max_remote(expected))
    if crossed.from_elsewhere is None or crossed.least <= max(crossed.allowed, crossed.most):
        return []
    what = f"{mb(crossed.received)} were received, and the reader took {mb(crossed.from_elsewhere)} from other nodes"
    hint = "other applications at the same time? Their bytes are in the same counters: `invoke status`"
    return [Problem(what=what, hint=hint)]


def _busy_cores(found: dict[str, Any]) -> list[Problem]:
    """Tasks that went elsewhere although executors stood beside their data."""
    away = sum(count for level, count in found["tasks"].items() if level not in LOCAL_LEVELS)
    if not away or not set(found["hosts"]) & set(found["placement"]["bytes_by_host"]):
        return []
    total = sum(found["tasks"].values())
    what = f"{away} of {total} tasks ran elsewhere: the cores near their data were busy longer than spark.locality.wait"
    return [Problem(what=what, hint="let other work end, or set a longer spark.locality.wait")]
