"""What one run of the cluster tests leaves to the next on this computer: layers of images, and blobs of registries.

Each container machine of a cluster's life has its engine's directory in a volume that stays. A run begins with the
image layers of the one before and with nothing else of it: no container, swarm, network, volume, and no image has a
name. So every image is built, pushed and pulled as on new machines, out of what is there already, as far as its content
is the same. What a run has not used is gone after it. A run that was killed leaves nothing.

On a computer that has none yet, one cluster builds, and the others take its layers when they come to it.

`docker volume ls --filter label=sparkqfs.tests` lists the volumes; docs/testing.md says how to remove them.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from sparkqfs.local.images import BASE
from sparkqfs.local.machines import LABEL

VOLUMES = "sparkqfs.tests"
"""Label of the volumes."""
LOCKS = Path("~/.cache/sparkqfs")
"""Of locks of the run that has them; another one at the same time goes without."""
ENGINE = "/var/lib/docker"
BUILDING = "tests-layers.lock"
"""Whoever builds all images on empty machines has it, below `LOCKS`; in it are the machines that have done so."""
LAYERS_S = 1800
"""Until nobody waits any longer for what another cluster builds."""
MOST_GIB = 8
"""Of one machine; one that has more begins with nothing next time."""

FRESH = f"""
set -eu
cd {ENGINE}
[ -e clean ] || exit 9
rm -f clean
[ -z "$(ls image/overlay2/layerdb/mounts)" ] || exit 9
rm -rf builder buildkit containerd containers network plugins runtimes swarm tmp trust volumes
"""
"""Takes all but image layers out of an engine's directory that no engine uses; fails where it was not left in order."""

NAMELESS = """
number=0
for id in $(docker image ls -q --no-trunc | sort -u); do
  names=$(docker image inspect -f '{{join .RepoTags " "}} {{join .RepoDigests " "}}' "$id")
  case $names in ' ' | *sparkqfs-local/*) continue ;; esac
  number=$((number + 1))
  docker tag "$id" "kept:$number" && docker image rm $names
done >/dev/null 2>&1
exit 0
"""
"""Takes the images' names away, and keeps the images."""

USED = f"""
docker swarm leave --force
docker ps -aq | xargs -r docker rm -f -v
docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' kept | xargs -rn1 docker image rm
docker image prune -f --filter until=168h
[ "$(du -s --block-size=1G {ENGINE}/overlay2 | cut -f1)" -lt {MOST_GIB} ] || exit 9
node-ctl stop-docker && sync -f {ENGINE} && touch {ENGINE}/clean
"""
"""What this run has built or pulled stays; of the build's own stages, which have no names, those of the last week."""

SAVE = f"""
set -eu
v2=docker/registry/v2
rm -rf {ENGINE}/registries
mkdir -p {ENGINE}/registries
for data in /mnt/data /mnt/data/plain; do
  cd "$data/sparkqfs/registry/storage" || continue
  to={ENGINE}/registries/$(basename "$data")
  mkdir -p "$to"
  for manifest in $v2/repositories/*/*/_manifests/revisions/sha256/*/; do
    repository=${{manifest%/_manifests/*}} digest=$(basename "$manifest")
    for name in $(grep -oE 'sha256:[0-9a-f]{{64}}' "$v2/blobs/sha256/$(echo "$digest" | cut -c 1-2)/$digest/data"); do
      hash=${{name#sha256:}}
      blob=$v2/blobs/sha256/$(echo "$hash" | cut -c 1-2)/$hash
      [ -e "$to/$blob" ] || cp -a --parents "$blob" "$to"
      cp -a --parents "$repository/_layers/sha256/$hash" "$to"
    done
  done
done
"""
"""Blobs of the images that the registries have now, and which repository has them; no image."""

HAS_LAYERS = "docker image ls --format '{{.Repository}}' | grep -qv '^sparkqfs-local/'"
HAND_OVER = f"""
set -eu
case $1 in
  images) exec docker save $(docker image ls -aq --no-trunc) ;;
  rest) exec tar -C {ENGINE} -c image/overlay2/distribution registries ;;
esac
"""
"""Images with all that they were built on, whose order a build looks at; and what a registry knows of their layers."""

SEED = f"""
set -eu
cd {ENGINE}/registries
[ -d "$(basename "$1")" ] || mv * "$(basename "$1")"
cd "$(basename "$1")"
for repository in docker/registry/v2/repositories/*; do
  [ "$(basename "$repository")" = "$2" ] || mv "$repository" "docker/registry/v2/repositories/$2"
done
find docker/registry/v2/blobs -name data | sed 's|.*/\\([0-9a-f]\\{{64\\}}\\)/data$|\\1  &|' | sha256sum -c --quiet
mkdir -p "$1/sparkqfs/registry/storage"
cp -a . "$1/sparkqfs/registry/storage/"
"""
"""Puts them into a cluster's registry below a data directory, if each is what its name says."""


