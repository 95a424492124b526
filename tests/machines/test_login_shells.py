"""Programs on machines with all kinds of login shells and start-up files; real shells under a real SSH server."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.clients.engine import Engine
from sparkqfs.clients.login_shell import FORMS, LAUNCHER
from sparkqfs.clients.pipe import NodePipe
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.config.model import ClusterConfig, TimeoutsConfig
from sparkqfs.errors import ClusterError
from sparkqfs.gather.nodes import gather_nodes
from sparkqfs.jobs.session import Session, cluster_lock
from sparkqfs.plan.storage import backend_of
from tests.doubles.login_shells import STARTUP, machine, starting
from tests.doubles.servers import Sshd, an_engine, engine_machine, serve

ARGUMENTS = ["a b", "$HOME", "`id`", "it's", '"', "*", "", "line\nbreak", "-n", "!x", "\\", "\\'", "%s", "{a,b}", "~"]
SAY = """pwd; umask; echo "$LC_ALL|${CDPATH-}${DOCKER_HOST-}${POSIX-}"
for a in "$@"; do printf '%s\\0' "$a"; done; cat; exit 7"""
CLEAN = "/\n0022\nC|\n"


class Machines:
    """One server for each login shell, started at its first use."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._running: dict[str, tuple[Path, Sshd]] = {}

    def __call__(self, shell: str) -> tuple[Path, Sshd]:
        if shell not in self._running:
            folder = self._folder / shell
            folder.mkdir()
            self._running[shell] = folder, self._stack.enter_context(machine(folder, shell))
        return self._running[shell]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with contextlib.ExitStack() as stack:
        yield Machines(tmp_path_factory.mktemp("shells"), stack)


@contextlib.contextmanager
def client_of(server: Sshd, folder: Path, connect_s: float = 5) -> Iterator[NodeClient]:
    config = server.cluster(folder / "known_hosts", timeouts=TimeoutsConfig(connect_s=connect_s, command_s=20))
    client = NodeClient(config, config.nodes[0])
    try:
        yield client
    finally:
        client.close()


def check(client: NodeClient) -> None:
    """A program of ours gets its arguments and its input, a clean environment, and nothing else."""
    output = client.run(["sh", "-c", SAY, "sh", *ARGUMENTS], stdin="in\n\nput", check=False)
    said = CLEAN + "".join(f"{argument}\0" for argument in ARGUMENTS) + "in\n\nput"
    assert (output.stdout, output.stderr, output.exit_code) == (said, "", 7)


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish", "tcsh", "ksh", "mksh", "rbash"])
def test_programs_run_alike_under_every_login_shell(machines: Machines, shell: str) -> None:
    folder, server = machines(shell)
    with client_of(server, folder) as client:
        check(client)
        assert client.script('printf "%s|" "$@"', "a b", "\\'").stdout == "a b|\\'|"


PRINTS = {
    "bash": "echo Welcome; echo error >&2; printf 'no end'; trap 'echo bye' EXIT; set -x\n",
    "rbash": "echo Welcome; echo error >&2; printf 'no end'\n",
    "zsh": "echo Welcome; echo error >&2; printf 'no end'; zshexit() { echo bye; }\n",
    "fish": "echo Welcome; echo error >&2; printf 'no end'; function bye --on-event fish_exit; echo bye; end\n",
    "tcsh": "echo Welcome; echo error >/dev/stderr; set echo; set verbose\n",
}
SETS = {
    "bash": "set -eu; export PATH=/nowhere LC_ALL=xx CDPATH=/tmp DOCKER_HOST=tcp://127.0.0.1:1; umask 077; cd /tmp\n",
    "zsh": "setopt ksharrays shwordsplit; export PATH=/nowhere CDPATH=/tmp POSIX=1; umask 077; cd /tmp\n",
    "fish": "set -gx PATH /nowhere; set -gx CDPATH /tmp; set -gx DOCKER_HOST x; umask 077; cd /tmp\n",
    "tcsh": "setenv PATH /nowhere; setenv CDPATH /tmp; setenv LC_ALL C; umask 077; cd /tmp; set noglob\n",
}
ASKS = {
    "bash": "read -r a; read -r b; test -z $a\n",
    "zsh": "read -r a; sleep 0.5\n",
    "fish": "read a\n",
    "tcsh": "set a = $<\n",
}
KINDS = [("prints", PRINTS), ("sets", SETS), ("asks", ASKS)]


@pytest.mark.parametrize(("kind", "shell"), [(kind, shell) for kind, table in KINDS for shell in table])
def test_what_start_up_files_print_set_and_ask_for_does_not_matter(machines: Machines, kind: str, shell: str) -> None:
    folder, server = machines(shell)
    with starting(folder, {STARTUP[shell]: dict(KINDS)[kind][shell]}), client_of(server, folder) as client:
        check(client)


@pytest.mark.parametrize("other", ["bash", "dash", "zsh", "tcsh", "ksh"])
def test_a_start_up_file_that_goes_over_to_another_shell_does_not_matter(machines: Machines, other: str) -> None:
    machines(other)  # skips where there is none
    folder, server = machines("bash")
    text = f'echo Hello; [ -n "${{OVER-}}" ] || OVER=1 exec {other}\n'
    with starting(folder, {".bashrc": text}), client_of(server, folder) as client:
        check(client)


