"""What `submit` sends to the manager, and spark-submit's words for it, from what the user typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.plan.programs.properties import as_properties
from sparkqfs.plan.programs.setting_files import Here, SettingFiles
from sparkqfs.plan.programs.settings import LISTS, conf_of, properties_of, refused_settings
from sparkqfs.plan.programs.user import Program, is_uri, local_path, split_alias

FOLDER = "apps"
"""Of the drivers, one directory each, under the manager's `spark` directory."""
IN_CONTAINER = PurePosixPath("/data/spark") / FOLDER
MEMORY = "spark.driver.memory"
PROPERTIES = "submit.properties"
"""What --properties-file gives, in the driver's directory: its values may be secret and are in no argument list."""
PLAIN_NAME = re.compile(r"[\w.@+=~-]+")
ARCHIVES = (".zip", ".jar", ".tar", ".tar.gz", ".tgz")
"""Spark 4.1, util/Utils.scala, unpack: of another name it copies the file as it is."""
UNFOUND = re.compile(r"[\[\]{?:]")
"""In the name of a file of a list: Spark 4.1.1 ends with an exception or, for `{`, leaves the file out (tried each)."""
MODULES = (".py", ".zip", ".egg", ".jar")
"""Spark 4.1, PACKAGE_EXTENSIONS of its SparkContext in Python: these are put on Python's path, and .py files."""
COORDINATE = re.compile(r"[^\s:,/]+[:/][^\s:,/]+:[^\s:,/]+")
"""`group:artifact:version`; Spark takes a slash for the first colon too."""
SCALA = "2.13"
"""Spark 4's only one; classes of another Scala are not found, or fail when they run."""
OTHER_SCALA = re.compile(r"_(2\.1[0-2])(?=:)")
DELTA = re.compile(r"io\.delta[:/]delta-(core|spark|storage)(?=[_:])")
"""What the images have; other artifacts of that group, such as delta-sharing, they have not."""


def a_file(_path: str) -> str:
    """For words whose files are looked at elsewhere."""
    return "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What goes to the manager: spark-submit's arguments, and the files under their names there."""

    name: str
    argv: tuple[str, ...]
    files: dict[str, str]
    """Name under `files/` → path on this computer. A directory goes with all that is in it."""
    zipped: frozenset[str] = frozenset()
    """Those of the names that are a directory of Python modules here and a zip there."""
    properties: str = ""
    """Content of PROPERTIES; empty for no such file."""
    restart: bool = False


def pack(program: Program, submission: str, here: Here = a_file) -> Parcel:
    """The parcel of a program. Raises `ConfigError` with everything that is wrong with the words and the paths."""
    packer = _Packer(submission, here)
    packer.faults += [*wrong_words(program), *refused_settings(program)]
    parcel = packer.parcel(as_flags(program))
    if packer.faults:
        raise ConfigError(*packer.faults)
    return parcel


def wrong_words(program: Program) -> list[Problem]:
    """Faults of the words themselves."""
    faults = [Problem(what=f"--conf {text}: expected spark.NAME=VALUE") for text in program.conf if not _is_conf(text)]
    if not re.search(r"\.(py|jar)$", program.program):
        what = f"{program.program} is not a program that Spark can run"
        faults.append(Problem(what=what, hint=_way_to_run(program.program)))
    if program.program.endswith(".jar") and program.main_class is None:
        faults.append(Problem(what=f"{program.program}: which class?", hint="name its main class with --class"))
    faults += [fault for text in program.packages if (fault := _wrong_package("--packages ", text)) is not None]
    settings = {**dict(program.properties), **conf_of(program)}
    faults += [
        fault
        for text in settings.get("spark.jars.packages", "").split(",")
        if text.strip() and (fault := _wrong_package("spark.jars.packages: ", text.strip())) is not None
    ]
    faults += [
        Problem(what=f"--exclude-packages {text}: expected group:artifact")
        for text in program.exclude_packages
        if not re.fullmatch(r"[^\s:,]+:[^\s:,]+", text)
    ]
    faults += [
        Problem(what=f"--repositories {text}: expected an address such as https://repo.example/maven2")
        for text in program.repositories
        if not re.match(r"(https?|file)://?\S+$", text)
    ]
    said = map(str.strip, program.repositories or settings.get("spark.jars.repositories", "").split(","))
    faults += [_own_repository(text) for text in said if text.startswith("file:") and not is_uri(text)]
    return faults


def _own_repository(text: str) -> Problem:
    """One of this computer, where the driver looks on the manager."""
    what = f"{text}: a repository of this computer, which the cluster does not see"
    hint = "--jars sends its jars, with what they need; or name a repository that the manager reaches"
    return Problem(what=what, hint=hint)


