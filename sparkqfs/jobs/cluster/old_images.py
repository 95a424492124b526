"""Images of earlier versions: removed from the engines and from the registry when the new stack works."""

from __future__ import annotations

from sparkqfs.clients.ssh import Output
from sparkqfs.jobs.cluster import images
from sparkqfs.jobs.cluster.registry import registry_name, wait_for_registry
from sparkqfs.jobs.programs.drivers import ENTER
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.images import name_prefixes
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.plan.steps import Outcome
from sparkqfs.remote import script

TIDY_S = 1800.0
ENGINE_SCRIPT = script("old_images")
"""Its words are a label, an age in days, two beginnings of names, and the names that stay. An image without a name, or
with one that begins otherwise, may be a user's own: it stays. An image that a container has, running or not, and one
that another is built on, the engine does not remove."""
TAGS_SCRIPT = script("old_tags")
"""In the directory of the registry's repositories. Its words are an age in days, and the images that stay, such as
`spark/worker-node:TAG` or `spark/worker-node@sha256:…`."""
REGISTRY_SCRIPT = script("collect_garbage")
"""Nothing is pushed meanwhile: a deploy holds the cluster's lock. The mark, in a directory of root's alone, makes the
next deploy collect what this one does not come to. However the script ends, it restarts the registry, and the
collection ends with that; where it cannot, `registry.end_collection` does so before the next push."""


def garbage_stays(output: Output) -> str:
    """What a collection that failed leaves behind."""
    why = output.stderr.strip() or f"exit code {output.exit_code}"
    return f"the registry's garbage was not collected: {why}; the next deploy tries it again"


def remove(session: Session) -> list[Outcome]:
    """What was removed from the engines and from the registry: older than `logs.days`, and nothing needs it."""
    config = session.config
    refs = images.references(session).values()
    tags = sorted({name for ref in refs for name in (ref.plain, ref.delta, ref.reference) if name})
    pushed = [name for name in images.digests(session).values() if name]
    used = sorted(images.of_services(session) - {*tags, *pushed})
    days = str(config.logs.days)

    def from_engine(name: str) -> int:
        words = [f"{CLUSTER_LABEL}={config.name}", days, *name_prefixes(config), *tags, *pushed, *used]
        script = ["sh", "-c", ENGINE_SCRIPT, "sh", *words]
        return len(session.clients.node(name).run(script, check=False, timeout_s=TIDY_S).stdout.splitlines())

    found = session.clients.on(tuple(node.name for node in config.nodes), from_engine)
    gone = [f"{number} on {name}" for name, number in found.values.items() if number]
    kept = [name.removeprefix(f"{config.registry_address}/") for name in (*tags, *used)]
    owner = (str(config.owner.uid), str(config.owner.gid))
    words = [registry_name(session), str(private_directory(config)), *owner, ENTER, TAGS_SCRIPT, days, *kept]
    script = ["sh", "-c", REGISTRY_SCRIPT, "sh", *words]
    output = session.clients.manager.run(script, check=False, timeout_s=TIDY_S)
    if output.exit_code:
        session.on_event(f"{config.manager.name}: {garbage_stays(output)}")
    old = output.stdout.splitlines()
    if old:
        wait_for_registry(session)
        gone.append(f"{len(old)} in the registry")
    return [Outcome(subject="images of earlier versions", state="changed", changes=tuple(gone))] if gone else []
