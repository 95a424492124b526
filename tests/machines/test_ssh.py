"""clients/ssh.py against a real OpenSSH server on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from sparkqfs.clients.broken import close
from sparkqfs.clients.connect import Clients
from sparkqfs.clients.login_shell import closed_after
from sparkqfs.clients.ssh import NodeClient, whole
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, ExitCode, UnreachableError
from tests.doubles.servers import Sshd, closed_port, make_key, sshd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def client_of(config: ClusterConfig) -> NodeClient:
    return NodeClient(config, config.nodes[0])


@pytest.fixture(scope="module")
def client(server: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeClient]:
    made = client_of(server.cluster(tmp_path_factory.mktemp("client") / "known_hosts"))
    yield made
    made.close()


def is_running(pid: int) -> bool:
    """True for a process that is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_pid(file: Path) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.02)
    raise AssertionError("the command did not start")


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not is_running(pid):
            return True
        time.sleep(0.02)
    return False


# --- commands -------------------------------------------------------------------------------------


def test_a_command_gives_its_output_errors_and_exit_code(client: NodeClient) -> None:
    output = client.run(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
    assert (output.exit_code, output.stdout, output.stderr) == (7, "out\n", "err")


def test_arguments_arrive_as_they_were_given(client: NodeClient) -> None:
    arguments = ["a b", "$HOME", "`id`", "it's", '"', "*", "", "line\nbreak", "-n"]
    output = client.run(["sh", "-c", 'for a in "$@"; do printf "%s\\0" "$a"; done', "sh", *arguments])
    assert output.stdout.split("\0")[:-1] == arguments


def test_a_megabyte_of_standard_input_arrives_and_comes_back_whole(client: NodeClient) -> None:
    sent = os.urandom(1 << 19).hex()
    assert client.run(["cat"], stdin=sent).stdout == sent


def test_a_command_without_input_sees_its_end_at_once(client: NodeClient) -> None:
    assert client.run(["wc", "-c"], timeout_s=5).stdout.strip() == "0"


def test_a_command_that_does_not_read_its_input_still_ends(client: NodeClient) -> None:
    assert client.run(["true"], stdin=b"x" * (8 << 20), timeout_s=10).exit_code == 0


def test_lines_of_standard_error_come_while_the_command_runs(client: NodeClient) -> None:
    seen: list[tuple[str, float]] = []
    client.run(
        ["sh", "-c", "echo one >&2; sleep 0.4; printf two >&2"],
        on_line=lambda line: seen.append((line, time.monotonic())),
    )
    assert [line for line, _ in seen] == ["one", "two"]
    assert seen[1][1] - seen[0][1] > 0.2


def test_bytes_that_are_no_text_do_not_break_the_answer(client: NodeClient) -> None:
    output = client.run(["printf", r"\377x\n"])
    assert output.stdout == "�x\n"


def test_a_script_travels_on_standard_input_with_its_arguments(client: NodeClient) -> None:
    output = client.script('set -eu\nprintf "%s|" "$@"\n', "a b", "-x", "")
    assert output.stdout == "a b|-x||"


def test_a_script_of_which_only_a_part_arrives_does_nothing(tmp_path: Path) -> None:
    script = whole(f'set -eu\nmkdir -p "{tmp_path}/a/b"\nrm -rf "{tmp_path}/a/b/c"\necho done')
    for length in range(len(script) - 2):
        subprocess.run(["sh", "-s"], input=script[:length], text=True, capture_output=True, check=False, timeout=30)
        assert not list(tmp_path.iterdir()), script[:length]
    done = subprocess.run(["sh", "-s"], input=script, text=True, capture_output=True, check=True, timeout=30)
    assert done.stdout == "done\n" and (tmp_path / "a" / "b").is_dir()


def test_a_failed_command_is_an_error_with_machine_words_command_and_code(client: NodeClient) -> None:
    with pytest.raises(ClusterError) as caught:
        client.run(["sh", "-c", "echo first; echo last words >&2; exit 3"])
    (problem,) = caught.value.problems
    assert str(problem).startswith("[node1] last words (`sh -c ") and problem.what.endswith("exit 3)")
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_program_that_is_not_there_is_an_error_and_no_hang(client: NodeClient) -> None:
    assert client.run(["no-such-program"], check=False).exit_code == 127


def test_many_short_commands_lose_nothing(client: NodeClient) -> None:
    found: list[str] = []

    def ask(number: int) -> None:
        found.extend(client.run(["echo", f"{number}-{round_}"]).stdout.strip() for round_ in range(3))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == sorted(f"{number}-{round_}" for number in range(3) for round_ in range(3))


# --- deadlines and interrupts ---------------------------------------------------------------------


def test_a_command_that_takes_too_long_is_ended_on_the_machine_too(client: NodeClient, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ClusterError) as caught:
        client.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 60"], timeout_s=1)
    assert caught.value.exit_code == ExitCode.TIMEOUT
    assert "did not end within 1 s" in str(caught.value)
    assert time.monotonic() - started < 30
    assert is_gone(wait_for_pid(tmp_path / "pid"))


def test_the_children_of_a_command_that_takes_too_long_are_ended_too(client: NodeClient, tmp_path: Path) -> None:
    with pytest.raises(ClusterError):
        client.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout_s=1)
    assert is_gone(wait_for_pid(tmp_path / "pid"))


