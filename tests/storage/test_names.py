"""Every name that HDFS takes, through each door of our file system, on a real metaserver with a real chunkserver."""

from __future__ import annotations

import json
import random
import subprocess
import time
import unicodedata
from collections.abc import Iterator

import pytest

from sparkqfs_runtime.fsck import qfs as fsck
from sparkqfs_runtime.names import lists
from sparkqfs_runtime.stored_names import meant_path, stored_name
from tests.builders.odd_names import random_name
from tests.paths import ROOT
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Driver, Kit, node_environment

FORM = stored_name("Übersicht")
NAMES = (
    *("Übersicht", "city=Málagá", "city=Zürich", "Müller.csv", " lead", "trail ", "\ttab\t", "line\nend", "a\rb"),
    *("中文", "😀", "mood=😀", "a😀b", "a😁b", "a\0b", "\x01", "\x85", "50%", "a%20", "~.x~00000000", FORM),
    *(stored_name(FORM), ".é"),
    *(unicodedata.normalize("NFD", "é"), unicodedata.normalize("NFC", "é"), "back\\slash é", "?*[é", "_é"),
)
DOORS = ("ours", "context")


class Doors(Driver):
    """Commands and answers as texts; a failure is one whose first text begins with `!`."""

    def __init__(self, kit: Kit, cluster: QfsCluster) -> None:
        log = cluster.home / "doors.log"
        super().__init__(kit, log, node_environment(cluster), "Doors", cluster.uri)

    def ask(self, door: str, command: str, *words: object) -> list[str]:
        texts = [f"x{str(word).encode('utf-16-be', 'surrogatepass').hex()}" for word in words]
        answer = self(door, command, *texts).removeprefix("=").split()
        return [bytes.fromhex(word[1:]).decode("utf-16-be", "surrogatepass") for word in answer]

    def one(self, door: str, command: str, *words: object) -> str:
        answer = self.ask(door, command, *words)
        assert len(answer) == 1, answer
        return answer[0]


