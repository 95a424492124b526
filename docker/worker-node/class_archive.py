"""Makes an archive of the classes that Spark's programs load, so that a JVM maps it instead of reading jars.

One JVM does what most programs do (class_training.py) and writes at its end which classes it has loaded, linked and
checked. Every JVM of this image whose class path begins with the same jars maps that file, and shares it with its
neighbours ("class data sharing": JEP 350, and the java command's page). The jars are named in one that has nothing
else, and is Spark's first: a `*` of a class path has the order of the disk, and settings of a cluster come after it.
Usage: class_archive.py SPARK_HOME, by the Python that has that Spark. Writes jars/sparkqfs-first.jar and classes.jsa.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

FIRST = "jars/sparkqfs-first.jar"
ARCHIVE = "classes.jsa"
LINE = 70
"""Bytes of a manifest's line, of the 72 that it may have with its end (JAR File Specification)."""
QUICK = "-XX:TieredStopAtLevel=1"
"""Compiles quickly instead of well: half of the processor's time of so short a run."""
TRAINING_S = 900
"""On a small and busy machine."""
CHECK_S = 120
MAIN = "org.apache.spark.deploy.SparkSubmit"
"""A driver's main class, which must come out of the archive."""
SETTINGS = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.catalogImplementation": "hive",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:training;create=true",
    "spark.eventLog.enabled": "true",
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
}


def manifest(jars: Iterable[str]) -> str:
    """Of a jar that stands for others beside it, in this order."""
    line = f"Class-Path: {' '.join(jars)}"
    lines = [line[:LINE]] + [f" {line[at : at + LINE - 1]}" for at in range(LINE, len(line), LINE - 1)]
    return "".join(f"{line}\r\n" for line in ["Manifest-Version: 1.0", *lines, ""])


def write_first(home: Path) -> Path:
    """The jar that names all others of Spark."""
    first = home / FIRST
    jars = sorted(path.name for path in first.parent.glob("*.jar") if path != first)
    with zipfile.ZipFile(first, "w") as jar:
        jar.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", (2020, 1, 1, 0, 0, 0)), manifest(jars))
    first.chmod(0o644)
    return first


def run(argv: list[str], folder: Path, environ: Mapping[str, str], timeout_s: float) -> str:
    """What a program says; raises `ValueError` with its last lines when it fails or takes too long."""
    log = folder / "log"
    with log.open("w", encoding="utf-8") as out:
        try:
            code = subprocess.run(
                argv, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=environ, timeout=timeout_s, check=False
            ).returncode
            ended = f"ended with {code}"
        except subprocess.TimeoutExpired:
            code, ended = -1, f"did not end in {timeout_s:.0f} s"
    said = log.read_text(encoding="utf-8", errors="replace")
    if code != 0:
        raise ValueError("\n".join([*said.splitlines()[-40:], f"{argv[0]} {ended}"]))
    return said


def train(home: Path, first: Path, archive: Path, folder: Path) -> None:
    """Run the program whose JVM writes the archive."""
    conf = folder / "conf"
    conf.mkdir()
    settings = SETTINGS | {
        "spark.driver.extraClassPath": str(first),
        "spark.driver.extraJavaOptions": f"{QUICK} -XX:ArchiveClassesAtExit={archive}",
        "spark.local.dir": f"{folder}/local",
        "spark.eventLog.dir": str(folder),
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
    }
    words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    environ = os.environ | {"SPARK_CONF_DIR": str(conf), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(home)}
    program = Path(__file__).with_name("class_training.py")
    run([f"{home}/bin/spark-submit", *words, str(program), str(folder)], folder, environ, TRAINING_S)
    archive.chmod(0o644)


def check(first: Path, archive: Path, folder: Path) -> None:
    """A JVM takes classes out of the archive, with something behind the jars on its class path."""
    words = (f"-XX:SharedArchiveFile={archive}", "-Xlog:class+load", "-cp", f"{first}:{folder}", MAIN, "--version")
    said = run(["java", *words], folder, os.environ, CHECK_S)
    if not any(f" {MAIN} " in line and "shared objects file" in line for line in said.splitlines()):
        raise ValueError(f"{MAIN} does not come out of {archive}")


def main(home: Path) -> None:
    """All of it."""
    first, archive = write_first(home), home / ARCHIVE
    with tempfile.TemporaryDirectory() as folder:
        train(home, first, archive, Path(folder))
        check(first, archive, Path(folder))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ValueError as error:
        sys.exit(f"class_archive.py: {error}")
