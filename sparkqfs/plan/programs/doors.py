"""What `open` and `login` may be given: the pages of a cluster, its machines and its services. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.names import check_nodes, meant
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.plan import services
from sparkqfs.plan.storage import backend_of, words_for_masters, words_for_servers

STORAGE = "storage"
SERVICES = {
    "jupyter": topology.JUPYTER_SERVER,
    "spark": topology.SPARK_MASTER,
    "history": topology.HISTORY_SERVER,
    STORAGE: "",
}
"""What a page is called → the service that has it; that of the storage is the storage's own matter."""
MEANT = {
    **dict.fromkeys(("lab", "notebook", "notebooks", "token", topology.JUPYTER_SERVER), "jupyter"),
    **dict.fromkeys(("master", "ui", "cluster", "apps", topology.SPARK_MASTER), "spark"),
    **dict.fromkeys(("files", *words_for_masters()), STORAGE),
    topology.HISTORY_SERVER: "history",
}
"""Other words for a page."""
WORKERS = frozenset(("worker", "workers", "executor", "executors")) | words_for_servers()
"""What runs in worker-node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a service, and its port on the machine that runs it."""

    name: str
    service: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What somebody logs in to: a machine, or a service's container, on one machine where that is named."""

    node: str | None = None
    service: str | None = None


def check_page(word: str) -> None:
    """Raises `ConfigError` for what is not a page of any cluster."""
    if word in SERVICES:
        return
    said = f": did you mean {MEANT[word.lower()]}?" if word.lower() in MEANT else meant(word, SERVICES)
    raise ConfigError(Problem(what=f"{word} is not a page{said}", hint=f"pages: {', '.join(SERVICES)}"))


def page_of(config: ClusterConfig, word: str) -> Page:
    """Where a page is. Raises `ConfigError` for one that this cluster does not have."""
    check_page(word)
    master = backend_of(config).master
    name = SERVICES[word] or (master.name if master is not None else "")
    found = next((one for one in services.single_services(config) if name and one.name == name), None)
    if found is None:
        what = f"storage {config.storage.kind} has no page: no daemon of the stack keeps its files"
        hint = f"pages: {', '.join(one for one in SERVICES if one != STORAGE)}"
        raise ConfigError(Problem(what=what, config_path="storage.kind", hint=hint))
    return Page(name=word, service=name, port=found.ports[0].published(config))


def _service_meant(config: ClusterConfig, word: str) -> str:
    """For a word of the daemons or of the pages."""
    if word.lower() in WORKERS:
        return f": did you mean {topology.WORKER_NODE}?"
    page = MEANT.get(word.lower(), word.lower())
    master = backend_of(config).master
    name = SERVICES.get(page) or (master.name if page == STORAGE and master is not None else "")
    return f": did you mean {name}?" if name else ""


def target_of(config: ClusterConfig, word: str, on: str | None) -> Target:
    """What `login` goes to. Raises `ConfigError` for a word that is neither, and where the machine must be named."""
    nodes = [node.name for node in config.nodes]
    names = [topology.WORKER_NODE, *(one.name for one in services.single_services(config))]
    if on is not None:
        check_nodes(config, "--on", (on,))
    if word in nodes:
        if on not in (None, word):
            raise ConfigError(Problem(what=f"{word} is a node, and --on names another one: {on}"))
        return Target(node=word)
    if word not in names:
        hint = f"nodes: {', '.join(nodes)}; services: {', '.join(names)}"
        what = f"{word} is neither a node nor a service{_service_meant(config, word) or meant(word, [*nodes, *names])}"
        raise ConfigError(Problem(what=what, hint=hint))
    if word == topology.WORKER_NODE and on is None:
        if len(nodes) > 1:
            what = f"{word} runs on several nodes: say on which one"
            raise ConfigError(Problem(what=what, hint=f"`invoke login {word} --on NODE`, of {', '.join(nodes)}"))
        on = nodes[0]
    return Target(service=word, node=on)