def docker(*words: str, stdin: str = "", timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """The client of this computer's engine."""
    argv = ["docker", *words]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)


class Kept:
    """The volumes of the machines of a cluster, of which this run has the use."""

    def __init__(self, machines: Sequence[str], *, is_used: bool) -> None:
        self.machines = machines
        self.is_used = is_used
        self._turn: IO[str] | None = None

    def inside(self, machine: str, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a script on a machine."""
        return docker("exec", "-i", machine, "sh", "-s", *words, stdin=script, timeout_s=600)

    def on_all(self, script: str) -> None:
        """Run a script on all machines at the same time."""
        with ThreadPoolExecutor(len(self.machines)) as pool:
            list(pool.map(lambda machine: self.inside(machine, script), self.machines))

    def make_nameless(self) -> None:
        """Before the first test."""
        if self.is_used:
            self.on_all(NAMELESS)

    def take_layers(self) -> None:
        """Where the machine that builds has none: another cluster's, which may have to be built first."""
        if not self.is_used or self._has_layers(self.machines[0]):
            return
        self._turn = (LOCKS / BUILDING).expanduser().open("a+")
        end = time.monotonic() + LAYERS_S
        while time.monotonic() < end:
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(1)
        self._turn.seek(0)
        donors = [donor for donor in self._turn.read().splitlines() if self._has_layers(donor)]
        if not donors:
            self._turn.truncate(0)  # those of earlier runs
        if any(self._take_from(donor) for donor in reversed(donors)):
            self.has_built()

    def _take_from(self, donor: str) -> bool:
        """Whether all has come; an image that the donor's cluster removes meanwhile breaks it off."""
        self.inside(donor, SAVE)
        for what, taker in (("images", "docker load"), ("rest", f"tar -C {ENGINE} -x")):
            pipe = f"docker exec -i {donor} sh -s {what} | docker exec -i {self.machines[0]} {taker}"
            argv = ["bash", "-o", "pipefail", "-c", pipe]
            done = subprocess.run(argv, input=HAND_OVER, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode:
                return False
        return True

    def has_built(self) -> None:
        """Others may take our layers."""
        if self._turn is not None:
            self._turn.write(f"{self.machines[0]}\n")
            self.let_go()

    def let_go(self) -> None:
        """It is another one's turn."""
        if self._turn is not None:
            self._turn.close()
        self._turn = None

    def _has_layers(self, machine: str) -> bool:
        return self.inside(machine, HAS_LAYERS).returncode == 0

    def seed(self, data_dir: str, cluster: str) -> None:
        """Give blobs to a cluster's registry below a data directory of the first machine, once its place is there."""
        if self.is_used:
            self.inside(self.machines[0], SEED, data_dir, cluster)

    def save_blobs(self) -> None:
        """Of the registries, before their disk is lost: so `seed` can give them to the next one."""
        if self.is_used:
            self.inside(self.machines[0], SAVE)

    def keep(self) -> None:
        """After the last test, before the machines are removed."""
        if self.is_used:
            self.inside(self.machines[0], SAVE)
            self.on_all(USED)


@contextlib.contextmanager
def kept_volumes(cluster: str, count: int, which: str = "") -> Iterator[Kept]:
    """Volumes for a cluster that `local_up` is to make, which takes those that have its names and its label.

    `which` of the sets that this computer has: clusters that are there at the same time need one each.
    """
    machines = [f"{cluster}-node{number}" for number in range(1, count + 1)]
    names = "-".join(["sparkqfs-tests", *filter(None, [which])])
    lock = (LOCKS / f"{names.removeprefix('sparkqfs-')}.lock").expanduser()
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Kept(machines, is_used=False)
            return
        for number, machine in enumerate(machines, 1):
            place = _fresh(f"{names}-node{number}")
            bound = ("--opt", "type=none", "--opt", "o=bind", "--opt", f"device={place}")
            docker("volume", "create", "--label", f"{LABEL}={cluster}", *bound, f"{machine}-docker")
        kept = Kept(machines, is_used=True)
        try:
            yield kept
        finally:
            kept.let_go()


def _fresh(volume: str) -> str:
    """The volume's directory on this computer, with nothing but layers in it; an empty one where that is not sure."""
    mounted = (
        "run",
        "--rm",
        "-i",
        "--pull",
        "never",
        "--network",
        "none",
        "-v",
        f"{volume}:{ENGINE}",
        BASE,
        "sh",
        "-s",
    )
    if docker(*mounted, stdin=FRESH).returncode != 0:
        docker("volume", "rm", "--force", volume)
    docker("volume", "create", "--label", f"{VOLUMES}=kept", volume)
    return docker("volume", "inspect", "-f", "{{.Mountpoint}}", volume).stdout.strip()
