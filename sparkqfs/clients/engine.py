"""A machine's Docker Engine, its API carried over the SSH connection. The only user of the Docker SDK."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

import docker.api
import docker.auth
import docker.errors
import docker.types
import docker.utils.proxy
import requests
import requests.exceptions

from sparkqfs.clients.channel import ChannelAdapter
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.errors import ClusterError, ExitCode, Problem
from sparkqfs.shortening import shortened
from sparkqfs.topology import DOCKER_API

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
STACK_LABEL = "com.docker.stack.namespace"


TOO_OLD = re.compile(r"client version \S+ is too old\. Minimum supported API version is (\d+\.\d+)")


class _NoLogins(docker.auth.AuthConfig):  # type: ignore[misc]
    """No login of any registry. The SDK reads the user's files again when it finds that it has none."""

    is_empty = False


class _Api(docker.api.APIClient):  # type: ignore[misc]
    """The SDK's client without `~/.docker/config.json`: its own constructor loads the user's logins, sends all of them
    along with each build, and fails where their store is gone."""

    def __init__(self, timeout_s: float) -> None:
        requests.Session.__init__(self)
        self.timeout = int(timeout_s)
        self.credstore_env = None
        self._version = DOCKER_API
        self._general_configs: dict[str, Any] = {}
        self._proxy_configs = docker.utils.proxy.ProxyConfig()
        self._auth_configs = _NoLogins({})
        self.trust_env = False
        # the SDK reads raw streams of this scheme from the channel itself
        self.base_url = "http+docker://ssh"

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        """An engine that no longer knows our version says which is its oldest: Docker 29.0 to 29.2 want 1.44."""
        response: requests.Response = super().request(method, url, **more)
        found = TOO_OLD.search(response.text) if response.status_code == 400 else None
        if found is None or found[1] == self._version:
            return response
        old, self._version = self._version, found[1]
        response = super().request(method, url.replace(f"/v{old}/", f"/v{self._version}/", 1), **more)
        return response


_FROM = re.compile(r"Step \d+/\d+ : FROM\b")
_UNREACHED = re.compile(
    r"Temporary failure resolving|Could not resolve|Name or service not known|Failed to establish a new connection"
    r"|Could not connect to|Connection timed out|Network is unreachable"
)


BASE_HINT = (
    "this machine has to load the image that all are built on, from Docker Hub; where it cannot, "
    "`docker load` one of Debian 12 there, or name another in build.base (docs/images.md)"
)


def build_hint(error: str, lines: list[str]) -> str | None:
    """What helps against a build's failure, by its error and its last lines; `None` for one that explains itself."""
    text = "\n".join([*lines, error])
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "name the PEM file of the authority that signs there in build.ca_certificates (docs/images.md)"
    if lines and _FROM.match(lines[-1]):
        return BASE_HINT
    if _UNREACHED.search(text):
        return "this machine needs the Internet while it builds; behind a proxy: build.proxy, build.pip_index"
    return None


