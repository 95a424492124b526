"""Maven packages are resolved once and by one process at a time, with real processes and a script for Spark's own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparkqfs_runtime import packages
from sparkqfs_runtime.supervise import downloads
from sparkqfs_runtime.supervise.setup import Setup
from tests.paths import PROGRAMS

SUBMIT = "org.apache.spark.deploy.SparkSubmit"
SPARK_CLASS = """\
#!/bin/bash
# The first half of Spark's own, then what Ivy would do: a file that is whole only in the end.
if [ -z "$SPARK_ENV_LOADED" ]; then export SPARK_ENV_LOADED=1; set -a; . "$SPARK_CONF_DIR/spark-env.sh"; set +a; fi
echo "$*" >> "$TOP/calls"
echo "to standard output"
mkdir -p "$TOP/ivy/jars"
case "$*" in
  *nothing.py*)
    [ ! -e "$TOP/downloading" ] || echo both >> "$TOP/both"
    touch "$TOP/downloading"
    words="$*"; settings=${words#*--properties-file }; settings=${settings%% *}
    stat -c %a "$settings" >> "$TOP/asked"
    cat "$settings" >> "$TOP/asked"
    printf half > "$TOP/ivy/jars/lib.jar"
    sleep 0.5
    [ ! -e "$TOP/cut" ] || exit 7
    printf whole > "$TOP/ivy/jars/lib.jar"
    rm "$TOP/downloading";;
  *) [ ! -e "$TOP/ivy/jars/lib.jar" ] || cat "$TOP/ivy/jars/lib.jar";;
esac
"""


class Spark:
    """A container's settings, and its spark-class."""

    def __init__(self, top: Path) -> None:
        self.top, self.ivy = top, top / "ivy"
        for name in ("spark/bin", "run/conf", "etc"):
            (top / name).mkdir(parents=True)
        program = top / "spark" / "bin" / "spark-class"
        program.write_text(SPARK_CLASS)
        program.chmod(0o755)
        self.environ = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TOP": str(top),
            "SPARK_HOME": str(top / "spark"),
            "SPARK_CONF_DIR": str(top / "run" / "conf"),
        }
        places = {"SPARKQFS_RUN_DIR": str(top / "run"), "SPARKQFS_ETC_DIR": str(top / "etc")}
        self.defaults(f"spark.jars.ivy    {self.ivy}\n")
        downloads.prepare(Setup({**self.environ, **places}))
        script = top / "run" / "conf" / "spark-env.sh"  # the tests' Python, which finds the package as an image's does
        start = f"{sys.executable} -I {PROGRAMS / 'resolve-packages'}"
        script.chmod(0o600)
        script.write_text(script.read_text().replace(str(PROGRAMS / "resolve-packages"), start))

    def defaults(self, text: str) -> None:
        (self.top / "run" / "conf" / "spark-defaults.conf").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [str(self.top / "spark" / "bin" / "spark-class"), SUBMIT, *words]
        return subprocess.Popen(argv, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    @property
    def resolved(self) -> int:
        """How often something was resolved."""
        calls = self.top / "calls"
        return calls.read_text().count("nothing.py") if calls.exists() else 0


@pytest.fixture
def spark(tmp_path: Path) -> Spark:
    return Spark(tmp_path)


def test_many_at_once_download_once_and_nobody_sees_half_a_file(spark: Spark) -> None:
    running = [spark.start("--packages", "a:b:1", "app.py") for _ in range(4)]
    ends = [(process.communicate(timeout=60), process.returncode) for process in running]
    assert [(out, code) for (out, _), code in ends] == [("to standard output\nwhole", 0)] * 4
    assert spark.resolved == 1 and not (spark.top / "both").exists()
    assert spark.run("--packages", "a:b:1", "app.py")[:2] == (0, "to standard output\nwhole") and spark.resolved == 1


def test_whoever_waits_for_another_download_says_so(spark: Spark) -> None:
    spark.ivy.mkdir()
    with (spark.ivy / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = spark.start("--packages", "a:b:1", "app.py")
        assert process.stderr is not None
        assert process.stderr.readline() == "sparkqfs: waiting for another program that downloads packages\n"
        assert spark.resolved == 0
    process.communicate(timeout=30)
    assert process.returncode == 0 and spark.resolved == 1


def test_what_is_resolved_is_what_the_command_line_and_the_settings_ask_for(spark: Spark, tmp_path: Path) -> None:
    (tmp_path / "p").write_text(
        "spark.jars.repositories = https://me:pw@file.example\nspark.jars.packages = file:a:1\n"
    )
    spark.run("--properties-file", str(tmp_path / "p"), "--conf", "spark.jars.packages=a:b:1", "--verbose", "app.py")
    spark.run("--exclude-packages=x:y", "--packages", "c:d:1", "--conf", "spark.jars.packages=a:b:1", "app.py")
    ivy = f"spark.jars.ivy = {spark.ivy}"
    assert (spark.top / "asked").read_text().splitlines() == [
        *("600", "spark.jars.packages = a:b:1", "spark.jars.repositories = https://me:pw@file.example", ivy),
        *("600", "spark.jars.packages = c:d:1", "spark.jars.excludes = x:y", ivy),
    ]
    calls = (spark.top / "calls").read_text()
    assert "pw@" not in calls, "an address may hold a password, and a command line is everybody's to read"
    assert calls.count(f"{SUBMIT} --master local --load-spark-defaults --properties-file {spark.ivy}/.asked-") == 2


def test_packages_of_all_drivers_are_resolved_too(spark: Spark) -> None:
    spark.defaults(f"spark.jars.ivy {spark.ivy}\nspark.jars.packages   a:b:1\n")
    assert spark.run("--name", "x", "app.py")[0] == 0 and spark.resolved == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "x", "app.py"),
        ("app.py", "--packages", "a:b:1"),
        ("--packages", "a:b:1", "--conf", "spark.jars.ivy=/tmp/other", "app.py"),
        ("--conf", "spark.jars.packages=", "app.py"),
    ],
)
def test_without_packages_in_our_cache_there_is_nothing_to_do(spark: Spark, words: tuple[str, ...]) -> None:
    assert spark.run(*words)[0] == 0
    assert spark.resolved == 0