def _way_to_run(path: str) -> str:
    """What a file is for that is not a program of Spark's."""
    if path.endswith(".ipynb"):
        return f"`invoke notebook {shlex.quote(path if '/' in path else f'./{path}')}` runs a notebook"
    if path.endswith(".sql"):
        return f"`invoke sql -f {shlex.quote(path)}` runs statements"
    return "a Python program's name ends with .py, a Java or Scala one's with .jar"


def _wrong_package(where: str, text: str) -> Problem | None:
    """A package that Maven cannot name, of another Scala, or of what the images have."""
    if not COORDINATE.fullmatch(text):
        hint = "for example org.postgresql:postgresql:42.7.4; several with a comma between them"
        return Problem(what=f"{where}{text}: expected group:artifact:version", hint=hint)
    if DELTA.match(text):
        hint = "set `spark.delta: true` in hosts.yml, then `invoke up`; leave the package out"
        return Problem(what=f"{where}{text}: Delta comes with the images, in a version that fits", hint=hint)
    other = OTHER_SCALA.search(text)
    if other is None:
        return None
    hint = f"take the artifact that ends with _{SCALA}: {OTHER_SCALA.sub(f'_{SCALA}', text)}, if there is this version"
    return Problem(what=f"{where}{text}: it is for Scala {other[1]}, and Spark here has {SCALA}", hint=hint)


