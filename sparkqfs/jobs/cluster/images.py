"""invoke build and push: images by content, nothing built or pushed that is there already."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sparkqfs import topology
from sparkqfs.clients import download
from sparkqfs.clients.context import (
    HADOOP_LOCK,
    Context,
    StorageParts,
    delta_context,
    make_context,
    packages_context,
    tar_of,
)
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.images import names_meant
from sparkqfs.jobs.cluster.registry import end_collection
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.images import (
    ImageRef,
    build_arguments,
    image_refs,
    label_of,
    network_arguments,
    stack_images,
)
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.progress import Progress

_PIP_ERROR = re.compile(
    r"(ERROR|error)\b|The conflict is caused by|The user requested|.+ (depends on|requires) .+|note: This error"
)


def architecture(session: Session) -> str:
    """The one architecture of all nodes; an error names those that differ."""
    facts, _ = session.facts()
    manager = session.manager_facts().architecture
    others = [f"{name}: {fact.architecture}" for name, fact in facts.items() if fact.architecture != manager]
    if others:
        what = f"all nodes need one CPU architecture; the manager has {manager}, but {', '.join(others)}"
        raise ClusterError(Problem(node=session.config.manager.name, what=what))
    return manager


def of_services(session: Session, *, before: bool = True) -> set[str]:
    """Images of services of this cluster, now and before their last update: Swarm may start them again.

    Those that are not of the stack too: a program that runs again has the image of the deploy in which it was sent.
    Without `before` those from before an update that has ended well are left out: only a person goes back to them.
    """
    engine, config = session.clients.engine(), session.config
    found: set[str] = set()
    for service in [*engine.services(config.name), *engine.labelled_services(f"{CLUSTER_LABEL}={config.name}")]:
        has_ended = (service.get("UpdateStatus") or {}).get("State") == "completed"
        earlier = {} if has_ended and not before else service.get("PreviousSpec") or {}
        for spec in (service.get("Spec") or {}, earlier):
            container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
            found.update(names_meant(str(container.get("Image") or "")))
    return found


def parts_here(session: Session) -> StorageParts | None:
    """What the storage needs in the worker-node image, as far as that is known before anything is fetched."""
    if session.backend.parts == "qfs-tarball":
        tarball = download.find_tarball(session.config, session.manager_facts().architecture)
        return StorageParts(f"qfs {tarball.sha256}", tarball.path) if tarball else None
    if session.backend.parts == "hadoop-jars":
        return StorageParts(f"hadoop {download.sha256_of(HADOOP_LOCK)}")
    return None


def fetch_parts(session: Session) -> StorageParts | None:
    """The same, downloaded where it is missing."""
    what = {"qfs-tarball": "QFS tarball", "hadoop-jars": "Hadoop's jars"}.get(str(session.backend.parts), "")

    def confirm(sha256: str) -> bool:
        return session.confirm(f"the downloaded {what} has sha256 {sha256}; is that the right one?")

    progress = Progress(what, session.on_event)
    if session.backend.parts == "qfs-tarball":
        arch = architecture(session)
        tarball = download.fetch_tarball(
            session.config,
            arch,
            confirm=confirm,
            on_progress=progress,
            certificates=certificates_of(session.config),
        )
        return StorageParts(f"qfs {tarball.sha256}", tarball.path)
    if session.backend.parts == "hadoop-jars":
        offline = session.config.storage.hdfs.jars
        certificates = certificates_of(session.config)
        jars = download.fetch_jars(HADOOP_LOCK, offline=offline, on_progress=progress, certificates=certificates)
        return StorageParts(f"hadoop {download.sha256_of(HADOOP_LOCK)}", jars=jars)
    return None


def contexts(session: Session, parts: StorageParts | None) -> dict[str, Context]:
    """Build contexts of all images."""
    return {
        image.name: make_context(session.config, image.name, parts)
        for image in (topology.REGISTRY_IMAGE, *stack_images(session.config))
    }


def _digests(session: Session, made: dict[str, Context]) -> dict[str, str]:
    """Digests of the contexts, and of those of the layers above them."""
    layers = {
        topology.PACKAGES: packages_context(session.config).digest,
        topology.DELTA: delta_context(session.config).digest,
    }
    return {name: context.digest for name, context in made.items()} | layers


def references(session: Session) -> dict[str, ImageRef]:
    """Every image's reference by content, without fetching anything; worked out once a command."""
    if not session.references:
        made = contexts(session, parts_here(session))
        session.references.update(image_refs(session.config, _digests(session, made)))
    return session.references


