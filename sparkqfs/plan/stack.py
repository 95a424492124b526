"""The stack as data: services from topology, backend, configuration and what the machines report; plain YAML out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from string import Template

import yaml

from sparkqfs import topology
from sparkqfs.config import ClusterConfig, NodeConfig
from sparkqfs.facts import NodeFacts
from sparkqfs.plan import catalogue
from sparkqfs.plan.ownership import RECOVERY, WORK
from sparkqfs.plan.sizes import METASTORE_HEAP_MIB, SPARK_WORKER_HEAP_MIB, history_server_mib, sizing
from sparkqfs.plan.steps import Secret
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import Master, disk_mounts, shared_mounts

CLUSTER_LABEL = "sparkqfs.cluster"
NODE_LABEL = "sparkqfs.node"
CLASS_LABEL = "sparkqfs.class"
SECRETS = {"spark-secret": "spark_secret", "jupyter-token": "jupyter_token", "cluster-key": "cluster_key"}
"""File in the container → name in the cluster's secrets."""

OUTPUT_PIECES = 8
"""Of an executor's stdout or stderr; runtime/sparkqfs_runtime/kept_output.py has as many of a driver's."""
OWN_SCRATCH = "SPARKQFS_SCRATCH=own"
"""In the environment of containers that write into a directory of their own under spark/local."""
LOG_DRIVER = "json-file"
LOG_FILES = 5
"""Of a container's log; the oldest goes."""

Service = dict[str, object]


def log_options(config: ClusterConfig) -> dict[str, str]:
    """Docker's options for the log of a container of ours, for its driver `json-file`, which `docker logs` can read."""
    return {"max-size": f"{(config.logs.container_mib << 10) // LOG_FILES}k", "max-file": str(LOG_FILES)}


