"""plan/images.py: an image's tag says what is in it, and nothing that is only on the way to it."""

from __future__ import annotations

import pytest
from builders import a_cluster

from sparkqfs import topology
from sparkqfs.config import BuildConfig, OwnerConfig, StorageConfig, StorageKind
from sparkqfs.plan.images import image_refs, network_arguments, stack_images

NAMES = [topology.REGISTRY, *(image.name for image in stack_images(a_cluster()))]
CONTEXTS = {name: f"digest of {name}" for name in NAMES}
REFS = image_refs(a_cluster(), CONTEXTS)


def changed(refs: dict[str, object]) -> set[str]:
    """Images whose tag differs from the plain cluster's."""
    return {name for name in NAMES if getattr(refs[name], "tag") != REFS[name].tag}  # noqa: B009


def test_the_same_input_gives_the_same_tags() -> None:
    assert image_refs(a_cluster(), dict(CONTEXTS)) == REFS


def test_every_image_has_a_tag_of_its_own() -> None:
    assert len({ref.tag for ref in REFS.values()}) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "rebuilt"),
    [
        ("worker-node", {"worker-node", "qfs-master", "spark-master", "jupyter-server"}),
        ("qfs-master", {"qfs-master"}),
        ("spark-master", {"spark-master"}),
        ("jupyter-server", {"jupyter-server"}),
        ("registry", {"registry"}),
    ],
)
def test_a_change_in_an_images_files_changes_it_and_what_is_built_on_it(name: str, rebuilt: set[str]) -> None:
    assert changed(dict(image_refs(a_cluster(), CONTEXTS | {name: "other files"}))) == rebuilt


@pytest.mark.parametrize(
    ("kind", "master"), [("qfs", {"qfs-master"}), ("hdfs", {"hdfs-namenode"}), ("shared", set[str]())]
)
def test_only_the_image_of_the_storages_own_master_is_made(kind: StorageKind, master: set[str]) -> None:
    names = {image.name for image in stack_images(a_cluster(storage=StorageConfig(kind=kind)))}
    assert names == {"worker-node", "spark-master", "jupyter-server"} | master


def test_another_base_changes_every_image() -> None:
    config = a_cluster(build=BuildConfig(base="debian:bookworm-20250101-slim"))
    assert changed(dict(image_refs(config, CONTEXTS))) == set(NAMES)


def test_another_owner_changes_what_has_the_user_in_it() -> None:
    refs = dict(image_refs(a_cluster(owner=OwnerConfig(uid=7000)), CONTEXTS))
    assert changed(refs) == set(NAMES) - {"registry"}


def test_proxy_and_package_index_change_no_image() -> None:
    build = BuildConfig(proxy="http://proxy:3128", pip_index="https://mirror.example.org/simple")
    assert changed(dict(image_refs(a_cluster(build=build), CONTEXTS))) == set()


def test_only_images_that_install_python_packages_get_the_package_index() -> None:
    config = a_cluster(build=BuildConfig(pip_index="https://mirror.example.org/simple"))
    having = {image.name for image in stack_images(a_cluster()) if network_arguments(config, image)}
    assert having == {"worker-node", "jupyter-server"}


def test_the_registrys_own_image_is_not_named_as_if_it_came_from_the_registry() -> None:
    assert REFS["registry"].reference == f"sparkqfs/registry:{REFS['registry'].tag}"


def test_all_other_images_are_named_by_registry_cluster_and_tag() -> None:
    assert REFS["worker-node"].reference == f"192.168.1.11:5000/spark/worker-node:{REFS['worker-node'].tag}"


def test_an_image_is_built_on_its_parents_reference() -> None:
    assert REFS["worker-node"].parent == "debian:bookworm-slim"
    assert REFS["jupyter-server"].parent == REFS["worker-node"].reference
