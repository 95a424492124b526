"""Settings of a program from its properties file, from --conf and from flags, and those that cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sparkqfs.errors import Problem
from sparkqfs.plan.programs.refused import REFUSED_SETTINGS
from sparkqfs.plan.programs.user import Program
from sparkqfs.plan.sizes import mebibytes

LISTS = {
    "spark.files": "files",
    "spark.jars": "jars",
    "spark.submit.pyFiles": "py_files",
    "spark.archives": "archives",
}
"""Settings that name files, and the field of `Program` that is the same as a flag."""
MAVEN = ("spark.jars.packages", "spark.jars.excludes", "spark.jars.repositories")
LEAST_MIB = 450
"""Spark 4.1, memory/UnifiedMemoryManager.scala: 1.5 times 300 MiB, for a driver and for an executor."""
SIZES = (
    *("spark.driver.memory", "spark.executor.memory", "spark.driver.memoryOverhead", "spark.executor.memoryOverhead"),
    *("spark.executor.pyspark.memory", "spark.memory.offHeap.size", "spark.driver.maxResultSize"),
)
NUMBERS = ("spark.cores.max", "spark.executor.cores", "spark.executor.instances", "spark.task.cpus")
SECRET = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)
IN_ADDRESS = re.compile(r"(//[^/@\s:]*:)[^/@\s]+@")
"""Spark's own spark.redaction.regex."""


def properties_of(program: Program) -> dict[str, str]:
    """What counts of its properties file: names of Spark that neither --conf nor a flag says, lists of files apart."""
    said = {*conf_of(program), *program.flag_settings(), *LISTS}
    return _normal({name: value for name, value in program.properties if name not in said})


def conf_of(program: Program) -> dict[str, str]:
    """What --conf says; the last one of a name counts. As in spark-submit blanks and line ends are part of a value."""
    words = (text.partition("=") for text in program.conf)
    return _normal({name: value for name, _, value in words})


def settings_of(program: Program, defaults: Mapping[str, str]) -> dict[str, str]:
    """What its application gets, unless the program itself sets another value."""
    return {**defaults, **dict(program.properties), **conf_of(program), **program.flag_settings()}


def refused_settings(program: Program) -> list[Problem]:
    """Faults of settings that cannot be, or that Spark would fail with only when it has started."""
    faults = []
    for name, value in {**dict(program.properties), **conf_of(program)}.items():
        if name in REFUSED_SETTINGS:
            faults.append(Problem(what=f"{name}={value} cannot be: {REFUSED_SETTINGS[name]}"))
    settings = settings_of(program, {})
    faults += [*_no_sizes(settings), *_no_numbers(settings)]
    for name in ("spark.driver.memory", "spark.executor.memory"):
        size = mebibytes(settings.get(name, f"{LEAST_MIB}m"))
        if size is not None and size < LEAST_MIB:
            what = f"{name} is {settings[name]}: Spark does not start with less than {LEAST_MIB}m"
            is_bare = settings[name].strip().isdigit()
            hint = f"a number without a unit is MiB: write {max(1, size)}g" if is_bare else None
            faults.append(Problem(what=what, hint=hint))
    for name in ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions"):
        if re.search(r"(^|\s)['\"]?-Xmx", settings.get(name, "")):
            flag = "--driver-memory" if ".driver." in name else "--executor-memory"
            faults.append(Problem(what=f"{name}: Spark does not take -Xmx there: use `{flag}`"))
    return faults


def _no_sizes(settings: Mapping[str, str]) -> Iterator[Problem]:
    """Spark's sizes have no fraction, and the units b, k, m, g, t, p, also with a b: `4GiB` is none."""
    for name in SIZES:
        if name in settings and mebibytes(settings[name]) is None:
            binary = re.fullmatch(r"\s*([0-9]{1,15})\s*([kmgtp])i?b?\s*", settings[name].lower())
            hint = f"write {binary[1]}{binary[2]}" if binary else None
            what = f"--conf {name}={settings[name]}: expected a size, such as 4g or 512m"
            yield Problem(what=what, hint=hint)


def _no_numbers(settings: Mapping[str, str]) -> Iterator[Problem]:
    for name in NUMBERS:
        if name in settings and not re.fullmatch(r"[1-9][0-9]{0,8}", settings[name].strip()):
            yield Problem(what=f"--conf {name}={settings[name]}: must be 1 or more")


def maven_lists(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of the settings that are lists for Maven, without blanks: Spark would take ` org.x` for a group."""
    found = {name: settings[name].split(",") for name in MAVEN if name in settings}
    return {name: ",".join(part.strip() for part in parts) for name, parts in found.items()}


def _normal(settings: dict[str, str]) -> dict[str, str]:
    """The driver's heap as its JVM reads it: `2gb` and a number without a unit are sizes for Spark alone."""
    size = mebibytes(settings.get("spark.driver.memory", ""))
    return settings | maven_lists(settings) | ({"spark.driver.memory": f"{size}m"} if size is not None else {})


def masked(word: str) -> str:
    """A word of spark-submit's for people: what looks like a secret is not shown, nor a password in an address."""
    name, equals, value = word.partition("=")
    if equals and value and name.startswith("spark.") and SECRET.search(word):
        return f"{name}=****"
    return IN_ADDRESS.sub(r"\1****@", word)
