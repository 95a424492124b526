"""Scratch of earlier versions: removed only where no container of such a version runs. With a fake docker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparkqfs.clients.wait import wait_until
from sparkqfs.jobs.cluster import clean, leftovers, old_images, registry
from sparkqfs.jobs.programs.drivers import ENTER
from sparkqfs.plan.services.seam import OWN_SCRATCH

DOCKER = """\
#!/bin/sh
[ "$1" != ps ] || { cat "$CONTAINERS/ids"; exit; }
[ "$1 $2" = "inspect -f" ] || exit 1
cat "$CONTAINERS/$4"
"""


@pytest.mark.parametrize(
    ("containers", "is_removed"),
    [
        ([], True),
        ([f"mount DIR\nenv A=b\nenv {OWN_SCRATCH}\n"], True),
        (["mount DIR\nenv SPARK_LOCAL_DIRS=/data/spark/local\n"], False),
        (["mount /mnt/another/spark\nenv A=b\n", f"mount DIR\nenv {OWN_SCRATCH}\n"], True),
        ([f"mount DIR\nenv {OWN_SCRATCH}\n", f"mount DIR\nenv X={OWN_SCRATCH}\n"], False),
        (["gone meanwhile"], False),
        (None, False),
    ],
)
def test_scratch_of_an_earlier_version_stays_while_one_may_run(
    tmp_path: Path, containers: list[str] | None, is_removed: bool
) -> None:
    if os.getuid():
        pytest.skip("changes the user: only root may")
    spark, told = tmp_path / "spark", tmp_path / "told"
    told.mkdir()
    for name in ("spark-1/blockmgr-2", "blockmgr-3", "scratch-worker-4", "mine"):
        (spark / "local" / name).mkdir(parents=True)
    (spark / "local" / "spark-5").symlink_to(told)
    for folder in (tmp_path.parent.parent, tmp_path.parent, tmp_path, *spark.rglob("*"), spark):
        folder.chmod(0o755)
    for path in (spark / "local", *(spark / "local").rglob("*")):
        os.chown(path, 6700, 6700, follow_symlinks=False)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER if containers is not None else "#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    names = [f"container-{number}" for number in range(len(containers or []))]
    (told / "ids").write_text("".join(f"{name}\n" for name in names))
    for name, text in zip(names, containers or [], strict=True):
        if text != "gone meanwhile":
            (told / name).write_text(text.replace("DIR", str(spark)))
    words = [str(spark), "6700", "6700", OWN_SCRATCH, leftovers.CONTAINER_FORMAT, ENTER, leftovers.OLD_SCRATCH_SCRIPT]
    done = subprocess.run(
        ["sh", "-c", leftovers.SCRATCH_SCRIPT, "sh", *words],
        env={"PATH": f"{docker.parent}:{os.environ['PATH']}", "CONTAINERS": str(told)},
        capture_output=True,
        text=True,
        check=True,
    )
    left = {path.name for path in (spark / "local").iterdir()}
    old = {"spark-1", "blockmgr-3", "spark-5"}
    assert left == {"scratch-worker-4", "mine"} | (set() if is_removed else old)
    assert set(done.stdout.split()) == (old if is_removed else set())
    assert (told / "ids").exists()
    shutil.rmtree(spark)


ENGINE = """\
#!/bin/sh
cd "$IMAGES" || exit 1
case "$1 $2" in
  "image ls") [ "$6" = label=sparkqfs.cluster=spark ] || exit 1; ls;;
  "image inspect") case $4 in *RepoTags*) sed 1d "$5";; *) sed -n 1p "$5";; esac;;
  "image rm") [ "$3" != in-use ] && rm "$3";;
  *) exit 1;;
esac
"""


def a_program(tmp_path: Path, text: str) -> str:
    """A PATH with this `docker` in front."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(text)
    docker.chmod(0o755)
    return f"{docker.parent}:{os.environ['PATH']}"


def test_images_that_nothing_needs_go_from_an_engine_when_they_are_old(tmp_path: Path) -> None:
    images, path = tmp_path / "images", a_program(tmp_path, ENGINE)
    images.mkdir()
    old, new = (
        "2025-01-01T10:00:00.123456789Z",
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 6 * 86400)),
    )
    for name, text in {
        "old": f"{old}\nr/spark/worker-node:1\nr/spark/worker-node@sha256:1\n",
        "old-without-a-name": f"{old}\n\n",
        "in-use": f"{old}\nr/spark/worker-node:2\n",
        "current": f"{old}\nr/spark/worker-node:3\n",
        "current-by-digest": f"{old}\nr/spark/jupyter-server@sha256:4\n",
        "young": f"{new}\nr/spark/worker-node:5\n",
        "a-users": f"{old}\nmine:1\n",
        "with-another-name": f"{old}\nr/spark/worker-node:7\nmine:2\n",
        "registry": f"{old}\nsparkqfs/registry:1\n",
        "no-date": "soon\nr/spark/worker-node:6\n",
    }.items():
        (images / name).write_text(text)
    words = [
        "sparkqfs.cluster=spark",
        "7",
        "r/spark/",
        "sparkqfs/",
        "r/spark/worker-node:3",
        "r/spark/jupyter-server@sha256:4",
    ]
    done = subprocess.run(
        ["sh", "-c", old_images.ENGINE_SCRIPT, "sh", *words],
        env={"PATH": path, "IMAGES": str(images)},
        capture_output=True,
        text=True,
        check=True,
    )
    left = {"in-use", "current", "current-by-digest", "young", "no-date"}
    left |= {"old-without-a-name", "a-users", "with-another-name"}
    assert {path.name for path in images.iterdir()} == left
    assert done.stdout == "r/spark/worker-node:1\nsparkqfs/registry:1\n"


