"""Files of this computer that settings name: they are sent, or it is said what to do instead.

Which they are is known of Spark's own settings. Any other setting that names a file of this computer is refused: the
program would not find it, or would find another one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from sparkqfs.errors import Problem
from sparkqfs.plan.programs.user import is_uri, local_path, split_alias

Here = Callable[[str], str]
"""What a path is on this computer: `file`, `directory` or nothing."""
FILES = {"spark.jars.ivySettings": "", "spark.scheduler.allocation.file": "file://"}
"""The driver reads them; where the text before the path is needed, Spark looks on the storage without it."""
CLASS_PATHS = frozenset({"spark.driver.extraClassPath", "spark.driver.extraLibraryPath"})
JAVA_OPTIONS = frozenset({"spark.driver.extraJavaOptions", "spark.driver.defaultJavaOptions"})
LOG4J = re.compile(r"-Dlog4j2?\.configurationFile")
DRIVERS_LOG4J = "/run/sparkqfs/conf/log4j2.properties"
"""Ours is merged with the user's: `submit` reads the application's id from what it writes."""
IN_IMAGE = ("/opt/spark", "/opt/venv")
SYSTEM = ("/usr/", "/etc/", "/bin/", "/sbin/", "/lib", "/proc/", "/dev/", "/sys/", "/run/")
"""Every Linux has files here: a path that is here may be meant of the containers."""
NAMED = re.compile(r"[^\s.]\.[A-Za-z][A-Za-z0-9_-]{0,11}$")
"""A name with an ending; without one, and without a directory, a value is a word that a file happens to be called."""
LIKE_A_PATH = re.compile(r"(\.\.?|~[^/\s]*)/")
"""A `~` alone is a word: `spark.x=~`."""
EXECUTORS_PYTHON, DRIVERS_PYTHON = "spark.pyspark.python", "spark.pyspark.driver.python"
INSTEAD = {
    "spark.executor.extraClassPath": "--jars sends a jar to the executors' class path",
    "spark.executor.extraLibraryPath": "a native library belongs into the image: worker.requirements",
    "spark.metrics.conf": "give its lines as settings: --conf spark.metrics.conf.NAME=VALUE",
    EXECUTORS_PYTHON: "executors have the image's Python: packages come with worker.requirements, or as "
    "--archives env.tar.gz#env and --conf spark.pyspark.python=./env/bin/python",
    "spark.yarn.dist.archives": "that is for YARN; here --archives FILE#NAME sends an archive",
    "spark.yarn.dist.files": "that is for YARN; here --files sends a file",
    "spark.yarn.dist.jars": "that is for YARN; here --jars sends a jar",
    DRIVERS_PYTHON: "drivers have the image's Python: packages come with worker.requirements",
}
OF_EXECUTORS = (
    "executors start before their files arrive: their log level is --conf spark.log.level=DEBUG; other files belong "
    "into the image"
)
TO_DO = "send it with --files, and name it in the program with SparkFiles.get; or put it on the storage: `invoke put`"


@dataclass(slots=True)
class SettingFiles:
    """Looks at settings one by one."""

    here: Here
    place: Callable[[str, str], str]
    """Puts a file into the parcel under a name: its path in the driver's container."""
    faults: list[Problem]
    unpacked: frozenset[str] = frozenset()
    """Names that come into the executors' working directories: `./env/bin/python` is one of theirs then."""

    def value(self, name: str, value: str) -> str:
        """The setting with the paths that its files have in the driver's container."""
        if name in FILES:
            return self._file(name, value.strip())
        if name in CLASS_PATHS:
            is_address = re.match(r"local:/|[a-z][a-z0-9+-]*://", value)
            return value if is_address else ":".join(self._entry(name, entry) for entry in value.split(":"))
        if name in JAVA_OPTIONS:
            return self._options(name, value)
        if name == DRIVERS_PYTHON and self._is_unpacked(value):
            what = f"{name}={value}: archives are unpacked for executors, and the driver is in another directory"
            self.faults.append(Problem(what=what, hint=f"for executors alone: --conf {EXECUTORS_PYTHON}={value}"))
        is_options = name.endswith("JavaOptions")
        words = [word.partition("=")[2] for word in value.split()] if is_options else re.split(r"[,\s]+", value)
        for text in words if is_options else [value, *words]:
            if name == "spark.app.name" or self._is_unpacked(text):
                continue
            kind = self._kind(text) or self._kind(split_alias(text)[0])  # `env.tar.gz#env`
            if kind:
                what = f"{name} names {text}, a {kind} of this computer, which the cluster does not see"
                self.faults.append(Problem(what=what, hint=INSTEAD.get(name, OF_EXECUTORS if is_options else TO_DO)))
                break
        return value

    def _file(self, name: str, value: str) -> str:
        if is_uri(value) or local_path(value).startswith(IN_IMAGE):
            return value
        if self.here(local_path(value)) != "file":
            self.faults.append(Problem(what=f"{name}={value}: no such file on this computer"))
        return FILES[name] + self.place(value, "")

    def _entry(self, name: str, entry: str) -> str:
        """One of a class path: a jar, a directory, or all jars of a directory (`lib/*`)."""
        path, star = (entry[:-2], "/*") if entry.endswith("/*") else (entry, "")
        path = local_path(path)
        if not path or path.startswith(IN_IMAGE) or is_uri(entry):
            return entry
        kind = self.here(path)
        if not kind and not path.startswith((*SYSTEM, "/opt/")):
            self.faults.append(Problem(what=f"{name}: {entry}: no such file or directory on this computer"))
        if not kind:
            return entry
        if path.strip("/.") == "" or (path.startswith(SYSTEM) and kind == "directory"):
            what = f"{name}: {entry} would be sent with all that is in it"
            self.faults.append(Problem(what=what, hint="name the jars, or a directory that has nothing else"))
            return entry
        return self.place(path.rstrip("/"), "") + star

    def _options(self, name: str, value: str) -> str:
        """`-Dname=FILE`, `-javaagent:FILE` and the like. The quotes of other words stay as they are."""
        try:
            words = shlex.split(value)
        except ValueError as error:
            self.faults.append(Problem(what=f"{name}: {error}"))  # the value may be a secret
            return value
        changed = [self._option(name, word) for word in words]
        return value if changed == words else " ".join(map(_quoted, changed))

    def _option(self, name: str, word: str) -> str:
        found = re.fullmatch(r"(-D[^=]+=|-javaagent:|-agentpath:)(.*)", word, re.DOTALL)
        if found is None:
            return word
        option, value = found[1], found[2]
        if option == "-Dlog4j.configuration=":
            what = f"{name}: Spark 4 does not read -Dlog4j.configuration"
            self.faults.append(Problem(what=what, hint="-Dlog4j2.configurationFile=FILE, a file for Log4j 2"))
        path, equals, rest = value.partition("=") if option.startswith("-java") else (value, "", "")
        bare = re.sub(r"^file:(?!/)", "", path)
        if LOG4J.match(option):
            paths = [self._log4j(name, re.sub(r"^file:(?!/)", "", one)) for one in bare.split(",")]
            return option + ",".join([DRIVERS_LOG4J, *paths])
        kind = self._kind(bare)
        if kind == "file":
            return option + self.place(bare, "") + equals + rest
        if kind:
            what = f"{name}: {option}{value} names a directory of this computer, which the cluster does not see"
            self.faults.append(Problem(what=what, hint="name the files, or put it on the storage: `invoke put`"))
        return word

    def _log4j(self, name: str, path: str) -> str:
        if is_uri(path) or local_path(path).startswith(IN_IMAGE):
            return path
        if self.here(local_path(path)) != "file":
            self.faults.append(Problem(what=f"{name}: {path}: no such file on this computer"))
        return self.place(path, "")

    def _is_unpacked(self, text: str) -> bool:
        """Whether it is, or is in, what executors find in their working directories; the driver's is another one."""
        path = local_path(re.sub(r"^file:(?!/)", "", text))
        return path.removeprefix("./").partition("/")[0] in self.unpacked

    def _kind(self, text: str) -> str:
        """`file` or `directory` of this computer, where it is written like one's path and containers do not have it."""
        path = local_path(re.sub(r"^file:(?!/)", "", text))
        if is_uri(text) or path.startswith((*IN_IMAGE, *SYSTEM)) or len(path) > 4096 or "\0" in path:
            return ""
        is_here = LIKE_A_PATH.match(path) is not None
        if not is_here and "/" not in path and NAMED.search(path) is None:
            return ""
        kind = self.here(path)
        return kind if is_here or kind == "file" else ""


def _quoted(word: str) -> str:
    """As Spark's launcher reads it: double quotes around what has spaces."""
    if not re.search(r"[\s'\"\\]", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
