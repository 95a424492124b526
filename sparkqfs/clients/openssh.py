"""What OpenSSH's own client would do for a login: asked of `ssh -G`, which reads the user's ssh config as ssh does."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sparkqfs.clients.bounded import TooMuch, output_of
from sparkqfs.clients.home_config import Translated, expanded, home, other_home
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, UnreachableError

LONGEST_ANSWER = 1 << 20
"""Bytes of `ssh -G` that are read; a usual answer has 4 KB."""
LONGEST_WORDS = 300
"""Characters of what ssh says against a login that go into a message."""
LEAST_WAIT_S = 10.0
"""A `Match exec` or a canonical name may take its time."""
DEFAULT_NAMES = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
"""Private keys in ~/.ssh that ssh tries by itself. Source: ssh_config(5), IdentityFile."""
_FAULT = re.compile(r"(?P<file>.+?):? line (?P<line>\d+): (?P<what>.+)")
_PERMISSIONS = re.compile(r"Bad owner or permissions on (?P<file>.+)")
_REMARK = re.compile(r"^debug\d: |: (Deprecated|Unsupported) option ")
_UNNAMED = re.compile(r"(terminating, |\S+: terminating, )")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One login as ssh would make it. Paths are absolute, their tokens replaced."""

    name: str
    """The address as it was asked for."""
    host: str
    port: int
    user: str
    identities: tuple[Path, ...] = ()
    """Private keys in their order; a file need not exist."""
    certificates: tuple[Path, ...] = ()
    agent: str | None = None
    """The agent's socket."""
    identities_only: bool = False
    public_keys: bool = True
    """False where the ssh config forbids logins with keys."""
    accepted_keys: tuple[str, ...] = ()
    """PubkeyAcceptedAlgorithms."""
    jump: str | None = None
    """ProxyJump: hosts in their order, with commas; its tokens are replaced."""
    proxy_command: str | None = None
    """For a shell; its tokens are replaced."""
    passes_socket: bool = False
    """ProxyUseFdpass: the command hands on a connection instead of its standard input and output."""
    alias: str | None = None
    """HostKeyAlias."""
    host_keys: str = "ask"
    """StrictHostKeyChecking: `true`, `false`, `ask` or `accept-new`."""
    host_key_types: tuple[str, ...] = ()
    """HostKeyAlgorithms; none where no ssh program said them."""
    authority_signatures: tuple[str, ...] = ()
    """CASignatureAlgorithms."""
    known_hosts: tuple[Path, ...] = ()
    """The user's files, then the system's; the first of the user's takes new keys."""
    global_known_hosts: tuple[Path, ...] = ()
    revoked_keys: Path | None = None
    known_hosts_command: str | None = None
    checks_address: bool = False
    trusts_localhost: bool = False
    """NoHostAuthenticationForLocalhost."""
    family: str = "any"
    """AddressFamily: `any`, `inet` or `inet6`."""
    bind_address: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    """What `%h` and the like stand for, without the percent sign."""


