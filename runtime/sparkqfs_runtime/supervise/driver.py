"""Drivers of Spark applications: their settings, and a program that was submitted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from sparkqfs import durable, topology
from sparkqfs_runtime import kept_output, scratch, tidy
from sparkqfs_runtime.supervise import downloads, restarts, storage
from sparkqfs_runtime.supervise.address import name_host
from sparkqfs_runtime.supervise.disks import apps_dir, enter_scratch, sync
from sparkqfs_runtime.supervise.processes import Daemon, reap, send, start
from sparkqfs_runtime.supervise.setup import (
    EX_CONFIG,
    QUIET_LOG,
    STOP_SIGNALS,
    WAITED_SIGNALS,
    Refusal,
    Setup,
    die,
    make_home,
    say,
    write_env,
    write_private,
)
from sparkqfs_runtime.supervise.spark import write_spark_defaults

DRIVER_DEADLINE_S = 20.0
"""Less than the driver's grace period in plan/programs/apps.py."""
OUTPUT_BYTES = 64 << 20
"""Kept of a program's stdout, and of its stderr, unless the stack says otherwise."""
OUTPUT_DEADLINE_S = 3.0
"""For whoever follows a program to read what is still in its pipes when it has ended."""
DRAIN_S = {"ended": kept_output.DRAIN_S, "stopped": kept_output.STOP_S}
"""Then for the disk to take it; a container that is stopped has no more time."""
DRIVER_OOM_SCORE = 500
"""Of -1000 to 1000; everything else has 0. A process may raise its own, and take back what it raised."""


DRIVER_LOG = (
    QUIET_LOG
    + """\
logger.shutdown.name = org.apache.spark.network.util.JavaUtils
logger.shutdown.level = error
"""
)
"""What a person at a notebook wants to see; the daemons keep Spark's own setting."""


APP_LOG = """\
appender.app.type = File
appender.app.name = app
appender.app.fileName = {file}
appender.app.layout.type = PatternLayout
appender.app.layout.pattern = %m%n
appender.app.filter.id.type = RegexFilter
appender.app.filter.id.regex = .*app ID app-.*
appender.app.filter.id.onMatch = accept
appender.app.filter.id.onMismatch = deny
appender.executors.type = File
appender.executors.name = executors
appender.executors.fileName = {executors}
appender.executors.layout.type = PatternLayout
appender.executors.layout.pattern = %m%n
appender.executors.filter.granted.type = RegexFilter
appender.executors.filter.granted.regex = Granted executor ID .*
appender.executors.filter.granted.onMatch = accept
appender.executors.filter.granted.onMismatch = deny
logger.app.name = org.apache.spark.scheduler.cluster.StandaloneSchedulerBackend
logger.app.level = info
logger.app.additivity = false
logger.app.appenderRef.file.ref = app
logger.app.appenderRef.executors.ref = executors
logger.app.appenderRef.stderr.ref = stderr
logger.app.appenderRef.stderr.level = warn
"""
"""The line with the application's id goes to a file, where `invoke submit` finds it, those of its executors to another:
one that is there and empty says that it got none."""


def prepare_driver(setup: Setup, log: str) -> None:
    """Settings of drivers in this container: executors reach them under its address."""
    address = storage.as_client(setup)
    local_dirs = setup.environ.setdefault("SPARK_LOCAL_DIRS", "/data/spark/local")
    enter_scratch(setup, "driver", local_dirs)
    make_home(setup, Path(local_dirs.split(",")[0]).parent / "home")
    # Not SPARK_LOCAL_IP: it would also bind the application's UI to the cluster's network only.
    setup.environ.pop("SPARK_LOCAL_IP", None)
    name_host(setup, address)
    driver = {
        "spark.driver.host": address,
        "spark.driver.bindAddress": "0.0.0.0",
        "spark.driver.port": str(topology.DRIVER_PORT),
        "spark.driver.blockManager.port": str(topology.DRIVER_BLOCKS_PORT),
        "spark.ui.port": str(int(app_ui_port(setup)) + 1),
        "spark.port.maxRetries": "64",
    }
    write_spark_defaults(setup, driver)
    downloads.prepare(setup)
    write_private(setup.conf_dir / "log4j2.properties", log)


def app_ui_port(setup: Setup) -> str:
    """Of the page in front of all drivers' pages; those take the next free ones."""
    return setup.get("SPARKQFS_APP_UI_PORT", str(topology.APP_UI_PORT))


WORK = "work"
"""In a program's directory: where it runs. What it writes under a plain name meets none of our own files there."""
SENT = "files"
"""What was sent with it, in its directory; in `WORK` under the same name."""
DRIVER_PYTHON = "/opt/sparkqfs/bin/driver-python"
"""Keeps a program's standard error apart from its standard output."""


