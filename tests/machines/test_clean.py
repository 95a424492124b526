"""`clean` on a machine with a real SSH server: its engine is an HTTP server, its registry a directory."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.errors import ClusterError, Problem, RefusedError
from sparkqfs.jobs.cluster import clean, images, old_images
from sparkqfs.jobs.session import Session, cluster_lock
from sparkqfs.plan.steps import JobResult
from tests.builders.facts import a_node
from tests.doubles.servers import engine_machine

LABEL = "sparkqfs.cluster=spark"


class FakeEngine:
    """Images, containers and services of an engine; what is removed is gone."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.services: list[dict[str, Any]] = []
        self.used: list[str] = []
        self.refuses: set[str] = set()
        self.breaks: set[str] = set()
        self.slow_s = 0.0

    def add(self, name: str, made: int, size: int) -> None:
        self.images[name] = {
            "Id": f"sha256:{name}",
            "RepoTags": [name],
            "RepoDigests": [],
            "Created": made,
            "size": size,
        }

    def get(self, path: str, query: str) -> object:
        if path.endswith("/images/json"):
            assert LABEL in urllib.parse.unquote(query)
            return [{key: value for key, value in one.items() if key != "size"} for one in self.images.values()]
        if path.endswith("/history"):
            name = path.partition("/images/sha256:")[2].removesuffix("/history")
            own = {"Created": self.images[name]["Created"], "CreatedBy": name, "Size": self.images[name]["size"]}
            return [own, {"Created": 0, "CreatedBy": "base", "Size": 1000}]
        if path.endswith("/containers/json"):
            return [{"ImageID": f"sha256:{name}"} for name in self.used]
        return self.services if path.endswith("/services") else None

    def delete(self, name: str) -> int:
        time.sleep(self.slow_s)
        if name in self.breaks:
            return 500
        if name in self.refuses:
            return 409
        return 200 if self.images.pop(name, None) else 404


