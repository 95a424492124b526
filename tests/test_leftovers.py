"""Scratch of earlier versions: removed only where no container of such a version runs. With a fake docker."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sparkqfs.jobs import leftovers
from sparkqfs.jobs.drivers import ENTER
from sparkqfs.plan.stack import OWN_SCRATCH

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
