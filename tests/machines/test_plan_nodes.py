"""The scripts that prep plans, run for real in a directory of this computer."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.config.model import OwnerConfig, RegistryConfig
from sparkqfs.plan.cluster.directories import wanted_directories
from sparkqfs.plan.steps import Secret, ShellStep, Step, make_directory, script_of, write_file
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import (
    CLUSTER_ID,
    FRESH_ID,
    a_fresh_node,
    a_node,
    fresh_ca,
    prepared,
)
from tests.builders.plans import ALL, CLUSTER, planned


def sh(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", *flags], input=script, capture_output=True, text=True, timeout=30)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def steps_in(folder: Path) -> tuple[Step, ...]:
    """A directory and two files under `folder`, as this user."""
    who = {"uid": os.getuid(), "gid": os.getgid()}
    base = PurePosixPath(folder)
    return (
        make_directory("node1", base / "it's a dir" / "chunk", mode=0o750, why="missing", **who),
        write_file("node1", base / "marker", "id-1\n", mode=0o444, what="marker", why="missing", **who),
        write_file("node1", base / "new" / "key", Secret("$(id) `id` '\"\n"), mode=0o600, what="key", why="x", **who),
    )


def test_a_plan_of_everything_is_a_script_that_sh_can_read() -> None:
    plan = planned(CLUSTER, {name: a_fresh_node(name) for name in ALL}, fresh=fresh_ca())
    for name in ALL:
        checked = sh(script_of(plan.of(name)), "-n")
        assert (checked.returncode, checked.stderr) == (0, "")


def test_the_script_makes_directories_and_files_with_the_modes_asked_for(tmp_path: Path) -> None:
    done = sh(script_of(steps_in(tmp_path)))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "done\t0\ndone\t1\ndone\t2\n"
    assert mode_of(tmp_path / "it's a dir" / "chunk") == 0o750
    assert mode_of(tmp_path / "marker") == 0o444 and (tmp_path / "marker").read_text() == "id-1\n"
    assert mode_of(tmp_path / "new" / "key") == 0o600
    assert (tmp_path / "new" / "key").read_text() == "$(id) `id` '\"\n"


def a_file(path: Path, mode: int) -> ShellStep:
    place = PurePosixPath(path)
    return write_file("node1", place, "text", uid=os.getuid(), gid=os.getgid(), mode=mode, what="file", why="x")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444])
def test_a_file_is_made_with_its_mode_and_a_link_put_in_its_place_is_not_followed(tmp_path: Path, mode: int) -> None:
    """Who owns the directory swaps the new file for a link as soon as it is there."""
    victim, target = tmp_path / "victim", tmp_path / "own" / "file"
    victim.write_text("kept")
    victim.chmod(0o640)
    step = a_file(target, mode)
    at = next(at for at, line in enumerate(step.lines) if "base64 -d" in line) + 1
    swap = f"m=$(stat -c %a {target}.new); rm {target}.new; ln -s {victim} {target}.new; printf '%s\\n' $m"
    done = sh(script_of((replace(step, lines=(*step.lines[:at], swap, *step.lines[at:])),)))
    assert done.stdout.split("\n")[0] == f"{mode:o}"
    assert mode_of(victim) == 0o640 and victim.read_text() == "kept"


def test_a_directory_in_place_of_a_file_is_said_and_nothing_is_put_into_it(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    done = sh(script_of((a_file(tmp_path / "file", 0o644),)))
    assert done.returncode != 0 and list((tmp_path / "file").iterdir()) == []


def test_the_script_run_twice_leaves_the_same(tmp_path: Path) -> None:
    script = script_of(steps_in(tmp_path))
    assert sh(script).returncode == 0
    before = sorted(tmp_path.rglob("*"))
    again = sh(script)
    assert (again.returncode, again.stderr) == (0, "")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_script_corrects_a_mode_and_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "it's a dir" / "chunk").mkdir(parents=True, mode=0o700)
    (tmp_path / "marker").write_text("old\n")
    assert sh(script_of(steps_in(tmp_path))).returncode == 0
    assert mode_of(tmp_path / "it's a dir" / "chunk") == 0o750
    assert (tmp_path / "marker").read_text() == "id-1\n"


@pytest.mark.parametrize("link", ["it's a dir/chunk", "marker"])
def test_the_script_stops_at_a_symbolic_link_and_touches_nothing_behind_it(tmp_path: Path, link: str) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir(mode=0o700)
    where = tmp_path / "mine" / link
    where.parent.mkdir(parents=True)
    where.symlink_to(target)
    done = sh(script_of(steps_in(tmp_path / "mine")))
    assert done.returncode == 1
    assert done.stderr == f"{where} is a symbolic link; it is not followed\n"
    assert where.is_symlink() and mode_of(target) == 0o700 and list(target.iterdir()) == []


def test_the_script_does_not_write_through_a_link_in_place_of_the_temporary_file(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "marker.new").symlink_to(victim)
    sh(script_of(steps_in(tmp_path / "mine")))
    assert victim.read_text() == "precious\n"


def test_what_prep_plans_for_a_worker_is_there_after_its_script_ran(tmp_path: Path) -> None:
    me = OwnerConfig(user="spark", group="spark", uid=os.getuid() or 6700, gid=os.getgid() or 6700)
    disk = PurePosixPath(tmp_path / "disk")
    nodes = (a_node_config("node1", 0), a_node_config("node2", 1, data_dirs=(disk,)))
    config = a_cluster("node1", "node2", nodes=nodes, owner=me, registry=RegistryConfig(tls=False))
    bare = a_node("node2", config, marker=None, paths={})
    plan = planned(config, {"node1": a_node("node1", config), "node2": bare})
    assert plan.of("node1") == ()
    done = sh(script_of(plan.of("node2")).replace("/var/lib/", f"{tmp_path}/lib/"))
    assert (done.returncode, done.stderr) == (0, "")
    for path in wanted_directories(config, config.node("node2")):
        assert mode_of(Path(path)) == 0o750 and Path(path).stat().st_uid == me.uid
    marker = Path(disk) / "qfs" / ".cluster-id"
    assert marker.read_text() == CLUSTER_ID + "\n" and mode_of(marker) == 0o444
    assert FRESH_ID not in marker.read_text()
    copies = (Path(disk) / "qfs" / ".cluster.json", tmp_path / "lib" / "sparkqfs" / "spark.qfs.json")
    assert [f'"id": "{CLUSTER_ID}"' in copy.read_text() for copy in copies] == [True, True]


@pytest.mark.parametrize("starts", [True, False])
def test_an_engine_that_is_installed_is_started_and_none_is_installed_over_it(tmp_path: Path, starts: bool) -> None:
    for name, line in {
        "apt-get": f'touch "{tmp_path}/installed"',
        "systemctl": f'touch "{tmp_path}/$1-$2"',
        "docker": f'test -e "{tmp_path}/start-docker"' if starts else "exit 1",
        "sleep": ":",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    stopped = a_node("node2", engine_version=None, has_dockerd=True)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=stopped), install_engine=True)
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=script_of(plan.of("node2")),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, "`journalctl -u docker` says why" in done.stderr) == ((0, False) if starts else (1, True))
    assert (tmp_path / "start-docker").exists() and not (tmp_path / "installed").exists()


def test_an_engine_that_is_being_installed_is_installed_to_the_end_when_we_are_killed(tmp_path: Path) -> None:
    for name, line in {
        "apt-get": f'touch "{tmp_path}/started"; sleep 1; echo; [ "$2" = update ] || touch "{tmp_path}/installed"',
        "docker": f'test -e "{tmp_path}/installed"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=a_node("node2", engine_version=None)), install_engine=True)
    script = script_of(plan.of("node2")).replace("/run/lock/", f"{tmp_path}/")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    with subprocess.Popen(
        ["/bin/sh", "-s"], stdin=-1, stdout=-1, stderr=-1, text=True, env=env, start_new_session=True
    ) as shell:
        assert shell.stdin is not None
        shell.stdin.write(script)
        shell.stdin.close()
        deadline = time.monotonic() + 30
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(shell.pid, signal.SIGTERM)
    assert not (tmp_path / "installed").exists()
    again = subprocess.run(["/bin/sh", "-s"], input=script, env=env, capture_output=True, text=True, timeout=30)
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / "installed").exists()