def test_the_machine_can_be_used_again_after_a_command_took_too_long(client: NodeClient) -> None:
    with pytest.raises(ClusterError):
        client.run(["sleep", "60"], timeout_s=0.3)
    assert client.run(["echo", "still here"]).stdout == "still here\n"


def test_a_command_that_takes_too_long_does_not_end_another_one(client: NodeClient, tmp_path: Path) -> None:
    results: list[int] = []
    other = threading.Thread(
        target=lambda: results.append(
            client.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 3"], check=False).exit_code
        )
    )
    other.start()
    wait_for_pid(tmp_path / "pid")
    with pytest.raises(ClusterError):
        client.run(["sleep", "60"], timeout_s=1)
    other.join(30)
    assert results == [0]


def test_an_interrupt_ends_what_runs_on_the_machines(server: Sshd, tmp_path: Path) -> None:
    clients = Clients(server.cluster(tmp_path / "known_hosts"))
    client = clients.node("node1")
    ended, started = threading.Event(), threading.Event()

    def run() -> None:
        command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; echo started >&2; sleep 60"]
        client.run(command, check=False, on_line=lambda _line: started.set())
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(30)
    pid = wait_for_pid(tmp_path / "pid")
    clients.cancel()
    thread.join(30)
    assert ended.is_set() and is_gone(pid)
    clients.close()


@pytest.mark.parametrize("begins", ["before", "while"])
def test_after_an_interrupt_nothing_begins_on_the_machine_but_a_last_word(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    client = client_of(server.cluster(tmp_path / "known_hosts"))
    script = f"echo $$ > {tmp_path}/pid; cat; echo done > {tmp_path}/done; exec sleep 300"
    if begins == "before":
        client.open()
        client.end_programs()
    else:
        start = client.exec_channel

        def interrupted(*words: Any, **how: Any) -> paramiko.Channel:
            channel = start(*words, **how)
            wait_for_pid(tmp_path / "pid")
            client.end_programs()
            return channel

        monkeypatch.setattr(client, "exec_channel", interrupted)
    with pytest.raises(ClusterError) as raised:
        client.run(["sh", "-c", script], must_end=True)
    assert raised.value.exit_code == ExitCode.INTERRUPTED and raised.value.problems[0].node == "node1"
    monkeypatch.undo()
    if begins == "while":
        assert is_gone(wait_for_pid(tmp_path / "pid"))
    else:
        assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "done").exists()
    assert client.run(["echo", "last"], is_last_word=True).stdout == "last\n"
    client.close()


def test_an_attended_command_sees_the_end_of_its_input_when_the_connection_breaks(server: Sshd, tmp_path: Path) -> None:
    client = client_of(server.cluster(tmp_path / "known_hosts"))
    script = f"echo $$ > {tmp_path}/pid; cat > /dev/null; echo alone > {tmp_path}/said"

    def attend() -> None:
        with contextlib.suppress(ClusterError):
            client.run(["sh", "-c", script], check=False, attend=True)

    thread = threading.Thread(target=attend)
    thread.start()
    pid = wait_for_pid(tmp_path / "pid")
    time.sleep(0.5)
    assert is_running(pid)
    client.close()
    thread.join(30)
    assert is_gone(pid) and (tmp_path / "said").read_text() == "alone\n"


def test_an_attended_command_that_ends_by_itself_is_not_waited_for(client: NodeClient) -> None:
    assert client.run(["echo", "done"], attend=True, timeout_s=5).stdout == "done\n"


