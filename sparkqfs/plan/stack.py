"""The stack as data: services from topology, backend, configuration and what the machines report; plain YAML out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

import yaml

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan import catalogue, delta
from sparkqfs.plan.programs import downloads
from sparkqfs.plan.programs.properties import escaped
from sparkqfs.plan.programs.settings import maven_lists
from sparkqfs.plan.services import single_services
from sparkqfs.plan.services.seam import Service, Surroundings
from sparkqfs.plan.services.worker_node import WorkerNode
from sparkqfs.plan.sizes import sizing
from sparkqfs.plan.steps import Secret
from sparkqfs.plan.storage import backend_of

CLUSTER_LABEL = "sparkqfs.cluster"
NODE_LABEL = "sparkqfs.node"
CLASS_LABEL = "sparkqfs.class"
SECRETS = {
    "spark-secret": "spark_secret",
    "jupyter-token": "jupyter_token",
    "cluster-key": "cluster_key",
    "metadata-key": "metadata_key",
}
"""File in the container → name in the cluster's secrets."""

OUTPUT_PIECES = 8
"""Of an executor's stdout or stderr; runtime/sparkqfs_runtime/kept_output.py has as many of a driver's."""
LOG_DRIVER = "json-file"
LOG_FILES = 5
"""Of a container's log; the oldest goes."""

Document = dict[str, object]


def log_options(config: ClusterConfig) -> dict[str, str]:
    """Docker's options for the log of a container of ours, for its driver `json-file`, which `docker logs` can read."""
    return {"max-size": f"{(config.logs.container_mib << 10) // LOG_FILES}k", "max-file": str(LOG_FILES)}


def log_arguments(config: ClusterConfig) -> tuple[str, ...]:
    """The same for `docker run`."""
    options = [word for key, value in log_options(config).items() for word in ("--log-opt", f"{key}={value}")]
    return ("--log-driver", LOG_DRIVER, *options)


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
    certificates: str = ""
    """Of `build.ca_certificates`, as PEM."""


def build_stack(given: StackInput) -> StackFile:
    """The stack file for one cluster. Raises `ClusterError` when the machines are too small for the settings."""
    config = given.config
    labels = node_labels(config, given.facts)
    configs = _configs(given)
    secrets = {_named(config, file, given.secrets[name]): Secret(given.secrets[name]) for file, name in SECRETS.items()}
    common = _Common(given, configs, list(secrets))
    services = {service.name: common.single(service) for service in single_services(config)}
    classes = sorted({label[CLASS_LABEL] for label in labels.values()})
    for number, name in enumerate(classes):
        members = [node for node in config.nodes if labels[node.name][CLASS_LABEL] == name]
        key = topology.WORKER_NODE if len(classes) == 1 else f"{topology.WORKER_NODE}-{number + 1}"
        services[key] = common.worker(members[0], name)
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


