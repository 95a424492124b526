"""What earlier versions have left on the machines, and what may go once the new stack works."""

from __future__ import annotations

from sparkqfs.jobs.programs.drivers import ENTER
from sparkqfs.jobs.session import Session
from sparkqfs.plan.services.seam import OWN_SCRATCH
from sparkqfs.remote import script

CONTAINER_FORMAT = (
    "{{range .Mounts}}mount {{.Source}}{{println}}{{end}}{{range .Config.Env}}env {{.}}{{println}}{{end}}"
)
OLD_SCRATCH_SCRIPT = script("remove_old_scratch")
SCRATCH_SCRIPT = script("old_scratch")
"""Earlier versions let all containers write into spark/local itself, without a lock. All stays while a container runs
on the machine that has this directory and does not say that it uses one of its own, or while the engine is silent."""


def remove_old_scratch(session: Session) -> tuple[str, ...]:
    """The machines on which scratch of an earlier version was removed: no container of such a version runs there."""
    config = session.config

    def tidy(name: str) -> str:
        folder = str(config.node(name).data_dirs[0] / "spark")
        words = [folder, str(config.owner.uid), str(config.owner.gid), OWN_SCRATCH]
        words += [CONTAINER_FORMAT, ENTER, OLD_SCRATCH_SCRIPT]
        client = session.clients.node(name)
        return client.run(["sh", "-c", SCRATCH_SCRIPT, "sh", *words], check=False, timeout_s=600).stdout

    found = session.clients.on(tuple(node.name for node in config.nodes), tidy)
    return tuple(name for name, removed in found.values.items() if removed)
