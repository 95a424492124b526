"""A storage of plain files behind the stand-in for the file server, and how file servers are asked."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from sparkqfs.files import looking, moving
from sparkqfs.files.places import Place, Places
from sparkqfs.files.results import Result
from sparkqfs.files.storage import Storage
from sparkqfs.files.transfer import Access
from sparkqfs.files.wire import ProcessPipe
from tests.paths import FILE_SERVER


@dataclass
class World:
    """A storage and how its server is started."""

    argv: list[str]
    root: str
    environment: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    yes: bool = True
    servers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Of a stand-in's first servers, one each; those after them have none."""

    def access(self, *, width: int = 2, timeout_s: float = 120, dry_run: bool = False) -> Access:
        def connect(number: int) -> Storage:
            self.servers.append(str(number))
            settings = [f"{key}={value}" for key, value in self.environment.items()]
            fault = [self.faults.pop(0)] if self.faults else []
            return Storage(ProcessPipe(["env", *settings, *self.argv, *fault, str(int(timeout_s))], "node1"))

        def confirm(question: str) -> bool:
            self.asked.append(question)
            return self.yes

        return Access(
            connect=connect,
            width=width,
            on_event=self.said.append,
            confirm=confirm,
            timeout_s=timeout_s,
            dry_run=dry_run,
        )

    @property
    def places(self) -> Places:
        return Places(root=self.root, shared=None, user="spark")

    def place(self, path: str) -> Place:
        return self.places.read(path)

    def put(self, source: object, path: str, *, overwrite: bool = False, stdin: int | None = None) -> Result:
        return moving.put(self.access(), str(source), self.place(path), overwrite=overwrite, stdin=stdin)

    def get(self, path: str, target: object, *, overwrite: bool = False) -> Result:
        return moving.get(self.access(), self.place(path), str(target), overwrite=overwrite)

    def names(self, path: str) -> list[str]:
        """Everything below a directory."""
        found = looking.ls(self.access(), self.place(path), recursive=True).document["ls"]
        assert isinstance(found, dict)
        return [one["path"].removeprefix(path + "/") for one in found["entries"]]

    def rm(self, path: str, *, recursive: bool = False, if_there: bool = False) -> Result:
        access = self.access()
        return looking.rm(access, self.places, self.place(path), recursive=recursive, if_there=if_there)


def stand_in(folder: Path, fault: str = "") -> World:
    folder.mkdir(exist_ok=True)
    return World([sys.executable, "-I", str(FILE_SERVER), *([fault] if fault else [])], f"file://{folder}")