def test_a_download_that_fails_ends_it_and_what_it_left_is_not_used(spark: Spark) -> None:
    older = spark.ivy / "jars" / "older.jar"
    older.parent.mkdir(parents=True)
    older.write_text("older")
    (spark.top / "cut").touch()
    code, out, _ = spark.run("--packages", "a:b:1", "app.py")
    assert (code, out) == (7, "") and (spark.ivy / "jars" / "lib.jar").read_text() == "half"
    dated = spark.ivy / "jars" / "dated.jar"
    dated.write_text("as old as the repository says")
    os.utime(dated, (time.time() - 60,) * 2)
    (spark.top / "cut").unlink()
    (spark.top / "downloading").unlink()
    (spark.top / "spark" / "bin" / "spark-class").write_text(
        SPARK_CLASS.replace("printf half >", "ls $TOP/ivy/jars >&2; : ")
    )
    code, out, err = spark.run("--packages", "a:b:1", "app.py")
    assert (code, out) == (0, "to standard output\nwhole")
    assert "older.jar" in err and "lib.jar" not in err and "dated.jar" not in err
    assert not (spark.ivy / ".broken").exists()


DOWNLOAD = """\
#!/bin/sh
mkdir -p "$TOP/ivy/cache/a" "$TOP/ivy/jars"
printf whole > "$TOP/ivy/cache/a/a.jar.part"
mv "$TOP/ivy/cache/a/a.jar.part" "$TOP/ivy/cache/a/a.jar"
touch -d 2001-01-01 "$TOP/ivy/cache/a/a.jar"
ln -sf ../cache/a/a.jar "$TOP/ivy/jars/a.jar"
"""


@pytest.mark.parametrize("version", ["1", "1-SNAPSHOT"])
def test_what_was_downloaded_is_on_the_disk_before_it_counts_as_done(
    spark: Spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    (spark.top / "spark" / "bin" / "spark-class").write_text(DOWNLOAD)
    (spark.ivy / "jars").mkdir(parents=True)
    (spark.ivy / "jars" / "older.jar").touch()
    seen: list[str] = []
    real, unlink = os.fsync, Path.unlink

    def fsync(descriptor: int) -> None:
        seen.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(f"{spark.ivy}/"))
        real(descriptor)

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        seen.append(f"removed {path.name}")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "unlink", unlinked)
    words = {"packages": f"a:b:{version}"}
    assert packages.resolve_once(words, spark.ivy, spark.environ) == 0
    kept = ["cache/a/a.jar", "cache/a", "cache", str(spark.ivy)]
    began, ended = seen.index(".broken"), len(seen) - 1 - seen[::-1].index("removed .broken")
    assert seen[began + 1] == str(spark.ivy), "a power cut must not take the sign that a download has begun"
    assert sorted(one for one in seen[began + 2 : ended] if one in kept) == sorted(kept)
    assert [one for one in seen[began + 2 : ended] if one in kept[:3]] == kept[:3]
    assert "jars/older.jar" not in seen
    done = [at for at, one in enumerate(seen) if one.startswith("done/")]
    assert seen[ended + 1] == str(spark.ivy) and (min(done) > ended + 1 if version == "1" else not done)


def test_a_disk_that_does_not_keep_a_download_fails_the_program_and_marks_nothing(spark: Spark, tmp_path: Path) -> None:
    (spark.top / "run" / "conf" / "spark-defaults.conf").write_text("spark.jars.ivy /proc/none\n")
    code, _, err = spark.run("--packages", "a:b:1", "app.py")
    assert code == 1 and "sparkqfs: the packages cannot be kept in /proc/none: " in err and "Traceback" not in err


def test_a_version_that_may_change_is_asked_for_each_time(spark: Spark) -> None:
    for _ in range(2):
        spark.run("--packages", "a:b:1-SNAPSHOT", "app.py")
    assert spark.resolved == 2


@pytest.mark.parametrize("text", ["1.0", "2.13.0-rc1"])
def test_a_plain_version_stays(text: str) -> None:
    assert packages.CHANGING.search(text) is None


@pytest.mark.parametrize("text", ["1-SNAPSHOT", "latest.release", "[1,2)", "1.+"])
def test_other_versions_may_change(text: str) -> None:
    assert packages.CHANGING.search(text) is not None