def test_a_start_up_file_that_takes_a_while_is_waited_for(machines: Machines) -> None:
    folder, server = machines("bash")
    with starting(folder, {".bashrc": "sleep 3; echo late\n"}), client_of(server, folder) as client:
        check(client)


def test_a_process_that_a_start_up_file_leaves_behind_does_not_hold_up_the_end(machines: Machines) -> None:
    folder, server = machines("bash")
    with starting(folder, {".bashrc": "sleep 15 &\n"}), client_of(server, folder) as client:
        started = time.monotonic()
        check(client)
        assert len(client.run(["head", "-c", "3000000", "/dev/zero"]).stdout) == 3_000_000
        assert time.monotonic() - started < 12


def test_the_launcher_has_nothing_that_a_login_shell_reads_as_something_else() -> None:
    assert not set("'!\n") & set(LAUNCHER) and "\\\\" not in LAUNCHER and not LAUNCHER.endswith("\\")
    assert all(form.count("'") == 2 for form in FORMS)


# --- where that cannot be -------------------------------------------------------------------------


def refusal(server: Sshd, folder: Path, connect_s: float = 5) -> str:
    with client_of(server, folder, connect_s) as client, pytest.raises(ClusterError) as caught:
        client.run(["true"])
    (problem,) = caught.value.problems
    assert problem.node == "node1" and problem.hint is not None
    return problem.what


def test_a_login_shell_that_takes_no_commands_is_named_with_its_words(machines: Machines) -> None:
    folder, server = machines("nologin")
    said = "it printed “This account is currently not available.”"
    what = f"the login shell of root (nologin) ended before our program began (exit code 1); {said}"
    assert refusal(server, folder) == what


@pytest.mark.parametrize(
    ("shell", "text", "why", "said"),
    [
        ("bash", "echo 'log in as pi'; sleep 0.2; exit 14\n", "ended before our program began (exit code 14)", "“log in as pi”"),  # noqa: E501
        ("bash", "echo Hi; exec sleep 100\n", "did not get to our program within 3 s", "“Hi”"),
        ("bash", "echo Hi; cat > /dev/null\n", "did not get to our program within 3 s", "“Hi”"),
        ("bash", "exec > /dev/null\n", "did not get to our program within 3 s", "nothing"),
        ("bash", "echo Hi; exec 2>&1\n", "sends the errors of programs to the same place as their output", "“Hi”"),
        ("bash", "exec >&2; echo Hi\n", "sends the output of programs to where errors go", "“Hi”"),
        ("bash", "echo Hi; exec fish\n", "did not get to our program within 3 s", "“Hi”"),
        ("zsh", "echo Hi; exec false\n", "ended before our program began (exit code 1)", "“Hi”"),
    ],
)  # fmt: skip
def test_a_login_shell_that_does_not_get_to_our_programs_is_named_with_its_words(
    machines: Machines, shell: str, text: str, why: str, said: str
) -> None:
    folder, server = machines(shell)
    with starting(folder, {STARTUP[shell]: text}):
        what = refusal(server, folder, 1)
    assert what.startswith("the login shell of root (") and what.endswith(f") {why}; it printed {said}")


def test_a_command_that_sshd_puts_in_the_place_of_ours_is_named_with_its_words(tmp_path: Path) -> None:
    with machine(tmp_path, "bash", "ForceCommand echo 'Please login as pi'; exit 142") as server:
        what = refusal(server, tmp_path)
    assert "(exit code 142); it printed “Please login as pi”" in what


# --- what tasks do there --------------------------------------------------------------------------


@pytest.fixture(params=["bash", "fish"])
def noisy(machines: Machines, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClusterConfig]:
    """A cluster of one machine whose start-up files print, ask and set."""
    shell = request.param
    folder, server = machines(shell)
    text = PRINTS[shell].replace("set -x", "") + ASKS[shell]
    name = f"shells-{os.getpid()}"
    with starting(folder, {STARTUP[shell]: text}):
        config = server.cluster(tmp_path / "known_hosts")
        nodes = tuple(replace(node, data_dirs=(PurePosixPath(tmp_path / name),)) for node in config.nodes)
        yield replace(config, name=name, nodes=nodes)
    for lock in Path("/run/lock").glob(f"sparkqfs-*{name}.lock"):
        lock.unlink()


def test_the_lock_is_taken_and_secrets_and_facts_are_read(noisy: ClusterConfig) -> None:
    clients = Clients(noisy)
    session = Session(noisy, clients, lambda _text: None)
    secrets = Path(noisy.manager.data_dirs[0], "sparkqfs", "secrets")
    secrets.parent.mkdir(parents=True)
    secrets.write_text('{"token": "s3cret"}')
    with contextlib.closing(clients):
        with cluster_lock(session, "prep"):
            assert session.secrets(complete=False) == {"token": "s3cret"}
            results = gather_nodes(noisy, clients, backend_of(noisy).layout)
        assert list(results.values) == ["node1"] and not results.problems