@contextlib.contextmanager
def serving(engine: FakeEngine) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            self.answer(200, engine.get(urllib.parse.unquote(path), query))

        def do_DELETE(self) -> None:
            name = urllib.parse.unquote(self.path.partition("/images/")[2].partition("?")[0])
            self.answer(engine.delete(name), {"message": "conflict: it is used"})

        def log_message(self, *_args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class Place:
    """The machine, its engine and its registry."""

    def __init__(self, session: Session, engine: FakeEngine, folder: Path) -> None:
        self.session, self.engine, self.folder = session, engine, folder
        self.registry = str(session.config.registry_address)
        self.asked: list[str] = []
        self.said: list[str] = []
        session.on_event = self.said.append
        session.confirm = lambda question: not self.asked.append(question)  # type: ignore[func-returns-value]

    @property
    def blobs(self) -> Path:
        return self.folder / "sparkqfs/registry/storage/docker/registry/v2"

    def push(self, image: str, days: int, *sizes: int) -> None:
        """An image in the registry; equal sizes are the same layer."""
        layers = [f"{size:064x}" for size in sizes]
        manifest = json.dumps({"layers": [{"digest": f"sha256:{one}"} for one in layers]})
        digest = f"{abs(hash(image)):064x}"
        for name, content in [
            (digest, manifest),
            *((one, "x" * size) for one, size in zip(layers, sizes, strict=True)),
        ]:
            path = self.blobs / "blobs/sha256" / name[:2] / name / "data"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        repository, _, tag = image.rpartition(":")
        link = self.blobs / "repositories" / repository / "_manifests/tags" / tag / "current/link"
        link.parent.mkdir(parents=True)
        link.write_text(f"sha256:{digest}")
        os.utime(link, (time.time() - days * 86400,) * 2)

    def tags(self) -> set[str]:
        return {path.name for path in self.blobs.glob("repositories/*/*/_manifests/tags/*")}

    def clean(self, **more: Any) -> JobResult:
        return clean.run(self.session, everything=more.get("everything", False))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    engine = FakeEngine()
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(serving(engine))
        server = stack.enter_context(engine_machine(tmp_path, port))
        (tmp_path / "docker.sh").write_text(f'echo "$*" >> {tmp_path}/calls\n')
        config = server.cluster(tmp_path / "known_hosts")
        nodes = tuple(replace(node, data_dirs=(PurePosixPath(tmp_path),)) for node in config.nodes)
        config = replace(config, nodes=nodes, owner=replace(config.owner, uid=0, gid=0))
        clients = Clients(config)
        stack.callback(clients.close)
        session = Session(config, clients, lambda _: None)
        facts = a_node("node1", swarm_state="active")
        monkeypatch.setattr(Session, "manager_facts", lambda _self: facts)
        ref = SimpleNamespace(plain=f"{config.registry_address}/spark/w:5", delta="", reference="")
        monkeypatch.setattr(images, "references", lambda _session: {"w": ref})
        monkeypatch.setattr(clean, "wait_for_registry", lambda _session: None)
        found = Place(session, engine, tmp_path)
        for number in (1, 2, 3, 4, 5):
            engine.add(f"{found.registry}/spark/w:{number}", number, number)
            found.push(f"spark/w:{number}", 10 - number, 500, number)
        found.push("other/w:1", 90, 7)
        yield found


def test_images_that_nothing_needs_go_from_the_engine_and_from_the_registry(place: Place) -> None:
    w = f"{place.registry}/spark/w"
    place.engine.used = [f"{w}:1"]
    spec = {"TaskTemplate": {"ContainerSpec": {"Image": f"{w}:2@sha256:{'a' * 64}"}}}
    place.engine.services = [{"Spec": {}, "PreviousSpec": spec}]
    result = place.clean()
    assert sorted(place.engine.images) == [f"{w}:{number}" for number in (1, 2, 4, 5)]
    assert place.tags() == {"1", "2", "4", "5"} and (place.blobs / "repositories/other/w").exists()
    assert "garbage-collect" in (place.folder / "calls").read_text()
    on_engine, in_registry = result.outcomes
    assert (on_engine.subject, on_engine.changes) == ("images on node1", (f"{w}:3", "3 bytes"))
    assert in_registry.subject == "images in the registry" and in_registry.changes[0] == f"{w}:3"
    found = result.document["clean"]
    assert found["places"][0] == {"node": "node1", "images": [f"{w}:3"], "bytes": 3}  # type: ignore[index]
    assert place.said[0] == f"3 bytes: {w}:3 on node1"
    assert place.asked == [f"Remove 2 images of earlier versions, {found['bytes']} bytes?"]  # type: ignore[index]
    again = place.clean()
    assert [one.state for one in again.outcomes] == ["unchanged"] and len(place.asked) == 1


@pytest.mark.parametrize(("state", "stays"), [("completed", False), ("paused", True), ("updating", True), (None, True)])
def test_all_removes_the_version_before_an_update_once_that_has_ended_well(
    place: Place, state: str | None, stays: bool
) -> None:
    w = f"{place.registry}/spark/w"
    now, before = ({"TaskTemplate": {"ContainerSpec": {"Image": f"{w}:{number}"}}} for number in (5, 4))
    update = {} if state is None else {"UpdateStatus": {"State": state}}
    place.engine.services = [{"Spec": now, "PreviousSpec": before, **update}]
    place.clean()
    assert f"{w}:4" in place.engine.images and "4" in place.tags(), "without --all it stays"
    place.clean(everything=True)
    assert (f"{w}:4" in place.engine.images, "4" in place.tags()) == (stays, stays)
    assert f"{w}:5" in place.engine.images


def test_what_users_made_of_ours_stays(place: Place) -> None:
    for number, name in enumerate(("mine:1", f"{place.registry}/other/w:1", "spark/w:1")):
        place.engine.add(name, number, 7)
    place.engine.images["<none>:<none>"] = place.engine.images["mine:1"] | {"RepoTags": [], "Id": "sha256:mine:1"}
    also = place.engine.images[f"{place.registry}/spark/w:1"]
    also["RepoTags"] = [*also["RepoTags"], "mine:2"]
    before = set(place.engine.images)
    place.clean(everything=True)
    assert before - set(place.engine.images) == {f"{place.registry}/spark/w:{number}" for number in (2, 3, 4)}


def test_all_takes_the_previous_version_and_what_the_engine_refuses_stays(place: Place) -> None:
    w = f"{place.registry}/spark/w"
    place.engine.refuses = {f"{w}:1"}
    result = place.clean(everything=True)
    assert sorted(place.engine.images) == [f"{w}:1", f"{w}:5"] and place.tags() == {"5", "1"}
    assert f"{w}:1 stays: conflict: it is used" in result.outcomes[0].changes
    assert f"{w}:1" not in result.outcomes[0].changes


def test_what_was_removed_before_an_engine_failed_is_kept_in_the_outcome(place: Place) -> None:
    w = f"{place.registry}/spark/w"
    place.engine.breaks = {f"{w}:2"}
    result = place.clean()
    on_engine = result.outcomes[0]
    assert (on_engine.state, on_engine.changes) == ("failed", (f"{w}:1", "1 byte"))
    assert [problem.node for problem in result.problems] == ["node1"] and result.exit_code == 1


def test_an_engine_may_take_its_time_to_remove_an_image(place: Place) -> None:
    engine = place.session.clients.engine()
    engine._api.timeout = 1
    place.engine.slow_s = 1.2
    assert place.clean().outcomes[0].state == "changed"
    assert engine._api.timeout == 1


def test_each_image_is_shown_with_its_bytes_before_the_question(place: Place) -> None:
    w = f"{place.registry}/spark/w"
    told: list[str] = []
    place.session.on_event = told.append
    place.engine.images[f"{w}:1"]["RepoTags"].append(f"{place.registry}/spark/{'long' * 20}:1")
    place.session.confirm = lambda _question: False
    with pytest.raises(RefusedError):
        place.clean(everything=True)
    assert [line for line in told if line.endswith("on node1")] == [
        f"1 byte: {w}:1 on node1",
        f"the same image: {place.registry}/spark/{'long' * 20}:1 on node1",
        *(f"{number} bytes: {w}:{number} on node1" for number in (2, 3, 4)),
        "10 bytes: these 4 together on node1",
    ]
    assert sum(f"{w}:" in line and line.endswith("in the registry") for line in told) == 4


def test_what_changes_between_the_look_and_the_yes_stays(place: Place) -> None:
    w = f"{place.registry}/spark/w"
    tags = place.blobs / "repositories/spark/w/_manifests/tags"

    def meanwhile(_question: str) -> bool:
        place.push("spark/w:6", 0, 600)
        link = tags / "1/current/link"
        link.write_text((tags / "6/current/link").read_text())
        place.engine.services = [{"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": f"{w}:2"}}}}]
        return True

    place.session.confirm = meanwhile
    result = place.clean()
    assert {path.name for path in tags.iterdir()} == {"1", "2", "4", "5", "6"}
    assert sorted(place.engine.images) == [f"{w}:{number}" for number in (2, 4, 5)]
    assert any(f"{w}:1 stays" in text for one in result.outcomes for text in one.changes)