COLLECTS = """\
#!/bin/sh
echo "$@" >> "$CALLS"
case $1 in exec) sleep "$SLEEPS"; echo broken >&2; exit "$EXIT";; esac
"""


DEFAULT_SIGNALS = """\
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def a_collection(tmp_path: Path, sleeps: int, code: int) -> tuple[list[str], dict[str, str]]:
    """The script with a tag to remove, and a docker of which the collection takes so many seconds."""
    tag = tmp_path / "registry/storage/docker/registry/v2/repositories/spark/w/_manifests/tags/1/current"
    tag.mkdir(parents=True, exist_ok=True)
    (tag / "link").write_text("sha256:0")
    script = ["sh", "-c", old_images.REGISTRY_SCRIPT, "sh", "r", str(tmp_path), "0", "0", ENTER]
    environ = {"CALLS": str(tmp_path / "calls"), "SLEEPS": str(sleeps), "EXIT": str(code)}
    return [*script, clean.REMOVE_SCRIPT, "spark/w:1@sha256:0"], environ | {"PATH": a_program(tmp_path, COLLECTS)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_registry_is_restarted_when_its_collection_is_interrupted(tmp_path: Path, number: int) -> None:
    if os.getuid():
        pytest.skip("changes the user: only root may")
    script, environ = a_collection(tmp_path, 30, 0)
    # below nohup SIGHUP is ignored, and a shell does not take such a signal back
    command = [sys.executable, "-c", DEFAULT_SIGNALS, *script]
    running = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, start_new_session=True)
    calls = tmp_path / "calls"
    wait_until(lambda: calls.exists() and "exec" in calls.read_text(), what="the collection", timeout_s=20)
    os.killpg(running.pid, number)
    assert running.wait(30) != 0
    assert calls.read_text().splitlines()[1:] == ["restart r"]
    assert (tmp_path / "collect-garbage").exists() and not (tmp_path / "garbage-is-collected").exists()


def test_a_collection_that_fails_says_so_and_is_tried_again(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("changes the user: only root may")
    script, environ = a_collection(tmp_path, 0, 3)
    done = subprocess.run(script, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "spark/w:1\n", "broken\n")
    assert (tmp_path / "collect-garbage").exists() and not (tmp_path / "garbage-is-collected").exists()
    again = subprocess.run(script, env=environ | {"EXIT": "0"}, capture_output=True, check=False)
    assert again.returncode == 0 and not (tmp_path / "collect-garbage").exists()


def test_what_was_left_collecting_is_ended_once(tmp_path: Path) -> None:
    path, calls = a_program(tmp_path, '#!/bin/sh\necho "$@" >> "$CALLS"\n'), tmp_path / "calls"

    def end() -> str:
        script = ["sh", "-c", registry.END_SCRIPT, "sh", "r", str(tmp_path)]
        environ = {"PATH": path, "CALLS": str(calls)}
        return subprocess.run(script, env=environ, capture_output=True, text=True, check=True).stdout

    assert end() == "" and not calls.exists()
    (tmp_path / "garbage-is-collected").touch()
    assert end() == "interrupted\n" and calls.read_text().splitlines() == ["inspect r", "restart r"]
    assert end() == ""


def test_old_tags_go_from_the_registry_and_it_is_cleaned_once(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("changes the user: only root may")
    path = a_program(tmp_path, '#!/bin/sh\necho "$@" >> "$CALLS"\n')
    calls = tmp_path / "calls"
    tags = tmp_path / "registry/storage/docker/registry/v2/repositories/spark/worker-node/_manifests/tags"

    def run() -> str:
        words = ["the-registry", str(tmp_path), "0", "0", ENTER, old_images.TAGS_SCRIPT]
        script = ["sh", "-c", old_images.REGISTRY_SCRIPT, "sh", *words, "7", "spark/worker-node:current"]
        environ = {"PATH": path, "CALLS": str(calls)}
        return subprocess.run(script, env=environ, capture_output=True, text=True, check=True).stdout

    assert run() == "", "nothing was ever pushed"
    for name, days in (("old", 8), ("current", 30), ("young", 6)):
        (tags / name / "current").mkdir(parents=True)
        (tags / name / "current" / "link").write_text("sha256:0")
        os.utime(tags / name / "current" / "link", (time.time() - days * 86400,) * 2)
    assert run() == "spark/worker-node:old\n"
    assert {path.name for path in tags.iterdir()} == {"current", "young"}
    said = calls.read_text().splitlines()
    assert said == [
        "exec the-registry docker-registry garbage-collect --delete-untagged /registry/config.yml",
        "restart the-registry",
    ]
    assert run() == "" and calls.read_text().splitlines() == said
