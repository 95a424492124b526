"""Disks in files whose power can be cut: what was not synced is forgotten, as by a machine that loses its current."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

GOING_DOWN = 0x8004587D
"""FS_IOC_SHUTDOWN, _IOR('X', 125, __u32), which ext4, XFS and f2fs share."""
WITHOUT_LOG_FLUSH = 2
MOUNT_OPTIONS = {"ext4": "loop,commit=600", "xfs": "loop"}
"""Without its own commit every 5 s ext4 keeps nothing that nobody asked it to keep."""
MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}


class LoopDisk:
    """A file system in a sparse file, mounted at `place`. Root only."""

    def __init__(self, image: Path, place: Path, kind: str = "ext4", mib: int = 1024) -> None:
        self.image, self.place, self.kind = image, place, kind
        with image.open("wb") as file:
            file.truncate(mib << 20)
        _run(*MAKE[kind], str(image))
        place.mkdir(parents=True, exist_ok=True)
        self.mount()

    def mount(self) -> None:
        """Also after a cut: the journal is replayed then."""
        _run("mount", "-t", self.kind, "-o", MOUNT_OPTIONS[self.kind], str(self.image), str(self.place))

    def sync(self) -> None:
        """Everything of this disk only."""
        with _opened(self.place) as descriptor:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
                raise OSError(ctypes.get_errno(), "syncfs")

    def cut(self) -> None:
        """From now on nothing reaches the disk, the journal's own memory included. Files can only be closed."""
        with _opened(self.place) as descriptor:
            fcntl.ioctl(descriptor, GOING_DOWN, struct.pack("I", WITHOUT_LOG_FLUSH))

    def unmount(self) -> None:
        """Its users have ended."""
        _run("umount", str(self.place))

    def remove(self) -> None:
        """Whatever state it is in."""
        subprocess.run(("umount", "-l", str(self.place)), check=False, capture_output=True)
        self.image.unlink(missing_ok=True)


def why_not(directory: Path, kind: str = "ext4") -> str:
    """Why no such disk can be had here; empty when it can. Tries one."""
    if os.geteuid() != 0:
        return "only root may mount"
    disk = None
    try:
        disk = LoopDisk(directory / "probe.img", directory / "probe", kind, 320)
        disk.cut()
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        return f"no loop mounts here: {said}"
    finally:
        if disk is not None:
            disk.remove()
    return ""


@contextlib.contextmanager
def _opened(place: Path) -> Iterator[int]:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)
