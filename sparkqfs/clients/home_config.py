"""The ssh config of another home directory, written so that ssh reads it as it would there.

ssh takes the home directory of the account, never `$HOME`; all else here, and Fabric, goes by `$HOME`. Where the two
differ, ssh gets copies of the files of `$HOME` in which `~` and `Include` name what they would name in that home.
"""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = Path("/etc/ssh/ssh_config")
LONGEST_FILE = 1 << 20
MOST_FILES = 256
_LINE = re.compile(r'(?P<head>\s*"?(?P<word>\w+)"?(?:\s*=\s*|\s+|$))(?P<rest>.*)', re.DOTALL)
_ARGUMENT = re.compile(r'"[^"]*"|\'[^\']*\'|(?:\\.|[^\s"\'])+')
OF_FILES = {"userknownhostsfile", "identityagent"}
"""Those of which `ssh -G` replaces the `~`; see `OpenSsh` for the others."""
REVOKED = "revokedhostkeys"
MARK = "/.sparkqfs-home/"
"""Put behind a `~` of which only the answer shows whether this ssh replaces it."""


def home() -> Path:
    """`$HOME`; the account's home directory where that is unset or empty, as ssh takes it."""
    named = os.environ.get("HOME")
    if named:
        return Path(named)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # ssh itself says so
        return Path("/")


def expanded(text: str) -> Path:
    """A path with `~` and `~USER` replaced. Raises `RuntimeError` where there is no such user."""
    if text == "~" or text.startswith("~/"):
        return home() / text[1:].lstrip("/")
    return Path(text).expanduser()


def other_home() -> Path | None:
    """`$HOME` where it is not the account's home directory."""
    try:
        account = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # ssh itself says so
        return None
    return home() if os.path.realpath(home()) != os.path.realpath(account) else None


@dataclass(slots=True)
class Translated:
    """Copies of the files in `folder`, which the caller removes."""

    folder: Path
    home: Path
    _copies: dict[Path, Path] = field(default_factory=dict)

    def write(self) -> Path:
        """The file for `ssh -F`: the user's files, the system's, and at last the defaults that lie in a home."""
        top = [
            f'Include "{self._copy(path, base)}"'
            for path, base in ((self.home / ".ssh" / "config", self.home / ".ssh"), (SYSTEM, SYSTEM.parent))
            if path.is_file()
        ]
        known = self.home / ".ssh" / "known_hosts"
        top += ["Host *", f'UserKnownHostsFile "{known}" "{known}2"']
        path = self.folder / "config"
        path.write_text("\n".join(top) + "\n")
        path.chmod(0o600)
        return path

    def with_real_revoked(self, answer: str) -> str:
        """The answer of `ssh -G` with the file of RevokedHostKeys as ssh would name it in this home."""

        def named(found: re.Match[str]) -> str:
            begin = found[2] if found[2] in ("~", "%d") else str(self.home)  # older ones take a `~` as it is
            return f"{found[1]}{begin}/"

        return re.sub(rf"(?mi)^({REVOKED} )(.*?){MARK}", named, answer)

    def with_real_names(self, text: str) -> str:
        """A message of ssh's about these copies, with the names of the files themselves."""
        for path, copy in reversed(self._copies.items()):  # 10 before 1
            text = text.replace(str(copy), str(path))
        return text

    def _copy(self, path: Path, base: Path) -> Path:
        """A copy of one file, or the file itself where it cannot be copied: ssh then says what is wrong with it."""
        if path in self._copies:
            return self._copies[path]
        if len(self._copies) >= MOST_FILES or not path.is_file():
            return path
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST_FILE + 1)
            mode = path.stat().st_mode
        except OSError:
            return path
        if len(content) > LONGEST_FILE:
            return path
        copy = self._copies[path] = self.folder / f"{len(self._copies)}"
        lines = content.decode(errors="surrogateescape").split("\n")
        text = "\n".join(self._line(line, base) for line in lines)
        copy.write_bytes(text.encode(errors="surrogateescape"))
        copy.chmod(mode & 0o777 | 0o400)
        return copy

    def _line(self, line: str, base: Path) -> str:
        found = _LINE.match(line)
        word = found["word"].lower() if found else ""
        if found is None or word not in {"include", REVOKED, *OF_FILES}:
            return line
        if word == REVOKED:
            return found["head"] + re.sub(r"^([\"']?(?:~|%d))/", rf"\1{MARK}", found["rest"])
        if word != "include":
            return found["head"] + _ARGUMENT.sub(self._file, found["rest"])
        arguments = _ARGUMENT.findall(found["rest"].partition(" #")[0])
        if not arguments:
            return line
        files = [str(self._copy(path, base)) for one in arguments for path in self._included(_bare(one), base)]
        return found["head"] + " ".join(f'"{file}"' for file in files or [str(self.folder / "none")])

    def _included(self, pattern: str, base: Path) -> list[Path]:
        if pattern.startswith("~/"):
            pattern = f"{self.home}{pattern[1:]}"
        wanted = Path(pattern) if pattern.startswith("/") else base / pattern
        return sorted(Path("/").glob(str(wanted).lstrip("/")))

    def _file(self, found: re.Match[str]) -> str:
        argument = _bare(found[0])
        named = re.sub(r"%(.)", lambda token: str(self.home) if token[1] == "d" else token[0], argument)
        named = f"{self.home}{named[1:]}" if named.startswith("~/") else named
        return found[0] if named == argument else f'"{named}"'


def _bare(argument: str) -> str:
    """Without its quotes, or without its backslashes where it has none."""
    if argument[0] in "\"'":
        return argument[1:-1]
    return re.sub(r"\\(.)", r"\1", argument)