def _build(
    session: Session,
    ref: ImageRef,
    context: Context,
    tag: str,
    arguments: dict[str, str],
    said: list[str] | None = None,
) -> None:
    """Build one layer of an image on the manager's engine; `said` gets the lines of the build."""
    config = session.config

    def on_line(line: str) -> None:
        if said is not None:
            said.append(line)
        session.on_event(f"[{ref.image.name}] {line}")

    with tar_of(context) as tar:
        session.clients.engine().build(
            tar,
            tag=tag,
            buildargs={**arguments, **network_arguments(config, ref.image)},
            labels={
                topology.CONTEXT_LABEL: context.digest,
                topology.IMAGE_LABEL: label_of(tag),
                "sparkqfs.cluster": config.name,
            },
            timeout_s=config.timeouts.build_s,
            network="host",
            on_line=on_line,
        )


def find_pulled(session: Session, ref: ImageRef) -> None:
    """Name what the manager's engine has already, from a registry at another address: that of a manager that was lost.

    A node that becomes the manager ran the workers' image before, and building that takes longest. Something of a
    user's that was built on it has its labels, but did not come from our registry.
    """
    engine = session.clients.engine()
    repository = f"/{session.config.name}/{ref.image.name}"
    for reference in ref.all_names:
        if engine.image_labels(reference) is not None:
            continue
        for found in engine.labelled_images(f"{topology.IMAGE_LABEL}={label_of(reference)}"):
            if any(one.partition("@")[0].endswith(repository) for one in found.get("RepoDigests") or ()):
                session.on_event(f"[{ref.image.name}] the manager has this image, from another registry")
                engine.name_image(found["Id"], reference)
                break


def build_one(session: Session, ref: ImageRef, context: Context) -> bool:
    """Build an image without what hosts.yml adds to it, unless the manager's engine has it; True when it was built."""
    if session.clients.engine().image_labels(ref.plain) is not None:
        return False
    session.on_event(f"[{ref.image.name}] building")
    arguments = {"BASE": ref.parent, **build_arguments(session.config, ref.image)}
    _build(session, ref, context, ref.plain, arguments)
    return True


def fetch_delta(session: Session) -> tuple[Path, ...]:
    """Delta's jars, where `spark.delta` asks for them. Raises `UnreachableError` when they cannot be had."""
    if not session.config.spark.delta:
        return ()
    progress = Progress("Delta's jars", session.on_event)
    return download.fetch_delta(progress, certificates=certificates_of(session.config))


def add_delta(session: Session, ref: ImageRef, jars: tuple[Path, ...]) -> bool:
    """Add Delta's layer to an image, unless it is there; True when it was built."""
    if not ref.delta or session.clients.engine().image_labels(ref.delta) is not None:
        return False
    session.on_event(f"[{ref.image.name}] adding Delta")
    _build(session, ref, delta_context(session.config, jars), ref.delta, {"BASE": ref.plain})
    return True


def add_packages(session: Session, ref: ImageRef, worker: ImageRef) -> bool:
    """Add the user's packages to an image as its last layer, unless it is there; True when it was built.

    Raises `ClusterError` with pip's own words when they cannot be installed.
    """
    config = session.config
    if not ref.requirements or session.clients.engine().image_labels(ref.reference) is not None:
        return False
    session.on_event(f"[{ref.image.name}] building")
    is_worker = ref.image.name == worker.image.name
    lines: list[str] = []
    context = packages_context(config, ref.requirements, ref.free)
    arguments = {"BASE": ref.below_packages, "WORKER": ref.below_packages if is_worker else worker.reference}
    try:
        _build(session, ref, context, ref.reference, arguments, lines)
    except ClusterError as error:
        said = pip_errors(lines)
        if not said:
            raise
        where = "worker.requirements" if is_worker else "jupyter.requirements"
        what = f"{ref.image.name}: pip cannot install the packages:\n  " + "\n  ".join(said)
        hint = "fix the list; nothing that runs was changed"
        raise ClusterError(Problem(node=config.manager.name, what=what, config_path=where, hint=hint)) from error
    return True


def pip_errors(lines: list[str]) -> list[str]:
    """pip's own error lines, with what it says on the conflict above them."""
    return [line for line in lines if _PIP_ERROR.match(line.strip())][-12:]