def test_bytes_go_there_and_back_as_they_are(noisy: ClusterConfig) -> None:
    sent = os.urandom(300_000)
    client = NodeClient(noisy, noisy.nodes[0])
    pipe = NodePipe(client, ["cat"], stall_s=20)
    pipe.write(sent)
    pipe.end()
    back = b""
    while more := pipe.read(65536):
        back += more
    assert back == sent and pipe.exit_code() == 0 and pipe.last_words() == ""
    pipe.close()
    client.close()


def test_the_engine_answers_where_the_login_shell_prints(tmp_path: Path) -> None:
    rc = tmp_path / "rc"
    rc.write_text("echo Welcome; echo error >&2\n")
    with (
        serve(an_engine()) as port,
        engine_machine(tmp_path, port, f'ForceCommand . {rc}; eval "$SSH_ORIGINAL_COMMAND"') as server,
    ):
        config = server.cluster(tmp_path / "known_hosts")
        client = NodeClient(config, config.nodes[0])
        engine = Engine(client)
        assert [node["ID"] for node in engine.nodes()] == ["n1"]
        engine.close()
        client.close()


def test_a_program_that_takes_too_long_is_ended_under_a_shell_that_stays(machines: Machines, tmp_path: Path) -> None:
    folder, server = machines("rbash")
    with client_of(server, folder) as client, pytest.raises(ClusterError, match="did not end within 1 s"):
        client.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout_s=1)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid))


SUDO = """#!/bin/sh
case $2 in
  -n) echo "sudo: a password is required" >&2; exit 1 ;;
  -S) IFS= read -r password; [ "$password" = "pass word" ] || exit 1; shift 5; exec "$@" ;;
esac
exit 1
"""
"""Called as `sudo -k -n …`, or with the password on standard input as `sudo -k -S -p '' -- …`."""


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_sudo_gets_the_password_and_the_program_its_input(shell: str, tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    with machine(tmp_path, shell, f"SetEnv PATH={tmp_path}:/usr/bin:/bin") as server:
        config = server.cluster(tmp_path / "known_hosts")
        config = replace(config, ssh=replace(config.ssh, user="pi"))
        client = NodeClient(config, config.nodes[0], sudo_password="pass word")
        with starting(tmp_path, {STARTUP[shell]: PRINTS[shell] + ASKS[shell]}):
            assert client.run(["cat"], stdin="in\n").stdout == "in\n"
        client.close()


REFUSING_SUDO = """#!/bin/sh
[ "$*" = "-n -- sh -c :" ] && [ -e allowed ] && exit 0
[ -e allowed ] && { shift 4; exec "$@"; }
printf 'sudo: ' >&2
(sleep 0.2; echo "a password is required" >&2) &
exit 1
"""
"""Called as `sudo -n -p '' -- …`, in the directory of its file. sshd may hand on a part of its words with its end."""


@pytest.mark.parametrize("what", ["run", "engine", "channel"])
def test_a_sudo_that_asks_is_named_with_what_helps_whatever_it_was_asked_for(what: str, tmp_path: Path) -> None:
    text = REFUSING_SUDO.replace("allowed ]", f"{tmp_path}/allowed ]")
    (tmp_path / "sudo").write_text(text)
    (tmp_path / "sudo").chmod(0o755)
    with machine(tmp_path, "bash", f"SetEnv PATH={tmp_path}:/usr/bin:/bin") as server:
        config = server.cluster(tmp_path / "known_hosts")
        config = replace(config, ssh=replace(config.ssh, user="pi"))
        with contextlib.closing(NodeClient(config, config.nodes[0])) as client:
            with pytest.raises(ClusterError) as refused:
                if what == "run":
                    client.run(["true"])
                elif what == "engine":
                    Engine(client).nodes()
                else:
                    client.exec_channel(["cat"])
            (problem,) = refused.value.problems
            assert (problem.node, problem.what) == (client.node.name, "sudo: a password is required")
            assert "--sudo-password-file -" in (problem.hint or "")
            (tmp_path / "allowed").touch()
            assert client.run(["echo", "on"]).stdout == "on\n"


@pytest.mark.parametrize("password", [None, "pass word"])
def test_a_machine_without_sudo_is_told_to_have_none(password: str | None, tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text("#!/bin/sh\nexec env no-such-sudo\n")
    (tmp_path / "sudo").chmod(0o755)
    with machine(tmp_path, "bash", f"SetEnv PATH={tmp_path}:/usr/bin:/bin") as server:
        config = server.cluster(tmp_path / "known_hosts")
        config = replace(config, ssh=replace(config.ssh, user="pi"))
        with contextlib.closing(NodeClient(config, config.nodes[0], sudo_password=password)) as client:
            with pytest.raises(ClusterError) as refused:
                client.run(["true"])
            (problem,) = refused.value.problems
    assert problem.what == "pi is not root there, and sudo is not installed"
    assert "apt-get install sudo" in (problem.hint or "") and "password" not in (problem.hint or "")


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