@pytest.fixture(scope="module")
def cluster(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    with QfsCluster(kit.qfs_home, tmp_path_factory.mktemp("qfs"), ("127.0.0.2",)) as running:
        yield running


@pytest.fixture(scope="module")
def doors(kit: Kit, cluster: QfsCluster) -> Iterator[Doors]:
    driver = Doors(kit, cluster)
    yield driver
    driver.close()


def in_order(names: object) -> list[str]:
    assert isinstance(names, (list, tuple))
    return sorted(names, key=lambda name: name.encode())


def test_java_and_python_agree(doors: Doors) -> None:
    source = random.Random(7)
    forms = json.loads((ROOT / "tests/data/stored_names.json").read_text(encoding="utf-8"))
    for name in (*forms, *(random_name(source) for _ in range(2_000))):
        stored = stored_name(name)
        assert doors.one("ours", "stored", name) == stored
        assert doors.one("ours", "meant", stored) == name
        assert forms.get(name, stored) == stored


@pytest.mark.parametrize("door", DOORS)
def test_each_door_takes_each_name_and_says_it_again(doors: Doors, door: str) -> None:
    top = f"/{door}-all"
    names = in_order(NAMES)
    for name in names:
        path = f"{top}/{name}"
        assert doors.one(door, "mkdirs", path) == "true", name
        assert doors.one(door, "write", f"{path}/{name}", name) == "written"
        assert doors.ask(door, "stat", f"{path}/{name}") == [f"{path}/{name}", str(len(name.encode()))]
        assert doors.one(door, "read", f"{path}/{name}") == name
        assert doors.ask(door, "list", path) == [name]
        assert doors.one(door, "chmod", f"{path}/{name}", "640") == "rw-r-----"
        assert doors.one(door, "copies", f"{path}/{name}", "2") == "2"
    assert doors.ask(door, "list", top) == names
    assert doors.ask(door, "located", top) == names
    assert in_order(doors.ask(door, "below", top)) == names
    for name in ("Übersicht", "trail ", "mood=😀"):
        assert doors.ask(door, "glob", f"{top}/{name[:-1]}?") == [name]
    assert doors.ask(door, "glob", f"{top}/*/Ü*") == ["Übersicht"]


def test_what_only_one_door_has(doors: Doors) -> None:
    for name in NAMES:
        doors.one("ours", "mkdirs", "/one")
        assert doors.one("ours", "write-in-parent", f"/one/{name}", name) == "written"
        if "%" not in name:  # upstream's links have no such targets
            assert doors.one("ours", "link", name, f"/one/link to {name}") == name
            assert doors.one("ours", "read", f"/one/link to {name}") == name
    assert doors.ask("ours", "one-by-one", "/one") == doors.ask("ours", "list", "/one")
    assert int(doors.one("ours", "summary", "/one")) == len(doors.ask("ours", "list", "/one"))
    assert doors.one("context", "mkdir", "/one/d é") == "true"
    assert doors.ask("ours", "write-in-parent", "/one/none é/x", "")[0] == "!absent"


@pytest.mark.parametrize("door", DOORS)
def test_renames_and_removals_between_all_kinds_of_names(doors: Doors, door: str) -> None:
    top = f"/{door}-moves"
    doors.one(door, "mkdirs", f"{top}/dir é")
    doors.one(door, "write", f"{top}/plain", "it")
    last = "plain"
    for name in (*NAMES, "plain"):
        assert doors.one(door, "rename", f"{top}/{last}", f"{top}/{name}") == "true"
        assert doors.one(door, "exists", f"{top}/{last}") == "false"
        assert doors.one(door, "read", f"{top}/{name}") == "it"
        last = name
    doors.one(door, "write", f"{top}/ü", "other")
    if door == "context":
        assert doors.ask(door, "rename", f"{top}/plain", f"{top}/ü")[0] == "!failed"
        doors.one(door, "replace", f"{top}/plain", f"{top}/ü")
        assert doors.one(door, "read", f"{top}/ü") == "it"
    else:
        assert doors.one(door, "rename", f"{top}/ü", f"{top}/dir é") == "true"
        assert doors.ask(door, "list", f"{top}/dir é") == ["ü"]
    assert doors.one(door, "delete", f"{top}/dir é") == "true"
    assert doors.one(door, "exists", f"{top}/dir é/ü") == "false"
    assert doors.one(door, "delete", f"{top}/nothing é") == "false"


def test_names_that_were_stored_before_keep_their_meaning(doors: Doors) -> None:
    before = ("a😀b", "a😁b", "a\0b", "a~b", "~.x~00000000", "%20", "100%", "~.Übersicht~98465ff6", "x" * 256, "aüb")
    for name in before:
        assert doors.one("upstream", "write", f"/before/{name}", name) == "written"
    for door in DOORS:
        assert sorted(doors.ask(door, "list", "/before")) == sorted(before)
        for name in before:
            assert doors.one(door, "read", f"/before/{name}") == name
    doors.one("ours", "write", "/before/~.Übersicht~98465ff6 ", "another")
    assert doors.one("ours", "read", "/before/~.Übersicht~98465ff6") == "~.Übersicht~98465ff6"


def test_a_name_that_is_the_stored_form_of_another_is_another_file(doors: Doors) -> None:
    doors.one("ours", "write", "/both/Übersicht", "1")
    assert doors.one("ours", "exists", f"/both/{FORM}") == "false"
    doors.one("ours", "write", f"/both/{FORM}", "2")
    assert [doors.one("ours", "read", f"/both/{name}") for name in ("Übersicht", FORM)] == ["1", "2"]
    assert doors.ask("upstream", "list", "/both") == in_order([FORM, stored_name(FORM)])


def test_what_is_too_long_is_said_and_what_is_not_is_taken(doors: Doors) -> None:
    doors.one("ours", "mkdirs", "/long")
    most = "ü" * 122 + "é"  # 246 bytes, 10 of marks... two more in front
    assert len(stored_name(most).encode()) == 257
    for door in DOORS:
        fits = f"/long/{door[0]}{'ü' * 123}"
        assert len(stored_name(fits.rpartition("/")[2]).encode()) == 256
        assert doors.one(door, "write", fits, "fits") == "written"
        assert doors.one(door, "read", fits) == "fits"
        for command in ("write", "mkdirs", "append"):
            kind, said = doors.ask(door, command, f"/long/{most}", "x")
            assert kind == "!failed" and most in said
            assert "QFS takes names of 256 bytes at most, and this one has 257 as it is stored" in said
        kind, said = doors.ask(door, "rename", fits, f"/long/{most}")
        assert kind == "!failed" and "256 bytes at most" in said
        assert doors.one(door, "exists", f"/long/{most}") == "false"
    kind, said = doors.ask("ours", "mkdirs", f"/long/{'x' * 257}")
    assert kind == "!failed" and "this one has 257: " in said
    kind, said = doors.ask("ours", "mkdirs", "/long" + f"/{'x' * 250}" * 49)
    assert kind == "!failed" and "paths of 12288 bytes" in said


def test_an_error_speaks_of_the_name_that_was_meant(doors: Doors) -> None:
    for door in DOORS:
        for command in ("read", "stat", "list"):
            kind, said = doors.ask(door, command, "/none/Übersicht")
            assert kind == "!absent" and "/none/Übersicht" in said and FORM not in said


def test_a_colon_is_taken_where_hadoop_takes_it(doors: Doors) -> None:
    doors.one("ours", "write", "/colon/ü:é", "x")
    assert doors.ask("ours", "list", "/colon") == ["ü:é"] == doors.ask("context", "list", "/colon")
    doors.one("ours", "write", "/colon/x", "x")
    assert "part /colon/y:é from" in doors.ask("context", "rename", "/colon/x", "/colon/y:é")[1]


def test_a_pattern_finds_names_with_a_colon_and_those_beside_them(doors: Doors) -> None:
    for name in ("10:15 é.csv", "10:30.csv", "plain.csv", "at 10:45/in:side"):
        doors.one("ours", "write", f"/times/{name}", name)
    assert doors.ask("ours", "glob", "/times/*.csv") == ["10:15 é.csv", "10:30.csv", "plain.csv"]
    assert doors.ask("ours", "glob", "/times/10:*") == ["10:15 é.csv", "10:30.csv"]
    assert doors.ask("ours", "glob", "/t*/plain.csv") == ["plain.csv"]
    assert doors.ask("ours", "glob", "/times/at 10:45/*") == doors.ask("ours", "glob", "/times/*/in:*") == ["in:side"]
    assert doors.ask("ours", "glob", "/times/{10:30,plain}.csv") == ["10:30.csv", "plain.csv"]
    assert doors.ask("ours", "glob", "/times/11:*") == []


def test_names_that_java_cannot_say_are_listed_all_the_same(cluster: QfsCluster, doors: Doors) -> None:
    for raw in ("t😀w".encode(), b"n\xfcm", b"n\xfdm", "ü x".encode() + b"\xffx"):
        argv = (str(cluster.qfs_home / "bin/tools/qfs"), "-fs", cluster.uri, "-mkdir", b"/tools/x" + raw)
        subprocess.run(argv, env=cluster.environment, check=True)
    for name in ("a😀b", "a😁b", "Übersicht"):
        doors.one("ours", "mkdirs", f"/tools/{name}")
    for door in DOORS:
        names = ["a😀b", "a😁b", "xn\ufffdm", "xn\ufffdm", "xt😀w", "xü x\ufffdx", "Übersicht"]
        assert doors.ask(door, "list", "/tools") == names


@pytest.mark.parametrize("door", DOORS)
def test_appending_goes_to_the_file_of_that_name(doors: Doors, door: str) -> None:
    for name in ("Übersicht", "trail "):
        doors.one(door, "write", f"/more-{door}/{name}/{name}", "x")
        assert doors.one(door, "append", f"/more-{door}/{name}/{name}", "+") == "written"
        assert doors.ask(door, "list", f"/more-{door}/{name}") == [name]
        assert doors.ask(door, "stat", f"/more-{door}/{name}/{name}")[1] != "1"


def test_the_metaserver_keeps_them_and_its_lists_say_what_is_meant(cluster: QfsCluster, doors: Doors) -> None:
    for name in NAMES:
        doors.one("ours", "write", f"/kept/{name}", name)
    cluster.restart_meta()
    cluster.wait_for_servers(1)
    assert doors.ask("ours", "list", "/kept") == in_order(NAMES)
    end = time.monotonic() + 60
    rows = [row.path for row in lists.qfs_rows("127.0.0.1", cluster.client_port, end)]
    as_stored = [name for name in NAMES if stored_name(name) == name and set(name) & set("😀😁\0")]
    assert all(lists.quoted(f"/kept/{name}".encode()) in rows for name in NAMES if name not in as_stored)
    assert lists.quoted("/kept/a\ud83d\ude00b".encode("utf-8", "surrogatepass")) in rows, "as in lists from before"
    assert len(rows) == len(set(rows))
    cluster.stop_server("127.0.0.2")
    cluster.wait(lambda: cluster.up_servers() == 0, "end of the chunkserver")
    names = fsck.Names("127.0.0.1", cluster.client_port)
    damaged = {file.path for file in fsck.damaged_files(names, time.monotonic() + 60)}
    names.close()
    assert {f"/kept/{name}".encode() for name in NAMES} <= damaged
    listed = {file.path for file in fsck.listed_as_lost("127.0.0.1", cluster.client_port, 10_000)}
    assert {f"/kept/{name}".encode() for name in NAMES} <= listed
    shown = subprocess.run(
        (str(cluster.qfs_home / "bin/tools/qfs"), "-fs", cluster.uri, "-ls", "/kept"),
        env=cluster.environment, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert f"/kept/{FORM}\n".encode() in shown
    assert meant_path(f"/kept/{FORM}".encode()) == "/kept/Übersicht".encode()