def test_a_tag_that_another_image_has_by_now_stays_and_so_do_links_that_are_not_understood(place: Place) -> None:
    tags = place.blobs / "repositories/spark/w/_manifests/tags"
    (tags / "2/current/link").write_text("sha512:" + "a" * 128)
    (tags / "3/current/link").write_text("sha256:abc")
    listed = {image.id: image.is_ours for image in clean._in_registry(place.session)}
    assert listed == {"spark/w:1": True, "spark/w:2": False, "spark/w:3": False} | dict.fromkeys(
        ("spark/w:4", "spark/w:5"), True
    ) | {"other/w:1": False}
    place.clean(everything=True)
    assert {path.name for path in tags.iterdir()} == {"2", "3", "5"}


def test_nothing_goes_when_the_lock_is_lost_after_the_yes(place: Place) -> None:
    with cluster_lock(place.session, "clean"):
        place.session.lock_owner = "somebody else"
        with pytest.raises(RefusedError, match="lost the lock"):
            place.clean()
        assert len(place.engine.images) == 5 and place.tags() == {"1", "2", "3", "4", "5"}
    place.session.locked = True
    with pytest.raises(RefusedError, match="lost the lock"):
        place.clean()


def test_what_was_removed_is_said_when_the_registry_does_not_come_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_session: Session) -> None:
        raise ClusterError(Problem(node="node1", what="no registry"))

    monkeypatch.setattr(clean, "wait_for_registry", away)
    result = place.clean()
    assert result.outcomes[-1].state == "failed" and f"{place.registry}/spark/w:1" in result.outcomes[-1].changes
    assert [problem.what for problem in result.problems] == ["no registry"]


