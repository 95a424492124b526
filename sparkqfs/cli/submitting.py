"""`submit`: spark-submit's flags, and the program's own words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Argument

from sparkqfs.cli import submit_words
from sparkqfs.cli.flags import Flags, cluster_task, names
from sparkqfs.cli.help_flag import HelpfulTask
from sparkqfs.cli.running import reporting, run
from sparkqfs.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.programs.user import Program
    from sparkqfs.plan.steps import JobResult

LISTS = ("py_files", "jars", "files", "archives", "packages", "exclude_packages", "repositories")
MAY_BE_EMPTY = (
    *LISTS,
    *("driver_class_path", "driver_library_path", "driver_java_options"),
)
"""An empty list is a list; scripts for spark-submit have such."""
DAY_S = 86400
UNIT_NEEDED_MIB = 64 * 1024**2
"""A size of more than 64 TiB is one in bytes."""


def words_of(task: HelpfulTask, arguments: list[Argument]) -> submit_words.Known:
    """What words may mean on a command line with this task."""
    return submit_words.known_of(task.called or frozenset(["submit"]), task.others, arguments, refused_flags)


def refused_flags() -> dict[str, str]:
    """Flag without its dashes → why it cannot be. Help does without them."""
    from sparkqfs.plan.programs.refused import REFUSED_FLAGS

    return REFUSED_FLAGS


def more(task: HelpfulTask, arguments: list[Argument]) -> list[Argument]:
    """The program's own words on this command line; none where the task is not called."""
    words = sys.argv[1:]
    if not (task.called or frozenset(["submit"])) & set(words):
        return []
    return submit_words.extra_arguments(words, words_of(task, arguments))


@cluster_task(
    "dry_run",
    positional=["program"],
    iterable=["conf"],
    short={"conf": "c"},
    more=more,
    may_be_empty=MAY_BE_EMPTY,
    help={
        "program": "a .py or .jar file of this computer, or a URI; its own arguments follow, with dashes after --",
        "name": "name of the application (default: the file's)",
        "class_": "main class of a .jar",
        "py_files": "modules it imports: .py, .zip, .egg or a directory, comma-separated",
        "jars": "jars for driver and executors, comma-separated",
        "files": "files for every executor's working directory, FILE or FILE#NAME, comma-separated",
        "archives": "archives unpacked there, FILE or FILE#DIRECTORY, comma-separated",
        "packages": "Maven packages, group:artifact:version, comma-separated",
        "exclude_packages": "group:artifact of what they need and shall not come, comma-separated",
        "repositories": "further repositories for --packages, comma-separated",
        "conf": "spark.NAME=VALUE, more than one allowed",
        "properties_file": "file with settings; --conf takes precedence",
        "cores": "cores, up to whole executors, or all (default: half of the executors, one on each node at least)",
        "total_executor_cores": "the same as --cores",
        "num_executors": "how many executors, in place of --cores",
        "executor_cores": "cores of an executor",
        "executor_memory": "heap of an executor, 2G or 1000M",
        "driver_memory": "heap of the driver, 2g or 512m",
        "driver_class_path": "jars and directories for the driver's class path, colon-separated",
        "driver_library_path": "directories with the driver's native libraries, colon-separated",
        "driver_java_options": "options of the driver's JVM",
        "restart": "run it again when it fails or its machine was down, until it ends with 0 or `kill` ends it",
        "detach": "leave it running and say its id",
        "timeout": "seconds, then it is ended",
    },
)
def submit(
    given: Flags,
    program: str,
    name: str | None = None,
    class_: str | None = None,
    py_files: str | None = None,
    jars: str | None = None,
    files: str | None = None,
    archives: str | None = None,
    packages: str | None = None,
    exclude_packages: str | None = None,
    repositories: str | None = None,
    conf: list[str] | None = None,
    properties_file: str | None = None,
    cores: str | None = None,
    total_executor_cores: str | None = None,
    num_executors: str | None = None,
    executor_cores: str | None = None,
    executor_memory: str | None = None,
    driver_memory: str | None = None,
    driver_class_path: str | None = None,
    driver_library_path: str | None = None,
    driver_java_options: str | None = None,
    restart: bool = False,
    detach: bool = False,
    timeout: int = DAY_S,
) -> None:
    """Run a .py or .jar on the cluster. Shows its output, returns its exit code; Ctrl-C stops it."""
    said = dict(locals())
    with reporting(given, "submit") as reporter:
        all_cores = one_of(("--cores", cores), ("--total-executor-cores", total_executor_cores))
        wanted = wanted_program(said, all_cores, reporter.event)
        for one in (one for one in LISTS if one in submit.repeated):
            reporter.event(f"--{one.replace('_', '-')} is given more than once; the last one counts: {said[one]}")
        if detach and timeout != DAY_S:
            hint = "`invoke kill ID` ends it; without --detach it is waited for, and ended in time"
            raise ConfigError(
                Problem(what="--timeout and --detach: nobody waits for a program that is left", hint=hint)
            )

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import submit

        return submit.submit(
            session, wanted, output=reporter.passed_on, detach=detach, take_all=all_cores == "all", timeout_s=timeout
        )

    run("submit", job, given, has_screen=True)