def log_arguments(config: ClusterConfig) -> tuple[str, ...]:
    """The same for `docker run`."""
    options = [word for key, value in log_options(config).items() for word in ("--log-opt", f"{key}={value}")]
    return ("--log-driver", LOG_DRIVER, *options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon Swarm starts a container again, and how often it asks for its health; an unhealthy minute ends it."""

    restart_s: int = 5
    health_s: int = 10


USUAL = Pace()
QUICK = Pace(restart_s=1, health_s=4)
"""For what all wait for: until it is healthy again its name is in no DNS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """The stack file, the configs and secrets it names, and the digest of all of it."""

    text: str
    configs: dict[str, str]
    secrets: dict[str, Secret]
    labels: dict[str, dict[str, str]]
    """Swarm labels a node must carry, by node name."""
    digest: str
    services: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def node_labels(config: ClusterConfig, facts: dict[str, NodeFacts]) -> dict[str, dict[str, str]]:
    """Labels of every swarm node: cluster, name in hosts.yml, and class (machines with equal limits and disks)."""
    labels = {}
    found = sizing(config, facts)
    for node in config.nodes:
        size = found.of(node.name)
        text = repr((found.counts[node.name], found.limit_mib(size), size.cpus, [str(d) for d in node.data_dirs]))
        labels[node.name] = {
            CLUSTER_LABEL: config.name,
            NODE_LABEL: node.name,
            CLASS_LABEL: hashlib.sha256(text.encode()).hexdigest()[:8],
        }
    return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class StackInput:
    """Everything the stack is made of."""

    config: ClusterConfig
    facts: dict[str, NodeFacts]
    images: dict[str, str]
    """Image name → reference by digest."""
    templates: dict[str, str]
    secrets: dict[str, str] = field(repr=False)
    cluster_id: str


def build_stack(given: StackInput) -> StackFile:
    """The stack file for one cluster. Raises `ClusterError` when the machines are too small for the settings."""
    config = given.config
    labels = node_labels(config, given.facts)
    configs = _configs(given)
    secrets = {_named(config, file, given.secrets[name]): Secret(given.secrets[name]) for file, name in SECRETS.items()}
    common = _Common(given, configs, list(secrets))
    services: dict[str, Service] = {}
    master = backend_of(config).master
    if master is not None:
        services[master.name] = _storage_master(common, master)
    services[topology.SPARK_MASTER] = _spark_master(common)
    classes = sorted({label[CLASS_LABEL] for label in labels.values()})
    for number, name in enumerate(classes):
        members = [node for node in config.nodes if labels[node.name][CLASS_LABEL] == name]
        service = topology.WORKER_NODE if len(classes) == 1 else f"{topology.WORKER_NODE}-{number + 1}"
        services[service] = _worker_node(common, members[0], name)
    services[topology.JUPYTER_SERVER] = _jupyter_server(common)
    services[topology.HISTORY_SERVER] = _history_server(common)
    if config.has_metastore:
        services[topology.METASTORE] = _metastore(common)
    document: dict[str, object] = {
        "version": "3.9",
        "services": services,
        "networks": {topology.NETWORK: _network(config)},
        "configs": {key: {"external": True, "name": name} for key, name in common.config_names.items()},
        "secrets": {key: {"external": True, "name": name} for key, name in common.secret_names.items()},
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
    for item in services.values():
        deploy = item["deploy"]
        assert isinstance(deploy, dict)
        deploy["labels"] = {topology.SERVICE_LABEL: digest}
    return StackFile(
        text=yaml.safe_dump(document, sort_keys=False, width=120),
        configs={common.config_names[name]: text for name, text in configs.items()},
        secrets=secrets,
        labels=labels,
        digest=digest,
        services=tuple(services),
    )


def _network(config: ClusterConfig) -> dict[str, object]:
    """The cluster's own network, or that of the machines, which is there already."""
    if config.network == "host":
        return {"external": True, "name": "host"}
    return {"driver": "overlay", "attachable": True, "ipam": {"config": [{"subnet": config.subnet}]}}


def _named(config: ClusterConfig, name: str, content: str) -> str:
    """Configs and secrets cannot change in place: the content is in the name."""
    return f"{config.name}_{name.replace('.', '-')}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def default_cores(executor_cores: int, executors: int, nodes: int) -> int:
    """Cores of an application that asks for no number: half of the executors, and one on each node at least.

    With a node left out its data would be read over the network. Where there are two executors a node, two
    applications run side by side.
    """
    return executor_cores * max(nodes, (executors + 1) // 2)


def _configs(given: StackInput) -> dict[str, str]:
    config = given.config
    backend = backend_of(config)
    found = sizing(config, given.facts)
    total = found.cores
    values = {
        "executor_cores": str(found.executor.cores),
        "executor_memory_mib": str(found.executor.heap_mib),
        "python_worker_mib": str(found.executor.python_worker_mib),
        "driver_memory_mib": str(config.spark.driver_memory_mib),
        "parallelism": str(max(2, 2 * total)),
        "default_cores": str(default_cores(found.executor.cores, total // found.executor.cores, len(config.nodes))),
        "root": backend.root_uri(config),
        "output_piece_bytes": str((config.logs.program_mib << 20) // OUTPUT_PIECES),
        "output_old_pieces": str(OUTPUT_PIECES - 1),
        "keep_seconds": str(config.logs.days * 86400),
        "warehouse": catalogue.WAREHOUSE,
        "history_url": f"http://{config.manager.advertise}:{config.ports.history}",
    }
    lines = [Template(given.templates["spark-defaults.conf"]).substitute(values).rstrip()]
    extra = {**backend.spark_conf(config), **dict(config.spark.conf)}
    lines += [f"{key} {value}" for key, value in extra.items()]
    rendered = {"spark-defaults.conf": "\n".join(lines) + "\n"}
    for name, more in backend.daemon_configs(config).items():
        rendered[name] = Template(given.templates[name]).substitute(more)
    return rendered


class _Common:
    """What all services share."""

    def __init__(self, given: StackInput, configs: dict[str, str], secret_names: list[str]) -> None:
        self.given = given
        self.config = given.config
        self.backend = backend_of(given.config)
        self.on_host = given.config.network == "host"
        self.config_names = {name: _named(given.config, name, text) for name, text in configs.items()}
        self.secret_names = dict(zip(SECRETS, secret_names, strict=True))

    def environment(self, disks: int = 1) -> dict[str, str]:
        """Environment of every container; nothing secret."""
        environment = {
            "SPARKQFS_STORAGE": self.backend.kind,
            "SPARKQFS_ROOT": self.backend.root_uri(self.config),
            "SPARKQFS_PROBE_HOST": self.backend.probe_host,
            "SPARKQFS_CLUSTER_ID": self.given.cluster_id,
            "SPARK_MASTER_URL": f"spark://{topology.SPARK_MASTER}:{topology.SPARK_MASTER_PORT}",
            "SPARKQFS_APP_UI_PORT": str(self.config.ports.app_ui if self.on_host else topology.APP_UI_PORT),
            "SPARKQFS_SPARK_UI_PORT": str(self.config.ports.spark_ui if self.on_host else topology.SPARK_UI_PORT),
            **self.backend.container_environment(self.config, disks),
        }
        if self.backend.layout is None:
            environment.pop("SPARKQFS_CLUSTER_ID")
        return environment

    def service(
        self,
        role: str,
        *,
        secrets: tuple[str, ...],
        configs: tuple[str, ...],
        mounts: list[dict[str, object]],
        constraints: list[str],
        ports: list[tuple[int, int]],
        grace: str = "60s",
        extra_environment: dict[str, str] | None = None,
        disks: int = 1,
        mode: str = "replicated",
        limits: dict[str, str] | None = None,
        pace: Pace = USUAL,
    ) -> Service:
        """One service: one process set on one machine, reached without a virtual address."""
        owner = self.config.owner
        environment = {**self.environment(disks), **(extra_environment or {})}
        deploy: dict[str, object] = {
            "mode": mode,
            "endpoint_mode": "dnsrr",
            "placement": {"constraints": [f"node.labels.{CLUSTER_LABEL} == {self.config.name}", *constraints]},
            "restart_policy": {"condition": "any", "delay": f"{pace.restart_s}s"},
            "update_config": {"parallelism": 1, "order": "stop-first", "failure_action": "pause", "monitor": "15s"},
        }
        if limits:
            deploy["resources"] = {"limits": limits}
        tmpfs: dict[str, object] = {"type": "tmpfs", "target": "/run/sparkqfs", "tmpfs": {"size": 16 * 1024 * 1024}}
        service: Service = {
            "image": self.given.images[topology.IMAGE_OF.get(role, role)],
            "environment": environment,
            "networks": [topology.NETWORK],
            "volumes": [*mounts, tmpfs],
            "configs": [{"source": name, "target": f"/etc/sparkqfs/{name}", "mode": 0o444} for name in configs],
            "secrets": [
                {"source": name, "target": name, "uid": str(owner.uid), "gid": str(owner.gid), "mode": 0o400}
                for name in secrets
            ],
            "healthcheck": {
                "test": ["CMD", "/opt/sparkqfs/bin/health", role],
                "interval": f"{pace.health_s}s",
                "timeout": "8s",
                "retries": 60 // pace.health_s,
                "start_period": "90s",
            },
            "stop_grace_period": grace,
            "logging": {"driver": LOG_DRIVER, "options": log_options(self.config)},
            "deploy": deploy,
        }
        if self.on_host:
            service["extra_hosts"] = self.extra_hosts()
            if ports:  # nothing maps ports there: the process listens on the published one itself
                environment |= {"SPARKQFS_UI_PORT": str(ports[0][1]), "SPARKQFS_SELF": role}
        elif ports:
            service["ports"] = [
                {"target": target, "published": published, "protocol": "tcp", "mode": "host"}
                for target, published in ports
            ]
        return service

    def extra_hosts(self) -> list[str]:
        """The names that the overlay's DNS would know, for the machines' own network; all of them on the manager."""
        names = [topology.SPARK_MASTER]
        if self.backend.master is not None:
            names.append(self.backend.master.name)
        if self.config.has_metastore:
            names.append(topology.METASTORE)
        return [f"{name}:{self.config.manager.advertise}" for name in names]

    def pinned_to_manager(self) -> list[str]:
        """To the one machine, not to the role."""
        return [f"node.labels.{NODE_LABEL} == {self.config.manager.name}"]


def _spark_mount(node: NodeConfig) -> dict[str, object]:
    return {"type": "bind", "source": str(node.data_dirs[0] / WORK), "target": "/data/spark"}


def _storage_master(common: _Common, master: Master) -> Service:
    config, layout = common.config, common.backend.layout
    assert layout is not None
    return common.service(
        master.name,
        secrets=master.secrets,
        configs=master.configs,
        mounts=disk_mounts(config.manager, layout.top)[:1],
        constraints=common.pinned_to_manager(),
        ports=[(master.ui_port, common.backend.ui_port(config))],
        extra_environment=common.backend.master_environment(config),
    )


def _spark_master(common: _Common) -> Service:
    """On the manager, with what it needs to go on where another one ended: workers and applications wait for it."""
    recovery: dict[str, object] = {
        "type": "bind",
        "source": str(common.config.manager.data_dirs[0] / RECOVERY),
        "target": "/data/spark-master",
    }
    return common.service(
        topology.SPARK_MASTER,
        secrets=("spark-secret",),
        configs=("spark-defaults.conf", *common.backend.client_configs),
        mounts=[*shared_mounts(common.config), recovery],
        constraints=common.pinned_to_manager(),
        ports=[(topology.SPARK_UI_PORT, common.config.ports.spark_ui)],
        extra_environment={
            "SPARKQFS_PROBE_HOST": "",  # its own name is in no DNS before it is healthy
            "SPARKQFS_SERVICE": "{{.Service.ID}}",  # Swarm fills it in; another one after `down` and `deploy`
        },
        pace=QUICK,
    )


def _worker_node(common: _Common, node: NodeConfig, class_name: str) -> Service:
    config = common.config
    found = sizing(config, common.given.facts)
    size, executor, count = found.of(node.name), found.executor, found.counts[node.name]
    limits = {"memory": f"{found.limit_mib(size)}M"}
    if size.cpus is not None:
        limits["cpus"] = str(size.cpus)
    return common.service(
        topology.WORKER_NODE,
        secrets=("spark-secret", *common.backend.worker_secrets),
        configs=(*common.backend.worker_configs, "spark-defaults.conf"),
        mounts=[*common.backend.worker_mounts(node), *shared_mounts(config), _spark_mount(node)],
        constraints=[f"node.labels.{CLASS_LABEL} == {class_name}"],
        ports=[],
        extra_environment={
            "SPARK_WORKER_CORES": str(executor.cores * count),
            "SPARK_WORKER_MEMORY": f"{executor.heap_mib * count}m",
            "SPARK_DAEMON_MEMORY": f"{SPARK_WORKER_HEAP_MIB}m",
            "SPARK_WORKER_DIR": "/data/spark/work",
            **dict([OWN_SCRATCH.split("=")]),
            "SPARKQFS_KEEP_DAYS": str(config.logs.days),
            "SPARK_LOCAL_DIRS": "/data/spark/local",
        },
        disks=len(node.data_dirs),
        mode="global",
        limits=limits,
    )


def _jupyter_server(common: _Common) -> Service:
    config = common.config
    notebooks: dict[str, object] = {
        "type": "bind",
        "source": str(config.notebooks_path),
        "target": "/data/notebooks",
    }
    return common.service(
        topology.JUPYTER_SERVER,
        secrets=("spark-secret", "jupyter-token"),
        configs=("spark-defaults.conf", *common.backend.client_configs),
        mounts=[*shared_mounts(config), notebooks, _spark_mount(config.manager)],
        constraints=[] if config.notebooks.shared else common.pinned_to_manager(),
        ports=[(topology.JUPYTER_PORT, config.ports.jupyter), (topology.APP_UI_PORT, config.ports.app_ui)],
        extra_environment={
            "SPARK_LOCAL_DIRS": "/data/spark/local",
            **dict([OWN_SCRATCH.split("=")]),
            "SPARKQFS_PROGRAM_LOG_BYTES": str(config.logs.program_mib << 20),
            "SPARKQFS_CORES": str(sizing(config, common.given.facts).cores),
        },
    )


def _history_server(common: _Common) -> Service:
    """What ended applications did, from their event logs on the storage; a service of its own restarts alone."""
    fact = common.given.facts.get(common.config.manager.name)
    service = common.service(
        topology.HISTORY_SERVER,
        secrets=(),
        configs=("spark-defaults.conf", *common.backend.client_configs),
        mounts=shared_mounts(common.config),
        constraints=common.pinned_to_manager(),
        ports=[(topology.HISTORY_PORT, common.config.ports.history)],
        extra_environment={"SPARK_DAEMON_MEMORY": f"{history_server_mib(fact.memory_mib if fact else 0) - 128}m"},
    )
    return {**service, "command": ["/opt/sparkqfs/bin/supervise", topology.HISTORY_SERVER]}


def _metastore(common: _Common) -> Service:
    """The tables' names, in a database of its own on the manager's disk; it makes and removes tables' directories."""
    service = common.service(
        topology.METASTORE,
        secrets=(),
        configs=("spark-defaults.conf", *common.backend.client_configs),
        mounts=[*shared_mounts(common.config), catalogue.mount(common.config)],
        constraints=common.pinned_to_manager(),
        ports=[],
        extra_environment={"SPARK_DAEMON_MEMORY": f"{METASTORE_HEAP_MIB}m"},
    )
    return {**service, "command": ["/opt/sparkqfs/bin/supervise", topology.METASTORE]}
