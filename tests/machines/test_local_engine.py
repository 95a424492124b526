"""local/cluster.py without an engine, or without leave to use it: what the user is told."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkqfs.errors import ClusterError, DeadlineError
from sparkqfs.local import cluster as local
from sparkqfs.local import images
from tests.doubles.servers import API, Answer, body, serve
from tests.paths import ROOT

ENGINE = {"/version": body({"ApiVersion": "1.41"}), f"{API}/_ping": Answer(body=b"OK")}
ASK = """
import os
from sparkqfs.local.cluster import local_status
if os.geteuid() == 0:  # root may use every socket
    os.setgroups([])
    os.setuid(65534)
local_status(name="none")
"""


@pytest.mark.parametrize(
    ("is_there", "hint"), [(True, "sudo usermod -aG docker"), (False, "sudo systemctl start docker")]
)
def test_an_engine_one_may_not_use_is_no_engine_that_does_not_run(tmp_path: Path, is_there: bool, hint: str) -> None:
    path = tmp_path / "docker.sock" if is_there else Path("/no-such-docker.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        if is_there:
            listener.bind(str(path))
            listener.listen()
            path.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            cwd=ROOT,
            env={**os.environ, "DOCKER_HOST": f"unix://{path}"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert hint in done.stderr and "UnreachableError" in done.stderr


@pytest.mark.filterwarnings("ignore:docker-credential")
def test_a_login_store_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "no-such-store"}')
    with serve(ENGINE) as port:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with pytest.raises(ClusterError, match="no-such-store") as caught, local.connected() as engine:
            engine.api.build(fileobj=io.BytesIO(b""), custom_context=True)
    assert "config.json" in str(caught.value)


def without(image: str) -> dict[str, Answer]:
    """An engine's answers where this image is not there yet."""
    missing = Answer(body=b'{"message": "No such image"}', status=404, headers=(("Content-Type", "application/json"),))
    return {**ENGINE, f"{API}/images/{image}/json": missing}


@contextlib.contextmanager
def another_run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """A process that makes images for local clusters now."""
    lock = folder / "images.lock"
    monkeypatch.setattr(images, "ROOTS_LOCK", lock)
    monkeypatch.setattr(images, "STATE_ROOT", folder)
    if os.geteuid() != 0:
        lock = folder / ".images.lock"
    with subprocess.Popen(["flock", str(lock), "sh", "-c", "echo locked; exec cat"], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None and holder.stdin is not None and holder.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            holder.stdin.close()


@pytest.mark.parametrize("what", ["the base", "the node image"])
def test_an_image_that_another_run_makes_is_waited_for_and_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    name = images.BASE if what == "the base" else images.node_tag("sha256:1", "bind")
    answers = without(name)
    events: list[str] = []
    with serve(answers) as port, contextlib.ExitStack() as stack:
        stack.enter_context(another_run(monkeypatch, tmp_path))

        def tell(event: str) -> None:
            events.append(event)
            answers[f"{API}/images/{name}/json"] = body({"Id": "sha256:1", "RepoTags": [name]})
            stack.close()

        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with local.connected() as engine:
            limit = images.Deadline(20)
            if what == "the base":
                assert images.ensure_base(engine, None, tell, limit) == "sha256:1"
            else:
                assert images.ensure_node_image(engine, "sha256:1", "bind", tell, limit) == name
    assert len(events) == 1 and events[0].startswith("waiting: ") and "another run makes images" in events[0]


def test_another_run_that_makes_images_for_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(without(images.BASE)) as port, another_run(monkeypatch, tmp_path):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with local.connected() as engine, pytest.raises(DeadlineError, match="another run makes images") as caught:
            images.ensure_base(engine, None, lambda _: None, images.Deadline(0.7))
    assert "images.lock" in str(caught.value)
