"""The stack file of a cluster, as Swarm will read it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import yaml

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig
from sparkqfs.plan.cluster.images import stack_images
from sparkqfs.plan.stack import StackFile, StackInput, build_stack
from tests.builders.clusters import a_cluster
from tests.builders.facts import CLUSTER_ID, SECRETS, prepared
from tests.paths import STACK

TEMPLATES = {path.name: path.read_text() for path in STACK.iterdir() if path.is_file()}


IMAGES = {image.name: f"192.168.1.11:5000/spark/{image.name}@sha256:{'0' * 64}" for image in stack_images(a_cluster())}


IMAGES["hdfs-namenode"] = f"192.168.1.11:5000/spark/hdfs-namenode@sha256:{'0' * 64}"


SHARED = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/nfs")))


def an_input(config: ClusterConfig | None = None, **more: Any) -> StackInput:
    config = config or a_cluster()
    values: dict[str, Any] = {
        "config": config,
        "facts": prepared(config),
        "images": IMAGES,
        "templates": TEMPLATES,
        "secrets": SECRETS,
        "cluster_id": CLUSTER_ID,
    }
    return StackInput(**(values | more))


QUICK_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same as `yaml.safe_load`'s, in C where PyYAML has that."""


def build(config: ClusterConfig | None = None, **more: Any) -> StackFile:
    return build_stack(an_input(config, **more))


def load(config: ClusterConfig | None = None, **more: Any) -> Any:
    return yaml.load(build(config, **more).text, Loader=QUICK_LOADER)


def services(config: ClusterConfig | None = None, **more: Any) -> dict[str, Any]:
    found = load(config, **more)["services"]
    assert isinstance(found, dict)
    return found


def defaults(stack: StackFile) -> str:
    """The text of spark-defaults.conf."""
    (text,) = [text for name, text in stack.configs.items() if "spark-defaults" in name]
    return text
