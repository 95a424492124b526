"""A slower network for the workers, as long as a block runs: Linux's token bucket filter on their interfaces."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sparkqfs import topology
from sparkqfs.clients.hold import Hold
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.measuring.bench import Link

BURST_S = 0.01
"""Worth of traffic that may go at full speed: more than one tick of any kernel."""
LEAST_BURST = 32 * 1024
START_S = 30.0
END_S = 20.0
HANDLE = "5af:"
SCRIPT = r"""
container=$1 address=$2 network=$3 rate=$4 burst=$5 limit=$6 handle=$7
fail() { [ "$rate" = 0 ] && exit 0; echo "$1" >&2; exit 9; }
for program in tc ip nsenter; do command -v "$program" >/dev/null || fail "no $program here"; done
pid=$(docker inspect -f '{{.State.Pid}}' "$container") || fail 'the container is gone'
id=$(docker network inspect -f '{{.Id}}' "$network") || fail "no network $network"
inside() { nsenter -t "$pid" -n -- "$@"; }
outside() { nsenter --net="/var/run/docker/netns/1-$(printf %.10s "$id")" -- "$@"; }
device=$(inside ip -4 -o addr show | awk -v "a=$address/" 'index($4, a) == 1 {print $2; exit}')
[ -n "$device" ] || fail "no interface with $address in the container"
peer=$(inside ip -o link show dev "$device" | sed -n 's/^[0-9]*: [^@:]*@if\([0-9]*\):.*/\1/p')
port=$(outside ip -o link show | sed -n "s/^${peer:-none}: \([^@:]*\)[@:].*/\1/p")
[ -n "$port" ] || fail "the other end of $device is not found"
has() { "$1" tc qdisc show dev "$2" root; }
free() { case "$(has "$@")" in "qdisc tbf $handle "*) "$1" tc qdisc del dev "$2" root;; esac; }
free_both() { free inside "$device"; free outside "$port"; }
shape() {
  case "$(has "$@")" in *noqueue*|'') ;; *) fail "$2 has a queueing discipline already";; esac
  "$1" tc qdisc add dev "$2" root handle "$handle" tbf rate "${rate}bit" burst "$burst" latency 50ms || exit 9
}
free_both
[ "$rate" = 0 ] && exit 0
trap free_both EXIT
trap 'exit 143' HUP INT TERM
shape inside "$device"
shape outside "$port"
printf 'shaped\n'
timeout "$limit" cat >/dev/null
"""
"""Both ends of the container's link to the overlay, so both directions. It ends with its standard input: whatever ends
the run ends the shaping too. A filter that an earlier run left has the same handle and goes first."""


def _arguments(session: Session, task: TaskFact, link: Link | None, limit_s: float) -> list[str]:
    bits = link.bits_per_s if link is not None else 0
    burst = max(LEAST_BURST, int(bits / 8 * BURST_S))
    network = f"{session.config.name}_{topology.NETWORK}"
    address = task.addresses[0] if task.addresses else ""
    return [task.container_id, address, network, str(bits), str(burst), str(int(limit_s)), HANDLE]


def _workers(session: Session) -> list[TaskFact]:
    seen = status.gather_status(session)
    return [task for task in seen.tasks if status.is_worker(task.service) and task.is_up and task.container_id]


def remove_leftovers(session: Session) -> None:
    """Take away what a run that died could not; nothing to do as a rule."""
    if session.config.network == "host":
        return
    tasks = {task.node: task for task in _workers(session)}

    def remove(name: str) -> None:
        session.clients.node(name).script(SCRIPT, *_arguments(session, tasks[name], None, 0))

    session.clients.on(tuple(tasks), remove).raise_failures()


@contextlib.contextmanager
def shaped(session: Session, link: Link, limit_s: float) -> Iterator[None]:
    """Hold every worker to `link`, both ways, while the block runs.

    Raises `ClusterError` when a machine cannot do it, and when it did not last to the block's end.
    """
    tasks = {task.node: task for task in _workers(session)}
    holds: list[Hold] = []
    try:
        session.on_event(f"holding each worker's link to {link.text}")
        for node, task in tasks.items():
            holds.append(
                Hold(
                    session.clients.node(node),
                    ["sh", "-c", SCRIPT, "sh", *_arguments(session, task, link, limit_s)],
                    word="shaped",
                    what="shaping the link",
                    hint="it needs iproute2, util-linux and the kernel's sch_tbf; or measure without --link",
                    timeout_s=START_S,
                )
            )
        yield
        ended = [hold.node for hold in holds if not hold.lasts]
        if ended:
            what = f"the link was not held to {link.text} until the end on {', '.join(ended)}: not measured"
            raise ClusterError(Problem(what=what))
    finally:
        _free(session, holds)


def _free(session: Session, holds: list[Hold]) -> None:
    """All at once, then wait for each."""
    for hold in holds:
        hold.let_go()
    deadline = time.monotonic() + END_S
    for hold in holds:
        if not hold.end(max(0.1, deadline - time.monotonic())):
            session.on_event(f"[{hold.node}] the link is freed when this connection ends")