def test_a_machine_that_is_being_connected_does_not_hold_up_an_interrupt(server: Sshd, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = at(server.cluster(tmp_path / "known_hosts"), silent.getsockname()[1])
        clients = Clients(replace(config, timeouts=replace(config.timeouts, connect_s=8)))
        thread = threading.Thread(target=lambda: pytest.raises(UnreachableError, clients.node("node1").open))
        thread.start()
        time.sleep(0.5)
        started = time.monotonic()
        clients.cancel()
        clients.close()
        assert time.monotonic() - started < 6
        thread.join(30)


def test_closing_twice_is_no_fault(client: NodeClient) -> None:
    client.open()
    client.close()
    client.close()


@pytest.mark.parametrize(
    ("setting", "said"),
    [("MaxSessions 0", "takes no further session"), ("PermitTTY no", "allows this user no terminal (PermitTTY no)")],
)
def test_a_terminal_that_sshd_does_not_give_is_no_broken_connection(tmp_path: Path, setting: str, said: str) -> None:
    with sshd(tmp_path, "Match all", setting) as strict:
        client = client_of(strict.cluster(tmp_path / "known_hosts"))
        with pytest.raises(ClusterError) as caught:
            client.shell_channel(24, 80, "xterm")
        client.close()
    assert said in str(caught.value) and caught.value.exit_code == ExitCode.FAILED


def test_a_connection_that_breaks_while_a_tcp_connection_is_asked_for_is_named(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server.cluster(tmp_path / "known_hosts"))
    transport = client.open().transport
    monkeypatch.setattr(transport, "get_exception", EOFError)  # what it keeps when the other side ends in order
    session = int(client.run(["sh", "-c", "echo $PPID"]).stdout)
    os.kill(session, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (session, signal.SIGKILL)).start()
    with pytest.raises(ConnectionError, match="the connection to the machine broke"):
        client.tcp_channel("127.0.0.1", server.port, 10)
    client.close()


# --- host keys ------------------------------------------------------------------------------------


@contextlib.contextmanager
def breaking(server: Sshd, folder: Path) -> Iterator[tuple[NodeClient, Callable[[], None]]]:
    """What is called makes each message fail at once, while paramiko does not know yet that the connection is gone."""
    client = client_of(server.cluster(folder / "known_hosts"))
    session = int(client.run(["sh", "-c", "echo $PPID"]).stdout)

    def break_off() -> None:
        os.kill(session, signal.SIGSTOP)
        client.open().transport.sock.shutdown(socket.SHUT_WR)

    try:
        yield client, break_off
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(session, signal.SIGKILL)
        client.close()


def test_a_channel_whose_connection_has_just_broken_can_be_closed(server: Sshd, tmp_path: Path) -> None:
    with breaking(server, tmp_path) as (client, break_off):
        channel = client.exec_channel(["sleep", "60"])
        break_off()
        close(channel)
        assert channel.closed


def test_a_command_whose_connection_has_just_broken_is_an_error_of_its_machine(server: Sshd, tmp_path: Path) -> None:
    with breaking(server, tmp_path) as (client, break_off):
        script = "echo begun >&2; head -c 4000000 /dev/zero; sleep 60"
        with pytest.raises(ClusterError) as caught:
            client.run(["sh", "-c", script], on_line=lambda _: break_off(), timeout_s=5)
        assert caught.value.problems[0].node == client.node.name


def test_the_end_of_a_time_limit_after_the_connection_broke_is_no_fault_in_a_thread(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[object] = []
    monkeypatch.setattr(threading, "excepthook", faults.append)
    with breaking(server, tmp_path) as (client, break_off):
        channel = client.exec_channel(["sleep", "60"])
        with closed_after(channel, 0.2):
            break_off()
            while not channel.closed:
                time.sleep(0.01)
        time.sleep(0.1)
    assert not faults


def opened(config: ClusterConfig) -> None:
    client = client_of(config)
    try:
        client.open()
    finally:
        client.close()


def refused(config: ClusterConfig) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        opened(config)
    assert caught.value.exit_code == 3 and str(caught.value).startswith("[node1] ")
    return caught.value


def test_a_new_machines_key_is_written_down_as_openssh_does(server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "ssh" / "known_hosts"
    opened(server.cluster(known))
    assert known.read_text() == f"[127.0.0.1]:{server.port} {server.host_key}\n"


def test_a_known_machines_key_is_not_written_again(server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    opened(server.cluster(known))
    before = known.read_bytes()
    opened(server.cluster(known))
    opened(server.strict(known))
    assert known.read_bytes() == before


@pytest.mark.parametrize("policy", ["accept-new", "strict"])
def test_a_changed_key_is_refused_and_left_as_it_is(server: Sshd, tmp_path: Path, policy: str) -> None:
    known = tmp_path / "known_hosts"
    line = f"[127.0.0.1]:{server.port} {make_key(tmp_path / 'other')}\n"
    known.write_text(line)
    config = server.strict(known) if policy == "strict" else server.cluster(known)
    assert "has changed" in str(refused(config))
    assert known.read_text() == line


def test_a_key_of_another_type_is_a_changed_key(server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {make_key(tmp_path / 'other', 'ecdsa')}\n")
    assert "has changed" in str(refused(server.cluster(known)))


@pytest.fixture(scope="module")
def keys_of_three_types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, dict[str, str]]]:
    """A server with an Ed25519, an ECDSA and an RSA host key, and the keys by type."""
    folder = tmp_path_factory.mktemp("keys")
    more = {kind: make_key(folder / kind, kind) for kind in ("ecdsa", "rsa")}
    with sshd(folder, *(f"HostKey {folder}/{kind}" for kind in more)) as running:
        yield running, {"ed25519": running.host_key, **more}


@pytest.mark.parametrize("policy", ["accept-new", "strict"])
@pytest.mark.parametrize("known_types", [["rsa"], ["ecdsa"], ["rsa", "ecdsa"], ["ed25519", "rsa"]])
def test_a_machine_is_known_by_whichever_of_its_keys_stands_in_the_file(
    keys_of_three_types: tuple[Sshd, dict[str, str]], tmp_path: Path, known_types: list[str], policy: str
) -> None:
    machine, keys = keys_of_three_types
    known = tmp_path / "known_hosts"
    known.write_text("".join(f"[127.0.0.1]:{machine.port} {keys[kind]}\n" for kind in known_types))
    before = known.read_bytes()
    opened(machine.strict(known) if policy == "strict" else machine.cluster(known))
    assert known.read_bytes() == before


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_another_key_of_a_known_type_is_a_changed_key(
    keys_of_three_types: tuple[Sshd, dict[str, str]], tmp_path: Path, kind: str
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{keys_of_three_types[0].port} {make_key(tmp_path / 'other', kind)}\n")
    assert "has changed" in str(refused(keys_of_three_types[0].cluster(known)))


@pytest.mark.parametrize("policy", ["accept-new", "strict"])
@pytest.mark.parametrize("names", ["[127.0.0.1]:{port}", "*", "other,[127.0.0.?]:*"])
@pytest.mark.parametrize("is_known_too", [True, False])
def test_a_revoked_key_is_refused_whatever_else_the_file_says(
    server: Sshd, tmp_path: Path, policy: str, names: str, is_known_too: bool
) -> None:
    known = tmp_path / "known_hosts"
    text = f"@revoked {names.format(port=server.port)} {server.host_key}\n"
    text += f"[127.0.0.1]:{server.port} {server.host_key}\n" if is_known_too else ""
    known.write_text(text)
    config = server.strict(known) if policy == "strict" else server.cluster(known)
    assert "is revoked" in str(refused(config))
    assert known.read_text() == text


def test_a_hashed_name_counts_for_its_machine_alone(server: Sshd, tmp_path: Path) -> None:
    known, key = tmp_path / "known_hosts", server.host_key
    mine, other = (paramiko.HostKeys.hash_host(name) for name in (f"[127.0.0.1]:{server.port}", "other"))
    known.write_text(f"|1|damaged|x {key}\n\t{other}\t{key}\n")
    assert "is not known" in str(refused(server.strict(known)))
    known.write_text(f"{mine}  {key.replace(' ', '   ')} a comment\n@revoked\t{other} {key}\n")
    opened(server.strict(known))
    known.write_text(f"@revoked  {mine}\t{key}\n")
    assert "is revoked" in str(refused(server.cluster(known)))


def test_a_key_that_is_revoked_for_other_machines_is_accepted(server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"@revoked *.lan,192.0.2.1 {server.host_key}\n[127.0.0.1]:{server.port} {server.host_key}\n")
    opened(server.strict(known))


@pytest.mark.parametrize("names", ["*", "[127.0.0.*]:*", "x.lan,[127.0.?.1]:{port}"])
def test_a_pattern_of_names_is_compared_as_openssh_does(server: Sshd, tmp_path: Path, names: str) -> None:
    known, pattern = tmp_path / "known_hosts", names.format(port=server.port)
    known.write_text(f"{pattern} {server.host_key}\n")
    opened(server.strict(known))
    known.write_text(f"{pattern} {make_key(tmp_path / 'other')}\n")
    assert "has changed" in str(refused(server.cluster(known)))


def test_a_line_that_excludes_a_machine_says_nothing_about_it(server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"*,![127.0.0.1]:{server.port},!127.0.0.1 {server.host_key}\n")
    assert "is not known" in str(refused(server.strict(known)))


def test_strict_refuses_a_machine_it_does_not_know_and_writes_nothing(server: Sshd, tmp_path: Path) -> None:
    error = refused(server.strict(tmp_path / "known_hosts"))
    assert "is not known (ssh.host_keys: strict)" in str(error)
    assert not (tmp_path / "known_hosts").exists()


def test_a_known_hosts_file_without_a_last_line_end_is_not_damaged(server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    first = f"other.example.org {make_key(tmp_path / 'other')}"
    known.write_text(first)
    opened(server.cluster(known))
    assert known.read_text().splitlines()[0] == first


@pytest.mark.parametrize("line", ["@cert-authority *.example.org ssh-ed25519 AAAA", "host ssh-rsa AAA"])
def test_lines_that_only_openssh_understands_do_not_lock_the_user_out(server: Sshd, tmp_path: Path, line: str) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(line + "\n")
    opened(server.cluster(known))


# --- machines that do not answer ------------------------------------------------------------------


def at(config: ClusterConfig, port: int) -> ClusterConfig:
    return replace(config, nodes=(replace(config.nodes[0], port=port),))


def test_a_refused_connection_names_the_machine_its_address_and_what_to_do(server: Sshd, tmp_path: Path) -> None:
    port = closed_port()
    error = refused(at(server.cluster(tmp_path / "known_hosts"), port))
    assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in str(error) and error.problems[0].hint


def test_a_port_that_speaks_no_ssh_is_given_up_within_the_time_limit(server: Sshd, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = server.cluster(tmp_path / "known_hosts")
        config = replace(config, timeouts=replace(config.timeouts, connect_s=1))
        started = time.monotonic()
        refused(at(config, silent.getsockname()[1]))
        assert time.monotonic() - started < 12


def test_a_time_limit_below_a_second_is_one_too(server: Sshd, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(4):  # then the kernel answers no further one
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(full.getsockname())
        config = server.cluster(tmp_path / "known_hosts")
        config = replace(config, timeouts=replace(config.timeouts, connect_s=0.5))
        started = time.monotonic()
        error = refused(at(config, full.getsockname()[1]))
        assert time.monotonic() - started < 12
    assert "within 0.5 s" in str(error)


def test_a_key_that_the_machine_does_not_know_says_which_settings_to_look_at(server: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    config = server.cluster(tmp_path / "known_hosts")
    error = refused(replace(config, ssh=replace(config.ssh, key=tmp_path / "stranger")))
    assert "cannot log in" in str(error) and "ssh.key" in (error.problems[0].hint or "")


def test_what_a_node_says_of_its_login_counts_before_what_is_said_for_all(server: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    config = server.cluster(tmp_path / "known_hosts")
    config = replace(config, ssh=replace(config.ssh, key=tmp_path / "stranger", user="nobody-here", port=closed_port()))
    own = replace(config.nodes[0], user="root", key=server.key)
    opened(replace(config, nodes=(own,)))
    assert "as nobody-here: tried" in str(refused(replace(config, nodes=(replace(own, user=None),))))
    assert "as root: tried" in str(refused(replace(config, nodes=(replace(own, key=None),))))


def test_a_name_that_does_not_resolve_is_an_address_to_correct(server: Sshd, tmp_path: Path) -> None:
    config = server.cluster(tmp_path / "known_hosts")
    config = replace(config, nodes=(replace(config.nodes[0], address="no-such-machine.invalid"),))
    error = refused(config)
    assert "cannot resolve no-such-machine.invalid" in str(error)
    assert error.problems[0].hint == "correct nodes.node1.address"


def test_one_machine_that_does_not_answer_does_not_hide_the_others(server: Sshd, tmp_path: Path) -> None:
    config = server.cluster(tmp_path / "known_hosts")
    good = config.nodes[0]
    bad = replace(good, name="node2", manager=False, port=closed_port())
    clients = Clients(replace(config, nodes=(good, bad)))
    results = clients.on(("node1", "node2"), lambda name: clients.node(name).run(["echo", name]).stdout)
    clients.close()
    assert results.values == {"node1": "node1\n"}
    assert [problem.node for problem in results.problems] == ["node2"]


# --- TCP through the machine ----------------------------------------------------------------------


def test_a_tcp_channel_talks_to_a_port_of_the_machine(client: NodeClient) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        client.tcp_channel("127.0.0.1", listener.getsockname()[1], 5) as channel,
        listener.accept()[0] as peer,
    ):
        channel.sendall(b"ping")
        assert peer.recv(4) == b"ping"


def test_a_tcp_channel_to_a_closed_port_is_a_connection_error(client: NodeClient) -> None:
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
        client.tcp_channel("127.0.0.1", closed_port(), 5)
