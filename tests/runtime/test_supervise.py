"""The supervisor as a real process with small scripts in the place of the daemons."""

from __future__ import annotations

import fcntl
import http.client
import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparkqfs_runtime.pages import in_jupyter
from sparkqfs_runtime.supervise.spark import WHERE_IT_WAS
from tests.doubles.servers import Answer, closed_port, serve
from tests.paths import PROGRAMS
from tests.runtime.container import KEY, SECRET, Container


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that must not outlive a test, and their daemons with them."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_sigterm_gives_each_daemon_its_own_signal_and_exits_0(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    notes = container.notes()
    assert "chunkserver got SIGQUIT" in notes
    assert "spark-class got SIGTERM" in notes
    assert "chunkserver got SIGTERM" not in notes


def test_daemons_start_with_default_signals_in_their_own_groups(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = subprocess.Popen(
        # As a background job of a shell would be: QUIT and INT ignored.
        ["sh", "-c", f"trap '' QUIT INT; exec {sys.executable} -I {PROGRAMS / 'supervise'} worker-node"],
        env=container.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    notes = container.notes()
    for name in ("chunkserver", "spark-class"):
        assert f"{name} SIGQUIT default True" in notes
        assert f"{name} blocked []" in notes
        assert f"{name} group True" in notes


@pytest.mark.parametrize(
    ("dying", "said", "other"),
    [("chunkserver", "the chunkserver ended", "spark-class got SIGTERM"),
     ("spark-class", "the Spark worker ended", "chunkserver got SIGQUIT")],
)  # fmt: skip
def test_a_dying_daemon_ends_the_others_and_is_named(container: Container, dying: str, said: str, other: str) -> None:
    process = container.start("worker-node", FAKE_DIES=dying)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert f"{said} with exit code 3" in output
    assert other in container.notes()


def test_a_daemon_that_cannot_be_started_is_named(container: Container) -> None:
    (container.root / "spark" / "bin" / "spark-class").unlink()
    process = container.start("worker-node")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "cannot start the Spark worker" in output


def test_a_daemon_that_does_not_stop_is_killed_at_the_deadline(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node", FAKE_STUBBORN="chunkserver", SPARKQFS_STOP_DEADLINE_S="1")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "the chunkserver did not end within 1 s: killed" in output


@pytest.mark.parametrize("role", ["worker-node", "qfs-master", "init-storage"])
@pytest.mark.parametrize("marker", [None, "", "another-cluster\n"])
def test_without_the_right_marker_nothing_starts(container: Container, role: str, marker: str | None) -> None:
    path = container.mount / ".cluster-id"
    path.unlink() if marker is None else path.write_text(marker)
    process = container.start(role)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 78
    assert str(path) in output
    assert output.count("\n") == 1
    assert container.notes() == []


def test_one_unmarked_disk_of_several_is_enough_to_refuse(container: Container) -> None:
    second = container.root / "data" / "qfs1" / "chunk"
    second.mkdir(parents=True)
    process = container.start("worker-node", SPARKQFS_CHUNK_DIRS=f"{container.chunks} {second}")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 78
    assert str(second.parent / ".cluster-id") in output
    assert container.notes() == []


@pytest.mark.parametrize("take", [fcntl.flock, fcntl.lockf])
def test_a_chunkserver_waits_until_the_one_of_an_earlier_container_has_ended(
    container: Container, running: list[subprocess.Popen[str]], take: Callable[[int, int], None]
) -> None:
    with (container.chunks / "lock").open("w") as lock:
        take(lock.fileno(), fcntl.LOCK_EX)
        process = container.start("worker-node")
        running.append(process)
        assert process.stdout is not None
        said = next(line for line in process.stdout if "another server" in line)
        assert f"another server still has {container.chunks}: waiting for its end" in said
        assert "chunkserver started" not in container.notes()
    container.wait_for("chunkserver started", "spark-class started")


def test_a_directory_that_another_server_keeps_is_not_waited_for_for_ever(container: Container) -> None:
    with (container.chunks / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = container.start("worker-node", SPARKQFS_LOCK_S="0.5")
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (75, [])
    assert f"another server still has {container.chunks}; nothing started" in output


def test_an_unset_cluster_id_matches_no_marker(container: Container) -> None:
    process = container.start("worker-node", SPARKQFS_CLUSTER_ID="")
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (78, [])
    assert "SPARKQFS_CLUSTER_ID" in output


@pytest.mark.parametrize(("name", "role"), [("spark-secret", "worker-node"), ("cluster-key", "qfs-master")])
def test_a_missing_secret_is_refused(container: Container, name: str, role: str) -> None:
    (container.root / "secrets" / name).unlink()
    process = container.start(role)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (78, [])
    assert name in output


def test_jupyter_without_a_token_is_refused(container: Container) -> None:
    (container.root / "secrets" / "jupyter-token").write_text("\n")
    process = container.start("jupyter-server")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 78
    assert "token" in output


def test_drivers_leave_their_pages_port_to_the_page_of_all_of_them(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    (container.root / "secrets" / "jupyter-token").write_text("token\n")
    jupyter = str(container.root / "spark" / "bin" / "spark-class")
    port = str(closed_port())
    with serve({"/json/": Answer(body=b'{"activeapps": []}')}) as master:
        process = container.start(
            "jupyter-server",
            SPARKQFS_JUPYTER=jupyter,
            SPARKQFS_APP_UI_PORT=port,
            SPARKQFS_SPARK_UI_PORT=str(master),
            SPARK_MASTER_URL="spark://127.0.0.1:7077",
            SPARKQFS_PROBE_HOST="127.0.0.1",
        )
        running.append(process)
        container.wait_for("spark-class started")
        assert b"No application runs" in page_at(int(port))
    defaults = (container.run_dir / "conf" / "spark-defaults.conf").read_text()
    assert f"spark.ui.port {int(port) + 1}\n" in defaults
    settings = (container.run_dir / "jupyter" / "jupyter_server_config.py").read_text()
    c = SimpleNamespace(
        **{name: SimpleNamespace() for name in ("IdentityProvider", "ServerApp", "ExtensionApp", "LabApp")}
    )
    imported = {line.split()[1] for line in settings.splitlines() if line.startswith(("from ", "import "))}
    assert imported <= set(sys.stdlib_module_names)  # Jupyter's Python has none of our modules
    exec(compile(settings, "jupyter_server_config.py", "exec"), {"get_config": lambda: c})
    assert c.ServerApp.terminado_settings == {"shell_command": ["/bin/bash"]}
    assert (c.ServerApp.root_dir, c.ServerApp.port_retries) == (str(container.root / "notebooks"), 0)
    assert c.IdentityProvider.token == "token"
    assert c.ServerApp.jpserver_extensions == {in_jupyter.__name__: True}
    assert c.ServerApp.tornado_settings == {in_jupyter.SETTING: ("127.0.0.1", master)}
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def page_at(port: int) -> bytes:
    """A page that may not be there yet."""
    end = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read()
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)
        finally:
            connection.close()


def test_files_are_filled_in_private_and_secrets_stay_out_of_argv_env_and_logs(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    chunk = container.run_dir / "ChunkServer.prp"
    assert chunk.read_text() == (
        f"chunkServer.hostname = 127.0.0.1\nchunkServer.clusterKey = {KEY}\nchunkServer.chunkDir = {container.chunks}\n"
    )
    defaults = container.run_dir / "conf" / "spark-defaults.conf"
    lines = defaults.read_text().splitlines()
    assert lines[0] == "spark.authenticate true"
    assert f"spark.authenticate.secret {SECRET}" in lines
    env = container.run_dir / "env"
    assert {"NODE_IP=127.0.0.1", "SPARKQFS_DATA_PORT=22000"} <= set(env.read_text().splitlines())
    assert [mode(path) for path in (chunk, defaults, env)] == [0o400] * 3
    loaded = subprocess.run(
        [PROGRAMS / "with-env", "sh", "-c", 'echo "$SPARK_CONF_DIR $NODE_IP"'],
        env={"SPARKQFS_RUN_DIR": str(container.run_dir), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == f"{defaults.parent} 127.0.0.1\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    (argv,) = [note for note in container.notes() if note.startswith("spark-class argv")]
    assert "--host 127.0.0.1" in argv
    assert "--cores 2 --memory 1024m" in argv
    for hidden in (KEY, SECRET):
        assert hidden not in env.read_text()
        assert hidden not in " ".join(container.notes())
    # The fake Spark daemon prints the key too; only QFS's daemons know it, so only their log is filtered.
    assert output.count(KEY) == 1
    assert "setting clusterKey (hidden)" in output


def started_master(container: Container, running: list[subprocess.Popen[str]], **environ: str) -> dict[str, str]:
    """The settings of a Spark master that was started and stopped; the last line of a key wins."""
    container.log.unlink(missing_ok=True)
    process = container.start("spark-master", SPARKQFS_RECOVERY_DIR=str(container.root / "recovery"), **environ)
    running.append(process)
    container.wait_for("spark-class started")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    lines = (container.run_dir / "conf" / "spark-defaults.conf").read_text().splitlines()
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def test_a_spark_master_goes_on_with_its_own_state_and_with_no_other(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    jars = container.root / "spark" / "jars"
    jars.mkdir()
    (jars / "spark-core_2.13-4.1.4.jar").touch()
    settings = started_master(container, running, SPARKQFS_SERVICE="service-1")
    assert settings["spark.deploy.recoveryMode"] == "CUSTOM"
    assert 0 < int(settings["spark.deploy.recoveryTimeout"].rstrip("s")) <= 20
    state = Path(settings["spark.deploy.recoveryDirectory"])
    assert state.parent == container.root / "recovery" and state.is_dir()
    (state / "worker_one").write_text("kept")

    def state_now(service: str) -> Path:
        return Path(started_master(container, running, SPARKQFS_SERVICE=service)["spark.deploy.recoveryDirectory"])

    assert state_now("service-1") == state and (state / "worker_one").read_text() == "kept"
    later = state_now("service-2")  # after `down` and `deploy`
    assert later != state and list(state.parent.iterdir()) == [later]
    (jars / "spark-core_2.13-4.1.4.jar").rename(jars / "spark-core_2.13-4.2.0.jar")
    newer = state_now("service-2")
    assert newer != later and list(state.parent.iterdir()) == [newer]


def test_jvms_map_the_archive_of_classes_and_keep_the_options_that_they_have(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    spark = container.root / "spark"
    etc = container.root / "etc" / "spark-defaults.conf"
    etc.write_text(
        etc.read_text() + "spark.driver.defaultJavaOptions -Done=1\nspark.executor.defaultExtraClassPath /mine/*\n"
    )
    option = f"{WHERE_IT_WAS} -XX:SharedArchiveFile={spark}/classes.jsa"
    first = f"{spark}/jars/sparkqfs-first.jar"
    assert started_master(container, running)["spark.driver.defaultJavaOptions"] == "-Done=1"  # an image without one
    (note,) = [note for note in container.notes() if note.startswith("spark-class daemon")]
    assert "SharedArchiveFile" not in note and first not in note
    (spark / "classes.jsa").touch()
    settings = started_master(container, running, SPARK_DAEMON_JAVA_OPTS="-Dtwo=2")
    assert settings["spark.driver.defaultJavaOptions"] == f"{option} -Done=1"
    assert settings["spark.executor.defaultJavaOptions"] == option
    assert settings["spark.driver.defaultExtraClassPath"] == f"{first}:hive-jackson/*"
    assert settings["spark.executor.defaultExtraClassPath"] == f"{first}:/mine/*"
    (note,) = [note for note in container.notes() if note.startswith("spark-class daemon")]
    assert note == f"spark-class daemon {first} {option} -XX:TieredStopAtLevel=1 -Dtwo=2"


def test_old_state_of_the_master_is_removed_without_following_links_and_nothing_else(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    mine = container.root / "mine"
    mine.mkdir()
    (mine / "file").touch()
    state = Path(started_master(container, running)["spark.deploy.recoveryDirectory"])
    state.rmdir()
    state.symlink_to(mine)
    (state.parent / "0123456789abcdef").symlink_to(mine)
    (state.parent / "backup.tar").write_text("somebody's")
    (state.parent / "abcdef0123456789").mkdir()
    started_master(container, running)
    assert sorted(state.parent.iterdir()) == sorted([state, state.parent / "backup.tar"])
    assert state.is_dir() and not state.is_symlink()
    assert (mine / "file").exists()


def test_workers_do_not_wait_for_a_master_under_an_old_address(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    text = (container.run_dir / "conf" / "spark-defaults.conf").read_text()
    assert "spark.rpc.io.connectionCreationTimeout 5s\n" in text
    # as many tries at short intervals as in all, or the next one comes after a minute
    assert "spark.worker.initialRegistrationRetries 60\n" in text and "spark.worker.maxRegistrationRetries 60\n" in text
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_what_is_for_shells_of_docker_exec_stays_out_of_users_programs(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node", BASH_ENV="/ours", ENV="/ours", SHELL="/bin/bash")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    daemons = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(daemons) == 2
    for pid in daemons:
        names = {line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
        assert b"SHELL" in names and not names & {b"BASH_ENV", b"ENV"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_a_second_start_replaces_the_read_only_files(container: Container) -> None:
    for _ in range(2):
        process = container.start("worker-node", FAKE_DIES="spark-class")
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 1, output


def test_shared_storage_needs_no_marker_and_starts_no_chunkserver(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    (container.mount / ".cluster-id").unlink()
    process = container.start("worker-node", SPARKQFS_STORAGE="shared", SPARKQFS_CLUSTER_ID="")
    running.append(process)
    container.wait_for("spark-class started")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not any(note.startswith("chunkserver") for note in container.notes())
    assert "SPARKQFS_DATA_PORT=''" in (container.run_dir / "env").read_text().splitlines()


def test_init_passes_the_metaserver_s_exit_code_and_hides_the_key(container: Container) -> None:
    process = container.start("init-storage", FAKE_DIES="metaserver")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert f"metaserver argv -c {container.run_dir / 'MetaServer.prp'}" in container.notes()
    assert KEY not in output


def java_argv(container: Container) -> str:
    (argv,) = [note for note in container.notes() if note.startswith("java argv")]
    return argv


def test_with_hdfs_a_datanode_and_a_spark_worker_share_one_address(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node", **container.hdfs(), HDFS_DATANODE_HEAP_MIB="300")
    running.append(process)
    container.wait_for("java started", "spark-class started")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    site = container.run_dir / "hadoop" / "hdfs-site.xml"
    assert site.read_text() == f"127.0.0.1 hdfs-namenode:9820 file://{container.chunks}\n"
    assert mode(site) == 0o400
    argv = java_argv(container)
    assert argv.endswith("org.apache.hadoop.hdfs.server.datanode.DataNode") and "-Xmx300m" in argv
    assert f"-cp {site.parent}:" in argv
    assert "java got SIGTERM" in container.notes()
    assert not any(note.startswith("chunkserver") for note in container.notes())
    assert any("--host 127.0.0.1" in note for note in container.notes())
    assert "SPARKQFS_DATA_PORT=9866" in (container.run_dir / "env").read_text().splitlines()


@pytest.mark.parametrize("role", ["worker-node", "hdfs-namenode", "init-storage"])
def test_with_hdfs_an_unmounted_disk_starts_nothing(container: Container, role: str) -> None:
    (container.mount / ".cluster-id").unlink()
    process = container.start(role, **container.hdfs())
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (78, [])
    assert str(container.mount / ".cluster-id") in output


def test_a_missing_data_directory_starts_nothing(container: Container) -> None:
    container.chunks.rmdir()
    process = container.start("worker-node", **container.hdfs())
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (78, [])
    assert f"the data directory {container.chunks} is missing" in output


def test_a_namenode_without_a_file_system_is_refused(container: Container) -> None:
    process = container.start("hdfs-namenode", **container.hdfs())
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (78, [])
    assert str(container.mount / "name") in output


def test_the_namenode_runs_under_its_own_address_and_its_end_ends_the_container(container: Container) -> None:
    version = container.mount / "name" / "current" / "VERSION"
    version.parent.mkdir(parents=True)
    version.touch()
    process = container.start("hdfs-namenode", **container.hdfs(), FAKE_DIES="java")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    assert java_argv(container).endswith("org.apache.hadoop.hdfs.server.namenode.NameNode")
    address, namenode = (container.run_dir / "hadoop" / "hdfs-site.xml").read_text().split()[:2]
    assert namenode == f"{address}:9820"


def test_init_formats_an_empty_directory_under_the_cluster_s_id_and_passes_the_exit_code(container: Container) -> None:
    (container.mount / "name").mkdir()
    process = container.start("init-storage", **container.hdfs(), FAKE_DIES="java")
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert java_argv(container).endswith("NameNode -format -nonInteractive -clusterid the-cluster")


def test_init_refuses_where_there_is_a_name_directory(container: Container) -> None:
    (container.mount / "name" / "current").mkdir(parents=True)
    process = container.start("init-storage", **container.hdfs())
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, container.notes()) == (78, [])
    assert "not empty" in output


def hdfs(container: Container, name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The shell under one of its names, with a program in Java's place that ends with 3."""
    link = container.root / name
    link.symlink_to(PROGRAMS / "hdfs")
    env = {**container.environ, **container.hdfs(), "FAKE_DIES": "java", **environ}
    return subprocess.run([link, *arguments], env=env, capture_output=True, text=True, timeout=30, check=False)


def test_the_short_names_are_commands_of_the_hdfs_shell(container: Container) -> None:
    (container.run_dir / "hadoop").mkdir()
    (container.run_dir / "hadoop" / "core-site.xml").touch()
    assert hdfs(container, "hls", "-R", "/a b").returncode == 3
    assert java_argv(container).endswith("org.apache.hadoop.fs.FsShell -ls -R /a b")


def test_the_hdfs_shell_refuses_other_storage_and_containers_that_are_not_up(container: Container) -> None:
    other = hdfs(container, "hput", SPARKQFS_ROOT="qfs://qfs-master:20000")
    assert other.returncode == 78 and other.stderr.startswith("hput: the storage of this cluster is not HDFS")
    early = hdfs(container, "hdfs", "dfs", "-ls")
    assert early.returncode == 75 and "not up yet" in early.stderr
    assert container.notes() == []


def test_waiting_for_the_probe_host_can_be_stopped(container: Container, running: list[subprocess.Popen[str]]) -> None:
    process = container.start("worker-node", SPARKQFS_PROBE_HOST="no-such-host.invalid")
    running.append(process)
    assert process.stdout is not None
    assert "waiting for an address of no-such-host.invalid" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert container.notes() == []


def test_a_wrong_command_line_is_64(container: Container) -> None:
    process = container.start("no-role")
    process.communicate(timeout=30)
    assert process.returncode == 64


# --- the history server ----------------------------------------------------------------------------------------------


def test_the_history_server_waits_for_its_directory_and_knows_no_secret(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    shared, port = container.root / "shared", closed_port()
    process = container.start(
        "history-server",
        SPARKQFS_STORAGE="shared",
        SPARKQFS_ROOT=f"file://{shared}",
        SPARKQFS_UI_PORT=str(port),
        SPARKQFS_SECRETS_DIR=str(container.root / "nothing"),
    )
    running.append(process)
    assert process.stdout is not None
    assert any("waiting for /history/spark-events" in line for line in process.stdout)
    assert container.notes() == []
    (shared / "history" / "spark-events").mkdir(parents=True)
    container.wait_for("spark-class started")
    (argv,) = [note for note in container.notes() if note.startswith("spark-class argv")]
    assert "org.apache.spark.deploy.history.HistoryServer" in argv
    settings = (container.run_dir / "conf" / "spark-defaults.conf").read_text()
    assert "spark.authenticate false" in settings and "secret" not in settings
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_the_scrub_says_what_it_is_set_to_and_its_end_is_not_the_containers(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node", SPARKQFS_SCRUB="2 8388608", SPARKQFS_ROOT="qfs://meta:20000")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    state = container.root / "scrub.json"
    end = time.monotonic() + 30
    while not state.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (json.loads(state.read_text())["hour"], json.loads(state.read_text())["bytes_per_second"]) == ("2", 8388608)
    process.terminate()
    assert process.wait(30) == 0


def test_a_scrub_that_ends_leaves_the_container_as_it_is(
    container: Container, running: list[subprocess.Popen[str]]
) -> None:
    process = container.start("worker-node", SPARKQFS_SCRUB="99 8388608")
    running.append(process)
    container.wait_for("chunkserver started", "spark-class started")
    assert process.stdout is not None
    for line in process.stdout:
        if "the scrub ended with exit code 64; it is missing until the container's next start" in line:
            break
    else:
        pytest.fail("no word of the scrub")
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 0
