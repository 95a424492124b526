"""invoke clean: images of earlier versions that nothing uses, on all machines and in the registry."""

from __future__ import annotations

from collections.abc import Sequence

from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ExitCode, Problem, RefusedError
from sparkqfs.facts.images import HeldImage, parse_image, parse_tags
from sparkqfs.jobs.cluster import images
from sparkqfs.jobs.cluster.old_images import REGISTRY_SCRIPT, TIDY_S, garbage_stays
from sparkqfs.jobs.cluster.registry import registry_name, wait_for_registry
from sparkqfs.jobs.programs.drivers import ENTER
from sparkqfs.jobs.session import Session, check_lock
from sparkqfs.plan.cluster.clean import REGISTRY, Cleaning, agreed, plan_clean, size_text
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.images import name_prefixes
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.remote import script

LIST_SCRIPT = script("list_tags")
"""In the directory of the registry's repositories, without a word: its tags, and the files that each is made of."""
REMOVE_SCRIPT = script("remove_tags")
"""There too. Its words are `repository:tag@digest`; a tag that is another image's by now stays."""
REPOSITORIES = "registry/storage/docker/registry/v2/repositories"


def run(session: Session, *, everything: bool) -> JobResult:
    """Say what can go and how many bytes that gives back, ask, remove it. Raises `RefusedError` without a yes.

    What cannot go any more after the yes, or has changed by then, stays.
    """
    cleanings, problems = _look(session, everything)
    document = _document(cleanings)
    if not cleanings:
        nothing = Outcome(subject="images of earlier versions", state="unchanged", changes=("none to remove",))
        return JobResult(task="clean", outcomes=(nothing,), document=document, problems=problems)
    if session.dry_run:
        planned = tuple(_outcome(one, "planned") for one in cleanings)
        return JobResult(task="clean", outcomes=planned, document=document, problems=problems)
    _ask(session, cleanings)
    check_lock(session)
    now, problems = _look(session, everything)
    outcomes, failures = _remove(session, cleanings, agreed(cleanings, now))
    return JobResult(task="clean", outcomes=outcomes, document=document, problems=(*problems, *failures))


def _look(session: Session, everything: bool) -> tuple[tuple[Cleaning, ...], tuple[Problem, ...]]:
    """What can go, and the problems of machines that cannot be asked."""
    used = _used(session, everything)
    current = {name for ref in images.references(session).values() for name in (ref.plain, ref.delta, ref.reference)}
    names = tuple(node.name for node in session.config.nodes)
    found = session.clients.on(names, lambda name: _on_engine(session, name))
    in_registry = _in_registry(session)
    held = [image for images_there in found.values.values() for image in images_there]
    if session.config.manager.name not in found.values:  # its containers are not known
        in_registry = ()
    cleanings = plan_clean([*held, *in_registry], current=current - {""}, used=used, everything=everything)
    return cleanings, found.problems


def _used(session: Session, everything: bool) -> set[str]:
    """Images of services of this cluster; but for `everything`, those that an update has replaced too.

    Raises `RefusedError` where nobody knows whether there are services.
    """
    manager = session.manager_facts()
    if manager.engine_version is None or manager.swarm_state not in ("active", "inactive"):
        why = "its engine did not answer" if manager.engine_version is None else f"its swarm is {manager.swarm_state}"
        what = f"nothing was removed: {why}, so nobody knows which images services need"
        raise RefusedError(Problem(node=manager.name, what=what, code=ExitCode.REFUSED, hint="`invoke doctor` looks"))
    if manager.swarm_state == "inactive":
        return set()
    return images.of_services(session, before=not everything)


def _on_engine(session: Session, name: str) -> list[HeldImage]:
    engine, prefixes = session.clients.engine(name), name_prefixes(session.config)
    used = engine.used_image_ids()
    try:
        return [
            parse_image(name, image, engine.image_history(str(image["Id"])), used, prefixes)
            for image in engine.labelled_images(f"{CLUSTER_LABEL}={session.config.name}")
        ]
    except (KeyError, ValueError) as error:
        what = f"its list of images cannot be understood: {error}"
        raise ClusterError(Problem(node=name, what=what)) from error


def _in_registry(session: Session) -> tuple[HeldImage, ...]:
    """The images there, other clusters' too."""
    config = session.config
    folder = private_directory(config) / REPOSITORIES
    words = [str(folder), str(config.owner.uid), str(config.owner.gid), LIST_SCRIPT, "sh"]
    argv = ["sh", "-c", f'[ -d "$1" ] || exit 0; {ENTER}', "sh", *words]
    output = session.clients.manager.run(argv, timeout_s=TIDY_S)
    return parse_tags(output.stdout, config.registry_address, config.name, REGISTRY)


def _where(place: str) -> str:
    return f"in {REGISTRY}" if place == REGISTRY else f"on {place}"


