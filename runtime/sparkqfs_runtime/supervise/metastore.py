"""The metastore: the catalogue of tables over a database on the manager."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import xml.sax.saxutils
from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime.metadata import catalogue
from sparkqfs_runtime.supervise import storage
from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import (
    EX_CONFIG,
    PROGRAMS,
    QUIET_LOG,
    Setup,
    die,
    make_writable,
    plain,
    read_config,
    say,
    write_private,
)
from sparkqfs_runtime.supervise.spark import wait_for_directory

WAREHOUSE = "/warehouse"
"""On the storage, files of tables; deploy makes it."""


METASTORE_SITE = {
    "javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
    "datanucleus.schema.autoCreateAll": "true",
    "hive.metastore.schema.verification": "false",
    "hive.metastore.schema.verification.record.version": "true",
    "hive.metastore.server.min.threads": "4",
    "hive.metastore.server.max.threads": "256",
    "hive.async.log.enabled": "false",
    "hive.hmshandler.retry.interval": "200ms",
    "datanucleus.connectionPoolingType": "HikariCP",
}
"""A part of the schema is made when it is first needed; the next start completes one that a kill has left half."""


def metastore(setup: Setup) -> list[Daemon]:
    """The catalogue of tables. Its program ends when the storage does not answer, so that comes first."""
    folder = Path(setup.get("SPARKQFS_METASTORE_DIR", "/data/metastore"))
    if not folder.is_dir():
        die(EX_CONFIG, f"{folder} is missing: the catalogue of tables has no place; nothing started")
    make_writable(folder)
    storage.as_client(setup)
    wait_for_directory(setup, WAREHOUSE)
    database = folder / catalogue.PLACE
    copies = copies_of(setup, folder)
    classes = setup.run / "metastore"
    classes.mkdir(mode=0o700, exist_ok=True)
    write_private(classes / "hive-log4j2.properties", QUIET_LOG)
    write_private(classes / "hive-site.xml", metastore_site(read_config(setup, "spark-defaults.conf"), database))
    program = str(PROGRAMS / "metastore")
    if not database.is_dir() and not lay_out_copy(folder, copies):
        make_catalogue(setup, program, database)
    port = setup.get("SPARKQFS_METASTORE_PORT", str(topology.METASTORE_PORT))
    return [Daemon("metastore", (program, "run", port, str(database), str(copies)))]


def copies_of(setup: Setup, folder: Path) -> Path:
    """Where its copies are made; the directory is there then. Exits 78 where it cannot be."""
    copies = catalogue.place_of_copies(setup.environ, folder)
    try:
        copies.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        die(EX_CONFIG, f"there is no place for copies of the catalogue: {error}; nothing started")
    return copies


def lay_out_copy(folder: Path, copies: Path) -> bool:
    """Where there is no catalogue, the newest whole one of its copies; False without one. Damaged ones are said."""
    for path in sorted(copies.glob("catalogue.*.zip"), reverse=True):
        try:
            catalogue.lay_out(path, folder, "before")
        except catalogue.CatalogueError as error:
            say(f"this copy of the catalogue of tables is not used: {error}")
            continue
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(path.name.split(".")[1]) / 1000))
        say(f"there was no catalogue of tables: the copy of {made} is in its place")
        return True
    return False


def metastore_site(defaults: str, database: Path) -> str:
    """Hadoop's and Hive's settings as Spark has them, and the database's."""
    pairs = dict(
        line.split(None, 1) for line in defaults.splitlines() if line[:6] == "spark." and len(line.split()) > 1
    )
    settings = {
        key.removeprefix("spark.hadoop."): plain(value)
        for key, value in pairs.items()
        if key.startswith("spark.hadoop.")
    }
    settings.pop("hive.metastore.uris", None)
    settings |= {**METASTORE_SITE, "javax.jdo.option.ConnectionURL": f"jdbc:derby:{database}"}
    settings["hive.metastore.warehouse.dir"] = pairs["spark.sql.warehouse.dir"]
    escape = xml.sax.saxutils.escape
    lines = [
        f"<property><name>{escape(key)}</name><value>{escape(value.strip())}</value></property>"
        for key, value in settings.items()
    ]
    return "\n".join(['<?xml version="1.0"?>', "<configuration>", *lines, "</configuration>", ""])


def make_catalogue(setup: Setup, program: str, database: Path) -> None:
    """An empty database, where there is none: it gets its name when it is whole and on the disk."""
    if database.is_dir():
        return
    new = database.with_name(".new")
    shutil.rmtree(new, ignore_errors=True)
    made = subprocess.run(
        (program, "make", str(new)), env=setup.environ, capture_output=True, text=True, timeout=300, check=False
    )
    if made.returncode or not (new / "service.properties").is_file():
        die(EX_CONFIG, f"cannot make the catalogue {new}: {(made.stdout + made.stderr).strip()[-2000:]}")
    os.sync()
    new.rename(database)
    os.sync()
    say(f"made an empty catalogue of tables, {database}")
