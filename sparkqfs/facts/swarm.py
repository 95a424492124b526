"""What Swarm says of its nodes and tasks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs.facts.pages import _mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmNode:
    """A node as the swarm sees it."""

    id: str
    hostname: str
    address: str
    state: str
    availability: str
    is_manager: bool
    labels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFact:
    """One Swarm task that should be running, or the last failure of one."""

    service: str
    node: str
    state: str
    """Swarm's word; it is `running` only when the container's health check has succeeded for the first time."""
    desired: str
    error: str
    container_id: str
    addresses: tuple[str, ...] = ()
    created: str = ""
    """When Swarm made the task, in UTC with nanoseconds: before its image is loaded and its container starts."""

    @property
    def is_up(self) -> bool:
        """It runs, and should: a task of a machine that went away stays `running` for ever."""
        return self.state == "running" and self.desired == "running"


def parse_swarm_nodes(raw: list[dict[str, object]]) -> tuple[SwarmNode, ...]:
    """Read the engine's `GET /nodes`."""
    found = []
    for item in raw:
        spec = _mapping(item, "Spec")
        status = _mapping(item, "Status")
        found.append(
            SwarmNode(
                id=str(item["ID"]),
                hostname=str(_mapping(item, "Description").get("Hostname", "")),
                address=str(status.get("Addr", "")),
                state=str(status.get("State", "")),
                availability=str(spec.get("Availability", "")),
                is_manager=spec.get("Role") == "manager",
                labels={str(k): str(v) for k, v in _mapping(spec, "Labels").items()},
            )
        )
    return tuple(found)


def parse_tasks(raw: list[dict[str, object]], services: dict[str, str], nodes: dict[str, str]) -> tuple[TaskFact, ...]:
    """Read the engine's `GET /tasks`; `services` and `nodes` map ids to names."""
    found = []
    for item in raw:
        status = _mapping(item, "Status")
        container = _mapping(status, "ContainerStatus")
        attachments = item.get("NetworksAttachments") or []
        addresses = [
            str(address).split("/")[0]
            for attachment in (attachments if isinstance(attachments, list) else [])
            for address in (attachment.get("Addresses") or [])
        ]
        found.append(
            TaskFact(
                service=services.get(str(item.get("ServiceID", "")), "?"),
                node=nodes.get(str(item.get("NodeID", "")), ""),
                state=str(status.get("State", "")),
                desired=str(item.get("DesiredState", "")),
                error=_explained(str(status.get("Err", "") or "")),
                container_id=str(container.get("ContainerID", "")),
                addresses=tuple(addresses),
                created=str(item.get("CreatedAt", "")),
            )
        )
    return tuple(sorted(found, key=lambda task: task.created))


def _explained(error: str) -> str:
    """Swarm's words for why a task failed; a directory of ours that is missing is on a disk that is not mounted."""
    missing = "bind source path does not exist: "
    return f"{error}: is the disk mounted on this machine?" if missing in error else error
