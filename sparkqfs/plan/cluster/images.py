"""plan_images: which images must be built and pushed, from content digests and what the registry holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.requirements import package_name
from sparkqfs.plan import delta
from sparkqfs.plan.services import single_services
from sparkqfs.topology import Image

OWN_PREFIX = "sparkqfs"
"""Of images that cannot come from the cluster's registry."""


def name_prefixes(config: ClusterConfig) -> tuple[str, str]:
    """What the names of this cluster's images begin with."""
    return f"{config.registry_address}/{config.name}/", f"{OWN_PREFIX}/"


def stack_images(config: ClusterConfig) -> tuple[Image, ...]:
    """The images of the stack, parents first. What a role adds to worker-node is little but its command."""
    names = [service.name for service in single_services(config) if not service.image]
    return (Image(topology.WORKER_NODE, None), *(Image(name, topology.WORKER_NODE) for name in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """One image by content. `tag` names what it is made of: context, arguments and parents."""

    image: Image
    tag: str
    reference: str
    parent: str
    """Reference that its Dockerfile's BASE gets."""
    plain: str
    """Reference of the image without what hosts.yml adds to it; `reference` where that is nothing."""
    delta: str = ""
    """Reference of `plain` with Delta's layer; empty where there is none."""
    requirements: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    """Names of packages that may get another version than the image has."""

    @property
    def all_names(self) -> tuple[str, ...]:
        """References of the image and of those below it that are made for it, each once."""
        return tuple(dict.fromkeys(name for name in (self.plain, self.delta, self.reference) if name))

    @property
    def below_packages(self) -> str:
        """The image that the user's packages are added to."""
        return self.delta or self.plain


def label_of(reference: str) -> str:
    """What `IMAGE_LABEL` says of an image: the end of its reference, which is the same in every registry."""
    return reference.rpartition("/")[2]


def build_arguments(config: ClusterConfig, image: Image) -> dict[str, str]:
    """Build arguments that change what is in the image."""
    if image.name != topology.WORKER_NODE:
        return {}
    owner = config.owner
    return {
        "SPARK_UID": str(owner.uid),
        "SPARK_GID": str(owner.gid),
        "SPARK_USER": owner.user,
        "SPARK_GROUP": owner.group,
    }


def network_arguments(config: ClusterConfig, image: Image) -> dict[str, str]:
    """Build arguments that say only how to reach things; they do not count into the tag."""
    arguments: dict[str, str] = {}
    if config.build.proxy:
        arguments |= {"http_proxy": config.build.proxy, "https_proxy": config.build.proxy}
    if config.build.pip_index and image.name in (topology.WORKER_NODE, topology.JUPYTER_SERVER):
        arguments["PIP_INDEX_URL"] = config.build.pip_index
    return arguments


def requirements_of(config: ClusterConfig, name: str) -> tuple[str, ...]:
    """The packages that hosts.yml adds to an image: drivers have what executors have."""
    if name == topology.WORKER_NODE:
        return config.worker.requirements
    return (*config.worker.requirements, *config.jupyter.requirements) if name == topology.JUPYTER_SERVER else ()


def image_refs(config: ClusterConfig, contexts: dict[str, str]) -> dict[str, ImageRef]:
    """Every image of the stack with its content tag; `contexts` maps image names to context digests (sha256).

    Images are built on their parents without Delta's layer and the user's packages, which come last in this order:
    other packages change one layer, and neither changes a master's image.
    """
    refs: dict[str, ImageRef] = {}
    for image in (topology.REGISTRY_IMAGE, *stack_images(config)):
        parent = refs[image.parent].plain if image.parent else config.build.base
        parent_tag = parent.rpartition(":")[2] if image.parent else config.build.base
        arguments = sorted(build_arguments(config, image).items())
        text = repr((image.name, contexts[image.name], parent_tag, arguments))
        tag = hashlib.sha256(text.encode()).hexdigest()[:16]
        # the registry's own image cannot come from the registry
        where = OWN_PREFIX if image is topology.REGISTRY_IMAGE else f"{config.registry_address}/{config.name}"
        reference = f"{where}/{image.name}:{tag}"
        ref = ImageRef(image=image, tag=tag, reference=reference, parent=parent, plain=reference)
        if delta.has_layer(config, image.name):
            ref = _with_delta(ref, contexts[topology.DELTA])
        wanted = requirements_of(config, image.name)
        refs[image.name] = _with_packages(config, ref, wanted, contexts[topology.PACKAGES]) if wanted else ref
    return refs


def _with_delta(ref: ImageRef, context: str) -> ImageRef:
    tag = hashlib.sha256(repr((ref.tag, context)).encode()).hexdigest()[:16]
    reference = ref.plain.rpartition(":")[0] + f":{tag}"
    return replace(ref, tag=tag, reference=reference, delta=reference)


def _with_packages(config: ClusterConfig, ref: ImageRef, wanted: tuple[str, ...], context: str) -> ImageRef:
    is_worker = ref.image.name == topology.WORKER_NODE
    free = tuple(map(package_name, wanted if is_worker else config.jupyter.requirements))
    below = () if is_worker else config.worker.requirements
    tag = hashlib.sha256(repr((ref.tag, context, wanted, below)).encode()).hexdigest()[:16]
    reference = ref.plain.rpartition(":")[0] + f":{tag}"
    return replace(ref, tag=tag, reference=reference, requirements=wanted, free=free)
