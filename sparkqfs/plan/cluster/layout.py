"""What a layout of the data survives, costs and keeps local, by number of nodes."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs.amounts import amount
from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.redundancy import Redundancy
from sparkqfs.plan.storage import backend_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One way to keep a file on so many nodes."""

    redundancy: Redundancy
    nodes: int
    survives: int
    """Nodes that may be lost for good at the same time, whichever they are, without a block lost."""
    bytes_per_byte: float
    """Bytes on all disks for each byte of a file."""
    local_share: float
    """Of the bytes a task reads, what is on the task's own node when Spark places it there, 0 to 1."""

    @property
    def holds(self) -> bool:
        """Whether there are enough nodes to keep all pieces apart."""
        return self.redundancy.nodes <= self.nodes

    @property
    def promises(self) -> int:
        """Nodes whose loss it survives where there are enough nodes."""
        return self.redundancy.copies * (self.redundancy.recovery + 1) - 1


def layout(redundancy: Redundancy, nodes: int) -> Layout:
    """The layout of this redundancy, pieces spread as evenly over the nodes as can be."""
    data, recovery = max(1, redundancy.data), redundancy.recovery
    return Layout(
        redundancy=redundancy,
        nodes=nodes,
        survives=_survived(redundancy, nodes),
        bytes_per_byte=redundancy.copies * (data + recovery) / data,
        local_share=1 / min(data, max(1, nodes)),
    )


def _survived(redundancy: Redundancy, nodes: int) -> int:
    """The fullest nodes are the ones that are lost; of copied stripes only the copies count."""
    pieces = max(1, redundancy.data + redundancy.recovery)
    if not redundancy.data or redundancy.copies > 1:
        return min(redundancy.copies, nodes) - 1
    full, rest = divmod(pieces, max(1, nodes))
    lost, count = 0, 0
    while count < nodes and (lost := lost + full + (count < rest)) <= redundancy.recovery:
        count += 1
    return count


def layouts(config: ClusterConfig) -> tuple[Layout, ...]:
    """What can be chosen: one to three copies, and the stripes that the storage knows."""
    backend = backend_of(config)
    if backend.layout is None:
        return ()
    kinds = (*(Redundancy(copies) for copies in (1, 2, 3)), *(Redundancy(1, *stripe) for stripe in backend.stripes))
    return tuple(layout(kind, len(config.nodes)) for kind in kinds)


def advised(nodes: int) -> Redundancy:
    """The layout for so many nodes when nothing else is known."""
    return Redundancy(min(2, max(1, nodes)))


def layout_of(config: ClusterConfig) -> Layout | None:
    """What Spark's files get in this cluster; `None` where the storage is not ours."""
    return layout(config.redundancy, len(config.nodes)) if backend_of(config).layout is not None else None


def layout_line(config: ClusterConfig) -> str:
    """One line for people: what is survived, what it costs, how local it is."""
    words = backend_of(config).words
    found = layout_of(config)
    if found is None:
        return f"{words.storage}: copies and places are its own; storage.replication does not count"
    nodes = found.nodes
    survives = (
        f"survives the loss of {amount(found.survives, 'node')}" if found.survives else "survives no loss of a node"
    )
    where = f"{found.redundancy.name} on {amount(nodes, 'node')}"
    text = f"{where}: {survives}, {found.bytes_per_byte:.1f} bytes on disk a byte"
    text += ", all reads can be local" if found.local_share == 1 else f", {found.local_share:.0%} of the reads local"
    kept = [node.name for node in copy_nodes(config)]
    notes = [f"the names of files are on the manager, copied to {' and '.join(kept)}"]
    if not kept:
        notes = ["the names of files are on the manager alone: `invoke backup` makes their only copy"]
    best = advised(nodes)
    if found.redundancy.nodes < best.nodes:
        notes.append(f"advised: {best.name}")
    elif found.redundancy.nodes == nodes > 1:
        notes.append("while a node is down, new files lack a copy")
    return "; ".join([text, *notes])


def layout_document(config: ClusterConfig) -> dict[str, object] | None:
    """The same for a program."""
    found = layout_of(config)
    return {**_row(found), "text": layout_line(config)} if found is not None else None


def layout_table(config: ClusterConfig) -> list[dict[str, object]]:
    """All layouts on this many nodes, for a program."""
    best = advised(len(config.nodes))
    return [{**_row(one), "holds": one.holds, "advised": one.redundancy == best} for one in layouts(config)]


def incomplete(config: ClusterConfig, up: int) -> str | None:
    """What new files lack while so many data servers are up; `None` when they lack nothing."""
    found = layout_of(config)
    if found is None or up >= found.redundancy.nodes:
        return None
    servers = backend_of(config).words.servers
    if found.redundancy.data:
        return f"new files get their {found.redundancy.nodes} pieces on {up} {servers}"
    return f"new files get {up} of {found.redundancy.copies} copies: {up} {servers} {'is' if up == 1 else 'are'} up"


def _row(one: Layout) -> dict[str, object]:
    return {
        "name": one.redundancy.name,
        "nodes": one.nodes,
        "survives_nodes": one.survives,
        "bytes_per_byte": round(one.bytes_per_byte, 2),
        "local_share": round(one.local_share, 2),
    }