def missing(session: Session) -> dict[str, str]:
    """Images of the stack that are not on the manager's engine: name → why."""
    engine = session.clients.engine()
    return {
        name: "no image of this content"
        for name, ref in references(session).items()
        if name != topology.REGISTRY and engine.image_labels(ref.reference) is None
    }


def build(session: Session) -> JobResult:
    """All images in the order of their parents; those whose parents are done are built at the same time."""
    todo = missing(session)
    names = [image.name for image in stack_images(session.config)]
    same = [Outcome(subject=name, state="unchanged") for name in names if name not in todo]
    if session.dry_run or not todo:
        planned = [Outcome(subject=name, state="planned", changes=(todo[name],)) for name in names if name in todo]
        return JobResult(task="build", outcomes=tuple([*planned, *same]))
    made = contexts(session, fetch_parts(session))
    jars = fetch_delta(session)
    session.references = image_refs(session.config, _digests(session, made))
    refs = session.references
    for name in names:
        find_pulled(session, refs[name])
    done: list[str] = []
    waves = ((topology.WORKER_NODE,), tuple(name for name in names if name != topology.WORKER_NODE))
    for wave in waves:
        pool = ThreadPoolExecutor(max_workers=len(wave))
        try:
            results = list(pool.map(lambda name: (name, build_one(session, refs[name], made[name])), wave))
        except BaseException:  # an interrupt must not wait for the build's end
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        done += [name for name, built in results if built]
    done += [name for name in names if add_delta(session, refs[name], jars)]
    done += [name for name in names if add_packages(session, refs[name], refs[topology.WORKER_NODE])]
    outcomes = [
        Outcome(subject=name, state="changed", changes=(refs[name].reference,))
        if name in done
        else Outcome(subject=name, state="unchanged")
        for name in names
    ]
    return JobResult(task="build", outcomes=tuple(outcomes))


def digests(session: Session) -> dict[str, str | None]:
    """Image name → reference by digest in the registry; `None` where it is not pushed."""
    engine = session.clients.engine()
    auth = session.registry_auth()
    found: dict[str, str | None] = {}
    for name, ref in references(session).items():
        if name != topology.REGISTRY:
            digest = engine.registry_digest(ref.reference, auth)
            found[name] = f"{ref.reference.rsplit(':', 1)[0]}@{digest}" if digest else None
    return found


def held(session: Session) -> dict[str, str | None]:
    """As `digests`; a registry still to be started holds nothing, nor, on a dry run, one that does not answer."""
    nothing: dict[str, str | None] = dict.fromkeys(references(session))
    manager = session.facts()[0].get(session.config.manager.name)
    if manager is None or not manager.has_secrets or manager.swarm_state != "active":
        return nothing
    try:
        return digests(session)
    except ClusterError:
        if not session.dry_run:
            raise
        return nothing


def push(session: Session) -> JobResult:
    """Push what the registry does not hold."""
    session.manager_facts()  # raises when it cannot be asked
    if not session.dry_run:
        end_collection(session)
    there = held(session) if session.dry_run else digests(session)
    names = [image.name for image in stack_images(session.config)]
    todo = [name for name in names if there[name] is None]
    same = [Outcome(subject=name, state="unchanged") for name in names if name not in todo]
    if session.dry_run:
        planned = [Outcome(subject=name, state="planned", changes=("not in the registry",)) for name in todo]
        return JobResult(task="push", outcomes=tuple([*planned, *same]))
    refs = references(session)
    absent = [name for name in todo if session.clients.engine().image_labels(refs[name].reference) is None]
    if absent:
        what = f"not built yet: {', '.join(absent)}"
        raise ClusterError(Problem(node=session.config.manager.name, what=what, hint="run `invoke build` first"))
    auth = session.registry_auth()
    for name in todo:
        session.on_event(f"[{name}] pushing")
        session.clients.engine().push(refs[name].reference, auth, Progress(f"[{name}] pushed", session.on_event))
    after = digests(session)
    outcomes = [Outcome(subject=name, state="changed", changes=(str(after[name]),)) for name in todo]
    return JobResult(task="push", outcomes=tuple([*outcomes, *same]))


def certificates_of(config: ClusterConfig) -> str:
    """The files of `build.ca_certificates`, one after the other. Raises `ConfigError` for one that cannot be read."""
    texts = []
    for path in config.build.ca_certificates:
        try:
            texts.append(path.read_text(encoding="utf-8").rstrip("\n") + "\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(Problem(what=f"{path}: {error}", config_path="build.ca_certificates")) from error
    return "".join(texts)