def run_driver(setup: Setup) -> int:
    """A user's program under spark-submit, described by `app.json` in its directory; its exit code, kept there too."""
    folder = apps_dir(setup) / setup.get("SPARKQFS_APP", "none")
    if not folder.is_dir() and folder.parent.is_dir():
        say(f"{folder} is not there any more: somebody has removed the program")
        return 0  # what fails may be started again, for ever
    try:
        known = json.loads((folder / "app.json").read_text(encoding="utf-8"))
        argv = [str(word) for word in known["argv"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        die(EX_CONFIG, f"cannot read {folder / 'app.json'}: {error}")
    with contextlib.suppress(OSError):
        scratch.hold(folder)
    if not known.get("restart"):
        code, word, text = run_program(setup, folder, argv)
        keep_end(folder, code, word, text)
        return code

    def tell(text: str) -> None:
        with contextlib.suppress(OSError):
            add_line(folder, f"sparkqfs: {text}\n")

    runs = restarts.Restarts(folder, tell, lambda code, word, text: keep_end(folder, code, word, text))
    none = runs.begin()
    if none is not None:
        return none
    tidy.regularly("the program's time", restarts.BEAT_S, lambda: os.utime(folder / scratch.LOCK))
    return runs.end(*run_program(setup, folder, argv))


def run_program(setup: Setup, folder: Path, argv: list[str]) -> tuple[int, str, str]:
    """One run: (exit code, `ended` or `stopped`, what is left to say in its standard error)."""
    try:
        prepare_driver(
            setup, DRIVER_LOG + APP_LOG.format(file=folder / "spark.log", executors=folder / "executors.log")
        )
        enter_work(folder)
    except Refusal as refusal:
        return int(str(refusal.code)), "ended", f"the driver cannot start: {refusal.text}\n"
    setup.environ["PYTHONUNBUFFERED"] = "1"
    write_env(setup)
    submit = (str(setup.spark_home / "bin" / "spark-submit"), "--conf", f"spark.pyspark.driver.python={DRIVER_PYTHON}")
    kept = kept_output.Kept(folder, int(setup.get("SPARKQFS_PROGRAM_LOG_BYTES", str(OUTPUT_BYTES))))
    with first_victim():
        pid = start(Daemon("driver", (*submit, *argv), output=kept), setup.environ)
    if pid == 0:
        return 1, "ended", f"{submit[0]} cannot be started\n"
    code, word = wait_for_driver(pid)
    lost = kept.finish(OUTPUT_DEADLINE_S, DRAIN_S[word], lambda: bool(signal.sigpending() & STOP_SIGNALS))
    return code, word, f"sparkqfs: the disk was too slow for the last {lost} bytes\n" if lost else ""


def enter_work(folder: Path) -> None:
    """The program's working directory, which its next run has too. Exits 78 when there is no room for it."""
    work = folder / WORK
    try:
        work.mkdir(mode=0o750, exist_ok=True)
        if (folder / SENT).is_dir():
            with contextlib.suppress(FileExistsError):
                (work / SENT).symlink_to(Path("..") / SENT)
        os.chdir(work)
    except OSError as error:
        die(EX_CONFIG, f"cannot enter {work}: {error}")


def keep_end(folder: Path, code: int, word: str, text: str = "") -> None:
    """What whoever follows the program looks for: nobody reads the container's own log."""
    if text:
        with contextlib.suppress(OSError):  # a full disk
            add_line(folder, text)
    for path in kept_output.pieces_of(folder):
        with contextlib.suppress(OSError):
            sync(path)
    durable.replace_file(folder / "exit", f"{code} {word}\n".encode(), 0o640)


def add_line(folder: Path, text: str) -> None:
    """To the program's standard error, while nothing else writes there."""
    last = max(kept_output.pieces_of(folder, "stderr"), default=folder / "stderr")
    with last.open("a", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def first_victim() -> Iterator[None]:
    """What starts meanwhile goes first when the machine's memory runs out, before the storage and Spark's daemons."""
    score = Path("/proc/self/oom_score_adj")
    try:
        before = int(score.read_text())
        score.write_text(str(max(before, DRIVER_OOM_SCORE)))
    except (OSError, ValueError) as error:
        say(f"the driver's place when memory runs out stays as it is: {error}")
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            score.write_text(str(before))


def wait_for_driver(pid: int) -> tuple[int, str]:
    """(exit code, `ended` or `stopped`). A stop gives Spark time to take its leave from the master."""
    word, end = "ended", float("inf")
    while True:
        received = signal.sigtimedwait(WAITED_SIGNALS, max(0.0, min(end - time.monotonic(), 3600.0)))
        if received is not None and received.si_signo in STOP_SIGNALS and word == "ended":
            say(f"{signal.Signals(received.si_signo).name}: stopping")
            word, end = "stopped", time.monotonic() + DRIVER_DEADLINE_S
            send(pid, signal.SIGTERM, group=True)
        elif received is None and time.monotonic() >= end:
            send(pid, signal.SIGKILL, group=True)
            end = float("inf")
        code = reap().get(pid)
        if code is not None:
            send(pid, signal.SIGKILL, group=True)
            return (code if code >= 0 else 128 - code), word