def check_network(config: ClusterConfig, networks: Sequence[Mapping[str, Any]]) -> None:
    """Swarm keeps a network as it is, and says nothing. Raises `ClusterError` when the stack's has another subnet.

    `networks` are the stack's, as the engine lists them.
    """
    for network in networks:
        subnets = [one.get("Subnet") for one in (network.get("IPAM") or {}).get("Config") or ()]
        is_ours = network.get("Name") == f"{config.name}_{topology.NETWORK}" and config.network == "overlay"
        if is_ours and subnets and config.subnet not in subnets:
            what = f"the stack's network has the subnet {subnets[0]}, the cluster file says {config.subnet}"
            hint = f"`invoke down`, then `invoke deploy`; or set `subnet: {subnets[0]}`"
            raise ClusterError(Problem(node=config.manager.name, what=what, config_path="subnet", hint=hint))


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
    added = {**backend.spark_conf(config), **delta.spark_conf(config, int(values["parallelism"]))}
    extra = {**added, **dict(config.spark.conf)}
    extra |= maven_lists(extra)
    lines += [f"{key} {escaped(value)}" for key, value in extra.items()]
    rendered = {"spark-defaults.conf": "\n".join(lines) + "\n"}
    if downloads.are_special(config):
        rendered[downloads.FILE] = downloads.settings_file(config, given.certificates)
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
        self.sizing = sizing(given.config, given.facts)
        fact = given.facts.get(given.config.manager.name)
        self.around = Surroundings(
            config=given.config, manager_mib=fact.memory_mib if fact else 0, cores=self.sizing.cores
        )

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

    def service(self, service: Service, constraints: list[str], **deploy_more: object) -> Document:
        """One service: one process set on one machine, reached without a virtual address."""
        owner = self.config.owner
        environment = {**self.environment(service.disks), **service.environment(self.around)}
        pace = service.pace
        deploy: dict[str, object] = {
            "mode": "replicated",
            "endpoint_mode": "dnsrr",
            "placement": {"constraints": [f"node.labels.{CLUSTER_LABEL} == {self.config.name}", *constraints]},
            "restart_policy": {"condition": "any", "delay": f"{pace.restart_s}s"},
            "update_config": {"parallelism": 1, "order": "stop-first", "failure_action": "pause", "monitor": "15s"},
        }
        deploy |= deploy_more
        tmpfs: dict[str, object] = {"type": "tmpfs", "target": "/run/sparkqfs", "tmpfs": {"size": 16 * 1024 * 1024}}
        document: Document = {
            "image": self.given.images[service.image or service.name],
            "environment": environment,
            "networks": [topology.NETWORK],
            "volumes": [*service.mounts(self.around), tmpfs],
            "configs": [
                {"source": name, "target": f"/etc/sparkqfs/{name}", "mode": 0o444}
                for name in service.configs(self.around)
            ],
            "secrets": [
                {"source": name, "target": name, "uid": str(owner.uid), "gid": str(owner.gid), "mode": 0o400}
                for name in service.secrets
            ],
            "healthcheck": {
                "test": ["CMD", "/opt/sparkqfs/bin/health", *(service.probe or (service.name,))],
                "interval": f"{pace.health_s}s",
                "timeout": "8s",
                "retries": 60 // pace.health_s,
                "start_period": "90s",
            },
            "stop_grace_period": "60s",
            "logging": {"driver": LOG_DRIVER, "options": log_options(self.config)},
            "deploy": deploy,
        }
        if service.image:
            document["command"] = ["/opt/sparkqfs/bin/supervise", service.role or service.name]
        if self.on_host:
            document["extra_hosts"] = self.extra_hosts()
            if service.ports:  # nothing maps ports there: the process listens on the published one itself
                first = service.ports[0].published(self.config)
                environment |= {"SPARKQFS_UI_PORT": str(first), "SPARKQFS_SELF": service.name}
        elif service.ports:
            document["ports"] = [
                {"target": port.inside, "published": port.published(self.config), "protocol": "tcp", "mode": "host"}
                for port in service.ports
            ]
        return document

    def single(self, service: Service) -> Document:
        """A service with one container."""
        return self.service(
            service, [] if service.may_move(self.config) else self.pinned_to(service.place(self.config))
        )

    def worker(self, node: NodeConfig, class_name: str) -> Document:
        """The service of the machines that are like this one."""
        size, executor, count = self.sizing.of(node.name), self.sizing.executor, self.sizing.counts[node.name]
        limits = {"memory": f"{self.sizing.limit_mib(size)}M"}
        if size.cpus is not None:
            limits["cpus"] = str(size.cpus)
        service = WorkerNode(self.config, node, cores=executor.cores * count, heap_mib=executor.heap_mib * count)
        constraint = f"node.labels.{CLASS_LABEL} == {class_name}"
        return self.service(service, [constraint], mode="global", resources={"limits": limits})

    def extra_hosts(self) -> list[str]:
        """The names that the overlay's DNS would know, for the machines' own network."""
        called = [service for service in single_services(self.config) if service.is_called]
        called.sort(
            key=lambda service: service.name != topology.SPARK_MASTER
        )  # as ever: another order is another stack
        return [f"{service.name}:{service.place(self.config).advertise}" for service in called]

    def pinned_to(self, node: NodeConfig) -> list[str]:
        """To the one machine, not to a role of Swarm's."""
        return [f"node.labels.{NODE_LABEL} == {node.name}"]
