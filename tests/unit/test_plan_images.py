"""plan/cluster/images.py: an image's tag says what is in it, and nothing that is only on the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs import topology
from sparkqfs.config.model import (
    BuildConfig,
    ClusterConfig,
    JupyterConfig,
    OwnerConfig,
    StorageConfig,
    StorageKind,
    WorkerConfig,
)
from sparkqfs.jobs.cluster.images import find_pulled, pip_errors
from sparkqfs.plan.cluster.images import image_refs, label_of, network_arguments, stack_images
from tests.builders.clusters import a_cluster

NAMES = [topology.REGISTRY, *(image.name for image in stack_images(a_cluster()))]
CONTEXTS = {name: f"digest of {name}" for name in [*NAMES, topology.PACKAGES]}
REFS = image_refs(a_cluster(), CONTEXTS)


def changed(refs: Mapping[str, object]) -> set[str]:
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
    assert changed(image_refs(config, CONTEXTS)) == set(NAMES)


def test_another_owner_changes_what_has_the_user_in_it() -> None:
    refs = image_refs(a_cluster(owner=OwnerConfig(uid=7000)), CONTEXTS)
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


# --- the user's packages ---

POLARS = a_cluster(worker=WorkerConfig(requirements=("polars==1.9.0",)))
SEABORN = a_cluster(jupyter=JupyterConfig(requirements=("Sea_Born",)))


def test_packages_of_workers_change_the_images_of_workers_and_drivers_and_no_masters() -> None:
    refs = image_refs(POLARS, CONTEXTS)
    assert changed(dict(refs)) == {"worker-node", "jupyter-server"}
    assert refs["jupyter-server"].requirements == refs["worker-node"].requirements == ("polars==1.9.0",)


def test_packages_of_jupyter_change_its_image_alone() -> None:
    refs = image_refs(SEABORN, CONTEXTS)
    assert changed(dict(refs)) == {"jupyter-server"}
    assert refs["jupyter-server"].free == ("sea-born",)


@pytest.mark.parametrize("config", [POLARS, SEABORN])
def test_packages_are_the_last_layer_of_the_image_that_there_is_without_them(config: ClusterConfig) -> None:
    refs = image_refs(config, CONTEXTS)
    for name in NAMES:
        assert refs[name].plain == REFS[name].reference and refs[name].parent == REFS[name].parent
        assert (refs[name].reference != refs[name].plain) is bool(refs[name].requirements)


def test_without_packages_their_recipe_does_not_count() -> None:
    other = CONTEXTS | {topology.PACKAGES: "another recipe"}
    assert changed(dict(image_refs(a_cluster(), other))) == set()
    assert image_refs(POLARS, other) != image_refs(POLARS, CONTEXTS)


def test_another_version_gives_another_tag() -> None:
    other = a_cluster(worker=WorkerConfig(requirements=("polars==1.9.1",)))
    tags = {image_refs(config, CONTEXTS)["worker-node"].tag for config in (POLARS, other, a_cluster())}
    assert len(tags) == 3


def test_of_the_drivers_packages_only_jupyters_own_are_free_to_change() -> None:
    both = a_cluster(worker=POLARS.worker, jupyter=JupyterConfig(requirements=("seaborn",)))
    refs = image_refs(both, CONTEXTS)
    assert refs["jupyter-server"].free == ("seaborn",) and refs["worker-node"].free == ("polars",)


LOG = """\
Collecting nonsense==9
  ERROR: Could not find a version that satisfies the requirement nonsense==9 (from versions: none)
ERROR: No matching distribution found for nonsense==9
Removing intermediate container 12ab
"""
CONFLICT = """\
INFO: pip is looking at multiple versions of pandas to determine which version is compatible
ERROR: Cannot install old and pandas==2.2.3 because these package versions have conflicting dependencies.

The conflict is caused by:
    old 1.0 depends on pandas<2
    The user requested (constraint) pandas==2.2.3
"""


def test_of_a_failed_install_pips_own_error_lines_are_quoted() -> None:
    assert pip_errors(LOG.splitlines()) == [line for line in LOG.splitlines() if "ERROR" in line]
    assert len(pip_errors(CONFLICT.splitlines())) == 4
    assert pip_errors(["Step 3/9 : RUN pip install", "Successfully installed polars-1.9.0"]) == []


OLD = "192.168.1.99:5000/spark"
"""The registry of a manager that was lost, and the cluster's name in it."""


def named(images: list[dict[str, Any]], names: tuple[str, ...] = (), requirements: tuple[str, ...] = ()) -> list[Any]:
    """What the manager's engine, with these images and names, is told to name as the workers' image."""
    config = a_cluster(worker=WorkerConfig(requirements=requirements))
    ref = image_refs(config, CONTEXTS)[topology.WORKER_NODE]
    asked: list[Any] = []
    engine = SimpleNamespace(
        image_labels=lambda reference: {} if reference in names else None,
        labelled_images=lambda label: [one for one in images if label == f"sparkqfs.image={one['said']}"],
        name_image=lambda image_id, reference: asked.append((image_id, reference)),
    )
    session: Any = SimpleNamespace(
        config=config, clients=SimpleNamespace(engine=lambda: engine), on_event=lambda _text: None
    )
    find_pulled(session, ref)
    return asked


def an_image(image_id: str, said: str, *digests: str) -> dict[str, Any]:
    return {"Id": image_id, "said": said, "RepoDigests": [f"{one}@sha256:0" for one in digests]}


WORKERS = REFS[topology.WORKER_NODE].reference


def test_what_a_lost_managers_registry_gave_a_node_is_not_built_there_again() -> None:
    theirs = an_image("sha256:1", label_of(WORKERS), f"{OLD}/worker-node")
    other = an_image("sha256:2", "worker-node:0123456789abcdef", f"{OLD}/worker-node")
    assert named([other, theirs]) == [("sha256:1", WORKERS)]
    assert named([theirs], names=(WORKERS,)) == []
    assert named([other]) == []


def test_what_did_not_come_from_the_clusters_registry_is_not_taken_for_it() -> None:
    on_top = an_image("sha256:3", label_of(WORKERS), "registry.example.org/mine")
    of_another = an_image("sha256:4", label_of(WORKERS), "192.168.1.99:5000/other/worker-node")
    unknown = an_image("sha256:5", label_of(WORKERS))
    assert named([on_top, of_another, unknown]) == []


def test_an_image_with_packages_is_found_as_the_whole_of_it() -> None:
    wanted = ("polars==1.0.0",)
    ref = image_refs(a_cluster(worker=WorkerConfig(requirements=wanted)), CONTEXTS)[topology.WORKER_NODE]
    whole = an_image("sha256:6", label_of(ref.reference), f"{OLD}/worker-node")
    assert ref.reference != ref.plain
    assert named([whole], requirements=wanted) == [("sha256:6", ref.reference)]
