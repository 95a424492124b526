"""Homes with an ssh config, servers for them, and what `ssh -v` of this computer does there."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sparkqfs.clients.openssh import OpenSsh
from sparkqfs.errors import ClusterError, Problem
from tests.builders.ssh_cases import Case
from tests.doubles.servers import PASSED_ON, Sshd, make_key, sshd

NAMESPACE = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
AS_ACCOUNT = 'mount --bind "$1/passwd" /etc/passwd && shift && exec "$@"'
"""The account's home directory is what ssh goes by, and not $HOME."""
RELAY = (
    """\
import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
"""
    + PASSED_ON
)
PASS = """\
import socket, sys
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
socket.send_fds(socket.socket(fileno=1), [b"x"], [there.fileno()])
"""
KEX = "KexAlgorithms curve25519-sha256@libssh.org"
"""The quickest one that paramiko knows too."""
AUTHORIZED = ("good", "rsa", "pem", "locked", "pkcs8-ecdsa")
KINDS = {"rsa": "rsa", "pem": "rsa", "stray-rsa": "rsa", "signed-rsa": "rsa", "pkcs8-ecdsa": "ecdsa"}
HELD = {
    "full": ("stray", "good"),
    "locked": ("unlocked",),
    "signed": ("signed",),
    "signed-rsa": ("signed-rsa",),
    "bare": ("bare",),
}
"""Agent → its keys; with that of a certificate the certificate too."""
KEYS = (*AUTHORIZED, "stray", "other", "signed", "signed-rsa", "authority", "stray-rsa")


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a login: `in`, or why not; the key that each offer was of; known_hosts afterwards."""

    end: str
    offered: tuple[str, ...] = ()
    known: Mapping[str, str | None] = field(default_factory=dict)
    said: str = ""
    """ssh's own words."""
    problems: tuple[Problem, ...] = ()
    """Ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Two machines, keys and agents; `words` is what cases put in."""

    folder: Path
    machine: Sshd
    gate: Sshd
    words: Mapping[str, str]

    def logged(self, since: Sequence[int] = (0, 0)) -> tuple[str, str]:
        """What each machine has said after so many characters; `LogLevel VERBOSE` names each key that was offered."""
        texts = [(self.folder / name / "log").read_text(errors="replace") for name in ("machine", "gate")]
        return texts[0][since[0] :], texts[1][since[1] :]

    def environment(self, home: Path, case: Case) -> dict[str, str]:
        agents = self.folder / "agents"
        names = {"HOME": str(home), "SPARKQFS_KEYS": self.words["keys"], "SPARKQFS_AGENT": str(agents / "full")}
        return names | ({"SSH_AUTH_SOCK": str(agents / case.agent)} if case.agent else {})

    def home(self, case: Case, path: Path) -> Path:
        """A home directory with the case's files; `path` is made."""
        words = {**self.words, "home": str(path)}

        def put(text: str) -> str:
            return re.sub(r"<([\w-]+)>", lambda found: words.get(found[1], found[0]), text)

        files = {".ssh/config": case.config, **case.files}
        if case.known is not None:
            files[".ssh/known_hosts"] = case.known
        for name, text in files.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(put(text).encode("latin-1"))
        for name, key in case.links.items():
            shutil.copy(Path(words["keys"]) / key, path / put(name))
        for name, mode in case.modes.items():
            (path / name).chmod(mode)
        account = re.sub(r"(?m)^(root:.*?:.*?:.*?:.*?:).*?:", rf"\g<1>{path}:", Path("/etc/passwd").read_text())
        (path / "passwd").write_text(account)
        return path

    def ssh(self, case: Case, home: Path) -> Seen:
        """What OpenSSH's client does for an account with this home directory."""
        policy = {"strict": "yes", "accept-new": "accept-new"}.get(case.policy or "")
        options = ["BatchMode=yes", "HashKnownHosts=no", "UpdateHostKeys=no", "ConnectTimeout=10"]
        options += [f"StrictHostKeyChecking={policy}"] if policy else []
        words = [word for option in options for word in ("-o", option)]
        command = ["ssh", "-v", "-T", *words, case.address, "true"]
        environment = {**os.environ, **self.environment(home, case)}
        if case.agent is None:
            environment.pop("SSH_AUTH_SOCK", None)
        done = subprocess.run(
            [*NAMESPACE, AS_ACCOUNT, "sh", str(home), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        said = done.stderr.decode(errors="replace")
        offered = re.findall(r"Offering public key: .*? (SHA256:\S+)", said)
        return Seen("in" if done.returncode == 0 else why(said), tuple(offered), known_files(home), said=said)


def why(said: str) -> str:
    """The reason for which ssh gives up."""
    reasons = (
        (
            "config",
            r"terminating, |Bad owner or permissions|recursive|jumphost loop|percent_expand|No such user",
        ),
        ("no connection", r"KnownHostsCommand failed"),
        ("revoked", r"REVOKED|was revoked|is revoked|[Rr]evoked"),
        ("changed", r"HAS CHANGED|differs from the key for the IP"),
        ("new", r"host key is known for|Host key verification failed"),
        ("refused", r"Permission denied|Too many authentication failures"),
        ("no connection", r""),
    )
    plain = "\n".join(line for line in said.splitlines() if not line.startswith("debug"))
    return next(reason for reason, words in reasons if re.search(words, plain))


def login_text(address: str) -> str:
    """How ssh would log in, or what it has against it, as text."""
    try:
        return repr(OpenSsh().login(address))
    except ClusterError as error:
        return str(error)


def known_files(home: Path) -> dict[str, str | None]:
    """The files that take new keys."""
    found: dict[str, str | None] = {}
    for name in (".ssh/known_hosts", "first"):
        path = home / name
        found[name] = path.read_text(errors="replace") if path.is_file() else None
    return found


def _answers(path: Path) -> bool:
    """Whether somebody takes connections there: the file is there some moments earlier."""
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(path))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def agent(folder: Path, name: str, *keys: Path) -> Iterator[None]:
    """An ssh-agent at `folder`/`name` with these keys."""
    path = folder / name
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not _answers(path) and running.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path), "SSH_ASKPASS": "/bin/false"}
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, timeout=30)
        yield
    finally:
        running.terminate()
        running.wait(30)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Machines, keys and agents; skips where a mount namespace of one's own cannot be had."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here: ssh takes the home directory of the account")
    keys, agents = folder / "keys", folder / "agents"
    for path in (keys, agents, folder / "machine", folder / "gate"):
        path.mkdir()
    public = {name: make_key(keys / name, KINDS.get(name, "ed25519")) for name in KEYS}
    _change_keys(keys)
    with contextlib.ExitStack() as stack:
        machine = _machine(folder / "machine", keys, stack)
        gate = stack.enter_context(sshd(folder / "gate", "LogLevel VERBOSE", "MaxAuthTries 2", KEX))
        for server in ("machine", "gate"):
            (folder / server / "authorized_keys").write_text("".join(f"{public[name]}\n" for name in AUTHORIZED))
        for name, held in HELD.items():
            stack.enter_context(agent(agents, name, *(keys / key for key in held)))
        (agents / "machine-root").symlink_to(agents / "full")
        _revoke(folder, keys)
        yield World(folder=folder, machine=machine, gate=gate, words=_words(folder, machine, gate, public))


