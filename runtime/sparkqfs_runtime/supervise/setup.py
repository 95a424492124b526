"""Where things are in a container, what ends one before its start, and the configuration that is filled in."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

TOP = Path(__file__).resolve().parents[2]
"""/opt/sparkqfs in an image."""
PROGRAMS = TOP / "bin"
EX_USAGE = 64
EX_TEMPFAIL = 75
EX_CONFIG = 78
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
WAITED_SIGNALS = STOP_SIGNALS | {signal.SIGCHLD}
ENV_KEYS = (
    "HADOOP_HOME", "HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
    "LD_LIBRARY_PATH", "MPLCONFIGDIR", "NODE_IP", "PATH", "PYSPARK_PYTHON", "QFS_CLIENT_CONFIG",
    "QFS_CLIENT_DEFAULT_FATTR_REVALIDATE_TIME", "QFS_CLIENT_LOG_LEVEL", "QFS_HOME",
    "SPARKQFS_APP_UI_PORT", "SPARKQFS_CHUNK_DIRS", "SPARKQFS_CLUSTER_ID", "SPARKQFS_DATA_DIRS", "SPARKQFS_DATA_PORT",
    "SPARKQFS_ROOT", "SPARKQFS_STORAGE", "SPARK_CONF_DIR", "SPARK_HOME", "SPARK_LOCAL_DIRS",
    "SPARK_LOCAL_HOSTNAME", "SPARK_LOCAL_IP", "SPARK_MASTER_URL",
    "SPARK_SUBMIT_OPTS",
)  # fmt: skip
"""What a program started by `docker exec` needs; nothing secret."""
QUIET_LOG = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""
"""log4j's settings of a program whose warnings a person wants to see, on standard error."""


def plain(value: str) -> str:
    """What Java reads where spark-defaults.conf has this value: a backslash stands before another one."""
    return re.sub(r"\\(.)", r"\1", value)


def say(text: str) -> None:
    """One line on stderr."""
    print(f"sparkqfs: {text}", file=sys.stderr, flush=True)


class Refusal(SystemExit):
    """The end before anything was started, and why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.text = text


def die(code: int, text: str) -> NoReturn:
    """Ends before anything was started."""
    say(text)
    raise Refusal(code, text)


@dataclass(slots=True)
class Setup:
    """Where things are and what the daemons' environment is. The SPARKQFS_*_DIR variables serve the tests."""

    environ: dict[str, str]
    etc: Path = field(init=False)
    run: Path = field(init=False)
    secrets: Path = field(init=False)
    data: Path = field(init=False)
    notebooks: Path = field(init=False)
    spark_home: Path = field(init=False)
    qfs_home: Path = field(init=False)

    def __post_init__(self) -> None:
        def path(key: str, default: str) -> Path:
            return Path(self.environ.get(key) or default)

        self.etc = path("SPARKQFS_ETC_DIR", "/etc/sparkqfs")
        self.run = path("SPARKQFS_RUN_DIR", "/run/sparkqfs")
        self.secrets = path("SPARKQFS_SECRETS_DIR", "/run/secrets")
        self.data = path("SPARKQFS_DATA_DIR", f"/data/{self.storage}")
        self.notebooks = path("SPARKQFS_NOTEBOOKS_DIR", "/data/notebooks")
        self.spark_home = path("SPARK_HOME", "/opt/spark")
        self.qfs_home = path("QFS_HOME", "/opt/qfs")

    def get(self, key: str, default: str = "") -> str:
        """A setting; empty counts as absent."""
        return self.environ.get(key) or default

    @property
    def storage(self) -> str:
        """`qfs`, `hdfs` or `shared`."""
        return self.get("SPARKQFS_STORAGE", "qfs")

    @property
    def conf_dir(self) -> Path:
        """SPARK_CONF_DIR of every JVM."""
        return self.run / "conf"

    @property
    def defaults(self) -> Path:
        """spark-defaults.conf as the JVMs read it, with the secret."""
        return self.conf_dir / "spark-defaults.conf"

    def secret(self, name: str) -> str | None:
        """A secret's text without the line end, None when it is absent or empty. Exits 78 when it cannot be read."""
        try:
            return (self.secrets / name).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            die(EX_CONFIG, f"cannot read the secret {name}: {error}")


def python() -> str:
    """The interpreter of our own daemons."""
    return sys.executable or "/usr/bin/python3"


def ui_port(setup: Setup, default: int) -> str:
    """Port of the role's web page: on the machines' own network nothing else maps it to the one that users know."""
    return setup.get("SPARKQFS_UI_PORT", str(default))


def make_writable(path: Path) -> None:
    """A directory of ours on a mount. Exits 78 when it cannot be written: wrong owner or a missing mount."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        die(EX_CONFIG, f"cannot make {path}: {error}")
    if not os.access(path, os.W_OK | os.X_OK):
        die(EX_CONFIG, f"{path} is not writable for uid {os.getuid()}")


def make_home(setup: Setup, preferred: Path) -> None:
    """HOME where it can be written: settings and histories of notebooks live there."""
    home = preferred
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError
    except OSError:
        home = Path("/tmp/home")
        home.mkdir(parents=True, exist_ok=True)
    setup.environ["HOME"] = str(home)


def write_private(path: Path, text: str) -> None:
    """A file that only we can read, replaced in one step."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def read_config(setup: Setup, name: str) -> str:
    """A configuration file of the stack. Exits 78 when it is missing."""
    try:
        return (setup.etc / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        die(EX_CONFIG, f"cannot read the configuration {setup.etc / name}: {error}")


def render(setup: Setup, name: str, values: Mapping[str, Callable[[], str]], folder: str = "") -> Path:
    """Fills the placeholders of a configuration in; a value is asked for only where it is used."""
    text = read_config(setup, name)
    for key, value in values.items():
        placeholder = f"@{key}@"
        if placeholder in text:
            text = text.replace(placeholder, value())
    target = setup.run / folder / name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(target, text)
    return target


def write_env(setup: Setup) -> None:
    """What `with-env` loads."""
    lines = [f"{key}={shlex.quote(setup.environ[key])}" for key in ENV_KEYS if key in setup.environ]
    write_private(setup.run / "env", "\n".join(lines) + "\n")