def _ask(session: Session, cleanings: Sequence[Cleaning]) -> None:
    """Raises `RefusedError`."""
    for one in cleanings:
        for image in one.images:
            first, *others = [name for name in image.names if "@" not in name] or image.names
            session.on_event(f"{size_text(one.only([image]).size)}: {first} {_where(one.place)}")
            for name in others:
                session.on_event(f"the same image: {name} {_where(one.place)}")
        if len(one.images) > 1:
            session.on_event(f"{size_text(one.size)}: these {len(one.images)} together {_where(one.place)}")
    count = sum(len(one.images) for one in cleanings)
    total = size_text(sum(one.size for one in cleanings))
    if not session.confirm(f"Remove {amount(count, 'image')} of earlier versions, {total}?"):
        hint = "--yes answers the question; --dry-run only lists"
        raise RefusedError(Problem(what="nothing was removed: nobody said yes", code=ExitCode.REFUSED, hint=hint))


def _remove(
    session: Session, shown: Sequence[Cleaning], cleanings: Sequence[Cleaning]
) -> tuple[tuple[Outcome, ...], tuple[Problem, ...]]:
    by_place = {one.place: one for one in cleanings}
    results = session.clients.on(
        tuple(place for place in by_place if place != REGISTRY), lambda name: _from_engine(session, by_place[name])
    )
    outcomes = [outcome for outcome, _ in results.values.values()]
    problems = tuple(problem for _, failures in results.values.values() for problem in failures)
    if REGISTRY in by_place:
        outcome, failures = _from_registry(session, by_place[REGISTRY])
        outcomes.append(outcome)
        problems += failures
    outcomes += [_kept(one, by_place.get(one.place)) for one in shown if _left(one, by_place.get(one.place))]
    return tuple(outcomes), problems


def _left(shown: Cleaning, cleaning: Cleaning | None) -> list[HeldImage]:
    """What was shown and cannot go any more."""
    going = {image.id for image in cleaning.images} if cleaning else set()
    return [image for image in shown.images if image.id not in going]


def _kept(shown: Cleaning, cleaning: Cleaning | None) -> Outcome:
    stays = [f"{image.shown} stays: it has just been changed, or is used" for image in _left(shown, cleaning)]
    return Outcome(subject=f"images {_where(shown.place)}", state="unchanged", changes=tuple(stays))


def _from_engine(session: Session, cleaning: Cleaning) -> tuple[Outcome, tuple[Problem, ...]]:
    """What an engine refuses to remove has been used meanwhile."""
    removed: list[HeldImage] = []
    stays: list[str] = []
    try:
        engine = session.clients.engine(cleaning.place)
        with engine.answering_within(TIDY_S):
            for image in sorted(cleaning.images, key=lambda image: -len(image.layers)):  # what is built on others first
                # never by id: it may have got another name
                why = [text for name in image.names if (text := engine.remove_image(name))]
                stays += [f"{image.shown} stays: {text}" for text in why[:1]]
                removed += [] if why else [image]
    except ClusterError as error:
        return _outcome(_in_order(cleaning, removed), "failed", *stays), error.problems
    return _outcome(_in_order(cleaning, removed), "changed" if removed else "unchanged", *stays), ()


def _in_order(cleaning: Cleaning, removed: Sequence[HeldImage]) -> Cleaning:
    return cleaning.only(image for image in cleaning.images if image in removed)


def _from_registry(session: Session, cleaning: Cleaning) -> tuple[Outcome, tuple[Problem, ...]]:
    config = session.config
    gone = {image.id: image.names[-1].rpartition("@")[2] for image in cleaning.images}
    owner = (str(config.owner.uid), str(config.owner.gid))
    tags = [f"{name}@{digest}" for name, digest in gone.items()]
    words = [registry_name(session), str(private_directory(config)), *owner, ENTER, REMOVE_SCRIPT, *tags]
    argv = ["sh", "-c", REGISTRY_SCRIPT, "sh", *words]
    removed: set[str] = set()
    stays: list[str] = []
    problems: tuple[Problem, ...] = ()
    try:
        check_lock(session)  # the engines may have taken long
        output = session.clients.manager.run(argv, check=False, timeout_s=TIDY_S)
        removed = set(output.stdout.split())
        left = sorted(gone.keys() - removed)
        stays = [f"{name} stays: it has just been pushed, or could not be removed" for name in left]
        if output.exit_code != 0:
            problems = (Problem(node=config.manager.name, what=garbage_stays(output)),)
        wait_for_registry(session)
    except ClusterError as error:
        problems += error.problems
    done = _in_order(cleaning, [image for image in cleaning.images if image.id in removed])
    return _outcome(done, "failed" if problems else "changed" if removed else "unchanged", *stays), problems


def _outcome(cleaning: Cleaning, state: str, *more: str) -> Outcome:
    subject = f"images {_where(cleaning.place)}"
    shown = [image.shown for image in cleaning.images]
    return Outcome(subject=subject, state=state, changes=(*shown, size_text(cleaning.size), *more))


def _document(cleanings: Sequence[Cleaning]) -> dict[str, object]:
    places = [
        {
            "node": None if one.place == REGISTRY else one.place,
            "images": [image.shown for image in one.images],
            "bytes": one.size,
        }
        for one in cleanings
    ]
    return {"clean": {"places": places, "bytes": sum(one.size for one in cleanings)}}