def as_flags(program: Program) -> Program:
    """The program with the lists of files that its settings name as if flags named them; a flag goes before them."""
    settings = {**dict(program.properties), **conf_of(program)}
    lists = {
        name: tuple(part.strip() for part in settings[key].split(",") if part.strip())
        for key, name in LISTS.items()
        if key in settings and not getattr(program, name)
    }
    return replace(program, **lists)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Packer:
    """Collects files and faults while the words are put together."""

    submission: str
    here: Here
    faults: list[Problem] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    zipped: set[str] = field(default_factory=set)
    unpacked: frozenset[str] = frozenset()
    """Names that come into the executors' working directories."""
    archives: dict[str, str] = field(default_factory=dict)
    """Directory that an archive becomes there → the archive."""

    def parcel(self, program: Program) -> Parcel:
        """All of it."""
        settings = {**dict(program.properties), **conf_of(program)}
        sent = (split_alias(text) for text in (*program.files, *program.archives))
        self.unpacked = frozenset(alias or PurePosixPath(local_path(path)).name for path, alias in sent)
        name = program.name or settings.get("spark.app.name") or PurePosixPath(program.program).name
        argv = ["--name", name]
        if program.main_class is not None:
            argv += ["--class", program.main_class]
        argv += self.settings(program)
        argv += self.dependencies(program)
        argv += [self.place(program.program), *program.arguments]
        for text in program.beside:
            self.place(text)
        properties = as_properties(self.sent(properties_of(program)))
        if properties:
            file = str(IN_CONTAINER / self.submission / PROPERTIES)
            argv = ["--properties-file", file, "--load-spark-defaults", *argv]
        return Parcel(
            name=name,
            argv=tuple(argv),
            files=self.files,
            zipped=frozenset(self.zipped),
            properties=properties,
            restart=program.restart,
        )

    def settings(self, program: Program) -> list[str]:
        """Words for settings: those of flags first, then those of --conf that no flag has said already."""
        flags = program.flag_settings()
        words = []
        for name, value in self.sent(flags).items():
            words += ["--driver-memory", value] if name == MEMORY else ["--conf", f"{name}={value}"]
        rest = {name: value for name, value in conf_of(program).items() if name not in flags and name not in LISTS}
        return words + [word for name, value in self.sent(rest).items() for word in ("--conf", f"{name}={value}")]

    def sent(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Settings whose files are sent too."""
        files = SettingFiles(self.here, self.place, self.faults, self.unpacked)
        return {name: files.value(name, value) for name, value in settings.items()}

    def dependencies(self, program: Program) -> list[str]:
        """Words for packages and files."""
        words: list[str] = []
        for flag, texts, place in (
            ("--packages", program.packages, str),
            ("--exclude-packages", program.exclude_packages, str),
            ("--repositories", program.repositories, str),
            ("--py-files", program.py_files, self.place_module),
            ("--jars", program.jars, self.place),
            ("--files", program.files, self.place_named),
            ("--archives", program.archives, self.place_archive),
        ):
            if texts:
                words += [flag, ",".join(self.listed(flag, text, place(text)) for text in texts)]
        return words

    def listed(self, flag: str, text: str, placed: str) -> str:
        """One of a list in Spark's words."""
        name = PurePosixPath(placed).name
        found = UNFOUND.search(name) if placed.startswith(f"{IN_CONTAINER}/") else None
        if found is not None and self.here(self.files[name]):
            other = f"give it another one there, as in {shlex.quote(text + '#data.csv')}, or rename the file"
            what = f"{flag} {text}: Spark does not find a file with {found[0]} in its name"
            self.faults.append(Problem(what=what, hint=other if flag == "--files" else "rename it"))
        return placed

    def place(self, text: str, name: str = "") -> str:
        """Where a file will be in the driver's container; a URI stays one."""
        if is_uri(text):
            return text
        path = str(PurePosixPath(local_path(text)))
        name = name or PurePosixPath(path).name
        if "," in name or self.files.get(name, path) != path:
            self.faults.append(Problem(what=f"{text}: two files are called {name}, or it has a comma in its name"))
        if "#" in name:
            what = f"{text}: Spark reads what follows # in a file's name as another name for it"
            self.faults.append(Problem(what=what, hint="rename the file"))
        self.files[name] = path
        return str(IN_CONTAINER / self.submission / "files" / name)

    def place_named(self, text: str) -> str:
        """A file of --files, under the name behind its `#`: Spark's own standalone mode would not rename it."""
        path, alias = self.alias_of(text)
        if alias and is_uri(path):
            what = f"--files {text}: the name behind # counts for files of this computer; of a URI Spark keeps the name"
            self.faults.append(Problem(what=what, hint=f"leave out #{alias}"))
        return self.place(path, alias)

    def place_module(self, text: str) -> str:
        """A file of --py-files; a directory becomes a zip."""
        path, alias = self.alias_of(text)
        if alias:
            what = f"--py-files {text}: the name behind # counts for --files and --archives"
            self.faults.append(
                Problem(what=what, hint=f"leave out #{alias}: a module is imported under its file's name")
            )
        kind = "file" if is_uri(path) else self.here(local_path(path))
        if kind == "file" and not path.lower().endswith(MODULES):
            self.faults.append(_no_module(text))
        if kind != "directory":
            return self.place(path)
        directory = local_path(path).rstrip("/") or "/"
        name = PurePosixPath(directory).name + ".zip"
        if name in (".zip", "...zip"):
            self.faults.append(Problem(what=f"--py-files {text}: which directory? name it, as in --py-files ../src"))
        self.zipped.add(name)
        return self.place(directory, name)

    def place_archive(self, text: str) -> str:
        """An archive of --archives, unpacked as the name behind its `#`."""
        path, alias = self.alias_of(text)
        name = PurePosixPath(path).name
        if not name.lower().endswith(ARCHIVES):
            what = f"--archives {text}: Spark unpacks {', '.join(ARCHIVES[:-1])} and {ARCHIVES[-1]}"
            self.faults.append(Problem(what=what, hint="pack it, or send a single file with --files"))
        if self.archives.setdefault(alias or name, text) != text:
            what = f"--archives {text}: {self.archives[alias or name]} is unpacked as {alias or name} too"
            self.faults.append(Problem(what=what, hint="give each a name of its own behind #"))
        if is_uri(path):
            return text
        if not alias or PLAIN_NAME.fullmatch(name):
            return self.place(path) + (f"#{alias}" if alias else "")
        ending = next((one for one in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(one)), "")
        return self.place(path, f"archive-{len(self.files)}{ending}") + f"#{alias}"

    def alias_of(self, text: str) -> tuple[str, str]:
        """(path, name behind the last `#`)."""
        path, alias = split_alias(text)
        if (alias and not PLAIN_NAME.fullmatch(alias)) or alias in (".", "..") or text.endswith("#"):
            what = f"{text}: the name behind # is a plain one: letters, digits and . _ - + ="
            self.faults.append(Problem(what=what, hint="as in data.csv#table.csv"))
        return path, alias


def local_files(program: Program) -> Iterable[str]:
    """Paths of this computer that the flags name."""
    aliased = (*program.files, *program.py_files, *program.archives)
    for text in (program.program, *(split_alias(one)[0] for one in aliased), *program.jars, *program.beside):
        if not is_uri(text):
            yield local_path(text)


def _no_module(text: str) -> Problem:
    what = f"--py-files {text}: executors would not import from it: Spark takes .py, .zip and .egg"
    if split_alias(text)[0].lower().endswith(".whl"):
        hint = "a wheel belongs into worker.requirements; one of pure Python may be sent as a copy named .zip"
    else:
        hint = "name the directory itself, or a .zip; other archives go with --archives, other files with --files"
    return Problem(what=what, hint=hint)


def _is_conf(text: str) -> bool:
    return re.fullmatch(r"spark\.[^\s=]+=.*", text, re.DOTALL) is not None