def test_a_collection_that_fails_is_reported(place: Place) -> None:
    (place.folder / "docker.sh").write_text('[ "$1" != exec ] || { echo "no space left" >&2; exit 3; }\n')
    result = place.clean()
    outcome = result.outcomes[-1]
    assert (outcome.state, result.exit_code) == ("failed", 1) and outcome.changes[0] == f"{place.registry}/spark/w:1"
    assert [problem.node for problem in result.problems] == ["node1"]
    assert "no space left" in result.problems[0].what


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"engine_version": None, "swarm_state": "inactive"}, "engine did not answer"),
        ({"swarm_state": "locked"}, "swarm is locked"),
        ({"swarm_state": "pending"}, "swarm is pending"),
    ],
)
def test_nothing_goes_when_it_is_not_known_which_images_services_need(
    place: Place, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], why: str
) -> None:
    monkeypatch.setattr(Session, "manager_facts", lambda _self: a_node("node1", **known))
    with pytest.raises(RefusedError, match=why):
        place.clean(everything=True)
    assert len(place.engine.images) == 5 and not place.asked


def test_the_registry_stays_as_it_is_when_the_managers_containers_are_not_known(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_session: Session, name: str) -> list[Any]:
        raise ClusterError(Problem(node=name, what="no answer"))

    monkeypatch.setattr(clean, "_on_engine", broken)
    result = place.clean(everything=True)
    assert place.tags() == {"1", "2", "3", "4", "5"} and not place.asked
    assert [problem.what for problem in result.problems] == ["no answer"]


def test_a_dry_run_and_a_no_remove_nothing(place: Place) -> None:
    place.session.dry_run = True
    planned = place.clean()
    assert [one.state for one in planned.outcomes] == ["planned", "planned"] and not place.asked
    place.session.dry_run = False
    place.session.confirm = lambda _question: False
    with pytest.raises(RefusedError, match="nothing was removed"):
        place.clean()
    assert len(place.engine.images) == 5 and place.tags() == {"1", "2", "3", "4", "5"}
    assert not (place.folder / "calls").exists()


DOCKER = """\
echo "$*" >> {calls}
case $* in
"image ls"*) printf '%s\\n' old used ;;
"image inspect"*Created*) echo 2025-01-01T10:00:00Z ;;
"image inspect"*" old") echo {registry}/spark/w:0 ;;
"image inspect"*" used") echo {registry}/spark/w:1 ;;
esac
"""


def test_a_deploy_keeps_the_images_of_services_however_old(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = place.folder / "calls"
    (place.folder / "docker.sh").write_text(DOCKER.format(calls=calls, registry=place.registry))
    monkeypatch.setattr(images, "digests", lambda _session: {})
    monkeypatch.setattr(old_images, "wait_for_registry", lambda _session: None)
    place.push("spark/w:0", 20, 500, 9)
    link = place.blobs / "repositories/spark/w/_manifests/tags/2/current/link"
    used = f"{place.registry}/spark/w:1", f"{place.registry}/spark/w@{link.read_text()}"
    specs = [{"TaskTemplate": {"ContainerSpec": {"Image": image}}} for image in used]
    place.engine.services = [{"Spec": specs[0]}, {"Spec": {}, "PreviousSpec": specs[1]}]
    old_images.remove(place.session)
    assert {"1", "2"} <= place.tags() and "0" not in place.tags()
    assert [line for line in calls.read_text().splitlines() if line.startswith("image rm")] == ["image rm old"]