def _change_keys(keys: Path) -> None:
    """One with a passphrase in its file and without one in an agent, other forms, a curve, a certificate."""
    for name, source in (("unlocked", "locked"), ("bare", "signed"), ("pkcs8", "rsa"), ("halves", "stray")):
        (keys / name).write_bytes((keys / source).read_bytes())
        (keys / name).chmod(0o600)
    _change_a_half(keys / "halves")
    (keys / "command.root").write_text('echo "$1"\n')
    curve = ec.generate_private_key(ec.SECP256K1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (keys / "curve").write_bytes(curve.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    (keys / "curve").chmod(0o600)
    keygen = ["ssh-keygen", "-q"]
    for command in (
        [*keygen, "-p", "-P", "", "-N", "secret", "-f", str(keys / "locked")],
        [*keygen, "-p", "-P", "", "-N", "", "-m", "PEM", "-f", str(keys / "pem")],
        [*keygen, "-p", "-P", "", "-N", "", "-m", "PKCS8", "-f", str(keys / "pkcs8")],
        [*keygen, "-p", "-P", "", "-N", "", "-m", "PKCS8", "-f", str(keys / "pkcs8-ecdsa")],
        [*keygen, "-s", str(keys / "authority"), "-I", "user", "-n", "root", str(keys / "signed.pub")],
        [*keygen, "-s", str(keys / "authority"), "-I", "user", "-n", "root", str(keys / "signed-rsa.pub")],
    ):
        subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL)


def _change_a_half(path: Path) -> None:
    """The public half that an Ed25519 key has beside its private one."""
    parts = path.read_text().split("-----")
    blob = bytearray(base64.b64decode(parts[2]))
    blob[blob.rindex(b"ssh-ed25519") + 20] ^= 1
    parts[2] = f"\n{base64.encodebytes(blob).decode()}"
    path.write_text("-----".join(parts))


def _machine(folder: Path, keys: Path, stack: contextlib.ExitStack) -> Sshd:
    for kind in ("rsa", "ecdsa"):
        make_key(folder / kind, kind)
    more = [f"HostKey {folder}/rsa", f"HostKey {folder}/ecdsa", f"HostCertificate {folder}/host-cert.pub"]
    more += [f"TrustedUserCAKeys {keys}/authority.pub", "LogLevel VERBOSE", "MaxAuthTries 20", KEX]
    return stack.enter_context(_with_certificate(folder, keys, more))


@contextlib.contextmanager
def _with_certificate(folder: Path, keys: Path, settings: list[str]) -> Iterator[Sshd]:
    """The server starts with its key already there, signed."""
    make_key(folder / "host")
    names = "127.0.0.1,*.lab"
    command = [
        "ssh-keygen",
        "-q",
        "-s",
        str(keys / "authority"),
        "-I",
        "host",
        "-h",
        "-n",
        names,
        "-z",
        "7",
        str(folder / "host.pub"),
    ]
    subprocess.run(command, check=True, timeout=30)
    with sshd(folder, *settings) as running:
        yield running


def _revoke(folder: Path, keys: Path) -> None:
    for name, public in (("revoked", folder / "machine" / "host.pub"), ("others", keys / "stray.pub")):
        command = ["ssh-keygen", "-q", "-k", "-f", str(keys / f"{name}.krl"), str(public)]
        subprocess.run(command, check=True, timeout=30)
    shutil.copy(folder / "machine" / "host-cert.pub", keys)
    for name, line in (("serial", "serial: 5-7"), ("other-serial", "serial: 8"), ("id", "id: host")):
        command = ["ssh-keygen", "-q", "-k", "-s", str(keys / "authority.pub"), "-f", str(keys / f"{name}.krl"), "-"]
        subprocess.run(command, input=f"{line}\n".encode(), check=True, timeout=30)


def _half(certificate: str) -> str:
    """A certificate whose signature ends too soon, in whole base64."""
    kind, text = certificate.split()[:2]
    return f"{kind} {text[: len(text) * 7 // 8 // 4 * 4]}"


def _words(folder: Path, machine: Sshd, gate: Sshd, public: Mapping[str, str]) -> dict[str, str]:
    name = f"[127.0.0.1]:{machine.port}"
    host = {kind: " ".join((folder / "machine" / f"{kind}.pub").read_text().split()[:2]) for kind in ("rsa", "ecdsa")}
    asked = ["ssh", "-G", "-F", "none", "-o", "ControlPath=/%C", "-l", "root", "-p", str(machine.port), "127.0.0.1"]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=30).stdout
    here = socket.gethostname()
    return {
        "port": str(machine.port),
        "gate": str(gate.port),
        "keys": str(folder / "keys"),
        "agents": str(folder / "agents"),
        "name": name,
        "key": machine.host_key,
        "rsa": host["rsa"],
        "rsa-text": host["rsa"].split()[1],
        "ecdsa": host["ecdsa"],
        "gate-name": f"[127.0.0.1]:{gate.port}",
        "gate-key": gate.host_key,
        "stray": public["stray"],
        "stray-rsa": public["stray-rsa"],
        "authority": public["authority"],
        "certificate": " ".join((folder / "keys" / "host-cert.pub").read_text().split()[:2]),
        "half-certificate": _half((folder / "keys" / "signed-cert.pub").read_text()),
        "hashed": paramiko.HostKeys.hash_host(name),
        "hashed-other": paramiko.HostKeys.hash_host("other"),
        "hash": next(line.split("/")[1] for line in answer.splitlines() if line.startswith("controlpath ")),
        "local": f"{here}-{here.partition('.')[0]}",
        "python": sys.executable,
        "relay": RELAY,
        "pass": PASS,
    }
