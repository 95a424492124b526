"""The cluster's registry, a container on the manager: its name, its answer, and a collection of garbage in it."""

from __future__ import annotations

from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.remote import script

END_SCRIPT = script("end_collection")
"""Its words are the registry's container and the directory in which remote/collect_garbage.sh leaves its mark while it
collects. It says `interrupted` where that is there."""


def registry_name(session: Session) -> str:
    """The registry's container name."""
    return f"sparkqfs-registry-{session.config.name}"


def wait_for_registry(session: Session) -> None:
    """Until the manager's own engine can ask it something."""
    seen = {"error": "nothing yet"}

    def answers() -> bool:
        try:
            session.clients.engine().registry_digest(
                f"{session.config.registry_address}/sparkqfs-probe:none", session.registry_auth()
            )
        except ClusterError as error:
            seen["error"] = str(error).splitlines()[0]
            return False
        return True

    wait_until(
        answers,
        what=f"the registry on {session.config.registry_address}",
        timeout_s=60,
        detail=lambda: seen["error"],
        hint=f"`docker logs {registry_name(session)}` on the manager",
    )


def end_collection(session: Session) -> None:
    """Restart the registry where a run that was interrupted left it collecting garbage: that takes a push for garbage.

    The caller holds the cluster's lock.
    """
    words = [registry_name(session), str(private_directory(session.config))]
    if session.clients.manager.run(["sh", "-c", END_SCRIPT, "sh", *words]).stdout:
        session.on_event(f"[{session.config.manager.name}] the registry was still collecting garbage: it was restarted")
        wait_for_registry(session)