@dataclass(slots=True)
class OpenSsh:
    """Asks the installed `ssh`, one process for each login, and keeps its answers. For many threads."""

    wait_s: float = LEAST_WAIT_S
    _answers: dict[tuple[str, ...], Future[Login]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def login(
        self, address: str, *, user: str | None = None, port: int | None = None, jump: str | None = None
    ) -> Login:
        """What ssh does for `ssh [-l user] [-p port] [-J jump] address`.

        Raises `ConfigError` with the file and the line of a fault, `UnreachableError` where ssh finds no address.
        """
        flags = [] if user is None else ["-l", user]
        flags += [] if port is None else ["-p", str(port)]
        flags += [] if jump is None else ["-J", jump]
        key = (*flags, "--", address)
        with self._lock:
            mine = key not in self._answers
            answer = self._answers.setdefault(key, Future())
        if mine:
            try:
                answer.set_result(_ask(key, address, max(self.wait_s, LEAST_WAIT_S)))
            except BaseException as error:
                with self._lock:
                    del self._answers[key]  # whoever asks later may find it corrected
                answer.set_exception(error)
                raise
        return answer.result()


def _ask(arguments: tuple[str, ...], address: str, wait_s: float) -> Login:
    program = shutil.which("ssh")
    if program is None:
        return _without_ssh(arguments, address)
    other = other_home()
    with nullcontext() if other is None else tempfile.TemporaryDirectory(prefix="sparkqfs-ssh-") as folder:
        translated = Translated(Path(folder), other) if folder is not None and other is not None else None
        flags = [] if translated is None else ["-F", str(translated.write())]
        # ssh itself replaces %C, whose parts differ from version to version; -T: no remark about terminals
        command = [program, "-G", "-T", "-o", "ControlPath=/%C", *flags, *arguments]
        try:
            code, out, err = output_of(command, wait_s, LONGEST_ANSWER)
        except (OSError, TimeoutError, TooMuch) as error:
            raise ConfigError(_unanswered(address, error)) from error
        if translated is not None:
            out, err = translated.with_real_revoked(out), translated.with_real_names(err)
    if code != 0:
        raise _refusal(address, err)
    try:
        return _login(address, _Answer(address, _parsed(out)))
    except KeyError as error:
        what = f"the answer of `ssh -G {address}` lacks {error}"
        raise ConfigError(Problem(what=what, hint="is `ssh` on your PATH OpenSSH's client?")) from error
    except ValueError as error:
        what = f"ssh cannot log in to {address} with your ssh config: {error}"
        raise ConfigError(Problem(what=what, hint="correct it; `man ssh_config` has the tokens")) from error


def _unanswered(address: str, error: Exception) -> Problem:
    hint = "look at `Match exec` and CanonicalizeHostname in your ssh config"
    if isinstance(error, TimeoutError):
        return Problem(what=f"`ssh -G {address}` did not end within {error} s", hint=hint)
    if isinstance(error, TooMuch):
        return Problem(what=f"`ssh -G {address}` says more than {LONGEST_ANSWER} bytes", hint=hint)
    return Problem(what=f"cannot run ssh: {error}", hint="install OpenSSH's client")


def _refusal(address: str, said: str) -> ClusterError:
    """What ssh has against the login, one problem for each line of a file that it names."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _REMARK.search(line)]
    hint = "ssh refuses it too; `man ssh_config` has the words, and IgnoreUnknown for words of other versions"
    problems = []
    for line in lines:
        found = _FAULT.fullmatch(line)
        if found is not None and found["file"] != os.environ.get("SHELL"):  # which speaks so of a `Match exec`
            what = found["what"].rstrip(".")
            problems.append(Problem(what=what, file=found["file"], line=int(found["line"]), hint=hint))
        elif (found := _PERMISSIONS.fullmatch(line)) is not None:
            what = "bad owner or permissions: ssh does not read it"
            file = found["file"]
            problems.append(Problem(what=what, file=file, hint=f"chmod go-w {file}; it must be yours or root's"))
    if problems:
        return ConfigError(*dict.fromkeys(problems))
    said = "; ".join(line for line in lines[-2:] if not _UNNAMED.match(line))[-LONGEST_WORDS:] or "it does not say why"
    if "resolve host" in said:
        what = f"cannot resolve {address}: {said}"
        return UnreachableError(
            Problem(what=what, hint="CanonicalizeHostname in your ssh config", code=ExitCode.UNREACHABLE)
        )
    if "recursive" in said:
        file = str(home() / ".ssh" / "config")
        return ConfigError(Problem(what=f"cannot be read: {said}", file=file, hint="a file may not include itself"))
    return ConfigError(Problem(what=f"ssh cannot log in to {address} with your ssh config: {said}", hint=hint))


# -- the answer -------------------------------------------------------------------------------------------------------


def _parsed(text: str) -> dict[str, list[str]]:
    """`keyword value` lines, by keyword; a keyword may come several times."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        values.setdefault(word.lower(), []).append(value)
    return values


class _Answer:
    """The keywords of an answer, and what the tokens in its values stand for."""

    def __init__(self, address: str, values: Mapping[str, list[str]]) -> None:
        self._values = values
        self.host, self.port, self.user = values["hostname"][0], int(values["port"][0]), values["user"][0]
        alias = self.one("hostkeyalias")
        short = {"%": "%", "h": self.host, "p": str(self.port), "r": self.user, "n": address, "k": alias or address}
        self.short_tokens = short
        self.tokens = {**short, **_local_tokens(), "C": values.get("controlpath", ["/"])[0].lstrip("/"), "j": ""}

    def first(self, word: str, default: str) -> str:
        return self._values.get(word, [default])[0]

    def one(self, word: str) -> str | None:
        found = self.first(word, "")
        return None if found in ("", "none") else found

    def several(self, word: str) -> tuple[str, ...]:
        return tuple(part for part in (self.one(word) or "").split(",") if part)

    def yes(self, word: str) -> bool:
        return self.first(word, "no") in ("yes", "true")

    def paths(self, word: str) -> tuple[Path, ...]:
        """Of a keyword that comes once for each file."""
        named = (value for value in self._values.get(word, ()) if value.lower() != "none")
        return tuple(dict.fromkeys(_path(value, self.tokens) for value in named))

    def list_of_paths(self, word: str) -> tuple[Path, ...]:
        """Of a keyword with several files in one line; ssh has replaced their tokens."""
        return tuple(_split_paths(self.first(word, "")))


def _login(address: str, answer: _Answer) -> Login:
    command, jump, revoked = answer.one("proxycommand"), answer.one("proxyjump"), answer.one("revokedhostkeys")
    return Login(
        name=address,
        host=answer.host,
        port=answer.port,
        user=answer.user,
        identities=answer.paths("identityfile"),
        certificates=answer.paths("certificatefile"),
        agent=_agent(answer.first("identityagent", "SSH_AUTH_SOCK"), answer.tokens),
        identities_only=answer.yes("identitiesonly"),
        public_keys=_allows_keys(answer),
        accepted_keys=answer.several("pubkeyacceptedalgorithms") or answer.several("pubkeyacceptedkeytypes"),
        jump=None if jump is None else replaced(jump, answer.short_tokens),
        proxy_command=None if command is None else replaced(command, answer.short_tokens),
        passes_socket=answer.yes("proxyusefdpass"),
        alias=answer.one("hostkeyalias"),
        host_keys=answer.first("stricthostkeychecking", "ask"),
        host_key_types=answer.several("hostkeyalgorithms"),
        authority_signatures=answer.several("casignaturealgorithms"),
        known_hosts=answer.list_of_paths("userknownhostsfile"),
        global_known_hosts=answer.list_of_paths("globalknownhostsfile"),
        revoked_keys=None if revoked is None else Path(revoked),
        known_hosts_command=answer.one("knownhostscommand"),
        checks_address=answer.yes("checkhostip"),
        trusts_localhost=answer.yes("nohostauthenticationforlocalhost"),
        family=answer.one("addressfamily") or "any",
        bind_address=answer.one("bindaddress"),
        tokens=answer.tokens,
    )


def _allows_keys(answer: _Answer) -> bool:
    methods = answer.first("preferredauthentications", "publickey").split(",")
    return answer.first("pubkeyauthentication", "yes") not in ("no", "false") and "publickey" in methods


def _local_tokens() -> dict[str, str]:
    """Tokens of ssh_config(5) that say something of this computer and of who works here."""
    this = socket.gethostname()
    return {"d": str(home()), "i": str(os.getuid()), "l": this, "L": this.partition(".")[0], "u": _local_user()}


def _local_user() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


def replaced(text: str, tokens: Mapping[str, str]) -> str:
    """`%x` by its token. Raises `ValueError` for one that ssh does not know either."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise ValueError(f"unknown token %{found[1]} in {text}")
        return tokens[found[1]]

    return re.sub(r"%(.?)", value, text)


def with_variables(text: str, tokens: Mapping[str, str]) -> str:
    """Tokens and `${NAME}` replaced. Raises `ValueError` where ssh would give up."""

    def variable(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise ValueError(f"no value of ${{{found[1]}}} for {text}")
        return os.environ[found[1]]

    return re.sub(r"\$\{(\w+)\}", variable, replaced(text, tokens))


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    """A file of the answer: `~`, tokens and `${NAME}` replaced. Raises `ValueError` where ssh would give up."""
    return _in_home(with_variables(text, tokens))


def _in_home(text: str) -> Path:
    """`~` replaced. Raises `ValueError` where ssh would give up."""
    try:
        return expanded(text)
    except RuntimeError as error:
        raise ValueError(f"whose home is meant by {text}?") from error


def _split_paths(text: str) -> list[Path]:
    """Files with spaces between them. ssh prints no quotes: what a space belongs to is seen from what there is."""
    if text.strip().lower() == "none":
        return []
    found: list[Path] = []
    parts = text.split(" ")
    while parts:
        count = next((count for count in range(len(parts), 1, -1) if _is_one(parts[:count])), 1)
        if parts[0]:
            found.append(_in_home(" ".join(parts[:count])))
        del parts[:count]
    return found


def _is_one(parts: list[str]) -> bool:
    """Whether the last space is in the name of a file or a directory that there is, and its first part is no file."""
    before, _, after = " ".join(parts).rpartition(" ")
    if not parts[0] or not after:
        return False
    with suppress(OSError):  # a name that is too long; a directory that others may not read
        first = _in_home(parts[0])
        return _in_home(f"{before} {after.partition('/')[0]}").exists() and (first.is_dir() or not first.exists())
    return False


def _agent(text: str, tokens: Mapping[str, str]) -> str | None:
    """The agent's socket; `none` is none, `SSH_AUTH_SOCK` and `$NAME` stand for what the environment says."""
    if text.lower() == "none":
        return None
    if text == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if re.fullmatch(r"\$\w+", text):
        return os.environ.get(text[1:]) or None
    return str(_path(text, tokens))


# -- without a program ------------------------------------------------------------------------------------------------


def _without_ssh(arguments: tuple[str, ...], address: str) -> Login:
    """OpenSSH's defaults, where the user has written nothing else; `ConfigError` for a file that nobody can read."""
    folder = home() / ".ssh"
    if (folder / "config").is_file():
        what = "there is no ssh program on this computer, which reads this file"
        hint = "install OpenSSH's client (Debian: apt-get install openssh-client)"
        raise ConfigError(Problem(what=what, file=str(folder / "config"), hint=hint))
    flags = dict(zip(arguments[:-2:2], arguments[1:-2:2], strict=False))
    return Login(
        name=address,
        host=address.lower(),
        port=int(flags.get("-p", 22)),
        user=flags.get("-l") or _local_user(),
        identities=tuple(folder / name for name in DEFAULT_NAMES),
        agent=os.environ.get("SSH_AUTH_SOCK") or None,
        known_hosts=(folder / "known_hosts", folder / "known_hosts2"),
        global_known_hosts=(Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2")),
    )
