"""The lines of stack/ that decide what is on how many disks when a daemon answers, as shipped and switched off."""

from __future__ import annotations

import re

from tests.paths import STACK

META = ("metaServer.log.sync", "metaServer.checkpoint.writeSync")
PLACEMENT = ("metaServer.minWritesPerDrive", "metaServer.maxWritesPerDrive", "metaServer.replicationCheckInterval")
CHUNK = ("chunkServer.syncChunkHeader", "chunkServer.requireChunkHeaderChecksum")
HDFS = "dfs.datanode.synconclose"


def qfs_lines(name: str, keys: tuple[str, ...], *, is_off: bool = False) -> str:
    """Lines for a test's own configuration; a key that the shipped file lacks is left out."""
    text = (STACK / name).read_text(encoding="utf-8")
    found = dict(re.findall(r"^(\S+) *= *(\S+)$", text, re.MULTILINE))
    return "".join(f"{key} = {0 if is_off else found[key]}\n" for key in keys if is_off or key in found)


def meta(*, is_off: bool = False) -> str:
    """The metaserver's."""
    return qfs_lines("MetaServer.prp", META, is_off=is_off)


def placement() -> str:
    """The metaserver's, of how many chunkservers get a chunk."""
    return qfs_lines("MetaServer.prp", PLACEMENT)


def chunk(*, is_off: bool = False) -> str:
    """The chunkservers'."""
    return qfs_lines("ChunkServer.prp", CHUNK, is_off=is_off)


def hdfs(*, is_off: bool = False) -> str:
    """`true` or `false`, the datanodes'."""
    text = (STACK / "hdfs-site.xml").read_text(encoding="utf-8")
    found = re.search(rf"<name>{re.escape(HDFS)}</name><value>(\w+)</value>", text)
    return "false" if is_off or found is None else found[1]


CORE_SITE = """<configuration>
  <property><name>fs.qfs.impl</name><value>sparkqfs.fs.LocalReadFileSystem</value></property>
  <property><name>fs.qfs.createParams</name><value>2</value></property>
  <property><name>fs.qfs.closeWaits</name><value>{waits}</value></property>
</configuration>
"""