def wanted_program(said: dict[str, Any], cores: str | None, say: Callable[[str], None]) -> Program:
    """The program of these flags. Raises `ConfigError` with all that is wrong with them."""
    from sparkqfs.plan.programs.user import Program

    return Program(
        program=said["program"],
        arguments=passed_words(),
        name=said["name"],
        main_class=said["class_"],
        conf=tuple(said["conf"] or ()),
        restart=said["restart"],
        properties=settings_in(said["properties_file"], say),
        cores=None if cores == "all" else number_of("--cores", cores, ", or all"),
        num_executors=number_of("--num-executors", said["num_executors"]),
        executor_cores=number_of("--executor-cores", said["executor_cores"]),
        executor_memory_mib=memory_of("--executor-memory", said["executor_memory"]),
        driver_memory_mib=memory_of("--driver-memory", said["driver_memory"]),
        py_files=names(said["py_files"]),
        jars=names(said["jars"]),
        files=names(said["files"]),
        archives=names(said["archives"]),
        packages=names(said["packages"]),
        exclude_packages=names(said["exclude_packages"]),
        repositories=names(said["repositories"]),
        driver_class_path=said["driver_class_path"],
        driver_library_path=said["driver_library_path"],
        driver_java_options=said["driver_java_options"],
    )


def passed_words() -> tuple[str, ...]:
    """The program's own arguments on the command line, word by word: Invoke itself would join those after `--`."""
    arguments = [one for one in submit.get_arguments() if not one.name.startswith(submit_words.EXTRA)]
    return tuple(submit_words.read(sys.argv[1:], words_of(submit, arguments)).passed)


def one_of(*given: tuple[str, str | None]) -> str | None:
    """The value of flags that mean the same. Raises `ConfigError` when they say different ones."""
    said = [(flag, text) for flag, text in given if text is not None]
    if len({text for _, text in said}) > 1:
        raise ConfigError(Problem(what=f"{' and '.join(f'{flag} {text}' for flag, text in said)}: they mean the same"))
    return said[0][1] if said else None


def number_of(flag: str, text: str | None, more: str = "") -> int | None:
    """A number from 1 on. Raises `ConfigError`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= 1):
        raise ConfigError(Problem(what=f"{flag} {text}: a number from 1 on{more}"))
    return int(text)


def memory_of(flag: str, text: str | None) -> int | None:
    """MiB of a size as Spark writes it: `2g`, `2G`, `512m`, `1000M`, `1024`. Raises `ConfigError`."""
    if text is None:
        return None
    from sparkqfs.plan.programs.settings import LEAST_MIB
    from sparkqfs.plan.sizes import mebibytes

    found = mebibytes(text)
    if found is not None and text.isdigit() and found < LEAST_MIB:
        what = f"{flag} {text}: {text} is {text} MiB, and Spark needs at least {LEAST_MIB}"
        raise ConfigError(Problem(what=what, hint=f"write {max(1, found)}g"))
    if found is None:
        what = f"{flag} {text}: expected a size, such as 2g or 512m"
        raise ConfigError(
            Problem(what=what, hint="a whole number, with b, k, m, g or t behind it; without one it is MiB")
        )
    if found > UNIT_NEEDED_MIB:
        what = f"{flag} {text}: a number without a unit is MiB, and so much no machine has"
        raise ConfigError(Problem(what=what, hint=f"for bytes write {text}b"))
    return found


def settings_in(path: str | None, say: Callable[[str], None]) -> tuple[tuple[str, str], ...]:
    """The settings of a properties file; as in spark-submit others than Spark's are left out. Raises `ConfigError`."""
    if path is None:
        return ()
    from sparkqfs.plan.programs.properties import parse_properties

    try:
        found = parse_properties(Path(path).expanduser().read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(Problem(what=f"--properties-file {path}: {error.strerror}")) from error
    except (RuntimeError, ValueError) as error:  # nobody has this home; no settings
        raise ConfigError(Problem(what=f"--properties-file {path}: {error}")) from error
    others = sorted(name for name in found if not name.startswith("spark."))
    if others:
        say(f"--properties-file {path}: {', '.join(others[:3])} left out: settings of Spark begin with spark.")
    return tuple((name, value) for name, value in found.items() if name not in others)