class _Layers:
    """Bytes of an image's layers on their way to a registry, from the engine's messages.

    Each layer is named first (`Preparing`, `Waiting`), and later says its size, or that the registry has it. `current`
    is missing while it is 0. Source: Moby, pkg/jsonmessage, JSONProgress.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, tuple[int, int] | None] = {}

    def seen(self, message: Mapping[str, Any]) -> tuple[int, int]:
        """Bytes done, and of how many; 0 until every layer has said its size."""
        layer, detail = str(message["id"]), message.get("progressDetail") or {}
        had = self._sizes.get(layer)
        if detail.get("total"):
            self._sizes[layer] = (min(detail.get("current", 0), detail["total"]), detail["total"])
        elif message.get("status") in ("Preparing", "Waiting"):
            self._sizes[layer] = had
        else:
            self._sizes[layer] = (had[1], had[1]) if had else (0, 0)
        known = [size for size in self._sizes.values() if size is not None]
        total = sum(of for _, of in known) if len(known) == len(self._sizes) else 0
        return sum(done for done, _ in known), total


class Engine:
    """The Docker Engine of one machine. Faults are `ClusterError`s that name it."""

    def __init__(self, client: NodeClient, *, timeout_s: float = 60.0) -> None:
        self.client = client
        self._api = _Api(timeout_s)
        self._api.mount(
            "http+docker://", ChannelAdapter(lambda: client.exec_channel(["docker", "system", "dial-stdio"]))
        )

    @contextlib.contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        self.client.check_begins()
        try:
            yield
        except docker.errors.APIError as error:
            what = f"{doing}: {error.explanation or error}"
            raise ClusterError(Problem(node=self.client.node.name, what=what)) from error
        except requests.exceptions.Timeout as error:
            what = f"{doing}: the Docker Engine did not answer in time"
            raise ClusterError(Problem(node=self.client.node.name, what=what, code=ExitCode.TIMEOUT)) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, EOFError) as error:
            hint = "is Docker Engine installed and running there? `invoke doctor` looks"
            what = f"{doing}: the Docker Engine does not answer ({shortened(str(error), 200) or type(error).__name__})"
            raise ClusterError(Problem(node=self.client.node.name, what=what, hint=hint)) from error

    @contextlib.contextmanager
    def answering_within(self, timeout_s: float) -> Iterator[None]:
        """Another time limit for what is asked in this block."""
        before, self._api.timeout = self._api.timeout, int(timeout_s)
        try:
            yield
        finally:
            self._api.timeout = before

    def close(self) -> None:
        """Close the API's channels."""
        self._api.close()

    # -- swarm ------------------------------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """GET /info."""
        with self._faults("asking the engine"):
            return dict(self._api.info())

    def init_swarm(self, address: str) -> None:
        """Make a new swarm, this machine its manager."""
        with self._faults("making the swarm"):
            self._api.init_swarm(advertise_addr=address, listen_addr="0.0.0.0:2377", data_path_addr=address)

    def worker_token(self) -> str:
        """The join token for workers: a secret, never to be printed."""
        with self._faults("reading the swarm's token"):
            return str(self._api.inspect_swarm()["JoinTokens"]["Worker"])

    def join_swarm(self, manager: str, address: str, token: str) -> None:
        """Join the swarm of `manager` as a worker; through the API, so that the token is in no argv."""
        with self._faults("joining the swarm"):
            self._api.join_swarm(
                remote_addrs=[f"{manager}:2377"],
                join_token=token,
                listen_addr="0.0.0.0:2377",
                advertise_addr=address,
                data_path_addr=address,
            )

    def nodes(self) -> list[dict[str, Any]]:
        """GET /nodes (manager only)."""
        with self._faults("listing the swarm's nodes"):
            return list(self._api.nodes())

    def label_node(self, node_id: str, labels: Mapping[str, str]) -> None:
        """Set the labels of a swarm node, keeping role and availability."""
        with self._faults("labelling a node"):
            node = self._api.inspect_node(node_id)
            spec = dict(node["Spec"])
            spec["Labels"] = dict(labels)
            self._api.update_node(node_id, node["Version"]["Index"], spec)

    # -- images -----------------------------------------------------------------------------------------------------

    def image_labels(self, reference: str) -> dict[str, str] | None:
        """Labels of a local image; `None` when there is no such image."""
        with self._faults(f"looking for {reference}"):
            try:
                image = self._api.inspect_image(reference)
            except docker.errors.ImageNotFound:
                return None
            return dict((image.get("Config") or {}).get("Labels") or {})

    def labelled_images(self, label: str) -> list[dict[str, Any]]:
        """GET /images/json: this machine's images with a label, those without a name included."""
        with self._faults("listing images"):
            return list(self._api.images(filters={"label": label}))

    def name_image(self, image_id: str, reference: str) -> None:
        """Give an image that is there one more name. Raises `ClusterError` when it is gone."""
        name, _, tag = reference.rpartition(":")
        with self._faults(f"naming {reference}"):
            self._api.tag(image_id, name, tag)

    def image_history(self, image_id: str) -> list[dict[str, Any]]:
        """The steps that an image was made in, the last first; none when it is gone."""
        with self._faults("asking for an image's history"):
            try:
                return list(self._api.history(image_id))
            except docker.errors.ImageNotFound:
                return []

    def used_image_ids(self) -> set[str]:
        """Images that containers of this machine have, stopped ones included."""
        with self._faults("listing containers"):
            return {str(one["ImageID"]) for one in self._api.containers(all=True)}

    def remove_image(self, name: str) -> str | None:
        """Remove a name of an image, and the image with its last one; why it stays, where something uses it."""
        with self._faults(f"removing {name}"):
            try:
                self._api.remove_image(name)
            except docker.errors.ImageNotFound:
                return None
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
                return str(error.explanation or error)
        return None

    def build(
        self,
        context: IO[bytes],
        *,
        tag: str,
        buildargs: Mapping[str, str],
        labels: Mapping[str, str],
        timeout_s: float,
        network: str | None,
        on_line: Callable[[str], None],
    ) -> None:
        """Build an image from a tar `context`; each line of the build goes to `on_line`."""
        tail: list[str] = []
        with self._faults(f"building {tag}"):
            stream = self._api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=dict(buildargs),
                labels=dict(labels),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=int(timeout_s),
                network_mode=network,
            )
            for message in stream:
                text = COLOUR.sub("", str(message.get("stream") or message.get("status") or "").rstrip())
                for line in text.splitlines():
                    on_line(line)
                    tail = [*tail[-14:], line]
                if "error" in message:
                    quoted = "\n  ".join(tail)
                    what = f"building {tag}: {message['error']}\n  {quoted}"
                    hint = build_hint(str(message["error"]), tail)
                    raise ClusterError(Problem(node=self.client.node.name, what=what, hint=hint))

    def push(
        self, reference: str, auth: Mapping[str, str] | None, on_progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Push an image to its registry; `on_progress(bytes, total)`, total 0 while it is not known."""
        layers = _Layers()
        with self._faults(f"pushing {reference}"):
            stream = self._api.push(reference, stream=True, decode=True, auth_config=dict(auth) if auth else None)
            for message in stream:
                if "error" in message:
                    what = f"pushing {reference}: {message['error']}"
                    raise ClusterError(
                        Problem(node=self.client.node.name, what=what, hint="is the registry up? `invoke swarm`")
                    )
                if on_progress is not None and "id" in message:
                    on_progress(*layers.seen(message))

    def pull(self, reference: str, auth: Mapping[str, str] | None) -> None:
        """Get an image from its registry."""
        with self._faults(f"pulling {reference}"):
            login = dict(auth) if auth else None
            for message in self._api.pull(reference, stream=True, decode=True, auth_config=login):
                if "error" in message:
                    what = f"pulling {reference}: {message['error']}"
                    hint = "is the registry up? `invoke swarm`"
                    raise ClusterError(Problem(node=self.client.node.name, what=what, hint=hint))

    def registry_digest(self, reference: str, auth: Mapping[str, str] | None) -> str | None:
        """The digest under which the registry holds `reference`; `None` when it does not."""
        with self._faults(f"asking the registry for {reference}"):
            try:
                found = self._api.inspect_distribution(reference, auth_config=dict(auth) if auth else None)
            except docker.errors.APIError as error:
                text = str(error.explanation or error)
                if "manifest unknown" in text or "not found" in text or error.status_code == 404:
                    return None
                what = f"asking the registry for {reference}: {text}"
                raise ClusterError(
                    Problem(node=self.client.node.name, what=what, hint="is the registry up? `invoke swarm`")
                ) from error
        return str(found["Descriptor"]["digest"])

    def cannot_load(self, reference: str) -> str | None:
        """Why this machine cannot load an image from where its name says, as its engine puts it; `None` when it can.

        Only its description is asked for. Raises `ClusterError` when no answer comes in time.
        """
        with self._faults(f"asking where {reference} is to be had"):
            try:
                self._api.inspect_distribution(reference)
            except docker.errors.APIError as error:
                return shortened(str(error.explanation or error), 200)
        return None

    # -- services, tasks, configs -----------------------------------------------------------------------------------

    def _in_stack(self, stack: str) -> dict[str, str]:
        return {"label": f"{STACK_LABEL}={stack}"}

    def services(self, stack: str) -> list[dict[str, Any]]:
        """The stack's services."""
        with self._faults("listing services"):
            return list(self._api.services(filters=self._in_stack(stack)))

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        """The stack's tasks, history included."""
        with self._faults("listing tasks"):
            return list(self._api.tasks(filters=self._in_stack(stack)))

    def labelled_services(self, label: str) -> list[dict[str, Any]]:
        """Services with a label, of any stack or none."""
        with self._faults("listing services"):
            return list(self._api.services(filters={"label": label}))

    def service_tasks(self, name: str) -> list[dict[str, Any]]:
        """The tasks of one service, oldest first; none when there is no such service."""
        with self._faults(f"listing the tasks of {name}"):
            try:
                found = list(self._api.tasks(filters={"service": name}))
            except docker.errors.NotFound:
                return []
        return sorted(found, key=lambda task: str(task["CreatedAt"]))

    def create_service(self, name: str, task: Mapping[str, Any], labels: Mapping[str, str]) -> None:
        """Make a service of one task, outside any stack; its name has no address of its own."""
        with self._faults(f"making service {name}"):
            self._api.create_service(
                dict(task), name=name, labels=dict(labels), mode="replicated", endpoint_spec={"Mode": "dnsrr"}
            )

    def remove_service(self, name: str) -> None:
        """Remove a service, whose task gets its stop signal; nothing to do when it is gone."""
        with self._faults(f"removing service {name}"), contextlib.suppress(docker.errors.NotFound):
            self._api.remove_service(name)

    def networks(self, stack: str) -> list[dict[str, Any]]:
        """The stack's networks."""
        with self._faults("listing networks"):
            return list(self._api.networks(filters=self._in_stack(stack)))

    def containers(self, label: str) -> list[dict[str, Any]]:
        """This machine's containers with a label, stopped ones included."""
        with self._faults("listing containers"):
            return list(self._api.containers(all=True, filters={"label": label}))

    def config_names(self) -> dict[str, str]:
        """Swarm configs, name → id."""
        with self._faults("listing configs"):
            return {item["Spec"]["Name"]: item["ID"] for item in self._api.configs()}

    def secret_names(self) -> dict[str, str]:
        """Swarm secrets, name → id."""
        with self._faults("listing secrets"):
            return {item["Spec"]["Name"]: item["ID"] for item in self._api.secrets()}

    def config_text(self, config_id: str) -> str:
        """What a Swarm config says."""
        with self._faults("reading a config"):
            return base64.b64decode(self._api.inspect_config(config_id)["Spec"]["Data"]).decode()

    def create_config(self, name: str, content: str, labels: Mapping[str, str]) -> None:
        """Make a Swarm config."""
        with self._faults(f"making config {name}"):
            self._api.create_config(name, content.encode(), dict(labels))

    def create_secret(self, name: str, content: str, labels: Mapping[str, str]) -> None:
        """Make a Swarm secret."""
        with self._faults(f"making secret {name}"):
            self._api.create_secret(name, content.encode(), dict(labels))

    def remove_unused(self, stack: str, keep: Iterable[str]) -> list[str]:
        """Remove this stack's configs and secrets whose names are not in `keep`; the names removed."""
        kept = set(keep)
        removed: list[str] = []
        with self._faults("removing old configs and secrets"):
            for kind, remove in (
                (self._api.configs, self._api.remove_config),
                (self._api.secrets, self._api.remove_secret),
            ):
                for item in kind(filters={"label": f"sparkqfs.cluster={stack}"}):
                    name = item["Spec"]["Name"]
                    if name in kept:
                        continue
                    with contextlib.suppress(docker.errors.APIError):  # still in use by a task that is going away
                        remove(item["ID"])
                        removed.append(name)
        return removed

    # -- single containers ------------------------------------------------------------------------------------------

    def memory_used_mib(self, container_id: str) -> int:
        """Memory of a container, disk cache that can be given back not counted."""
        with self._faults("asking for a container's memory"):
            found = self._api.stats(container_id, stream=False, one_shot=True).get("memory_stats") or {}
        more = found.get("stats") or {}
        cache = more.get("total_inactive_file", more.get("inactive_file", 0))  # cgroup 1, cgroup 2
        return max(0, int(found.get("usage", 0)) - int(cache)) // 2**20

    def container(self, name: str) -> dict[str, Any] | None:
        """Inspect a container by name; `None` when there is none."""
        with self._faults(f"looking for container {name}"):
            try:
                return dict(self._api.inspect_container(name))
            except docker.errors.NotFound:
                return None

    def remove_container(self, name: str) -> None:
        """Stop and remove a container with its anonymous volumes; nothing to do when it is gone."""
        with self._faults(f"removing container {name}"), contextlib.suppress(docker.errors.NotFound):
            self._api.remove_container(name, force=True, v=True)
